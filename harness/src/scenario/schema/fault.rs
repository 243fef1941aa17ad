//! When faults happen: at a time, at a code point, or at random.
//!
//! The kind of a fault is a dotted key of its entry, `net.partition`, so an entry has one optional field per
//! group of kinds. That exactly one is filled is the loader's to check: it can say where.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::{
    ClockFault, Fault, Hosts, HttpFault, KafkaFault, NetFault, ProcessFault, RedisFault, unit,
};

/// A fault that happens at a time or at a point: a `[[fault]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FaultEntry {
    /// Names it in reports; its draws depend on this name. Its kind, numbered, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When, from the beginning of the run; or else `when`.
    #[serde(with = "unit::optional_duration", skip_serializing_if = "Option::is_none")]
    pub at: Option<Duration>,
    /// At which point; or else `at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<AtPoint>,
    /// How long.
    #[serde(rename = "for", with = "unit::optional_duration", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// A fault between hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<NetFault>,
    /// A fault on a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessFault>,
    /// A fault of a host's wall clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockFault>,
    /// A fault in the Kafka cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaFault>,
    /// A fault in Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisFault>,
    /// A fault in a service called over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpFault>,
}

/// A passage of a code point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AtPoint {
    /// The point's name: `processor.after-effect`.
    pub point: String,
    /// The hosts whose passages count; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Hosts>,
    /// Which passage, counted from 1 over these hosts together.
    #[serde(default = "first")]
    pub nth: u64,
}

fn first() -> u64 {
    1
}

/// Faults at random.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Chaos {
    /// Each seed enables a random subset of the entries, with random weights.
    #[serde(default)]
    pub swarm: bool,
    /// How many may be active at once.
    #[serde(default = "max_concurrent")]
    pub max_concurrent: u32,
    /// The kinds to draw from.
    #[serde(default)]
    pub any: Vec<ChaosEntry>,
}

fn max_concurrent() -> u32 {
    1
}

/// A fault that happens again and again at random.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChaosEntry {
    /// Names it; its draws depend on this name. Its kind, numbered, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The odds against other entries when only one more fault fits below `max-concurrent`.
    #[serde(default = "weight")]
    pub weight: u32,
    /// The time between one occurrence and the next.
    pub gap: Gap,
    /// How long each lasts.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// A fault between hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<NetFault>,
    /// A fault on a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessFault>,
    /// A fault of a host's wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockFault>,
    /// A fault in the Kafka cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaFault>,
    /// A fault in Redis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisFault>,
    /// A fault in a service called over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpFault>,
}

fn weight() -> u32 {
    1
}

/// A time between occurrences, drawn from an exponential distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gap {
    /// The mean.
    #[serde(with = "unit::duration")]
    pub mean: Duration,
}

/// A length of time, drawn evenly between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Span {
    /// The shortest.
    #[serde(with = "unit::duration")]
    pub min: Duration,
    /// The longest.
    #[serde(with = "unit::duration")]
    pub max: Duration,
}

/// The faults of an entry, of which a checked one has exactly one.
macro_rules! faults {
    ($entry:ident) => {
        impl $entry {
            /// The fault. A checked entry has exactly one; of several, the first counts.
            #[must_use]
            pub fn fault(&self) -> Option<Fault> {
                self.faults().into_iter().next()
            }

            /// All faults the entry names, checked or not.
            pub(crate) fn faults(&self) -> Vec<Fault> {
                let faults = [
                    self.net.clone().map(Fault::Net),
                    self.process.clone().map(Fault::Process),
                    self.clock.clone().map(Fault::Clock),
                    self.kafka.clone().map(Fault::Kafka),
                    self.redis.clone().map(Fault::Redis),
                    self.http.clone().map(Fault::Http),
                ];
                faults.into_iter().flatten().collect()
            }
        }
    };
}

faults!(FaultEntry);
faults!(ChaosEntry);
