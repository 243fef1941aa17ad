//! Code points: named places in a service where a harness may count, delay or stop it.
//!
//! `point!("processor.after-effect")` costs nothing unless the feature `points` is on and a hook is installed
//! on the current thread. The hook decides; this module only asks.

#[cfg(feature = "points")]
use std::{cell::RefCell, rc::Rc, time::Duration};

/// A name that this crate passes or sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// The name.
    pub name: &'static str,
    /// Whether a harness may stop the service there; if not, the name is only counted.
    pub stops: bool,
    /// What the service has just done or is about to do.
    pub about: &'static str,
}

/// Every name of this crate.
pub const ALL: &[Point] = &[
    place("processor.received", "An event was delivered; nothing is done about it yet."),
    place("processor.before-claim", "The event is about to be claimed."),
    place("processor.claimed", "The event is claimed, its effect key is durable."),
    place("processor.before-effect", "The handler is about to run."),
    place("processor.after-effect", "The handler has returned, its outcome is not committed yet."),
    place("processor.committed", "The outcome is committed, Redis has not been told yet."),
    place("processor.before-offset-commit", "Offsets are about to be committed."),
    place("processor.after-offset-commit", "Offsets are committed."),
    place("outbox.before-publish", "An outbox record is about to be published."),
    place("outbox.published", "An outbox record is acknowledged, and not yet marked as sent."),
    place("outbox.marked", "An outbox record is marked as sent."),
    place(
        "transaction.records-sent",
        "A transaction's records are in the log; its offsets and its end are not.",
    ),
    place("lock.acquired", "A lock is held and has its fence; nothing is done under it yet."),
    place("stream.before-ack", "An entry of a stream is finished, and about to be acknowledged."),
    sighting("duplicate-suppressed", "An event was known as finished and was not handled again."),
    sighting("claim-resumed", "An event was claimed that an earlier delivery had claimed and not finished."),
    sighting("retry", "An attempt failed and another follows."),
    sighting("dead-lettered", "An event went to the dead letters."),
    sighting("parked", "An event follows an earlier one of its key to the dead letters."),
    sighting("lease-contended", "Another worker holds the lease on an event."),
    sighting("lease-lost", "A lease had passed on when it was to be renewed."),
    sighting("redis-unavailable", "Redis could not be asked, or did not answer."),
    sighting("stream-ack-failed", "An entry of a stream was acknowledged, and no answer came."),
    sighting("lock-contended", "Another holder has the lock."),
    sighting("rate-limited", "A request had to wait: the limit of its window was reached."),
    sighting("revoked", "Partitions were revoked."),
    sighting("lost", "Partitions were lost without a chance to commit."),
    sighting("worker-fenced", "A transaction was refused: another worker has its partition."),
    sighting("start-waited", "A consumer could not start yet, because something it needs was not ready."),
    sighting("gap", "A consumer was told that records of its partition may be gone."),
    sighting("caught-up", "A processor has worked on everything its event store holds, after a gap."),
    sighting("offset-commit-failed", "A commit of offsets failed."),
];

const fn place(name: &'static str, about: &'static str) -> Point {
    Point { name, stops: true, about }
}

const fn sighting(name: &'static str, about: &'static str) -> Point {
    Point { name, stops: false, about }
}

/// Passes a named place, in async code. A harness may stop the service here, as `kill -9` would.
#[macro_export]
macro_rules! point {
    ($name:expr) => {
        $crate::point::pass($name).await
    };
}

/// Passes the place `name`. Call it through [`point!`](crate::point!).
#[cfg_attr(not(feature = "points"), expect(clippy::unused_async, reason = "does nothing without `points`"))]
#[inline]
pub async fn pass(name: &'static str) {
    #[cfg(feature = "points")]
    match ask(name) {
        Passage::Go => {}
        Passage::Delay(by) => tokio::time::sleep(by).await,
        Passage::Stop => std::future::pending().await,
    }
    #[cfg(not(feature = "points"))]
    let _ = name;
}

/// Counts that something worth knowing happened, like a duplicate being suppressed. Never stops anything.
#[inline]
pub fn saw(name: &'static str) {
    #[cfg(feature = "points")]
    let _ = ask(name);
    #[cfg(not(feature = "points"))]
    let _ = name;
}

/// What a hook answers.
#[cfg(feature = "points")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Go on.
    Go,
    /// Go on after this long.
    Delay(Duration),
    /// Never go on. Whoever answers this also takes the host down.
    Stop,
}

#[cfg(feature = "points")]
type Hook = Rc<dyn Fn(&'static str) -> Passage>;

#[cfg(feature = "points")]
thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Installs the hook of this thread until the guard is dropped. A simulation runs on one thread.
#[cfg(feature = "points")]
#[must_use]
pub fn install(hook: impl Fn(&'static str) -> Passage + 'static) -> Installed {
    Installed { previous: HOOK.replace(Some(Rc::new(hook))) }
}

/// Keeps a hook installed.
#[cfg(feature = "points")]
pub struct Installed {
    previous: Option<Hook>,
}

#[cfg(feature = "points")]
impl Drop for Installed {
    fn drop(&mut self) {
        // The thread may be ending, and its storage already gone.
        let _ = HOOK.try_with(|hook| hook.replace(self.previous.take()));
    }
}

#[cfg(feature = "points")]
fn ask(name: &'static str) -> Passage {
    let hook = HOOK.with_borrow(Clone::clone);
    hook.map_or(Passage::Go, |hook| hook(name))
}
