//! The simulation: hosts on virtual time, a network between them, and nothing of the machine.
//!
//! Services and mocks see only this facade: [`now`], [`current_host`], [`net`]. Which engine runs the hosts is
//! known to `engine` alone. A simulation lives on one thread, entered through [`Context::enter`]; nothing here
//! knows scenarios, faults or checkers.

pub mod engine;
pub mod net;
pub mod shim;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

/// A simulated host: its index in the order hosts were added, which is also the order they run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u16);

/// Wall-clock time at which every simulation starts: 2026-01-01T00:00:00Z, in Unix milliseconds.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

/// Receives what happens in the simulation: host, kind, text. Must not call back into the simulation.
pub type Probe = std::sync::Arc<dyn Fn(Option<HostId>, &'static str, fmt::Arguments<'_>) + Send + Sync>;

thread_local! {
    static STEP_START: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static RUNTIMES: RefCell<Vec<(tokio::runtime::Id, HostId)>> = const { RefCell::new(Vec::new()) };
}

/// This thread's simulation. Dropping it forgets everything the thread knew about hosts and time.
pub struct Context {
    _shim: shim::Entered,
}

impl Context {
    /// Makes this thread a simulation thread. Use a fresh thread per run: std seeds its hash maps once per
    /// thread.
    #[must_use]
    pub fn enter(seed: u64) -> Self {
        STEP_START.set(Duration::ZERO);
        RUNTIMES.with_borrow_mut(Vec::clear);
        Self { _shim: shim::enter(seed, EPOCH_MS) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        RUNTIMES.with_borrow_mut(Vec::clear);
    }
}

/// Virtual time since the start of the simulation: exact inside a host, the current step's start outside.
#[must_use]
pub fn now() -> Duration {
    let now = engine::now_in_host().unwrap_or_else(|| STEP_START.get());
    shim::set_now(now);
    now
}

/// The host whose code is running, if any.
#[must_use]
pub fn current_host() -> Option<HostId> {
    let id = tokio::runtime::Handle::try_current().ok()?.id();
    RUNTIMES.with_borrow(|known| known.iter().find(|(runtime, _)| *runtime == id).map(|(_, host)| *host))
}

/// Tells the facade that the calling runtime is `host`'s. Engines call it when software starts.
fn runtime_started(host: HostId) {
    let id = tokio::runtime::Handle::current().id();
    RUNTIMES.with_borrow_mut(|known| {
        known.retain(|(_, of)| *of != host);
        known.push((id, host));
    });
}

/// Tells the facade that a step starts at `at`.
fn step_started(at: Duration) {
    STEP_START.set(at);
    shim::set_now(at);
}
