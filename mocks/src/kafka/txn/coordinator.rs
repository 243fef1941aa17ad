//! Which node coordinates which transactional id, and the calls clients make of it.
//!
//! An id lives in the partition of `__transaction_state` it hashes to; the leader of that partition is its
//! coordinator. A change of state is written with all replicas' acknowledgement, so it needs enough of them in
//! sync: else COORDINATOR_NOT_AVAILABLE. Loading takes no time, so COORDINATOR_LOAD_IN_PROGRESS comes from
//! fault rules only.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;

use super::state::{End, Ended, Initialised, Transaction, Version};
use super::{TRANSACTIONS_TOPIC, TransactionState};
use crate::kafka::cluster::Cluster;
use crate::kafka::controller::NewTopic;
use crate::kafka::coordinator::partition_of;

/// Most partitions the topic may have, as any topic.
const MAX_PARTITIONS: i32 = 10_000;
/// Replicas that have to be in sync (`transaction.state.log.min.isr`), fewer if there are fewer.
const MIN_ISR: i16 = 2;

/// A producer that asks for its id and epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Init<'a> {
    pub transactional_id: &'a str,
    pub timeout_ms: i32,
    /// Id and epoch it has, if it goes on after an error.
    pub expected: Option<(i64, i16)>,
}

impl Cluster {
    /// Creates the topic of the transactions.
    pub fn create_transactions_topic(&mut self) {
        let min_isr = MIN_ISR.min(self.options.default_replication_factor).max(1);
        let configs = [
            ("cleanup.policy", "compact".to_owned()),
            ("compression.type", "uncompressed".to_owned()),
            ("min.insync.replicas", min_isr.to_string()),
            ("segment.bytes", "104857600".to_owned()),
            ("unclean.leader.election.enable", "false".to_owned()),
        ];
        let new = NewTopic {
            name: TRANSACTIONS_TOPIC.to_owned(),
            partitions: self.options.transactions_topic_partitions.clamp(1, MAX_PARTITIONS),
            replication: -1,
            configs: configs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..NewTopic::default()
        };
        match self.plan_topic(&new) {
            Ok(topic) => self.create_topic(&new.name, topic),
            Err((error, reason)) => {
                tracing::warn!(?error, reason, "the transactions topic cannot be created")
            }
        }
    }

    /// The partition of the transactions topic that holds a transactional id.
    pub fn transactions_partition(&self, id: &str) -> i32 {
        let topic = self.truth.topics.get(TRANSACTIONS_TOPIC);
        partition_of(id, topic.map_or(1, |topic| topic.partitions.len()))
    }

    /// The coordinator of a transactional id by the image of `node`.
    pub fn transaction_coordinator_by(&self, node: i32, id: &str) -> Option<i32> {
        self.image_of(node).partition(TRANSACTIONS_TOPIC, self.transactions_partition(id))?.leader
    }

    /// The live coordinator of a transactional id and its epoch.
    pub(super) fn true_coordinator_of(&self, id: &str) -> Option<(i32, i32)> {
        let partition = self.truth.partition(TRANSACTIONS_TOPIC, self.transactions_partition(id))?;
        let leader = partition.leader.filter(|node| self.nodes.get(node).is_some_and(|node| node.up))?;
        Some((leader, partition.epoch))
    }

    /// Whether `node` may act as coordinator of a transactional id.
    pub fn coordinates_transaction(&self, node: i32, id: &str) -> Result<(), ResponseError> {
        let led = self.led_by(node, TRANSACTIONS_TOPIC, self.transactions_partition(id));
        led.map(|_| ()).map_err(|_| ResponseError::NotCoordinator)
    }

    /// Moves the coordinator of a transactional id to the next live replica of its partition.
    pub fn move_transaction_coordinator(&mut self, id: &str) -> i32 {
        if !self.truth.topics.contains_key(TRANSACTIONS_TOPIC) {
            self.create_transactions_topic();
        }
        let number = self.transactions_partition(id);
        self.move_leader_on(TRANSACTIONS_TOPIC, number).unwrap_or(-1)
    }

