//! `ACL LOG`: what was refused lately. The same refusal again within a minute counts up an entry.

use std::collections::VecDeque;

use bytes::Bytes;

/// How long a refusal counts as the same, in milliseconds.
const SAME_MS: i64 = 60_000;
/// How many entries are looked at for the same refusal.
const LOOKED_AT: usize = 10;

/// Where a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::redis::engine) enum Context {
    TopLevel,
    Multi,
    Lua,
}

impl Context {
    pub(in crate::redis::engine) fn name(self) -> &'static str {
        match self {
            Self::TopLevel => "toplevel",
            Self::Multi => "multi",
            Self::Lua => "lua",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub(in crate::redis::engine) struct LogEntry {
    pub(in crate::redis::engine) count: i64,
    /// `command`, `key`, `channel` or `auth`.
    pub(in crate::redis::engine) reason: &'static str,
    pub(in crate::redis::engine) context: Context,
    /// The command, key or channel.
    pub(in crate::redis::engine) object: Bytes,
    pub(in crate::redis::engine) user: Bytes,
    /// Unix milliseconds of the last time.
    pub(in crate::redis::engine) at_ms: i64,
    /// The client's line in `CLIENT LIST`.
    pub(in crate::redis::engine) client: String,
}

/// Refusals, the latest first.
#[derive(Debug, Default)]
pub(in crate::redis::engine) struct Log {
    entries: VecDeque<LogEntry>,
}

impl Log {
    pub(in crate::redis::engine) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(in crate::redis::engine) fn iter(&self) -> impl ExactSizeIterator<Item = &LogEntry> {
        self.entries.iter()
    }

    /// Notes a refusal; at most `most` entries stay.
    pub(super) fn add(&mut self, entry: LogEntry, most: usize) {
        let is_same = |known: &LogEntry| {
            (known.reason, known.context, &known.object, &known.user)
                == (entry.reason, entry.context, &entry.object, &entry.user)
                && known.at_ms.abs_diff(entry.at_ms) <= SAME_MS.unsigned_abs()
        };
        let found = self.entries.iter().take(LOOKED_AT).position(is_same);
        let count = found.and_then(|at| self.entries.remove(at)).map_or(0, |known| known.count);
        self.entries.push_front(LogEntry { count: count + 1, ..entry });
        self.entries.truncate(most);
    }
}
