//! Code points: named places in a service where a harness may count, delay or stop it.
//!
//! `point!("processor.after-effect")` costs nothing unless the feature `points` is on and a hook is installed
//! on the current thread. The hook decides; this module only asks.

#[cfg(feature = "points")]
use std::{cell::RefCell, rc::Rc, time::Duration};

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
