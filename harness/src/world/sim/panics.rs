//! Catches the panics of simulated services: text and place are kept, and printed nowhere by themselves.
//!
//! One hook serves the whole program. On threads that are no simulation it does what the hook before it did.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::sim::{HostId, current_host};

thread_local! {
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
    static CATCHING: RefCell<bool> = const { RefCell::new(false) };
}

/// A panic of simulated code.
#[derive(Clone, Debug)]
pub(super) struct Panic {
    pub(super) host: Option<HostId>,
    pub(super) text: String,
}

/// Runs `step`; a panic in it is answered instead of unwinding further.
pub(super) fn catching<R>(step: impl FnOnce() -> R) -> Result<R, Panic> {
    install();
    CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(step));
    CATCHING.replace(false);
    // tokio panics once more when it shuts the runtime down; the first panic is the one that tells.
    let first = CAUGHT.take();
    result.map_err(|_| first.unwrap_or_else(|| Panic { host: None, text: "unknown panic".to_owned() }))
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CATCHING.try_with(|catching| *catching.borrow()).unwrap_or(false) {
                return before(info);
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let text = text.unwrap_or("a panic without a text");
            let place = info.location().map(|at| format!(" ({}:{})", at.file(), at.line()));
            let text = format!("{text}{}", place.unwrap_or_default());
            CAUGHT.with_borrow_mut(|caught| {
                caught.get_or_insert(Panic { host: current_host(), text });
            });
        }));
    });
}
