//! The reference system `orders`: charges each placed order once, and tells what came of it.
//!
//! ```text
//! topic orders ──► worker ──► POST /charges (payment) ──► outbox ──► topic payments
//!                    └── what cannot be charged ────────► outbox ──► topic dead-letters
//! ```
//!
//! A worker is a [`Processor`] with one handler, and an [`OutboxRelay`]. Everything that makes it survive
//! crashes and duplicates is the platform's; the business is the forty lines of `Charge::handle`. Nothing here
//! knows that it may be running in a simulation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use squall_core::env::Env;
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::outbox::OutboxRelay;
use squall_core::processor::{
    Authority, Handler, HandlerContext, HandlerError, OnRedisDown, Outcome, Processor, ProcessorOptions,
};

use crate::fault::unit::duration;

/// The kind a scenario names.
pub const KIND: &str = "orders.worker";

/// A worker's configuration, the `config` of a scenario.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Config {
    /// Where orders come from.
    orders: String,
    /// Where results go.
    payments: String,
    /// Where orders go that cannot be charged.
    dead_letters: String,
    /// The consumer group.
    group: String,
    /// The payment service, `host:port`.
    payment: String,
    /// How long one charge may take.
    #[serde(with = "duration")]
    payment_timeout: Duration,
    /// Whose word counts on what was charged before: `inbox` or `redis`.
    dedup: Dedup,
    /// Whether to go on with the inbox alone while Redis is away.
    without_redis: bool,
    /// How long Redis remembers a charged order.
    #[serde(with = "duration")]
    dedup_ttl: Duration,
    /// How long a worker's lease on an order lasts.
    #[serde(with = "duration")]
    lease: Duration,
    /// Silence after which the group gives a worker's partitions to another.
    #[serde(with = "duration")]
    session_timeout: Duration,
    /// Attempts before an order becomes a dead letter.
    max_attempts: u32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Dedup {
    Inbox,
    Redis,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            orders: "orders".to_owned(),
            payments: "payments".to_owned(),
            dead_letters: "dead-letters".to_owned(),
            group: "billing".to_owned(),
            payment: "payment:80".to_owned(),
            payment_timeout: Duration::from_secs(2),
            dedup: Dedup::Inbox,
            without_redis: false,
            dedup_ttl: Duration::from_secs(24 * 3600),
            lease: Duration::from_secs(3),
            session_timeout: Duration::from_secs(6),
            max_attempts: 8,
        }
    }
}

/// Runs a worker until it is asked to stop.
///
/// # Errors
/// If the configuration does not fit, or the processor cannot go on.
pub async fn run(env: Env) -> anyhow::Result<()> {
    let config: Config = env.config()?;
    let mut options = ProcessorOptions::new(&config.group, [&config.orders]);
    options.session_timeout = config.session_timeout;
    options.handler_timeout = 2 * config.payment_timeout;
    options.retry.max_attempts = config.max_attempts;
    options.retry.cap = Duration::from_secs(2);
    options.dedup.lease = config.lease;
    options.dedup.done_ttl = config.dedup_ttl;
    options.dedup.authority = match config.dedup {
        Dedup::Inbox => Authority::Inbox,
        Dedup::Redis => Authority::Redis,
    };
    if config.without_redis {
        options.dedup.on_redis_down = OnRedisDown::InboxOnly;
    }
    options.dead_letter_topic = Some(config.dead_letters.clone());
    let relay = OutboxRelay::new(env.clone()).run();
    let processor = Processor::new(env.clone(), Arc::new(Charge { env, config }), options)?.run();
    tokio::try_join!(async { anyhow::Ok(processor.await?) }, async { anyhow::Ok(relay.await?) })?;
    Ok(())
}

/// Charges the card of an order.
struct Charge {
    env: Env,
    config: Config,
}

/// What we read of `order.placed`.
#[derive(Deserialize)]
struct OrderPlaced {
    order_id: String,
    amount: i64,
}

#[async_trait]
impl Handler for Charge {
    fn name(&self) -> &'static str {
        "charge"
    }

    async fn handle(&self, event: &EventEnvelope, cx: &HandlerContext) -> Result<Outcome, HandlerError> {
        let order = OrderPlaced::deserialize(event.data())
            .map_err(|error| HandlerError::reject("unreadable-order", error.to_string()))?;
        let body = json!({ "order_id": order.order_id, "amount": order.amount });
        // However often this order is tried, by whichever worker: the provider sees one key and charges once.
        let headers = [("idempotency-key", cx.effect_key.as_str())];
        let http = self.env.http().map_err(|error| HandlerError::reject("no-http", error.to_string()))?;
        let answer = http
            .post_json(&self.config.payment, "/charges", &headers, &body, self.config.payment_timeout)
            .await;
        let (status, answer) =
            answer.map_err(|error| HandlerError::retry("payment-unavailable", error.to_string()))?;
        match status {
            StatusCode::OK => {
                Ok(Outcome::none().publish(&self.config.payments, self.captured(event, &order)?))
            }
            status if status.is_client_error() => {
                let said = String::from_utf8_lossy(&answer).into_owned();
                Err(HandlerError::reject("payment-refused", format!("{status}: {said}")))
            }
            status => Err(HandlerError::retry("payment-failed", status.to_string())),
        }
    }
}

impl Charge {
    fn captured(&self, cause: &EventEnvelope, order: &OrderPlaced) -> Result<EventEnvelope, HandlerError> {
        EventEnvelope::builder("payment.captured", 1, "squall://orders")
            .subject(&order.order_id)
            .occurrence(Occurrence::Business(order.order_id.clone()))
            .partition_key(cause.partition_key().unwrap_or(&order.order_id))
            .caused_by(cause)
            .time_ms(self.env.clock.unix_ms())
            .data(json!({ "order_id": order.order_id, "amount": order.amount }))
            .build()
            .map_err(|error| HandlerError::reject("invalid-result", error.to_string()))
    }
}
