//! Faults inside a Kafka cluster: what its brokers answer, who leads and who coordinates.
//!
//! Types only: the world injects them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use squall_mocks::kafka::KafkaMatch;
use squall_mocks::rule::Rule;

use super::unit;
use super::{Needs, World};

/// A fault of the Kafka cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum KafkaFault {
    /// Requests that match are answered wrongly, late or not at all.
    Rule(Box<Rule<KafkaMatch>>),
    /// The coordinator of a consumer group moves to the next broker.
    MoveCoordinator {
        /// The group.
        group: String,
    },
    /// A partition gets another leader.
    MoveLeader {
        /// The topic.
        topic: String,
        /// The partition, from 0.
        partition: i32,
        /// The new leader's node number; the next broker if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<i32>,
    },
    /// The followers of a topic copy nothing: after a while they are no longer in sync, and if one of them is then
    /// made leader, it lacks what was acknowledged meanwhile.
    ReplicaLag {
        /// The topic.
        topic: String,
    },
    /// One broker answers with metadata that is this old.
    MetadataLag {
        /// The broker's node number, from 1.
        node: i32,
        /// How old.
        #[serde(with = "unit::duration")]
        by: Duration,
    },
}

impl KafkaFault {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Rule(_) => "kafka.rule",
            Self::MoveCoordinator { .. } => "kafka.move-coordinator",
            Self::MoveLeader { .. } => "kafka.move-leader",
            Self::ReplicaLag { .. } => "kafka.replica-lag",
            Self::MetadataLag { .. } => "kafka.metadata-lag",
        }
    }

    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Rule(_) => Needs::Either,
            Self::MoveCoordinator { .. } | Self::MoveLeader { .. } => Needs::Instant,
            Self::ReplicaLag { .. } | Self::MetadataLag { .. } => Needs::Window,
        }
    }

    /// Real brokers take no orders of this kind.
    pub(super) fn worlds(&self) -> &'static [World] {
        &[World::Sim, World::Local]
    }
}
