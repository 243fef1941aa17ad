//! ConsumerGroupDescribe (69): state, members and assignments of groups of the consumer protocol.
//!
//! Behaviour: what a member holds includes what it is giving back; its target is told beside. Without an
//! authorizer, everybody may do everything to a group.
//! Versions: 0-1; since version 1 the protocol each member speaks.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member as DescribedMember, TopicPartitions,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId, TopicName,
};
use uuid::Uuid;

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::group::Group;
use crate::kafka::group::consumer::{Consumer, Member};
use crate::kafka::image::Image;
use crate::kafka::wire::text;

pub(super) fn describe(request: &ConsumerGroupDescribeRequest, _: &Cluster, _: i32) -> Described {
    let groups = request.group_ids.iter().map(|group| group.to_string()).collect();
    Described { groups, ..Described::default() }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ConsumerGroupDescribeRequest,
) -> Answer<ConsumerGroupDescribeResponse> {
    let operations = request.include_authorized_operations;
    let mut ids = request.group_ids;
    ids.sort_by_key(|id| !id.is_empty()); // those without a name are told first
    let mut groups: Vec<_> = ids.into_iter().map(|id| described(cluster, call, id)).collect();
    for group in groups.iter_mut().filter(|group| operations && group.error_code == 0) {
        group.authorized_operations = super::ALL_OF_GROUP;
    }
    Answer::Now(ConsumerGroupDescribeResponse::default().with_groups(groups))
}

pub(super) fn outcome(answer: &ConsumerGroupDescribeResponse) -> i16 {
    first_error(answer.groups.iter().map(|group| group.error_code))
}

fn described(cluster: &Cluster, call: &Call<'_>, id: GroupId) -> DescribedGroup {
    let name = id.to_string();
    let answer = DescribedGroup::default().with_group_id(id);
    let coordinates = || cluster.coordinates_valid(call.node, &name).err().map(|error| error.code());
    if let Some(code) = call.faults.either("", None).or_else(coordinates) {
        return answer.with_error_code(code);
    }
    let known = cluster.groups.get(&name);
    let Some(group) = known.and_then(Group::consumer) else {
        let why = if known.is_some() { "is not a consumer group" } else { "not found" };
        return answer
            .with_error_code(ResponseError::GroupIdNotFound.code())
            .with_error_message(Some(text(&format!("Group {name} {why}."))));
    };
    let image = cluster.image_of(call.node);
    let members = group.members.iter().map(|(id, member)| told(group, id, member, &image, call.version()));
    answer
        .with_group_state(text(group.state().name()))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.assignment_epoch)
        .with_assignor_name(text(group.assignor(&cluster.options.group_consumer_assignors).name()))
        .with_members(members.collect())
}

fn told(group: &Consumer, id: &str, member: &Member, image: &Image, version: i16) -> DescribedMember {
    let target = group.target(id);
    let target = target.iter().flat_map(|(topic, numbers)| numbers.iter().map(|number| (*topic, *number)));
    let kind = if member.classic.is_some() { 0 } else { 1 };
    DescribedMember::default()
        .with_member_id(text(id))
        .with_instance_id(member.instance_id.as_deref().map(text))
        .with_rack_id(member.rack.as_deref().map(text))
        .with_member_epoch(member.epoch)
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_subscribed_topic_names(member.topics.iter().map(|name| TopicName(text(name))).collect())
        .with_subscribed_topic_regex(Some(text(&member.regex)))
        .with_assignment(assignment(member.held(), image))
        .with_target_assignment(assignment(target, image))
        .with_member_type(if version >= 1 { kind } else { -1 })
}

/// Partitions of topics that exist.
fn assignment(partitions: impl Iterator<Item = (Uuid, i32)>, image: &Image) -> Assignment {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic, number) in partitions {
        topics.entry(topic).or_default().push(number);
    }
    let told = |(id, partitions): (Uuid, Vec<i32>)| {
        let name = TopicName(text(image.ids.get(&id)?));
        Some(TopicPartitions::default().with_topic_id(id).with_topic_name(name).with_partitions(partitions))
    };
    Assignment::default().with_topic_partitions(topics.into_iter().filter_map(told).collect())
}
