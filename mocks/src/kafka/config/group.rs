//! Settings of groups, and of clients' metrics subscriptions.
//!
//! A group's setting falls back to the broker's `group.` setting of nearly the same name. Only consumer groups
//! are served here; the others' settings are kept and told.

use kafka_protocol::error::ResponseError;

use super::Values;
use super::levels::Levels;
use super::setting::{Kind::*, Rule::*, Setting, Update::*, find, parse_all, setting};
use crate::kafka::controller::Refused;

/// Every setting of groups, by name.
pub(crate) const GROUP: [Setting; 17] = [
    setting("consumer.assignment.interval.ms", Int, Some("1000"), AtLeast(0), Cluster),
    setting("consumer.heartbeat.interval.ms", Int, Some("5000"), AtLeast(1), Cluster),
    setting("consumer.session.timeout.ms", Int, Some("45000"), AtLeast(1), Cluster),
    setting("share.assignment.interval.ms", Int, Some("1000"), AtLeast(0), Cluster),
    setting("share.auto.offset.reset", Text, Some("latest"), Reset, Cluster),
    setting("share.delivery.count.limit", Int, Some("5"), AtLeast(2), Cluster),
    setting("share.heartbeat.interval.ms", Int, Some("5000"), AtLeast(1), Cluster),
    setting(
        "share.isolation.level",
        Text,
        Some("read_uncommitted"),
        OneOf(&["read_committed", "read_uncommitted"]),
        Cluster,
    ),
    setting("share.partition.max.record.locks", Int, Some("2000"), AtLeast(100), Cluster),
    setting("share.record.lock.duration.ms", Int, Some("30000"), AtLeast(1000), Cluster),
    setting("share.renew.acknowledge.enable", Boolean, Some("true"), Any, Cluster),
    setting("share.session.timeout.ms", Int, Some("45000"), AtLeast(1), Cluster),
    setting("streams.assignment.interval.ms", Int, Some("1000"), AtLeast(0), Cluster),
    setting("streams.heartbeat.interval.ms", Int, Some("5000"), AtLeast(1), Cluster),
    setting("streams.initial.rebalance.delay.ms", Int, Some("3000"), AtLeast(0), Cluster),
    setting("streams.num.standby.replicas", Int, Some("0"), AtLeast(0), Cluster),
    setting("streams.session.timeout.ms", Int, Some("45000"), AtLeast(1), Cluster),
];

/// Every setting of subscriptions to clients' metrics, by name.
pub(crate) const CLIENT_METRICS: [Setting; 3] = [
    setting("interval.ms", Int, Some("300000"), Any, Cluster),
    setting("match", List, Some(""), Any, Cluster),
    setting("metrics", List, Some(""), Any, Cluster),
];

/// The broker's setting a group's falls back to.
pub(crate) fn synonym(name: &str) -> Option<String> {
    let own = ["share.auto.offset.reset", "share.isolation.level", "share.renew.acknowledge.enable"];
    (!own.contains(&name)).then(|| format!("group.{name}"))
}

/// Checks the settings of a group against those of the broker; the values as they are to be kept.
pub(crate) fn check_group(values: &Values, broker: &Levels<'_>) -> Result<Values, String> {
    let values = &parse_all(&GROUP, values, "group config")?;
    for setting in GROUP.iter().filter(|setting| setting.kind == Int) {
        check_limits(setting, values, broker)?;
    }
    let number = |name: &str| group_number(values, name);
    for kind in ["consumer", "share", "streams"] {
        let (session, heartbeat) =
            (format!("{kind}.session.timeout.ms"), format!("{kind}.heartbeat.interval.ms"));
        if number(&session) <= number(&heartbeat) {
            return Err(format!("{session} must be greater than {heartbeat}"));
        }
    }
    Ok(values.clone())
}

/// A group's number must lie within the broker's `min` and `max` settings of it, where there are such.
fn check_limits(setting: &Setting, values: &Values, broker: &Levels<'_>) -> Result<(), String> {
    let name = setting.name;
    // What is not set for the group is checked by Kafka all the same, but for this one.
    if name.ends_with("assignment.interval.ms") && !values.contains_key(name) {
        return Ok(());
    }
    let Some((kind, rest)) = name.split_once('.') else { return Ok(()) };
    let value = group_number(values, name);
    let least = format!("group.{kind}.min.{rest}");
    if broker.number(&least).is_some_and(|limit| value < limit) {
        return Err(format!("{name} must be greater than or equal to {least}"));
    }
    let most = format!("group.{kind}.max.{}", rest.trim_start_matches("num."));
    if broker.number(&most).is_some_and(|limit| value > limit) {
        return Err(format!("{name} must be less than or equal to {most}"));
    }
    Ok(())
}

/// A group's number: set for it, or Kafka's default.
fn group_number(values: &Values, name: &str) -> i64 {
    let default = find(&GROUP, name).and_then(|setting| setting.default);
    values.get(name).map(String::as_str).or(default).and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// Checks a subscription; the values as they are to be kept. Most errors are the request's, not the
/// configuration's, as in Kafka.
pub(crate) fn check_client_metrics(subscription: &str, values: &Values) -> Result<Values, Refused> {
    let invalid = |why: String| (ResponseError::InvalidRequest, why);
    let config = |why: String| (ResponseError::InvalidConfig, why);
    if subscription.is_empty() {
        return Err(invalid("Subscription name can't be empty".to_owned()));
    }
    if let Some(name) = values.keys().find(|name| find(&CLIENT_METRICS, name).is_none()) {
        return Err(invalid(format!("Unknown client metrics configuration: {name}")));
    }
    let values = parse_all(&CLIENT_METRICS, values, "client metrics config").map_err(config)?;
    let interval: Option<i32> = values.get("interval.ms").and_then(|value| value.parse().ok());
    if let Some(interval) = interval.filter(|interval| !(100..=3_600_000).contains(interval)) {
        let range = "interval must be between 100 and 3600000 (1 hour)";
        return Err(invalid(format!("Invalid value {interval} for interval.ms, {range}")));
    }
    let patterns = values.get("match").map_or("", String::as_str);
    match patterns.split(',').find(|pattern| !pattern.is_empty() && !is_pattern(pattern)) {
        Some(pattern) => Err(config(format!("Illegal client matching pattern: {pattern}"))),
        None => Ok(values),
    }
}

/// `name=expression`; the expression itself is not looked at.
fn is_pattern(text: &str) -> bool {
    const NAMES: [&str; 6] = [
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    ];
    let pair =
        text.split_once('=').filter(|(_, expression)| !expression.is_empty() && !expression.contains('='));
    pair.is_some_and(|(name, _)| NAMES.contains(&name.trim()))
}
