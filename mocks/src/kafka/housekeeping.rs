//! What the cluster does with its logs by itself: retention and compaction, by the clock.
//!
//! As in Kafka, compacted topics belong to the cleaner, retention included, and all others to the retention
//! check. The cleaner takes the dirtiest log, then soon the next until none is left. Both see to the logs of all
//! brokers, where in Kafka each broker has its own.

use std::time::Duration;

use uuid::Uuid;

use super::cluster::{Cluster, Timer};
use super::image::Topic;
use super::log::config::LogConfig;
use super::topic_config;

/// Between two logs the cleaner takes.
const PAUSE: Duration = Duration::from_millis(1);

impl Cluster {
    /// What a topic asks of its logs. Known beforehand, since every append asks.
    pub fn log_config(&self, topic: Uuid) -> LogConfig {
        self.log_configs.get(&topic).cloned().unwrap_or(LogConfig::DEFAULT)
    }

    /// Reads from its settings, and those of the brokers, what a topic asks of its logs.
    pub fn read_log_config(&mut self, topic: &Topic) {
        let levels = self.broker_levels();
        let inherited: Vec<_> = topic_config::inherited_settings(&levels).collect();
        let inherited = inherited.iter().map(|(name, value)| (*name, value.as_ref()));
        let own = topic.configs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let config = LogConfig::DEFAULT.with(inherited.chain(own));
        self.log_configs.insert(topic.id, config);
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

    /// The cleaner is due: it takes one log, and the next after a pause in which clients are served.
    pub fn on_cleaner(&mut self) {
        let wait = if self.compact_dirtiest() {
            PAUSE
        } else {
            self.expire(|config| config.compact);
            self.options.log_cleaner_backoff
        };
        self.timers.set(Timer::Cleaner, self.now.saturating_add(wait));
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
        while self.compact_dirtiest() {}
    }

    /// Compacts the dirtiest log; false if none is dirty.
    fn compact_dirtiest(&mut self) -> bool {
        let now_ms = self.now_ms;
        let dirty = |(key, name, config): (_, String, LogConfig)| {
            let dirty = self.logs.get(&key)?.dirty(now_ms, &config)?;
            Some((dirty, key, name, config))
        };
        let all = self.configured_logs().into_iter().filter_map(dirty);
        let dirtiest = all.max_by(|one, other| one.0.ratio.total_cmp(&other.0.ratio));
        let Some((dirty, key, name, config)) = dirtiest else { return false };
        let Some(log) = self.logs.get_mut(&key) else { return false };
        let before = log.bytes();
        log.compact(&dirty, now_ms, &config);
        let after = log.bytes();
        self.event(|| format!("{name} is compacted from {before} to {after} bytes"));
        true
    }

    fn configured_logs(&self) -> Vec<((Uuid, i32), String, LogConfig)> {
        let mut out = Vec::new();
        for (name, topic) in &self.truth.topics {
            let config = self.log_config(topic.id);
            for number in (0..).take(topic.partitions.len()) {
                out.push(((topic.id, number), format!("{name}-{number}"), config.clone()));
            }
        }
        out
    }
}
