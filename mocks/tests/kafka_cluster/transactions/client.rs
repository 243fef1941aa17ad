//! A producer by hand: every request of a transaction, in whatever version, to a cluster of one node.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    add_partitions_to_txn_request as add, fetch_request as fetch, list_offsets_request as list,
    offset_fetch_request as committed, txn_offset_commit_request as commit, *,
};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use squall_mocks::kafka::KafkaOptions;

use crate::log::produce_to;
use crate::wire::{Bench, Wire, text};

/// Who a producer says it is.
pub type Who = (i64, i16);

pub struct Client {
    pub wire: Wire,
    pub id: TransactionalId,
    /// Of every record.
    pub timestamp_ms: i64,
}

/// What a reader sees of a partition.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub error: i16,
    pub high_watermark: i64,
    pub last_stable: i64,
    /// Producer and first offset; none if the answer has no list.
    pub aborted: Option<Vec<(i64, i64)>>,
    pub records: Bytes,
}

/// A cluster of one node with the topic "orders" of two partitions, and a connection to it.
pub async fn one_node(options: KafkaOptions) -> (Bench, Client) {
    let bench = Bench::new(options);
    bench.cluster.create_topic("orders", 2).expect("created");
    let mut client = Client::over(bench.connect(1).await, "payments");
    client.coordinator().await;
    (bench, client)
}

/// One record.
fn batch(timestamp: i64, who: Who, sequence: i32, transactional: bool) -> Bytes {
    let record = Record {
        transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: who.0,
        producer_epoch: who.1,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence,
        timestamp,
        key: None,
        value: Some(Bytes::from_static(b"value")),
        headers: Default::default(),
    };
    let mut out = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut out, [&record], &options).expect("encodes");
    out.freeze()
}

impl Client {
    pub fn over(wire: Wire, id: &str) -> Self {
        Self { wire, id: TransactionalId(text(id)), timestamp_ms: 1_700_000_000_000 }
    }

    /// Finds the coordinator; the first search creates its topic.
    pub async fn coordinator(&mut self) -> i32 {
        loop {
            let request = FindCoordinatorRequest::default().with_key_type(1);
            let request = request.with_coordinator_keys(vec![self.id.0.clone()]);
            let found = self.wire.call(4, request).await.coordinators.remove(0);
            match found.error_code {
                0 => return found.node_id.0,
                15 => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                other => panic!("error {other}"),
            }
        }
    }

