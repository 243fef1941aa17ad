//! OffsetCommit (8): keeps a group's position.
//!
//! Behaviour: partitions that do not exist are refused before anything else is looked at. Then the member and its
//! generation or epoch are checked, for all at once; without a member only an empty group takes commits. A commit
//! counts as a heartbeat of a classic group.
//! Versions: 2-10; up to version 4 the client may say how long the offsets are kept; since version 9 members of the
//! consumer protocol; since version 10 topics by id.
//! Not supported: nothing.

use indexmap::IndexMap;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, TopicName};
use uuid::Uuid;

use super::{Answer, Described, code, first_error, tags_of, topic_id};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::group::{Commit, Committed};
use crate::kafka::image::Image;
use crate::kafka::wire::text;

pub(super) fn describe(request: &OffsetCommitRequest, cluster: &Cluster, node: i32) -> Described {
    let image = cluster.image_of(node);
    let targets = request.topics.iter().flat_map(|topic| {
        let name = match topic_id(&topic.unknown_tagged_fields) {
            Some(id) => image.ids.get(&id).cloned().unwrap_or_default(),
            None => topic.name.to_string(),
        };
        topic.partitions.iter().map(move |partition| (name.clone(), partition.partition_index))
    });
    Described { groups: vec![request.group_id.to_string()], ..Described::partitions(targets) }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    mut request: OffsetCommitRequest,
) -> Answer<OffsetCommitResponse> {
    let group = request.group_id.to_string();
    let image = cluster.image_of(call.node);
    let by_id = call.version() >= 10;
    if by_id {
        name_topics(&mut request, &image);
    }
    let id_of = |name: &str, number| {
        image.partition(name, number).and(image.topics.get(name)).map(|topic| (topic.id, number))
    };
    let known: Vec<_> = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|asked| (topic.name.as_str(), asked.partition_index)))
        .filter_map(|(name, number)| id_of(name, number))
        .collect();
    let allowed = may_commit(cluster, call, &request, &known);
    let at_ms = cluster.now_ms;
    let expires_ms =
        (request.retention_time_ms != -1).then(|| at_ms.saturating_add(request.retention_time_ms));
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        let is_nowhere = by_id && topic.name.is_empty();
        for asked in topic.partitions {
            let number = asked.partition_index;
            let committed = Committed {
                offset: asked.committed_offset,
                leader_epoch: asked.committed_leader_epoch,
                metadata: asked.committed_metadata.map(|text| text.to_string()).unwrap_or_default(),
                at_ms,
                expires_ms,
            };
            let result = match (call.faults.before(&topic.name, Some(number)), allowed) {
                (Some(code), _) => code,
                (None, _) if is_nowhere => ResponseError::UnknownTopicId.code(),
                (None, _) if id_of(&topic.name, number).is_none() => {
                    ResponseError::UnknownTopicOrPartition.code()
                }
                (None, Err(error)) => error.code(),
                (None, Ok(())) => {
                    let kept = cluster
                        .with_group(&group, |group, env| group.commit(env, &topic.name, number, committed));
                    code(&kept.unwrap_or(Err(ResponseError::UnknownMemberId)))
                }
            };
            let after = call.faults.after(&topic.name, Some(number)).filter(|_| result == 0);
            let answer = OffsetCommitResponsePartition::default().with_partition_index(number);
            partitions.push(answer.with_error_code(after.unwrap_or(result)));
        }
        if partitions.is_empty() && image.topics.contains_key(topic.name.as_str()) {
            continue;
        }
        // What does not exist is told first, as it was found out first.
        let is_known = |number| id_of(&topic.name, number).is_some();
        partitions.sort_by_key(|told: &OffsetCommitResponsePartition| is_known(told.partition_index));
        let all_known = !is_nowhere && partitions.iter().all(|told| is_known(told.partition_index));
        let id = topic_id(&topic.unknown_tagged_fields).filter(|_| by_id);
        topics.push((all_known, (topic.name, id), partitions));
    }
    topics.sort_by_key(|(all_known, ..)| *all_known);
    // A topic that was named twice is told of once.
    let mut merged: IndexMap<(TopicName, Option<Uuid>), Vec<OffsetCommitResponsePartition>> = IndexMap::new();
    for (_, topic, partitions) in topics {
        merged.entry(topic).or_default().extend(partitions);
    }
    let topic = |((name, id), partitions)| {
        let topic = OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions);
        topic.with_unknown_tagged_fields(tags_of(id))
    };
    Answer::Now(OffsetCommitResponse::default().with_topics(merged.into_iter().map(topic).collect()))
}

/// Names the topics that are told by id. One that nobody knows has no name.
fn name_topics(request: &mut OffsetCommitRequest, image: &Image) {
    for topic in &mut request.topics {
        let name = topic_id(&topic.unknown_tagged_fields).and_then(|id| image.ids.get(&id));
        topic.name = TopicName(text(name.map_or("", String::as_str)));
    }
}

pub(super) fn outcome(answer: &OffsetCommitResponse) -> i16 {
    first_error(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code))
}

fn may_commit(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: &OffsetCommitRequest,
    partitions: &[(Uuid, i32)],
) -> Result<(), ResponseError> {
    cluster.coordinates(call.node, &request.group_id)?;
    let commit = Commit {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
        version: call.version(),
        is_transactional: false,
        partitions,
    };
    if commit.generation >= 0 && !cluster.groups.contains_key(request.group_id.as_str()) {
        let is_old = call.version() < 9;
        return Err(if is_old { ResponseError::IllegalGeneration } else { ResponseError::GroupIdNotFound });
    }
    if partitions.is_empty() {
        return Ok(()); // nothing is left to be kept, and no group to be made
    }
    let allowed = cluster.with_new_group(&request.group_id, |group, env| group.may_commit(env, commit));
    allowed.unwrap_or(Err(ResponseError::UnknownMemberId))
}
