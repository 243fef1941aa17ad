//! What the leader of a partition asks the coordinator before it takes records into a transaction.
//!
//! Kafka's `AddPartitionsToTxnManager`: the first batch of a transaction in a partition is appended only if the
//! coordinator says the partition is in the transaction. With older requests the client has put it there; with
//! transactions of version 2 (Produce 12, TxnOffsetCommit 5) the leader does so itself. Errors are told in
//! words the client's version knows. Asking takes no time; where Kafka asks again for 100 ms while the last
//! transaction is being completed, the client hears CONCURRENT_TRANSACTIONS at once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ProduceRequest;

use super::state::Version;
use crate::kafka::cluster::{Call, Cluster, OFFSETS_TOPIC};
use crate::kafka::log::Rejected;
use crate::kafka::wire::batch::{BatchHeader, HEADER, PREFIX};
use crate::kafka::wire::errors;

/// Offsets are committed without sequences.
const NO_SEQUENCE: i32 = -1;

/// How a request asks, by its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Verify, and tell errors the oldest clients know.
    DefaultErrors,
    /// Verify; TRANSACTION_ABORTABLE is known.
    Verify,
    /// Put the partitions into the transaction.
    Add,
}

/// What became of asking for a produce request.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// Stands for every partition.
    whole: Option<Rejected>,
    refused: BTreeMap<(String, i32), Rejected>,
}

impl Verified {
    /// Why a partition may not be written to.
    pub fn error(&self, topic: &str, partition: i32) -> Option<&Rejected> {
        if self.refused.is_empty() {
            return self.whole.as_ref();
        }
        self.whole.as_ref().or_else(|| self.refused.get(&(topic.to_owned(), partition)))
    }
}

/// A transactional batch of a request.
struct Batch {
    topic: String,
    partition: i32,
    sequence: i32,
}

impl Cluster {
    /// Asks the coordinator about the transactional batches of a request; nothing if there are none.
    pub fn verify_produce(&mut self, call: &Call<'_>, request: &ProduceRequest) -> Verified {
        let (mut batches, mut producers) = (Vec::new(), BTreeSet::new());
        for topic in &request.topic_data {
            for partition in &topic.partition_data {
                let records = partition.records.as_ref();
                let Some(header) = records.and_then(transactional_header) else { continue };
                let name = match topic.topic_id.is_nil() {
                    true => Some(topic.name.to_string()),
                    false => self.topic_name(call.node, topic.topic_id),
                };
                producers.insert((header.producer_id, header.producer_epoch));
                let Some(name) = name else { continue };
                if call.faults.before(&name, Some(partition.index)).is_none() {
                    let (partition, sequence) = (partition.index, header.base_sequence);
                    batches.push(Batch { topic: name, partition, sequence });
                }
            }
        }
        let whole = |error| Verified { whole: Some(error), refused: BTreeMap::new() };
        let Some(producer) = producers.first().copied() else { return Verified::default() };
        let Some(id) = &request.transactional_id else {
            return whole(ResponseError::TransactionalIdAuthorizationFailed.into());
        };
        if producers.len() > 1 {
            let text = "Transactional records contained more than one producer ID";
            return whole(Rejected::with(ResponseError::InvalidProducerIdMapping, text));
        }
        let operation = match call.version() {
            12.. => Operation::Add,
            11 => Operation::Verify,
            _ => Operation::DefaultErrors,
        };
        let refused = self.verify(call.node, id, producer, operation, &batches);
        let told = refused.into_iter().map(|(partition, error)| (partition, for_producer(error, operation)));
        Verified { whole: None, refused: told.collect() }
    }

    /// Asks the coordinator whether offsets of `group` may be committed in a transaction.
    pub fn verify_offsets(
        &mut self,
        call: &Call<'_>,
        id: &str,
        producer: (i64, i16),
        group: &str,
    ) -> Result<(), ResponseError> {
        let operation = match call.version() {
            5.. => Operation::Add,
            4 => Operation::Verify,
            _ => Operation::DefaultErrors,
        };
        let (topic, partition) = (OFFSETS_TOPIC.to_owned(), self.offsets_partition(group));
        let batch = Batch { topic, partition, sequence: NO_SEQUENCE };
        let refused = self.verify(call.node, id, producer, operation, &[batch]);
        match refused.into_values().next() {
            None => Ok(()),
            Some(ResponseError::NetworkException) => Err(ResponseError::CoordinatorLoadInProgress),
            Some(ResponseError::NotLeaderOrFollower | ResponseError::KafkaStorageError) => {
                Err(ResponseError::NotCoordinator)
            }
            Some(ResponseError::UnknownTopicOrPartition | ResponseError::NotEnoughReplicas) => {
                Err(ResponseError::CoordinatorNotAvailable)
            }
            Some(error) => Err(error),
        }
    }

