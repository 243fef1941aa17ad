//! The youngest records of a log, numbered from 1, up to a capacity.
//!
//! Invariant: the records are those of the last numbers given, without gaps, so a record's place tells its number.
//! Nobody is woken here, and nothing is locked: that is the log's whose records these are.

use std::collections::VecDeque;

/// Records of type `T`. Keeps none until it is given a capacity; numbers go on all the same.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    capacity: usize,
    last: u64,
    records: VecDeque<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { capacity: 0, last: 0, records: VecDeque::new() }
    }
}

impl<T: Clone> Kept<T> {
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        let surplus = self.records.len().saturating_sub(capacity);
        self.records.drain(..surplus);
    }

    /// The last number given, 0 if none was.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Gives the next number to a record, which is made only if it is kept; the oldest goes for it.
    pub fn push(&mut self, record: impl FnOnce(u64) -> T) -> u64 {
        self.last += 1;
        if self.records.len() >= self.capacity {
            self.records.pop_front();
        }
        if self.capacity > 0 {
            self.records.push_back(record(self.last));
        }
        self.last
    }

    /// What is kept, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.records.iter()
    }

    /// Records with numbers above `number`, the oldest first, at most `limit`.
    pub fn since(&self, number: u64, limit: usize) -> Vec<T> {
        let start = self.place(number.saturating_add(1)).min(self.records.len());
        self.records.range(start..).take(limit).cloned().collect()
    }

    /// The number of the oldest record, or the next one if there is none.
    fn first(&self) -> u64 {
        self.last + 1 - self.records.len() as u64
    }

    /// Where the record of this number is, or the oldest if that one is gone.
    fn place(&self, number: u64) -> usize {
        usize::try_from(number.saturating_sub(self.first())).unwrap_or(usize::MAX)
    }
}

/// What a log needs whose records change after they came.
#[cfg(feature = "kafka")]
impl<T: Clone> Kept<T> {
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The record of this number, if it is still kept.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let first = self.first();
        (number >= first).then(|| self.place(number)).and_then(|at| self.records.get_mut(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_are_the_youngest_records_under_their_numbers(
            acts in proptest::collection::vec(proptest::option::of(0_usize..5), 0..40),
            (above, limit) in (0_u64..45, 0_usize..6),
        ) {
            let (mut kept, mut model, mut capacity, mut last) = (Kept::default(), Vec::new(), 0, 0);
            for act in acts {
                match act {
                    Some(wanted) => {
                        capacity = wanted;
                        kept.set_capacity(wanted);
                    }
                    None => {
                        last += 1;
                        prop_assert_eq!(kept.push(|number| number), last);
                        model.push(last);
                    }
                }
                model.drain(..model.len().saturating_sub(capacity));
                prop_assert!(kept.iter().eq(&model));
            }
            prop_assert_eq!(kept.last(), last);
            let younger: Vec<u64> = model.into_iter().filter(|number| *number > above).take(limit).collect();
            prop_assert_eq!(kept.since(above, limit), younger);
        }
    }
}
