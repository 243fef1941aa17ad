//! `SLOWLOG`: the commands that took long, the latest first.
//!
//! Commands take no time here but what they stall the server for; what else took long on a real machine is
//! not measured. A threshold of 0 logs every command, as it does on a real server.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Engine;
use super::client::ClientId;
use super::redact::redacted;
use super::table::Spec;
use super::table::flags::SKIP_SLOWLOG;

/// Most arguments of an entry.
const ARGUMENTS: usize = 32;
/// Most bytes of one argument.
const ARGUMENT_BYTES: usize = 128;

/// A command that took long.
#[derive(Clone, Debug)]
pub(crate) struct SlowEntry {
    pub(crate) id: i64,
    /// Unix seconds when it ran.
    pub(crate) at_s: i64,
    pub(crate) took_us: i64,
    pub(crate) args: Vec<Bytes>,
    pub(crate) address: String,
    pub(crate) client: Bytes,
}

/// The commands that took long.
#[derive(Debug, Default)]
pub(crate) struct SlowLog {
    entries: VecDeque<SlowEntry>,
    next_id: i64,
}

impl SlowLog {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &SlowEntry> {
        self.entries.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl Engine {
    /// How long the commands from outside under way have stalled the server, in microseconds.
    pub(super) fn stalled_us(&self) -> i64 {
        self.stall.map_or(0, |stall| i64::try_from(stall.as_micros()).unwrap_or(i64::MAX))
    }

    /// Notes how long a command took where that is asked for. One that waits is not over.
    pub(crate) fn note_time(&mut self, id: ClientId, spec: &'static Spec, args: &[Bytes], took_us: i64) {
        let tuning = &self.config.tuning;
        let is_slow = (0..=took_us).contains(&tuning.slower_than_us);
        if (is_slow || tuning.latency_threshold_ms > 0) && !self.is_waiting(id) {
            self.note_slow(id, spec, args, took_us);
            self.note_latency(spec, took_us);
        }
    }

    /// Answers `LASTSAVE` from now on with the time it is.
    pub(crate) fn note_save(&mut self) {
        self.saved_at_s = self.at.unix_us.div_euclid(1_000_000);
    }

    /// Notes a command if it took long enough.
    pub(super) fn note_slow(&mut self, id: ClientId, spec: &'static Spec, args: &[Bytes], took_us: i64) {
        let threshold = self.config.tuning.slower_than_us;
        if threshold < 0 || took_us < threshold || spec.has(SKIP_SLOWLOG) {
            return;
        }
        let most = self.config.get("slowlog-max-len").and_then(|most| most.parse().ok()).unwrap_or(128_usize);
        let client = self.clients.get(&id);
        let entry = SlowEntry {
            id: self.slow_log.next_id,
            at_s: self.at.unix_us.div_euclid(1_000_000),
            took_us,
            args: trimmed(&redacted(spec.name, args)),
            address: client.map(|client| client.address.clone()).unwrap_or_default(),
            client: client.map(|client| client.name.clone()).unwrap_or_default(),
        };
        self.slow_log.next_id += 1;
        self.slow_log.entries.push_front(entry);
        self.slow_log.entries.truncate(most);
    }
}

fn trimmed(args: &[Bytes]) -> Vec<Bytes> {
    let short = |argument: &Bytes| match argument.len().checked_sub(ARGUMENT_BYTES) {
        None | Some(0) => argument.clone(),
        Some(more) => {
            let note = format!("... ({more} more bytes)");
            Bytes::from([&argument[..ARGUMENT_BYTES], note.as_bytes()].concat())
        }
    };
    if args.len() <= ARGUMENTS {
        return args.iter().map(short).collect();
    }
    let more = args.len() - ARGUMENTS + 1;
    let mut shown: Vec<Bytes> = args.iter().take(ARGUMENTS - 1).map(short).collect();
    shown.push(Bytes::from(format!("... ({more} more arguments)")));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_command_lines_are_cut_and_say_so() {
        let args = vec![Bytes::from(vec![b'x'; 130]); 40];
        let shown = trimmed(&args);
        assert_eq!(shown.len(), ARGUMENTS);
        assert!(shown[0].ends_with(b"x... (2 more bytes)"));
        assert_eq!(shown[31], "... (9 more arguments)");
    }
}
