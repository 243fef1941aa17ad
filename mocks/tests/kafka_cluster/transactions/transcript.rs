//! One long scenario, whose transcript is what Kafka 4.3.1 answers to the same requests.
//!
//! Producer ids are told relative to the first one, errors by their numbers.

use std::fmt::Write as _;

use kafka_protocol::messages::*;
use squall_mocks::Clock;
use squall_mocks::kafka::KafkaOptions;

use super::client::{Client, Who, one_node};
use crate::wire::text;

/// What Kafka 4.3.1 answered.
const KAFKA: &str = include_str!("kafka-4.3.1.txt");

#[tokio::test(start_paused = true)]
async fn a_long_scenario_is_answered_as_by_kafka() {
    let (_bench, mut client) = one_node(KafkaOptions::brokers(1)).await;
    // As old as the markers, so that all are in one segment.
    client.timestamp_ms = Clock::system().unix_ms();
    let told = scenario(&mut client).await;
    for (line, (told, kafka)) in told.lines().zip(KAFKA.lines()).enumerate() {
        assert_eq!(told, kafka, "line {}", line + 1);
    }
    assert_eq!(told.lines().count(), KAFKA.lines().count());
}

/// Writes down one answer.
macro_rules! tell {
    ($out:expr, $($what:tt)*) => { writeln!($out, $($what)*).expect("a string takes all") };
}

pub async fn scenario(client: &mut Client) -> String {
    let mut out = String::new();
    before_init(&mut out, client).await;
    let base = client.init().await.0;
    version_1(&mut out, client, base).await;
    version_2(&mut out, client, base).await;
    fencing(&mut out, client, base).await;
    offsets(&mut out, client).await;
    sequences(&mut out, client, base).await;
    going_on(&mut out, client, base).await;
    others(&mut out, client, base).await;
    out
}

async fn before_init(out: &mut String, client: &mut Client) {
    let nobody = (4_000_000, 0);
    tell!(out, "init without time: {:?}", client.init_as(4, 0, (-1, -1)).await);
    tell!(out, "init with too much: {:?}", client.init_as(4, 900_001, (-1, -1)).await);
    tell!(out, "init with half an identity: {:?}", client.init_as(4, 1000, (-1, 3)).await);
    tell!(out, "describe nobody: {:?}", client.described().await);
    tell!(out, "add of nobody: {}", client.add_one(3, nobody, 0).await);
    tell!(out, "add offsets of nobody: {}", client.add_offsets(3, nobody, "workers").await);
    for version in [1, 4, 5] {
        tell!(out, "end v{version} of nobody: {:?}", client.end(version, nobody, true).await);
    }
    for version in [9, 10, 11, 12] {
        tell!(out, "produce v{version} of nobody: {:?}", client.produce(version, 0, nobody, 0).await);
    }
    let offsets = client.offsets(nobody, "workers", 1);
    for version in [3, 4, 5] {
        let error = client.commit_offsets(version, offsets.clone()).await;
        tell!(out, "commit offsets v{version} of nobody: {error}");
    }
    let id = std::mem::take(&mut client.id);
    tell!(out, "init of the empty id: {:?}", client.init_as(4, 1000, (-1, -1)).await);
    tell!(out, "add of the empty id: {}", client.add_one(3, nobody, 0).await);
    tell!(out, "end of the empty id: {:?}", client.end(4, nobody, true).await);
    tell!(out, "describe the empty id: {:?}", client.described().await);
    client.id = id;
}

async fn reads(out: &mut String, client: &mut Client, partition: i32, base: i64) {
    for committed in [false, true] {
        let seen = client.read(partition, 0, committed).await;
        let relative =
            |list: Vec<(i64, i64)>| list.iter().map(|(id, at)| (id - base, *at)).collect::<Vec<_>>();
        tell!(
            out,
            "read committed={committed}: {} watermark {} stable {} aborted {:?} latest {} bytes {}",
            seen.error,
            seen.high_watermark,
            seen.last_stable,
            seen.aborted.map(relative),
            client.latest(partition, committed).await,
            seen.records.len()
        );
    }
}

