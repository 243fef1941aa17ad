//! Producing and reading.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    fetch_request as fetch, list_offsets_request as list, produce_request as produce, *,
};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use squall_mocks::kafka::KafkaOptions;
use tokio::time::Instant;
use uuid::Uuid;

use crate::wire::{Bench, Wire, text};

/// A batch of one record.
pub fn batch(value: &str, producer_id: i64, epoch: i16, sequence: i32) -> Bytes {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id,
        producer_epoch: epoch,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence,
        timestamp: 1000,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    };
    let mut out = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut out, [&record], &options).expect("encodes");
    out.freeze()
}

pub fn produce_to(topic: &str, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = produce::PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = produce::TopicProduceData::default()
        .with_name(TopicName(text(topic)))
        .with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1000).with_topic_data(vec![topic])
}

/// Produces one record in version 9 and returns error and offset.
pub async fn produce_one(wire: &mut Wire, topic: &str, value: &str) -> (i16, i64) {
    produce_batch(wire, topic, batch(value, -1, -1, -1)).await
}

async fn produce_batch(wire: &mut Wire, topic: &str, records: Bytes) -> (i16, i64) {
    let answer = wire.call(9, produce_to(topic, 0, -1, records)).await;
    let partition = &answer.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

pub fn fetch_from(topic: &str, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition =
        fetch::FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic =
        fetch::FetchTopic::default().with_topic(TopicName(text(topic))).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

/// Values and error of the first partition of an answer.
pub fn read(answer: &FetchResponse) -> (i16, Vec<String>) {
    let partition = &answer.responses[0].partitions[0];
    let mut records = partition.records.clone().unwrap_or_default();
    let sets = RecordBatchDecoder::decode_all(&mut records).expect("batches");
    let value = |record: Record| String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
    (partition.error_code, sets.into_iter().flat_map(|set| set.records).map(value).collect())
}

pub async fn topic_id(wire: &mut Wire, topic: &str) -> Uuid {
    let asked = metadata_request::MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
    wire.call(12, MetadataRequest::default().with_topics(Some(vec![asked]))).await.topics[0].topic_id
}

#[tokio::test(start_paused = true)]
async fn what_any_version_of_produce_appends_every_version_of_fetch_reads() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    let id = topic_id(&mut wire, "orders").await;
    let mut expected = Vec::new();
    for version in wire.versions(ApiKey::Produce).await {
        let value = format!("v{version}");
        let mut request = produce_to("orders", 0, 1, batch(&value, -1, -1, -1));
        if version >= 13 {
            request.topic_data[0].name = TopicName::default();
            request.topic_data[0].topic_id = id;
        }
        let answer = wire.call(version, request).await;
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, 0);
        assert_eq!(partition.base_offset, i64::try_from(expected.len()).expect("few"));
        expected.push(value);
    }
    for version in wire.versions(ApiKey::Fetch).await {
        let mut request = fetch_from("orders", 2, 0);
        if version >= 13 {
            request.topics[0].topic = TopicName::default();
            request.topics[0].topic_id = id;
        }
        let answer = wire.call(version, request).await;
        assert_eq!(read(&answer), (0, expected[2..].to_vec()), "version {version}");
        assert_eq!(answer.session_id, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn acks_0_is_not_answered_and_an_error_closes_the_connection() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    wire.send(9, &produce_to("orders", 0, 0, batch("a", -1, -1, -1))).await;
    // The next answer is that of the next request.
    assert_eq!(produce_one(&mut wire, "orders", "b").await, (0, 1));
    wire.send(9, &produce_to("nothing", 0, 0, batch("a", -1, -1, -1))).await;
    assert!(wire.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_for_records_and_is_answered_when_they_come() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let (mut reader, mut writer) = (bench.leader("orders", 0).await, bench.leader("orders", 0).await);
    let start = Instant::now();
    reader.send(11, &fetch_from("orders", 0, 10_000)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(produce_one(&mut writer, "orders", "a").await, (0, 0));
    let answer = reader.receive::<FetchRequest>(11).await.expect("an answer");
    assert_eq!(read(&answer), (0, vec!["a".to_owned()]));
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_without_records_is_answered_after_its_wait() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    let start = Instant::now();
    assert_eq!(read(&wire.call(11, fetch_from("orders", 0, 500)).await), (0, vec![]));
    assert!((500..510).contains(&start.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_wants_more_bytes_waits_for_all_of_them() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let (mut reader, mut writer) = (bench.leader("orders", 0).await, bench.leader("orders", 0).await);
    let size = i32::try_from(batch("a", -1, -1, -1).len()).expect("short");
    reader.send(11, &fetch_from("orders", 0, 60_000).with_min_bytes(2 * size)).await;
    produce_one(&mut writer, "orders", "a").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    produce_one(&mut writer, "orders", "b").await;
    let answer = reader.receive::<FetchRequest>(11).await.expect("an answer");
    assert_eq!(read(&answer).1, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_fetch_of_an_epoch_learns_that_the_leader_moved_and_where_to() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let old = bench.cluster.leader("orders", 0).expect("a leader");
    let mut reader = bench.connect(old).await;
    let mut request = fetch_from("orders", 0, 60_000);
    request.topics[0].topic_id = topic_id(&mut reader, "orders").await;
    request.topics[0].topic = TopicName::default();
    request.topics[0].partitions[0].current_leader_epoch = 0;
    reader.send(16, &request).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let new = old % 3 + 1;
    bench.cluster.move_leader("orders", 0, Some(new)).expect("moved");
    let answer = reader.receive::<FetchRequest>(16).await.expect("an answer");
    let partition = &answer.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.current_leader.leader_id.0), (74, new));
    let endpoint = &answer.node_endpoints[0];
    assert_eq!((endpoint.node_id.0, endpoint.host.to_string()), (new, format!("kafka-{new}")));
    assert_eq!(produce_one(&mut reader, "orders", "a").await.0, 6);
    assert_eq!(produce_one(&mut bench.connect(new).await, "orders", "a").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_epoch_of_the_past_is_fenced_and_one_of_the_future_is_unknown() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let old = bench.cluster.leader("orders", 0).expect("a leader");
    bench.cluster.move_leader("orders", 0, Some(old % 3 + 1)).expect("moved");
    let mut wire = bench.leader("orders", 0).await;
    for (epoch, error) in [(-1, 0), (0, 74), (1, 0), (2, 75)] {
        let mut request = fetch_from("orders", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        assert_eq!(read(&wire.call(12, request).await).0, error, "epoch {epoch}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_producer_is_held_to_its_sequence() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    let idempotent = || InitProducerIdRequest::default().with_transactional_id(None);
    let id = wire.call(4, idempotent()).await.producer_id.0;
    let other = wire.call(4, idempotent()).await.producer_id.0;
    assert_ne!(id, other);
    let cases = [
        ((0, 0), (0, 0)),
        ((0, 1), (0, 1)),
        ((0, 0), (0, 0)),
        ((0, 3), (45, -1)),
        ((1, 0), (0, 2)),
        ((0, 2), (47, -1)),
    ];
    for ((epoch, sequence), expected) in cases {
        let found = produce_batch(&mut wire, "orders", batch("x", id, epoch, sequence)).await;
        assert_eq!(found, expected, "epoch {epoch} sequence {sequence}");
    }
    assert_eq!(bench.cluster.end_offset("orders", 0), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_broken_batch_and_one_too_large_are_refused() {
    let bench = Bench::new(KafkaOptions { max_message_bytes: 200, ..KafkaOptions::brokers(1) });
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    let mut broken = BytesMut::from(&batch("a", -1, -1, -1)[..]);
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert_eq!(produce_batch(&mut wire, "orders", broken.freeze()).await.0, 2);
    assert_eq!(produce_one(&mut wire, "orders", &"x".repeat(200)).await.0, 10);
    let two = [batch("a", -1, -1, -1), batch("b", -1, -1, -1)].concat();
    assert_eq!(produce_batch(&mut wire, "orders", two.into()).await.0, 87);
    assert_eq!(bench.cluster.end_offset("orders", 0), Some(0));
}

#[tokio::test(start_paused = true)]
async fn acks_all_wants_enough_replicas_in_sync_and_acks_1_does_not() {
    let bench = Bench::three();
    bench.cluster.create_topic_with("orders", 1, 3, &[("min.insync.replicas", "2")]).expect("created");
    let leader = bench.cluster.leader("orders", 0).expect("a leader");
    let mut wire = bench.connect(leader).await;
    bench.cluster.set_isr("orders", 0, &[leader]).expect("set");
    assert_eq!(produce_one(&mut wire, "orders", "a").await.0, 19);
    let answer = wire.call(9, produce_to("orders", 0, 1, batch("a", -1, -1, -1))).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_listed_by_place_and_by_time_in_every_version() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    for value in ["a", "b"] {
        produce_one(&mut wire, "orders", value).await;
    }
    for version in wire.versions(ApiKey::ListOffsets).await {
        for (timestamp, since, expected) in
            [(-1, 0, 2), (-2, 0, 0), (-3, 7, 0), (-4, 8, 0), (-5, 9, -1), (1000, 0, 0), (1001, 0, -1)]
        {
            let partition = list::ListOffsetsPartition::default().with_timestamp(timestamp);
            let topic = list::ListOffsetsTopic::default()
                .with_name(TopicName(text("orders")))
                .with_partitions(vec![partition]);
            let answer = wire.call(version, ListOffsetsRequest::default().with_topics(vec![topic])).await;
            let found = &answer.topics[0].partitions[0];
            // Special timestamps came with versions; before that they are UNSUPPORTED_VERSION.
            let expected = if version >= since { (0, expected) } else { (35, -1) };
            assert_eq!((found.error_code, found.offset), expected, "v{version} at {timestamp}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_outside_the_log_are_refused() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    for (offset, error) in [(0, 0), (1, 1), (-1, 1)] {
        assert_eq!(read(&wire.call(11, fetch_from("orders", offset, 0)).await).0, error);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_where_its_leader_epoch_ended() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let old = bench.cluster.leader("orders", 0).expect("a leader");
    produce_one(&mut bench.connect(old).await, "orders", "a").await;
    bench.cluster.move_leader("orders", 0, Some(old % 3 + 1)).expect("moved");
    let mut wire = bench.leader("orders", 0).await;
    produce_one(&mut wire, "orders", "b").await;
    for version in wire.versions(ApiKey::OffsetForLeaderEpoch).await {
        for (asked, expected) in [(0, (0, 1)), (1, (1, 2)), (2, (-1, -1))] {
            let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
                .with_current_leader_epoch(-1)
                .with_leader_epoch(asked);
            let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(TopicName(text("orders")))
                .with_partitions(vec![partition]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            let answer = wire.call(version, request).await;
            let found = &answer.topics[0].partitions[0];
            assert_eq!((found.leader_epoch, found.end_offset), expected, "version {version}");
        }
    }
    // A client that read two records in epoch 0 has one that this log never had.
    let mut request = fetch_from("orders", 2, 60_000);
    request.topics[0].partitions[0].last_fetched_epoch = 0;
    let answer = wire.call(12, request).await;
    let diverging = &answer.responses[0].partitions[0].diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (0, 1));
}
