//! The processor: consumes events, handles each once in effect, keeps the order of each key.
//!
//! One event of a key at a time, many keys at once; offsets are committed only up to the first unfinished event,
//! so a crash repeats events and never skips one; repetitions are recognised by [`DedupOptions`]. What cannot be
//! handled goes to the dead letters, and the later events of its key follow it there. Effects happen at least
//! once on the wire and once in fact *if* the outside honours the effect key: no more can be promised.

mod dead_letter;
mod dedup;
mod handler;
mod lanes;
mod options;
mod patience;
mod progress;
mod run;
mod work;

use std::sync::Arc;

pub use self::dead_letter::HEADER_PREFIX;
pub use self::handler::{Handler, HandlerContext, HandlerError, Outcome, Reason};
pub use self::options::{Authority, DedupOptions, OnRedisDown, ProcessorOptions, RetryOptions};

use self::dedup::Dedup;
use self::patience::Patience;
use self::work::Worker;
use crate::backoff::Backoff;
use crate::bus::BusError;
use crate::env::{Env, EnvError};
use crate::keys::KeysError;
use crate::store::StoreError;

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
        let backoff = Backoff::new(retry.base, retry.cap, env.entropy.stream("retry-jitter"));
        let patience = Patience { backoff };
        let dedup = Dedup {
            options: options.dedup.clone(),
            store: Arc::clone(&env.store),
            keys: env.keys.clone(),
            entropy: env.entropy.clone(),
            patience: patience.clone(),
        };
        Ok(Self { worker: Arc::new(Worker { env, handler, options, dedup, patience }) })
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
    if options.max_concurrency == 0 || options.max_in_flight == 0 {
        return wrong("max_concurrency and max_in_flight", "expected at least 1, found 0");
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
