//! What the server wrote, in order: commands that make a replica what the server is, with the times they ran at.
//!
//! A write is what one client's command, one transaction or one script did, however many commands that took: it
//! reaches a replica, and is lost, as a whole. The log holds the youngest writes only; [`Log::is_beyond`] says
//! which is to be taken over by whoever keeps the state behind the log.
//!
//! Some writes do not count when it is asked how many were lost: keys that expired, messages and parameters,
//! which a replica must hear of but no client wrote.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::Moment;

/// How far back writes can be lost, and with that what the log of a server may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Age of the oldest write that can be lost.
    pub age: Duration,
    /// Most writes that can be lost; with 0 the server has no log and no replica.
    pub writes: usize,
    /// Bytes of commands kept.
    pub bytes: usize,
}

impl Horizon {
    /// Nothing can be lost, and writing costs nothing beside itself: a server without a replica.
    pub const NONE: Self = Self { age: Duration::ZERO, writes: 0, bytes: 0 };
}

impl Default for Horizon {
    fn default() -> Self {
        Self { age: Duration::from_secs(60), writes: 100_000, bytes: 64 * 1024 * 1024 }
    }
}

/// Which writes a failover loses. A transaction or a script is one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lose {
    /// None: the replica had caught up.
    Nothing,
    /// Those younger than this.
    Last(Duration),
    /// The last this many.
    LastWrites(usize),
    /// Those that had not reached the replica:
    /// younger than [`RedisOptions::replica_lag`](crate::redis::RedisOptions::replica_lag).
    Lag,
}

/// A command for a replica to run.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) db: usize,
    pub(crate) args: Vec<Bytes>,
}

/// What one client's command, transaction or script did.
#[derive(Debug)]
pub(crate) struct Write {
    /// When it ran.
    pub(crate) at: Moment,
    /// How many commands it is.
    pub(crate) commands: usize,
    /// The position in the stream of all writes at which it ends.
    pub(crate) end: u64,
    bytes: usize,
    counts: bool,
}

/// The youngest writes.
#[derive(Debug, Default)]
pub(crate) struct Log {
    writes: VecDeque<Write>,
    commands: VecDeque<Command>,
    bytes: usize,
    /// Where the oldest write begins in the stream of all writes: what they would be on the wire, in bytes.
    start: u64,
    end: u64,
    /// Writes that counted, of all time.
    counted: u64,
    open: Open,
}

/// The write under way.
#[derive(Debug, Default)]
struct Open {
    commands: usize,
    bytes: usize,
    counts: bool,
}

/// What a command costs beside its arguments.
const COMMAND_BYTES: usize = 64;

impl Log {
    /// Adds a command to the write under way. One that does not count says nothing of whether the write does.
    pub(crate) fn push(&mut self, db: usize, args: Vec<Bytes>, counts: bool) {
        self.end += wire_bytes(&args);
        self.open.commands += 1;
        self.open.bytes += COMMAND_BYTES + args.iter().map(|arg| COMMAND_BYTES + arg.len()).sum::<usize>();
        self.open.counts |= counts;
        self.commands.push_back(Command { db, args });
    }

    /// Ends the write under way, which ran at `at`; false if it is empty.
    pub(crate) fn close(&mut self, at: Moment) -> bool {
        let Open { commands, bytes, counts } = std::mem::take(&mut self.open);
        if commands == 0 {
            return false;
        }
        self.bytes += bytes;
        self.counted += u64::from(counts);
        self.writes.push_back(Write { at, commands, end: self.end, bytes, counts });
        true
    }

    /// The writes in the log, oldest first.
    pub(crate) fn writes(&self) -> &VecDeque<Write> {
        &self.writes
    }

    /// The commands of the writes in the log, oldest first.
    pub(crate) fn commands(&self) -> &VecDeque<Command> {
        &self.commands
    }

    /// Where the stream of all writes is when the first so many in the log have been run.
    pub(crate) fn end_of(&self, count: usize) -> u64 {
        count.checked_sub(1).and_then(|last| self.writes.get(last)).map_or(self.start, |write| write.end)
    }

    /// Where the stream of all writes ends.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// How many writes counted since the log began, lost ones included.
    pub(crate) fn counted(&self) -> u64 {
        self.counted
    }

    /// Whether the oldest write is too old, or one too many.
    pub(crate) fn is_beyond(&self, horizon: Horizon, now: Moment) -> bool {
        let since = now.elapsed_us.saturating_sub(micros(horizon.age));
        let fits = self.writes.len() <= horizon.writes && self.bytes <= horizon.bytes;
        self.writes.front().is_some_and(|oldest| !fits || oldest.at.elapsed_us < since)
    }

