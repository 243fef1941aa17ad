//! JoinGroup (11): a member enters the next generation of a classic group, or a consumer group by its old door.
//!
//! Behaviour: see `group/`. The answer comes when the generation is complete; from a consumer group, at once.
//! Versions: 0-9. Before version 1 the rebalance timeout is the session timeout; since version 4 a new member
//! is given its id first (MEMBER_ID_REQUIRED); since version 5 static members.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster, Ticket};
use crate::kafka::group::{Join, JoinRefused, Joined};
use crate::kafka::wire::frame::{Frame, FrameError};
use crate::kafka::wire::{millis, text};

pub(super) fn describe(request: &JoinGroupRequest, _: &Cluster, _: i32) -> Described {
    Described::group(&request.group_id)
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: JoinGroupRequest,
) -> Answer<JoinGroupResponse> {
    let refuse = |code: i16| Answer::Now(refused(call.ticket, code, &request.member_id));
    if let Some(code) = call.faults.before("", None) {
        return refuse(code);
    }
    if let Err(error) = cluster.coordinates_valid(call.node, &request.group_id) {
        return refuse(error.code());
    }
    if cluster.parked() >= cluster.options.max_parked {
        return refuse(ResponseError::CoordinatorLoadInProgress.code());
    }
    let session = millis(request.session_timeout_ms);
    let limits = cluster.options.group_min_session_timeout..=cluster.options.group_max_session_timeout;
    if !limits.contains(&session) {
        return refuse(ResponseError::InvalidSessionTimeout.code());
    }
    let group = request.group_id.to_string();
    if !cluster.groups.contains_key(&group) && !request.member_id.is_empty() {
        return refuse(ResponseError::UnknownMemberId.code());
    }
    let protocol = |p: &kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol| {
        (p.name.to_string(), p.metadata.clone())
    };
    let join = Join {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
        client_id: call.client_id.to_owned(),
        client_host: call.client_host.to_owned(),
        session,
        rebalance: if call.version() >= 1 { millis(request.rebalance_timeout_ms) } else { session },
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.iter().map(protocol).collect(),
        needs_known_id: call.version() >= 4,
        can_skip_assignment: call.version() >= 9,
    };
    cluster.waiting.insert(call.ticket.conn);
    cluster.with_new_group(&group, |group, env| group.join(env, call.ticket, join));
    Answer::Later
}

pub(super) fn outcome(answer: &JoinGroupResponse) -> i16 {
    answer.error_code
}

/// The answer to a member that waited.
pub(crate) fn answer(ticket: Ticket, answer: Result<Joined, JoinRefused>) -> Result<Frame, FrameError> {
    let answer = match (answer, ticket.error_after) {
        (Ok(joined), Some(code)) => refused(ticket, code, &joined.member_id),
        (Ok(joined), None) => accepted(ticket, joined),
        (Err(why), _) => refused(ticket, why.error.code(), &why.member_id),
    };
    Frame::encode(ticket.api, ticket.version, ticket.correlation, &answer)
}

fn accepted(ticket: Ticket, joined: Joined) -> JoinGroupResponse {
    let member = |(id, instance, metadata): (String, Option<String>, bytes::Bytes)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&id))
            .with_group_instance_id(instance.as_deref().map(text))
            .with_metadata(metadata)
    };
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.as_deref().map(text))
        .with_protocol_name(Some(text(joined.protocol.as_deref().unwrap_or_default())))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment && ticket.version >= 9)
        .with_member_id(text(&joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect())
}

fn refused(ticket: Ticket, code: i16, member_id: &str) -> JoinGroupResponse {
    // Null is allowed since version 7.
    let protocol = if ticket.version >= 7 { None } else { Some(text("")) };
    JoinGroupResponse::default()
        .with_error_code(code)
        .with_generation_id(-1)
        .with_protocol_name(protocol)
        .with_member_id(text(member_id))
}
