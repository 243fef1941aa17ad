//! WriteTxnMarkers (27): a coordinator, or an operator, ends a transaction in partitions.
//!
//! Behaviour: each marker is written to the partitions this node leads, whatever the coordinator here thinks of
//! the transaction; epochs are checked as in `log/producers.rs`. The mock's own coordinators do not send it:
//! their markers are written directly.
//! Versions: 1.
//! Not supported: version 2, which the codec does not have (a marker then tells its transaction's version);
//! answering only when the replicas in sync have the markers.

use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
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
    let mut markers = Vec::new();
    for asked in request.markers {
        let marker = EndMarker {
            producer_id: asked.producer_id.0,
            epoch: asked.producer_epoch,
            coordinator_epoch: asked.coordinator_epoch,
            commit: asked.transaction_result,
            version: 0,
        };
        let mut topics = Vec::new();
        for topic in asked.topics {
            let one = |number: i32| {
                let code = match call.faults.before(&topic.name, Some(number)) {
                    Some(code) => code,
                    None => {
                        let written = cluster.write_marker_at(call.node, &topic.name, number, &marker, None);
                        super::code(&written)
                    }
                };
                let after = call.faults.after(&topic.name, Some(number)).filter(|_| code == 0);
                let answer = WritableTxnMarkerPartitionResult::default().with_partition_index(number);
                answer.with_error_code(after.unwrap_or(code))
            };
            let partitions = topic.partition_indexes.into_iter().map(one).collect();
            let answer = WritableTxnMarkerTopicResult::default().with_name(topic.name.clone());
            topics.push(answer.with_partitions(partitions));
        }
        let answer = WritableTxnMarkerResult::default().with_producer_id(asked.producer_id);
        markers.push(answer.with_topics(topics));
    }
    Answer::Now(WriteTxnMarkersResponse::default().with_markers(markers))
}

pub(super) fn outcome(answer: &WriteTxnMarkersResponse) -> i16 {
    let topics = answer.markers.iter().flat_map(|marker| &marker.topics);
    first_error(topics.flat_map(|topic| &topic.partitions).map(|partition| partition.error_code))
}
