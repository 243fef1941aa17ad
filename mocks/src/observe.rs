//! What a mock tells whoever watches it: requests handled and rules applied.
//!
//! The harness writes these into its trace; a test may collect them. A server without an observer pays one
//! branch per request.

use std::sync::Arc;

/// One thing a server did, in words that are the same in every run of the same plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sighting {
    /// Which server: `redis`, or `kafka-2`.
    pub server: String,
    /// What happened.
    pub what: What,
}

/// The kinds of [`Sighting`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A request was handled; the text names the command or API, its target and its outcome.
    Request(String),
    /// A fault rule was applied to a request; the texts are the rule's name and the request.
    Rule {
        /// The rule's name.
        name: String,
        /// The request it hit.
        request: String,
    },
    /// A strict server was asked for what it does not have; the text says what was expected and found.
    Unsupported(String),
    /// The server changed by itself: an election, an expired session, a finished rebalance, a failover.
    Event(String),
}

impl Sighting {
    /// A sighting at `server`.
    pub fn new(server: impl Into<String>, what: What) -> Self {
        Self { server: server.into(), what }
    }
}

/// Receives sightings, synchronously and in order.
pub type Observer = Arc<dyn Fn(Sighting) + Send + Sync>;
