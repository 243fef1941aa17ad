//! Produce (0): appends record batches.
//!
//! Behaviour: checks in Kafka's order: topic and partition known, exactly one whole batch, acks, leadership,
//! enough replicas in sync (NOT_ENOUGH_REPLICAS), then the log's own (`log/validate.rs`); wrong records are named
//! from version 8 on. acks 0 has no answer, and an error closes the connection; acks 1 is answered by the
//! leader; acks all waits, at most the request's timeout, until every replica in sync has the records
//! (`produce_wait.rs`). NOT_LEADER_OR_FOLLOWER tells who leads since version 10. Idempotent producers as in
//! `log/producers.rs`: a batch seen before is acknowledged with its first offset. Transactional batches need
//! their coordinator's word, and since version 12 this node itself puts the partition into the transaction
//! (`txn/verify.rs`).
//! Versions: 3-13; advertised from 0, as Kafka 4 does.
//! Not supported: old message formats.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse};
use uuid::Uuid;

use super::produce_wait::Wait;
use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, OFFSETS_TOPIC, Ticket};
use crate::kafka::log::{Append, Appended, Log, Rejected};
use crate::kafka::txn::TRANSACTIONS_TOPIC;
use crate::kafka::wire::frame::Frame;
use crate::kafka::wire::{millis, text};

pub(crate) use super::produce_wait::ParkedProduce;

/// What stands before the part of a batch that its length counts.
const LENGTH_END: usize = 12;
/// What stands before the part of a batch that depends on its format, and that format itself.
const MAGIC_END: usize = 17;
/// The least length a record batch of any format has.
const LEAST_LENGTH: i32 = 14;
/// The client id Kafka's own tools write to internal topics with.
const ADMIN_CLIENT: &str = "__admin_client";
const ZSTD: u8 = 4;

pub(super) fn describe(request: &ProduceRequest, cluster: &Cluster, node: i32) -> Described {
    let mut targets = Vec::new();
    for topic in &request.topic_data {
        let name = match topic.topic_id.is_nil() {
            true => topic.name.to_string(),
            false => cluster.topic_name(node, topic.topic_id).unwrap_or_default(),
        };
        targets.extend(topic.partition_data.iter().map(|partition| (name.clone(), partition.index)));
    }
    let transactional_ids = request.transactional_id.iter().map(|id| id.to_string()).collect();
    Described { transactional_ids, ..Described::partitions(targets) }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ProduceRequest,
) -> Answer<ProduceResponse> {
    if let Some(found) = request.topic_data.iter().flat_map(|topic| &topic.partition_data).find_map(corrupt) {
        return refuse_all(cluster, call.ticket, &request, &found);
    }
    let verified = cluster.verify_produce(call, &request);
    let image = cluster.image_of(call.node);
    let (mut responses, mut waits) = (Vec::with_capacity(request.topic_data.len()), Vec::new());
    for topic in request.topic_data {
        let name = match call.version() {
            ..13 => Some(&**topic.name),
            _ => image.ids.get(&topic.topic_id).map(String::as_str),
        };
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let Some(name) = name else {
                partitions.push(refused(data.index, ResponseError::UnknownTopicId.code(), -1));
                continue;
            };
            let index = data.index;
            if let Some(why) = verified.error(name, index) {
                partitions.push(told(refused(index, why.error.code(), -1), why.clone()));
                continue;
            }
            let (answer, appended) = append(cluster, call, name, request.acks, data);
            if let Some(appended) = appended.filter(|_| request.acks == -1) {
                let at = (responses.len(), partitions.len());
                waits.push(Wait::new(at, (appended.id, index), appended.end));
            }
            partitions.push(answer);
        }
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(partitions),
        );
    }
    let answer = ProduceResponse::default().with_responses(responses);
    let parked = ParkedProduce::new(call, answer, waits);
    match cluster.await_replicas(parked, millis(request.timeout_ms)) {
        None => Answer::Later,
        Some(answer) if request.acks != 0 => Answer::Now(answer),
        Some(answer) if outcome(&answer) == 0 => Answer::Never,
        Some(_) => close(cluster, call.ticket),
    }
}

pub(super) fn outcome(answer: &ProduceResponse) -> i16 {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    first_error(partitions.map(|partition| partition.error_code))
}

