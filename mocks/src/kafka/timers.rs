//! Deadlines of the cluster, in order.
//!
//! A timer is known by its key and set at most once; setting it again moves it. Times are those of the
//! cluster's clock since it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Timers known by keys of type `K`.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    due: BTreeSet<(Duration, K)>,
    set: BTreeMap<K, Duration>,
}

impl<K: Ord + Clone> Timers<K> {
    pub fn new() -> Self {
        Self { due: BTreeSet::new(), set: BTreeMap::new() }
    }

    /// Sets or moves the timer.
    pub fn set(&mut self, key: K, at: Duration) {
        self.cancel(&key);
        self.due.insert((at, key.clone()));
        self.set.insert(key, at);
    }

    /// Sets the timer unless it is set to an earlier time.
    pub fn set_by(&mut self, key: K, at: Duration) {
        if self.set.get(&key).is_none_or(|known| at < *known) {
            self.set(key, at);
        }
    }

    /// Forgets the timer, if it is set.
    pub fn cancel(&mut self, key: &K) {
        if let Some((key, at)) = self.set.remove_entry(key) {
            self.due.remove(&(at, key));
        }
    }

    /// When the timer is due, if it is set.
    pub fn at(&self, key: &K) -> Option<Duration> {
        self.set.get(key).copied()
    }

    /// Takes the next timer that is due at `now`.
    pub fn pop(&mut self, now: Duration) -> Option<K> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        self.set.remove(&key);
        Some(key)
    }

    /// When the next timer is due.
    pub fn next(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_timer_fires_once_in_order_at_the_time_it_was_last_set_to(
            acts in proptest::collection::vec((0_u8..6, proptest::option::of(1_u64..50)), 0..60),
        ) {
            let mut timers = Timers::new();
            let mut model = BTreeMap::new();
            for (key, at) in acts {
                match at {
                    Some(at) => {
                        timers.set(key, Duration::from_secs(at));
                        model.insert(key, at);
                    }
                    None => {
                        timers.cancel(&key);
                        model.remove(&key);
                    }
                }
            }
            let mut expected: Vec<(u64, u8)> = model.into_iter().map(|(key, at)| (at, key)).collect();
            expected.sort_unstable();
            let mut fired = Vec::new();
            while let Some(next) = timers.next() {
                prop_assert_eq!(timers.pop(next.saturating_sub(Duration::from_nanos(1))), None);
                fired.push((next.as_secs(), timers.pop(next).expect("it is due")));
            }
            prop_assert_eq!(fired, expected);
        }
    }
}
