//! What is done with one event: claim, handle, apply, and if nothing helps, dead letter.
//!
//! Order matters here more than anywhere. The claim is durable before the handler runs; the outcome, the end of
//! the inbox row and the outbox are one transaction; only after it is the event finished. Every step may be the
//! last one before the process dies, and whoever takes the event up again must come to the same end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::dead_letter::dead_letter;
use super::dedup::{Claim, Dedup, Entry};
use super::handler::{Handler, HandlerContext, HandlerError, Outcome, Reason};
use super::lanes::LaneKey;
use super::options::ProcessorOptions;
use super::patience::{Halt, Patience};
use crate::bus::{OutgoingRecord, PublisherOptions, Record, TopicPartition};
use crate::env::Env;
use crate::envelope::{EnvelopeError, EventEnvelope};
use crate::event_id::{Digest, IdPolicy};
use crate::outbox::{event_record, outbox_row};
use crate::store::{
    Committed, Finish, Finished, InboxKey, NewOutboxRow, ParkedKey, StoredEvent, Transaction,
};
use crate::{mutant, point};

/// Works on events; shared by all lanes of a processor.
pub(super) struct Worker {
    pub(super) env: Env,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) options: ProcessorOptions,
    pub(super) dedup: Dedup,
    /// Between tries of the store.
    pub(super) patience: Patience,
    /// Between attempts of the handler.
    pub(super) retries: Patience,
}

/// One delivered record.
pub(super) struct Item {
    record: Record,
    event: Result<EventEnvelope, EnvelopeError>,
    /// Cancelled when nothing new is to be begun for it.
    over: CancellationToken,
}

/// How one attempt ended.
enum Attempt {
    /// The event is finished.
    Finished,
    /// The handler ran; another attempt may help.
    Failed(Reason),
    /// The handler ran; no attempt will help.
    Rejected(Reason),
    /// The handler must not run.
    Unfit(Reason),
}

impl Item {
    pub(super) fn new(record: Record, verify: Option<&IdPolicy>, over: CancellationToken) -> Self {
        let decoded = EventEnvelope::from_bytes(&record.value);
        let event = match (decoded, verify) {
            (Ok(event), Some(policy)) => event.verify_with(policy).map(|()| event),
            (decoded, _) => decoded,
        };
        Self { record, event, over }
    }

    /// An event that comes from the store instead of the log. Its place is its stream and version there.
    pub(super) fn stored(stored: &StoredEvent, over: CancellationToken) -> Self {
        let event = stored.event.clone();
        let OutgoingRecord { key, headers, value, .. } = event_record("", &event);
        let partition = TopicPartition { topic: stored.stream.as_str().into(), partition: -1 };
        let offset = i64::try_from(stored.version).unwrap_or(i64::MAX);
        let record = Record { partition, offset, timestamp_ms: stored.recorded_ms, key, headers, value };
        Self { record, event: Ok(event), over }
    }

    /// Which events it must not overtake.
    pub(super) fn lane(&self) -> LaneKey {
        let named = self.event.as_ref().ok().and_then(EventEnvelope::partition_key);
        let named = named.map(|key| Bytes::copy_from_slice(key.as_bytes()));
        let alone = || LaneKey::Alone(self.record.partition.clone(), self.record.offset);
        named.or_else(|| self.record.key.clone()).map_or_else(alone, LaneKey::Key)
    }

    fn digest(&self) -> Option<Digest> {
        self.event.as_ref().ok().map(EventEnvelope::digest)
    }

    fn position_key(&self, handler: &str) -> InboxKey {
        let partition = &self.record.partition;
        InboxKey::record(handler, &*partition.topic, partition.partition, self.record.offset)
    }
}

impl Worker {
    /// Finishes the event, unless it is abandoned or the store is broken.
    pub(super) async fn work(&self, item: Item) -> Result<(), Halt> {
        point!("processor.received");
        let key = self.inbox_key(&item);
        let lease = match self.dedup.enter(&key, item.digest(), &item.over).await? {
            Entry::Open(lease) => lease,
            Entry::Finished => {
                point::saw("duplicate-suppressed");
                return Ok(());
            }
        };
        let Some(lease) = lease else { return self.attempts(&item, key).await };
        let ended = lease.keep(self.attempts(&item, key)).await;
        lease.release().await;
        ended
    }

