//! LeaveGroup (13): members go, and the others rebalance at once.
//!
//! Behaviour: one member before version 3, any number since; a static member may be named by its instance.
//! Versions: 0-5.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Answer, Described, code, first_error};
use crate::kafka::cluster::{Call, Cluster};

pub(super) fn describe(request: &LeaveGroupRequest, _: &Cluster, _: i32) -> Described {
    Described::group(&request.group_id)
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: LeaveGroupRequest,
) -> Answer<LeaveGroupResponse> {
    let refuse = |code: i16| Answer::Now(LeaveGroupResponse::default().with_error_code(code));
    if let Some(code) = call.faults.before("", None) {
        return refuse(code);
    }
    if let Err(error) = cluster.coordinates_valid(call.node, &request.group_id) {
        return refuse(error.code());
    }
    let several = call.version() >= 3;
    let leaving = if several {
        request.members
    } else {
        vec![MemberIdentity::default().with_member_id(request.member_id)]
    };
    let named = |member: &MemberIdentity| {
        (member.member_id.to_string(), member.group_instance_id.as_ref().map(ToString::to_string))
    };
    let identities: Vec<_> = leaving.iter().map(named).collect();
    let left = cluster.with_group(&request.group_id, |group, env| group.leave(env, &identities));
    let left = left.unwrap_or_else(|| vec![Err(ResponseError::UnknownMemberId); leaving.len()]);
    let member = |(member, left): (MemberIdentity, Result<(), ResponseError>)| {
        MemberResponse::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.group_instance_id)
            .with_error_code(code(&left))
    };
    let members: Vec<MemberResponse> = leaving.into_iter().zip(left).map(member).collect();
    let mut answer = LeaveGroupResponse::default();
    if several {
        answer.members = members;
    } else {
        answer.error_code = first_error(members.iter().map(|member| member.error_code));
    }
    if let Some(code) = call.faults.after("", None) {
        return refuse(code);
    }
    Answer::Now(answer)
}

pub(super) fn outcome(answer: &LeaveGroupResponse) -> i16 {
    first_error(answer.members.iter().map(|member| member.error_code).chain([answer.error_code]))
}
