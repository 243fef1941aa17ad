//! WriteTxnMarkers (27): a coordinator, or an operator, ends a transaction in partitions.
//!
//! Behaviour: each marker is written to the partitions this node leads, whatever the coordinator here thinks of
//! the transaction; epochs are checked as in `log/producers.rs`. The mock's own coordinators do not send it:
//! their markers are written directly. Answered once the replicas in sync have the markers (see `replica_wait.rs`), for
//! which `request.timeout.ms` is the time.
//! Versions: 1-2; since version 2 a marker tells its transaction's version.
//! Not supported: nothing.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use super::replica_wait::{Changed, Wait};
use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::log::Log;
use crate::kafka::wire::beyond;
use crate::kafka::wire::marker::EndMarker;

pub(super) fn describe(request: &WriteTxnMarkersRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.markers.iter().flat_map(|marker| &marker.topics);
    Described::partitions(
        topics
            .flat_map(|topic| topic.partition_indexes.iter().map(|number| (topic.name.to_string(), *number))),
    )
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: WriteTxnMarkersRequest,
) -> Answer<WriteTxnMarkersResponse> {
    let (mut markers, mut waits) = (Vec::with_capacity(request.markers.len()), Vec::new());
    for asked in request.markers {
        let marker = EndMarker {
            producer_id: asked.producer_id.0,
            epoch: asked.producer_epoch,
            coordinator_epoch: asked.coordinator_epoch,
            commit: asked.transaction_result,
            version: version_of(call.version(), &asked),
        };
        let mut topics = Vec::with_capacity(asked.topics.len());
        for topic in asked.topics {
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            for number in topic.partition_indexes {
                let before = call.faults.before(&topic.name, Some(number)).map_or(Ok(()), Err);
                let written = before.and_then(|()| {
                    write(cluster, call.node, &topic.name, number, &marker).map_err(|error| error.code())
                });
                if let Ok(until) = written {
                    let at = (markers.len(), topics.len(), partitions.len());
                    waits.push(Wait { at, topic: topic.name.to_string(), number, until });
                }
                let answer = WritableTxnMarkerPartitionResult::default().with_partition_index(number);
                partitions.push(answer.with_error_code(written.err().unwrap_or(0)));
            }
            let answer = WritableTxnMarkerTopicResult::default().with_name(topic.name);
            topics.push(answer.with_partitions(partitions));
        }
        let answer = WritableTxnMarkerResult::default().with_producer_id(asked.producer_id);
        markers.push(answer.with_topics(topics));
    }
    let answer = WriteTxnMarkersResponse::default().with_markers(markers);
    let most = cluster.levels_of(call.node).number("request.timeout.ms").unwrap_or(30_000);
    let most = Duration::from_millis(u64::try_from(most).unwrap_or(0));
    cluster.await_change(call, Changed::Marked(answer), waits, most);
    Answer::Later
}

/// The version of the marker's transaction.
fn version_of(version: i16, asked: &WritableTxnMarker) -> i16 {
    let told = beyond::field(&asked.unknown_tagged_fields).filter(|_| version >= 2);
    told.and_then(|told| told.first()).map_or(0, |told| i16::from(*told))
}

/// Writes one marker. Returns the offset that the replicas in sync must come to.
fn write(
    cluster: &mut Cluster,
    node: i32,
    topic: &str,
    number: i32,
    marker: &EndMarker,
) -> Result<i64, ResponseError> {
    // Who has no replica does not know of the partition, here alone.
    cluster.role_at(node, topic, number, -1).map_err(|_| ResponseError::UnknownTopicOrPartition)?;
    cluster.write_marker_at(node, topic, number, marker, None)?;
    Ok(cluster.log_of(topic, number).map_or(0, Log::end))
}

pub(super) fn outcome(answer: &WriteTxnMarkersResponse) -> i16 {
    let topics = answer.markers.iter().flat_map(|marker| &marker.topics);
    first_error(topics.flat_map(|topic| &topic.partitions).map(|partition| partition.error_code))
}
