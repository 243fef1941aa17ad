//! TxnOffsetCommit (28): commits a group's offsets within a transaction.
//!
//! Behaviour: the offsets are held until the transaction ends, and count if it is committed. The group's
//! partition of the offsets topic must be in the transaction; since version 5 it is put there. Since version 3
//! the member and its generation are checked, if they are told.
//! Versions: 0-5.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, OFFSETS_TOPIC};
use crate::kafka::group::{Commit, Committed};

pub(super) fn describe(request: &TxnOffsetCommitRequest, _: &Cluster, _: i32) -> Described {
    let targets = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.to_string(), partition.partition_index))
    });
    Described {
        groups: vec![request.group_id.to_string()],
        transactional_ids: vec![request.transactional_id.to_string()],
        ..Described::partitions(targets)
    }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: TxnOffsetCommitRequest,
) -> Answer<TxnOffsetCommitResponse> {
    let image = cluster.image_of(call.node);
    let known = |topic: &str, number: i32| image.partition(topic, number).is_some();
    let fault = |topic: &str, number: i32| call.faults.before(topic, Some(number));
    let partitions = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.partition_index))
    });
    // As with a broker, nothing is asked for a request that names no partition there is.
    let any =
        partitions.clone().any(|(topic, number)| known(topic, number) && fault(topic, number).is_none());
    let allowed = if any { allow(cluster, call, &request) } else { Ok(()) };
    let (group, producer_id) = (request.group_id.to_string(), request.producer_id.0);
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::new();
        for asked in topic.partitions {
            let number = asked.partition_index;
            let code = match (fault(&topic.name, number), allowed) {
                (Some(code), _) => code,
                (None, _) if !known(&topic.name, number) => ResponseError::UnknownTopicOrPartition.code(),
                (None, Err(error)) => error.code(),
                (None, Ok(())) => super::code(&hold(cluster, &group, producer_id, &topic.name, asked)),
            };
            let after = call.faults.after(&topic.name, Some(number)).filter(|_| code == 0);
            let answer = TxnOffsetCommitResponsePartition::default().with_partition_index(number);
            partitions.push(answer.with_error_code(after.unwrap_or(code)));
        }
        let answer = TxnOffsetCommitResponseTopic::default().with_name(topic.name);
        topics.push(answer.with_partitions(partitions));
    }
    Answer::Now(TxnOffsetCommitResponse::default().with_topics(topics))
}

pub(super) fn outcome(answer: &TxnOffsetCommitResponse) -> i16 {
    first_error(answer.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code))
}

/// Whether this producer and this member may commit now; if so, the transaction is open in the group's partition.
fn allow(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: &TxnOffsetCommitRequest,
) -> Result<(), ResponseError> {
    let group = &request.group_id;
    if group.is_empty() {
        return Err(ResponseError::InvalidGroupId);
    }
    let producer = (request.producer_id.0, request.producer_epoch);
    cluster.verify_offsets(call, &request.transactional_id, producer, group)?;
    let image = cluster.image_of(call.node);
    let id_of = |name: &str| image.topics.get(name).map(|topic| topic.id);
    let partitions: Vec<_> = request
        .topics
        .iter()
        .filter_map(|topic| Some((id_of(&topic.name)?, topic)))
        .flat_map(|(id, topic)| topic.partitions.iter().map(move |asked| (id, asked.partition_index)))
        .collect();
    let commit = Commit {
        member_id: &request.member_id,
        instance_id: request.group_instance_id.as_deref(),
        generation: request.generation_id,
        version: call.version(),
        is_transactional: true,
        partitions: &partitions,
    };
    if commit.generation >= 0 && !cluster.groups.contains_key(group.as_str()) {
        return Err(ResponseError::IllegalGeneration);
    }
    let allowed = cluster.with_new_group(group, |group, env| group.may_commit(env, commit));
    allowed.unwrap_or(Err(ResponseError::UnknownMemberId))?;
    let (number, now_ms) = (cluster.offsets_partition(group), cluster.now_ms);
    let (id, _) =
        cluster.led_by(call.node, OFFSETS_TOPIC, number).map_err(|_| ResponseError::NotCoordinator)?;
    let log = cluster.logs.get_mut(&(id, number)).ok_or(ResponseError::NotCoordinator)?;
    let end = log.end();
    log.producers.record_offsets(producer.0, producer.1, end, now_ms);
    Ok(())
}

fn hold(
    cluster: &mut Cluster,
    group: &str,
    producer_id: i64,
    topic: &str,
    asked: TxnOffsetCommitRequestPartition,
) -> Result<(), ResponseError> {
    let metadata = asked.committed_metadata.map(|text| text.to_string()).unwrap_or_default();
    let committed = Committed {
        offset: asked.committed_offset,
        leader_epoch: asked.committed_leader_epoch,
        metadata,
        at_ms: cluster.now_ms,
        expires_ms: None,
    };
    let held = cluster.with_group(group, |group, env| {
        committed.check(env)?;
        group.pending_offsets.hold(producer_id, topic, asked.partition_index, committed);
        Ok(())
    });
    held.unwrap_or(Err(ResponseError::UnknownMemberId))
}
