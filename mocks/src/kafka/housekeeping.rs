//! What the cluster does with its logs by itself.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::log::config::LogConfig;
use super::topic_config;

impl Cluster {
    /// What a topic with these settings asks of its logs.
    pub fn log_config(&self, topic: &BTreeMap<String, String>) -> LogConfig {
        let levels = self.broker_levels();
        let inherited: Vec<_> = topic_config::inherited_settings(&levels).collect();
        let inherited = inherited.iter().map(|(name, value)| (*name, value.as_ref()));
        let own = topic.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        LogConfig::default().with(inherited.chain(own))
    }
}
