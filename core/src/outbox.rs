//! The outbox relay: publishes what transactions have promised.
//!
//! A record is marked as sent only after the broker has acknowledged it, so it is published at least once, under
//! the id it was committed with. Records of one key go out in the order they were committed: the next waits for
//! the acknowledgement of the one before. One relay is active among all workers, by a lease in the store; when a
//! lease passes on while its holder hangs, both may publish for a moment, and consumers see duplicates.
//!
//! A record the broker refuses for good holds up its key, loudly, and no other; nothing is dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::bus::{BusError, OutgoingRecord, Publisher, PublisherOptions};
use crate::env::Env;
use crate::envelope::{CONTENT_TYPE, EventEnvelope};
use crate::point;
use crate::store::{NewOutboxRow, OutboxRow, StoreError};

/// Publishes the outbox of a store.
pub struct OutboxRelay {
    env: Env,
    options: RelayOptions,
    owner: String,
    backoff: Backoff,
}

/// How a relay behaves.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// The lease's name; stores with several outboxes need several.
    pub lease_name: String,
    /// How long the lease lasts without renewal: how long a dead relay is not replaced.
    pub lease: Duration,
    /// How often to look without being woken.
    pub poll_interval: Duration,
    /// Records taken at a time. More refused records than this stop the relay.
    pub batch: usize,
    /// How the publisher behaves.
    pub publisher: PublisherOptions,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            lease_name: "outbox".to_owned(),
            lease: Duration::from_secs(5),
            poll_interval: Duration::from_millis(500),
            batch: 256,
            publisher: PublisherOptions::default(),
        }
    }
}

/// Why a relay ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The publisher could not be set up.
    #[error("the outbox relay has no publisher: {0}")]
    Bus(#[from] BusError),
    /// The store failed in a way that will not pass.
    #[error("the outbox cannot be read or marked: {0}")]
    Store(#[from] StoreError),
}

/// How one round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Everything taken was published; there may be more.
    Progress,
    /// Nothing to do, or another relay is active.
    Idle,
    /// Something could not be published, marked or read.
    Trouble,
}

impl OutboxRelay {
    /// A relay for the store and the bus of `env`.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self::with_options(env, RelayOptions::default())
    }

    /// A relay that behaves as told.
    #[must_use]
    pub fn with_options(env: Env, options: RelayOptions) -> Self {
        // The token tells a restarted worker from the one it replaces.
        let owner = format!("{}/{}", env.name, env.entropy.token());
        let rng = env.entropy.stream("outbox-jitter");
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), rng);
        Self { env, options, owner, backoff }
    }

    /// Runs until the environment's stop token is cancelled; then gives the lease up. What is not sent by then
    /// stays in the outbox.
    ///
    /// # Errors
    /// [`OutboxError`], when going on is pointless.
    pub async fn run(self) -> Result<(), OutboxError> {
        let publisher = self.env.bus.publisher(self.options.publisher.clone()).await?;
        let mut failures = 0;
        loop {
            let round = tokio::select! {
                biased;
                () = self.env.stop.cancelled() => break,
                round = self.round(&*publisher) => round?,
            };
            failures = if round == Round::Trouble { failures + 1 } else { 0 };
            let pause = match round {
                Round::Progress => continue,
                Round::Idle => self.options.poll_interval,
                Round::Trouble => self.backoff.delay(failures),
            };
            tokio::select! {
                biased;
                () = self.env.stop.cancelled() => break,
                () = self.env.outbox.notified(), if round == Round::Idle => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Err(error) = self.env.store.release(&self.options.lease_name, &self.owner).await {
            tracing::debug!(%error, "the outbox lease was not released and will expire");
        }
        Ok(())
    }

    /// Takes the oldest records and publishes them.
    async fn round(&self, publisher: &dyn Publisher) -> Result<Round, OutboxError> {
        let (store, options) = (&self.env.store, &self.options);
        let Some(leader) = passing(store.lease(&options.lease_name, &self.owner, options.lease).await)?
        else {
            return Ok(Round::Trouble);
        };
        let until = Instant::now() + options.lease;
        if !leader {
            return Ok(Round::Idle);
        }
        let Some(rows) = passing(store.outbox_pending(options.batch).await)? else {
            return Ok(Round::Trouble);
        };
        if rows.is_empty() {
            return Ok(Round::Idle);
        }
        let taken = rows.len();
        let mut keys: FuturesUnordered<_> =
            by_key(rows).into_iter().map(|rows| self.publish_in_order(publisher, rows, until)).collect();
        let mut done = 0;
        while let Some(sent) = keys.next().await {
            done += sent?;
        }
        Ok(if done == taken { Round::Progress } else { Round::Trouble })
    }

    /// Publishes the records of one key; answers how many are published and marked.
    async fn publish_in_order(
        &self,
        publisher: &dyn Publisher,
        rows: Vec<OutboxRow>,
        until: Instant,
    ) -> Result<usize, OutboxError> {
        let mut done = 0;
        for OutboxRow { seq, row } in rows {
            if Instant::now() >= until {
                // The lease may be another's by now.
                break;
            }
            let NewOutboxRow { topic, key, headers, value, .. } = row;
            point!("outbox.before-publish");
            if let Err(error) = publisher.publish(OutgoingRecord { topic, key, headers, value }).await {
                tracing::warn!(%error, seq, "an outbox record was not published and holds up its key");
                break;
            }
            point!("outbox.published");
            if passing(self.env.store.outbox_sent(&[seq]).await)?.is_none() {
                break;
            }
            point!("outbox.marked");
            done += 1;
        }
        Ok(done)
    }
}

/// The outbox row of an event: its record as it will be published.
#[must_use]
pub fn outbox_row(topic: impl Into<String>, event: &EventEnvelope) -> NewOutboxRow {
    let OutgoingRecord { topic, key, headers, value } = event_record(topic, event);
    NewOutboxRow { topic, key, headers, value, event: Some(event.id()) }
}

/// The record of an event: structured JSON, under its partition key.
#[must_use]
pub fn event_record(topic: impl Into<String>, event: &EventEnvelope) -> OutgoingRecord {
    OutgoingRecord {
        topic: topic.into(),
        key: event.partition_key().map(|key| Bytes::copy_from_slice(key.as_bytes())),
        headers: vec![("content-type".to_owned(), Bytes::from_static(CONTENT_TYPE.as_bytes()))],
        value: Bytes::from(event.to_bytes()),
    }
}

/// `None` for a failure that will pass.
fn passing<T>(result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_retryable() => {
            tracing::debug!(%error, "the event store did not answer");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Rows of one topic and key together, in order; rows without a key each alone.
fn by_key(rows: Vec<OutboxRow>) -> Vec<Vec<OutboxRow>> {
    let mut keyed: BTreeMap<(String, Bytes), Vec<OutboxRow>> = BTreeMap::new();
    let mut all = Vec::new();
    for row in rows {
        match &row.row.key {
            Some(key) => keyed.entry((row.row.topic.clone(), key.clone())).or_default().push(row),
            None => all.push(vec![row]),
        }
    }
    all.extend(keyed.into_values());
    all
}
