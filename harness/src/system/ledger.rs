//! The reference system `ledger`: books transfers on accounts that several workers change, under a lock.
//!
//! ```text
//! topic transfers ──► worker ──► lock account:<account>
//!                        ├────► POST /entries (ledger), debited, then credited
//!                        └────► outbox ──► topic bookings
//! ```
//!
//! A transfer is two entries, and those of two transfers on one account must not mix. Transfers of one account may
//! be on any partition, so any worker may want its lock. Each entry carries the lock's fence: the ledger refuses
//! it if a later holder has been there, and the transfer is booked again under a new lock. Entries made before are
//! recognised by their idempotency key.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use squall_core::env::Env;
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::lock::{Lock, LockOptions, Locks};
use squall_core::outbox::OutboxRelay;
use squall_core::point;
use squall_core::processor::{Handler, HandlerContext, HandlerError, Outcome, Processor, ProcessorOptions};

use crate::fault::unit::duration;

/// The kind a scenario names.
pub const KIND: &str = "ledger.worker";
/// Where a transfer is half booked.
pub const BETWEEN_STEPS: &str = "ledger.between-steps";

/// A worker's configuration, the `config` of a scenario.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Config {
    /// Where transfers come from.
    transfers: String,
    /// Where results go.
    bookings: String,
    /// Where transfers go that cannot be booked.
    dead_letters: String,
    /// The consumer group.
    group: String,
    /// The ledger, `host:port`.
    ledger: String,
    /// How long one entry may take.
    #[serde(with = "duration")]
    entry_timeout: Duration,
    /// How long a worker may hold an account.
    #[serde(with = "duration")]
    lease: Duration,
    /// Silence after which the group gives a worker's partitions to another.
    #[serde(with = "duration")]
    session_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transfers: "transfers".to_owned(),
            bookings: "bookings".to_owned(),
            dead_letters: "dead-letters".to_owned(),
            group: "booking".to_owned(),
            ledger: "ledger:80".to_owned(),
            entry_timeout: Duration::from_secs(2),
            lease: Duration::from_secs(3),
            session_timeout: Duration::from_secs(6),
        }
    }
}

/// Runs a worker until it is asked to stop.
///
/// # Errors
/// If the configuration does not fit, or the processor cannot go on.
pub async fn run(env: Env) -> anyhow::Result<()> {
    let config: Config = env.config()?;
    let mut options = ProcessorOptions::new(&config.group, [&config.transfers]);
    options.session_timeout = config.session_timeout;
    // The queue for an account's lock is part of the time a transfer takes.
    options.handler_timeout = 10 * config.lease;
    // A transfer that is fenced off, or finds the ledger away, is right all the same.
    options.retry.max_attempts = 50;
    options.retry.cap = Duration::from_secs(1);
    options.dedup.lease = config.lease;
    options.dead_letter_topic = Some(config.dead_letters.clone());
    let locks = Locks::new(&env, &LockOptions { lease: config.lease, ..LockOptions::default() })?;
    let relay = OutboxRelay::new(env.clone()).run();
    let book = Book { env: env.clone(), config, locks };
    let processor = Processor::new(env, Arc::new(book), options)?.run();
    tokio::try_join!(async { anyhow::Ok(processor.await?) }, async { anyhow::Ok(relay.await?) })?;
    Ok(())
}

/// Books a transfer.
struct Book {
    env: Env,
    config: Config,
    locks: Locks,
}

/// What we read of `transfer.requested`.
#[derive(Deserialize)]
struct Transfer {
    transfer_id: String,
    account: String,
    amount: i64,
}

#[async_trait]
impl Handler for Book {
    fn name(&self) -> &'static str {
        "book"
    }

    async fn handle(&self, event: &EventEnvelope, cx: &HandlerContext) -> Result<Outcome, HandlerError> {
        let transfer = Transfer::deserialize(event.data())
            .map_err(|error| HandlerError::reject("unreadable-transfer", error.to_string()))?;
        let lock = self.locks.acquire(&format!("account:{}", transfer.account)).await;
        let lock = lock.map_err(|error| HandlerError::retry("no-lock", error.to_string()))?;
        let booked = self.book(&transfer, &lock, cx).await;
        lock.release().await;
        booked?;
        Ok(Outcome::none().publish(&self.config.bookings, self.booked(event, &transfer)?))
    }
}

impl Book {
    async fn book(&self, transfer: &Transfer, lock: &Lock, cx: &HandlerContext) -> Result<(), HandlerError> {
        self.enter("debited", transfer, lock, cx).await?;
        point!(BETWEEN_STEPS);
        self.enter("credited", transfer, lock, cx).await
    }

    /// Makes one entry, or learns that it was made before.
    async fn enter(
        &self,
        step: &str,
        transfer: &Transfer,
        lock: &Lock,
        cx: &HandlerContext,
    ) -> Result<(), HandlerError> {
        let body = json!({
            "transfer_id": transfer.transfer_id,
            "account": transfer.account,
            "amount": transfer.amount,
            "step": step,
            "holder": lock.token(),
            "fence": lock.fence(),
        });
        let key = format!("{}/{step}", cx.effect_key);
        let http = self.env.http().map_err(|error| HandlerError::reject("no-http", error.to_string()))?;
        let headers = [("idempotency-key", key.as_str())];
        let answer =
            http.post_json(&self.config.ledger, "/entries", &headers, &body, self.config.entry_timeout).await;
        let (status, answer) =
            answer.map_err(|error| HandlerError::retry("ledger-unavailable", error.to_string()))?;
        let said = || format!("{status}: {}", String::from_utf8_lossy(&answer));
        match status {
            StatusCode::OK => Ok(()),
            StatusCode::CONFLICT => Err(HandlerError::retry("fenced-off", said())),
            status if status.is_client_error() => Err(HandlerError::reject("entry-refused", said())),
            _ => Err(HandlerError::retry("entry-failed", said())),
        }
    }

    fn booked(&self, cause: &EventEnvelope, transfer: &Transfer) -> Result<EventEnvelope, HandlerError> {
        EventEnvelope::builder("transfer.booked", 1, "squall://ledger")
            .subject(&transfer.transfer_id)
            .occurrence(Occurrence::Business(transfer.transfer_id.clone()))
            .partition_key(cause.partition_key().unwrap_or(&transfer.transfer_id))
            .caused_by(cause)
            .time_ms(self.env.clock.unix_ms())
            .data(json!({ "transfer_id": transfer.transfer_id, "amount": transfer.amount }))
            .build()
            .map_err(|error| HandlerError::reject("invalid-result", error.to_string()))
    }
}
