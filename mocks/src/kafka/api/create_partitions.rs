//! CreatePartitions (37): more partitions for topics.
//!
//! Behaviour: to a number, their replicas drawn or named; checked only, if that is asked. A topic twice in one
//! request is refused. The answer means that the controller knows; brokers apply it after their lag.
//! Versions: 0-3.
//! Not supported: waiting for the timeout, the quota of changes.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Answer, Described, first_error, message};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::controller::Refused;

pub(super) fn describe(request: &CreatePartitionsRequest, _: &Cluster, _: i32) -> Described {
    Described::topics(request.topics.iter().map(|topic| topic.name.to_string()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: CreatePartitionsRequest,
) -> Answer<CreatePartitionsResponse> {
    let mut named: BTreeMap<&str, Vec<&CreatePartitionsTopic>> = BTreeMap::new();
    for topic in &request.topics {
        named.entry(topic.name.as_str()).or_default().push(topic);
    }
    let mut results = Vec::new();
    for (name, topics) in named {
        let result = match (call.faults.before(name, None), topics.as_slice()) {
            (Some(code), _) => Err((code, String::new())),
            (None, [topic]) => {
                add(cluster, topic, request.validate_only).map_err(|(error, why)| (error.code(), why))
            }
            (None, _) => Err((ResponseError::InvalidRequest.code(), "Duplicate topic name.".to_owned())),
        };
        let (code, why) = match result {
            Ok(()) => (call.faults.after(name, None).unwrap_or(0), String::new()),
            Err(refused) => refused,
        };
        let result =
            CreatePartitionsTopicResult::default().with_error_code(code).with_error_message(message(&why));
        results.extend(topics.first().map(|topic| result.with_name(topic.name.clone())));
    }
    Answer::Now(CreatePartitionsResponse::default().with_results(results))
}

pub(super) fn outcome(answer: &CreatePartitionsResponse) -> i16 {
    first_error(answer.results.iter().map(|result| result.error_code))
}

fn add(cluster: &mut Cluster, asked: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refused> {
    let replicas =
        |assignment: &kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment| {
            assignment.broker_ids.iter().map(|node| node.0).collect()
        };
    let lists = asked.assignments.as_ref().map(|lists| lists.iter().map(replicas).collect());
    cluster.add_partitions(&asked.name, asked.count, lists, validate_only)
}
