//! Workloads: how many events of which kind, how fast, under which keys, and how many of them spoiled.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Field;
use crate::fault::unit::{self, Probability, Rate};

/// A stream of events put into the system from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Workload {
    /// Names it; its draws depend on this name.
    pub name: String,
    /// The type of the events: `order.placed`.
    pub emit: String,
    /// Where they go: `kafka/orders`, a Kafka cluster of the topology and a topic.
    pub to: String,
    /// The field of the payload that holds what the event is about, like an order's number: the workload's name
    /// and the event's number.
    #[serde(default = "id_field")]
    pub id_field: String,
    /// How many.
    pub count: u64,
    /// How fast; the first is emitted when the run begins.
    pub rate: Rate,
    /// Under which keys.
    #[serde(default)]
    pub keys: Keys,
    /// The fields of the payload.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, Field>,
    /// Which shares are spoiled.
    #[serde(default)]
    pub spoil: Shares,
    /// How they are published.
    #[serde(default)]
    pub producer: Producer,
}

fn id_field() -> String {
    "id".to_owned()
}

impl Workload {
    /// The name of the cluster the events go to.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.to.split_once('/').map_or("", |(cluster, _)| cluster)
    }

    /// The topic the events go to.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.to.split_once('/').map_or("", |(_, topic)| topic)
    }
}

/// How keys are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Keys {
    /// Each event has its own.
    #[default]
    Unique,
    /// Each of `n` keys as likely as another.
    Uniform {
        /// How many keys.
        n: u32,
    },
    /// The k-th of `n` keys has a weight of 1 / k^s: a few keys get most events.
    Zipf {
        /// How many keys.
        n: u32,
        /// How uneven; 0 is uniform, 1.1 is usual.
        s: f64,
    },
}

/// The shares of events that are spoiled, each from 0 to 1, drawn per event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Shares {
    /// Published twice under the same event id.
    pub duplicate: Probability,
    /// Published later than those behind it.
    pub late: Probability,
    /// With a payload no consumer can read.
    pub poison: Probability,
    /// With a payload larger than a broker accepts by default.
    pub oversized: Probability,
}

/// How events are published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Producer {
    /// The broker drops the producer's own retries.
    pub idempotent: bool,
    /// How long one event is tried before its outcome is unknown.
    #[serde(with = "unit::duration")]
    pub delivery_timeout: Duration,
}

impl Default for Producer {
    fn default() -> Self {
        Self { idempotent: true, delivery_timeout: Duration::from_secs(30) }
    }
}
