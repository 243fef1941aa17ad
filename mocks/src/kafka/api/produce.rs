//! Produce (0): appends record batches.
//!
//! Behaviour: one batch per partition, checked (checksum, counts, size) and kept as received. acks 0 has no
//! answer, and an error closes the connection; acks all wants enough replicas in sync. Idempotent producers
//! as in `log/producers.rs`: a batch seen before is acknowledged with its first offset. Transactional batches
//! need their coordinator's word, and since version 12 this node itself puts the partition into the transaction
//! (`txn/verify.rs`).
//! Versions: 3-13; advertised from 0, as Kafka 4 does.
//! Not supported: old message formats, waiting for followers, `message.timestamp.*.max.ms`, throttling.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::log::{Append, Appended, Rejected};
use crate::kafka::wire::text;

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
    let verified = cluster.verify_produce(call, &request);
    let mut responses = Vec::new();
    for topic in request.topic_data {
        let (name, unknown) = if call.version() >= 13 {
            (cluster.topic_name(call.node, topic.topic_id), ResponseError::UnknownTopicId)
        } else {
            (Some(topic.name.to_string()), ResponseError::UnknownTopicOrPartition)
        };
        let one = |partition: kafka_protocol::messages::produce_request::PartitionProduceData| {
            let records = partition.records.unwrap_or_default();
            match &name {
                Some(name) => match verified.error(name, partition.index) {
                    Some(error) => response(partition.index, Err(error.code())),
                    None => append(cluster, call, name, partition.index, request.acks, &records),
                },
                None => response(partition.index, Err(unknown.code())),
            }
        };
        let partition_responses = topic.partition_data.into_iter().map(one).collect();
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(partition_responses),
        );
    }
    let answer = ProduceResponse::default().with_responses(responses);
    if request.acks == 0 {
        return if outcome(&answer) == 0 { Answer::Never } else { close(cluster, call) };
    }
    Answer::Now(answer)
}

pub(super) fn outcome(answer: &ProduceResponse) -> i16 {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partition_responses);
    first_error(partitions.map(|partition| partition.error_code))
}

/// A producer that wants no answer learns of an error by losing its connection, as in Kafka.
fn close(cluster: &mut Cluster, call: &Call<'_>) -> Answer<ProduceResponse> {
    cluster.finish(call.ticket, Ok(crate::kafka::wire::frame::Frame::default()));
    Answer::Later
}

fn append(
    cluster: &mut Cluster,
    call: &Call<'_>,
    topic: &str,
    partition: i32,
    acks: i16,
    records: &Bytes,
) -> PartitionProduceResponse {
    if let Some(code) = call.faults.before(topic, Some(partition)) {
        return response(partition, Err(code));
    }
    let appended = try_append(cluster, call.node, topic, partition, acks, records);
    let (appended, why) = match appended {
        Ok(appended) => (Ok(appended), None),
        Err(rejected) => (Err(rejected.error.code()), Some(rejected)),
    };
    let answer = match call.faults.after(topic, Some(partition)) {
        Some(code) if appended.is_ok() => response(partition, Err(code)),
        _ => response(partition, appended),
    };
    let answer = match why.filter(|_| call.version() >= 8) {
        Some(why) => told(answer, why),
        None => answer,
    };
    let moved = answer.error_code == ResponseError::NotLeaderOrFollower.code() && call.version() >= 10;
    let image = cluster.image_of(call.node);
    match image.partition(topic, partition).filter(|_| moved) {
        Some(known) => answer.with_current_leader(
            LeaderIdAndEpoch::default()
                .with_leader_id(BrokerId(known.leader.unwrap_or(-1)))
                .with_leader_epoch(known.epoch),
        ),
        None => answer,
    }
}

fn try_append(
    cluster: &mut Cluster,
    node: i32,
    topic: &str,
    partition: i32,
    acks: i16,
    records: &Bytes,
) -> Result<Appended, Rejected> {
    if !(-1..=1).contains(&acks) {
        return Err(ResponseError::InvalidRequiredAcks.into());
    }
    let (id, led) = cluster.led_by(node, topic, partition)?;
    let truth = cluster.truth.topics.get(topic).ok_or(ResponseError::UnknownTopicOrPartition)?;
    let enough = cluster.topic_number(node, &truth.configs, "min.insync.replicas");
    if acks == -1 && i64::try_from(led.isr.len()).unwrap_or(i64::MAX) < enough {
        return Err(ResponseError::NotEnoughReplicas.into());
    }
    let config = cluster.log_config(&truth.configs);
    let to = Append { topic, partition, epoch: led.epoch, now_ms: cluster.now_ms, config: &config };
    let log = cluster.logs.get_mut(&(id, partition)).ok_or(ResponseError::KafkaStorageError)?;
    let appended = log.append(records, &to)?;
    log.set_high_watermark(log.end());
    cluster.note_producer(records);
    cluster.wake_fetches(id, partition);
    Ok(appended)
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

fn response(partition: i32, result: Result<Appended, i16>) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(partition).with_log_append_time_ms(-1);
    match result {
        Ok(appended) => answer
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.append_time_ms)
            .with_log_start_offset(appended.log_start),
        Err(code) => {
            // A broker that looked at the producer's sequence tells where the log starts all the same.
            let sequence =
                [ResponseError::OutOfOrderSequenceNumber.code(), ResponseError::InvalidProducerEpoch.code()];
            let start = if sequence.contains(&code) { 0 } else { -1 };
            answer.with_error_code(code).with_base_offset(-1).with_log_start_offset(start)
        }
    }
}
