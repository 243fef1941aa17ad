//! Settings of topics, and the value of one that is in force on a broker.
//!
//! A topic inherits what it does not set from its broker's settings of another name; [`effective`] is the one
//! way to ask. Values are checked before they are kept, so that what is kept can be read.

use std::borrow::Cow;

use super::Values;
use super::levels::Levels;
use super::setting::{Kind::*, Rule::*, Setting, Update::*, find, parse_all, setting};

/// Every setting, by name.
pub(crate) const SETTINGS: [Setting; 34] = [
    setting("cleanup.policy", List, Some("delete"), Among(&["compact", "delete"]), Cluster),
    setting("compression.gzip.level", Int, Some("-1"), GzipLevel, Cluster),
    setting("compression.lz4.level", Int, Some("9"), Between(1, 17), Cluster),
    setting(
        "compression.type",
        Text,
        Some("producer"),
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        Cluster,
    ),
    setting("compression.zstd.level", Int, Some("3"), Between(-131072, 22), Cluster),
    setting("delete.retention.ms", Long, Some("86400000"), AtLeast(0), Cluster),
    setting("file.delete.delay.ms", Long, Some("60000"), AtLeast(0), Cluster),
    setting("flush.messages", Long, Some("9223372036854775807"), AtLeast(1), Cluster),
    setting("flush.ms", Long, Some("9223372036854775807"), AtLeast(0), Cluster),
    setting("follower.replication.throttled.replicas", List, Some(""), Replicas, Cluster),
    setting("index.interval.bytes", Int, Some("4096"), AtLeast(0), Cluster),
    setting("internal.segment.bytes", Int, None, Any, Internal),
    setting("leader.replication.throttled.replicas", List, Some(""), Replicas, Cluster),
    setting("local.retention.bytes", Long, Some("-2"), AtLeast(-2), Cluster),
    setting("local.retention.ms", Long, Some("-2"), AtLeast(-2), Cluster),
    setting("max.compaction.lag.ms", Long, Some("9223372036854775807"), AtLeast(1), Cluster),
    setting("max.message.bytes", Int, Some("1048588"), AtLeast(0), Cluster),
    setting("message.timestamp.after.max.ms", Long, Some("3600000"), AtLeast(0), Cluster),
    setting("message.timestamp.before.max.ms", Long, Some("9223372036854775807"), AtLeast(0), Cluster),
    setting(
        "message.timestamp.type",
        Text,
        Some("CreateTime"),
        OneOf(&["CreateTime", "LogAppendTime"]),
        Cluster,
    ),
    setting("min.cleanable.dirty.ratio", Double, Some("0.5"), Between(0, 1), Cluster),
    setting("min.compaction.lag.ms", Long, Some("0"), AtLeast(0), Cluster),
    setting("min.insync.replicas", Int, Some("1"), AtLeast(1), Cluster),
    setting("preallocate", Boolean, Some("false"), Any, Cluster),
    setting("remote.log.copy.disable", Boolean, Some("false"), Any, Cluster),
    setting("remote.log.delete.on.disable", Boolean, Some("false"), Any, Cluster),
    setting("remote.storage.enable", Boolean, Some("false"), Any, Cluster),
    setting("retention.bytes", Long, Some("-1"), Any, Cluster),
    setting("retention.ms", Long, Some("604800000"), AtLeast(-1), Cluster),
    setting("segment.bytes", Int, Some("1073741824"), AtLeast(1048576), Cluster),
    setting("segment.index.bytes", Int, Some("10485760"), AtLeast(4), Cluster),
    setting("segment.jitter.ms", Long, Some("0"), AtLeast(0), Cluster),
    setting("segment.ms", Long, Some("604800000"), AtLeast(1), Cluster),
    setting("unclean.leader.election.enable", Boolean, Some("false"), Any, Cluster),
];

/// Milliseconds of the unit a broker's setting is in.
const MS: i64 = 1;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

