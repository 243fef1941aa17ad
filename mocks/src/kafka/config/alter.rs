//! Changes of settings by request: what a broker checks before it asks the controller, what the controller
//! checks, and the change itself.
//!
//! A change is whole or not at all, and its errors are Kafka's, in Kafka's order. Values are kept as they are
//! told again. Security settings of single listeners (`listener.name.…`) are taken unseen, as settings Kafka
//! does not know are.

use kafka_protocol::error::ResponseError;

use super::levels::Levels;
use super::setting::{self, Update};
use super::{Kind, Values, broker_setting, group, topic};
use crate::kafka::cluster::Cluster;
use crate::kafka::controller::{Refused, check_name};

/// Largest value kept, in characters.
const MAX_VALUE: usize = 32_767;
const MIN_INSYNC: &str = "min.insync.replicas";
const LOG_LEVELS: [&str; 6] = ["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"];
/// The one logger a broker has here.
pub(crate) const ROOT_LOGGER: &str = "root";

/// What is to be done to one setting.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub name: String,
    /// Set, delete, append, subtract: 0 to 3, as on the wire.
    pub op: i8,
    pub value: Option<String>,
}

/// Settings that size a pool of threads.
const THREADS: [&str; 5] = [
    "background.threads",
    "log.cleaner.threads",
    "num.io.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn invalid(why: impl Into<String>) -> Refused {
    (ResponseError::InvalidRequest, why.into())
}

fn config(why: impl Into<String>) -> Refused {
    (ResponseError::InvalidConfig, why.into())
}

impl Cluster {
    /// A new cluster with eligible leader replicas begins with the number of replicas in sync that are needed
    /// set for all brokers, to what they were started with.
    pub fn fix_min_insync(&mut self) {
        let value = self.broker_levels().value(MIN_INSYNC).unwrap_or("1").to_owned();
        self.set_configs(Kind::Broker, "", Values::from([(MIN_INSYNC.to_owned(), value)]));
    }

    /// Changes settings of a resource at the request of a client of `node`; `replace` forgets what is not
    /// named.
    pub fn alter_configs(
        &mut self,
        node: i32,
        (kind, name): (i8, &str),
        changes: &[Change],
        (replace, validate_only): (bool, bool),
    ) -> Result<(), Refused> {
        check_form(changes)?;
        let unknown = || invalid(format!("Unknown resource type {kind}"));
        let known = Kind::of(kind).ok_or_else(unknown)?;
        match known {
            Kind::BrokerLogger if replace => return Err(unknown()),
            Kind::BrokerLogger => return self.alter_log_levels(node, name, changes, validate_only),
            Kind::Broker => self.check_broker_change(node, name, changes, replace)?,
            _ => {}
        }
        let old = self.configs_of(known, name);
        let mut new = if replace { Values::new() } else { old.clone() };
        for change in changes {
            apply(known, &mut new, change)?;
        }
        if known == Kind::Broker {
            check_min_insync(name, &old, changes, replace)?;
        }
        let new = self.check_change(known, name, new)?;
        if !validate_only && new != old {
            self.set_configs(known, name, new);
        }
        Ok(())
    }

    /// What the controller knows to be set on a resource.
    pub fn configs_of(&self, kind: Kind, name: &str) -> Values {
        if kind == Kind::Topic {
            return self.truth.topics.get(name).map(|topic| topic.configs.clone()).unwrap_or_default();
        }
        self.truth.configs.get(&(kind, name.to_owned())).cloned().unwrap_or_default()
    }

    fn set_configs(&mut self, kind: Kind, name: &str, values: Values) {
        let shown = if name.is_empty() { "of all brokers" } else { name };
        self.event(|| format!("settings changed: {kind:?} {shown}"));
        self.change(|image| {
            if kind == Kind::Topic {
                if let Some(topic) = image.topic_mut(name) {
                    topic.configs = values;
                }
                return;
            }
            let configs = std::sync::Arc::make_mut(&mut image.configs);
            match values.is_empty() {
                true => configs.remove(&(kind, name.to_owned())),
                false => configs.insert((kind, name.to_owned()), values),
            };
        });
    }

