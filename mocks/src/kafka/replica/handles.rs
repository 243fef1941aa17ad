//! What tests do to replicas, and see of them.

use std::collections::BTreeMap;

use super::ReplicaLag;
use crate::kafka::{KafkaCluster, KafkaError, unknown};

/// The replicas of a partition, as the cluster truly has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSnapshot {
    /// The leader's node, if there is one.
    pub leader: Option<i32>,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// Counts every change of leader or replicas.
    pub partition_epoch: i32,
    /// Nodes in sync.
    pub isr: Vec<i32>,
    /// Nodes that may lead although they are not in sync (KIP-966).
    pub elr: Vec<i32>,
    /// The next offset each node's replica would write.
    pub ends: BTreeMap<i32, i64>,
    /// Where what consumers may read ends.
    pub high_watermark: i64,
}

impl KafkaCluster {
    /// Lets a follower keep up with its leader worse, or with `None` as its node does. A follower that lacks
    /// records for longer than `replica_lag_max` is no longer in sync; it is again once it has caught up.
    ///
    /// # Errors
    /// No such partition, or `node` holds no replica of it.
    pub fn set_replica_lag(
        &self,
        topic: &str,
        partition: i32,
        node: i32,
        lag: Option<ReplicaLag>,
    ) -> Result<(), KafkaError> {
        self.with_partition(topic, partition, &[node], |cluster| {
            cluster.set_replica_lag(topic, partition, node, lag);
        })
    }

    /// Lets all followers on a node keep up with their leaders worse, but those with a lag of their own.
    ///
    /// # Errors
    /// No such node.
    pub fn set_node_replica_lag(&self, node: i32, lag: ReplicaLag) -> Result<(), KafkaError> {
        self.with_node(node, |cluster, node| cluster.set_node_replica_lag(node, lag))
    }

    /// Elects anybody alive, in the order of the replicas, for a partition nobody leads. What the new leader does
    /// not have is lost, and with it records that were acknowledged. Returns the leader, -1 if no replica lives;
    /// a partition that has a leader keeps it.
    ///
    /// # Errors
    /// No such partition.
    pub fn elect_unclean(&self, topic: &str, partition: i32) -> Result<i32, KafkaError> {
        self.elect(topic, partition, true)
    }

    /// Gives a partition back to its first replica, if that is alive and in sync, and returns the leader, -1 if
    /// there is none.
    ///
    /// # Errors
    /// No such partition.
    pub fn elect_preferred(&self, topic: &str, partition: i32) -> Result<i32, KafkaError> {
        self.elect(topic, partition, false)
    }

    /// A node loses its disk; if it runs, its process dies of it. When it is [up](Self::node_up) again its replicas
    /// are empty and catch up with their leaders; what it alone had is lost.
    ///
    /// # Errors
    /// No such node.
    pub fn wipe(&self, node: i32) -> Result<(), KafkaError> {
        self.with_node(node, |cluster, node| cluster.wipe(node))?;
        self.shared.close_node(node);
        Ok(())
    }

    /// The replicas of a partition; none if there is no such partition.
    #[must_use]
    pub fn replicas(&self, topic: &str, partition: i32) -> Option<ReplicaSnapshot> {
        self.shared.with(|cluster| {
            let known = cluster.truth.partition(topic, partition)?;
            let key = (cluster.truth.topics.get(topic)?.id, partition);
            let replicas = cluster.replicas.get(&key)?;
            Some(ReplicaSnapshot {
                leader: known.leader,
                leader_epoch: known.epoch,
                partition_epoch: known.partition_epoch,
                isr: known.isr.clone(),
                elr: known.elr.clone(),
                ends: known.replicas.iter().map(|node| (*node, replicas.end_of(*node))).collect(),
                high_watermark: cluster.logs.get(&key)?.high_watermark(),
            })
        })
    }

    fn elect(&self, topic: &str, partition: i32, unclean: bool) -> Result<i32, KafkaError> {
        self.shared.with(|cluster| {
            if cluster.truth.partition(topic, partition).is_none() {
                return Err(unknown(topic, partition));
            }
            if let Err(error) = cluster.elect(topic, partition, unclean) {
                tracing::debug!(topic, partition, ?error, "no leader was elected");
            }
            let leader = cluster.truth.partition(topic, partition).and_then(|known| known.leader);
            Ok(leader.unwrap_or(-1))
        })
    }
}