/// What is wrong with the beginning of a partition's records, if they cannot be told from noise. A broker looks at
/// all of them before anything else.
fn corrupt(data: &PartitionProduceData) -> Option<String> {
    let head = data.records.as_ref()?.first_chunk::<MAGIC_END>()?;
    let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    let magic = head[MAGIC_END - 1];
    if length < LEAST_LENGTH {
        return Some(format!(
            "Record size {length} is less than the minimum record overhead ({LEAST_LENGTH})"
        ));
    }
    (magic > 2).then(|| format!("Invalid magic found in record: {magic}"))
}

/// One partition that is noise spoils the whole request.
fn refuse_all(
    cluster: &mut Cluster,
    ticket: Ticket,
    request: &ProduceRequest,
    found: &str,
) -> Answer<ProduceResponse> {
    if request.acks == 0 {
        return close(cluster, ticket);
    }
    let topic = |topic: &TopicProduceData| {
        let one = |data: &PartitionProduceData| {
            refused(data.index, ResponseError::CorruptMessage.code(), -1)
                .with_error_message(Some(text(found)))
        };
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id)
            .with_partition_responses(topic.partition_data.iter().map(one).collect())
    };
    let responses = request.topic_data.iter().map(topic).collect();
    Answer::Now(ProduceResponse::default().with_responses(responses))
}

/// A producer that wants no answer learns of an error by losing its connection, as in Kafka.
fn close(cluster: &mut Cluster, ticket: Ticket) -> Answer<ProduceResponse> {
    cluster.finish(ticket, Ok(Frame::default()));
    Answer::Later
}

/// A batch that is in the leader's log.
struct Stored {
    id: Uuid,
    /// The offset all replicas in sync must come to.
    end: i64,
}

fn append(
    cluster: &mut Cluster,
    call: &Call<'_>,
    topic: &str,
    acks: i16,
    data: PartitionProduceData,
) -> (PartitionProduceResponse, Option<Stored>) {
    let index = data.index;
    if let Some(code) = call.faults.before(topic, Some(index)) {
        return (refused(index, code, -1), None);
    }
    // What comes before the log tells nothing of it.
    let known = cluster.image_of(call.node).partition(topic, index).is_some();
    let batch = match known {
        true => one_batch(data.records.as_ref(), call.version()),
        false => Err(ResponseError::UnknownTopicOrPartition),
    };
    let batch = match batch {
        Ok(batch) => batch,
        Err(error) => return (refused(index, error.code(), -1), None),
    };
    match try_append(cluster, call, (topic, index), acks, &batch) {
        Ok((stored, appended)) => {
            let answer = PartitionProduceResponse::default()
                .with_index(index)
                .with_base_offset(appended.base_offset)
                .with_log_append_time_ms(appended.append_time_ms)
                .with_log_start_offset(appended.log_start);
            (answer, Some(stored))
        }
        Err(rejected) => {
            let start = told_start(cluster, topic, index, rejected.error);
            (told(refused(index, rejected.error.code(), start), rejected), None)
        }
    }
}

fn try_append(
    cluster: &mut Cluster,
    call: &Call<'_>,
    (topic, index): (&str, i32),
    acks: i16,
    batch: &Bytes,
) -> Result<(Stored, Appended), Rejected> {
    if !(-1..=1).contains(&acks) {
        return Err(ResponseError::InvalidRequiredAcks.into());
    }
    if [OFFSETS_TOPIC, TRANSACTIONS_TOPIC].contains(&topic) && call.client_id != ADMIN_CLIENT {
        return Err(ResponseError::InvalidTopicException.into());
    }
    let (id, led) = cluster.led_by(call.node, topic, index)?;
    if acks == -1 && !cluster.enough_in_sync(topic, index) {
        return Err(ResponseError::NotEnoughReplicas.into());
    }
    let config = cluster.log_config(id);
    let to = Append {
        topic,
        partition: index,
        epoch: led.epoch,
        now_ms: cluster.now_ms,
        room: call.frame_bytes,
        config: &config,
    };
    let log = cluster.logs.get_mut(&(id, index)).ok_or(ResponseError::KafkaStorageError)?;
    let appended = log.append(batch, &to)?;
    if !appended.duplicate {
        cluster.note_producer(batch);
        cluster.appended(topic, id, index);
    }
    let last_delta = batch.get(23..27).and_then(|delta| delta.try_into().ok()).map_or(0, i32::from_be_bytes);
    Ok((Stored { id, end: appended.base_offset + i64::from(last_delta) + 1 }, appended))
}

