//! Sequences of requests and faults through a cluster of three nodes: nothing panics, every answer is to the request
//! that was asked, and afterwards every node still serves.
//!
//! The input is a list of acts of five bytes: what, version and three choices. A request is made of them by the codec,
//! with few topics, partitions, groups and members, so that requests meet.

#![no_main]

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, Request, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use libfuzzer_sys::fuzz_target;
use squall_mocks::Clock;
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use squall_mocks::net::{BoxStream, Dial, MemoryNet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Acts of one input.
const ACTS: usize = 200;
const TOPICS: [&str; 3] = ["a", "b", "__consumer_offsets"];

struct World {
    net: MemoryNet,
    cluster: KafkaCluster,
    conns: [Option<BoxStream>; 3],
    correlation: i32,
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

fn topic(choice: u8) -> TopicName {
    TopicName(text(TOPICS[usize::from(choice) % 3]))
}

fn group(choice: u8) -> GroupId {
    GroupId(text(if choice & 1 == 0 { "g" } else { "h" }))
}

fn batch(choice: u8, sequence: u8) -> Bytes {
    let has_producer = choice & 1 == 1;
    let record = |offset: i64| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: if has_producer { i64::from(choice >> 6) } else { -1 },
        producer_epoch: if has_producer { 0 } else { -1 },
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: if has_producer { i32::from(sequence % 8) } else { -1 },
        timestamp: 1_767_225_600_000,
        key: (choice & 2 == 0).then(|| Bytes::from_static(b"k")),
        value: Some(Bytes::from(vec![sequence; usize::from(choice)])),
        headers: Default::default(),
    };
    let mut out = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let records: Vec<Record> = (0..i64::from(choice % 3) + 1).map(record).collect();
    let _ = RecordBatchEncoder::encode(&mut out, &records, &options);
    // Sometimes it is not as it should be.
    if choice > 250 && out.len() > usize::from(sequence) {
        out[usize::from(sequence)] ^= 4;
    }
    out.freeze()
}

impl World {
    async fn act(&mut self, what: u8, version: u8, [x, y, z]: [u8; 3]) {
        let partition = i32::from(y % 3);
        let member = || text(if z & 1 == 0 { "" } else { "m" });
        let node = i32::from(x % 3) + 1;
        let offset = i64::from(z) - 2;
        macro_rules! ask {
            ($request:expr) => {
                self.ask(version, usize::from(z >> 4) % 3, &$request).await
            };
        }
        match what % 24 {
            0 => self.cluster.advance(Duration::from_millis(u64::from(x) * u64::from(y) * 100)),
            1 => drop(self.cluster.node_down(node)),
            2 => drop(self.cluster.node_up(node)),
            3 => drop(self.cluster.move_leader(TOPICS[usize::from(y) % 3], partition, Some(node))),
            4 => drop(self.cluster.set_isr(TOPICS[usize::from(y) % 3], partition, &[node])),
            5 => drop(self.cluster.move_coordinator("g")),
            6 => {
                let new = create_topics_request::CreatableTopic::default().with_name(topic(x));
                let new = new
                    .with_num_partitions(i32::from(y % 5) - 1)
                    .with_replication_factor(i16::from(z % 5) - 1);
                ask!(CreateTopicsRequest::default().with_topics(vec![new]))
            }
            7 => {
                let named = delete_topics_request::DeleteTopicState::default().with_name(Some(topic(x)));
                ask!(DeleteTopicsRequest::default().with_topics(vec![named]))
            }
            8..=11 => {
                let data = produce_request::PartitionProduceData::default().with_index(partition);
                let data = data.with_records(Some(batch(x, z)));
                let to = produce_request::TopicProduceData::default().with_name(topic(y >> 2));
                let acks = i16::from(y >> 6) - 1;
                let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(i32::from(z));
                ask!(request.with_topic_data(vec![to.with_partition_data(vec![data])]))
            }
            12..=14 => {
                let from = fetch_request::FetchPartition::default().with_partition(partition);
                let from = from.with_fetch_offset(offset).with_partition_max_bytes(i32::from(x) * 10);
                let of = fetch_request::FetchTopic::default()
                    .with_topic(topic(y >> 2))
                    .with_partitions(vec![from]);
                let request =
                    FetchRequest::default().with_max_wait_ms(i32::from(x & 7)).with_min_bytes(i32::from(x));
                let session =
                    request.with_session_id(i32::from(x >> 6)).with_session_epoch(i32::from(y >> 6) - 1);
                ask!(session.with_max_bytes(1 << 20).with_topics(vec![of]))
            }
            15 => {
                let at =
                    list_offsets_request::ListOffsetsPartition::default().with_partition_index(partition);
                let at = at.with_timestamp(offset - 4);
                let of = list_offsets_request::ListOffsetsTopic::default().with_name(topic(x));
                ask!(ListOffsetsRequest::default().with_topics(vec![of.with_partitions(vec![at])]))
            }
            16 => {
                let protocol =
                    join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
                let request = JoinGroupRequest::default().with_group_id(group(x)).with_member_id(member());
                let timed = request
                    .with_session_timeout_ms(6000 + i32::from(y))
                    .with_rebalance_timeout_ms(i32::from(z));
                ask!(timed.with_protocol_type(text("consumer")).with_protocols(vec![protocol]))
            }
            17 => {
                let request = SyncGroupRequest::default().with_group_id(group(x)).with_member_id(member());
                ask!(request.with_generation_id(i32::from(y % 4)))
            }
            18 => {
                let request = HeartbeatRequest::default().with_group_id(group(x)).with_member_id(member());
                ask!(request.with_generation_id(i32::from(y % 4)))
            }
            19 => {
                let at = offset_commit_request::OffsetCommitRequestPartition::default();
                let at = at.with_partition_index(partition).with_committed_offset(offset);
                let of = offset_commit_request::OffsetCommitRequestTopic::default().with_name(topic(y >> 2));
                let request = OffsetCommitRequest::default().with_group_id(group(x));
                ask!(request.with_topics(vec![of.with_partitions(vec![at])]))
            }
            20 => ask!(InitProducerIdRequest::default()),
            21 => ask!(MetadataRequest::default().with_topics(None)),
            22 => ask!(
                FindCoordinatorRequest::default().with_key(group(x).0).with_key_type(i8::from(y & 1 == 1))
            ),
            _ => ask!(DescribeConfigsRequest::default()),
        }
    }

    async fn ask<R: Request>(&mut self, version: u8, node: usize, request: &R) {
        let Ok(key) = ApiKey::try_from(R::KEY) else { return };
        let known = key.valid_versions();
        let version = known.min + i16::from(version) % (known.max - known.min + 1);
        self.correlation += 1;
        let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
        let header = header.with_correlation_id(self.correlation);
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        let is_whole = header.encode(&mut frame, R::header_version(version)).is_ok()
            && request.encode(&mut frame, version).is_ok();
        if !is_whole {
            return;
        }
        let size = u32::try_from(frame.len() - 4).expect("small");
        frame[..4].copy_from_slice(&size.to_be_bytes());
        let address = format!("kafka-{}:9092", node + 1);
        if self.conns[node].is_none() {
            self.conns[node] = self.net.dial(&address).await.ok();
        }
        let answered = match &mut self.conns[node] {
            Some(stream) => exchange(stream, &frame, self.correlation).await,
            None => false,
        };
        if !answered {
            self.conns[node] = None;
        }
    }
}

/// Whether the connection goes on: it was answered.
async fn exchange(stream: &mut BoxStream, frame: &[u8], correlation: i32) -> bool {
    if stream.write_all(frame).await.is_err() {
        return false;
    }
    let answer = async {
        let size = stream.read_u32().await.ok()?;
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        stream.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    };
    // Those without an acknowledgement are not answered.
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await;
    let Ok(Some(bytes)) = answer else { return false };
    assert_eq!(bytes[..4], correlation.to_be_bytes(), "the answer to another request");
    true
}

async fn run(data: &[u8]) {
    let net = MemoryNet::new();
    // Not the machine's clock: an input that fails must fail again.
    let cluster = KafkaCluster::new(KafkaOptions { clock: Clock::default(), ..KafkaOptions::brokers(3) });
    let mut nodes = tokio::task::JoinSet::new();
    for node in 1..=3 {
        let (listener, cluster) = (net.listen(&format!("kafka-{node}:9092")), cluster.clone());
        nodes.spawn(async move { cluster.serve(node, listener).await });
    }
    let mut world = World { net, cluster, conns: [None, None, None], correlation: 0 };
    for act in data.chunks_exact(5).take(ACTS) {
        world.act(act[0], act[1], [act[2], act[3], act[4]]).await;
    }
    world.cluster.advance(Duration::from_secs(3600));
    for node in 0..3 {
        drop(world.cluster.node_up(i32::try_from(node).expect("small") + 1));
        world.conns[node] = None;
        world.ask(0, node, &ApiVersionsRequest::default()).await;
        assert!(world.conns[node].is_some(), "node {} serves no more", node + 1);
    }
    while let Some(ended) = nodes.try_join_next() {
        panic!("a node ended: {ended:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(run(data));
});
