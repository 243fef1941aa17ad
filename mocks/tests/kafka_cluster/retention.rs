//! What happens to records by itself or on request: retention, compaction, deletion.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{delete_records_request as delete, list_offsets_request as list, *};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use squall_mocks::Clock;
use squall_mocks::kafka::KafkaOptions;

use crate::log::{fetch_from, produce_to, read};
use crate::wire::{Bench, Wire, text};

const START_MS: i64 = 1_800_000_000_000;

/// One node whose clock begins at [`START_MS`], and a connection to it.
async fn bench(configs: &[(&str, &str)]) -> (Bench, Wire) {
    let bench = Bench::new(KafkaOptions { clock: Clock::new(START_MS), ..KafkaOptions::brokers(1) });
    bench.cluster.create_topic_with("orders", 1, 1, configs).expect("created");
    let wire = bench.connect(1).await;
    (bench, wire)
}

/// A batch of records by key, value and time after the start.
fn records(list: &[(Option<&str>, &str, i64)], compression: Compression) -> Bytes {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let record = |(number, (key, value, at)): (i32, &(Option<&str>, &str, i64))| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(number),
        sequence: number - 1,
        timestamp: START_MS + at,
        key: key.map(bytes),
        value: Some(bytes(value)),
        headers: Default::default(),
    };
    let all: Vec<Record> = (0..).zip(list).map(record).collect();
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &all, &RecordEncodeOptions { version: 2, compression })
        .expect("encodes");
    out.freeze()
}

async fn produce(wire: &mut Wire, batch: Bytes) -> i16 {
    let answer = wire.call(9, produce_to("orders", 0, -1, batch)).await;
    answer.responses[0].partition_responses[0].error_code
}

async fn one(wire: &mut Wire, key: &str, value: &str, at: i64) {
    assert_eq!(produce(wire, records(&[(Some(key), value, at)], Compression::None)).await, 0);
}

async fn values(wire: &mut Wire, offset: i64) -> (i16, Vec<String>) {
    read(&wire.call(11, fetch_from("orders", offset, 0)).await)
}

