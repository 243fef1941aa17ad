//! Publishes events straight to the log: for producers that have no store to keep an outbox in.
//!
//! The event is built once, before the first try, so every try carries the same id and consumers recognise
//! repetitions. An emitter that gives up cannot know whether the event arrived; its caller may emit the same
//! business fact again, under the same occurrence, and safely so.

use std::sync::Arc;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::bus::{BusError, Publisher, PublisherOptions, TopicPartition};
use crate::env::Env;
use crate::envelope::{EnvelopeBuilder, EnvelopeError, EventEnvelope};
use crate::event_id::Occurrence;
use crate::mutant;
use crate::outbox::event_record;

/// Publishes events, with retries under the same id.
#[derive(Clone)]
pub struct Emitter {
    env: Env,
    publisher: Arc<dyn Publisher>,
    options: EmitterOptions,
    backoff: Backoff,
}

/// How an emitter behaves.
#[derive(Clone, Debug)]
pub struct EmitterOptions {
    /// How the publisher behaves.
    pub publisher: PublisherOptions,
    /// Tries for one event.
    pub max_tries: u32,
    /// The bound of the first pause between tries; it doubles up to `cap`.
    pub base: Duration,
    /// The longest pause between tries.
    pub cap: Duration,
}

impl Default for EmitterOptions {
    fn default() -> Self {
        Self {
            publisher: PublisherOptions::default(),
            max_tries: 10,
            base: Duration::from_millis(50),
            cap: Duration::from_secs(2),
        }
    }
}

/// An event that is in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The event as it was published.
    pub event: EventEnvelope,
    /// Where it lies.
    pub partition: TopicPartition,
    /// Its offset there. Earlier tries may lie before it.
    pub offset: i64,
    /// Tries it took.
    pub tries: u32,
}

/// Why an event was not emitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// There is no event to publish.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The event is certainly not in the log: it was refused, or no try reached a broker.
    #[error("the event is not in the log after {tries} tries: {source}")]
    Refused {
        /// Tries made.
        tries: u32,
        /// What the log said.
        source: BusError,
    },
    /// The event may be in the log or not. Emitting the same event again is safe.
    #[error("no answer after {tries} tries, the event may be in the log or not: {source}")]
    Unknown {
        /// Tries made.
        tries: u32,
        /// The last error.
        source: BusError,
    },
}

impl Emitter {
    /// An emitter on the bus of `env`.
    ///
    /// # Errors
    /// [`BusError`], if the publisher cannot be set up.
    pub async fn new(env: Env, options: EmitterOptions) -> Result<Self, BusError> {
        let publisher = env.bus.publisher(options.publisher.clone()).await?;
        let backoff = Backoff::new(options.base, options.cap, env.entropy.stream("emit-jitter"));
        Ok(Self { env, publisher, options, backoff })
    }

    /// Builds the event and publishes it to `topic`, again and again until it is acknowledged.
    ///
    /// # Errors
    /// [`EmitError`]; only [`EmitError::Unknown`] leaves open whether the event is in the log.
    pub async fn emit(&self, topic: &str, event: EnvelopeBuilder) -> Result<Emitted, EmitError> {
        let mut built = event.clone().build()?;
        let mut tries = 0;
        let mut unanswered = false;
        loop {
            tries += 1;
            let error = match self.publisher.publish(event_record(topic, &built)).await {
                Ok((partition, offset)) => return Ok(Emitted { event: built, partition, offset, tries }),
                Err(error) => error,
            };
            unanswered |= matches!(error, BusError::Unknown(_));
            if !error.is_retryable() || tries >= self.options.max_tries {
                return Err(given_up(error, tries, unanswered));
            }
            tokio::time::sleep(self.backoff.delay(tries)).await;
            if mutant::enabled("retry-under-new-id") {
                // Mutant 15: what identifies the event is drawn anew for every try.
                let occurrence = Occurrence::Business(self.env.entropy.token());
                built = event.clone().occurrence(occurrence).build()?;
            }
        }
    }
}

fn given_up(source: BusError, tries: u32, unanswered: bool) -> EmitError {
    // One try without an answer is enough not to know.
    if unanswered { EmitError::Unknown { tries, source } } else { EmitError::Refused { tries, source } }
}
