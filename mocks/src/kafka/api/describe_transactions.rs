//! DescribeTransactions (65): where transactional ids stand.
//!
//! Behaviour: each id by itself; NOT_COORDINATOR from another node than its coordinator,
//! TRANSACTIONAL_ID_NOT_FOUND if it was not initialised.
//! Versions: 0.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId, TopicName,
};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(request: &DescribeTransactionsRequest, _: &Cluster, _: i32) -> Described {
    let transactional_ids = request.transactional_ids.iter().map(|id| id.to_string()).collect();
    Described { transactional_ids, ..Described::default() }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeTransactionsRequest,
) -> Answer<DescribeTransactionsResponse> {
    let one = |id: kafka_protocol::messages::TransactionalId| {
        let known = match call.faults.either("", None) {
            Some(code) => Err(code),
            None => state(cluster, call.node, &id).map_err(|error| error.code()),
        };
        let code = known.as_ref().err().copied().unwrap_or(0);
        known.unwrap_or_default().with_error_code(code).with_transactional_id(id)
    };
    let states = request.transactional_ids.into_iter().map(one).collect();
    Answer::Now(DescribeTransactionsResponse::default().with_transaction_states(states))
}

pub(super) fn outcome(answer: &DescribeTransactionsResponse) -> i16 {
    first_error(answer.transaction_states.iter().map(|state| state.error_code))
}

fn state(cluster: &Cluster, node: i32, id: &str) -> Result<TransactionState, ResponseError> {
    if id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    cluster.coordinates_transaction(node, id)?;
    let known = cluster.transactions.known.get(id).ok_or(ResponseError::TransactionalIdNotFound)?;
    let mut topics: Vec<TopicData> = Vec::new();
    for (topic, number) in &known.partitions {
        match topics.last_mut() {
            Some(last) if last.topic.as_str() == topic => last.partitions.push(*number),
            _ => topics
                .push(TopicData::default().with_topic(TopicName(text(topic))).with_partitions(vec![*number])),
        }
    }
    Ok(TransactionState::default()
        .with_transaction_state(text(known.state.name()))
        .with_transaction_timeout_ms(known.timeout_ms)
        .with_transaction_start_time_ms(known.started_ms)
        .with_producer_id(ProducerId(known.producer_id))
        .with_producer_epoch(known.epoch)
        .with_topics(topics))
}
