//! Connections: what a client may send ahead, how long it may be idle, how many there may be, and what strict
//! clusters tell.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_protocol::messages::*;
use squall_mocks::kafka::{KafkaOptions, Limits};
use squall_mocks::observe::What;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::log::{fetch_from, produce_one};
use crate::wire::{Bench, Wire};

fn limited(limits: Limits) -> Bench {
    Bench::new(KafkaOptions { limits, ..KafkaOptions::brokers(1) })
}

async fn lives(wire: &mut Wire) -> bool {
    wire.exchange(0, &ApiVersionsRequest::default()).await.len() > 8
}

#[tokio::test(start_paused = true)]
async fn many_requests_in_one_piece_are_answered_in_their_order() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    // Key 18, version 0, a correlation, no client id: ten bytes behind their length.
    let request = |n: u8| [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, n, 0xff, 0xff];
    let all: Vec<u8> = (0..=255).flat_map(request).collect();
    wire.stream.write_all(&all).await.expect("written");
    for n in 0..=255_u8 {
        let answer = wire.receive_frame().await.expect("an answer");
        assert_eq!(answer[..4], [0, 0, 0, n]);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_given_before_bytes_that_are_no_kafka_still_arrive() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let mut both = vec![0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    both.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    wire.stream.write_all(&both).await.expect("written");
    assert_eq!(wire.receive_frame().await.expect("an answer")[..4], [0, 0, 0, 7]);
    assert!(wire.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_whole_request_is_closed_after_the_idle_time() {
    let bench = Bench::three();
    let mut silent = bench.connect(1).await;
    let mut slow = bench.connect(1).await;
    let mut busy = bench.connect(1).await;
    let start = Instant::now();
    slow.stream.write_all(&[0, 0, 1, 0]).await.expect("written");
    for _ in 0..9 {
        sleep(Duration::from_secs(66)).await;
        slow.stream.write_all(&[1]).await.expect("it is open");
        assert!(lives(&mut busy).await);
    }
    assert!(silent.is_closed().await && slow.is_closed().await);
    assert_eq!(start.elapsed().as_secs(), 600);
    assert!(lives(&mut busy).await);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_waits_longer_than_the_idle_time_is_answered() {
    let bench = limited(Limits { max_idle: Duration::from_secs(5), ..Limits::default() });
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    wire.call(11, fetch_from("orders", 0, 60_000)).await;
    assert!(lives(&mut wire).await);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_given_up_and_others_are_served() {
    let bench = limited(Limits { max_idle: Duration::from_secs(5), ..Limits::default() });
    let mut deaf = bench.connect(1).await;
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    // Until neither its answers nor its requests have room any more.
    let flood = async { while deaf.stream.write_all(&request.repeat(1000)).await.is_ok() {} };
    let limit = tokio::time::timeout(Duration::from_secs(60), flood).await;
    assert!(limit.is_ok(), "the connection ended");
    let mut other = bench.connect(1).await;
    assert!(lives(&mut other).await);
    assert_eq!(bench.cluster.connections()[&1], 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_above_the_limit_is_refused_before_it_arrives() {
    let bench = limited(Limits { max_request_bytes: 1000, ..Limits::default() });
    let mut wire = bench.connect(1).await;
    wire.stream.write_all(&1001_u32.to_be_bytes()).await.expect("written");
    assert!(wire.is_closed().await);
    let told = bench.cluster.requests().unsupported();
    assert_eq!(
        told[0].reason,
        "expected a frame of 8 to 1000 bytes, found a length of 1001: is the client speaking Kafka?"
    );
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_of_a_node_wait_and_beyond_that_of_a_host_are_closed() {
    let bench = limited(Limits { max_connections: 2, ..Limits::default() });
    let (mut first, mut second) = (bench.connect(1).await, bench.connect(1).await);
    assert!(lives(&mut first).await && lives(&mut second).await);
    let mut third = bench.connect(1).await;
    let waiting = lives(&mut third);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut waiting).await.is_err());
    drop(first);
    assert!(waiting.await);

    let bench = limited(Limits { max_connections_per_ip: 1, ..Limits::default() });
    let mut first = bench.connect(1).await;
    assert!(lives(&mut first).await);
    assert!(!lives(&mut bench.connect(1).await).await);
    drop(first);
    sleep(Duration::from_secs(1)).await;
    assert!(lives(&mut bench.connect(1).await).await);
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_idle_connections_are_served_in_little_memory() {
    const CONNECTIONS: u64 = 10_000;
    let bench = Bench::new(KafkaOptions::brokers(1));
    let before = resident();
    let mut wires = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut wire = bench.connect(1).await;
        assert!(lives(&mut wire).await);
        wires.push(wire);
    }
    let each = resident().saturating_sub(before) / CONNECTIONS;
    // The pipe in memory and the test's end of it are part of that.
    assert!(each < 12 * 1024, "{each} bytes for each");
    assert_eq!(bench.cluster.connections()[&1], 10_000);
    assert!(lives(&mut wires[0]).await);
}

#[tokio::test(start_paused = true)]
async fn a_strict_cluster_tells_its_observer_what_it_does_not_serve() {
    for strict in [false, true] {
        let bench = Bench::new(KafkaOptions { strict, ..KafkaOptions::brokers(1) });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        bench.cluster.observe(Arc::new(move |sighting| sink.lock().expect("no panic").push(sighting.what)));
        let waiting = bench.cluster.requests().wait_for_unsupported();
        let mut wire = bench.connect(1).await;
        wire.send_frame(&[0, 99, 0, 3, 0, 0, 0, 1]).await;
        assert!(wire.is_closed().await);
        let reason = "expected an API this cluster serves, found key 99 version 3: see SUPPORT.md";
        assert_eq!(waiting.await.reason, reason);
        let told = if strict { vec![What::Unsupported(reason.to_owned())] } else { Vec::new() };
        assert_eq!(*seen.lock().expect("no panic"), told);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_kept_with_what_they_named_and_how_they_ended() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    bench.cluster.log_requests(100);
    let mut wire = bench.leader("orders", 0).await;
    produce_one(&mut wire, "orders", "a").await;
    produce_one(&mut wire, "nothing", "a").await;
    wire.send(11, &fetch_from("orders", 1, 60_000)).await;
    let log = bench.cluster.requests();
    let fetch = log.wait_for(1, |it| it.api == "fetch").await.remove(0);
    assert_eq!((fetch.version, fetch.error, fetch.client_id.as_str()), (11, None, "wire"));
    let told: Vec<_> = log.since(0, 2).into_iter().map(|it| (it.targets, it.error)).collect();
    let record = |target: &str, error: &str| (vec![target.to_owned()], Some(error.to_owned()));
    assert_eq!(told, [record("orders-0", "NONE"), record("nothing-0", "UNKNOWN_TOPIC_OR_PARTITION")]);
    bench.cluster.advance(Duration::from_secs(60));
    assert_eq!(log.wait_for(1, |it| it.api == "fetch" && it.error.is_some()).await.len(), 1);
}
