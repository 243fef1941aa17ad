//! ListPartitionReassignments (46): partitions on their way to other replicas.
//!
//! Behaviour: those under way, of the partitions named or of all.
//! Versions: 0.
//! Not supported: –

use std::collections::BTreeMap;

use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::{
    BrokerId, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(request: &ListPartitionReassignmentsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.topics.iter().flatten();
    Described::partitions(
        topics.flat_map(|topic| topic.partition_indexes.iter().map(|p| (topic.name.to_string(), *p))),
    )
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ListPartitionReassignmentsRequest,
) -> Answer<ListPartitionReassignmentsResponse> {
    if let Some(code) = call.faults.either("", None) {
        return Answer::Now(ListPartitionReassignmentsResponse::default().with_error_code(code));
    }
    let asked = |topic: &str, number: i32| {
        request.topics.as_ref().is_none_or(|topics| {
            topics.iter().any(|of| of.name.as_str() == topic && of.partition_indexes.contains(&number))
        })
    };
    let ids = |nodes: &[i32]| nodes.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let mut topics: BTreeMap<&str, Vec<OngoingPartitionReassignment>> = BTreeMap::new();
    for ((topic, number), moving) in &cluster.reassignments {
        let Some(known) = cluster.truth.partition(topic, *number).filter(|_| asked(topic, *number)) else {
            continue;
        };
        let ongoing = OngoingPartitionReassignment::default()
            .with_partition_index(*number)
            .with_replicas(ids(&known.replicas))
            .with_adding_replicas(ids(&moving.adding))
            .with_removing_replicas(ids(&moving.removing));
        topics.entry(topic.as_str()).or_default().push(ongoing);
    }
    let told = |(name, partitions): (&str, Vec<OngoingPartitionReassignment>)| {
        OngoingTopicReassignment::default().with_name(TopicName(text(name))).with_partitions(partitions)
    };
    let topics = topics.into_iter().map(told).collect();
    Answer::Now(ListPartitionReassignmentsResponse::default().with_error_message(None).with_topics(topics))
}

pub(super) fn outcome(answer: &ListPartitionReassignmentsResponse) -> i16 {
    answer.error_code
}
