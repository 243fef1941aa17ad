//! Writing the ends of transactions into their partitions.
//!
//! A decided transaction is complete once every partition in it has its marker. A partition without a live
//! leader, or without enough replicas in sync, holds that up until it has; so does a coordinator that is gone.
//! Whenever a leader changes, what is left is tried again: a new coordinator goes on where the old one was.
//! Without such hindrances, and without `KafkaOptions::transaction_marker_delay`, markers take no time.

use kafka_protocol::error::ResponseError;

use super::expiry::TxnTimer;
use super::state::Version;
use crate::kafka::cluster::{Cluster, OFFSETS_TOPIC, Timer};
use crate::kafka::wire::marker::EndMarker;

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

    /// Writes what markers can be written, and completes the transaction after the last.
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
            let gone = self.truth.partition(&topic, partition).is_none();
            let written = if gone { Ok(()) } else { self.write_marker(&topic, partition, &marker) };
            match written {
                Ok(()) => {
                    if let Some(known) = self.transactions.known.get_mut(id) {
                        known.partitions.remove(&(topic, partition));
                    }
                }
                // The partition knows a later epoch: as in Kafka this end is given up.
                Err(ResponseError::InvalidProducerEpoch | ResponseError::TransactionCoordinatorFenced) => {
                    return;
                }
                Err(_) => {}
            }
        }
        let now_ms = self.now_ms;
        let Some(known) = self.transactions.known.get_mut(id) else { return };
        if known.partitions.is_empty() && self.transactions_writable(id).is_ok() {
            if let Some(known) = self.transactions.known.get_mut(id) {
                known.complete(now_ms);
            }
            self.event(|| format!("transaction of {id} is {}", if commit { "committed" } else { "aborted" }));
            self.plan_id_expiry(now_ms);
        }
    }

    /// Writes one marker at the leader of its partition.
    fn write_marker(&mut self, topic: &str, partition: i32, marker: &EndMarker) -> Result<(), ResponseError> {
        let unknown = ResponseError::UnknownTopicOrPartition;
        let leader = self.truth.partition(topic, partition).ok_or(unknown)?.leader;
        let leader = leader.filter(|node| self.nodes.get(node).is_some_and(|node| node.up));
        self.write_marker_at(leader.ok_or(ResponseError::NotLeaderOrFollower)?, topic, partition, marker)
    }

    /// Writes one marker at `node`, which must lead the partition.
    pub fn write_marker_at(
        &mut self,
        node: i32,
        topic: &str,
        partition: i32,
        marker: &EndMarker,
    ) -> Result<(), ResponseError> {
        let (topic_id, led) = self.led_by(node, topic, partition)?;
        if !self.enough_in_sync(topic, partition) {
            return Err(ResponseError::NotEnoughReplicas);
        }
        let config = self.log_config(topic_id);
        let key = (topic_id, partition);
        let log = self.logs.get_mut(&key).ok_or(ResponseError::KafkaStorageError)?;
        log.append_end(marker, led.epoch, self.now_ms, &config)?;
        if topic == OFFSETS_TOPIC {
            self.end_pending_offsets(partition, marker.producer_id, marker.commit);
        }
        self.plan_producer_expiry(self.now_ms);
        self.appended(topic, topic_id, partition);
        Ok(())
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
