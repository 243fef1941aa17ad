//! ListTransactions (66): the transactional ids a node coordinates.
//!
//! Behaviour: filtered by states, producer ids, and since version 1 by how long a transaction runs. A state
//! that does not exist is told back and matches nothing.
//! Versions: 0-1.
//! Not supported: version 2 (filter by a pattern of ids).

use std::collections::BTreeSet;

use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{
    ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId,
};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

/// Every name a filter may give; ids in the last two are never told.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub(super) fn describe(_: &ListTransactionsRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ListTransactionsRequest,
) -> Answer<ListTransactionsResponse> {
    let answer = ListTransactionsResponse::default();
    if let Some(code) = call.faults.either("", None) {
        return Answer::Now(answer.with_error_code(code));
    }
    let is_state = |name: &&str| STATES.contains(name);
    let states: BTreeSet<&str> = request.state_filters.iter().map(|name| name.as_str()).collect();
    let producers: BTreeSet<i64> = request.producer_id_filters.iter().map(|id| id.0).collect();
    let runs_ms = request.duration_filter;
    let transactions = cluster.transactions_of(call.node).filter(|(_, known)| {
        (states.is_empty() || states.contains(known.state.name()))
            && (producers.is_empty() || producers.contains(&known.producer_id))
            && (runs_ms < 0 || cluster.now_ms.saturating_sub(known.started_ms) > runs_ms)
    });
    let told = transactions.map(|(id, known)| {
        TransactionState::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(ProducerId(known.producer_id))
            .with_transaction_state(text(known.state.name()))
    });
    let told = told.collect();
    let unknown = states.iter().filter(|name| !is_state(name)).map(|name| text(name)).collect();
    Answer::Now(answer.with_transaction_states(told).with_unknown_state_filters(unknown))
}

pub(super) fn outcome(answer: &ListTransactionsResponse) -> i16 {
    answer.error_code
}
