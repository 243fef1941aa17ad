//! The handle through which observers append to the history.
//!
//! Clones append to one history, from whichever runtime or thread; execution order is the order of the calls.
//! Time comes from a source handed in, because hosts of a simulation live on runtimes whose own instants
//! cannot be compared.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Entry, History, Record, Text};

/// How much one history holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecorderLimits {
    /// Entries kept. What comes later is only counted, and the history never counts as settled.
    pub entries: usize,
    /// Different counter names kept; new names beyond it are not counted.
    pub counters: usize,
}

impl Default for RecorderLimits {
    fn default() -> Self {
        Self { entries: 4_000_000, counters: 10_000 }
    }
}

/// Appends to a history. Clones are cheap and share it.
#[derive(Clone)]
pub struct Recorder {
    now: Arc<dyn Fn() -> Duration + Send + Sync>,
    limits: RecorderLimits,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    counters: BTreeMap<String, u64>,
    dropped: u64,
}

impl Recorder {
    /// A recorder of an empty history; `now` tells the virtual time since the start of the run.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::with_limits(RecorderLimits::default(), now)
    }

    /// The same, with other limits.
    pub fn with_limits(limits: RecorderLimits, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), limits, state: Arc::default() }
    }

    /// Appends what an observer saw at `host`, now.
    pub fn record(&self, host: impl Into<Text>, what: Record) {
        let at = (self.now)();
        let host = host.into();
        let mut state = self.lock();
        // Once one entry is dropped all later ones are, so that the history stays a prefix.
        if state.dropped > 0 || state.entries.len() >= self.limits.entries {
            state.dropped += 1;
            return;
        }
        let seq = state.entries.len() as u64;
        state.entries.push(Entry { seq, at, host, what });
    }

    /// Makes these names count from zero: what is never seen is then known to be zero.
    pub fn count_from_zero<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut state = self.lock();
        for name in names {
            state.counters.entry(name.to_owned()).or_default();
        }
    }

    /// Counts one sighting of `name`.
    pub fn saw(&self, name: &str) {
        let mut state = self.lock();
        if let Some(count) = state.counters.get_mut(name) {
            *count = count.saturating_add(1);
        } else if state.counters.len() < self.limits.counters {
            state.counters.insert(name.to_owned(), 1);
        }
    }

    /// The history so far, as a copy; for judging, prefer [`Recorder::finish`].
    #[must_use]
    pub fn snapshot(&self) -> History {
        let state = self.lock();
        let mut history = History::new(state.entries.clone(), state.counters.clone());
        history.dropped = state.dropped;
        history
    }

    /// Takes the history out. The recorder and its clones start over with an empty one.
    #[must_use]
    pub fn finish(&self) -> History {
        let state = std::mem::take(&mut *self.lock());
        let mut history = History::new(state.entries, state.counters);
        history.dropped = state.dropped;
        history
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("entries", &self.lock().entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Phase;
    use super::*;

    fn gauge(value: f64) -> Record {
        Record::Gauge { name: "lag".into(), value }
    }

    #[test]
    fn a_recorder_goes_wherever_it_is_needed() {
        fn anywhere<T: Clone + Send + Sync + 'static>() {}
        anywhere::<Recorder>();
    }

    #[test]
    fn clones_append_to_one_history_in_the_order_of_the_calls() {
        let recorder = Recorder::new(|| Duration::from_secs(3));
        let other = recorder.clone();
        recorder.record("a", gauge(1.0));
        other.record("b", gauge(2.0));
        other.saw("retry");
        recorder.saw("retry");
        let history = recorder.finish();
        let order: Vec<_> = history.entries().iter().map(|e| (e.seq, &*e.host, e.at.as_secs())).collect();
        assert_eq!(order, [(0, "a", 3), (1, "b", 3)]);
        assert_eq!(history.counter("retry"), 2);
        assert!(other.finish().entries().is_empty());
    }

    #[test]
    fn a_full_history_is_a_prefix_and_never_settled() {
        let limits = RecorderLimits { entries: 2, counters: 1 };
        let recorder = Recorder::with_limits(limits, || Duration::ZERO);
        (0..4).for_each(|n| recorder.record("a", gauge(f64::from(n))));
        recorder.record("a", Record::Phase(Phase::SettleEnd));
        recorder.saw("kept");
        recorder.saw("beyond the limit");
        recorder.saw("kept");
        let history = recorder.snapshot();
        assert_eq!((history.entries().len(), history.dropped()), (2, 3));
        assert!(!history.is_settled());
        assert_eq!(history.counters().iter().collect::<Vec<_>>(), [(&"kept".to_owned(), &2)]);
    }
}
