//! Runs one plan on a thread of its own and watches that it moves.
//!
//! A service that never yields cannot be interrupted. A run that takes no step for some seconds of the machine's
//! time is started once more, this time noting which host is running: if it stalls again, that host is named
//! and the thread left behind; if not, only the machine was slow, and the second run counts. The verdict of a
//! run that moves never depends on the machine's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::plan::Plan;
use crate::service::Services;
use crate::sim::engine::HostWatch;
use crate::trace::TraceOptions;
use crate::world::sim::{self, WorldError};
use crate::world::{End, Run};

/// Debug builds of deeply nested futures need more than the default.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Runs `plan` in the simulation. `trace` makes the options anew, should the run have to be repeated; a run that
/// takes no step for `bound`, by the machine's clock, is taken to hang.
///
/// # Errors
/// [`WorldError`], before anything has run.
pub(super) fn supervise(
    plan: &Arc<Plan>,
    services: &Services,
    trace: &dyn Fn() -> TraceOptions,
    bound: Duration,
) -> Result<Run, WorldError> {
    match attempt(plan, services, trace(), None, bound) {
        Attempt::Ended(run) => return run.map(|run| *run),
        Attempt::Stalled(_) => {}
    }
    let watch = HostWatch::default();
    match attempt(plan, services, trace(), Some(watch.clone()), bound) {
        Attempt::Ended(run) => run.map(|run| *run),
        Attempt::Stalled(steps) => Ok(stalled(plan, watch.running(), steps, bound)),
    }
}

enum Attempt {
    Ended(Result<Box<Run>, WorldError>),
    /// After this many steps.
    Stalled(u64),
}

fn attempt(
    plan: &Arc<Plan>,
    services: &Services,
    trace: TraceOptions,
    watch: Option<HostWatch>,
    bound: Duration,
) -> Attempt {
    let progress = Arc::new(AtomicU64::new(0));
    let (sender, receiver) = mpsc::channel();
    let (plan, services, steps) = (Arc::clone(plan), services.clone(), Arc::clone(&progress));
    let body = move || {
        let run = || sim::run(&plan, &services, trace, &steps);
        let run = match watch {
            Some(watch) => watch.during(run),
            None => run(),
        };
        // Nobody listens any more if this run was given up.
        let _ = sender.send(run.map(Box::new));
    };
    let started = thread::Builder::new().name("simulation".to_owned()).stack_size(STACK_BYTES).spawn(body);
    let thread = match started {
        Ok(thread) => thread,
        Err(error) => return Attempt::Ended(Err(WorldError::Thread(error.to_string()))),
    };
    let mut seen = 0;
    loop {
        match receiver.recv_timeout(bound) {
            Ok(run) => {
                // The thread has nothing left to do but end; its storage must be gone before the next run.
                let _ = thread.join();
                return Attempt::Ended(run);
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = progress.load(Ordering::Relaxed);
                if now == seen {
                    return Attempt::Stalled(now);
                }
                seen = now;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let text = match thread.join() {
                    Err(panic) => panic_text(&*panic),
                    Ok(()) => "the simulation ended without a result".to_owned(),
                };
                return Attempt::Ended(Ok(Box::new(Run::cut_short(End::Panicked { host: None, text }))));
            }
        }
    }
}

fn stalled(plan: &Plan, host: Option<String>, steps: u64, bound: Duration) -> Run {
    let at = plan.tick * u32::try_from(steps.saturating_sub(1)).unwrap_or(u32::MAX);
    Run { elapsed: at, ..Run::cut_short(End::Stalled { host, bound }) }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
