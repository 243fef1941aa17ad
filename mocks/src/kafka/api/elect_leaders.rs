//! ElectLeaders (43): the preferred leaders, or leaders at any price.
//!
//! Behaviour: of the partitions named, or of all; then those that need none are not told. An unclean election
//! prefers a replica in sync.
//! Versions: 0-2; since 1 with the kind of election.
//! Not supported: waiting for the timeout.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};

use super::{Answer, Described, first_error, message};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(request: &ElectLeadersRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.topic_partitions.iter().flatten();
    let partitions = topics.flat_map(|topic| topic.partitions.iter().map(|p| (topic.topic.to_string(), *p)));
    Described::partitions(partitions)
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ElectLeadersRequest,
) -> Answer<ElectLeadersResponse> {
    let kind = request.election_type;
    let all = request.topic_partitions.is_none();
    let topics: Vec<(String, Vec<i32>)> = match &request.topic_partitions {
        Some(topics) => {
            topics.iter().map(|topic| (topic.topic.to_string(), topic.partitions.clone())).collect()
        }
        None => {
            let numbers = |count: usize| (0..i32::try_from(count).unwrap_or(i32::MAX)).collect();
            let topics = cluster.truth.topics.iter();
            topics.map(|(name, topic)| (name.clone(), numbers(topic.partitions.len()))).collect()
        }
    };
    let mut results = Vec::new();
    for (topic, partitions) in topics {
        let mut told = Vec::new();
        for number in partitions {
            let (code, why) = elect(cluster, call, &topic, number, kind);
            if !(all && code == ResponseError::ElectionNotNeeded.code()) {
                let result = PartitionResult::default().with_partition_id(number).with_error_code(code);
                told.push(result.with_error_message(message(&why)));
            }
        }
        let topic = TopicName(text(&topic));
        results.push(ReplicaElectionResult::default().with_topic(topic).with_partition_result(told));
    }
    let unknown = !(0..=1).contains(&kind) && call.version() >= 1;
    let code = if unknown { ResponseError::InvalidRequest.code() } else { 0 };
    Answer::Now(ElectLeadersResponse::default().with_error_code(code).with_replica_election_results(results))
}

pub(super) fn outcome(answer: &ElectLeadersResponse) -> i16 {
    let partitions = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    first_error(partitions.map(|partition| partition.error_code))
}

fn elect(cluster: &mut Cluster, call: &Call<'_>, topic: &str, number: i32, kind: i8) -> (i16, String) {
    if let Some(code) = call.faults.before(topic, Some(number)) {
        return (code, String::new());
    }
    if !(0..=1).contains(&kind) {
        return (ResponseError::InvalidRequest.code(), format!("Unknown election type {kind}"));
    }
    match cluster.elect_leader(topic, number, kind == 1) {
        Ok(()) => (call.faults.after(topic, Some(number)).unwrap_or(0), String::new()),
        Err((error, why)) => (error.code(), why),
    }
}
