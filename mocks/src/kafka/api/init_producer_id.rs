//! InitProducerId (22): an id and an epoch for a producer.
//!
//! Behaviour: every request without a transactional id gets a new id with epoch 0, whatever id it had before.
//! With one, the coordinator bumps the epoch, which fences earlier producers of that id; a transaction they
//! left open is aborted first, and the answer is CONCURRENT_TRANSACTIONS until that is done. A producer that
//! goes on after an error tells the id and epoch it has (KIP-360). Before version 4 PRODUCER_FENCED is told as
//! INVALID_PRODUCER_EPOCH.
//! Versions: 0-5.
//! Not supported: two-phase commit (version 6, which Kafka 4 does not offer either).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::txn::Init;

pub(super) fn describe(request: &InitProducerIdRequest, _: &Cluster, _: i32) -> Described {
    Described::transaction(request.transactional_id.as_deref().map(|id| id.as_str()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: InitProducerIdRequest,
) -> Answer<InitProducerIdResponse> {
    let identity = match call.faults.before("", None) {
        Some(code) => Err(code),
        None => init(cluster, call, &request).map_err(|error| match error {
            ResponseError::ProducerFenced if call.version() < 4 => ResponseError::InvalidProducerEpoch.code(),
            error => error.code(),
        }),
    };
    let identity = match call.faults.after("", None) {
        Some(code) if identity.is_ok() => Err(code),
        _ => identity,
    };
    let code = identity.err().unwrap_or(0);
    let (id, epoch) = identity.unwrap_or((-1, -1));
    let answer = InitProducerIdResponse::default().with_error_code(code);
    Answer::Now(answer.with_producer_id(ProducerId(id)).with_producer_epoch(epoch))
}

pub(super) fn outcome(answer: &InitProducerIdResponse) -> i16 {
    answer.error_code
}

fn init(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: &InitProducerIdRequest,
) -> Result<(i64, i16), ResponseError> {
    let expected = match (request.producer_id.0, request.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => return Err(ResponseError::InvalidRequest),
        identity => Some(identity),
    };
    let Some(transactional_id) = &request.transactional_id else {
        return Ok((cluster.transactions.ids.next(call.node), 0));
    };
    let timeout_ms = request.transaction_timeout_ms;
    cluster.init_transactions(call.node, Init { transactional_id, timeout_ms, expected })
}