async fn state(out: &mut String, client: &mut Client, base: i64) {
    let (state, (id, epoch), partitions) = client.described().await.expect("it is known");
    tell!(out, "state {state} producer {} epoch {epoch} partitions {partitions:?}", id - base);
}

fn relative((error, who): (i16, Who), base: i64) -> (i16, Who) {
    if who.0 < 0 { (error, who) } else { (error, (who.0 - base, who.1)) }
}

async fn version_1(out: &mut String, client: &mut Client, base: i64) {
    let who = (base, 0);
    state(out, client, base).await;
    for version in [9, 11] {
        tell!(out, "produce v{version} not added: {:?}", client.produce(version, 0, who, 0).await);
    }
    tell!(out, "end of nothing: {:?}", client.end(4, who, true).await);
    tell!(out, "add: {:?}", client.add(3, who, &[("orders", 0), ("orders", 1)]).await);
    tell!(out, "add again: {}", client.add_one(3, who, 1).await);
    let wrong = client.add(3, who, &[("nowhere", 0), ("orders", 0)]).await;
    tell!(out, "add with an unknown one: {wrong:?}");
    state(out, client, base).await;
    tell!(out, "produce: {:?}", client.produce(11, 0, who, 0).await);
    tell!(out, "produce: {:?}", client.produce(9, 0, who, 1).await);
    tell!(out, "produce again: {:?}", client.produce(9, 0, who, 1).await);
    let (plain, inside) = (client.batch(who, 2, false), client.batch(who, 2, true));
    tell!(out, "produce outside: {:?}", client.produce_batch(9, 0, None, plain).await);
    tell!(out, "produce without id: {:?}", client.produce_batch(9, 0, None, inside).await);
    reads(out, client, 0, base).await;
    tell!(out, "commit: {:?}", client.end(4, who, true).await);
    tell!(out, "settled: {}", client.settled().await);
    state(out, client, base).await;
    reads(out, client, 0, base).await;
    tell!(out, "commit again: {:?}", client.end(4, who, true).await);
    tell!(out, "abort instead: {:?}", client.end(4, who, false).await);
    tell!(out, "add: {}", client.add_one(3, who, 0).await);
    tell!(out, "produce: {:?}", client.produce(11, 0, who, 2).await);
    tell!(out, "abort: {:?}", client.end(3, who, false).await);
    tell!(out, "settled: {}", client.settled().await);
    reads(out, client, 0, base).await;
}

async fn version_2(out: &mut String, client: &mut Client, base: i64) {
    let who = (base, 0);
    tell!(out, "produce v12 at a sequence: {:?}", client.produce(12, 1, who, 3).await);
    tell!(out, "produce v12: {:?}", client.produce(12, 1, who, 0).await);
    tell!(out, "produce v12: {:?}", client.produce(12, 1, who, 1).await);
    state(out, client, base).await;
    let ended = client.end(5, who, true).await;
    tell!(out, "commit: {:?}", relative(ended, base));
    tell!(out, "settled: {}", client.settled().await);
    for (epoch, commit) in [(0, true), (0, false), (1, true), (2, true)] {
        let ended = client.end(5, (base, epoch), commit).await;
        tell!(out, "end by {epoch} commit={commit}: {:?}", relative(ended, base));
    }
    tell!(out, "produce v12 by the old epoch: {:?}", client.produce(12, 1, who, 2).await);
    tell!(out, "produce v12 at a sequence: {:?}", client.produce(12, 1, (base, 1), 2).await);
    tell!(out, "produce v12: {:?}", client.produce(12, 1, (base, 1), 0).await);
    let ended = client.end(5, (base, 1), false).await;
    tell!(out, "abort: {:?}", relative(ended, base));
    tell!(out, "settled: {}", client.settled().await);
    let ended = client.end(5, (base, 2), false).await;
    tell!(out, "abort nothing: {:?}", relative(ended, base));
    tell!(out, "settled: {}", client.settled().await);
    state(out, client, base).await;
    reads(out, client, 1, base).await;
    let markers = client.read(1, 3, false).await.records;
    // Without the times and the checksum: base offset to magic, then from the attributes on.
    let marker = &markers[..78];
    tell!(out, "marker: {:02x?} {:02x?} {:02x?}", &marker[..17], &marker[21..27], &marker[53..]);
}

