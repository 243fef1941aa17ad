//! OffsetForLeaderEpoch (23): where a leader epoch ended, for clients that check for lost records.
//!
//! Behaviour: the largest epoch up to the asked one and its end offset; -1 and -1 if there is none, and with an
//! error. Only the leader answers; the client's epoch is checked before that.
//! Versions: 2-4.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};

pub(super) fn describe(request: &OffsetForLeaderEpochRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.topics.iter();
    Described::partitions(topics.flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.topic.to_string(), partition.partition))
    }))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: OffsetForLeaderEpochRequest,
) -> Answer<OffsetForLeaderEpochResponse> {
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for asked in &topic.partitions {
            let number = asked.partition;
            let found = match call.faults.either(&topic.topic, Some(number)) {
                Some(code) => Err(code),
                None => find(
                    cluster,
                    call.node,
                    &topic.topic,
                    number,
                    asked.current_leader_epoch,
                    asked.leader_epoch,
                )
                .map_err(|error| error.code()),
            };
            let code = found.as_ref().err().copied().unwrap_or(0);
            let (epoch, end) = found.unwrap_or((-1, -1));
            partitions.push(
                EpochEndOffset::default()
                    .with_error_code(code)
                    .with_partition(number)
                    .with_leader_epoch(epoch)
                    .with_end_offset(end),
            );
        }
        topics
            .push(OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions));
    }
    Answer::Now(OffsetForLeaderEpochResponse::default().with_topics(topics))
}

pub(super) fn outcome(answer: &OffsetForLeaderEpochResponse) -> i16 {
    first_error(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code))
}

fn find(
    cluster: &Cluster,
    node: i32,
    topic: &str,
    partition: i32,
    current: i32,
    epoch: i32,
) -> Result<(i32, i64), ResponseError> {
    let (id, led) = cluster.led_at(node, topic, partition, current)?;
    let log = cluster.logs.get(&(id, partition)).ok_or(ResponseError::KafkaStorageError)?;
    Ok(log.end_of_epoch(epoch, led.epoch).unwrap_or((-1, -1)))
}
