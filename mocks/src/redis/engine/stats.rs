//! The counters of `INFO`.

use std::hash::{Hash, Hasher};

use indexmap::IndexMap;

use super::latency::Histogram;

use crate::redis::store::FixedState;

/// What happened since the start, or since `CONFIG RESETSTAT`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused because there were too many.
    pub rejected_connections: u64,
    /// Commands run.
    pub commands: u64,
    /// Error replies.
    pub errors: u64,
    /// Keys that expired.
    pub expired: u64,
    /// Keys evicted.
    pub evicted: u64,
    /// Values the real server would have freed in a thread of its own.
    pub freed_in_thread: u64,
    /// Clients whose connections were closed because all together held too much.
    pub evicted_clients: u64,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    per_command: IndexMap<Name, CommandStats, FixedState>,
    /// Where the command counted last is.
    last: usize,
    per_error: IndexMap<String, u64, FixedState>,
}

/// A command's name, told from others by its address: there is one row per command, and this is counted on
/// every call.
#[derive(Clone, Copy, Debug)]
struct Name(&'static str);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ptr().hash(state);
    }
}

#[derive(Clone, Debug, Default)]
struct CommandStats {
    calls: u64,
    rejected: u64,
    failed: u64,
    us: i64,
    histogram: Histogram,
}

/// Kinds of errors counted; scripts can invent any number (Redis stops at 128 too).
const ERROR_KINDS: usize = 128;

impl Stats {
    pub(crate) fn count_call(&mut self, name: &'static str, failed: bool, took_us: i64, tracks: bool) {
        self.commands += 1;
        // Most often the command before was of the same name.
        let last = self.per_command.get_index(self.last).filter(|(found, _)| **found == Name(name));
        if last.is_none() {
            let entry = self.per_command.entry(Name(name));
            self.last = entry.index();
            entry.or_default();
        }
        let Some((_, stats)) = self.per_command.get_index_mut(self.last) else { return };
        stats.calls += 1;
        stats.failed += u64::from(failed);
        stats.us += took_us;
        if tracks {
            stats.histogram.add(took_us);
        }
    }

    /// How long the calls of a command took, if there were any.
    pub(crate) fn histogram(&self, name: &'static str) -> Option<&Histogram> {
        self.per_command.get(&Name(name)).map(|stats| &stats.histogram).filter(|one| one.calls() > 0)
    }

    /// A command that had been counted when it began to wait ended in an error.
    pub(crate) fn count_failed(&mut self, name: &'static str) {
        self.per_command.entry(Name(name)).or_default().failed += 1;
    }

    pub(crate) fn count_rejected(&mut self, name: &'static str) {
        self.per_command.entry(Name(name)).or_default().rejected += 1;
    }

    pub(crate) fn count_error(&mut self, line: &str) {
        self.errors += 1;
        let code = line.split(' ').next().unwrap_or("ERR");
        if let Some(count) = self.per_error.get_mut(code) {
            *count += 1;
        } else if self.per_error.len() < ERROR_KINDS {
            self.per_error.insert(code.to_owned(), 1);
        }
    }

    /// The lines of `INFO commandstats`. Commands take no time but what they stall the server for.
    pub(crate) fn command_lines(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
        let line = |(Name(name), stats): (&Name, &CommandStats)| {
            let per_call = if stats.calls == 0 { 0.0 } else { stats.us as f64 / stats.calls as f64 };
            format!(
                "cmdstat_{name}:calls={},usec={},usec_per_call={:.2},rejected_calls={},failed_calls={}\r\n",
                stats.calls, stats.us, per_call, stats.rejected, stats.failed
            )
        };
        self.per_command.iter().map(line).collect()
    }

    /// The lines of `INFO errorstats`.
    pub(crate) fn error_lines(&self) -> String {
        let mut lines: Vec<String> = self
            .per_error
            .iter()
            .map(|(code, count)| format!("errorstat_{code}:count={count}\r\n"))
            .collect();
        lines.sort();
        lines.concat()
    }
}
