//! ListOffsets (2): the offset for a timestamp, or for earliest and latest.
//!
//! Behaviour: timestamps -1 latest, -2 earliest, -3 the record with the largest timestamp, -4 earliest
//! local, -5 latest tiered (there is none: -1). Else the first record not older, -1 if there is none.
//! Versions: 1-10.
//! Not supported: looking into compressed batches (their first offset is answered), isolation levels.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::log::Found;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

pub(super) fn describe(request: &ListOffsetsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.topics.iter();
    Described::partitions(topics.flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.to_string(), partition.partition_index))
    }))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ListOffsetsRequest,
) -> Answer<ListOffsetsResponse> {
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for asked in &topic.partitions {
            let number = asked.partition_index;
            let found = match call.faults.either(&topic.name, Some(number)) {
                Some(code) => Err(code),
                None => find(cluster, call, &topic.name, asked, request.isolation_level == 1)
                    .map_err(|error| error.code()),
            };
            partitions.push(response(call.version(), number, found));
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    Answer::Now(ListOffsetsResponse::default().with_topics(topics))
}

pub(super) fn outcome(answer: &ListOffsetsResponse) -> i16 {
    first_error(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code))
}

fn find(
    cluster: &Cluster,
    call: &Call<'_>,
    topic: &str,
    asked: &ListOffsetsPartition,
    read_committed: bool,
) -> Result<Option<Found>, ResponseError> {
    let partition = asked.partition_index;
    let (id, led) = cluster.led_at(call.node, topic, partition, asked.current_leader_epoch)?;
    let log = cluster.logs.get(&(id, partition)).ok_or(ResponseError::KafkaStorageError)?;
    let at = |offset, epoch| Some(Found { offset, timestamp: -1, epoch });
    Ok(match asked.timestamp {
        LATEST if read_committed => at(log.last_stable(), led.epoch),
        LATEST => at(log.high_watermark(), led.epoch),
        EARLIEST | EARLIEST_LOCAL => at(log.start(), log.first_epoch(led.epoch).unwrap_or(-1)),
        MAX_TIMESTAMP => log.find_max_timestamp(),
        LATEST_TIERED => at(-1, -1),
        unknown if unknown < 0 => return Err(ResponseError::UnsupportedVersion),
        timestamp => log.find_timestamp(timestamp),
    })
}

fn response(version: i16, partition: i32, found: Result<Option<Found>, i16>) -> ListOffsetsPartitionResponse {
    let nothing = Found { offset: -1, timestamp: -1, epoch: -1 };
    let code = found.as_ref().err().copied().unwrap_or(0);
    let found = found.ok().flatten().unwrap_or(nothing);
    ListOffsetsPartitionResponse::default()
        .with_partition_index(partition)
        .with_error_code(code)
        .with_offset(found.offset)
        .with_timestamp(found.timestamp)
        .with_leader_epoch(if version >= 4 { found.epoch } else { -1 })
}
