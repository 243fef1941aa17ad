//! The history of a run: what observers outside the system under test saw, in the order they saw it.
//!
//! A history is append-only and in execution order; it is always a prefix of what happened, so a limit that
//! is reached costs the end of the history and never a hole in it. Checkers read nothing else. Nothing the
//! system under test says about itself is recorded here, except counters, which judge only whether a run was
//! worth anything.

mod display;
mod index;
mod recorder;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

pub(crate) use self::display::{At, Count, Grouped, Plain};
pub(crate) use self::index::{EventFacts, Index, KeyFacts};
pub use self::recorder::{Recorder, RecorderLimits};

/// A name or an id, shared by many entries.
pub type Text = Arc<str>;

/// What was recorded in one run.
#[derive(Debug, Default)]
pub struct History {
    entries: Vec<Entry>,
    counters: BTreeMap<String, u64>,
    dropped: u64,
    index: OnceLock<Index>,
}

impl History {
    /// A history of these entries, already in execution order.
    #[must_use]
    pub fn new(entries: Vec<Entry>, counters: BTreeMap<String, u64>) -> Self {
        Self { entries, counters, dropped: 0, index: OnceLock::new() }
    }

    /// The entries, in execution order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How often `name` was counted: a point passed, a rule hit, a sighting.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Every counter.
    #[must_use]
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        &self.counters
    }

    /// Entries that came after the limit and were not kept.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// When `phase` was reached, the last time if several.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> Option<Duration> {
        let reached = |entry: &&Entry| matches!(entry.what, Record::Phase(p) if p == phase);
        self.entries.iter().rev().find(reached).map(|entry| entry.at)
    }

    /// Whether the run reached its end, so that what is missing now is missing for good.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.dropped == 0 && self.phase(Phase::SettleEnd).is_some()
    }

    /// From when on nothing stands in the way of recovery: the latest of the last fault's end, the healing
    /// and the end of the load. `None` if none of these was recorded.
    ///
    /// The end of the load counts because an event accepted in the last moment of the load needs as long as
    /// any other; the time until it is resolved says nothing about recovery before that moment.
    #[must_use]
    pub fn last_heal(&self) -> Option<Duration> {
        let calm = |entry: &&Entry| match entry.what {
            Record::Fault { edge, .. } => edge == Edge::End,
            Record::Phase(phase) => matches!(phase, Phase::Healed | Phase::LoadEnd),
            _ => false,
        };
        self.entries.iter().filter(calm).map(|entry| entry.at).max()
    }

    /// Facts per event and per key, collected on first use and shared by all checkers.
    pub(crate) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(&self.entries))
    }
}

/// One record, with when and where it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Position in the history, from 0.
    pub seq: u64,
    /// Virtual time since the start of the run.
    pub at: Duration,
    /// The host the observer ran on or watched.
    pub host: Text,
    /// What was seen.
    pub what: Record,
}

/// Identifies one operation of the workload within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(pub u64);

/// What observers record. `Invoke`, `Ok`, `Fail` and `Info` are Jepsen's, exactly.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// The workload is about to produce an event.
    Invoke(Operation),
    /// The broker acknowledged the operation.
    Ok {
        /// The operation.
        op: OpId,
        /// The partition the event lies in.
        partition: i32,
        /// Its offset there.
        offset: i64,
    },
    /// The operation certainly had no effect.
    Fail {
        /// The operation.
        op: OpId,
        /// What the client was told.
        reason: Text,
    },
    /// The operation may or may not have had its effect.
    Info {
        /// The operation.
        op: OpId,
        /// What the client was told.
        reason: Text,
    },
    /// The sink received a request for an effect.
    Effect(Effect),
    /// The store committed an event to its outbox.
    Commit {
        /// The committed event's id.
        event: Text,
        /// The id of the event it results from.
        cause: Text,
    },
    /// An observer read a result from an output topic.
    Observe(Observed),
    /// An observer read an entry of the dead-letter topic.
    DeadLetter(DeadLetter),
    /// A fault began or ended.
    Fault {
        /// The fault's name in the plan.
        name: Text,
        /// Which of the two.
        edge: Edge,
    },
    /// The run entered another phase.
    Phase(Phase),
    /// A quantity was sampled.
    Gauge {
        /// What was measured, such as `lag`.
        name: Text,
        /// Its value then.
        value: f64,
    },
}

/// The production of one event. The same event may be produced by several operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which operation.
    pub op: OpId,
    /// The event's id; repetitions of an event carry the same.
    pub event: Text,
    /// What the event is about, like an order id. Effects are counted per business key.
    pub business_key: Text,
    /// The record's key, like a customer id: events with equal keys must take effect in order.
    pub ordering_key: Text,
    /// The event's number within its ordering key, as the workload counts.
    pub sequence: u64,
    /// The topic produced to.
    pub topic: Text,
    /// The digest of the record's value.
    pub value: Digest,
    /// Whether the event was spoiled so that no handler can process it.
    pub poison: bool,
}

/// One request the sink received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The effect's name, like `card.charged`.
    pub name: Text,
    /// What the effect is about.
    pub business_key: Text,
    /// The idempotency token the request carried; empty if none.
    pub token: Text,
    /// What it changes, if others change it too, like an account; empty if the request did not say.
    pub resource: Text,
    /// The critical section it is part of, like one holding of a lock; empty if the request did not say.
    pub section: Text,
    /// Whether the sink carried it out. A repetition under a known token is an attempt, not a commit, and so is a
    /// request that was fenced off.
    pub committed: bool,
}

/// One record of an output topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The output topic.
    pub topic: Text,
    /// Its partition.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
    /// The result's event id.
    pub event: Text,
    /// The id of the event it says it results from, if it says so.
    pub cause: Option<Text>,
    /// What the result is about.
    pub business_key: Text,
}

/// One entry of the dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic the event came from.
    pub topic: Text,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// The event's id, if the entry states one; a poison event may have none that can be read.
    pub event: Option<Text>,
    /// The record's key, as it was dead-lettered.
    pub key: Text,
    /// The digest of the record's value, as it was dead-lettered.
    pub value: Digest,
    /// How often the event was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: Text,
}

/// The two ends of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The fault is injected.
    Begin,
    /// The fault is healed.
    End,
}

/// The turning points of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The workload has stopped.
    LoadEnd,
    /// Every fault has been healed.
    Healed,
    /// The time to settle is over, and observers have read their topics to the end.
    SettleEnd,
}

/// The first 64 bits of a SHA-256: enough to tell a changed value from the original.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub u64);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        let first = hash.iter().take(8).fold(0, |digest: u64, byte| (digest << 8) | u64::from(*byte));
        Self(first)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
