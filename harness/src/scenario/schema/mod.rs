//! What a scenario says, in the shape of its file, version 1.
//!
//! A value of these types is what the file says after inheritance and parameters, with defaults filled in;
//! the loader has also checked it against the rules a type cannot express. Files are read by the loader,
//! which knows lines and columns; written, they are plain TOML.

mod data;
mod expect;
mod fault;
mod workload;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{self, SeqAccess};
use serde::{Deserialize, Deserializer, Serialize};

use crate::fault::unit;
pub use crate::fault::{Fault, Hosts, World};
use crate::seed::{Seed, scenario_seed};
pub use data::{Fake, Field};
pub(crate) use expect::mishap;
pub use expect::{Claim, ExpectEntry, Expectation, InvalidExpectation, LastHeal, Metric, Operator, Subject};
pub use fault::{AtPoint, Chaos, ChaosEntry, FaultEntry, Gap, Span};
pub use workload::{Keys, Producer, Shares, Workload};

/// The version of the file format this crate reads.
pub const SCHEMA: u32 = 1;

/// A scenario: what runs, what load it gets, what goes wrong and what must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    // Both are required. The loader says so, and goes on to find the other mistakes.
    /// The version of the format, [`SCHEMA`].
    #[serde(default)]
    pub schema: u32,
    /// The scenario's name; with the matrix it decides the seeds.
    #[serde(default)]
    pub name: String,
    /// What it is about, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Where it can run.
    #[serde(default = "default_worlds")]
    pub worlds: Vec<World>,
    /// How long, and with which seeds.
    #[serde(default)]
    pub run: Run,
    /// The services, by name.
    #[serde(default)]
    pub topology: BTreeMap<String, Service>,
    /// The loads.
    #[serde(default, rename = "workload", skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<Workload>,
    /// What goes wrong, each at its time or point.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultEntry>,
    /// What goes wrong at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chaos: Option<Chaos>,
    /// What must hold.
    #[serde(default, rename = "expect", skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<ExpectEntry>,
}

fn default_worlds() -> Vec<World> {
    vec![World::Sim]
}

/// How long a run lasts and how many there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Run {
    /// Load and faults; at its end everything is healed.
    #[serde(with = "unit::duration")]
    pub duration: Duration,
    /// After that, without load: what must happen eventually is judged here.
    #[serde(with = "unit::duration")]
    pub settle: Duration,
    /// The seeds: how many, or which.
    pub seeds: Seeds,
    /// The step of simulated time, whole milliseconds, and the least latency of a link. The simulation steps
    /// every host in every tick, busy or not, so wall time grows with ticks times hosts. That is why the
    /// default is 10 ms: a finer tick finds races between answers closer together, and pays for it in seeds.
    #[serde(with = "unit::duration")]
    pub tick: Duration,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(30),
            settle: Duration::from_secs(30),
            seeds: Seeds::Count(100),
            tick: Duration::from_millis(10),
        }
    }
}

/// Which seeds to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Seeds {
    /// This many, derived from the scenario's name and matrix label.
    Count(u64),
    /// Exactly these.
    List(Vec<Seed>),
}

impl Seeds {
    /// How many.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Count(n) => *n,
            Self::List(list) => list.len() as u64,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `i`-th, for the scenario `name` in the case `label`.
    #[must_use]
    pub fn get(&self, name: &str, label: &str, i: u64) -> Option<Seed> {
        match self {
            Self::Count(n) => (i < *n).then(|| scenario_seed(name, label, i)),
            Self::List(list) => list.get(usize::try_from(i).ok()?).copied(),
        }
    }
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Seeds;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("how many seeds, like 200, or a list of seeds, like [7, \"0x2a\"]")
            }

            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Seeds, E> {
                u64::try_from(n)
                    .map(Seeds::Count)
                    .map_err(|_| E::custom("expected a number of seeds above zero"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Seeds, A::Error> {
                let mut list = Vec::new();
                while let Some(seed) = seq.next_element()? {
                    list.push(seed);
                }
                Ok(Seeds::List(list))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A service, a broker cluster or a server: one or more hosts of the same kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// What it is: a name the harness knows, `squall.kafka`.
    pub kind: String,
    /// How many hosts.
    #[serde(default = "one")]
    pub replicas: u32,
    /// The services it talks to, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
    /// Topics to create, by name; for a Kafka cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topics: BTreeMap<String, Topic>,
    /// Settings its kind understands.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub config: toml::Table,
}

/// The kind of a Kafka cluster, whose replicas are its brokers.
pub const KAFKA_KIND: &str = "squall.kafka";
/// The kind of a service called over HTTP that carries effects out.
pub const SINK_KIND: &str = "squall.http-sink";
/// The kind of a Redis server.
pub const REDIS_KIND: &str = "squall.redis";

impl Service {
    /// The names of its hosts, if the service is called `name`. Brokers are numbered even when alone.
    #[must_use]
    pub fn host_names(&self, name: &str) -> Vec<String> {
        crate::fault::host_names(name, self.replicas, self.kind == KAFKA_KIND)
    }
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Topic {
    /// How many partitions.
    #[serde(default = "one")]
    pub partitions: u32,
    /// How many brokers hold each; as many as there are, up to three, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<u32>,
    /// Settings of the topic by Kafka's own names: `"retention.ms" = "60000"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// What observers read from it.
    #[serde(default)]
    pub role: Role,
}

/// What a topic is to the observers of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Nothing: nobody reads it for the checkers.
    #[default]
    Plain,
    /// Results: each record is the outcome of an event.
    Results,
    /// Events that were given up.
    DeadLetters,
}

fn one() -> u32 {
    1
}
