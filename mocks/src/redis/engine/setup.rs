//! What an engine starts with. What a server has beside it, like its name and its clock, is in the options.

use std::time::Duration;

use super::Horizon;

/// When keys are deleted that nobody looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// As Redis does, at the next of `hz` ticks a second: up to 100 ms late at 10.
    Redis {
        /// Ticks a second, 1 to 500.
        hz: u32,
    },
    /// One millisecond after the deadline, the earliest time at which Redis would call a key expired.
    Exact,
    /// Never; keys are deleted when they are looked at.
    LazyOnly,
}

/// Keys deleted before clients get their turn: some milliseconds' worth. Redis stops by the clock, which would
/// make runs differ.
const PORTION: usize = 1000;

impl Expiry {
    /// Most keys to delete in one go. Where expiry is to be exact, nobody sees some gone and others not.
    pub(super) fn portion(self) -> usize {
        match self {
            Self::Redis { .. } => PORTION,
            Self::Exact | Self::LazyOnly => usize::MAX,
        }
    }
}

/// What an engine starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Decides every random answer.
    pub seed: u64,
    /// When keys are deleted that nobody looks at.
    pub expiry: Expiry,
    /// What clients must authenticate with.
    pub password: Option<String>,
    /// How far back a failover can lose writes.
    pub horizon: Horizon,
    /// How much later than the server its replica has what was written.
    pub replica_lag: Duration,
    /// Databases that `SELECT` reaches.
    pub databases: usize,
    /// VM instructions after which a script is stopped.
    pub script_instructions: u64,
}

#[cfg(test)]
impl Setup {
    /// What a test starts with that asks for nothing else.
    pub(crate) fn for_tests() -> Self {
        Self {
            seed: 7,
            expiry: Expiry::Exact,
            password: None,
            horizon: Horizon::default(),
            replica_lag: Duration::ZERO,
            databases: 16,
            script_instructions: 1_000_000,
        }
    }
}