/// The one batch a partition's records must be. What follows it and is no whole batch counts for nothing.
fn one_batch(records: Option<&Bytes>, version: i16) -> Result<Bytes, ResponseError> {
    let mut rest = records.cloned().unwrap_or_default();
    let batch = split_batch(&mut rest).ok_or(ResponseError::InvalidRecord)?;
    if batch.get(MAGIC_END - 1) != Some(&2) {
        return Err(ResponseError::InvalidRecord);
    }
    let codec = batch.get(22).map_or(0, |attributes| attributes & 7);
    if version < 7 && codec == ZSTD {
        return Err(ResponseError::UnsupportedCompressionType);
    }
    match split_batch(&mut rest) {
        Some(_) => Err(ResponseError::InvalidRecord),
        None => Ok(batch),
    }
}

/// Takes the next whole batch off the front; none if there is none.
fn split_batch(bytes: &mut Bytes) -> Option<Bytes> {
    let head = bytes.first_chunk::<MAGIC_END>()?;
    let length = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
    let size = usize::try_from(length).ok()?.checked_add(LENGTH_END)?;
    (size >= MAGIC_END && bytes.len() >= size).then(|| bytes.split_to(size))
}

/// Which records of the batch are wrong.
fn told(answer: PartitionProduceResponse, why: Rejected) -> PartitionProduceResponse {
    let one = |(index, reason): (i32, String)| {
        let reason = Some(text(&reason));
        BatchIndexAndErrorMessage::default().with_batch_index(index).with_batch_index_error_message(reason)
    };
    answer
        .with_error_message(why.message.as_deref().map(text))
        .with_record_errors(why.records.into_iter().map(one).collect())
}

/// Where the log starts, told with errors of a log that was looked at; not with those that a broker expects.
fn told_start(cluster: &Cluster, topic: &str, index: i32, error: ResponseError) -> i64 {
    use ResponseError::*;
    match error {
        UnknownTopicOrPartition
        | NotLeaderOrFollower
        | MessageTooLarge
        | CorruptMessage
        | KafkaStorageError
        | UnknownTopicId
        | InvalidRequiredAcks
        | InvalidTopicException => -1,
        _ => cluster.log_of(topic, index).map_or(-1, Log::start),
    }
}

fn refused(index: i32, code: i16, log_start: i64) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(code)
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(log_start)
}

/// Tells the leaders of partitions this node does not lead, and where these leaders are.
pub(super) fn hint(cluster: &Cluster, ticket: Ticket, answer: &mut ProduceResponse) {
    let moved = ResponseError::NotLeaderOrFollower.code();
    if ticket.version < 10 || outcome(answer) == 0 {
        return;
    }
    let image = cluster.image_of(ticket.node);
    for topic in &mut answer.responses {
        let name = if ticket.version < 13 {
            Some(&**topic.name)
        } else {
            image.ids.get(&topic.topic_id).map(String::as_str)
        };
        let Some(name) = name else { continue };
        for partition in
            topic.partition_responses.iter_mut().filter(|partition| partition.error_code == moved)
        {
            let known = image.partition(name, partition.index);
            let leader = known.and_then(|known| known.leader).unwrap_or(-1);
            partition.current_leader = LeaderIdAndEpoch::default()
                .with_leader_id(BrokerId(leader))
                .with_leader_epoch(known.map_or(-1, |known| known.epoch));
            let listed = answer.node_endpoints.iter().any(|endpoint| endpoint.node_id.0 == leader);
            if let Some((broker, rack)) = cluster.endpoint(&image, leader).filter(|_| !listed) {
                answer.node_endpoints.push(
                    NodeEndpoint::default()
                        .with_node_id(BrokerId(leader))
                        .with_host(text(&broker.host))
                        .with_port(broker.port)
                        .with_rack(rack.map(text)),
                );
            }
        }
    }
}