    /// Under which key the event is known as handled.
    fn inbox_key(&self, item: &Item) -> InboxKey {
        let handler = self.handler.name();
        match &item.event {
            // Mutant 5: a copy of the event at another offset is taken for a new event.
            Ok(_) if mutant::enabled("dedup-by-offset") => item.position_key(handler),
            Ok(event) => InboxKey::event(handler, event.id()),
            Err(_) => item.position_key(handler),
        }
    }

    async fn attempts(&self, item: &Item, mut key: InboxKey) -> Result<(), Halt> {
        // How often the handler ran; how often in a row nothing came of it.
        let (mut runs, mut failures) = (0, 0);
        loop {
            let (hopeless, reason) = match self.attempt(item, &mut key, failures > 0).await? {
                Attempt::Finished => return Ok(()),
                Attempt::Failed(reason) => {
                    runs += 1;
                    (runs >= self.options.retry.max_attempts, reason)
                }
                Attempt::Rejected(reason) => {
                    runs += 1;
                    (true, reason)
                }
                Attempt::Unfit(reason) => (true, reason),
            };
            // Mutant 23: what always fails is tried for ever.
            if hopeless && !mutant::enabled("poison-retried-forever") {
                return self.bury(item, &key, runs, &reason).await;
            }
            point::saw("retry");
            tracing::debug!(%reason, runs, handler = self.handler.name(), "an attempt failed");
            failures += 1;
            self.retries.pause(failures, &item.over).await?;
        }
    }

    /// Claims the event and handles it once.
    async fn attempt(&self, item: &Item, key: &mut InboxKey, again: bool) -> Result<Attempt, Halt> {
        point!("processor.before-claim");
        let claim = if mutant::enabled("dedup-after-effect") {
            // Mutant 2: only looks; the claim is written once the effect has happened.
            self.dedup.look(key, item.digest(), &item.over).await?
        } else {
            self.dedup.claim(key, item.digest(), &item.over).await?
        };
        let (effect_key, attempt) = match claim {
            Claim::Run { effect_key, attempt } => (effect_key, attempt),
            Claim::Finished => {
                point::saw("duplicate-suppressed");
                return Ok(Attempt::Finished);
            }
            Claim::Collision => {
                // The row under this id is another event's: this one is known by its position.
                *key = item.position_key(self.handler.name());
                self.dedup.claim(key, item.digest(), &item.over).await?;
                let detail = "another event with this id and another digest was handled before";
                return Ok(Attempt::Unfit(Reason::new("id-collision", detail)));
            }
        };
        point!("processor.claimed");
        if attempt > 1 && !again {
            point::saw("claim-resumed");
        }
        let event = match self.admit(item, attempt).await? {
            Ok(event) => event,
            Err(reason) => return Ok(Attempt::Unfit(reason)),
        };
        if mutant::enabled("dedup-not-cleared") {
            // Mutant 3: done before it is done; if the handler fails now, nobody will try again.
            self.commit(item, key, self.transaction(key, Finished::Done)).await?;
            self.dedup.mark(key, item.digest(), Finished::Done, &item.over).await?;
        }
        point!("processor.before-effect");
        match self.handle(event, &HandlerContext::new(effect_key, attempt)).await {
            Ok(outcome) => self.apply(item, key, outcome).await,
            Err(HandlerError::Retry(reason)) => Ok(Attempt::Failed(reason)),
            Err(HandlerError::Reject(reason)) => Ok(Attempt::Rejected(reason)),
        }
    }

