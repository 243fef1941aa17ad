//! AlterPartitionReassignments (45): other replicas for partitions, or an end to such a change.
//!
//! Behaviour: see `partitions.rs`; a change whose new replicas live is complete at once.
//! Versions: 0-1; since 1 the number of replicas may be held fixed.
//! Not supported: waiting for the timeout.

use kafka_protocol::messages::alter_partition_reassignments_request::ReassignablePartition;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use super::{Answer, Described, first_error, message};
use crate::kafka::cluster::{Call, Cluster};

pub(super) fn describe(request: &AlterPartitionReassignmentsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.topics.iter();
    Described::partitions(topics.flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.to_string(), partition.partition_index))
    }))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: AlterPartitionReassignmentsRequest,
) -> Answer<AlterPartitionReassignmentsResponse> {
    let other_factor = request.allow_replication_factor_change;
    let mut responses = Vec::new();
    for topic in &request.topics {
        let mut one = |partition: &ReassignablePartition| {
            let (code, why) = alter(cluster, call, &topic.name, partition, other_factor);
            ReassignablePartitionResponse::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code)
                .with_error_message(message(&why))
        };
        let partitions = topic.partitions.iter().map(&mut one).collect();
        let response = ReassignableTopicResponse::default().with_name(topic.name.clone());
        responses.push(response.with_partitions(partitions));
    }
    Answer::Now(
        AlterPartitionReassignmentsResponse::default()
            .with_allow_replication_factor_change(other_factor)
            .with_error_message(None)
            .with_responses(responses),
    )
}

pub(super) fn outcome(answer: &AlterPartitionReassignmentsResponse) -> i16 {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    first_error(partitions.map(|partition| partition.error_code))
}

fn alter(
    cluster: &mut Cluster,
    call: &Call<'_>,
    topic: &str,
    asked: &ReassignablePartition,
    other_factor: bool,
) -> (i16, String) {
    let number = asked.partition_index;
    if let Some(code) = call.faults.before(topic, Some(number)) {
        return (code, String::new());
    }
    let altered = match &asked.replicas {
        None => cluster.cancel_reassignment(topic, number),
        Some(nodes) => {
            let target: Vec<i32> = nodes.iter().map(|node| node.0).collect();
            cluster.reassign(topic, number, &target, other_factor)
        }
    };
    match altered {
        Ok(()) => (call.faults.after(topic, Some(number)).unwrap_or(0), String::new()),
        Err((error, why)) => (error.code(), why),
    }
}