    /// The controller's checks of what a resource is to have; the values as they are to be kept.
    fn check_change(&self, kind: Kind, name: &str, new: Values) -> Result<Values, Refused> {
        if new.values().any(|value| value.chars().count() > MAX_VALUE) {
            let limit = format!("it exceeds the maximum value size of {MAX_VALUE} bytes.");
            return Err(config(format!("The configuration value cannot be added because {limit}")));
        }
        let levels = self.broker_levels();
        match kind {
            Kind::Topic => {
                if name.is_empty() {
                    return Err(invalid("Default topic resources are not allowed."));
                }
                check_name(name).map_err(|why| (ResponseError::InvalidTopicException, why))?;
                let kept = topic::check(&new, &levels).map_err(config)?;
                if !self.truth.topics.contains_key(name) {
                    let missing = format!("The topic '{name}' does not exist.");
                    return Err((ResponseError::UnknownTopicOrPartition, missing));
                }
                Ok(kept)
            }
            Kind::Group if name.is_empty() => Err(invalid("Default group resources are not allowed.")),
            Kind::Group => group::check_group(&new, &levels).map_err(config),
            Kind::ClientMetrics => group::check_client_metrics(name, &new),
            Kind::Broker | Kind::BrokerLogger => Ok(new),
        }
    }

    /// What the asked broker checks of a change of brokers' settings.
    fn check_broker_change(
        &self,
        node: i32,
        name: &str,
        changes: &[Change],
        replace: bool,
    ) -> Result<(), Refused> {
        if !name.is_empty() {
            let number = || invalid(format!("Node id must be an integer, but it is: {name}"));
            if name.parse::<i32>().map_err(|_| number())? != node {
                return Err(invalid(format!("Unexpected broker id, expected {node}, but received {name}")));
            }
        }
        let mut new = if replace { Values::new() } else { self.configs_of(Kind::Broker, name) };
        for change in changes {
            if !(SET..=SUBTRACT).contains(&change.op) {
                return Err(invalid(format!("Unknown operations type {}", change.op)));
            }
            if change.op >= APPEND {
                let known = broker_setting(&change.name);
                let known = known.ok_or_else(|| config(format!("Unknown config name: {}", change.name)))?;
                if known.kind != setting::Kind::List {
                    let what = if change.op == APPEND { "append" } else { "subtract" };
                    let key = format!("is not allowed for config key: {}", change.name);
                    return Err(config(format!("Config value {what} {key}")));
                }
            }
            apply(Kind::Broker, &mut new, change)?;
        }
        check_dynamic(&new, !name.is_empty(), &self.levels_of(node)).map_err(invalid)
    }

    fn alter_log_levels(
        &mut self,
        node: i32,
        name: &str,
        changes: &[Change],
        validate_only: bool,
    ) -> Result<(), Refused> {
        let number = || invalid(format!("Node id must be an integer, but it is: {name}"));
        let id: i32 = name.parse().map_err(|_| number())?;
        if id != node {
            return Err(invalid(format!("Unexpected node id. Expected {node}, but received {id}")));
        }
        let mut levels = self.configs_of(Kind::BrokerLogger, name);
        for change in changes {
            let not_here =
                |what: &str| invalid(format!("{what} is not allowed for the BROKER_LOGGER resource"));
            match change.op {
                SET | DELETE if change.name != ROOT_LOGGER => {
                    return Err(config(format!("Logger {} does not exist!", change.name)));
                }
                SET => {
                    let level = change.value.clone().unwrap_or_default();
                    if !LOG_LEVELS.contains(&level.as_str()) {
                        let known = LOG_LEVELS.join(", ");
                        return Err(config(format!(
                            "Cannot set the log level of {} to {level} as it is not a supported log level. \
                             Valid log levels are {known}",
                            change.name
                        )));
                    }
                    levels.insert(change.name.clone(), level);
                }
                DELETE => {
                    let root = format!("Removing the log level of the {ROOT_LOGGER} logger is not allowed");
                    return Err(invalid(root));
                }
                APPEND => return Err(not_here("APPEND operation")),
                SUBTRACT => return Err(not_here("SUBTRACT operation")),
                _ => return Err((ResponseError::UnknownServerError, String::new())),
            }
        }
        if !validate_only {
            self.set_configs(Kind::BrokerLogger, name, levels);
        }
        Ok(())
    }
}

/// No setting twice, and a value wherever one is needed.
fn check_form(changes: &[Change]) -> Result<(), Refused> {
    let mut seen = std::collections::BTreeSet::new();
    if !changes.iter().all(|change| seen.insert(&change.name)) {
        return Err(invalid("Error due to duplicate config keys"));
    }
    let null = |change: &&Change| change.op != DELETE && change.value.is_none();
    let nulls: Vec<&str> = changes.iter().filter(null).map(|change| change.name.as_str()).collect();
    if nulls.is_empty() {
        return Ok(());
    }
    Err(invalid(format!("Null value not supported for : {}", nulls.join(", "))))
}