async fn fencing(out: &mut String, client: &mut Client, base: i64) {
    let old = client.init().await;
    tell!(out, "init: {:?}", relative((0, old), base));
    tell!(out, "produce: {:?}", client.produce(12, 0, old, 0).await);
    tell!(out, "init while open: {:?}", client.init_as(5, 60_000, (-1, -1)).await);
    let new = client.init().await;
    tell!(out, "init: {:?}", relative((0, new), base));
    for version in [9, 11, 12] {
        tell!(out, "produce v{version} by the old: {:?}", client.produce(version, 0, old, 1).await);
        tell!(out, "produce v{version} by the old elsewhere: {:?}", client.produce(version, 1, old, 0).await);
    }
    for version in [1, 3] {
        tell!(out, "add v{version} by the old: {}", client.add_one(version, old, 0).await);
        tell!(
            out,
            "add offsets v{version} by the old: {}",
            client.add_offsets(version, old, "workers").await
        );
    }
    for version in [1, 2, 4, 5] {
        tell!(out, "end v{version} by the old: {:?}", client.end(version, old, true).await);
    }
    let offsets = client.offsets(old, "workers", 1);
    for version in [3, 5] {
        let error = client.commit_offsets(version, offsets.clone()).await;
        tell!(out, "commit offsets v{version} by the old: {error}");
    }
    for version in [3, 4] {
        tell!(out, "init v{version} by the old: {:?}", client.init_as(version, 60_000, old).await);
    }
    reads(out, client, 0, base).await;
}

async fn offsets(out: &mut String, client: &mut Client) {
    let who = client.init().await;
    let with = |offset| client.offsets(who, "workers", offset);
    let (three, four, five) = (with(3), with(4), with(5));
    for version in [3, 4] {
        tell!(out, "commit v{version} not added: {}", client.commit_offsets(version, three.clone()).await);
    }
    tell!(out, "add offsets: {}", client.add_offsets(3, who, "workers").await);
    let other = three.clone().with_generation_id(5).with_member_id(text("m"));
    tell!(out, "commit by a generation: {}", client.commit_offsets(3, other).await);
    tell!(out, "commit: {}", client.commit_offsets(3, three).await);
    let mut noted = four.clone();
    noted.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(5000)));
    tell!(out, "commit with a long note: {}", client.commit_offsets(3, noted).await);
    let mut nowhere = four.clone();
    nowhere.topics[0].name = TopicName(text("nowhere"));
    tell!(out, "commit of an unknown topic: {}", client.commit_offsets(3, nowhere).await);
    tell!(out, "stable: {:?}", client.committed("workers", true).await);
    tell!(out, "any: {:?}", client.committed("workers", false).await);
    tell!(out, "end: {}", client.end(4, who, true).await.0);
    tell!(out, "settled: {}", client.settled().await);
    tell!(out, "stable: {:?}", client.committed("workers", true).await);
    tell!(out, "commit v5: {}", client.commit_offsets(5, four).await);
    tell!(out, "stable: {:?}", client.committed("workers", true).await);
    let ended = client.end(5, who, false).await;
    tell!(out, "abort: {} {}", ended.0, ended.1.1 - who.1);
    tell!(out, "settled: {}", client.settled().await);
    tell!(out, "stable: {:?}", client.committed("workers", true).await);
    tell!(out, "commit v5 by the old epoch: {}", client.commit_offsets(5, five).await);
}

