//! OffsetCommit (8): keeps a group's position.
//!
//! Behaviour: partitions that do not exist are refused before anything else is looked at. Then the member and its
//! generation or epoch are checked, for all at once; without a member only an empty group takes commits. A commit
//! counts as a heartbeat of a classic group.
//! Versions: 2-9; up to version 4 the client may say how long the offsets are kept; since version 9 members of the
//! consumer protocol.
//! Not supported: topic ids (version 10), which the codec does not know.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use uuid::Uuid;

use super::{Answer, Described, code, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::group::{Commit, Committed};

pub(super) fn describe(request: &OffsetCommitRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.topics.iter();
    let targets = topics.flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.to_string(), partition.partition_index))
    });
    Described { groups: vec![request.group_id.to_string()], ..Described::partitions(targets) }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: OffsetCommitRequest,
) -> Answer<OffsetCommitResponse> {
    let group = request.group_id.to_string();
    let image = cluster.image_of(call.node);
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
        let all_known = partitions.iter().all(|told| is_known(told.partition_index));
        let answer = OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions);
        topics.push((all_known, answer));
    }
    topics.sort_by_key(|(all_known, _)| *all_known);
    let topics = topics.into_iter().map(|(_, answer)| answer).collect();
    Answer::Now(OffsetCommitResponse::default().with_topics(topics))
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