fn apply(kind: Kind, values: &mut Values, change: &Change) -> Result<(), Refused> {
    let value = change.value.clone().unwrap_or_default();
    match change.op {
        SET => {
            values.insert(change.name.clone(), value);
        }
        DELETE => {
            values.remove(&change.name);
        }
        APPEND | SUBTRACT => {
            let known = match kind {
                Kind::Topic => setting::find(&topic::SETTINGS, &change.name),
                Kind::Broker => broker_setting(&change.name),
                // Kafka's controller does not know which of the others are lists.
                Kind::Group | Kind::ClientMetrics | Kind::BrokerLogger => None,
            };
            let Some(known) = known.filter(|known| known.kind == setting::Kind::List) else {
                let what = if change.op == APPEND { "APPEND" } else { "SUBTRACT" };
                let key = format!("key {} because its type is not LIST.", change.name);
                return Err(config(format!("Can't {what} to {key}")));
            };
            let old = values.get(&change.name).map(String::as_str).or(known.default).unwrap_or_default();
            let mut parts: Vec<&str> = old.split(',').filter(|part| !part.is_empty()).collect();
            for part in value.split(',') {
                let at = parts.iter().position(|old| *old == part);
                match (at, change.op) {
                    (None, APPEND) => parts.push(part),
                    (Some(at), SUBTRACT) => {
                        parts.remove(at);
                    }
                    _ => {}
                }
            }
            let joined = parts.join(",");
            values.insert(change.name.clone(), joined);
        }
        // Kafka's controller stumbles over these.
        _ => return Err((ResponseError::UnknownServerError, String::new())),
    }
    Ok(())
}

/// With eligible leader replicas, as a new cluster of Kafka 4.1 or later has them, the number of replicas in
/// sync that are needed is the cluster's affair.
fn check_min_insync(name: &str, old: &Values, changes: &[Change], replace: bool) -> Result<(), Refused> {
    let change = changes.iter().find(|change| change.name == MIN_INSYNC);
    let forgotten = replace && change.is_none() && old.contains_key(MIN_INSYNC);
    if !name.is_empty() && (change.is_some() || forgotten) {
        return Err(config(format!("Broker-level {MIN_INSYNC} cannot be altered while ELR is enabled.")));
    }
    if name.is_empty() && (change.is_some_and(|change| change.op == DELETE) || forgotten) {
        return Err(config(format!("Cluster-level {MIN_INSYNC} cannot be removed while ELR is enabled.")));
    }
    Ok(())
}

/// Which settings of a running broker may be set, and to what.
fn check_dynamic(new: &Values, one_broker: bool, levels: &Levels<'_>) -> Result<(), String> {
    let known = || new.iter().filter_map(|(name, value)| Some((broker_setting(name)?, value)));
    let named = |wanted: &dyn Fn(&setting::Setting) -> bool| -> Vec<&str> {
        known().filter(|(setting, _)| wanted(setting)).map(|(setting, _)| setting.name).collect()
    };
    let refuse = |names: Vec<&str>, why: &str| match names.is_empty() {
        true => Ok(()),
        false => Err(format!("{why}: [{}]", names.join(", "))),
    };
    let fixed = named(&|setting| matches!(setting.update, Update::Fixed | Update::Internal));
    refuse(fixed, "Cannot update these configs dynamically")?;
    let secure = named(&|setting| setting.name.starts_with("ssl.") && setting.name != "ssl.client.auth");
    let only =
        "These security configs can be dynamically updated only per-listener using the listener prefix";
    refuse(secure, only)?;
    for (setting, value) in known() {
        setting.parse(value)?;
    }
    if !one_broker {
        let own = named(&|setting| setting.update == Update::PerBroker);
        refuse(own, "Cannot update these configs at default cluster level, broker id must be specified")?;
    }
    for name in THREADS {
        if let Some(count) = new.get(name).and_then(|value| value.trim().parse().ok()) {
            check_threads(name, levels.number(name).unwrap_or(1), count)?;
        }
    }
    Ok(())
}

/// A pool of threads may be halved or doubled at a time.
fn check_threads(name: &str, old: i64, new: i64) -> Result<(), String> {
    let failed = format!("Dynamic thread count update validation failed for {name}={new}, value should");
    let why = match name {
        "log.cleaner.threads" if new < 1 => "Log cleaner threads should be at least 1".to_owned(),
        "log.cleaner.threads" if new < old / 2 => {
            format!("Log cleaner threads cannot be reduced to less than half the current value {old}")
        }
        "log.cleaner.threads" if new > old.saturating_mul(2) => {
            format!("Log cleaner threads cannot be increased to more than double the current value {old}")
        }
        _ if new < old / 2 => format!("{failed} be at least half the current value {old}"),
        _ if new > old.saturating_mul(2) => {
            format!("{failed} not be greater than double the current value {old}")
        }
        _ => return Ok(()),
    };
    // Kafka wraps this error in another of the same kind, and gets their parts into the wrong places.
    let inner = format!("org.apache.kafka.common.config.ConfigException: {why}");
    Err(format!("Invalid value {inner} for configuration Invalid dynamic configuration"))
}
