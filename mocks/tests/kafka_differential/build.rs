//! Requests and record batches of few words, for sequences to change where they want something else.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    fetch_request as fetch, join_group_request as join, list_offsets_request as list,
    offset_commit_request as commit, offset_fetch_request as fetch_offsets, produce_request as produce,
    sync_group_request as sync, *,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use uuid::Uuid;

/// Bytes of a batch before its records.
const HEADER: usize = 61;
/// The time of the first record of a batch: long ago, so that no server takes it for now.
pub const TIME: i64 = 1_600_000_000_000;

pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub fn topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    let topic = CreatableTopic::default().with_name(TopicName(text(name)));
    topic.with_num_partitions(partitions).with_replication_factor(replicas)
}

/// A topic whose partitions are on the named brokers.
pub fn assigned(name: &str, partitions: &[(i32, &[i32])]) -> CreatableTopic {
    let one = |(number, brokers): &(i32, &[i32])| {
        let brokers = brokers.iter().copied().map(BrokerId).collect();
        CreatableReplicaAssignment::default().with_partition_index(*number).with_broker_ids(brokers)
    };
    topic(name, -1, -1).with_assignments(partitions.iter().map(one).collect())
}

/// A topic of one partition with these settings.
pub fn configured(name: &str, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let one = |(name, value): &(&str, Option<&str>)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(value.map(text))
    };
    topic(name, 1, 1).with_configs(configs.iter().map(one).collect())
}

pub fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(10_000)
}

pub fn metadata(names: &[&str]) -> MetadataRequest {
    let one = |name: &&str| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
    let topics = names.iter().map(one).collect();
    MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(false)
}

pub fn find(kind: i8, key: &str) -> FindCoordinatorRequest {
    FindCoordinatorRequest::default().with_key_type(kind).with_key(text(key))
}

/// A batch of one record per value, their times a millisecond apart. `producer` is id, epoch, first sequence.
pub fn batch(values: &[&str], time: i64, producer: (i64, i16, i32)) -> Bytes {
    let record = |(index, value): (i32, &&str)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.0,
        producer_epoch: producer.1,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(index),
        sequence: producer.2 + index,
        timestamp: time + i64::from(index),
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    };
    let records: Vec<Record> = (0..).zip(values).map(record).collect();
    let mut out = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    // The codec fails only on options that are not given here.
    RecordBatchEncoder::encode(&mut out, &records, &options).expect("a batch can be written");
    out.freeze()
}

/// A small batch whose records are a frame of Zstandard, of one block that is as it was.
pub fn zstd(values: &[&str], time: i64) -> Bytes {
    let plain = batch(values, time, (-1, -1, -1));
    let records = &plain[HEADER..];
    let size = u8::try_from(records.len()).expect("few records");
    // Magic, one segment whose size is a byte, that byte, and the header of a last block that is raw.
    let block = (u32::from(size) << 3 | 1).to_le_bytes();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, size], &block[..3], records].concat();
    let length = i32::try_from(HEADER - 12 + frame.len()).expect("short").to_be_bytes();
    let whole = Bytes::from([&plain[..HEADER], &frame].concat());
    patched(&raw_patched(&whole, 8, &length), 21, &[0, 4])
}

/// A batch of no producer.
pub fn plain(values: &[&str]) -> Bytes {
    batch(values, TIME, (-1, -1, -1))
}

/// A batch with other bytes at a place, and a checksum that is right again.
pub fn patched(batch: &Bytes, at: usize, with: &[u8]) -> Bytes {
    let mut batch = raw_patched(batch, at, with).to_vec();
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.into()
}

/// A batch with other bytes at a place, and nothing else changed.
pub fn raw_patched(batch: &Bytes, at: usize, with: &[u8]) -> Bytes {
    let mut batch = batch.to_vec();
    batch[at..at + with.len()].copy_from_slice(with);
    batch.into()
}

pub fn produce_to(topic: &str, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    produce_by(topic, Uuid::nil(), partition, acks, records)
}

/// The topic has a name up to version 12, and an id from 13 on.
pub fn produce_by(topic: &str, id: Uuid, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = produce::PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = produce::TopicProduceData::default().with_name(TopicName(text(topic))).with_topic_id(id);
    let topic = topic.with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(5000).with_topic_data(vec![topic])
}

pub fn fetched(partition: i32, offset: i64) -> fetch::FetchPartition {
    fetch::FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1_000_000)
}

/// Up to version 12, of named topics; without waiting.
pub fn fetch(topic: &str, partitions: Vec<fetch::FetchPartition>) -> FetchRequest {
    fetch_by(topic, Uuid::nil(), partitions)
}

/// From version 13 on the topic has an id instead of a name.
pub fn fetch_by(topic: &str, id: Uuid, partitions: Vec<fetch::FetchPartition>) -> FetchRequest {
    let topic = fetch::FetchTopic::default().with_topic(TopicName(text(topic))).with_topic_id(id);
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(10_000_000)
        .with_topics(vec![topic.with_partitions(partitions)])
}

