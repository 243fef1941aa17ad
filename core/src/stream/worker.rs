//! Handles the events of a Redis stream: each once in effect, however often its entries come.
//!
//! An entry is acknowledged once its event is finished in the inbox; until then it comes again, to this worker or
//! another. The inbox row decides, as it does for a [`Processor`](crate::processor::Processor): it is claimed before
//! the handler runs, and finished in one transaction with what the handler changes. Entries are handled one after the
//! other, but a stream with several workers has no order.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{StreamEntry, StreamGroup, StreamGroupOptions};
use crate::backoff::Backoff;
use crate::env::{Env, EnvError};
use crate::envelope::EventEnvelope;
use crate::keys::KeysError;
use crate::outbox::outbox_row;
use crate::processor::{HEADER_PREFIX, Handler, HandlerContext, HandlerError, Outcome, Reason};
use crate::store::{
    ClaimRequest, Committed, Finish, Finished, InboxKey, InboxState, NewOutboxRow, StoreError, Transaction,
};
use crate::{mutant, point};

/// How a worker behaves.
#[derive(Clone, Debug)]
pub struct StreamWorkerOptions {
    /// Its place in a group.
    pub group: StreamGroupOptions,
    /// The longest pause before it looks for new entries.
    pub poll: Duration,
    /// How long one attempt of the handler may take. Less than `group.reclaim_after` divided by `group.batch`, or
    /// another worker takes up what this one has not come to yet.
    pub handler_timeout: Duration,
    /// Where rejected events go.
    pub dead_letter_topic: String,
}

/// Handles the events of a stream.
pub struct StreamWorker {
    env: Env,
    group: StreamGroup,
    handler: Arc<dyn Handler>,
    options: StreamWorkerOptions,
    backoff: Backoff,
}

/// Why a worker cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Redis refuses what the worker needs.
    #[error("the stream cannot be read: {0}")]
    Keys(#[from] KeysError),
    /// The event store refuses what the worker needs.
    #[error("an event of the stream cannot be recorded: {0}")]
    Store(#[from] StoreError),
}

impl StreamWorker {
    /// A worker; nothing is asked of the server before [`run`](Self::run).
    ///
    /// # Errors
    /// [`EnvError::Missing`], if the environment has no Redis.
    pub fn new(env: Env, handler: Arc<dyn Handler>, options: StreamWorkerOptions) -> Result<Self, EnvError> {
        let group = StreamGroup::new(env.redis()?.clone(), options.group.clone());
        let backoff = Backoff::new(options.poll / 8, options.poll, env.entropy.stream("stream-poll"));
        Ok(Self { env, group, handler, options, backoff })
    }

    /// Works until the environment's stop is asked for.
    ///
    /// # Errors
    /// [`StreamError`], if trying again cannot help.
    pub async fn run(self) -> Result<(), StreamError> {
        let mut idle = 0;
        while !self.env.stop.is_cancelled() {
            let entries = match self.group.next().await {
                Ok(entries) => entries,
                Err(error) if error.is_retryable() => {
                    point::saw("redis-unavailable");
                    Vec::new()
                }
                Err(error) => return Err(error.into()),
            };
            idle = if entries.is_empty() { idle + 1 } else { 0 };
            for entry in entries {
                self.take(entry).await?;
            }
            if idle > 0 {
                tokio::time::sleep(self.backoff.delay(idle)).await;
            }
        }
        Ok(())
    }

    /// Handles one entry and acknowledges it, or leaves it to come again.
    async fn take(&self, entry: StreamEntry) -> Result<(), StreamError> {
        let finished = match EventEnvelope::from_bytes(&entry.payload) {
            Ok(event) => match self.finish(&event).await {
                Err(error) if error.is_retryable() => false,
                finished => finished?,
            },
            Err(error) => {
                // Whoever adds entries checks them; there is nothing to be done about what was added by hand.
                tracing::warn!(%error, entry = entry.id, "an entry is no event and is left out");
                true
            }
        };
        if !finished {
            point::saw("retry");
            return Ok(());
        }
        point!("stream.before-ack");
        match self.group.ack(&entry.id).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_retryable() => {
                point::saw("stream-ack-failed");
                Ok(())
            }
            // The group is gone with a failover; whatever is left of the stream comes again.
            Err(KeysError::Refused(why)) if why.contains("NOGROUP") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the event is finished; if not, it is to come again.
    async fn finish(&self, event: &EventEnvelope) -> Result<bool, StoreError> {
        let key = InboxKey::event(self.handler.name(), event.id());
        let fresh = self.env.entropy.token();
        let (effect_key, attempt) = if mutant::enabled("stream-entry-is-new") {
            // Mutant 39: whatever a stream delivers is taken for something new.
            (fresh, 1)
        } else {
            let request = ClaimRequest { digest: Some(event.digest()), effect_key: fresh };
            let row = self.env.store.claim(&key, request).await?;
            if row.state != InboxState::Claimed {
                point::saw("duplicate-suppressed");
                return Ok(true);
            }
            (row.effect_key, row.attempts)
        };
        let context = HandlerContext::new(effect_key, attempt);
        let handled =
            tokio::time::timeout(self.options.handler_timeout, self.handler.handle(event, &context));
        match handled.await {
            Ok(Ok(outcome)) => self.commit(key, Finished::Done, outcome, Vec::new()).await,
            Ok(Err(HandlerError::Reject(reason))) => {
                point::saw("dead-lettered");
                let letter = self.dead_letter(event, attempt, &reason);
                self.commit(key, Finished::Dead, Outcome::none(), vec![letter]).await
            }
            Ok(Err(HandlerError::Retry(_))) | Err(_) => Ok(false),
        }
    }

    async fn commit(
        &self,
        key: InboxKey,
        state: Finished,
        outcome: Outcome,
        letters: Vec<NewOutboxRow>,
    ) -> Result<bool, StoreError> {
        let results = outcome.published().iter().map(|(topic, event)| outbox_row(topic, event));
        let transaction = Transaction {
            appends: outcome.appended().to_vec(),
            // Mutant 39 has claimed nothing.
            finish: (!mutant::enabled("stream-entry-is-new")).then_some(Finish { key, state }),
            outbox: results.chain(letters).collect(),
            park: None,
        };
        match self.env.store.commit(transaction).await {
            Ok(Committed::Applied { .. }) => {}
            Ok(Committed::AlreadyFinished(_)) => point::saw("duplicate-suppressed"),
            // The handler decided on a state that has moved on; it may decide again.
            Err(StoreError::Conflict { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.env.committed();
        Ok(true)
    }

    fn dead_letter(&self, event: &EventEnvelope, attempts: u32, reason: &Reason) -> NewOutboxRow {
        let mut row = outbox_row(&self.options.dead_letter_topic, event);
        let ours = [
            ("reason", reason.code.to_string()),
            ("attempts", attempts.to_string()),
            ("handler", self.handler.name().to_owned()),
        ];
        let ours = ours.map(|(name, value)| (format!("{HEADER_PREFIX}{name}"), Bytes::from(value)));
        row.headers.extend(ours);
        row
    }
}