    /// The partitions that may not be written to, each with the reason.
    fn verify(
        &mut self,
        node: i32,
        id: &str,
        producer: (i64, i16),
        operation: Operation,
        batches: &[Batch],
    ) -> BTreeMap<(String, i32), ResponseError> {
        let (mut refused, mut asked) = (BTreeMap::new(), BTreeSet::new());
        for batch in batches {
            let key = (batch.topic.clone(), batch.partition);
            match self.begin_verification(node, producer, operation, batch) {
                Ok(true) => drop(asked.insert(key)),
                Ok(false) => {}
                Err(error) => drop(refused.insert(key, error)),
            }
        }
        if !asked.is_empty() {
            refused.extend(self.ask(node, id, producer, operation, asked));
        }
        refused
    }

    fn begin_verification(
        &mut self,
        node: i32,
        producer: (i64, i16),
        operation: Operation,
        batch: &Batch,
    ) -> Result<bool, ResponseError> {
        let (topic_id, _) = self.led_by(node, &batch.topic, batch.partition)?;
        let log = self.logs.get_mut(&(topic_id, batch.partition)).ok_or(ResponseError::KafkaStorageError)?;
        let bumps_epoch = operation == Operation::Add;
        log.producers.begin_verification(producer, batch.sequence, bumps_epoch, self.now_ms)
    }

    /// One request to the coordinator, and its answer in the words of the leader that asked.
    fn ask(
        &mut self,
        node: i32,
        id: &str,
        producer: (i64, i16),
        operation: Operation,
        partitions: BTreeSet<(String, i32)>,
    ) -> BTreeMap<(String, i32), ResponseError> {
        let all = |error| partitions.iter().map(|partition| (partition.clone(), error)).collect();
        let Some(coordinator) = self.transaction_coordinator_by(node, id) else {
            return all(ResponseError::CoordinatorNotAvailable);
        };
        if !self.nodes.get(&coordinator).is_some_and(|node| node.up) {
            return all(ResponseError::NetworkException);
        }
        let answers = if operation == Operation::Add {
            self.add_partitions_to_transaction(coordinator, id, producer, partitions, Version::BumpsEpoch)
        } else {
            self.verify_in_transaction(coordinator, id, producer, &partitions)
        };
        let in_words = |error| match error {
            ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
            ResponseError::TransactionAbortable if operation == Operation::DefaultErrors => {
                ResponseError::InvalidTxnState
            }
            error => error,
        };
        let refused = answers.into_iter().filter_map(|(partition, answer)| Some((partition, answer.err()?)));
        refused.map(|(partition, error)| (partition, in_words(error))).collect()
    }

    /// Puts partitions into a transaction if the coordinator knows all of them; the answer for each.
    pub fn add_partitions_to_transaction(
        &mut self,
        node: i32,
        id: &str,
        producer: (i64, i16),
        partitions: BTreeSet<(String, i32)>,
        version: Version,
    ) -> BTreeMap<(String, i32), Result<(), ResponseError>> {
        let answers = |answer: Result<(), ResponseError>| {
            partitions.iter().map(|partition| (partition.clone(), answer)).collect::<BTreeMap<_, _>>()
        };
        let unknown = self.unknown_partitions(node, &partitions);
        if unknown.is_empty() {
            return answers(self.add_to_transaction(node, id, producer, partitions.clone(), version));
        }
        let mut answers = answers(Err(ResponseError::OperationNotAttempted));
        let missing = Err(ResponseError::UnknownTopicOrPartition);
        answers.extend(unknown.into_iter().map(|partition| (partition, missing)));
        answers
    }

    /// Those of `partitions` that `node` has not heard of.
    pub fn unknown_partitions(&self, node: i32, partitions: &BTreeSet<(String, i32)>) -> Vec<(String, i32)> {
        let image = self.image_of(node);
        let unknown = |(topic, partition): &&(String, i32)| image.partition(topic, *partition).is_none();
        partitions.iter().filter(unknown).cloned().collect()
    }

    /// Records were appended: sees to it that their producer is forgotten one day.
    pub fn note_producer(&mut self, records: &Bytes) {
        if let Some(header) = header_of(records).filter(|header| header.producer_id >= 0) {
            self.plan_producer_expiry(header.max_timestamp);
        }
    }
}

/// What a producer hears instead of errors between brokers.
fn for_producer(error: ResponseError, operation: Operation) -> Rejected {
    let unable = || {
        let name = errors::name_of(error.code());
        let text = "Unable to verify the partition has been added to the transaction. Underlying error:";
        Rejected::with(ResponseError::NotEnoughReplicas, &format!("{text} {name}"))
    };
    match error {
        ResponseError::InvalidTxnState => Rejected::with(error, "Partition was not added to the transaction"),
        ResponseError::NetworkException
        | ResponseError::CoordinatorLoadInProgress
        | ResponseError::CoordinatorNotAvailable
        | ResponseError::NotCoordinator => unable(),
        ResponseError::ConcurrentTransactions if operation != Operation::Add => unable(),
        error => error.into(),
    }
}

fn header_of(records: &Bytes) -> Option<BatchHeader> {
    (records.len() >= HEADER && records[PREFIX] == 2).then(|| BatchHeader::read(&records.slice(PREFIX..)))
}

/// The header of a batch of a transactional producer. Whether the batch is sound is checked when it is appended.
fn transactional_header(records: &Bytes) -> Option<BatchHeader> {
    header_of(records).filter(|header| header.is_transactional() && header.producer_id >= 0)
}