async fn sequences(out: &mut String, client: &mut Client, base: i64) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let given = client.wire.call(4, request).await;
    let who = (given.producer_id.0, given.producer_epoch);
    tell!(out, "an idempotent producer: {:?}", relative((given.error_code, who), base));
    for (epoch, sequence) in [(0, 5), (0, 6), (0, 6), (0, 8), (1, 3), (1, 0), (0, 7), (1, 1)] {
        let batch = client.batch((who.0, epoch), sequence, false);
        let told = client.produce_batch(9, 0, None, batch).await;
        tell!(out, "epoch {epoch} sequence {sequence}: {told:?}");
    }
    let mut wraps = (who.0, 2);
    for sequence in [0, i32::MAX, 0] {
        if sequence == i32::MAX {
            wraps.0 += 500_000;
        }
        let batch = client.batch(wraps, sequence, false);
        let told = client.produce_batch(9, 0, None, batch).await;
        tell!(out, "wrapping {sequence}: {told:?}");
    }
}

async fn going_on(out: &mut String, client: &mut Client, base: i64) {
    let who = client.init().await;
    let next = client.init_as(5, 60_000, who).await;
    tell!(out, "go on: {} {:?}", next.1.1 - who.1, relative(next, base).0);
    let again = client.init_as(5, 60_000, who).await;
    tell!(out, "go on again: {} {}", again.0, again.1.1 - who.1);
    let older = (who.0, who.1 - 1);
    tell!(out, "go on as an older one: {:?}", client.init_as(5, 60_000, older).await);
    tell!(out, "go on as another: {:?}", client.init_as(5, 60_000, (who.0 + 1, 0)).await);
}

async fn others(out: &mut String, client: &mut Client, base: i64) {
    let who = client.init().await;
    tell!(out, "produce: {}", client.produce(12, 1, who, 0).await.0);
    let topic = describe_producers_request::TopicRequest::default()
        .with_name(TopicName(text("orders")))
        .with_partition_indexes(vec![1, 7]);
    let answer =
        client.wire.call(0, DescribeProducersRequest::default().with_topics(vec![topic.clone()])).await;
    for partition in &answer.topics[0].partitions {
        tell!(out, "producers of {}: {}", partition.partition_index, partition.error_code);
        for known in &partition.active_producers {
            let (id, sequence) = (known.producer_id.0 - base, known.last_sequence);
            let epoch = known.producer_epoch - i32::from(who.1);
            tell!(out, "{id} {epoch} {sequence} open at {}", known.current_txn_start_offset);
        }
    }
    let list = ListTransactionsRequest::default().with_duration_filter(-1);
    for states in [vec![], vec!["Ongoing", "Nonsense"], vec!["Empty", "Dead"]] {
        let states = states.into_iter().map(text).collect();
        let answer = client.wire.call(1, list.clone().with_state_filters(states)).await;
        let ours = answer.transaction_states.iter().filter(|state| state.transactional_id == client.id);
        let ours: Vec<_> = ours.map(|state| state.transaction_state.to_string()).collect();
        tell!(out, "listed: {ours:?} unknown {:?}", answer.unknown_state_filters);
    }
    for (epoch, coordinator_epoch) in [(who.1 - 1, 100), (who.1, 100), (who.1, 99), (who.1 + 1, 100)] {
        let topic = write_txn_markers_request::WritableTxnMarkerTopic::default()
            .with_name(TopicName(text("orders")))
            .with_partition_indexes(vec![1]);
        let marker = write_txn_markers_request::WritableTxnMarker::default()
            .with_producer_id(ProducerId(who.0))
            .with_producer_epoch(epoch)
            .with_coordinator_epoch(coordinator_epoch)
            .with_topics(vec![topic]);
        let answer = client.wire.call(1, WriteTxnMarkersRequest::default().with_markers(vec![marker])).await;
        let error = answer.markers[0].topics[0].partitions[0].error_code;
        tell!(out, "marker {} {coordinator_epoch}: {error}", epoch - who.1);
    }
    reads(out, client, 1, base).await;
}
