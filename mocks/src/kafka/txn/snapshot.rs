//! What tests may see of a transaction, as plain values.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::kafka::cluster::Cluster;

/// Where a transactional id stands. A state that is being entered is told once it is reached, as by a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionState {
    /// Initialised; nothing was added to a transaction yet.
    Empty,
    /// Partitions are in it.
    Ongoing,
    /// To be committed; markers are being written.
    PrepareCommit,
    /// To be aborted; markers are being written.
    PrepareAbort,
    /// Committed.
    CompleteCommit,
    /// Aborted.
    CompleteAbort,
}

impl TransactionState {
    /// The name Kafka gives the state.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether the outcome is decided and not yet written everywhere.
    #[must_use]
    pub fn is_prepared(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }
}

/// A transactional id as its coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionSnapshot {
    /// State.
    pub state: TransactionState,
    /// The coordinator's node, -1 if there is none now.
    pub coordinator: i32,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch: an older one is fenced. -1 before the producer was initialised.
    pub producer_epoch: i16,
    /// How long a transaction may take.
    pub timeout: Duration,
    /// When the transaction began, Unix milliseconds; -1 if there is none.
    pub started_at_ms: i64,
    /// Partitions in the transaction; while it ends, those whose marker not all replicas in sync have. An offset that is
    /// committed in it shows as the group's partition of `__consumer_offsets`.
    pub partitions: BTreeSet<(String, i32)>,
}

impl Cluster {
    /// A transactional id that was initialised and has not expired.
    pub fn transaction_snapshot(&self, id: &str) -> Option<TransactionSnapshot> {
        let known = self.transactions.known.get(id)?;
        Some(TransactionSnapshot {
            state: known.state,
            coordinator: self.true_coordinator_of(id).map_or(-1, |(node, _)| node),
            producer_id: known.producer_id,
            producer_epoch: known.epoch,
            timeout: crate::kafka::wire::millis(known.timeout_ms),
            started_at_ms: known.started_ms,
            partitions: known.partitions.clone(),
        })
    }
}
