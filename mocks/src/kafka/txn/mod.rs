//! Transactions as their coordinators keep them.
//!
//! | file | holds |
//! |---|---|
//! | `state.rs` | one transactional id as a state machine: who may do what, and what then |
//! | `coordinator.rs` | which node coordinates which id, and the calls clients make of it |
//! | `verify.rs` | what the leader of a partition asks the coordinator before it takes records |
//! | `markers.rs` | writing the ends of transactions into their partitions |
//! | `expiry.rs` | transactions that take too long, ids and producers nobody uses |
//! | `producer_ids.rs` | numbers for producers |
//! | `snapshot.rs` | what tests may see |
//!
//! The rules are those of Kafka's `TransactionCoordinator`, `TransactionStateManager` and
//! `TransactionMarkerChannelManager`. What Kafka writes to `__transaction_state` takes no time here and is kept
//! in `Cluster::transactions`, so a new coordinator knows all of it at once: transitions that wait for that
//! write are never seen. How a partition keeps its transactions is in `log/`.

mod coordinator;
mod expiry;
mod markers;
mod producer_ids;
mod snapshot;
mod state;
mod verify;

use std::collections::{BTreeMap, VecDeque};

use uuid::Uuid;

pub(crate) use coordinator::Init;
pub(crate) use expiry::TxnTimer;
use producer_ids::ProducerIds;
pub use snapshot::{TransactionSnapshot, TransactionState};
pub(crate) use state::{End, Transaction, Version};

/// The topic that holds transactions.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// All transactions of the cluster, and the numbers of all producers.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// By transactional id.
    pub known: BTreeMap<String, Transaction>,
    /// Markers that not every replica in sync has, by topic id and partition, in the order of the log.
    awaited: BTreeMap<(Uuid, i32), VecDeque<markers::Awaited>>,
    pub ids: ProducerIds,
}
