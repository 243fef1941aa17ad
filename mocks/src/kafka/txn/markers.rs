//! Writing the ends of transactions into their partitions.
//!
//! A decided transaction is complete once the replicas in sync of every partition in it have its marker. A
//! partition without a live leader, or without enough replicas in sync, holds that up until it has; so does a
//! coordinator that is gone. Whenever a leader changes, what is left is tried again: a new coordinator goes on
//! where the old one was, and a marker the old leader wrote and did not see acknowledged is written once more.
//! Without such hindrances, and without `KafkaOptions::transaction_marker_delay`, markers take no time.

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::expiry::TxnTimer;
use super::state::Version;
use crate::kafka::cluster::{Cluster, OFFSETS_TOPIC, Timer};
use crate::kafka::log::Log;
use crate::kafka::wire::marker::EndMarker;

/// A marker that not every replica in sync has yet.
#[derive(Debug)]
pub(super) struct Awaited {
    /// The high watermark waited for.
    until: i64,
    topic: String,
    /// The transactional id it is written for; none if an operator wrote it.
    id: Option<String>,
    marker: EndMarker,
}

impl Cluster {
    /// A transaction was decided: its markers are written now, or after the delay of the options.
    pub(super) fn begin_markers(&mut self, id: &str) {
        let delay = self.options.transaction_marker_delay;
        if delay.is_zero() {
            return self.write_markers(id);
        }
        let timer = Timer::Transactions(TxnTimer::Markers(id.to_owned()));
        self.timers.set(timer, self.now.saturating_add(delay));
    }

    /// Leaders changed: markers that waited for that are tried again.
    pub fn retry_markers(&mut self) {
        let delayed =
            |id: &&String| self.timers.at(&Timer::Transactions(TxnTimer::Markers((*id).clone()))).is_some();
        let known = self.transactions.known.iter().filter(|(_, known)| known.state.is_prepared());
        let ids: Vec<String> = known.map(|(id, _)| id).filter(|id| !delayed(id)).cloned().collect();
        for id in ids {
            self.write_markers(&id);
        }
    }

    /// Writes what markers can be written, and completes the transaction if nothing is left.
    pub(super) fn write_markers(&mut self, id: &str) {
        let Some((_, coordinator_epoch)) = self.true_coordinator_of(id) else { return };
        let known = self.transactions.known.get(id).filter(|known| known.state.is_prepared());
        let Some(known) = known else { return };
        let commit = known.state == super::TransactionState::PrepareCommit;
        let version = match known.version {
            Version::KeepsEpoch => 0,
            Version::BumpsEpoch => 2,
        };
        let (producer_id, epoch) = (known.producer_id, known.epoch);
        let marker = EndMarker { producer_id, epoch, coordinator_epoch, commit, version };
        for (topic, partition) in known.partitions.clone() {
            // A partition that was deleted needs no marker.
            if self.truth.partition(&topic, partition).is_none() {
                self.marked(id, topic, partition);
                continue;
            }
            if !self.lacks_marker(id, &topic, partition) {
                continue;
            }
            let written = self.write_marker(id, &topic, partition, &marker);
            let fenced = [ResponseError::InvalidProducerEpoch, ResponseError::TransactionCoordinatorFenced];
            if written.is_err_and(|error| fenced.contains(&error)) {
                // The partition knows a later epoch: as in Kafka this end is given up.
                return;
            }
        }
        self.complete_transaction(id);
    }

    /// A partition of a decided transaction has its marker, or needs none.
    fn marked(&mut self, id: &str, topic: String, partition: i32) {
        if let Some(known) = self.transactions.known.get_mut(id).filter(|known| known.state.is_prepared()) {
            known.partitions.remove(&(topic, partition));
        }
    }

    /// Completes a decided transaction of which no marker is left.
    fn complete_transaction(&mut self, id: &str) {
        let (now_ms, writable) = (self.now_ms, self.transactions_writable(id).is_ok());
        let known = self.transactions.known.get_mut(id).filter(|known| known.state.is_prepared());
        let Some(known) = known.filter(|known| known.partitions.is_empty() && writable) else { return };
        known.complete(now_ms);
        let commit = known.state == super::TransactionState::CompleteCommit;
        self.event(|| format!("transaction of {id} is {}", if commit { "committed" } else { "aborted" }));
        self.plan_id_expiry(now_ms);
    }

