//! Faults of the network between hosts. A link is every pair of a host of its first and one of its second
//! end.
//!
//! Types only: the world injects them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::unit::{self, Bandwidth};
use super::{Hosts, Needs, World};

/// A fault of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum NetFault {
    /// Nothing passes between two sets of hosts. Connections stall, then end as TCP ends them.
    Partition {
        /// The two sides.
        between: [Hosts; 2],
        /// Which way is cut.
        #[serde(default)]
        direction: Direction,
    },
    /// Bytes arrive later.
    Latency {
        /// The two ends.
        link: [Hosts; 2],
        /// Added each way.
        #[serde(with = "unit::duration")]
        add: Duration,
        /// Up to this much more, drawn per delivery.
        #[serde(default, with = "unit::duration")]
        jitter: Duration,
    },
    /// Every open connection of a link is reset, now.
    Reset {
        /// The two ends.
        link: [Hosts; 2],
    },
    /// Each connection is cut after this many bytes, counted each way.
    CutAfter {
        /// The two ends.
        link: [Hosts; 2],
        /// Bytes that still pass.
        bytes: u64,
    },
    /// A link carries no more than this.
    Bandwidth {
        /// The two ends.
        link: [Hosts; 2],
        /// Bytes per second, each way.
        rate: Bandwidth,
    },
    /// Writes arrive in small pieces, so that frames never end where reads do.
    Slice {
        /// The two ends.
        link: [Hosts; 2],
        /// The longest piece, at least 1.
        max_bytes: u64,
    },
    /// Bytes from the first end vanish while those from the second arrive: a peer that seems alive.
    HalfOpen {
        /// The silenced end, then the other.
        link: [Hosts; 2],
    },
}

/// Which way a partition cuts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// Only from the first set to the second.
    Forward,
}

impl NetFault {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Partition { .. } => "net.partition",
            Self::Latency { .. } => "net.latency",
            Self::Reset { .. } => "net.reset",
            Self::CutAfter { .. } => "net.cut-after",
            Self::Bandwidth { .. } => "net.bandwidth",
            Self::Slice { .. } => "net.slice",
            Self::HalfOpen { .. } => "net.half-open",
        }
    }

    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Reset { .. } => Needs::Instant,
            _ => Needs::Window,
        }
    }

    pub(super) fn worlds(&self) -> &'static [World] {
        &[World::Sim, World::Local, World::Containers]
    }

    pub(super) fn hosts_mut(&mut self) -> Vec<(&'static str, &mut Hosts)> {
        let (name, ends) = match self {
            Self::Partition { between, .. } => ("between", between),
            Self::Latency { link, .. }
            | Self::Reset { link }
            | Self::CutAfter { link, .. }
            | Self::Bandwidth { link, .. }
            | Self::Slice { link, .. }
            | Self::HalfOpen { link } => ("link", link),
        };
        ends.iter_mut().map(|hosts| (name, hosts)).collect()
    }
}
