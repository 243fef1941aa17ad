//! InitProducerId (22): an id for an idempotent producer.
//!
//! Behaviour: every request without a transactional id gets a new id with epoch 0, whatever id it had before,
//! as in Kafka.
//! Versions: 0-5.
//! Not supported: transactional producers (INVALID_REQUEST).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};

pub(super) fn describe(_: &InitProducerIdRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: InitProducerIdRequest,
) -> Answer<InitProducerIdResponse> {
    let refuse = |code: i16| {
        let answer = InitProducerIdResponse::default().with_error_code(code);
        Answer::Now(answer.with_producer_id(ProducerId(-1)).with_producer_epoch(-1))
    };
    if let Some(code) = call.faults.before("", None) {
        return refuse(code);
    }
    if let Some(id) = request.transactional_id {
        tracing::warn!(transactional_id = %id.0, "transactional producers are not supported");
        return refuse(ResponseError::InvalidRequest.code());
    }
    let id = cluster.next_producer_id;
    cluster.next_producer_id += 1;
    if let Some(code) = call.faults.after("", None) {
        return refuse(code);
    }
    Answer::Now(InitProducerIdResponse::default().with_producer_id(ProducerId(id)))
}

pub(super) fn outcome(answer: &InitProducerIdResponse) -> i16 {
    answer.error_code
}
