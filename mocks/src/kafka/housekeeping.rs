//! What the cluster does with its logs by itself.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::log::config::LogConfig;

impl Cluster {
    /// What a topic with these settings asks of its logs.
    pub fn log_config(&self, topic: &BTreeMap<String, String>) -> LogConfig {
        let max_message_bytes = i64::from(self.options.max_message_bytes);
        let broker = LogConfig { max_message_bytes, ..LogConfig::default() };
        broker.with(topic.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}
