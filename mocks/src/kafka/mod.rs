//! `KafkaCluster`: Kafka brokers that live in this process and speak the real protocol.

use std::io;
use std::time::Duration;

use crate::net::Listener;
use crate::observe::Observer;
use crate::rule::Rules;

pub mod client;
mod matcher;
mod options;
mod snapshot;
mod view;

pub use matcher::{KafkaMatch, KafkaRequest, Target};
pub use options::{KafkaError, KafkaOptions};
pub use snapshot::{CommittedOffset, GroupSnapshot, GroupState, LogRecord, MemberSnapshot};
pub use view::{BrokerView, MetadataView, PartitionView, TopicView};

/// A cluster. Clones are handles to the same one.
#[derive(Clone)]
pub struct KafkaCluster {
    rules: Rules<KafkaMatch>,
}

/// A cluster that listens on loopback ports; dropping it stops the nodes.
pub struct RunningCluster {
    /// The cluster's handle.
    pub cluster: KafkaCluster,
    /// `host:port` of every node, separated by commas.
    pub bootstrap: String,
}

#[allow(missing_docs, unused_variables)]
impl KafkaCluster {
    pub fn new(options: KafkaOptions) -> Self {
        Self { rules: Rules::new(options.seed) }
    }
    pub async fn serve(&self, node: i32, listener: impl Listener) -> Result<(), KafkaError> {
        Ok(())
    }
    pub async fn start_tcp(options: KafkaOptions) -> io::Result<RunningCluster> {
        let cluster = Self::new(options);
        Ok(RunningCluster { cluster, bootstrap: String::new() })
    }
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), KafkaError> {
        Ok(())
    }
    pub fn delete_topic(&self, name: &str) -> Result<(), KafkaError> {
        Ok(())
    }
    pub fn rules(&self) -> &Rules<KafkaMatch> {
        &self.rules
    }
    pub fn observe(&self, observer: Observer) {}
    /// Returns the new coordinator's node.
    pub fn move_coordinator(&self, group: &str) -> i32 {
        -1
    }
    /// `None`: no leader until another call names one.
    pub fn move_leader(&self, topic: &str, partition: i32, to: Option<i32>) -> Result<(), KafkaError> {
        Ok(())
    }
    pub fn set_isr(&self, topic: &str, partition: i32, isr: &[i32]) -> Result<(), KafkaError> {
        Ok(())
    }
    /// `None`: no lag, and what is pending is applied.
    pub fn set_metadata_lag(&self, node: i32, lag: Option<Duration>) -> Result<(), KafkaError> {
        Ok(())
    }
    /// Edits what `node` tells of the cluster, on every answer, until `restore_metadata`.
    pub fn distort_metadata(
        &self,
        node: i32,
        distort: impl FnMut(&mut MetadataView) + Send + 'static,
    ) -> Result<(), KafkaError> {
        Ok(())
    }
    pub fn restore_metadata(&self, node: i32) -> Result<(), KafkaError> {
        Ok(())
    }
    pub fn node_down(&self, node: i32) -> Result<(), KafkaError> {
        Ok(())
    }
    pub fn node_up(&self, node: i32) -> Result<(), KafkaError> {
        Ok(())
    }
    pub fn end_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        None
    }
    pub fn log(&self, topic: &str, partition: i32) -> Result<Vec<LogRecord>, KafkaError> {
        Ok(Vec::new())
    }
    pub fn group(&self, group: &str) -> Option<GroupSnapshot> {
        None
    }
}
