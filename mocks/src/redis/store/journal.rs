//! What the latest writes replaced, so that a failover can lose them.
//!
//! A replica that is promoted has not seen the primary's last writes. The journal keeps, for each write, an
//! image of what it replaced; losing the last writes is undoing them, youngest first. Expiry is not recorded:
//! a key brought back after its deadline expires again at once.
//!
//! Bounded three ways ([`Horizon`]): by age, by number of writes and by bytes of replaced values. What is
//! beyond cannot be lost any more, as if the replica had received it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::{Db, Entry};

/// How far back writes can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Age of the oldest write that can be lost.
    pub age: Duration,
    /// Most writes that can be lost; 0 keeps no journal at all.
    pub writes: usize,
    /// Bytes of replaced values kept.
    pub bytes: usize,
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
}

#[derive(Debug)]
pub(super) enum Undo {
    Key { db: usize, key: Bytes, before: Option<Box<Entry>> },
    Database { db: usize, before: Box<Db> },
    Swap { left: usize, right: usize },
}

#[derive(Debug)]
struct Write {
    at_us: i64,
    undo: Vec<Undo>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Journal {
    horizon: Horizon,
    writes: VecDeque<Write>,
    bytes: usize,
    /// The write under way changed nothing yet.
    opened: Option<i64>,
}

/// What a record costs beside the value in it.
const RECORD_BYTES: usize = 128;

impl Journal {
    pub(super) fn new(horizon: Horizon) -> Self {
        Self { horizon, writes: VecDeque::new(), bytes: 0, opened: Some(0) }
    }

    pub(super) fn begin(&mut self, at_us: i64) {
        self.opened = Some(at_us);
    }

    pub(super) fn push(&mut self, undo: Undo) {
        if self.horizon.writes == 0 {
            return;
        }
        if let Some(at_us) = self.opened.take() {
            self.forget_old(at_us);
            self.writes.push_back(Write { at_us, undo: Vec::new(), bytes: 0 });
        }
        let Some(write) = self.writes.back_mut() else { return };
        let bytes = RECORD_BYTES + weight(&undo);
        write.bytes += bytes;
        write.undo.push(undo);
        self.bytes += bytes;
    }

    /// Removes the youngest writes; how many, and their records, youngest first.
    pub(super) fn take(&mut self, lose: Lose, now_us: i64) -> (usize, Vec<Undo>) {
        let count = match lose {
            Lose::Nothing => 0,
            Lose::LastWrites(count) => count.min(self.writes.len()),
            Lose::Last(age) => {
                let age_us = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                let since = now_us.saturating_sub(age_us);
                self.writes.iter().rev().take_while(|write| write.at_us > since).count()
            }
        };
        let lost = self.writes.split_off(self.writes.len() - count);
        self.bytes -= lost.iter().map(|write| write.bytes).sum::<usize>();
        (count, lost.into_iter().rev().flat_map(|write| write.undo.into_iter().rev()).collect())
    }

    pub(super) fn clear(&mut self) {
        self.writes.clear();
        self.bytes = 0;
    }

    fn forget_old(&mut self, now_us: i64) {
        let age_us = i64::try_from(self.horizon.age.as_micros()).unwrap_or(i64::MAX);
        let since = now_us.saturating_sub(age_us);
        while let Some(oldest) = self.writes.front() {
            let fits = self.writes.len() < self.horizon.writes && self.bytes <= self.horizon.bytes;
            if fits && oldest.at_us >= since {
                break;
            }
            self.bytes -= oldest.bytes;
            self.writes.pop_front();
        }
    }
}

fn weight(undo: &Undo) -> usize {
    match undo {
        Undo::Key { key, before, .. } => key.len() + before.as_ref().map_or(0, |entry| entry.value.weight()),
        Undo::Database { before, .. } => {
            before.iter().map(|(key, entry)| RECORD_BYTES + key.len() + entry.value.weight()).sum()
        }
        Undo::Swap { .. } => 0,
    }
}
