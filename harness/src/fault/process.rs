//! Faults of a host's processes. Types only: the world injects them.

use serde::{Deserialize, Serialize};

use super::{Hosts, Needs, World};

/// A fault of a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ProcessFault {
    /// The host's process ends as by `kill -9`: nothing is flushed, nothing is said.
    Kill {
        /// The hosts. Without it: the host that passed the point which triggered the fault.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<Hosts>,
        /// Whether the host comes back when `for` is over, at once without `for`. If not, it stays away until
        /// everything is healed at the end of the run's duration.
        #[serde(default = "yes")]
        restart: bool,
    },
    /// The host's process stands still, as by `kill -STOP`, a long garbage collection or a busy hypervisor. Its
    /// connections stay open and fill up; when it runs on, it does not know that time has passed.
    Pause {
        /// The hosts. Without it: the host that passed the point which triggered the fault.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<Hosts>,
    },
}

fn yes() -> bool {
    true
}

impl ProcessFault {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "process.kill",
            Self::Pause { .. } => "process.pause",
        }
    }

    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Kill { restart: true, .. } => Needs::Either,
            Self::Kill { restart: false, .. } => Needs::Instant,
            Self::Pause { .. } => Needs::Window,
        }
    }

    pub(super) fn worlds(&self) -> &'static [World] {
        &[World::Sim, World::Local, World::Containers]
    }

    pub(super) fn hosts_mut(&mut self) -> Vec<(&'static str, &mut Hosts)> {
        match self {
            Self::Kill { host, .. } | Self::Pause { host } => {
                host.iter_mut().map(|hosts| ("host", hosts)).collect()
            }
        }
    }
}
