//! DeleteRecords (21): moves the start of logs forward.
//!
//! Behaviour: to an offset, or with -1 to the high watermark; beyond it is OFFSET_OUT_OF_RANGE, an offset before
//! the start changes nothing. Topics that are only compacted refuse (POLICY_VIOLATION), so do Kafka's own
//! (INVALID_TOPIC_EXCEPTION). The records are gone for readers at once, their memory with the next check of
//! retention. Answered once every live replica has the new start (see `replica_wait.rs`), with the first offset that
//! one of them has.
//! Versions: 0-2.
//! Not supported: a leader that has not heard of the new start, and so brings records back.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::replica_wait::{Changed, Wait};
use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, is_internal};
use crate::kafka::wire::millis;

const HIGH_WATERMARK: i64 = -1;

pub(super) fn describe(request: &DeleteRecordsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.topics.iter();
    Described::partitions(topics.flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.to_string(), partition.partition_index))
    }))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DeleteRecordsRequest,
) -> Answer<DeleteRecordsResponse> {
    let (mut topics, mut waits) = (Vec::with_capacity(request.topics.len()), Vec::new());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let number = asked.partition_index;
            let before = call.faults.before(&topic.name, Some(number)).map_or(Ok(()), Err);
            let deleted = before.and_then(|()| {
                delete(cluster, call.node, &topic.name, number, asked.offset).map_err(|error| error.code())
            });
            if let Ok((until, _)) = deleted {
                let at = (0, topics.len(), partitions.len());
                waits.push(Wait { at, topic: topic.name.to_string(), number, until });
            }
            partitions.push(
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(number)
                    .with_error_code(deleted.err().unwrap_or(0))
                    .with_low_watermark(deleted.map_or(-1, |(_, low)| low)),
            );
        }
        topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
    }
    let answer = DeleteRecordsResponse::default().with_topics(topics);
    cluster.await_change(call, Changed::Deleted(answer), waits, millis(request.timeout_ms));
    Answer::Later
}

pub(super) fn outcome(answer: &DeleteRecordsResponse) -> i16 {
    first_error(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code))
}

/// Returns the offset that the replicas must come to, and the low watermark.
fn delete(
    cluster: &mut Cluster,
    node: i32,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<(i64, i64), ResponseError> {
    let image = cluster.image_of(node);
    image.partition(topic, partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
    if is_internal(topic) {
        return Err(ResponseError::InvalidTopicException);
    }
    let (id, _) = cluster.led_by(node, topic, partition)?;
    let config = cluster.log_config(id);
    if config.compact && !config.delete {
        return Err(ResponseError::PolicyViolation);
    }
    let log = cluster.logs.get_mut(&(id, partition)).ok_or(ResponseError::KafkaStorageError)?;
    let to = if offset == HIGH_WATERMARK { log.high_watermark() } else { offset };
    if !(0..=log.high_watermark()).contains(&to) {
        return Err(ResponseError::OffsetOutOfRange);
    }
    log.advance_start(to);
    let start = log.start();
    cluster.event(|| format!("{topic}-{partition}: records are deleted, the log starts at {start}"));
    cluster.start_moved(topic, id, partition);
    Ok((to, cluster.low_watermark(id, partition)))
}
