//! Faults of a host's wall clock. Timers are another clock and are not touched.
//!
//! Types only: the world injects them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Hosts, Needs, World, unit};

/// A fault of a clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ClockFault {
    /// The wall clock is set, as by an operator, by NTP, or when a virtual machine wakes up. It stays so: what
    /// sets it right is another jump.
    Jump {
        /// The hosts: Redis servers and services.
        host: Hosts,
        /// By how much.
        #[serde(with = "unit::duration")]
        by: Duration,
        /// Which way.
        #[serde(default)]
        direction: Shift,
    },
}

/// Which way a clock is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shift {
    /// Into the future.
    #[default]
    Forward,
    /// Into the past.
    Backward,
}

impl Shift {
    /// `by` this way, in milliseconds.
    #[must_use]
    pub fn millis(self, by: Duration) -> i64 {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        if self == Self::Forward { by } else { -by }
    }
}

impl ClockFault {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Jump { .. } => "clock.jump",
        }
    }

    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Jump { .. } => Needs::Instant,
        }
    }

    pub(super) fn worlds(&self) -> &'static [World] {
        match self {
            Self::Jump { .. } => &[World::Sim, World::Local],
        }
    }

    pub(super) fn hosts_mut(&mut self) -> Vec<(&'static str, &mut Hosts)> {
        match self {
            Self::Jump { host, .. } => vec![("host", host)],
        }
    }
}
