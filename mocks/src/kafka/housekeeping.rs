//! What the cluster does with its logs by itself: retention and compaction, by the clock.
//!
//! As in Kafka, compacted topics belong to the cleaner, retention included, and all others to the retention
//! check. A run of the cleaner takes the dirtiest log, then at once the next until none is left. Both run on all
//! logs at the same time, where Kafka's brokers each have their own clock.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::cluster::{Cluster, Timer};
use super::log::Log;
use super::log::config::LogConfig;
use super::topic_config;

impl Cluster {
    /// What a topic with these settings asks of its logs.
    pub fn log_config(&self, topic: &BTreeMap<String, String>) -> LogConfig {
        let levels = self.broker_levels();
        let inherited: Vec<_> = topic_config::inherited_settings(&levels).collect();
        let inherited = inherited.iter().map(|(name, value)| (*name, value.as_ref()));
        let own = topic.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        LogConfig::DEFAULT.with(inherited.chain(own))
    }

    /// Sets the clocks of retention and compaction.
    pub fn begin_housekeeping(&mut self) {
        self.timers.set(Timer::Retention, self.now.saturating_add(self.options.log_initial_task_delay));
        self.timers.set(Timer::Cleaner, self.now.saturating_add(self.options.log_cleaner_backoff));
    }

    /// The check of retention is due.
    pub fn on_retention(&mut self) {
        self.expire(|config| !config.compact);
        let next = self.now.saturating_add(self.options.log_retention_check_interval);
        self.timers.set(Timer::Retention, next);
    }

    /// The cleaner is due.
    pub fn on_cleaner(&mut self) {
        self.compact();
        self.expire(|config| config.compact);
        self.timers.set(Timer::Cleaner, self.now.saturating_add(self.options.log_cleaner_backoff));
    }

    /// Deletes old segments of the logs whose settings are `concerned`.
    pub fn expire(&mut self, concerned: impl Fn(&LogConfig) -> bool) {
        for (key, name, config) in self.configured_logs() {
            let Some(log) = self.logs.get_mut(&key).filter(|_| concerned(&config)) else { continue };
            let deleted = log.expire(self.now_ms, &config);
            if deleted > 0 {
                let start = log.start();
                self.event(|| format!("{name}: {deleted} segments are deleted, the log starts at {start}"));
            }
        }
    }

    /// Compacts logs, the dirtiest first, until none is dirty.
    pub fn compact(&mut self) {
        let logs = self.configured_logs();
        let now_ms = self.now_ms;
        let mut dirty: Vec<_> = logs
            .iter()
            .filter_map(|(key, name, config)| {
                let dirty = self.logs.get(key).and_then(|log: &Log| log.dirty(now_ms, config))?;
                Some((dirty, key, name, config))
            })
            .collect();
        dirty.sort_by(|one, other| other.0.ratio.total_cmp(&one.0.ratio));
        for (dirty, key, name, config) in dirty {
            let Some(log) = self.logs.get_mut(key) else { continue };
            let before = log.bytes();
            log.compact(&dirty, now_ms, config);
            let after = log.bytes();
            self.event(|| format!("{name} is compacted from {before} to {after} bytes"));
        }
    }

    fn configured_logs(&self) -> Vec<((Uuid, i32), String, LogConfig)> {
        let mut out = Vec::new();
        for (name, topic) in &self.truth.topics {
            let config = self.log_config(&topic.configs);
            for number in (0..).take(topic.partitions.len()) {
                out.push(((topic.id, number), format!("{name}-{number}"), config.clone()));
            }
        }
        out
    }
}
