//! Does numbered jobs on several threads and hands the results out in the order of their numbers.
//!
//! A result waits for slower ones before it; results are small, and a run that hangs is given up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Jobs done ahead of the one that is waited for, per thread.
const AHEAD: usize = 4;

/// Runs `job(0)` to `job(count - 1)`, `threads` at a time. `each` gets the results in order and answers whether to
/// go on; it is called on the caller's thread.
pub(super) fn in_order<T: Send, E>(
    threads: usize,
    count: usize,
    job: &(dyn Fn(usize) -> T + Sync),
    mut each: impl FnMut(usize, T) -> Result<bool, E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let threads = threads.clamp(1, count.max(1));
    thread::scope(|scope| {
        let (sender, results) = mpsc::sync_channel(AHEAD * threads);
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    // A receiver that is gone wants no more.
                    if index >= count || sender.send((index, job(index))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (index, result) in results {
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&due) {
                if !each(due, result)? {
                    return Ok(());
                }
                due += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        for threads in [1, 2, 7, 100] {
            let mut seen = Vec::new();
            let done: Result<(), ()> = in_order(threads, 50, &|index| index * 2, |index, result| {
                seen.push((index, result));
                Ok(true)
            });
            assert_eq!(done, Ok(()));
            assert_eq!(seen, (0..50).map(|index| (index, index * 2)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_more_is_handed_out_after_a_no_or_an_error() {
        let mut seen = 0;
        let stopped: Result<(), &str> = in_order(3, 1000, &|index| index, |_, _| {
            seen += 1;
            Ok(seen < 5)
        });
        assert_eq!((stopped, seen), (Ok(()), 5));
        assert_eq!(in_order(3, 1000, &|index| index, |_, _| Err("wrong")), Err("wrong"));
        assert_eq!(in_order(3, 0, &|index| index, |_, _| Err("never called")), Ok(()));
    }
}
