//! Heartbeat (12): a member says it lives and learns of rebalances.
//!
//! Behaviour: REBALANCE_IN_PROGRESS while members join; a heartbeat while the leader assigns is fine.
//! Versions: 0-4.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Answer, Described, code};
use crate::kafka::cluster::{Call, Cluster};

pub(super) fn describe(request: &HeartbeatRequest, _: &Cluster, _: i32) -> Described {
    Described::group(&request.group_id)
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: HeartbeatRequest,
) -> Answer<HeartbeatResponse> {
    let answer = |code: i16| Answer::Now(HeartbeatResponse::default().with_error_code(code));
    if let Some(code) = call.faults.before("", None) {
        return answer(code);
    }
    if let Err(error) = cluster.coordinates_valid(call.node, &request.group_id) {
        return answer(error.code());
    }
    let beaten = cluster.with_group(&request.group_id, |group, env| {
        group.heartbeat(env, &request.member_id, request.group_instance_id.as_deref(), request.generation_id)
    });
    let result = code(&beaten.unwrap_or(Err(ResponseError::UnknownMemberId)));
    answer(call.faults.after("", None).filter(|_| result == 0).unwrap_or(result))
}

pub(super) fn outcome(answer: &HeartbeatResponse) -> i16 {
    answer.error_code
}
