//! Plans: everything one run needs, every random choice made.
//!
//! A plan is drawn from a scenario's case and a seed, or read from a file; a run, a replay and a shrink know
//! nothing else. Faults name concrete hosts and times, chaos is written out. Only the events of a workload
//! are not listed: they follow from its definition and the seed, so a plan stays small enough to read.

mod chaos;
mod draw;
mod emission;
mod entry;
mod file;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::unit;
use crate::scenario::schema::{AtPoint, Expectation, Fault, Service, Workload, World};
use crate::seed::Seed;
pub use emission::{Emission, Spoil};
pub use entry::InvalidPlannedFault;
use entry::PlannedEntry;

/// The version of the plan file's format.
pub const PLAN_SCHEMA: u32 = 1;

/// One run, decided to the last draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// The version of the format, [`PLAN_SCHEMA`].
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The case: its matrix values, `workers=3`; empty without a matrix.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub case: String,
    /// Decides the events of the workloads and whatever the world draws.
    pub seed: Seed,
    /// A planted bug to switch on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// The step of simulated time.
    #[serde(with = "unit::duration")]
    pub tick: Duration,
    /// Load and faults; at its end everything is healed.
    #[serde(with = "unit::duration")]
    pub duration: Duration,
    /// After that, without load.
    #[serde(with = "unit::duration")]
    pub settle: Duration,
    /// What the run came to, once it has run; a replay compares itself with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The services and their hosts, in order of their names.
    #[serde(default, rename = "service", skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<PlannedService>,
    /// The loads.
    #[serde(default, rename = "workload", skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<Workload>,
    /// What goes wrong: the scenario's own faults, then those of chaos in order of time.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<PlannedFault>,
    /// What must hold.
    #[serde(default, rename = "expect", skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Expectation>,
}

impl Plan {
    /// Every host, with the service it belongs to.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &PlannedService)> {
        self.services
            .iter()
            .flat_map(|service| service.hosts.iter().map(move |host| (host.as_str(), service)))
    }

    /// The faults `world` cannot inject.
    pub fn unsupported(&self, world: World) -> impl Iterator<Item = &PlannedFault> {
        self.faults.iter().filter(move |fault| !fault.runs_in(world))
    }
}

/// A service and the hosts it runs on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlannedService {
    /// Its name in the topology.
    pub name: String,
    /// Its hosts, in order.
    pub hosts: Vec<String>,
    /// What it is, as the scenario says.
    pub spec: Service,
}

/// A fault with its hosts and its trigger resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlannedEntry", into = "PlannedEntry")]
pub struct PlannedFault {
    /// Names it, uniquely within the plan.
    pub name: String,
    /// When it happens.
    pub trigger: Trigger,
    /// How long; absent if it is instantaneous or lasts until everything is healed.
    pub lasts: Option<Duration>,
    /// What happens.
    pub fault: Fault,
    /// Where it comes from.
    pub origin: Origin,
}

/// The name under which a fault is counted: every occurrence of a chaos entry under the entry's name.
#[must_use]
pub fn counted_as(name: &str) -> &str {
    name.strip_prefix("chaos.").and_then(|rest| rest.rsplit_once('.')).map_or(name, |(entry, _)| entry)
}

impl PlannedFault {
    /// Whether `world` can inject it. Only the simulation sees code points.
    #[must_use]
    pub fn runs_in(&self, world: World) -> bool {
        let trigger = matches!(self.trigger, Trigger::At(_)) || world == World::Sim;
        trigger && self.fault.worlds().contains(&world)
    }

    /// When it is over, if everything is healed at `healed`; `None` if that depends on the run.
    #[must_use]
    pub fn end(&self, healed: Duration) -> Option<Duration> {
        let Trigger::At(at) = self.trigger else { return None };
        let end = match self.lasts {
            Some(lasts) => at.saturating_add(lasts),
            None if self.fault.lingers() => healed,
            None => at,
        };
        Some(end.min(healed))
    }
}

/// When a fault happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At this time, from the beginning of the run.
    At(Duration),
    /// At this passage of a point; its hosts are names.
    Point(AtPoint),
}

/// Where a planned fault comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The scenario names it.
    #[default]
    Scenario,
    /// It was drawn.
    Chaos,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Outcome {
    /// The verdict's name: `passed`, `failed`, `inconclusive`.
    pub verdict: String,
    /// The checker that decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checker: Option<String>,
    /// When in the run.
    #[serde(default, with = "unit::optional_duration", skip_serializing_if = "Option::is_none")]
    pub at: Option<Duration>,
    /// The hash of the run's trace.
    pub trace: String,
}
