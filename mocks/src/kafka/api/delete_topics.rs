//! DeleteTopics (20): topics go, with their records and the offsets committed for them.
//!
//! Behaviour: any broker takes the request. By name, or by id since version 6; a topic that is asked for twice
//! stays. Brokers apply it after their lag, so a lagging one tells of the topic for a while.
//! Versions: 1-6.
//! Not supported: waiting for the timeout, `delete.topic.enable=false`.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use uuid::Uuid;

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::errors::message_of;
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
    let (wanted, mut answers) = sort_out(cluster, &request);
    for (id, name) in wanted {
        let code = delete(cluster, call, &name);
        answers.push(Deleted { name: Some(name), id, code, reason: None });
    }
    let told = |deleted: Deleted| {
        let message = deleted.reason.or(ResponseError::try_from_code(deleted.code).map(message_of));
        DeletableTopicResult::default()
            .with_name(deleted.name.map(|name| TopicName(text(&name))))
            .with_topic_id(deleted.id)
            .with_error_code(deleted.code)
            .with_error_message(message.filter(|_| call.version() >= 5).map(text))
    };
    Answer::Now(DeleteTopicsResponse::default().with_responses(answers.into_iter().map(told).collect()))
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

/// What became of one topic.
struct Deleted {
    name: Option<String>,
    id: Uuid,
    code: i16,
    /// Words of its own for the error.
    reason: Option<&'static str>,
}

impl Deleted {
    fn refused(name: Option<String>, id: Uuid, error: ResponseError) -> Self {
        Self { name, id, code: error.code(), reason: None }
    }

    fn invalid(name: Option<String>, id: Uuid, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::refused(name, id, ResponseError::InvalidRequest) }
    }
}

/// The topics that there are and that are wanted once, by id; and answers for all that is wrong.
fn sort_out(cluster: &Cluster, request: &DeleteTopicsRequest) -> (BTreeMap<Uuid, String>, Vec<Deleted>) {
    let (mut names, mut ids) = (BTreeMap::<String, usize>::new(), BTreeMap::<Uuid, usize>::new());
    let mut answers = Vec::new();
    for (name, id) in asked(request) {
        match name {
            None if id.is_nil() => {
                answers.push(Deleted::invalid(None, id, "Neither topic name nor id were specified."));
            }
            None => *ids.entry(id).or_default() += 1,
            Some(name) if id.is_nil() => *names.entry(name).or_default() += 1,
            Some(name) => {
                let reason = "You may not specify both topic name and topic id.";
                answers.push(Deleted::invalid(Some(name), id, reason));
            }
        }
    }
    let mut wanted = BTreeMap::new();
    for (id, times) in &ids {
        match cluster.truth.ids.get(id) {
            _ if *times > 1 => answers.push(Deleted::invalid(None, *id, "Duplicate topic id.")),
            None => answers.push(Deleted::refused(None, *id, ResponseError::UnknownTopicId)),
            Some(name) => _ = wanted.insert(*id, name.clone()),
        }
    }
    for (name, times) in names {
        let known = cluster.truth.topics.get(&name).map(|topic| topic.id);
        match known {
            _ if times > 1 => {
                answers.push(Deleted::invalid(Some(name), Uuid::nil(), "Duplicate topic name."))
            }
            None => {
                let error = ResponseError::UnknownTopicOrPartition;
                answers.push(Deleted::refused(Some(name), Uuid::nil(), error));
            }
            Some(id) if ids.contains_key(&id) => {
                wanted.remove(&id);
                let reason = "The provided topic name maps to an ID that was already supplied.";
                answers.push(Deleted::invalid(Some(name), id, reason));
            }
            Some(id) => _ = wanted.insert(id, name),
        }
    }
    (wanted, answers)
}

/// What is to go: by name, or by id.
fn asked(request: &DeleteTopicsRequest) -> Vec<(Option<String>, Uuid)> {
    let named = request.topic_names.iter().map(|name| (Some(name.to_string()), Uuid::nil()));
    let states = request.topics.iter();
    let states = states.map(|topic| (topic.name.as_ref().map(|name| name.to_string()), topic.topic_id));
    named.chain(states).collect()
}
