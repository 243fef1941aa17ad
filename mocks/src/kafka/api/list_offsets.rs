//! ListOffsets (2): the offset for a timestamp, or for earliest and latest.
//!
//! Behaviour: timestamps -1 latest (the last stable offset for `read_committed`), -2 earliest, -3 the record with
//! the largest timestamp, -4 earliest local, -5 latest tiered and -6 earliest that waits to be (there is none: -1).
//! Else the first record not older; -1 if there is none that this reader may see. A partition twice is INVALID_REQUEST, told once. A leader
//! whose high watermark is not yet where its epoch began answers OFFSET_NOT_AVAILABLE.
//! Versions: 1-11.
//! Not supported: tiered storage.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse, TopicName};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::log::{Found, Log};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

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
    let mut named: BTreeMap<(String, i32), usize> = BTreeMap::new();
    for topic in &request.topics {
        for asked in &topic.partitions {
            *named.entry((topic.name.to_string(), asked.partition_index)).or_default() += 1;
        }
    }
    let reader = Reader::of(request.replica_id.0, request.isolation_level);
    let mut topics: IndexMap<TopicName, Vec<ListOffsetsPartitionResponse>> = IndexMap::new();
    for topic in request.topics {
        let partitions = topics.entry(topic.name.clone()).or_default();
        for asked in &topic.partitions {
            let number = asked.partition_index;
            // Once it was told of, it is not told of again.
            let Some(times) = named.remove(&(topic.name.to_string(), number)) else { continue };
            let twice = times > 1;
            let found = match call.faults.either(&topic.name, Some(number)) {
                Some(code) => Err(code),
                None if twice => Err(ResponseError::InvalidRequest.code()),
                None => find(cluster, call, &topic.name, asked, reader).map_err(|error| error.code()),
            };
            partitions.push(response(call.version(), number, found));
        }
    }
    let answer =
        |(name, partitions)| ListOffsetsTopicResponse::default().with_name(name).with_partitions(partitions);
    let topics = topics.into_iter().map(answer).collect();
    Answer::Now(ListOffsetsResponse::default().with_topics(topics))
}

pub(super) fn outcome(answer: &ListOffsetsResponse) -> i16 {
    first_error(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code))
}

/// Whose view of a log is asked for.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Committed,
    Uncommitted,
    /// A follower, or a tool that looks at one.
    Replica,
}

impl Reader {
    fn of(replica: i32, isolation_level: i8) -> Self {
        match (replica, isolation_level) {
            (-1, 1) => Self::Committed,
            (-1, _) => Self::Uncommitted,
            _ => Self::Replica,
        }
    }

    /// The end of what it may see.
    fn end(self, log: &Log) -> i64 {
        match self {
            Self::Committed => log.last_stable(),
            Self::Uncommitted => log.high_watermark(),
            Self::Replica => log.end(),
        }
    }
}

fn find(
    cluster: &Cluster,
    call: &Call<'_>,
    topic: &str,
    asked: &ListOffsetsPartition,
    reader: Reader,
) -> Result<Option<Found>, ResponseError> {
    let partition = asked.partition_index;
    if is_unsupported(asked.timestamp, call.version()) {
        return Err(ResponseError::UnsupportedVersion);
    }
    let (id, led) = cluster.led_at(call.node, topic, partition, asked.current_leader_epoch)?;
    let log = cluster.logs.get(&(id, partition)).ok_or(ResponseError::KafkaStorageError)?;
    let at = |offset, epoch| Some(Found { offset, timestamp: -1, epoch });
    let end = reader.end(log);
    let lags = !matches!(reader, Reader::Replica) && log.epoch_start(led.epoch) > log.high_watermark();
    let found = match asked.timestamp {
        LATEST => at(end, led.epoch).filter(|_| !lags),
        EARLIEST | EARLIEST_LOCAL => return Ok(at(log.start(), log.first_epoch(led.epoch).unwrap_or(-1))),
        MAX_TIMESTAMP => log.find_max_timestamp().filter(|found| found.offset < end),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => at(-1, -1),
        timestamp => log.find_timestamp(timestamp).filter(|found| found.offset < end),
    };
    match found {
        None if lags && call.version() >= 5 => Err(ResponseError::OffsetNotAvailable),
        None if lags => Err(ResponseError::LeaderNotAvailable),
        found => Ok(found),
    }
}

/// Special timestamps came with versions.
fn is_unsupported(timestamp: i64, version: i16) -> bool {
    let since = match timestamp {
        0.. | LATEST | EARLIEST => 0,
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        _ => i16::MAX,
    };
    version < since
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
