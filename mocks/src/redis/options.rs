//! What a [`RedisServer`](super::RedisServer) is made with.

use std::time::Duration;

use crate::Clock;

use super::engine::{Expiry, Horizon, Version};

/// How a server behaves. The default is a server like one without a configuration file, on tokio's clock.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Names the server in sightings.
    pub name: String,
    /// Decides every random answer, and the draws of fault rules.
    pub seed: u64,
    /// Tells the time. Deadlines are absolute, so a jump of the clock makes keys expire, or lets them live on.
    pub clock: Clock,
    /// When keys are deleted that nobody looks at.
    pub expiry: Expiry,
    /// What clients must authenticate with.
    pub password: Option<String>,
    /// Databases that `SELECT` reaches.
    pub databases: usize,
    /// The version of Redis it behaves as.
    pub version: Version,
    /// Whether the server is a node of a cluster: the one node there is, until a test says otherwise.
    pub cluster: bool,
    /// How far back a failover can lose writes. [`Horizon::NONE`] is a server without a replica.
    pub horizon: Horizon,
    /// How much later than the server its replica has what was written, on the clock that never jumps.
    pub replica_lag: Duration,
    /// What clients can make the server hold.
    pub limits: RedisLimits,
}

/// Bounds on what clients can make a server hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisLimits {
    /// Connections at a time; one more is told so and closed.
    pub clients: usize,
    /// Bytes of a command that has not arrived completely; more closes the connection.
    pub query_bytes: usize,
    /// Bytes of replies that a client has not read; more closes the connection.
    pub output_bytes: usize,
    /// VM instructions after which a script is stopped.
    pub script_instructions: u64,
}

impl Default for RedisLimits {
    fn default() -> Self {
        Self {
            clients: 10_000,
            query_bytes: 1024 * 1024 * 1024,
            output_bytes: 1024 * 1024 * 1024,
            script_instructions: 100_000_000,
        }
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            name: "redis".to_owned(),
            seed: 0,
            clock: Clock::default(),
            expiry: Expiry::Redis { hz: 10 },
            password: None,
            databases: 16,
            version: Version::default(),
            cluster: false,
            horizon: Horizon::default(),
            replica_lag: Duration::ZERO,
            limits: RedisLimits::default(),
        }
    }
}
