//! Transactions of one partition: which are open, which were aborted, and how far all are decided.
//!
//! Kept as in Kafka's `ProducerStateManager` and transaction index. A transaction begins at its first record
//! and ends at its marker; what comes before the first one that is open, or whose marker is not replicated yet,
//! is stable. Who may begin or end one is decided in `producers.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Producers of open transactions by first offset.
    open: BTreeMap<i64, i64>,
    /// First offset and marker of transactions whose marker was not below the high watermark when last seen.
    unreplicated: BTreeMap<i64, i64>,
    /// In the order of their markers.
    aborted: VecDeque<Aborted>,
}

#[derive(Clone, Copy, Debug)]
struct Aborted {
    producer_id: i64,
    first: i64,
    marker: i64,
    /// Where everything was decided up to once the marker was there: nothing aborted later lies before it.
    last_stable: i64,
}

impl Transactions {
    /// A transaction's first record is at `first`.
    pub fn begin(&mut self, producer_id: i64, first: i64) {
        self.open.insert(first, producer_id);
    }

    /// The transaction that began at `first` ends with the marker at `marker`.
    pub fn end(&mut self, first: i64, marker: i64, commit: bool, high_watermark: i64) {
        let Some(producer_id) = self.open.remove(&first) else { return };
        self.unreplicated.retain(|_, marker| *marker >= high_watermark);
        self.unreplicated.insert(first, marker);
        if !commit {
            let last_stable = self.open.keys().next().copied().unwrap_or(marker + 1);
            self.aborted.push_back(Aborted { producer_id, first, marker, last_stable });
        }
    }

    /// The transaction that began at `first` is no longer open, however it ended.
    pub fn forget(&mut self, first: i64) {
        self.open.remove(&first);
    }

    /// The first offset that is not stable for readers that see up to `high_watermark`.
    pub fn first_unstable(&self, high_watermark: i64) -> Option<i64> {
        let decided = |(first, marker): (&i64, &i64)| (*marker >= high_watermark).then_some(*first);
        let waiting = self.unreplicated.iter().find_map(decided);
        self.open.keys().next().copied().into_iter().chain(waiting).min()
    }

    /// Producer and first offset of the aborted transactions that have records from `from` up to `until`.
    pub fn aborted(&self, from: i64, until: i64) -> Vec<(i64, i64)> {
        let begin = self.aborted.partition_point(|aborted| aborted.marker < from);
        let mut found = Vec::new();
        for aborted in self.aborted.range(begin..) {
            if aborted.first < until {
                found.push((aborted.producer_id, aborted.first));
            }
            if aborted.last_stable >= until {
                break;
            }
        }
        found
    }

    /// Whether a producer's transactional record at `offset` was aborted.
    pub fn is_aborted(&self, producer_id: i64, offset: i64) -> bool {
        let begin = self.aborted.partition_point(|aborted| aborted.marker < offset);
        let mut later = self.aborted.range(begin..);
        later.any(|aborted| aborted.producer_id == producer_id && aborted.first <= offset)
    }

    /// Forgets the aborted transactions that end with these markers.
    pub fn forget_aborted(&mut self, markers: &BTreeSet<i64>) {
        self.aborted.retain(|aborted| !markers.contains(&aborted.marker));
    }

    /// Forgets everything from `to` on. Transactions whose marker is cut off are to be begun again.
    pub fn truncate(&mut self, to: i64) {
        self.open.retain(|first, _| *first < to);
        self.unreplicated.retain(|_, marker| *marker < to);
        while self.aborted.back().is_some_and(|aborted| aborted.marker >= to) {
            self.aborted.pop_back();
        }
    }

    /// Forgets aborted transactions that end before `start`.
    pub fn advance_start(&mut self, start: i64) {
        while self.aborted.front().is_some_and(|aborted| aborted.marker < start) {
            self.aborted.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In the model: a transaction's producer, first offset, marker and outcome.
    type Known = (i64, i64, Option<(i64, bool)>);

    proptest! {
        #[test]
        fn stable_and_aborted_are_what_a_walk_over_the_log_finds(
            acts in proptest::collection::vec((0_i64..4, 0_u8..4), 1..40),
            (from, length, lag) in (0_i64..40, 0_i64..40, 0_i64..5),
        ) {
            let mut kept = Transactions::default();
            let mut model: Vec<Known> = Vec::new();
            for (offset, (producer, act)) in (0_i64..).zip(&acts) {
                let open = model.iter_mut().find(|txn| txn.0 == *producer && txn.2.is_none());
                match (open, act) {
                    (None, _) => {
                        kept.begin(*producer, offset);
                        model.push((*producer, offset, None));
                    }
                    (Some(txn), 2 | 3) => {
                        kept.end(txn.1, offset, *act == 2, offset.saturating_sub(lag));
                        txn.2 = Some((offset, *act == 2));
                    }
                    _ => {}
                }
            }
            let end = i64::try_from(acts.len()).expect("few");
            let high_watermark = end.saturating_sub(lag);
            let undecided = |txn: &&Known| txn.2.is_none_or(|(at, _)| at >= high_watermark);
            prop_assert_eq!(
                kept.first_unstable(high_watermark),
                model.iter().filter(undecided).map(|txn| txn.1).min()
            );
            let until = from + length;
            let mut expected: Vec<(i64, i64)> = model
                .iter()
                .filter(|txn| txn.1 < until && txn.2.is_some_and(|(at, commit)| !commit && at >= from))
                .map(|txn| (txn.0, txn.1))
                .collect();
            let mut found = kept.aborted(from, until);
            expected.sort_unstable();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