    /// Gives a transactional producer its id and epoch. An open transaction of its predecessor is aborted
    /// first: CONCURRENT_TRANSACTIONS until that is done.
    pub fn init_transactions(&mut self, node: i32, init: Init<'_>) -> Result<(i64, i16), ResponseError> {
        let id = init.transactional_id;
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        let longest = self.options.transaction_max_timeout.as_millis();
        if u128::try_from(init.timeout_ms).map_or(true, |timeout| timeout == 0 || timeout > longest) {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        self.coordinates_transaction(node, id)?;
        self.transactions_writable(id)?;
        let (now_ms, server) = (self.now_ms, self.transaction_version());
        let transactions = &mut self.transactions;
        let ids = &mut transactions.ids;
        let fresh = || Transaction::new(ids.next(node), init.timeout_ms, now_ms);
        let known = transactions.known.entry(id.to_owned()).or_insert_with(fresh);
        let new_id = || transactions.ids.next(node);
        match known.init(init.timeout_ms, init.expected, server, now_ms, new_id)? {
            Initialised::Ready => {
                let identity = (known.producer_id, known.epoch);
                self.event(|| {
                    format!("transactional id {id} has producer {} epoch {}", identity.0, identity.1)
                });
                self.plan_id_expiry(now_ms);
                Ok(identity)
            }
            Initialised::Fenced => {
                self.event(|| format!("transactional id {id} is fenced"));
                self.begin_markers(id);
                Err(ResponseError::ConcurrentTransactions)
            }
        }
    }

    /// Puts partitions into a producer's transaction.
    pub fn add_to_transaction(
        &mut self,
        node: i32,
        id: &str,
        producer: (i64, i16),
        partitions: BTreeSet<(String, i32)>,
        version: Version,
    ) -> Result<(), ResponseError> {
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        self.coordinates_transaction(node, id)?;
        let writable = self.transactions_writable(id);
        let now_ms = self.now_ms;
        let known = self.transactions.known.get_mut(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        known.settled().and_then(|()| known.current(producer))?;
        writable?;
        known.add(producer, partitions, version, now_ms)?;
        let (started_ms, timeout_ms) = (known.started_ms, known.timeout_ms);
        self.plan_abort(started_ms, timeout_ms);
        Ok(())
    }

    /// Whether partitions are in a producer's transaction, each by itself.
    pub fn verify_in_transaction(
        &self,
        node: i32,
        id: &str,
        producer: (i64, i16),
        partitions: &BTreeSet<(String, i32)>,
    ) -> BTreeMap<(String, i32), Result<(), ResponseError>> {
        let whole = match self.coordinates_transaction(node, id) {
            _ if id.is_empty() => Err(ResponseError::InvalidRequest),
            Err(error) => Err(error),
            Ok(()) => self.transactions.known.get(id).ok_or(ResponseError::InvalidProducerIdMapping),
        };
        let whole = whole.and_then(|known| known.current(producer).map(|()| known));
        let one = |partition: &(String, i32)| {
            let known = whole?;
            let inside = known.partitions.contains(partition);
            if inside { Ok(()) } else { Err(ResponseError::TransactionAbortable) }
        };
        partitions.iter().map(|partition| (partition.clone(), one(partition))).collect()
    }

    /// Ends a producer's transaction; its id and epoch from then on. Markers are written afterwards.
    pub fn end_transaction(&mut self, node: i32, id: &str, end: End) -> Result<(i64, i16), ResponseError> {
        if id.is_empty() {
            return Err(ResponseError::InvalidRequest);
        }
        self.coordinates_transaction(node, id)?;
        let writable = self.transactions_writable(id);
        let now_ms = self.now_ms;
        let transactions = &mut self.transactions;
        let known = transactions.known.get_mut(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let mut ended = known.clone();
        let outcome = ended.end(end, now_ms, || transactions.ids.next(node))?;
        if outcome == Ended::Already {
            return Ok((known.producer_id, known.epoch));
        }
        writable?;
        *known = ended;
        let identity = known.identity_after();
        self.begin_markers(id);
        Ok(identity)
    }

    /// Takes the epoch away from whoever has a transactional id now, as a new producer of that id would. False
    /// if there is no such id or nobody coordinates it.
    pub fn fence_producer(&mut self, id: &str) -> bool {
        let Some((node, _)) = self.true_coordinator_of(id) else { return false };
        let Some(timeout_ms) = self.transactions.known.get(id).map(|known| known.timeout_ms) else {
            return false;
        };
        let init = Init { transactional_id: id, timeout_ms, expected: None };
        let fenced = self.init_transactions(node, init);
        if fenced != Err(ResponseError::ConcurrentTransactions) {
            return fenced.is_ok();
        }
        // An open transaction was aborted first. While its markers are on their way there is nothing to be done,
        // and nothing its producer can do.
        let again = self.init_transactions(node, init);
        matches!(again, Ok(_) | Err(ResponseError::ConcurrentTransactions))
    }

    /// The version brokers end transactions with by themselves.
    pub(super) fn transaction_version(&self) -> Version {
        if self.options.transaction_version >= 2 { Version::BumpsEpoch } else { Version::KeepsEpoch }
    }

    /// Whether the coordinator of a transactional id can write.
    pub(super) fn transactions_writable(&self, id: &str) -> Result<(), ResponseError> {
        let unavailable = ResponseError::CoordinatorNotAvailable;
        let topic = self.truth.topics.get(TRANSACTIONS_TOPIC).ok_or(unavailable)?;
        let number = self.transactions_partition(id);
        let partition = self.truth.partition(TRANSACTIONS_TOPIC, number).ok_or(unavailable)?;
        let node = partition.leader.unwrap_or(-1);
        let enough = self.topic_number(node, &topic.configs, "min.insync.replicas");
        let in_sync = i64::try_from(partition.isr.len()).unwrap_or(i64::MAX);
        if in_sync < enough { Err(unavailable) } else { Ok(()) }
    }

    /// States and names of the ids `node` coordinates.
    pub fn transactions_of(&self, node: i32) -> impl Iterator<Item = (&str, &Transaction)> {
        let known = self.transactions.known.iter().map(|(id, known)| (id.as_str(), known));
        known.filter(move |(id, _)| self.coordinates_transaction(node, id).is_ok())
    }

    /// Whether a transactional id has an open transaction.
    pub(super) fn ongoing(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        let known = self.transactions.known.iter().map(|(id, known)| (id.as_str(), known));
        known.filter(|(_, known)| known.state == TransactionState::Ongoing)
    }
}