pub fn list_offsets(topic: &str, partitions: &[(i32, i64)]) -> ListOffsetsRequest {
    let one = |(number, time): &(i32, i64)| {
        list::ListOffsetsPartition::default().with_partition_index(*number).with_timestamp(*time)
    };
    let partitions = partitions.iter().map(one).collect();
    let topic =
        list::ListOffsetsTopic::default().with_name(TopicName(text(topic))).with_partitions(partitions);
    ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
}

/// Topics and partitions of each.
type Partitions<'a> = &'a [(&'a str, &'a [i32])];

fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

/// A commit of no member; `positions` are partitions and offsets.
pub fn commit(name: &str, topic: &str, positions: &[(i32, i64)]) -> OffsetCommitRequest {
    let one = |(number, offset): &(i32, i64)| {
        commit::OffsetCommitRequestPartition::default()
            .with_partition_index(*number)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(text("note")))
    };
    let topic = commit::OffsetCommitRequestTopic::default()
        .with_name(TopicName(text(topic)))
        .with_partitions(positions.iter().map(one).collect());
    OffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic])
}

/// Up to version 7; all topics without a list of them.
pub fn committed(name: &str, topics: Option<Partitions<'_>>) -> OffsetFetchRequest {
    let one = |(topic, numbers): &(&str, &[i32])| {
        fetch_offsets::OffsetFetchRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partition_indexes(numbers.to_vec())
    };
    let topics = topics.map(|topics| topics.iter().map(one).collect());
    OffsetFetchRequest::default().with_group_id(group(name)).with_topics(topics)
}

/// From version 8 on.
pub fn committed_of(groups: &[(&str, Option<Partitions<'_>>)]) -> OffsetFetchRequest {
    let topic = |(topic, numbers): &(&str, &[i32])| {
        fetch_offsets::OffsetFetchRequestTopics::default()
            .with_name(TopicName(text(topic)))
            .with_partition_indexes(numbers.to_vec())
    };
    let one = |(name, topics): &(&str, Option<Partitions<'_>>)| {
        fetch_offsets::OffsetFetchRequestGroup::default()
            .with_group_id(group(name))
            .with_member_epoch(-1)
            .with_topics(topics.map(|topics| topics.iter().map(topic).collect()))
    };
    OffsetFetchRequest::default().with_groups(groups.iter().map(one).collect())
}

/// What a consumer brings that wants a topic: version 0, one name, no more. It must be a real one: as the length
/// of a list, other bytes cost the broker its memory.
fn subscription(topic: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    bytes.put_i16(i16::try_from(topic.len()).expect("a short name"));
    bytes.put_slice(topic.as_bytes());
    bytes.put_i32(-1);
    bytes.freeze()
}

/// A join of a member that wants these assignors, and from each a topic of its name.
pub fn join(name: &str, member: &str, protocols: &[&str]) -> JoinGroupRequest {
    let one = |protocol: &&str| {
        let wanted = join::JoinGroupRequestProtocol::default().with_name(text(protocol));
        wanted.with_metadata(subscription(protocol))
    };
    JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_member_id(text(member))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(protocols.iter().map(one).collect())
}

/// A sync that brings what each member gets.
pub fn sync(
    name: &str,
    member: &str,
    generation: i32,
    assignments: &[(&str, &'static str)],
) -> SyncGroupRequest {
    let one = |(member, assignment): &(&str, &'static str)| {
        sync::SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(Bytes::from_static(assignment.as_bytes()))
    };
    SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_member_id(text(member))
        .with_generation_id(generation)
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(assignments.iter().map(one).collect())
}

pub fn heartbeat(name: &str, member: &str, generation: i32) -> HeartbeatRequest {
    let beat = HeartbeatRequest::default().with_group_id(group(name));
    beat.with_member_id(text(member)).with_generation_id(generation)
}

/// Up to version 2.
pub fn leave(name: &str, member: &str) -> LeaveGroupRequest {
    LeaveGroupRequest::default().with_group_id(group(name)).with_member_id(text(member))
}

/// From version 3 on; members and their instance ids.
pub fn leave_all(name: &str, members: &[(&str, Option<&str>)]) -> LeaveGroupRequest {
    let one = |(member, instance): &(&str, Option<&str>)| {
        leave_group_request::MemberIdentity::default()
            .with_member_id(text(member))
            .with_group_instance_id(instance.map(text))
    };
    LeaveGroupRequest::default().with_group_id(group(name)).with_members(members.iter().map(one).collect())
}

pub fn describe_groups(names: &[&str]) -> DescribeGroupsRequest {
    DescribeGroupsRequest::default().with_groups(names.iter().map(|name| group(name)).collect())
}
