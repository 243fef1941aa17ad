//! DeleteTopics (20): topics go, with their records and the offsets committed for them.
//!
//! Behaviour: any broker takes the request. By name, or by id since version 6. Brokers apply it after their
//! lag, so a lagging one tells of the topic for a while.
//! Versions: 1-6.
//! Not supported: waiting for the timeout, `delete.topic.enable=false`.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use uuid::Uuid;

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(request: &DeleteTopicsRequest, cluster: &Cluster, _: i32) -> Described {
    Described::topics(asked(request).into_iter().filter_map(|(name, id)| match name {
        Some(name) => Some(name),
        None => cluster.truth.ids.get(&id).cloned(),
    }))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DeleteTopicsRequest,
) -> Answer<DeleteTopicsResponse> {
    let mut responses = Vec::new();
    for (named, id) in asked(&request) {
        let by_id = named.is_none();
        let name = named.or_else(|| cluster.truth.ids.get(&id).cloned());
        let id = match &name {
            Some(name) => cluster.truth.topics.get(name).map_or(id, |topic| topic.id),
            None => id,
        };
        let code = match &name {
            None => ResponseError::UnknownTopicId.code(),
            Some(name) => delete(cluster, call, name),
        };
        // A client that gave an id is told the name only if it may know it.
        let told = if by_id && code != 0 { None } else { name };
        let message = ResponseError::try_from_code(code).map(|error| text(message_of(error)));
        let answer = DeletableTopicResult::default()
            .with_topic_id(id)
            .with_error_code(code)
            .with_error_message(message.filter(|_| call.version() >= 5));
        responses.push(answer.with_name(told.map(|name| TopicName(text(&name)))));
    }
    Answer::Now(DeleteTopicsResponse::default().with_responses(responses))
}

pub(super) fn outcome(answer: &DeleteTopicsResponse) -> i16 {
    first_error(answer.responses.iter().map(|topic| topic.error_code))
}

fn delete(cluster: &mut Cluster, call: &Call<'_>, name: &str) -> i16 {
    if let Some(code) = call.faults.before(name, None) {
        return code;
    }
    if !cluster.delete_topic(name) {
        return ResponseError::UnknownTopicOrPartition.code();
    }
    call.faults.after(name, None).unwrap_or(0)
}

/// Kafka's words for the errors of this API.
fn message_of(error: ResponseError) -> &'static str {
    match error {
        ResponseError::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ResponseError::UnknownTopicId => "This server does not host this topic ID.",
        _ => "",
    }
}

/// What is to go: by name, or by id.
fn asked(request: &DeleteTopicsRequest) -> Vec<(Option<String>, Uuid)> {
    let named = request.topic_names.iter().map(|name| (Some(name.to_string()), Uuid::nil()));
    let states = request.topics.iter();
    let states = states.map(|topic| (topic.name.as_ref().map(|name| name.to_string()), topic.topic_id));
    named.chain(states).collect()
}
