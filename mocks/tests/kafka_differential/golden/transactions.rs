//! Transactions of both kinds: with epochs that stay (version 1 of them) and that rise with each (version 2).
//!
//! Markers are written after the answer to EndTxn, so a sequence waits for them by the last stable offset.

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition as Position, TxnOffsetCommitRequestTopic as Positions,
};
use kafka_protocol::messages::*;

use crate::build::{self, TIME, batch, fetched, patched, produce_to, text};
use crate::pair::{Both, Pair};

const CONCURRENT_TRANSACTIONS: i16 = 51;
/// Of a transactional id.
const NOT_FOUND: i16 = 105;

/// Producer id and epoch.
type Producer = (ProducerId, i16);

fn transactional(name: &str) -> TransactionalId {
    TransactionalId(text(name))
}

/// A transactional batch of two records.
fn records(producer: &Producer, sequence: i32) -> Bytes {
    patched(&batch(&["a", "b"], TIME, (producer.0.0, producer.1, sequence)), 21, &[0, 0x10])
}

/// Takes away the ids of producers and the times of markers, and what follows from them: checksums.
fn blur(answer: &mut FetchResponse) {
    for partition in answer.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
        let mut records = partition.records.take().unwrap_or_default().to_vec();
        let mut at = 0;
        while let Some(length) = records.get(at + 8..at + 12).and_then(|length| length.try_into().ok()) {
            let next = at + 12 + usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
            let Some(head) = records.get_mut(at..next).filter(|head| head.len() >= 51) else { break };
            head[17..21].fill(0);
            head[27..51].fill(0);
            at = next;
        }
        partition.records = Some(records.into());
    }
}

/// What readers of both kinds see once no transaction is open before `stable`.
fn seen(pair: &mut Pair, topic: &str, stable: i64) -> Result<(), String> {
    let committed = build::list_offsets(topic, &[(0, -1)]).with_isolation_level(1);
    pair.until(7, &committed, |answer| answer.topics[0].partitions[0].offset == stable)?;
    // Markers have times of now, and so begin segments of their own.
    for (offset, isolation) in (0..stable.max(1)).flat_map(|offset| [(offset, 0), (offset, 1)]) {
        let fetch = build::fetch(topic, vec![fetched(0, offset)]).with_isolation_level(isolation);
        pair.ask_but(11, fetch, blur)?;
    }
    Ok(())
}

fn init(name: &str) -> InitProducerIdRequest {
    let request = InitProducerIdRequest::default().with_transactional_id(Some(transactional(name)));
    request.with_transaction_timeout_ms(60_000)
}

fn begin(pair: &mut Pair, version: i16, id: &str) -> Result<Both<Producer>, String> {
    pair.until(3, &build::find(1, id), |answer| answer.error_code == 0)?;
    // The coordinator has loaded what it knows, once it says that it knows nothing of this.
    let known = DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional(id)]);
    pair.until(0, &known, |answer| answer.transaction_states[0].error_code == NOT_FOUND)?;
    let given = pair.ask(version, init(id))?;
    Ok(given.map(|answer| (answer.producer_id, answer.producer_epoch)))
}

fn add(id: &str, producer: &Producer, topic: &str, partitions: &[i32]) -> AddPartitionsToTxnRequest {
    let topic = AddPartitionsToTxnTopic::default().with_name(TopicName(text(topic)));
    AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(transactional(id))
        .with_v3_and_below_producer_id(producer.0)
        .with_v3_and_below_producer_epoch(producer.1)
        .with_v3_and_below_topics(vec![topic.with_partitions(partitions.to_vec())])
}

fn end(id: &str, producer: &Producer, committed: bool) -> EndTxnRequest {
    EndTxnRequest::default()
        .with_transactional_id(transactional(id))
        .with_producer_id(producer.0)
        .with_producer_epoch(producer.1)
        .with_committed(committed)
}

fn commit(id: &str, group: &str, producer: &Producer, topic: &str, offset: i64) -> TxnOffsetCommitRequest {
    let position = Position::default().with_partition_index(0).with_committed_offset(offset);
    let topic = Positions::default().with_name(TopicName(text(topic))).with_partitions(vec![position]);
    TxnOffsetCommitRequest::default()
        .with_transactional_id(transactional(id))
        .with_group_id(GroupId(text(group)))
        .with_producer_id(producer.0)
        .with_producer_epoch(producer.1)
        .with_topics(vec![topic])
}

fn produce(id: &str, producer: &Producer, topic: &str, sequence: i32) -> ProduceRequest {
    produce_to(topic, 0, -1, records(producer, sequence)).with_transactional_id(Some(transactional(id)))
}

