//! Server-side assignors of the consumer protocol: who reads which partition.
//!
//! Pure functions from subscriptions and the assignment before to the next one. Partitions nobody subscribed
//! to stay free; each other one has exactly one owner, who subscribed to its topic. Racks are not looked at,
//! as in Kafka 4.3. Where Kafka goes through a hash map, these go in order of ids.

mod heterogeneous;
mod range;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

/// Partitions by topic.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;

/// A server-side assignor of the consumer protocol (`group.consumer.assignors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// Spreads all partitions evenly and moves as few as it can.
    Uniform,
    /// Gives neighbouring partitions of each topic to the same member, and the same numbers of every topic.
    Range,
}

/// What an assignor is told of a member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriber {
    pub instance_id: Option<String>,
    /// Topics that exist and that it subscribed to.
    pub topics: BTreeSet<Uuid>,
    /// Its part of the assignment before.
    pub assigned: Partitions,
}

/// What an assignor is told of a group.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub members: BTreeMap<String, Subscriber>,
    /// Whether all members have the same subscription.
    pub homogeneous: bool,
    /// How many partitions each topic has.
    pub partitions: BTreeMap<Uuid, i32>,
}

impl Assignor {
    /// Its name in requests and settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// Computes the next assignment of every member.
    pub(crate) fn assign(self, spec: Spec) -> BTreeMap<String, Partitions> {
        match self {
            Self::Range => range::assign(&spec),
            Self::Uniform if spec.homogeneous => uniform::assign(spec),
            Self::Uniform => heterogeneous::assign(spec),
        }
    }
}

impl Spec {
    fn count(&self, topic: Uuid) -> i32 {
        self.partitions.get(&topic).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
