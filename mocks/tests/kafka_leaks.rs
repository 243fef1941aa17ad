//! Clusters that are started and dropped leave nothing behind: no threads, no descriptors, no memory.
//!
//! In a program of its own, for other tests come and go with threads and descriptors.

#![cfg(feature = "kafka")]
#![cfg(target_os = "linux")]

use std::fs;
use std::sync::Arc;

use squall_mocks::kafka::client::{ClientOptions, KafkaClient, NewRecord, ProducerOptions};
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use squall_mocks::net::TcpDial;

const CLUSTERS: usize = 1000;
/// Clusters after which everything that is made once has been made.
const WARM: usize = 100;
/// What memory may grow by after that: less than a cluster of three brokers and its records take.
const GROWTH_BYTES: usize = 8 << 20;
const PAYLOAD_BYTES: usize = 100_000;

/// What a process holds.
#[derive(Debug)]
struct Held {
    threads: usize,
    descriptors: usize,
    resident_bytes: usize,
}

impl Held {
    fn now() -> Self {
        let count = |folder| fs::read_dir(folder).expect("the process's own folder").count();
        let status = fs::read_to_string("/proc/self/status").expect("the process's own status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line on memory");
        let kilobytes: usize = resident.trim().trim_end_matches(" kB").parse().expect("a number");
        Self {
            threads: count("/proc/self/task"),
            descriptors: count("/proc/self/fd"),
            resident_bytes: kilobytes * 1024,
        }
    }
}

#[test]
fn a_thousand_clusters_started_and_dropped_leave_no_threads_descriptors_or_memory_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut warm = None;
    for number in 0..CLUSTERS {
        runtime.block_on(use_one());
        if number == WARM {
            warm = Some(Held::now());
        }
    }
    let (before, after) = (warm.expect("more clusters than that"), Held::now());
    assert_eq!(after.threads, before.threads);
    assert_eq!(after.descriptors, before.descriptors);
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    assert!(grown < GROWTH_BYTES, "{grown} bytes more than after {WARM} clusters");
}

/// A cluster that a client has used, with both ends gone afterwards.
async fn use_one() {
    let running = KafkaCluster::start_tcp(KafkaOptions::brokers(3)).await.expect("free ports");
    running.cluster.create_topic("orders", 3).expect("a topic");
    let options = ClientOptions::new(running.bootstrap.split(','));
    let client = KafkaClient::new(options, Arc::new(TcpDial));
    let producer = client.producer(ProducerOptions::default()).expect("valid options");
    let record = NewRecord::new("orders", vec![7; PAYLOAD_BYTES]).partition(0);
    producer.send(record).await.expect("a record is taken");
    drop((running, client, producer));
    // What was dropped ends as soon as the runtime turns to it.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}
