//! Time moved by hand.

use std::time::Duration;

use kafka_protocol::messages::*;
use tokio::time::Instant;

use crate::log::{fetch_from, produce_one};
use crate::wire::{Bench, text};

#[tokio::test(start_paused = true)]
async fn time_that_is_skipped_ends_waits_and_passes_for_timestamps() {
    let bench = Bench::three();
    bench
        .cluster
        .create_topic_with("orders", 1, 1, &[("message.timestamp.type", "LogAppendTime")])
        .expect("new");
    let (mut reader, mut writer) = (bench.leader("orders", 0).await, bench.leader("orders", 0).await);
    let start = Instant::now();
    reader.send(11, &fetch_from("orders", 0, 60_000)).await;
    tokio::task::yield_now().await;
    let before = bench.cluster.clock().unix_ms();
    bench.cluster.advance(Duration::from_millis(59_999));
    bench.cluster.advance(Duration::from_micros(500));
    bench.cluster.advance(Duration::from_micros(500));
    reader.receive::<FetchRequest>(11).await.expect("the wait is over");
    assert_eq!(start.elapsed(), Duration::ZERO, "no real time has passed");
    produce_one(&mut writer, "orders", "a").await;
    let record = bench.cluster.log("orders", 0).expect("a log").remove(0);
    assert!((59_999..=60_000).contains(&(record.timestamp_ms - before)), "{}", record.timestamp_ms - before);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_its_time_is_skipped_and_not_when_the_wall_clock_jumps() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let found = wire.call(2, FindCoordinatorRequest::default().with_key(text("g"))).await;
    let mut wire = bench.connect(found.node_id.0).await;
    let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
    let join = JoinGroupRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    wire.call(3, join).await;
    let members = || bench.cluster.group("g").map_or(0, |group| group.members.len());
    bench.cluster.jump(3_600_000);
    assert_eq!(members(), 1);
    bench.cluster.advance(Duration::from_secs(9));
    assert_eq!(members(), 1);
    bench.cluster.advance(Duration::from_secs(2));
    assert_eq!(members(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_on_the_way_happens_at_its_own_time() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let old = bench.cluster.leader("orders", 0).expect("a leader");
    bench.cluster.set_metadata_lag(1 + old % 3, Some(Duration::from_secs(100))).expect("a node");
    bench.cluster.node_down(old).expect("a node");
    // The failure is seen after 9 s and known to the one that lags 100 s after that.
    bench.cluster.advance(Duration::from_secs(108));
    let mut lagging = bench.connect(1 + old % 3).await;
    let names_old = |all: MetadataResponse| all.brokers.iter().any(|broker| broker.node_id.0 == old);
    let all = MetadataRequest::default().with_topics(None);
    assert!(names_old(lagging.call(9, all.clone()).await));
    bench.cluster.advance(Duration::from_secs(1));
    assert!(!names_old(lagging.call(9, all).await));
}