/// Epochs stay, and partitions are added before they are written to.
pub fn first_version(pair: &mut Pair) -> Result<(), String> {
    let (topic, id, group) = (pair.topic("a", 1)?, pair.name("id"), pair.name("group"));
    pair.coordinator(&group)?;
    let producer = begin(pair, 4, &id)?;
    pair.ask(11, producer.map(|of| produce(&id, of, &topic, 0)))?;
    pair.ask(4, producer.map(|of| end(&id, of, true)))?;
    for version in 0..=3 {
        pair.ask(version, producer.map(|of| add(&id, of, &topic, &[0])))?;
        pair.ask_but(version, producer.map(|of| add(&id, of, &topic, &[0, 7])), |answer| {
            for topic in &mut answer.results_by_topic_v3_and_below {
                topic.results_by_partition.sort_by_key(|one| one.partition_index);
            }
        })?;
        pair.ask(version, producer.map(|of| add(&id, &(of.0, of.1 + 1), &topic, &[0])))?;
        pair.ask(version, producer.map(|of| add("", of, &topic, &[0])))?;
    }
    pair.ask(11, producer.map(|of| produce(&id, of, &topic, 0)))?;
    pair.ask(11, producer.map(|of| produce(&id, of, &topic, 2)))?;
    let one = |of: &Producer| {
        let request = AddOffsetsToTxnRequest::default().with_transactional_id(transactional(&id));
        let request = request.with_producer_id(of.0).with_producer_epoch(of.1);
        request.with_group_id(GroupId(text(&group)))
    };
    pair.ask(3, producer.map(one))?;
    pair.ask(3, producer.map(|of| commit(&id, &group, of, &topic, 3)))?;
    let wanted: &[(&str, &[i32])] = &[(&topic, &[0])];
    pair.ask(7, build::committed(&group, Some(wanted)))?;
    pair.ask(7, build::committed(&group, Some(wanted)).with_require_stable(true))?;
    seen(pair, &topic, 0)?;
    pair.ask(0, DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional(&id)]))?;
    pair.ask(3, producer.map(|of| end(&id, of, true)))?;
    seen(pair, &topic, 5)?;
    let is_there = |answer: &OffsetFetchResponse| answer.topics[0].partitions[0].committed_offset == 3;
    pair.until(7, &build::committed(&group, Some(wanted)), is_there)?;
    // One that is aborted, once the first is over.
    let again = producer.map(|of| add(&id, of, &topic, &[0]));
    pair.until(3, &again, |answer| {
        let partitions =
            answer.results_by_topic_v3_and_below.iter().flat_map(|one| &one.results_by_partition);
        partitions.map(|one| one.partition_error_code).all(|code| code != CONCURRENT_TRANSACTIONS)
    })?;
    pair.ask(11, producer.map(|of| produce(&id, of, &topic, 4)))?;
    pair.ask(3, producer.map(|of| end(&id, of, false)))?;
    seen(pair, &topic, 8)?;
    // The same end again, the other one, and those of another epoch and of nobody.
    let over = producer.map(|of| end(&id, of, false));
    pair.until(3, &over, |answer| answer.error_code != CONCURRENT_TRANSACTIONS)?;
    pair.ask(3, over)?;
    pair.ask(3, producer.map(|of| end(&id, of, true)))?;
    pair.ask(3, producer.map(|of| end(&id, &(of.0, of.1 + 1), true)))?;
    pair.ask(3, producer.map(|of| end("nobody", of, true))).map(|_| ())
}

/// Epochs rise, and partitions are added by writing to them.
pub fn second_version(pair: &mut Pair) -> Result<(), String> {
    let (topic, id, group) = (pair.topic("a", 1)?, pair.name("id"), pair.name("group"));
    pair.coordinator(&group)?;
    let first = begin(pair, 5, &id)?;
    pair.ask(12, first.map(|of| produce(&id, of, &topic, 0)))?;
    pair.ask(12, first.map(|of| produce(&id, of, &topic, 2)))?;
    pair.ask(5, first.map(|of| commit(&id, &group, of, &topic, 3)))?;
    seen(pair, &topic, 0)?;
    let ended = pair.ask(5, first.map(|of| end(&id, of, true)))?;
    seen(pair, &topic, 5)?;
    let next = ended.map(|answer| (answer.producer_id, answer.producer_epoch));
    // The old epoch is over; the same end again is told the same.
    pair.ask(12, first.map(|of| produce(&id, of, &topic, 4)))?;
    let again = first.map(|of| end(&id, of, true));
    pair.until(5, &again, |answer| answer.error_code != CONCURRENT_TRANSACTIONS)?;
    pair.ask(5, again)?;
    pair.ask(5, first.map(|of| end(&id, of, false)))?;
    pair.ask(12, next.map(|of| produce(&id, of, &topic, 0)))?;
    pair.ask(5, next.map(|of| end(&id, of, false)))?;
    seen(pair, &topic, 8)?;
    let wanted: &[(&str, &[i32])] = &[(&topic, &[0])];
    pair.ask(7, build::committed(&group, Some(wanted))).map(|_| ())
}
