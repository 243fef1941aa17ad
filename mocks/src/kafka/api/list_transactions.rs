//! ListTransactions (66): the transactional ids a node coordinates.
//!
//! Behaviour: filtered by states, producer ids, since version 1 by how long a transaction runs, and since
//! version 2 by a regular expression the whole id must match. A state that does not exist is told back and
//! matches nothing; a bad expression is INVALID_REGULAR_EXPRESSION.
//! Versions: 0-2.

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{
    ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId,
};

use regex::{Regex, RegexBuilder};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

/// Most bytes an expression may take once it is compiled.
const PATTERN_BYTES: usize = 1024 * 1024;
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
    let pattern = request.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty());
    let Ok(pattern) = pattern.map(whole).transpose() else {
        return Answer::Now(answer.with_error_code(ResponseError::InvalidRegularExpression.code()));
    };
    let is_state = |name: &&str| STATES.contains(name);
    let states: BTreeSet<&str> = request.state_filters.iter().map(|name| name.as_str()).collect();
    let producers: BTreeSet<i64> = request.producer_id_filters.iter().map(|id| id.0).collect();
    let runs_ms = request.duration_filter;
    let transactions = cluster.transactions_of(call.node).filter(|(id, known)| {
        (states.is_empty() || states.contains(known.state.name()))
            && (producers.is_empty() || producers.contains(&known.producer_id))
            && (runs_ms < 0 || cluster.now_ms.saturating_sub(known.started_ms) > runs_ms)
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
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

/// The expression for a whole id.
fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_BYTES).build()
}

pub(super) fn outcome(answer: &ListTransactionsResponse) -> i16 {
    answer.error_code
}
