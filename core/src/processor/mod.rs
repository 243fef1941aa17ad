//! The processor: consumes events, handles each once in effect, keeps the order of each key.
//!
//! One event of a key at a time, many keys at once; offsets are committed only up to the first unfinished event,
//! so a crash repeats events and never skips one; repetitions are recognised by [`DedupOptions`]. What cannot be
//! handled goes to the dead letters, and the later events of its key follow it there. Effects happen at least
//! once on the wire and once in fact *if* the outside honours the effect key: no more can be promised.
//!
//! ```
//! # use std::sync::Arc;
//! # use async_trait::async_trait;
//! # use squall_core::bus::memory::MemoryBus;
//! # use squall_core::clock::Clock;
//! # use squall_core::emitter::{Emitter, EmitterOptions};
//! # use squall_core::entropy::Entropy;
//! # use squall_core::env::Env;
//! # use squall_core::envelope::EventEnvelope;
//! # use squall_core::event_id::Occurrence;
//! # use squall_core::processor::*;
//! # use squall_core::store::MemoryStore;
//! struct Greet(tokio_util::sync::CancellationToken);
//!
//! #[async_trait]
//! impl Handler for Greet {
//!     fn name(&self) -> &str {
//!         "greet"
//!     }
//!
//!     async fn handle(&self, event: &EventEnvelope, cx: &HandlerContext) -> Result<Outcome, HandlerError> {
//!         let who = event.data()["name"].as_str().ok_or_else(|| {
//!             HandlerError::reject("no-name", "expected a text at /name")
//!         })?;
//!         println!("hello {who}, attempt {}, asked under {}", cx.attempt, cx.effect_key);
//!         self.0.cancel();
//!         Ok(Outcome::none())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Clock::system();
//! let bus = Arc::new(MemoryBus::new(clock.clone()).with_topic("guests", 4));
//! let store = Arc::new(MemoryStore::new(clock.clone()));
//! let env = Env::new("worker-1", bus, store, Entropy::from_os()?, clock);
//!
//! let guest = EventEnvelope::builder("guest.arrived", 1, "door")
//!     .subject("guest-7")
//!     .occurrence(Occurrence::Business("2026-11-21".to_owned()))
//!     .data(serde_json::json!({ "name": "Ada" }));
//! Emitter::new(env.clone(), EmitterOptions::default()).await?.emit("guests", guest).await?;
//!
//! let handler = Arc::new(Greet(env.stop.clone()));
//! Processor::new(env, handler, ProcessorOptions::new("greeters", ["guests"]))?.run().await?;
//! # Ok(())
//! # }
//! ```

mod catch_up;
mod dead_letter;
mod dedup;
mod handler;
mod lanes;
mod options;
mod patience;
mod progress;
mod redis_claim;
mod run;
mod work;

use std::sync::Arc;
use std::time::Duration;

pub use self::dead_letter::HEADER_PREFIX;
pub use self::handler::{Handler, HandlerContext, HandlerError, Outcome, Reason};
pub use self::options::{Authority, CatchUp, DedupOptions, OnRedisDown, ProcessorOptions, RetryOptions};

use self::dedup::Dedup;
use self::patience::Patience;
use self::work::Worker;
use crate::backoff::Backoff;
use crate::bus::BusError;
use crate::env::{Env, EnvError};
use crate::keys::KeysError;
use crate::start::StartError;
use crate::store::StoreError;

/// Pauses while a lease is another's, or the store or Redis does not answer. Short, because how soon a service
/// recovers after an outage is decided here.
const WAIT_BASE: Duration = Duration::from_millis(50);
const WAIT_CAP: Duration = Duration::from_secs(1);

/// A member of a consumer group with one handler.
pub struct Processor {
    worker: Arc<Worker>,
}

/// Why a processor ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// The environment lacks something the options ask for.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The options cannot work.
    #[error("processor option {option}: {problem}")]
    Options {
        /// The option's name.
        option: &'static str,
        /// What is wrong, what to do.
        problem: &'static str,
    },
    /// What the consumer needs was not ready in time.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The consumer cannot go on.
    #[error("the consumer of group {group} cannot go on: {source}")]
    Bus {
        /// The consumer group.
        group: String,
        /// The final error.
        source: BusError,
    },
    /// The event store failed in a way that will not pass. Nothing is lost: the events are delivered again.
    #[error("the event store cannot go on: {0}")]
    Store(StoreError),
    /// Redis, as authority, failed in a way that will not pass.
    #[error("deduplication cannot go on: {0}")]
    Keys(KeysError),
    /// The processor itself panicked; a panic of the handler does not lead here.
    #[error("the processor panicked, please report it: {0}")]
    Panicked(String),
}

impl Processor {
    /// A processor in `env` that hands events to `handler`.
    ///
    /// # Errors
    /// [`ProcessorError::Options`] or [`ProcessorError::Env`], if it could never work.
    pub fn new(
        env: Env,
        handler: Arc<dyn Handler>,
        options: ProcessorOptions,
    ) -> Result<Self, ProcessorError> {
        check(&env, &options)?;
        let retry = &options.retry;
        let retries = Backoff::new(retry.base, retry.cap, env.entropy.stream("retry-jitter"));
        let waits = Backoff::new(WAIT_BASE, WAIT_CAP, env.entropy.stream("wait-jitter"));
        let patience = Patience { backoff: waits };
        let dedup = Dedup {
            options: options.dedup.clone(),
            store: Arc::clone(&env.store),
            keys: env.keys.clone(),
            entropy: env.entropy.clone(),
            patience: patience.clone(),
        };
        Ok(Self {
            worker: Arc::new(Worker {
                env,
                handler,
                options,
                dedup,
                patience,
                retries: Patience { backoff: retries },
            }),
        })
    }

    /// Runs until the environment's stop token is cancelled, then winds down: no new events, those under way may
    /// finish within the drain timeout, finished offsets are committed, the group is left.
    ///
    /// Dropping the future is a crash: safe, and events under way are delivered again.
    ///
    /// # Errors
    /// [`ProcessorError`], when going on is pointless; a supervisor may start the service anew.
    pub async fn run(self) -> Result<(), ProcessorError> {
        run::run(self.worker).await
    }
}

fn check(env: &Env, options: &ProcessorOptions) -> Result<(), ProcessorError> {
    let wrong = |option, problem| Err(ProcessorError::Options { option, problem });
    if options.topics.is_empty() {
        return wrong("topics", "expected at least one topic, found none");
    }
    if [options.max_concurrency, options.max_in_flight, options.max_uncommitted].contains(&0) {
        return wrong("max_concurrency, max_in_flight, max_uncommitted", "expected at least 1, found 0");
    }
    if options.retry.max_attempts == 0 || options.retry.max_deliveries == 0 {
        return wrong("retry", "expected at least one attempt and one delivery, found 0");
    }
    if options.commit_interval.is_zero() {
        return wrong("commit_interval", "expected more than nothing, found 0");
    }
    if options.dedup.lease.is_zero() || options.dedup.done_ttl.is_zero() {
        return wrong("dedup", "expected times to live above nothing, found 0");
    }
    if options.dedup.authority == Authority::Redis {
        env.keys()?;
    }
    Ok(())
}
