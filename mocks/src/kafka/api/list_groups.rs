//! ListGroups (16): the groups the asked broker coordinates.
//!
//! Behaviour: filtered by state and type if asked; groups that only hold offsets are among them.
//! Versions: 0-5.

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(_: &ListGroupsRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ListGroupsRequest,
) -> Answer<ListGroupsResponse> {
    if let Some(code) = call.faults.either("", None) {
        return Answer::Now(ListGroupsResponse::default().with_error_code(code));
    }
    let fits = |filter: &[kafka_protocol::protocol::StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(value))
    };
    let here = cluster.groups.values().filter(|group| cluster.coordinates(call.node, &group.id).is_ok());
    let wanted = here.filter(|group| {
        fits(&request.states_filter, group.state().name()) && fits(&request.types_filter, group.type_name())
    });
    let listed = wanted.map(|group| {
        let answer = ListedGroup::default().with_group_id(GroupId(text(&group.id)));
        let answer = answer.with_protocol_type(text(group.protocol_type()));
        answer.with_group_state(text(group.state().name())).with_group_type(text(group.type_name()))
    });
    Answer::Now(ListGroupsResponse::default().with_groups(listed.collect()))
}

pub(super) fn outcome(answer: &ListGroupsResponse) -> i16 {
    answer.error_code
}