/// What topics inherit from brokers: the broker's settings, the strongest first, with the milliseconds of
/// their unit where that differs from the topic's.
type Inherited = (&'static str, &'static [(&'static str, i64)]);
pub(crate) const INHERITED: &[Inherited] = &[
    ("cleanup.policy", &[("log.cleanup.policy", MS)]),
    ("compression.gzip.level", &[("compression.gzip.level", MS)]),
    ("compression.lz4.level", &[("compression.lz4.level", MS)]),
    ("compression.type", &[("compression.type", MS)]),
    ("compression.zstd.level", &[("compression.zstd.level", MS)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", MS)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", MS)]),
    ("flush.messages", &[("log.flush.interval.messages", MS)]),
    ("flush.ms", &[("log.flush.interval.ms", MS), ("log.flush.scheduler.interval.ms", MS)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", MS)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", MS)]),
    ("local.retention.ms", &[("log.local.retention.ms", MS)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", MS)]),
    ("max.message.bytes", &[("message.max.bytes", MS)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", MS)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", MS)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", MS)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", MS)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", MS)]),
    ("min.insync.replicas", &[("min.insync.replicas", MS)]),
    ("preallocate", &[("log.preallocate", MS)]),
    ("retention.bytes", &[("log.retention.bytes", MS)]),
    (
        "retention.ms",
        &[("log.retention.ms", MS), ("log.retention.minutes", MINUTE), ("log.retention.hours", HOUR)],
    ),
    ("segment.bytes", &[("log.segment.bytes", MS)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", MS)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", MS), ("log.roll.jitter.hours", HOUR)]),
    ("segment.ms", &[("log.roll.ms", MS), ("log.roll.hours", HOUR)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", MS)]),
];

/// The value of `name` in force for a topic on a broker: the topic's own, else the broker's, else Kafka's
/// default; empty if there is none.
pub(crate) fn effective<'a>(topic: &'a Values, broker: &Levels<'a>, name: &str) -> Cow<'a, str> {
    if let Some(value) = topic.get(name) {
        return Cow::Borrowed(value);
    }
    let synonyms = INHERITED.iter().find(|(own, _)| *own == name);
    synonyms
        .and_then(|(_, synonyms)| inherited(broker, synonyms))
        .or_else(|| find(&SETTINGS, name).and_then(|setting| setting.default).map(Cow::Borrowed))
        .unwrap_or_default()
}

/// As [`effective`], as a number; 0 if it is none.
pub(crate) fn effective_number(topic: &Values, broker: &Levels<'_>, name: &str) -> i64 {
    effective(topic, broker, name).parse().unwrap_or(0)
}

/// The broker's setting a topic's is told to come from.
pub(crate) fn synonym(name: &str) -> Option<&'static str> {
    let (_, names) = INHERITED.iter().find(|(own, _)| *own == name)?;
    names.first().map(|(synonym, _)| *synonym)
}

/// What topics inherit from a broker that has set something else than Kafka's default.
pub(crate) fn inherited_settings<'a>(
    broker: &Levels<'a>,
) -> impl Iterator<Item = (&'static str, Cow<'a, str>)> {
    INHERITED.iter().filter_map(|(name, synonyms)| Some((*name, inherited(broker, synonyms)?)))
}

fn inherited<'a>(broker: &Levels<'a>, synonyms: &[(&str, i64)]) -> Option<Cow<'a, str>> {
    let (value, unit) = broker.set(synonyms)?;
    if unit == MS {
        return Some(Cow::Borrowed(value));
    }
    // Negative stands for no limit in every unit.
    let number: i64 = value.parse().ok()?;
    let ms = if number < 0 { -1 } else { number.saturating_mul(unit) };
    Some(Cow::Owned(ms.to_string()))
}

/// Checks what is to be set on a topic whose broker has these settings; the values as they are to be kept.
pub(crate) fn check(topic: &Values, broker: &Levels<'_>) -> Result<Values, String> {
    let topic = &parse_all(&SETTINGS, topic, "topic config")?;
    let number = |name| effective_number(topic, broker, name);
    let (least, most) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if least > most {
        let names = format!("min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most})");
        return Err(format!("conflict topic config setting {names}"));
    }
    if topic.get("remote.storage.enable").is_some_and(|value| value == "true") {
        let off = "Tiered Storage functionality is disabled in the broker.";
        return Err(format!("{off} Topic cannot be configured with remote log storage."));
    }
    Ok(topic.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn on<'a>(start: &'a Values) -> Levels<'a> {
        Levels { own: None, all: None, start }
    }

    #[test]
    fn a_topic_inherits_the_brokers_setting_in_whatever_unit_it_is_set() {
        let (none, own) = (Values::new(), values(&[("retention.ms", "9")]));
        for (set, expected) in [
            (values(&[]), "604800000"),
            (values(&[("log.retention.hours", "2")]), "7200000"),
            (values(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]), "180000"),
            (values(&[("log.retention.hours", "-1")]), "-1"),
        ] {
            assert_eq!(effective(&none, &on(&set), "retention.ms"), expected);
            assert_eq!(effective(&own, &on(&set), "retention.ms"), "9");
        }
        assert_eq!(
            effective_number(&none, &on(&values(&[("message.max.bytes", "5")])), "max.message.bytes"),
            5
        );
        assert_eq!(effective(&none, &on(&none), "no.such"), "");
    }

    #[test]
    fn wrong_settings_are_refused_in_kafkas_words() {
        for (set, why) in [
            (values(&[("retention", "1")]), "Unknown topic config name: retention"),
            (
                values(&[("retention.ms", "1d")]),
                "Invalid value 1d for configuration retention.ms: Not a number of type LONG",
            ),
            (
                values(&[("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "8")]),
                "conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)",
            ),
            (
                values(&[("remote.storage.enable", "true")]),
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote \
                 log storage.",
            ),
        ] {
            assert_eq!(check(&set, &on(&Values::new())), Err(why.to_owned()));
        }
    }
}