    /// Takes the oldest write; its commands are to be taken too.
    pub(crate) fn pop(&mut self) -> Option<Write> {
        let write = self.writes.pop_front()?;
        self.bytes -= write.bytes;
        self.start = write.end;
        Some(write)
    }

    /// Takes the oldest command, which must be of a write that was taken.
    pub(crate) fn pop_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// How many of the writes had reached whoever hears of them this much later.
    pub(crate) fn reached(&self, lag: Duration, now: Moment) -> usize {
        let since = now.elapsed_us.saturating_sub(micros(lag));
        self.writes.partition_point(|write| write.at.elapsed_us <= since)
    }

    /// How many writes stay, from the oldest on, and how many of those that are lost count.
    pub(crate) fn split(&self, lose: Lose, lag: Duration, now: Moment) -> (usize, usize) {
        let kept = match lose {
            Lose::Nothing | Lose::LastWrites(0) => self.writes.len(),
            Lose::Last(age) => self.reached(age, now),
            Lose::Lag => self.reached(lag, now),
            Lose::LastWrites(count) => {
                let counting = self.writes.iter().enumerate().rev().filter(|(_, write)| write.counts);
                counting.take(count).last().map_or(self.writes.len(), |(at, _)| at)
            }
        };
        (kept, self.writes.iter().skip(kept).filter(|write| write.counts).count())
    }

    /// Forgets the writes; the stream goes on from where it was.
    pub(crate) fn clear(&mut self) {
        self.writes.clear();
        self.commands.clear();
        self.bytes = 0;
        self.start = self.end;
    }
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// What a command is on the wire, in bytes.
fn wire_bytes(args: &[Bytes]) -> u64 {
    let header = |number: usize| 3 + number.checked_ilog10().map_or(1, |digits| u64::from(digits) + 1);
    let argument = |arg: &Bytes| header(arg.len()) + arg.len() as u64 + 2;
    header(args.len()) + args.iter().map(argument).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Moment {
        Moment { unix_us: ms * 1000, elapsed_us: ms * 1000 }
    }

    /// A log of writes at these times; odd ones do not count.
    fn log(times: std::ops::Range<i64>) -> Log {
        let mut log = Log::default();
        for time in times {
            log.push(0, vec![Bytes::from_static(b"flushall")], time % 2 == 0);
            assert!(log.close(at(time)));
        }
        log
    }

    #[test]
    fn what_is_lost_is_the_last_that_count_and_all_after_the_first_of_them() {
        let log = log(0..6);
        let split = |lose| log.split(lose, Duration::from_millis(1), at(5));
        assert_eq!(split(Lose::Nothing), (6, 0));
        assert_eq!(split(Lose::LastWrites(0)), (6, 0));
        assert_eq!(split(Lose::LastWrites(1)), (4, 1));
        assert_eq!(split(Lose::LastWrites(2)), (2, 2));
        assert_eq!(split(Lose::LastWrites(9)), (0, 3));
        assert_eq!(split(Lose::Last(Duration::from_millis(3))), (3, 1));
        assert_eq!(split(Lose::Lag), (5, 0));
    }

    #[test]
    fn age_number_and_bytes_bound_the_log() {
        let horizon = Horizon { age: Duration::from_millis(10), writes: 4, bytes: 1000 };
        assert!(!log(0..4).is_beyond(horizon, at(10)));
        assert!(log(0..4).is_beyond(horizon, at(11)));
        assert!(log(0..5).is_beyond(horizon, at(5)));
        assert!(log(0..4).is_beyond(Horizon { bytes: 500, ..horizon }, at(5)));
    }

    #[test]
    fn a_write_without_commands_is_none() {
        let mut log = Log::default();
        assert!(!log.close(at(0)));
        assert_eq!((log.writes().len(), log.counted(), log.end()), (0, 0, 0));
    }

    #[test]
    fn the_stream_is_as_long_as_what_would_be_sent() {
        let args = ["set", "k", "0123456789"].map(|word| Bytes::from_static(word.as_bytes()));
        assert_eq!(wire_bytes(&args), "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$10\r\n0123456789\r\n".len() as u64);
        assert_eq!(wire_bytes(&[Bytes::new()]), "*1\r\n$0\r\n\r\n".len() as u64);
    }
}
