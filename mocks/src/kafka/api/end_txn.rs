//! EndTxn (26): commits or aborts a producer's transaction.
//!
//! Behaviour: answered once the outcome is decided; markers are written afterwards, and until they are the
//! next transaction is CONCURRENT_TRANSACTIONS. Since version 5 (transactions of version 2) every end bumps the
//! producer's epoch, or gives it a new id when epochs run out: both are in the answer, also when the same end
//! is asked for once more. Before version 2 PRODUCER_FENCED is told as INVALID_PRODUCER_EPOCH.
//! Versions: 0-5.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::txn::{End, Version};

pub(super) fn describe(request: &EndTxnRequest, _: &Cluster, _: i32) -> Described {
    Described::transaction(Some(&request.transactional_id))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: EndTxnRequest,
) -> Answer<EndTxnResponse> {
    let version = if call.version() >= 5 { Version::BumpsEpoch } else { Version::KeepsEpoch };
    let ended = match call.faults.before("", None) {
        Some(code) => Err(code),
        None => {
            let (producer_id, epoch) = (request.producer_id.0, request.producer_epoch);
            let end = End { producer_id, epoch, commit: request.committed, version };
            let ended = cluster.end_transaction(call.node, &request.transactional_id, end);
            ended.map_err(|error| match error {
                ResponseError::ProducerFenced if call.version() < 2 => {
                    ResponseError::InvalidProducerEpoch.code()
                }
                error => error.code(),
            })
        }
    };
    let ended = match call.faults.after("", None) {
        Some(code) if ended.is_ok() => Err(code),
        _ => ended,
    };
    let code = ended.err().unwrap_or(0);
    let answer = EndTxnResponse::default().with_error_code(code);
    let (id, epoch) = ended.ok().filter(|_| version == Version::BumpsEpoch).unwrap_or((-1, -1));
    Answer::Now(answer.with_producer_id(ProducerId(id)).with_producer_epoch(epoch))
}

pub(super) fn outcome(answer: &EndTxnResponse) -> i16 {
    answer.error_code
}
