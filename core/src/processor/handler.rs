//! What the business writes: a handler, and what it may answer.
//!
//! A handler's lasting changes are its [`Outcome`], applied in one transaction after it returns, and whatever it
//! asks of the outside under its effect key. It may run several times for one event; the effect key is the same
//! each time, so the outside can tell a repeat from a new request.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;

use crate::envelope::EventEnvelope;
use crate::store::Append;

/// Handles the events of a subscription.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The handler's name: part of the key under which events are known as handled. Renaming a handler makes
    /// every event new to it.
    fn name(&self) -> &str;

    /// Handles one event. The future may be dropped at any await.
    ///
    /// # Errors
    /// [`HandlerError`] says whether another attempt may help.
    async fn handle(&self, event: &EventEnvelope, cx: &HandlerContext) -> Result<Outcome, HandlerError>;
}

/// What a handler is told besides the event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerContext {
    /// The token under which this event's effects are asked of others (`Idempotency-Key`). Written down before
    /// the first attempt, the same for every later one, on whichever worker.
    pub effect_key: String,
    /// How often this event was taken up by any worker, this time included; counted before the handler runs.
    pub attempt: u32,
}

impl HandlerContext {
    /// A context, for tests of a handler.
    pub fn new(effect_key: impl Into<String>, attempt: u32) -> Self {
        Self { effect_key: effect_key.into(), attempt }
    }
}

/// What a handled event changes. Applied whole, or not at all.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Outcome {
    pub(super) publish: Vec<(String, EventEnvelope)>,
    pub(super) append: Vec<Append>,
}

impl Outcome {
    /// Nothing changes, but the event is done.
    pub fn none() -> Self {
        Self::default()
    }

    /// Publishes `event` to `topic`, through the outbox, keyed by its partition key.
    pub fn publish(mut self, topic: impl Into<String>, event: EventEnvelope) -> Self {
        self.publish.push((topic.into(), event));
        self
    }

    /// What will be published: topic and event, in order.
    pub fn published(&self) -> &[(String, EventEnvelope)] {
        &self.publish
    }

    /// What will be appended, in order.
    pub fn appended(&self) -> &[Append] {
        &self.append
    }

    /// Appends to the event store. A version conflict is answered by handling the event again.
    pub fn append(mut self, append: Append) -> Self {
        self.append.push(append);
        self
    }
}

/// Why an event could not be handled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandlerError {
    /// Something passing: another attempt may succeed.
    #[error("to be retried: {0}")]
    Retry(Reason),
    /// The event itself is at fault: it goes to the dead letters at once.
    #[error("rejected: {0}")]
    Reject(Reason),
}

impl HandlerError {
    /// Another attempt may succeed.
    pub fn retry(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::Retry(Reason::new(code, detail))
    }

    /// No attempt will succeed.
    pub fn reject(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::Reject(Reason::new(code, detail))
    }
}

/// A reason with a code that machines read and words that people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A short stable word, like `card-declined`.
    pub code: Cow<'static, str>,
    /// The rest of the story. Must not hold secrets: it travels with the dead letter.
    pub detail: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: detail.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}
