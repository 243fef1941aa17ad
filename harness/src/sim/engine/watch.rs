//! Tells which host is running, from another thread: for naming a service that never yields.
//!
//! The engine opens a span around each host's turn. This subscriber notes them and nothing else. It is
//! installed only for a run that has already stalled once, so ordinary runs pay nothing and keep their own
//! subscriber.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The target of the engine's spans.
const TARGET: &str = "squall::turn";

/// Opens the span of a host's turn.
pub(super) fn turn(host: &str) -> tracing::span::EnteredSpan {
    tracing::info_span!(target: TARGET, "turn", name = host).entered()
}

/// Watches one simulation. Clones watch the same one.
#[derive(Clone, Default)]
pub struct HostWatch {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: BTreeMap<u64, String>,
    running: Option<String>,
}

impl HostWatch {
    /// Runs a simulation under this watch, on this thread.
    pub fn during<R>(&self, run: impl FnOnce() -> R) -> R {
        tracing::subscriber::with_default(self.clone(), run)
    }

    /// The host whose turn it is.
    #[must_use]
    pub fn running(&self) -> Option<String> {
        self.lock().running.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for HostWatch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == TARGET
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut name = NameField(None);
        span.record(&mut name);
        self.lock().names.insert(id, name.0.unwrap_or_default());
        Id::from_u64(id)
    }

    fn enter(&self, span: &Id) {
        let mut state = self.lock();
        state.running = state.names.get(&span.into_u64()).cloned();
    }

    fn exit(&self, _: &Id) {
        self.lock().running = None;
    }

    fn try_close(&self, span: Id) -> bool {
        self.lock().names.remove(&span.into_u64());
        true
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}
}

/// Picks the field `name` of a span.
struct NameField(Option<String>);

impl Visit for NameField {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "name" {
            self.0 = Some(format!("{value:?}").trim_matches('"').to_owned());
        }
    }
}
