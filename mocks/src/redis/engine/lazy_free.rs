//! What the real server frees in a thread of its own, so that others need not wait: here it is only counted, for
//! `lazyfreed_objects` of `INFO`. Everything is freed at once, so nothing is ever pending.
//!
//! Not counted: expired and overwritten values, scripts, functions and what is known of clients' caches, which the
//! real server frees so if its parameters say it.

use super::Engine;
use crate::redis::store::Value;

/// Allocations up to which a value is freed where it stands (`LAZYFREE_THRESHOLD`).
const FEW: usize = 64;

impl Engine {
    /// Counts a value that is gone if the real server would free it in a thread: it is large, and `parameter`, if
    /// there is one, is on.
    pub(super) fn note_freed(&mut self, value: &Value, parameter: Option<&str>) {
        if allocations(value) > FEW && parameter.is_none_or(|name| self.config.get(name) == Some("yes")) {
            self.stats.freed_in_thread += 1;
        }
    }
}

/// What a value is made of, as the real server sums it up (`lazyfreeGetFreeEffort`).
fn allocations(value: &Value) -> usize {
    /// Bytes of one node of a list, by default; each element takes about two beside its payload.
    const NODE_BYTES: usize = 8192;
    match value {
        Value::List(list) => (list.weight() + list.len() * 2).div_ceil(NODE_BYTES),
        Value::Stream(stream) => {
            let groups = stream.groups();
            let pending = groups.values().next().map_or(0, |group| 1 + group.pending().len());
            stream.radix_nodes() + groups.len() * pending
        }
        other => other.table_len().unwrap_or(1),
    }
}
