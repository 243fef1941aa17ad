//! Faults inside a Redis server: what it answers, what it forgets. They concern every Redis of the topology.
//!
//! Types only: the world injects them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use squall_mocks::redis::RedisMatch;
use squall_mocks::rule::Rule;

use super::unit;
use super::{Needs, World};

/// A fault of Redis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RedisFault {
    /// Commands that match are answered wrongly, late or not at all.
    Rule(Rule<RedisMatch>),
    /// A replica takes over which has not seen the last writes; connections are closed.
    Failover {
        /// Writes of this long before the failover are lost.
        #[serde(with = "unit::duration")]
        lose_last: Duration,
    },
    /// The server restarts; connections are closed.
    Restart {
        /// What it still knows afterwards.
        #[serde(default)]
        keep: Keep,
    },
    /// Every key is gone, as after `FLUSHALL`.
    Flush {},
    /// A key is gone before its time, as under memory pressure.
    Evict {
        /// The key, or a pattern as in `KEYS`.
        key: String,
    },
    /// Writes are refused with `READONLY`, as by a primary that was demoted.
    Readonly {},
}

/// What a Redis server remembers across a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Nothing: no persistence.
    #[default]
    Nothing,
    /// Everything: an append-only file synced on each write.
    Everything,
}

impl RedisFault {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Rule(_) => "redis.rule",
            Self::Failover { .. } => "redis.failover",
            Self::Restart { .. } => "redis.restart",
            Self::Flush {} => "redis.flush",
            Self::Evict { .. } => "redis.evict",
            Self::Readonly {} => "redis.readonly",
        }
    }

    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Rule(_) => Needs::Either,
            Self::Readonly {} => Needs::Window,
            _ => Needs::Instant,
        }
    }

    pub(super) fn worlds(&self) -> &'static [World] {
        match self {
            Self::Flush {} | Self::Evict { .. } => &[World::Sim, World::Local, World::Containers],
            _ => &[World::Sim, World::Local],
        }
    }
}
