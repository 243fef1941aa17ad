//! The trace of a run: every event of the simulation, in order, hashed as it happens.
//!
//! Two runs of one plan must have equal hashes. The hash covers time, host, kind and text of every event, so
//! nothing that differs between two runs of one plan (addresses, machine time, memory) may be in a text. What
//! is kept beyond the hash is a choice, and bounded; see [`TraceOptions`]. Judging is not done here: checkers
//! read the history.

pub mod diff;
mod event;
mod tracer;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::event::TraceEvent;
pub(crate) use self::tracer::{FNV_OFFSET, fnv1a};
pub use self::tracer::{Keep, TraceOptions, Tracer};

/// What is left of a trace when the run is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Over every event, kept or not.
    pub hash: TraceHash,
    /// Events hashed.
    pub events: u64,
    /// A 64-bit hash of everything up to and including the n-th event, if they were asked for.
    pub prefixes: Vec<u64>,
    /// The events kept, in order, without gaps.
    pub kept: Vec<TraceEvent>,
    /// Whether a limit cut off events, prefixes or lines that should have been kept.
    pub truncated: bool,
    /// Why lines could not be written, if they could not.
    pub write_error: Option<String>,
}

/// The SHA-256 of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceHash(pub [u8; 32]);

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a trace hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a trace hash of 64 hexadecimal digits, found {0:?}")]
pub struct InvalidTraceHash(pub String);

impl FromStr for TraceHash {
    type Err = InvalidTraceHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| InvalidTraceHash(text.to_owned()))?;
        Ok(Self(hash))
    }
}

impl Serialize for TraceHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
