//! Nodes that die and come back, served together or each from a runtime of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka_protocol::messages::*;
use squall_mocks::Clock;
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use squall_mocks::net::{Dial, MemoryNet};
use tokio::io::AsyncReadExt;

use crate::log::{fetch_from, produce_one};
use crate::wire::{Bench, Wire};

#[tokio::test(start_paused = true)]
async fn a_dead_nodes_partitions_get_another_leader_after_the_failure_is_detected() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let old = bench.cluster.leader("orders", 0).expect("a leader");
    let mut wire = bench.connect(old).await;
    assert_eq!(produce_one(&mut wire, "orders", "a").await, (0, 0));
    bench.cluster.node_down(old).expect("a node");
    assert!(wire.is_closed().await);
    let mut refused = bench.connect(old).await;
    assert!(refused.stream.read_u8().await.is_err());
    assert_eq!(bench.cluster.leader("orders", 0), Some(old), "nobody has noticed yet");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let new = bench.cluster.leader("orders", 0).expect("a leader");
    assert_ne!(new, old);
    assert_eq!(produce_one(&mut bench.connect(new).await, "orders", "b").await, (0, 1));
    let all = bench.connect(new).await.call(9, MetadataRequest::default().with_topics(None)).await;
    assert!(all.brokers.iter().all(|broker| broker.node_id.0 != old));
    bench.cluster.node_up(old).expect("a node");
    assert_eq!(produce_one(&mut bench.connect(old).await, "orders", "c").await.0, 6);
    assert_eq!(bench.cluster.leader("orders", 0), Some(new), "leadership stays until the next check");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_back_before_it_was_missed_has_lost_its_leaderships_all_the_same() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let replicas = |bench: &Bench| bench.cluster.replicas("orders", 0).expect("a partition");
    let old = replicas(&bench).leader.expect("a leader");
    bench.cluster.node_down(old).expect("a node");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(replicas(&bench).leader, Some(old));
    bench.cluster.node_up(old).expect("a node");
    let now = replicas(&bench);
    assert!(now.leader.is_some_and(|leader| leader != old), "the controller heard that it had died");
    assert_eq!(now.isr, [1, 2, 3], "and it has caught up");
}

#[tokio::test(start_paused = true)]
async fn a_partition_whose_only_replica_died_has_no_leader_until_it_is_back() {
    let bench = Bench::three();
    bench.cluster.create_topic_with("orders", 1, 1, &[]).expect("created");
    let leader = bench.cluster.leader("orders", 0).expect("a leader");
    bench.cluster.node_down(leader).expect("a node");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.cluster.leader("orders", 0), None);
    bench.cluster.node_up(leader).expect("a node");
    assert_eq!(bench.cluster.leader("orders", 0), Some(leader));
}

#[test]
fn nodes_on_runtimes_of_their_own_wake_each_others_waiting_requests() {
    let paused = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().expect("a runtime")
    };
    let (first, second) = (paused(), paused());
    let net = MemoryNet::new();
    // One source of time above the runtimes, moved by the test.
    let millis = Arc::new(AtomicU64::new(0));
    let source = Arc::clone(&millis);
    let elapsed = move || Duration::from_millis(source.load(Ordering::Relaxed));
    let clock = Clock::from_source(0, elapsed);
    let cluster = KafkaCluster::new(KafkaOptions { clock, ..KafkaOptions::brokers(2) });
    cluster.create_topic("orders", 1).expect("created");
    cluster.move_leader("orders", 0, Some(1)).expect("moved");
    for (runtime, node) in [(&first, 1), (&second, 2)] {
        let (listener, cluster) = (net.listen(&format!("kafka-{node}:9092")), cluster.clone());
        runtime.spawn(async move { cluster.serve(node, listener).await });
    }
    let waiting = first.block_on(async {
        let mut wire = Wire::over(net.dial("kafka-1:9092").await.expect("it listens"));
        // Below version 11 only the leader is read from.
        wire.send(10, &fetch_from("orders", 0, 60_000)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        wire
    });
    // The second node's runtime changes the cluster; the first node's connection must hear of it.
    second.block_on(async { cluster.move_leader("orders", 0, Some(2)) }).expect("moved");
    first.block_on(async {
        let mut wire = waiting;
        let answer = wire.receive::<FetchRequest>(10).await.expect("an answer");
        assert_eq!(answer.responses[0].partitions[0].error_code, 6);
    });
    assert_eq!(millis.load(Ordering::Relaxed), 0, "no time had to pass");
}