    /// Error and identity.
    pub async fn init_as(&mut self, version: i16, timeout_ms: i32, who: Who) -> (i16, Who) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.id.clone()))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(ProducerId(who.0))
            .with_producer_epoch(who.1);
        let answer = self.wire.call(version, request).await;
        (answer.error_code, (answer.producer_id.0, answer.producer_epoch))
    }

    /// Becomes the producer of its id, once whatever is in the way is over.
    pub async fn init(&mut self) -> Who {
        loop {
            match self.init_as(5, 60_000, (-1, -1)).await {
                (0, who) => return who,
                (14 | 15 | 16 | 51, _) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                (other, _) => panic!("error {other}"),
            }
        }
    }

    /// One record of this producer.
    pub fn batch(&self, who: Who, sequence: i32, transactional: bool) -> Bytes {
        batch(self.timestamp_ms, who, sequence, transactional)
    }

    /// Error and offset.
    pub async fn produce(&mut self, version: i16, partition: i32, who: Who, sequence: i32) -> (i16, i64) {
        let id = Some(self.id.clone());
        self.produce_batch(version, partition, id, self.batch(who, sequence, true)).await
    }

    pub async fn produce_batch(
        &mut self,
        version: i16,
        partition: i32,
        id: Option<TransactionalId>,
        records: Bytes,
    ) -> (i16, i64) {
        let request = produce_to("orders", partition, -1, records).with_transactional_id(id);
        let answer = self.wire.call(version, request).await;
        let partition = &answer.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    }

    /// Error and text for the first of several partitions, each written to by one of these producers.
    pub async fn refusal(&mut self, version: i16, producers: &[Who]) -> (i16, Option<String>) {
        let mut request = produce_to("orders", 0, -1, self.batch(producers[0], 0, true));
        for (number, who) in (1..).zip(&producers[1..]) {
            let mut more = produce_to("orders", number, -1, self.batch(*who, 0, true));
            request.topic_data[0].partition_data.append(&mut more.topic_data[0].partition_data);
        }
        let request = request.with_transactional_id(Some(self.id.clone()));
        let partition =
            self.wire.call(version, request).await.responses.remove(0).partition_responses.remove(0);
        (partition.error_code, partition.error_message.map(|text| text.to_string()))
    }

    /// Errors by topic and partition, in the order of their names.
    pub async fn add(&mut self, version: i16, who: Who, wanted: &[(&str, i32)]) -> Vec<(String, i32, i16)> {
        let topic = |(name, number): &(&str, i32)| {
            let topic = add::AddPartitionsToTxnTopic::default().with_name(TopicName(text(name)));
            topic.with_partitions(vec![*number])
        };
        let topics = wanted.iter().map(topic).collect();
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone())
            .with_v3_and_below_producer_id(ProducerId(who.0))
            .with_v3_and_below_producer_epoch(who.1)
            .with_v3_and_below_topics(topics);
        let answer = self.wire.call(version, request).await;
        let mut errors = Vec::new();
        for topic in answer.results_by_topic_v3_and_below {
            for partition in topic.results_by_partition {
                let error = partition.partition_error_code;
                errors.push((topic.name.to_string(), partition.partition_index, error));
            }
        }
        errors.sort();
        errors
    }

    pub async fn add_one(&mut self, version: i16, who: Who, partition: i32) -> i16 {
        self.add(version, who, &[("orders", partition)]).await[0].2
    }

    /// Error and identity afterwards.
    pub async fn end(&mut self, version: i16, who: Who, commit: bool) -> (i16, Who) {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(ProducerId(who.0))
            .with_producer_epoch(who.1)
            .with_committed(commit);
        let answer = self.wire.call(version, request).await;
        (answer.error_code, (answer.producer_id.0, answer.producer_epoch))
    }

    pub async fn add_offsets(&mut self, version: i16, who: Who, group: &str) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(ProducerId(who.0))
            .with_producer_epoch(who.1)
            .with_group_id(GroupId(text(group)));
        self.wire.call(version, request).await.error_code
    }

    /// A commit of an offset of orders-0, by no member.
    pub fn offsets(&self, who: Who, group: &str, offset: i64) -> TxnOffsetCommitRequest {
        let partition = commit::TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = commit::TxnOffsetCommitRequestTopic::default()
            .with_name(TopicName(text("orders")))
            .with_partitions(vec![partition]);
        TxnOffsetCommitRequest::default()
            .with_transactional_id(self.id.clone())
            .with_group_id(GroupId(text(group)))
            .with_producer_id(ProducerId(who.0))
            .with_producer_epoch(who.1)
            .with_generation_id(-1)
            .with_topics(vec![topic])
    }

    pub async fn commit_offsets(&mut self, version: i16, request: TxnOffsetCommitRequest) -> i16 {
        self.wire.call(version, request).await.topics[0].partitions[0].error_code
    }

    /// Error and offset of orders-0.
    pub async fn committed(&mut self, group: &str, require_stable: bool) -> (i16, i64) {
        let topic = committed::OffsetFetchRequestTopics::default()
            .with_name(TopicName(text("orders")))
            .with_partition_indexes(vec![0]);
        let group = committed::OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(group)))
            .with_member_epoch(-1)
            .with_topics(Some(vec![topic]));
        let request =
            OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(require_stable);
        let answer = self.wire.call(8, request).await.groups.remove(0);
        if answer.error_code != 0 {
            return (answer.error_code, -1);
        }
        let partition = &answer.topics[0].partitions[0];
        (partition.error_code, partition.committed_offset)
    }

    /// State, identity and partitions, as the coordinator tells them; the error if it does not.
    pub async fn described(&mut self) -> Result<(String, Who, Vec<(String, i32)>), i16> {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![self.id.clone()]);
        let state = self.wire.call(0, request).await.transaction_states.remove(0);
        if state.error_code != 0 {
            return Err(state.error_code);
        }
        let mut partitions = Vec::new();
        for topic in &state.topics {
            partitions.extend(topic.partitions.iter().map(|number| (topic.topic.to_string(), *number)));
        }
        partitions.sort();
        Ok((state.transaction_state.to_string(), (state.producer_id.0, state.producer_epoch), partitions))
    }

    /// Waits until nothing is prepared.
    pub async fn settled(&mut self) -> String {
        loop {
            let (state, ..) = self.described().await.expect("it is known");
            if !state.starts_with("Prepare") {
                return state;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub async fn read(&mut self, partition: i32, offset: i64, committed: bool) -> Seen {
        let asked = fetch::FetchPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(1_000_000);
        let topic =
            fetch::FetchTopic::default().with_topic(TopicName(text("orders"))).with_partitions(vec![asked]);
        let request = FetchRequest::default()
            .with_max_bytes(1_000_000)
            .with_session_epoch(-1)
            .with_isolation_level(i8::from(committed))
            .with_topics(vec![topic]);
        let answer = self.wire.call(12, request).await;
        let partition = &answer.responses[0].partitions[0];
        let aborted = partition
            .aborted_transactions
            .as_ref()
            .map(|list| list.iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset)).collect());
        Seen {
            error: partition.error_code,
            high_watermark: partition.high_watermark,
            last_stable: partition.last_stable_offset,
            aborted,
            records: partition.records.clone().unwrap_or_default(),
        }
    }

    /// The end of a partition for this kind of reader.
    pub async fn latest(&mut self, partition: i32, committed: bool) -> i64 {
        let asked = list::ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(-1);
        let topic = list::ListOffsetsTopic::default()
            .with_name(TopicName(text("orders")))
            .with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(committed))
            .with_topics(vec![topic]);
        self.wire.call(6, request).await.topics[0].partitions[0].offset
    }
}
