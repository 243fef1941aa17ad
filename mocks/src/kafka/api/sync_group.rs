//! SyncGroup (14): a member asks for its assignment; the leader's request brings everybody's.
//!
//! Behaviour: see `group/`. The answer comes when the leader has assigned.
//! Versions: 0-5; since version 5 the protocol must be told and is checked.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster, Ticket};
use crate::kafka::group::{Sync, Synced};
use crate::kafka::wire::frame::{Frame, FrameError};
use crate::kafka::wire::text;

pub(super) fn describe(request: &SyncGroupRequest, _: &Cluster, _: i32) -> Described {
    Described::group(&request.group_id)
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: SyncGroupRequest,
) -> Answer<SyncGroupResponse> {
    let refuse = |code: i16| Answer::Now(SyncGroupResponse::default().with_error_code(code));
    if let Some(code) = call.faults.before("", None) {
        return refuse(code);
    }
    if let Err(error) = cluster.coordinates_valid(call.node, &request.group_id) {
        return refuse(error.code());
    }
    let untold = request.protocol_type.is_none() || request.protocol_name.is_none();
    if call.version() >= 5 && untold {
        return refuse(ResponseError::InconsistentGroupProtocol.code());
    }
    if cluster.parked() >= cluster.options.max_parked {
        return refuse(ResponseError::CoordinatorLoadInProgress.code());
    }
    let sync = Sync {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        generation: request.generation_id,
        protocol_type: request.protocol_type.map(|name| name.to_string()),
        protocol: request.protocol_name.map(|name| name.to_string()),
        assignments: request
            .assignments
            .into_iter()
            .map(|assigned| (assigned.member_id.to_string(), assigned.assignment))
            .collect(),
    };
    cluster.waiting.insert(call.ticket.conn);
    match cluster.with_group(&request.group_id, |group, env| group.sync(env, call.ticket, sync)) {
        Some(()) => Answer::Later,
        None => {
            cluster.waiting.remove(&call.ticket.conn);
            refuse(ResponseError::UnknownMemberId.code())
        }
    }
}

pub(super) fn outcome(answer: &SyncGroupResponse) -> i16 {
    answer.error_code
}

/// The answer to a member that waited.
pub(crate) fn answer(ticket: Ticket, answer: Result<Synced, ResponseError>) -> Result<Frame, FrameError> {
    let answer = match (answer, ticket.error_after) {
        (Ok(_), Some(code)) => SyncGroupResponse::default().with_error_code(code),
        (Ok(synced), None) => SyncGroupResponse::default()
            .with_protocol_type(synced.protocol_type.as_deref().map(text))
            .with_protocol_name(synced.protocol.as_deref().map(text))
            .with_assignment(synced.assignment),
        (Err(error), _) => SyncGroupResponse::default().with_error_code(error.code()),
    };
    Frame::encode(ticket.api, ticket.version, ticket.correlation, &answer)
}
