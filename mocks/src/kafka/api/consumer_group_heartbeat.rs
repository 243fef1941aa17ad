//! ConsumerGroupHeartbeat (68): a member of the consumer protocol joins, lives and leaves (KIP-848).
//!
//! Behaviour: see `group/consumer/`. Epoch 0 joins, -1 leaves, -2 lets a static member leave for a moment; what
//! is null did not change. The assignment is told when it changed, and to whom says everything.
//! Versions: 0-1; since version 1 subscriptions by expression, and members make their ids themselves.
//! Not supported: client-side assignors, which Kafka has not either.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::group::consumer::{AWAY, Held};
use crate::kafka::group::{Assignor, Beat, Beaten, Refused};
use crate::kafka::wire::{millis, text};

/// The epoch of a member that leaves.
const LEAVE: i32 = -1;

pub(super) fn describe(request: &ConsumerGroupHeartbeatRequest, _: &Cluster, _: i32) -> Described {
    Described::group(&request.group_id)
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ConsumerGroupHeartbeatRequest,
) -> Answer<ConsumerGroupHeartbeatResponse> {
    let refuse = |code: i16, why: Option<String>| {
        let answer = ConsumerGroupHeartbeatResponse::default().with_error_code(code);
        Answer::Now(answer.with_error_message(why.as_deref().map(text)))
    };
    if let Some(code) = call.faults.before("", None) {
        return refuse(code, None);
    }
    if let Err((error, why)) = check(&request, call.version(), &cluster.options.group_consumer_assignors) {
        return refuse(error.code(), Some(why));
    }
    if let Err(error) = cluster.coordinates(call.node, &request.group_id) {
        return refuse(error.code(), Some("This is not the correct coordinator.".to_owned()));
    }
    let interval = cluster.options.group_consumer_heartbeat_interval;
    match apply(cluster, call, &request) {
        Err((error, why)) => refuse(error.code(), Some(why).filter(|why| !why.is_empty())),
        Ok(_) if call.faults.after("", None).is_some() => {
            refuse(call.faults.after("", None).unwrap_or_default(), None)
        }
        Ok(beaten) => {
            // A member that leaves is told no interval.
            let told = if request.member_epoch < 0 { 0 } else { interval.as_millis() };
            let answer = ConsumerGroupHeartbeatResponse::default()
                .with_member_id(Some(text(&beaten.member_id)))
                .with_member_epoch(beaten.epoch)
                .with_heartbeat_interval_ms(i32::try_from(told).unwrap_or(i32::MAX))
                .with_assignment(beaten.assigned.map(assignment));
            Answer::Now(answer)
        }
    }
}

pub(super) fn outcome(answer: &ConsumerGroupHeartbeatResponse) -> i16 {
    answer.error_code
}

fn apply(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<Beaten, Refused> {
    let (id, beat) = (request.group_id.as_str(), beat(call, request));
    if request.member_epoch < 0 {
        let left = cluster.with_group(id, |group, env| group.consumer_leave(env, &beat));
        return left.unwrap_or_else(|| Err(not_found(format!("Group {id} not found."))));
    }
    if request.member_epoch > 0 {
        let beaten = cluster.with_group(id, |group, env| group.consumer_heartbeat(env, &beat));
        return beaten.unwrap_or_else(|| Err(not_found(format!("Consumer group {id} not found."))));
    }
    let is_new = !cluster.groups.contains_key(id);
    let joined = cluster.with_new_group(id, |group, env| group.consumer_heartbeat(env, &beat));
    let joined = joined.unwrap_or_else(|| Err(not_found(format!("Group {id} not found."))));
    if is_new && joined.is_err() {
        cluster.groups.remove(id);
    }
    joined
}

fn not_found(why: String) -> Refused {
    (ResponseError::GroupIdNotFound, why)
}

fn beat(call: &Call<'_>, request: &ConsumerGroupHeartbeatRequest) -> Beat {
    let owned =
        |topics: &Vec<kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions>| {
            topics.iter().map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect())).collect()
        };
    let owned_text = |text: &Option<StrBytes>| text.as_ref().map(ToString::to_string);
    let names = request.subscribed_topic_names.as_ref();
    Beat {
        member_id: request.member_id.to_string(),
        epoch: request.member_epoch,
        instance_id: owned_text(&request.instance_id),
        rack: owned_text(&request.rack_id),
        rebalance: (request.rebalance_timeout_ms != -1).then(|| millis(request.rebalance_timeout_ms)),
        topics: names.map(|names| names.iter().map(|name| name.to_string()).collect()),
        regex: owned_text(&request.subscribed_topic_regex),
        assignor: owned_text(&request.server_assignor),
        owned: request.topic_partitions.as_ref().map(owned),
        client_id: call.client_id.to_owned(),
        client_host: call.client_host.to_owned(),
    }
}

fn assignment(held: Held) -> Assignment {
    let topic = |(id, numbers): (uuid::Uuid, BTreeMap<i32, i32>)| {
        TopicPartitions::default().with_topic_id(id).with_partitions(numbers.into_keys().collect())
    };
    Assignment::default().with_topic_partitions(held.into_iter().map(topic).collect())
}

/// What can be said without knowing the group.
fn check(
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
    assignors: &[Assignor],
) -> Result<(), Refused> {
    let invalid = |why: &str| Err((ResponseError::InvalidRequest, why.to_owned()));
    let empty = |text: &Option<StrBytes>| text.as_ref().is_some_and(|text| text.is_empty());
    let epoch = request.member_epoch;
    if (version >= 1 || epoch > 0 || epoch == LEAVE) && request.member_id.is_empty() {
        return invalid("MemberId can't be empty.");
    }
    if request.group_id.is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if empty(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if empty(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    if epoch == 0 {
        if request.rebalance_timeout_ms == -1 {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if !request.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            );
        }
    } else if epoch == AWAY && request.instance_id.is_none() {
        return invalid("InstanceId can't be null.");
    } else if epoch < AWAY {
        return invalid("MemberEpoch is invalid.");
    }
    let names: Vec<&str> = assignors.iter().map(|assignor| assignor.name()).collect();
    match &request.server_assignor {
        Some(wanted) if !names.contains(&wanted.as_str()) => {
            let text = format!(
                "ServerAssignor {wanted} is not supported. Supported assignors: {}.",
                names.join(", ")
            );
            Err((ResponseError::UnsupportedAssignor, text))
        }
        _ => Ok(()),
    }
}
