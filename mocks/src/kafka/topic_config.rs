//! Topic configuration: which settings exist, their kinds and defaults.
//!
//! Settings are kept and told to clients. Those of logs act through `log/config.rs`; which act at all is in
//! SUPPORT.md.

use std::collections::BTreeMap;

/// A setting of topics.
#[derive(Debug)]
pub(crate) struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// Kafka's default; of sizes and times in the setting's own unit.
    pub default: &'static str,
}

/// Kinds of settings, numbered as DescribeConfigs numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

impl Kind {
    /// What a value must be, as Kafka words it where it has a word.
    fn wanted(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Text | Self::List => "known value",
            Self::Int => "number of type INT",
            Self::Long => "number of type LONG",
            Self::Double => "number of type DOUBLE",
        }
    }
}

const fn setting(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default }
}

/// Every setting, by name.
pub(crate) const SETTINGS: [Setting; 33] = [
    setting("cleanup.policy", Kind::List, "delete"),
    setting("compression.gzip.level", Kind::Int, "-1"),
    setting("compression.lz4.level", Kind::Int, "9"),
    setting("compression.type", Kind::Text, "producer"),
    setting("compression.zstd.level", Kind::Int, "3"),
    setting("delete.retention.ms", Kind::Long, "86400000"),
    setting("file.delete.delay.ms", Kind::Long, "60000"),
    setting("flush.messages", Kind::Long, "9223372036854775807"),
    setting("flush.ms", Kind::Long, "9223372036854775807"),
    setting("follower.replication.throttled.replicas", Kind::List, ""),
    setting("index.interval.bytes", Kind::Int, "4096"),
    setting("leader.replication.throttled.replicas", Kind::List, ""),
    setting("local.retention.bytes", Kind::Long, "-2"),
    setting("local.retention.ms", Kind::Long, "-2"),
    setting("max.compaction.lag.ms", Kind::Long, "9223372036854775807"),
    setting("max.message.bytes", Kind::Int, "1048588"),
    setting("message.timestamp.after.max.ms", Kind::Long, "3600000"),
    setting("message.timestamp.before.max.ms", Kind::Long, "9223372036854775807"),
    setting("message.timestamp.type", Kind::Text, "CreateTime"),
    setting("min.cleanable.dirty.ratio", Kind::Double, "0.5"),
    setting("min.compaction.lag.ms", Kind::Long, "0"),
    setting("min.insync.replicas", Kind::Int, "1"),
    setting("preallocate", Kind::Boolean, "false"),
    setting("remote.log.copy.disable", Kind::Boolean, "false"),
    setting("remote.log.delete.on.disable", Kind::Boolean, "false"),
    setting("remote.storage.enable", Kind::Boolean, "false"),
    setting("retention.bytes", Kind::Long, "-1"),
    setting("retention.ms", Kind::Long, "604800000"),
    setting("segment.bytes", Kind::Int, "1073741824"),
    setting("segment.index.bytes", Kind::Int, "10485760"),
    setting("segment.jitter.ms", Kind::Long, "0"),
    setting("segment.ms", Kind::Long, "604800000"),
    setting("unclean.leader.election.enable", Kind::Boolean, "false"),
];

/// Checks that settings exist and have values of their kind.
pub(crate) fn check(configs: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in configs {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let setting = setting.ok_or_else(|| format!("Unknown topic config name: {name}"))?;
        let good = match setting.kind {
            Kind::Boolean => matches!(value.as_str(), "true" | "false"),
            Kind::Int => value.parse::<i32>().is_ok(),
            Kind::Long => value.parse::<i64>().is_ok(),
            Kind::Double => value.parse::<f64>().is_ok_and(f64::is_finite),
            Kind::Text | Kind::List => true,
        };
        let known = match name.as_str() {
            "message.timestamp.type" => matches!(value.as_str(), "CreateTime" | "LogAppendTime"),
            "min.insync.replicas" => value.parse::<i32>().is_ok_and(|n| n >= 1),
            "cleanup.policy" => value.split(',').all(|part| matches!(part.trim(), "delete" | "compact")),
            _ => true,
        };
        if !good || !known {
            return Err(format!(
                "Invalid value {value} for configuration {name}: Not a {}",
                setting.kind.wanted()
            ));
        }
    }
    Ok(())
}

/// A setting's value on a topic, as a number; the default if it is not set there.
pub(crate) fn number(configs: &BTreeMap<String, String>, name: &str, default: i64) -> i64 {
    configs.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_setting() {
        let defaults = SETTINGS.iter().map(|s| (s.name.to_owned(), s.default.to_owned())).collect();
        assert_eq!(check(&defaults), Ok(()));
        assert!(SETTINGS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn unknown_settings_and_wrong_values_are_refused() {
        for (name, value) in [("retention", "1"), ("retention.ms", "1d"), ("min.insync.replicas", "0")] {
            let configs = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert!(check(&configs).is_err(), "{name}={value}");
        }
    }
}
