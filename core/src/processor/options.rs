//! How a processor behaves. The defaults are what a service should start with.

use std::time::Duration;

use crate::event_id::IdPolicy;
use crate::start::StartOptions;

/// How a processor behaves.
#[derive(Clone, Debug)]
pub struct ProcessorOptions {
    /// The consumer group.
    pub group: String,
    /// The topics subscribed to.
    pub topics: Vec<String>,
    /// The group hands this member's partitions on after this much silence.
    pub session_timeout: Duration,
    /// Events handled at the same time, each of another key.
    pub max_concurrency: usize,
    /// Events taken from the consumer and not finished, at most, give or take one delivery. Above it the
    /// consumer is left alone, which the group notices only if it lasts.
    pub max_in_flight: usize,
    /// Events taken from the consumer whose offsets cannot be committed yet, finished or not: how much one slow
    /// event lets the rest of its partition run ahead, and how much a crash may repeat.
    pub max_uncommitted: usize,
    /// Finished offsets are committed this often.
    pub commit_interval: Duration,
    /// How long work under way may take to finish when partitions are revoked or the service stops. Must be
    /// shorter than the group's patience with a rebalance.
    pub drain_timeout: Duration,
    /// How long one attempt of the handler may take.
    pub handler_timeout: Duration,
    /// When a handler asks for another attempt.
    pub retry: RetryOptions,
    /// How duplicates are recognised.
    pub dedup: DedupOptions,
    /// Recomputes every event's id under this declaration of sensitive fields, and treats an altered event as
    /// undecodable. Off by default: it needs the contract's declaration.
    pub verify: Option<IdPolicy>,
    /// Where dead letters go; without it, to the topic the event came from with `.dlq` appended.
    pub dead_letter_topic: Option<String>,
    /// What must be ready before the processor consumes, and how long it waits for that.
    pub start: StartOptions,
    /// What to do when the log has a gap: without it, the processor reads on and says so in its log.
    pub catch_up: Option<CatchUp>,
}

impl ProcessorOptions {
    /// Defaults for `group` and `topics`: 64 keys at a time, commits twice a second, 5 s to wind down, 30 s for
    /// an attempt.
    #[must_use]
    pub fn new(group: impl Into<String>, topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            session_timeout: Duration::from_secs(10),
            max_concurrency: 64,
            max_in_flight: 1024,
            max_uncommitted: 16 * 1024,
            commit_interval: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(5),
            handler_timeout: Duration::from_secs(30),
            retry: RetryOptions::default(),
            dedup: DedupOptions::default(),
            verify: None,
            dead_letter_topic: None,
            start: StartOptions::default(),
            catch_up: None,
        }
    }
}

/// The event store has what the log may have lost: for processors whose topics carry stored events, published
/// through an outbox of the same store.
#[derive(Clone, Debug)]
pub struct CatchUp {
    /// The types of the stored events that the topics carry.
    pub types: Vec<String>,
}

/// When a handler asks for another attempt.
#[derive(Clone, Debug)]
pub struct RetryOptions {
    /// Attempts for one delivery of an event; then it is a dead letter.
    pub max_attempts: u32,
    /// Attempts over all deliveries, counted before each: bounds events that kill the process. Generous,
    /// because an innocent event is counted too when its neighbour kills the process.
    pub max_deliveries: u32,
    /// The bound of the first pause between attempts; it doubles up to `cap`.
    pub base: Duration,
    /// The longest pause between attempts.
    pub cap: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            max_deliveries: 25,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(10),
        }
    }
}

/// How duplicates are recognised.
#[derive(Clone, Debug)]
pub struct DedupOptions {
    /// Whose word counts.
    pub authority: Authority,
    /// How long a worker's lease on an event lasts without renewal. Only a courtesy: two holders cost a
    /// repeated request under one effect key, not a second effect.
    pub lease: Duration,
    /// How long Redis remembers. With [`Authority::Redis`] it must exceed the longest possible redelivery:
    /// retention, replay of dead letters, the backlog of an outage.
    pub done_ttl: Duration,
    /// What to do while Redis cannot be asked.
    pub on_redis_down: OnRedisDown,
}

impl Default for DedupOptions {
    fn default() -> Self {
        Self {
            authority: Authority::Inbox,
            lease: Duration::from_secs(10),
            done_ttl: Duration::from_secs(24 * 3600),
            on_redis_down: OnRedisDown::Wait,
        }
    }
}

/// Whose word counts when it is asked whether an event was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The inbox in the event store: in one transaction with what the handler changes. Redis only saves work.
    Inbox,
    /// Redis: for handlers whose store has no inbox. It forgets on expiry, eviction and failover; then an event
    /// is handled again, under another effect key. Results are written before the event is marked done, so a
    /// crash between the two repeats them under the same ids.
    Redis,
}

/// What to do while Redis cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRedisDown {
    /// Fail closed: wait until it can.
    Wait,
    /// Rely on the inbox alone. Has no effect with [`Authority::Redis`].
    InboxOnly,
}
