//! AddOffsetsToTxn (25): puts a group's partition of the offsets topic into a producer's transaction.
//!
//! Behaviour: as AddPartitionsToTxn for that one partition. Before version 2 PRODUCER_FENCED is told as
//! INVALID_PRODUCER_EPOCH.
//! Versions: 0-4.

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster, OFFSETS_TOPIC};
use crate::kafka::txn::Version;

pub(super) fn describe(request: &AddOffsetsToTxnRequest, _: &Cluster, _: i32) -> Described {
    let groups = vec![request.group_id.to_string()];
    Described { groups, ..Described::transaction(Some(&request.transactional_id)) }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: AddOffsetsToTxnRequest,
) -> Answer<AddOffsetsToTxnResponse> {
    let code = match call.faults.before("", None) {
        Some(code) => code,
        None => {
            let partition = (OFFSETS_TOPIC.to_owned(), cluster.offsets_partition(&request.group_id));
            let producer = (request.producer_id.0, request.producer_epoch);
            let added = cluster.add_to_transaction(
                call.node,
                &request.transactional_id,
                producer,
                BTreeSet::from([partition]),
                Version::KeepsEpoch,
            );
            match added {
                Err(ResponseError::ProducerFenced) if call.version() < 2 => {
                    ResponseError::InvalidProducerEpoch.code()
                }
                added => super::code(&added),
            }
        }
    };
    let after = call.faults.after("", None).filter(|_| code == 0);
    Answer::Now(AddOffsetsToTxnResponse::default().with_error_code(after.unwrap_or(code)))
}

pub(super) fn outcome(answer: &AddOffsetsToTxnResponse) -> i16 {
    answer.error_code
}
