//! DescribeGroups (15): state, members and assignments of classic groups.
//!
//! Behaviour: the protocol and the subscriptions are told of stable groups only; an unknown group, or one of
//! the consumer protocol, is Dead, with GROUP_ID_NOT_FOUND since version 6. Without an authorizer, everybody may
//! do everything to a group.
//! Versions: 0-6.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::{ALL_OF_GROUP, Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, Ticket};
use crate::kafka::group::Group;
use crate::kafka::group::classic::{Classic, Member, State};
use crate::kafka::wire::text;

pub(super) fn describe(request: &DescribeGroupsRequest, _: &Cluster, _: i32) -> Described {
    let groups = request.groups.iter().map(|group| group.to_string()).collect();
    Described { groups, ..Described::default() }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeGroupsRequest,
) -> Answer<DescribeGroupsResponse> {
    let operations = request.include_authorized_operations;
    let mut groups: Vec<_> = request.groups.into_iter().map(|id| described(cluster, call, id)).collect();
    for group in groups.iter_mut().filter(|group| operations && group.error_code == 0) {
        group.authorized_operations = ALL_OF_GROUP;
    }
    Answer::Now(DescribeGroupsResponse::default().with_groups(groups))
}

pub(super) fn outcome(answer: &DescribeGroupsResponse) -> i16 {
    first_error(answer.groups.iter().map(|group| group.error_code))
}

fn described(cluster: &Cluster, call: &Call<'_>, id: GroupId) -> DescribedGroup {
    let name = id.to_string();
    let answer = DescribedGroup::default().with_group_id(id);
    let refused = call
        .faults
        .either("", None)
        .or_else(|| cluster.coordinates(call.node, &name).err().map(|error| error.code()));
    if let Some(code) = refused {
        return answer.with_error_code(code);
    }
    let known = cluster.groups.get(&name);
    let Some(group) = known.and_then(Group::classic) else {
        let answer = answer.with_group_state(text("Dead"));
        let why = if known.is_some() { "is not a classic group" } else { "not found" };
        return if call.version() >= 6 {
            answer
                .with_error_code(ResponseError::GroupIdNotFound.code())
                .with_error_message(Some(text(&format!("Group {name} {why}."))))
        } else {
            answer
        };
    };
    // What was agreed on is told only while it holds.
    let protocol = group.protocol.clone().filter(|_| group.state == State::Stable);
    answer
        .with_group_state(text(group.state.told().name()))
        .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(protocol.as_deref().unwrap_or_default()))
        .with_members(members(call, group, protocol.as_deref()))
}

fn members(call: &Call<'_>, group: &Classic<Ticket>, protocol: Option<&str>) -> Vec<DescribedGroupMember> {
    let one = |(id, member): (&String, &Member<Ticket>)| {
        let instance = member.instance_id.as_deref().map(text).filter(|_| call.version() >= 4);
        DescribedGroupMember::default()
            .with_member_id(text(id))
            .with_group_instance_id(instance)
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_member_metadata(protocol.map(|name| member.metadata(name)).unwrap_or_default())
            .with_member_assignment(member.assignment.clone())
    };
    group.members.iter().map(one).collect()
}
