//! What the owner of a cluster may see of it as a whole, and its time: nodes, topics, groups, offsets, requests.
//!
//! This is the truth, not what a broker that lags or lies tells its clients.

use std::collections::BTreeMap;
use std::time::Duration;

use super::KafkaCluster;
use super::requests::Requests;
use super::view::{BrokerView, MetadataView};
use crate::Clock;

/// A node as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeView {
    /// `host:port` as clients are told it.
    pub address: String,
    /// Whether its process runs.
    pub up: bool,
}

/// Where the log of a partition begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offsets {
    /// The oldest offset.
    pub start: i64,
    /// The next offset.
    pub end: i64,
}

impl KafkaCluster {
    /// Keeps the last `capacity` requests from now on; 0 keeps none, which is the start.
    pub fn log_requests(&self, capacity: usize) {
        self.shared.requests.set_capacity(capacity);
    }

    /// The request log, and what was asked for that is not served.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.shared.requests
    }

    /// The clock that the records' timestamps come from.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock()
    }

    /// Lets time pass for the cluster at once: timestamps, sessions, waits and whatever else has a deadline.
    /// What is due on the way happens in its order and at its time. Delays of fault rules and limits of
    /// connections go on with the runtime's time.
    pub fn advance(&self, by: Duration) {
        self.shared.advance(by);
    }

    /// Moves the wall clock alone, backwards if negative, as an operator or NTP would: timestamps change,
    /// deadlines do not.
    pub fn jump(&self, delta_ms: i64) {
        self.shared.jump(delta_ms);
    }

    /// How many connections each node has; nodes without any are left out.
    #[must_use]
    pub fn connections(&self) -> BTreeMap<i32, usize> {
        self.shared.connections()
    }

    /// The nodes by number.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<i32, NodeView> {
        self.shared.with(|cluster| {
            let view = |node: &super::image::Node| NodeView {
                address: format!("{}:{}", node.advertised.host, node.advertised.port),
                up: node.up,
            };
            cluster.nodes.iter().map(|(id, node)| (*id, view(node))).collect()
        })
    }

    /// The cluster's metadata as the controller has it.
    #[must_use]
    pub fn metadata(&self) -> MetadataView {
        self.shared.with(|cluster| {
            let advertised: BTreeMap<i32, BrokerView> =
                cluster.nodes.iter().map(|(id, node)| (*id, node.advertised.clone())).collect();
            super::image::view(&cluster.truth, &advertised)
        })
    }

    /// Where the log of a partition begins and ends; none if there is no such partition.
    #[must_use]
    pub fn offsets(&self, topic: &str, partition: i32) -> Option<Offsets> {
        self.shared.with(|cluster| {
            let log = cluster.log_of(topic, partition)?;
            Some(Offsets { start: log.start(), end: log.end() })
        })
    }

    /// The groups that have members or offsets, in their order.
    #[must_use]
    pub fn group_ids(&self) -> Vec<String> {
        self.shared.with(|cluster| cluster.groups.keys().cloned().collect())
    }
}