    /// Writes one marker at the leader of its partition.
    fn write_marker(
        &mut self,
        id: &str,
        topic: &str,
        partition: i32,
        marker: &EndMarker,
    ) -> Result<(), ResponseError> {
        let unknown = ResponseError::UnknownTopicOrPartition;
        let leader = self.truth.partition(topic, partition).ok_or(unknown)?.leader;
        let leader = leader.filter(|node| self.nodes.get(node).is_some_and(|node| node.up));
        let leader = leader.ok_or(ResponseError::NotLeaderOrFollower)?;
        self.write_marker_at(leader, topic, partition, marker, Some(id))
    }

    /// Writes one marker at `node`, which must lead the partition. It does its work once the replicas in sync have
    /// it; `id` is the transactional id that waits for that.
    pub fn write_marker_at(
        &mut self,
        node: i32,
        topic: &str,
        partition: i32,
        marker: &EndMarker,
        id: Option<&str>,
    ) -> Result<(), ResponseError> {
        let (topic_id, led) = self.led_by(node, topic, partition)?;
        if !self.enough_in_sync(topic, partition) {
            return Err(ResponseError::NotEnoughReplicas);
        }
        let config = self.log_config(topic_id);
        let key = (topic_id, partition);
        let log = self.logs.get_mut(&key).ok_or(ResponseError::KafkaStorageError)?;
        log.append_end(marker, led.epoch, self.now_ms, &config)?;
        let (topic_name, id, until) = (topic.to_owned(), id.map(str::to_owned), log.end());
        let awaited = Awaited { until, topic: topic_name, id, marker: *marker };
        self.transactions.awaited.entry(key).or_default().push_back(awaited);
        self.plan_producer_expiry(self.now_ms);
        self.appended(topic, topic_id, partition);
        Ok(())
    }

    /// Whether a partition of a decided transaction has no marker. Writing one may change the replicas in sync,
    /// upon which all markers that are left are tried.
    fn lacks_marker(&self, id: &str, topic: &str, partition: i32) -> bool {
        let known = self.transactions.known.get(id).filter(|known| known.state.is_prepared());
        let is_left = known.is_some_and(|known| known.partitions.contains(&(topic.to_owned(), partition)));
        let topic_id = self.truth.topics.get(topic).map(|topic| topic.id).unwrap_or_default();
        let awaited = self.transactions.awaited.get(&(topic_id, partition)).into_iter().flatten();
        is_left && !awaited.map(|marker| marker.id.as_deref()).any(|of| of == Some(id))
    }

    /// The high watermark of a partition moved to `to`: markers before it do their work.
    pub fn acknowledge_markers(&mut self, key: (Uuid, i32), to: i64) {
        while let Some(awaited) = self.next_marker(key, to) {
            if awaited.topic == OFFSETS_TOPIC {
                self.end_pending_offsets(key.1, awaited.marker.producer_id, awaited.marker.commit);
            }
            if let Some(id) = awaited.id {
                self.marked(&id, awaited.topic, key.1);
                self.complete_transaction(&id);
            }
        }
    }

    fn next_marker(&mut self, key: (Uuid, i32), to: i64) -> Option<Awaited> {
        let awaited = self.transactions.awaited.get_mut(&key)?;
        let next =
            awaited.front().is_some_and(|marker| marker.until <= to).then(|| awaited.pop_front()).flatten();
        if awaited.is_empty() {
            self.transactions.awaited.remove(&key);
        }
        next
    }

    /// The leader of a partition is another one, or the partition is gone: coordinators do not learn what became
    /// of their markers. What operators wrote stands if the log still has it.
    pub fn forget_markers(&mut self, key: (Uuid, i32)) {
        let end = self.logs.get(&key).map_or(0, Log::end);
        if let Some(awaited) = self.transactions.awaited.get_mut(&key) {
            awaited.retain(|marker| marker.id.is_none() && marker.until <= end);
            if awaited.is_empty() {
                self.transactions.awaited.remove(&key);
            }
        }
    }

    /// Offsets that groups of this partition of the offsets topic hold for a producer's transaction count now,
    /// or are dropped.
    fn end_pending_offsets(&mut self, partition: i32, producer_id: i64, commit: bool) {
        let holding = |id: &&String| self.offsets_partition(id) == partition;
        let groups: Vec<String> = self.groups.keys().filter(holding).cloned().collect();
        for id in groups {
            if let Some(group) = self.groups.get_mut(&id) {
                group.end_pending_offsets(producer_id, commit);
            }
        }
    }
}
