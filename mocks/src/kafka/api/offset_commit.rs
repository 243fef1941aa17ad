//! OffsetCommit (8): keeps a group's position.
//!
//! Behaviour: unknown partitions are refused one by one, before anything else, and told first. For the others the
//! member and its generation are checked; without a member only an empty group takes commits. A commit counts as a
//! heartbeat.
//! Versions: 2-9.
//! Not supported: expiry of offsets, `retention_time`, topic ids (version 10).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::{Answer, Described, code, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::group::{Commit, Committed};

const UNKNOWN: i16 = ResponseError::UnknownTopicOrPartition.code();

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
    let has_known = request.topics.iter().any(|topic| {
        topic.partitions.iter().any(|one| image.partition(&topic.name, one.partition_index).is_some())
    });
    // A group is not asked, nor made, for nothing.
    let allowed = if has_known { may_commit(cluster, call, &request) } else { Ok(()) };
    let at_ms = cluster.now_ms;
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
            };
            let result = match (call.faults.before(&topic.name, Some(number)), allowed) {
                (Some(code), _) => code,
                (None, _) if image.partition(&topic.name, number).is_none() => UNKNOWN,
                (None, Err(error)) => error.code(),
                (None, Ok(())) => {
                    let kept =
                        cluster.with_group(&group, |group, _| group.commit(&topic.name, number, committed));
                    code(&kept.unwrap_or(Err(ResponseError::UnknownMemberId)))
                }
            };
            let after = call.faults.after(&topic.name, Some(number)).filter(|_| result == 0);
            let answer = OffsetCommitResponsePartition::default().with_partition_index(number);
            partitions.push(answer.with_error_code(after.unwrap_or(result)));
        }
        if !partitions.is_empty() || !image.topics.contains_key(topic.name.as_str()) {
            partitions.sort_by_key(is_known);
            topics
                .push(OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions));
        }
    }
    topics.sort_by_key(|topic| topic.partitions.first().is_some_and(is_known));
    Answer::Now(OffsetCommitResponse::default().with_topics(topics))
}

pub(super) fn outcome(answer: &OffsetCommitResponse) -> i16 {
    first_error(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code))
}

fn is_known(partition: &OffsetCommitResponsePartition) -> bool {
    partition.error_code != UNKNOWN
}

fn may_commit(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: &OffsetCommitRequest,
) -> Result<(), ResponseError> {
    cluster.coordinates(call.node, &request.group_id)?;
    let commit = Commit {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
    };
    if commit.generation >= 0 && !cluster.groups.contains_key(request.group_id.as_str()) {
        return Err(match call.version() {
            9.. => ResponseError::GroupIdNotFound,
            _ => ResponseError::IllegalGeneration,
        });
    }
    let allowed = cluster.with_new_group(&request.group_id, |group, env| group.may_commit(env, commit));
    allowed.unwrap_or(Err(ResponseError::UnknownMemberId))
}
