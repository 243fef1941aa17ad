//! What keeps a program from running for ever: a budget of instructions, or somebody who watches.
//!
//! A program that is stopped stays stopped: whatever it catches, it is stopped again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;

/// Instructions between two steps of a [`Guard`].
pub(super) const STEP: u32 = 1000;
/// Steps between two looks of a [`Watcher`].
const LOOK_EVERY: u32 = 100;

/// Somebody who lets programs run for as long as others can be answered meanwhile. Called on the thread that
/// runs the program, which has the engine.
pub trait Watcher: Send + Sync {
    /// A program begins, described on demand. Whether it is watched; if not, its instructions are counted.
    fn begin(&self, describe: &mut dyn FnMut() -> Running) -> bool;
    /// A watched program is still running.
    fn look(&self) -> Verdict;
    /// A watched program called a command that writes.
    fn wrote(&self);
    /// A watched program has ended.
    fn end(&self);
    /// What the wall clock says, in Unix microseconds. It may go on while a program runs.
    fn unix_us(&self) -> i64;
}

/// What a [`Watcher`] says of a program that is still running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on for as long as it likes.
    GoOn,
    /// It may go on within its budget.
    Count,
    /// It is to be stopped.
    Stop,
}

/// A program that is running.
#[derive(Clone, Debug)]
pub struct Running {
    /// Whether it is a function, not a script.
    pub is_function: bool,
    /// The digest of a script, the name of a function.
    pub name: String,
    /// The command that runs it.
    pub command: Vec<Bytes>,
    /// Libraries and functions there are.
    pub counts: (usize, usize),
    /// Milliseconds after which others are told that the server is busy.
    pub threshold_ms: u64,
    /// What clients may send whose limits are not known.
    pub limits: crate::redis::resp::Limits,
}

/// The guard of one interpreter.
#[derive(Default)]
pub(super) struct Guard {
    /// Steps the program may still take; 0 once it was stopped.
    left: AtomicU64,
    steps: AtomicU32,
    watched: AtomicBool,
    /// A watcher lets it go on for as long as it likes.
    free: AtomicBool,
    watcher: Option<Arc<dyn Watcher>>,
}

impl Guard {
    pub(super) fn new(watcher: Option<Arc<dyn Watcher>>) -> Self {
        Self { watcher, ..Self::default() }
    }

    /// A program begins that may take so many instructions, unless it is watched.
    pub(super) fn begin(&self, instructions: u64, describe: Option<&mut dyn FnMut() -> Running>) {
        self.left.store((instructions / u64::from(STEP)).max(1), Ordering::Relaxed);
        self.steps.store(0, Ordering::Relaxed);
        self.free.store(false, Ordering::Relaxed);
        let watched = match (&self.watcher, describe) {
            (Some(watcher), Some(describe)) => watcher.begin(describe),
            _ => false,
        };
        self.watched.store(watched, Ordering::Relaxed);
    }

    /// The program took a step. False if it is to be stopped.
    pub(super) fn step(&self) -> bool {
        if let Some(watcher) = self.watcher.as_ref().filter(|_| self.watched.load(Ordering::Relaxed)) {
            if self.steps.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1 {
                let verdict = watcher.look();
                self.free.store(verdict == Verdict::GoOn, Ordering::Relaxed);
                if verdict == Verdict::Stop {
                    self.left.store(0, Ordering::Relaxed);
                }
            }
            if self.free.load(Ordering::Relaxed) && !self.is_stopped() {
                return true;
            }
        }
        let spend = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// The program called a command that writes.
    pub(super) fn wrote(&self) {
        if let Some(watcher) = self.watcher.as_ref().filter(|_| self.watched.load(Ordering::Relaxed)) {
            watcher.wrote();
        }
    }

    pub(super) fn end(&self) {
        if let Some(watcher) = &self.watcher
            && self.watched.swap(false, Ordering::Relaxed)
        {
            watcher.end();
        }
    }

    /// Whether the program was stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_after_its_instructions_and_stays_ended() {
        let guard = Guard::default();
        guard.begin(3 * u64::from(STEP), None);
        let steps: Vec<bool> = (0..5).map(|_| guard.step()).collect();
        assert_eq!(steps, [true, true, true, false, false]);
        assert!(guard.is_stopped());
    }

    struct Patient(AtomicU32);

    impl Watcher for Patient {
        fn begin(&self, _: &mut dyn FnMut() -> Running) -> bool {
            true
        }

        fn look(&self) -> Verdict {
            if self.0.fetch_add(1, Ordering::Relaxed) < 3 { Verdict::GoOn } else { Verdict::Stop }
        }

        fn wrote(&self) {}

        fn end(&self) {}

        fn unix_us(&self) -> i64 {
            0
        }
    }

    #[test]
    fn a_watched_program_goes_on_beyond_its_budget_until_it_is_stopped() {
        let guard = Guard::new(Some(Arc::new(Patient(AtomicU32::new(0)))));
        let mut describe = || Running {
            is_function: false,
            name: String::new(),
            command: Vec::new(),
            counts: (0, 0),
            threshold_ms: 0,
            limits: crate::redis::resp::Limits { bulk_bytes: 0, authenticated: true },
        };
        guard.begin(u64::from(STEP) * 200, Some(&mut describe));
        let steps = (0..1000).take_while(|_| guard.step()).count();
        assert_eq!(steps, 399);
        assert!(guard.is_stopped());
    }
}
