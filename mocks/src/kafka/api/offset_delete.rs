//! OffsetDelete (47): forgets committed offsets of topics that the group does not read.
//!
//! Behaviour: GROUP_SUBSCRIBED_TO_TOPIC for a topic that a member reads, NON_EMPTY_GROUP if the members are not
//! consumers; an offset that was never committed is deleted just as well, and so is what an open transaction
//! holds. A partition that does not exist is refused before the group is looked at.
//! Versions: 0.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::group::Kind;
use crate::kafka::group::classic::State;

pub(super) fn describe(request: &OffsetDeleteRequest, _: &Cluster, _: i32) -> Described {
    let targets = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.to_string(), partition.partition_index))
    });
    Described { groups: vec![request.group_id.to_string()], ..Described::partitions(targets) }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: OffsetDeleteRequest,
) -> Answer<OffsetDeleteResponse> {
    if let Err(error) = may_delete(cluster, call, &request.group_id) {
        return Answer::Now(OffsetDeleteResponse::default().with_error_code(error.code()));
    }
    let image = cluster.image_of(call.node);
    let mut topics = Vec::new();
    for topic in request.topics {
        let name = topic.name.to_string();
        let mut partitions = Vec::new();
        for asked in topic.partitions {
            let number = asked.partition_index;
            let before = call.faults.before(&name, Some(number));
            let result = match before {
                Some(code) => code,
                None if image.partition(&name, number).is_none() => {
                    ResponseError::UnknownTopicOrPartition.code()
                }
                None => delete(cluster, &request.group_id, &name, number),
            };
            let after = call.faults.after(&name, Some(number)).filter(|_| result == 0);
            let answer = OffsetDeleteResponsePartition::default().with_partition_index(number);
            partitions.push(answer.with_error_code(after.unwrap_or(result)));
        }
        // What does not exist is told first, as it was found out first.
        let is_known = |number| image.partition(&name, number).is_some();
        partitions.sort_by_key(|told: &OffsetDeleteResponsePartition| is_known(told.partition_index));
        topics.push(OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions));
    }
    Answer::Now(OffsetDeleteResponse::default().with_topics(topics))
}

pub(super) fn outcome(answer: &OffsetDeleteResponse) -> i16 {
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    first_error(std::iter::once(answer.error_code).chain(partitions.map(|partition| partition.error_code)))
}

fn may_delete(cluster: &Cluster, call: &Call<'_>, id: &str) -> Result<(), ResponseError> {
    cluster.coordinates_valid(call.node, id)?;
    match &cluster.groups.get(id).ok_or(ResponseError::GroupIdNotFound)?.kind {
        Kind::Classic(group) if group.state != State::Empty && !group.is_of_consumers() => {
            Err(ResponseError::NonEmptyGroup)
        }
        _ => Ok(()),
    }
}

fn delete(cluster: &mut Cluster, id: &str, topic: &str, number: i32) -> i16 {
    let Some(group) = cluster.groups.get_mut(id) else { return ResponseError::GroupIdNotFound.code() };
    if group.is_subscribed(topic) {
        return ResponseError::GroupSubscribedToTopic.code();
    }
    group.delete_offset(topic, number);
    0
}
