//! Leaving out the records of aborted transactions.
//!
//! A broker that is asked for committed records sends all up to the last stable offset, and with them which
//! producers' transactions in there were aborted, and where each began. A producer's records count as aborted
//! from there until its abort marker.

use std::collections::{BTreeMap, BTreeSet};

/// Which records a consumer is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All, also those of transactions that are open or were aborted.
    #[default]
    Uncommitted,
    /// Those of committed transactions and of none, up to the first transaction that is open.
    Committed,
}

impl Isolation {
    /// As the protocol has it.
    pub(super) fn level(self) -> i8 {
        i8::from(self == Self::Committed)
    }
}

/// Walks over the batches of one answer.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// Producers by the first offset of a transaction that lies ahead.
    ahead: BTreeMap<i64, BTreeSet<i64>>,
    /// Producers whose transaction here was aborted.
    open: BTreeSet<i64>,
}

impl Aborted {
    /// From producers and first offsets as the answer lists them.
    pub(super) fn new(listed: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut ahead: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for (producer, first_offset) in listed {
            ahead.entry(first_offset).or_default().insert(producer);
        }
        Self { ahead, open: BTreeSet::new() }
    }

    /// Whether the transactional batch of `producer` that ends at `last_offset` was aborted.
    pub(super) fn holds(&mut self, producer: i64, last_offset: i64) -> bool {
        self.walk_to(last_offset);
        self.open.contains(&producer)
    }

    /// The abort marker of `producer` is at `offset`.
    pub(super) fn ended(&mut self, producer: i64, offset: i64) {
        self.walk_to(offset);
        self.open.remove(&producer);
    }

    fn walk_to(&mut self, offset: i64) {
        while let Some(first) = self.ahead.first_entry().filter(|first| *first.key() <= offset) {
            self.open.extend(first.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producers_records_are_aborted_from_its_first_offset_to_its_marker() {
        let mut aborted = Aborted::new([(7, 10), (7, 30), (8, 12)]);
        assert!(!aborted.holds(7, 9));
        assert!(aborted.holds(7, 10));
        assert!(!aborted.holds(8, 11));
        aborted.ended(7, 20);
        assert!(aborted.holds(8, 21));
        assert!(!aborted.holds(7, 25), "another transaction, which was committed");
        assert!(aborted.holds(7, 30));
    }
}
