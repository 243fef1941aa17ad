//! What a topic's settings ask of its logs.
//!
//! Read from the settings whenever these change, so that a change acts at once, as in Kafka; a setting that is not
//! there, or whose value is no value of it, has Kafka's default. Which settings exist and may be set is in
//! `config/topic.rs`.

use crate::kafka::wire::compression::Codec;

/// Settings a log acts upon. Times are milliseconds, sizes bytes; names are Kafka's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogConfig {
    /// `cleanup.policy` has `delete`.
    pub delete: bool,
    /// `cleanup.policy` has `compact`.
    pub compact: bool,
    /// `compression.type`; none is `producer`: as the producer chose.
    pub compression: Option<Codec>,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub append_time: bool,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub max_message_bytes: i64,
    pub segment_bytes: i64,
    pub segment_ms: i64,
    /// Negative: without limit.
    pub retention_bytes: i64,
    /// Negative: without limit.
    pub retention_ms: i64,
    pub delete_retention_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    /// Fewest replicas in sync with which acknowledged records count as safe.
    pub min_insync_replicas: i64,
}

impl LogConfig {
    /// Kafka's defaults.
    pub const DEFAULT: Self = Self {
        delete: true,
        compact: false,
        compression: None,
        append_time: false,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        max_message_bytes: 1_048_588,
        segment_bytes: 1 << 30,
        segment_ms: 604_800_000,
        retention_bytes: -1,
        retention_ms: 604_800_000,
        delete_retention_ms: 86_400_000,
        min_cleanable_dirty_ratio: 0.5,
        min_compaction_lag_ms: 0,
        max_compaction_lag_ms: i64::MAX,
        min_insync_replicas: 1,
    };

    /// The settings by name and value; what comes later wins.
    pub fn with<'a>(mut self, settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        for (name, value) in settings {
            self.set(name, value);
        }
        self
    }

    fn set(&mut self, name: &str, value: &str) {
        let has = |policy| value.split(',').any(|part| part.trim() == policy);
        match name {
            "cleanup.policy" => (self.delete, self.compact) = (has("delete"), has("compact")),
            "compression.type" => self.compression = Codec::named(value),
            "message.timestamp.type" => self.append_time = value == "LogAppendTime",
            "min.cleanable.dirty.ratio" => {
                self.min_cleanable_dirty_ratio = value.parse().unwrap_or(self.min_cleanable_dirty_ratio);
            }
            _ => {
                if let (Some(field), Ok(value)) = (self.number(name), value.parse()) {
                    *field = value;
                }
            }
        }
    }

    fn number(&mut self, name: &str) -> Option<&mut i64> {
        Some(match name {
            "message.timestamp.before.max.ms" => &mut self.timestamp_before_max_ms,
            "message.timestamp.after.max.ms" => &mut self.timestamp_after_max_ms,
            "max.message.bytes" => &mut self.max_message_bytes,
            "segment.bytes" => &mut self.segment_bytes,
            "segment.ms" => &mut self.segment_ms,
            "retention.bytes" => &mut self.retention_bytes,
            "retention.ms" => &mut self.retention_ms,
            "delete.retention.ms" => &mut self.delete_retention_ms,
            "min.compaction.lag.ms" => &mut self.min_compaction_lag_ms,
            "max.compaction.lag.ms" => &mut self.max_compaction_lag_ms,
            "min.insync.replicas" => &mut self.min_insync_replicas,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::topic_config::SETTINGS;

    #[test]
    fn a_topic_without_settings_has_kafkas_defaults() {
        let defaults = SETTINGS.iter().filter_map(|setting| Some((setting.name, setting.default?)));
        assert_eq!(LogConfig::DEFAULT.with(defaults), LogConfig::DEFAULT);
    }

    #[test]
    fn both_cleanup_policies_may_be_asked_for() {
        let config = LogConfig::DEFAULT.with([("cleanup.policy", "compact, delete")]);
        assert!(config.compact && config.delete);
        assert!(!LogConfig::DEFAULT.with([("cleanup.policy", "compact")]).delete);
    }
}
