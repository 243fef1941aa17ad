//! What runs hosts: the contract every engine keeps, and the choice of engine.
//!
//! An engine owns one single-threaded runtime per host and moves all of them through virtual time. It knows
//! no network: messages between hosts are `net`'s, so every engine has the same one.

mod stepped;
#[cfg(test)]
mod tests;
mod watch;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use super::HostId;

pub use self::stepped::SteppedEngine;
pub use self::watch::HostWatch;

/// A host's software: called once per start, so a restart begins anew.
pub type Software = Rc<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>>;

/// Runs hosts on virtual time.
///
/// Invariants: hosts run one after another, always in the same order; inside one step every host sees time
/// move from the step's start to its end; nothing a host does depends on the machine's clock.
pub trait Engine {
    /// Adds a host and starts its software. Hosts are numbered from 0 in the order they are added.
    fn add_host(&mut self, name: &str, software: Software) -> HostId;

    /// Runs every host for one tick.
    ///
    /// # Panics
    /// If a task of a host panics; the harness catches it and fails the run with the panic's text.
    fn step(&mut self);

    /// Stops a host at once: its tasks are dropped. Does nothing if it is stopped already. A pause dies with the
    /// process it stopped.
    fn crash(&mut self, host: HostId);

    /// Starts a host's software anew, stopping it first if it runs.
    fn restart(&mut self, host: HostId);

    /// Freezes a host from the next step on, as `SIGSTOP` does: none of its tasks is polled, while time goes on
    /// for it as for everyone. Does nothing if it is stopped.
    fn pause(&mut self, host: HostId);

    /// Lets a paused host run on: in the next step it finds the time that has passed, and its timers fire late.
    fn resume(&mut self, host: HostId);

    /// Virtual time since the start.
    fn elapsed(&self) -> Duration;
}

/// Exact virtual time if a host's code is running.
pub(super) fn now_in_host() -> Option<Duration> {
    stepped::now_in_host()
}
