//! How a plan file writes a fault: as a scenario file does, with its origin.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Origin, PlannedFault, Trigger};
use crate::fault::{ClockFault, Fault, HttpFault, KafkaFault, NetFault, ProcessFault, RedisFault, unit};
use crate::scenario::schema::{AtPoint, FaultEntry};

/// A planned fault as a plan file has it: the entry of a scenario file, and its origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct PlannedEntry {
    #[serde(default)]
    origin: Origin,
    name: String,
    #[serde(default, with = "unit::optional_duration", skip_serializing_if = "Option::is_none")]
    at: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<AtPoint>,
    #[serde(
        default,
        rename = "for",
        with = "unit::optional_duration",
        skip_serializing_if = "Option::is_none"
    )]
    lasts: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    net: Option<NetFault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<ProcessFault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<ClockFault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kafka: Option<KafkaFault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redis: Option<RedisFault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<HttpFault>,
}

impl TryFrom<PlannedEntry> for PlannedFault {
    type Error = InvalidPlannedFault;

    fn try_from(entry: PlannedEntry) -> Result<Self, InvalidPlannedFault> {
        let PlannedEntry { origin, name, at, when, lasts, net, process, clock, kafka, redis, http } = entry;
        let entry = FaultEntry { net, process, clock, kafka, redis, http, ..FaultEntry::default() };
        let trigger = match (at, when) {
            (Some(at), None) => Trigger::At(at),
            (None, Some(point)) => Trigger::Point(point),
            _ => return Err(InvalidPlannedFault::Trigger),
        };
        let mut faults = entry.faults();
        match (faults.pop(), faults.pop()) {
            (Some(fault), None) => Ok(Self { name, trigger, lasts, fault, origin }),
            _ => Err(InvalidPlannedFault::Kind),
        }
    }
}

impl From<PlannedFault> for PlannedEntry {
    fn from(planned: PlannedFault) -> Self {
        let (origin, name) = (planned.origin, planned.name.clone());
        let FaultEntry { at, when, lasts, net, process, clock, kafka, redis, http, .. } = planned.into();
        Self { origin, name, at, when, lasts, net, process, clock, kafka, redis, http }
    }
}

impl From<PlannedFault> for FaultEntry {
    fn from(planned: PlannedFault) -> Self {
        let PlannedFault { name, trigger, lasts, fault, .. } = planned;
        let (at, when) = match trigger {
            Trigger::At(at) => (Some(at), None),
            Trigger::Point(point) => (None, Some(point)),
        };
        let entry = Self { name: Some(name), at, when, lasts, ..Self::default() };
        match fault {
            Fault::Net(fault) => Self { net: Some(fault), ..entry },
            Fault::Process(fault) => Self { process: Some(fault), ..entry },
            Fault::Clock(fault) => Self { clock: Some(fault), ..entry },
            Fault::Kafka(fault) => Self { kafka: Some(fault), ..entry },
            Fault::Redis(fault) => Self { redis: Some(fault), ..entry },
            Fault::Http(fault) => Self { http: Some(fault), ..entry },
        }
    }
}

/// Why an entry of a plan file is no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlannedFault {
    /// Neither a time nor a point, or both.
    #[error("expected exactly one of `at` and `when`")]
    Trigger,
    /// No kind of fault, or several.
    #[error("expected exactly one kind of fault, like `net.reset = {{ … }}`")]
    Kind,
}
