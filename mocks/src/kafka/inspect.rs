//! What the owner of a cluster may see of it as a whole: nodes, topics, groups, offsets.
//!
//! This is the truth, not what a broker that lags or lies tells its clients.

use std::collections::BTreeMap;

use super::KafkaCluster;
use super::view::{BrokerView, MetadataView};

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
