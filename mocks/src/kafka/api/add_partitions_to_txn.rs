//! AddPartitionsToTxn (24): puts partitions into a producer's transaction.
//!
//! Behaviour: the transaction begins with its first partition. All partitions or none: if one does not exist it
//! is UNKNOWN_TOPIC_OR_PARTITION and the others OPERATION_NOT_ATTEMPTED. Since version 4 brokers send it, for
//! several transactions, and may ask whether partitions are in one (`verify_only`) instead of putting them
//! there. Before version 2 PRODUCER_FENCED is told as INVALID_PRODUCER_EPOCH.
//! Versions: 0-5.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, TopicName};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::txn::Version;
use crate::kafka::wire::text;

pub(super) fn describe(request: &AddPartitionsToTxnRequest, _: &Cluster, _: i32) -> Described {
    let several = request.transactions.iter().map(|transaction| &transaction.transactional_id);
    let ids = several.chain([&request.v3_and_below_transactional_id]).filter(|id| !id.is_empty());
    let topics = request.transactions.iter().flat_map(|transaction| &transaction.topics);
    let topics = topics.chain(&request.v3_and_below_topics);
    let targets = topics.flat_map(|topic| partitions_of(std::slice::from_ref(topic)));
    let transactional_ids = ids.map(|id| id.to_string()).collect();
    Described { transactional_ids, ..Described::partitions(targets) }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: AddPartitionsToTxnRequest,
) -> Answer<AddPartitionsToTxnResponse> {
    let answer = AddPartitionsToTxnResponse::default();
    if call.version() >= 4 {
        let one = |transaction| {
            let id = AddPartitionsToTxnTransaction::clone(&transaction).transactional_id;
            let results = add(cluster, call, &transaction);
            AddPartitionsToTxnResult::default().with_transactional_id(id).with_topic_results(results)
        };
        return Answer::Now(
            answer.with_results_by_transaction(request.transactions.into_iter().map(one).collect()),
        );
    }
    let transaction = AddPartitionsToTxnTransaction::default()
        .with_transactional_id(request.v3_and_below_transactional_id)
        .with_producer_id(request.v3_and_below_producer_id)
        .with_producer_epoch(request.v3_and_below_producer_epoch)
        .with_topics(request.v3_and_below_topics);
    Answer::Now(answer.with_results_by_topic_v3_and_below(add(cluster, call, &transaction)))
}

pub(super) fn outcome(answer: &AddPartitionsToTxnResponse) -> i16 {
    let several = answer.results_by_transaction.iter().flat_map(|result| &result.topic_results);
    let topics = several.chain(&answer.results_by_topic_v3_and_below);
    let partitions = topics.flat_map(|topic| &topic.results_by_partition);
    first_error(partitions.map(|partition| partition.partition_error_code).chain([answer.error_code]))
}

fn add(
    cluster: &mut Cluster,
    call: &Call<'_>,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let partitions: BTreeSet<(String, i32)> = partitions_of(&transaction.topics).collect();
    let (id, producer) =
        (&transaction.transactional_id, (transaction.producer_id.0, transaction.producer_epoch));
    // All or none: an error for one of them leaves out the others too.
    let fault = |(topic, number): &(String, i32)| call.faults.before(topic, Some(*number));
    let mut codes: BTreeMap<(String, i32), i16> = BTreeMap::new();
    if partitions.iter().any(|partition| fault(partition).is_some()) {
        let left_out = ResponseError::OperationNotAttempted.code();
        codes.extend(partitions.iter().map(|key| (key.clone(), fault(key).unwrap_or(left_out))));
    } else {
        let version = if call.version() >= 4 { Version::BumpsEpoch } else { Version::KeepsEpoch };
        let verifies =
            transaction.verify_only && cluster.unknown_partitions(call.node, &partitions).is_empty();
        let results = if verifies {
            cluster.verify_in_transaction(call.node, id, producer, &partitions)
        } else {
            cluster.add_partitions(call.node, id, producer, partitions, version)
        };
        codes.extend(results.into_iter().map(|(key, result)| (key, in_version(call.version(), result))));
        for ((topic, number), code) in codes.iter_mut().filter(|(_, code)| **code == 0) {
            *code = call.faults.after(topic, Some(*number)).unwrap_or(0);
        }
    }
    results(&codes)
}

fn in_version(version: i16, result: Result<(), ResponseError>) -> i16 {
    match result {
        Err(ResponseError::ProducerFenced) if version < 2 => ResponseError::InvalidProducerEpoch.code(),
        result => super::code(&result),
    }
}

fn results(codes: &BTreeMap<(String, i32), i16>) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut topics: Vec<AddPartitionsToTxnTopicResult> = Vec::new();
    for ((topic, number), code) in codes {
        if topics.last().is_none_or(|last| last.name.as_str() != topic) {
            topics.push(AddPartitionsToTxnTopicResult::default().with_name(TopicName(text(topic))));
        }
        let result = AddPartitionsToTxnPartitionResult::default().with_partition_index(*number);
        if let Some(last) = topics.last_mut() {
            last.results_by_partition.push(result.with_partition_error_code(*code));
        }
    }
    topics
}

fn partitions_of(topics: &[AddPartitionsToTxnTopic]) -> impl Iterator<Item = (String, i32)> {
    topics.iter().flat_map(|topic| topic.partitions.iter().map(|number| (topic.name.to_string(), *number)))
}
