//! One event of a trace, its canonical bytes and its line.
//!
//! The canonical bytes are what is hashed: fixed-width numbers and length-prefixed texts, so no two different
//! events have the same bytes. The JSON line is for people and tools; it is never hashed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// Position in the trace, from 0.
    pub seq: u64,
    /// Virtual time since the start of the run, nanoseconds.
    pub t_ns: u64,
    /// The host it happened on.
    pub host: String,
    /// What kind of event, like `net.send`.
    pub kind: String,
    /// The rest, in words that are the same in every run of one plan.
    pub text: String,
}

impl TraceEvent {
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.t_ns, &self.host, &self.kind, &self.text) == (other.t_ns, &other.host, &other.kind, &other.text)
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.t_ns / 1_000_000_000, self.t_ns % 1_000_000_000);
        write!(f, "{seconds}.{rest:09}s {} {} {}", self.host, self.kind, self.text.escape_debug())
    }
}

/// Appends the canonical bytes of one event. The sequence number is left out: the position says it.
pub(super) fn canonical(bytes: &mut Vec<u8>, t_ns: u64, host: &str, kind: &str, text: &str) {
    bytes.extend_from_slice(&t_ns.to_le_bytes());
    for part in [host, kind, text] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(event: &(u64, String, String, String)) -> Vec<u8> {
        let mut bytes = Vec::new();
        canonical(&mut bytes, event.0, &event.1, &event.2, &event.3);
        bytes
    }

    proptest! {
        #[test]
        fn different_events_have_different_bytes(
            a in (0..3u64, "[ab]{0,3}", "[ab]{0,3}", "[ab]{0,3}"),
            b in (0..3u64, "[ab]{0,3}", "[ab]{0,3}", "[ab]{0,3}"),
        ) {
            prop_assert_eq!(a == b, bytes(&a) == bytes(&b));
        }
    }
}