    /// Whether the event may be handled at all; if not, why it is to be buried.
    async fn admit<'a>(
        &self,
        item: &'a Item,
        attempt: u32,
    ) -> Result<Result<&'a EventEnvelope, Reason>, Halt> {
        let event = match &item.event {
            Ok(event) => event,
            Err(error) => return Ok(Err(Reason::new("undecodable", error.to_string()))),
        };
        let limit = self.options.retry.max_deliveries;
        if attempt > limit {
            let detail = format!("taken up {attempt} times without an end, {limit} are allowed");
            return Ok(Err(Reason::new("too-many-deliveries", detail)));
        }
        if let LaneKey::Key(key) = item.lane() {
            let handler = self.handler.name();
            if self.patience.store(&item.over, || self.env.store.parked(handler, &key)).await? {
                point::saw("parked");
                let detail = "an earlier event of this key is a dead letter, and order is kept";
                return Ok(Err(Reason::new("key-parked", detail)));
            }
        }
        Ok(Ok(event))
    }

    /// Runs the handler, which may hang or panic.
    async fn handle(&self, event: &EventEnvelope, context: &HandlerContext) -> Result<Outcome, HandlerError> {
        let limit = self.options.handler_timeout;
        let run = AssertUnwindSafe(self.handler.handle(event, context)).catch_unwind();
        match tokio::time::timeout(limit, run).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(HandlerError::retry("handler-panicked", "the handler panicked")),
            Err(_) => Err(HandlerError::retry("handler-timeout", format!("no end within {limit:?}"))),
        }
    }

    /// Applies a handler's outcome, whole or not at all.
    async fn apply(&self, item: &Item, key: &InboxKey, outcome: Outcome) -> Result<Attempt, Halt> {
        let mut transaction = self.transaction(key, Finished::Done);
        transaction.appends = outcome.append;
        let rows = outcome.publish.into_iter().map(|(topic, event)| outbox_row(topic, &event));
        transaction.outbox = rows.collect();
        if mutant::enabled("publish-before-append") {
            // Mutant 9: the world learns of the result before it is recorded.
            self.publish_directly(transaction.outbox.clone()).await;
        }
        if mutant::enabled("dedup-not-cleared") {
            // Mutant 3 has finished the row already.
            transaction.finish = None;
        }
        point!("processor.after-effect");
        match self.commit(item, key, transaction).await {
            Ok(Committed::Applied { .. }) => {}
            Ok(Committed::AlreadyFinished(_)) => point::saw("duplicate-suppressed"),
            // The handler decided on a state that has moved, or appends what cannot be appended. It may decide
            // again; if that never helps, the event is buried.
            Err(Halt::Store(error)) => {
                return Ok(Attempt::Failed(Reason::new("outcome-refused", error.to_string())));
            }
            Err(halt) => return Err(halt),
        }
        point!("processor.committed");
        self.dedup.mark(key, item.digest(), Finished::Done, &item.over).await?;
        Ok(Attempt::Finished)
    }

    /// Sends the event to the dead letters, and has everything that comes later under its key follow.
    async fn bury(&self, item: &Item, key: &InboxKey, runs: u32, reason: &Reason) -> Result<(), Halt> {
        let partition = &item.record.partition;
        let topic = self.options.dead_letter_topic.clone();
        let topic = topic.unwrap_or_else(|| format!("{}.dlq", partition.topic));
        let handler = self.handler.name();
        let letter = dead_letter(topic, &item.record, handler, runs, reason);
        let mut transaction = self.transaction(key, Finished::Dead);
        transaction.outbox = vec![NewOutboxRow {
            topic: letter.topic,
            key: letter.key,
            headers: letter.headers,
            value: letter.value,
            event: item.event.as_ref().ok().map(EventEnvelope::id),
        }];
        if let LaneKey::Key(key) = item.lane() {
            transaction.park = Some(ParkedKey { handler: handler.to_owned(), key });
        }
        if let Committed::Applied { .. } = self.commit(item, key, transaction).await? {
            point::saw("dead-lettered");
            tracing::warn!(%reason, handler, topic = %partition.topic, offset = item.record.offset, "dead letter");
        }
        self.dedup.mark(key, item.digest(), Finished::Dead, &item.over).await
    }

    /// Commits, however long the store takes to answer. Repeating is safe if the transaction finishes the inbox
    /// row; without an inbox, a lost answer writes the outbox twice, under the same ids.
    async fn commit(&self, item: &Item, key: &InboxKey, transaction: Transaction) -> Result<Committed, Halt> {
        if mutant::enabled("dedup-after-effect") {
            // Mutant 2: only now, after the effect.
            self.dedup.claim(key, item.digest(), &item.over).await?;
        }
        let wakes = !transaction.outbox.is_empty();
        let commit = || self.env.store.commit(transaction.clone());
        let committed = self.patience.store(&item.over, commit).await?;
        if wakes {
            self.env.outbox.notify_one();
        }
        Ok(committed)
    }

    fn transaction(&self, key: &InboxKey, state: Finished) -> Transaction {
        let finish = self.dedup.finishes_in_store().then(|| Finish { key: key.clone(), state });
        Transaction { finish, ..Transaction::default() }
    }

    async fn publish_directly(&self, rows: Vec<NewOutboxRow>) {
        let Ok(publisher) = self.env.bus.publisher(PublisherOptions::default()).await else { return };
        for NewOutboxRow { topic, key, headers, value, .. } in rows {
            let _ = publisher.publish(OutgoingRecord { topic, key, headers, value }).await;
        }
    }
}