#[tokio::test(start_paused = true)]
async fn old_records_go_at_the_first_check_after_30_seconds_and_then_every_5_minutes() {
    let (bench, mut wire) = bench(&[("retention.ms", "10000")]).await;
    one(&mut wire, "a", "old", 0).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(values(&mut wire, 0).await, (0, vec!["old".to_owned()]));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(values(&mut wire, 0).await.0, 1, "OFFSET_OUT_OF_RANGE");
    assert_eq!(bench.cluster.start_offset("orders", 0), Some(1));
    one(&mut wire, "a", "next", 31_000).await;
    tokio::time::sleep(Duration::from_secs(298)).await;
    assert_eq!(values(&mut wire, 1).await, (0, vec!["next".to_owned()]));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(values(&mut wire, 1).await.0, 1);
    assert_eq!(values(&mut wire, 2).await, (0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_test_need_not_wait_for_the_checks() {
    let (bench, mut wire) = bench(&[("retention.ms", "10")]).await;
    one(&mut wire, "a", "old", -11).await;
    bench.cluster.expire_now();
    assert_eq!(bench.cluster.start_offset("orders", 0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_compacted_topic_keeps_the_newest_of_every_key_and_nothing_expires() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("retention.ms", "1"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let (bench, mut wire) = bench(&settings).await;
    for (key, value, at) in [("a", "a1", -9000), ("b", "b1", -9000), ("a", "a2", -9000), ("c", "c1", 0)] {
        one(&mut wire, key, value, at).await;
    }
    tokio::time::sleep(Duration::from_secs(14)).await;
    // A fetch reads from one segment.
    assert_eq!(values(&mut wire, 0).await.1, ["a1", "b1", "a2"]);
    assert_eq!(values(&mut wire, 3).await.1, ["c1"]);
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(values(&mut wire, 0).await, (0, ["b1", "a2"].map(str::to_owned).to_vec()));
    assert_eq!(values(&mut wire, 3).await.1, ["c1"]);
    assert_eq!(bench.cluster.start_offset("orders", 0), Some(0));
    assert_eq!(produce(&mut wire, records(&[(None, "x", 0)], Compression::None)).await, 87);
}

async fn delete_to(wire: &mut Wire, version: i16, topic: &str, offset: i64) -> (i16, i64) {
    let partition = delete::DeleteRecordsPartition::default().with_offset(offset);
    let topic = delete::DeleteRecordsTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(vec![partition]);
    let answer = wire.call(version, DeleteRecordsRequest::default().with_topics(vec![topic])).await;
    let found = &answer.topics[0].partitions[0];
    (found.error_code, found.low_watermark)
}

#[tokio::test(start_paused = true)]
async fn records_are_deleted_up_to_an_offset_in_every_version() {
    for version in 0..=2 {
        let (bench, mut wire) = bench(&[]).await;
        for value in ["a", "b", "c"] {
            one(&mut wire, "k", value, 0).await;
        }
        let cases = [(4, (1, -1)), (1, (0, 1)), (0, (0, 1)), (-2, (1, -1)), (2, (0, 2)), (-1, (0, 3))];
        for (offset, expected) in cases {
            assert_eq!(delete_to(&mut wire, version, "orders", offset).await, expected, "to {offset}");
        }
        assert_eq!(values(&mut wire, 2).await.0, 1);
        assert_eq!(values(&mut wire, 3).await, (0, vec![]));
        assert_eq!(bench.cluster.log("orders", 0).expect("readable"), []);
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_compacted_and_internal_and_missing_topics_are_not_deleted() {
    let (bench, mut wire) = bench(&[("cleanup.policy", "compact")]).await;
    bench.cluster.create_topic_with("both", 1, 1, &[("cleanup.policy", "compact,delete")]).expect("created");
    let cases =
        [("orders", (44, -1)), ("both", (0, 0)), ("__consumer_offsets", (17, -1)), ("nothing", (3, -1))];
    for (topic, expected) in cases {
        assert_eq!(delete_to(&mut wire, 2, topic, 0).await, expected, "{topic}");
    }
}

async fn offset_at(wire: &mut Wire, timestamp: i64, twice: bool) -> (i16, i64, i64, i32) {
    let partition = list::ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = list::ListOffsetsTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition; if twice { 2 } else { 1 }]);
    let answer = wire.call(10, ListOffsetsRequest::default().with_topics(vec![topic])).await;
    let found = &answer.topics[0].partitions[0];
    (found.error_code, found.offset, found.timestamp, found.leader_epoch)
}

#[tokio::test(start_paused = true)]
async fn an_offset_for_a_time_is_exact_and_looks_behind_the_start_only_for_the_newest() {
    let (_bench, mut wire) = bench(&[]).await;
    let batch = [(None, "a", 20), (None, "b", 50), (None, "c", 30)];
    assert_eq!(produce(&mut wire, records(&batch, Compression::None)).await, 0);
    one(&mut wire, "k", "d", 40).await;
    for (at, expected) in [(0, (0, 20)), (21, (1, 50)), (50, (1, 50))] {
        let (offset, time) = expected;
        assert_eq!(offset_at(&mut wire, START_MS + at, false).await, (0, offset, START_MS + time, 0));
    }
    assert_eq!(offset_at(&mut wire, START_MS + 51, false).await, (0, -1, -1, -1));
    assert_eq!(offset_at(&mut wire, -3, false).await, (0, 1, START_MS + 50, 0));
    assert_eq!(offset_at(&mut wire, -1, true).await.0, 42, "a partition twice");
    delete_to(&mut wire, 2, "orders", 2).await;
    assert_eq!(offset_at(&mut wire, START_MS, false).await, (0, 2, START_MS + 30, 0));
    assert_eq!(offset_at(&mut wire, -3, false).await, (0, 1, START_MS + 50, 0), "it is still there");
    assert_eq!(offset_at(&mut wire, -2, false).await, (0, 2, -1, 0));
}

#[tokio::test(start_paused = true)]
async fn from_version_8_on_a_producer_is_told_which_records_are_wrong() {
    let (_bench, mut wire) = bench(&[("message.timestamp.after.max.ms", "1000")]).await;
    let batch = records(&[(None, "now", 0), (None, "later", 1001)], Compression::None);
    for version in wire.versions(ApiKey::Produce).await.filter(|version| *version < 13) {
        let answer = wire.call(version, produce_to("orders", 0, -1, batch.clone())).await;
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, 32);
        let told: Vec<i32> = partition.record_errors.iter().map(|error| error.batch_index).collect();
        assert_eq!(told, if version >= 8 { vec![1] } else { vec![] }, "version {version}");
    }
}
