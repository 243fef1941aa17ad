//! The reference system `prices`: records changed prices in the event store and has labels printed for them.
//!
//! ```text
//! topic requests ──► clerk ──► stream price-<change>, outbox ──► topic prices
//! topic prices ──► labeller ──► POST /labels (printer)
//!                     ├───────► outbox ──► topic printed
//!                     └─◄────── event store, when the topic has a gap
//! ```
//!
//! The topic `prices` only spreads what the store holds. Its retention may be short and its brokers may lose its
//! end: a labeller that learns of a gap catches up from the store, and no change of a price goes without its
//! label.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use squall_core::env::Env;
use squall_core::envelope::{EnvelopeBuilder, EventEnvelope};
use squall_core::event_id::Occurrence;
use squall_core::outbox::OutboxRelay;
use squall_core::processor::{
    CatchUp, Handler, HandlerContext, HandlerError, Outcome, Processor, ProcessorOptions,
};
use squall_core::store::{Append, ExpectedVersion, StreamName};

use crate::fault::unit::duration;

/// The kind of the service that records prices.
pub const CLERK: &str = "prices.clerk";
/// The kind of the service that prints labels.
pub const LABELLER: &str = "prices.labeller";

const CHANGED: &str = "price.changed";

/// The configuration of both services, the `config` of a scenario.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Config {
    /// Where requests come from.
    requests: String,
    /// Where changed prices are told.
    prices: String,
    /// Where results go.
    printed: String,
    /// Where events go that cannot be handled.
    dead_letters: String,
    /// The printer, `host:port`.
    printer: String,
    /// How long printing one label may take.
    #[serde(with = "duration")]
    print_timeout: Duration,
    /// Silence after which the group gives a worker's partitions to another.
    #[serde(with = "duration")]
    session_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            requests: "requests".to_owned(),
            prices: "prices".to_owned(),
            printed: "printed".to_owned(),
            dead_letters: "dead-letters".to_owned(),
            printer: "printer:80".to_owned(),
            print_timeout: Duration::from_secs(2),
            session_timeout: Duration::from_secs(6),
        }
    }
}

impl Config {
    fn options(&self, group: &str, topic: &str) -> ProcessorOptions {
        let mut options = ProcessorOptions::new(group, [topic]);
        options.session_timeout = self.session_timeout;
        options.retry.max_attempts = 50;
        options.retry.cap = Duration::from_secs(1);
        options.dead_letter_topic = Some(self.dead_letters.clone());
        options
    }
}

/// Runs a clerk until it is asked to stop.
///
/// # Errors
/// If the configuration does not fit, or the processor cannot go on.
pub async fn clerk(env: Env) -> anyhow::Result<()> {
    let config: Config = env.config()?;
    let options = config.options("pricing", &config.requests);
    let relay = OutboxRelay::new(env.clone()).run();
    let record = Record { env: env.clone(), prices: config.prices };
    let processor = Processor::new(env, Arc::new(record), options)?.run();
    tokio::try_join!(async { anyhow::Ok(processor.await?) }, async { anyhow::Ok(relay.await?) })?;
    Ok(())
}

/// Runs a labeller until it is asked to stop.
///
/// # Errors
/// If the configuration does not fit, or the processor cannot go on.
pub async fn labeller(env: Env) -> anyhow::Result<()> {
    let config: Config = env.config()?;
    let mut options = config.options("labelling", &config.prices);
    options.catch_up = Some(CatchUp { types: vec![CHANGED.to_owned()] });
    let relay = OutboxRelay::new(env.clone()).run();
    let print = Print { env: env.clone(), config };
    let processor = Processor::new(env, Arc::new(print), options)?.run();
    tokio::try_join!(async { anyhow::Ok(processor.await?) }, async { anyhow::Ok(relay.await?) })?;
    Ok(())
}

/// What we read of both events.
#[derive(Deserialize)]
struct Change {
    change_id: String,
    cents: i64,
}

impl Change {
    fn read(event: &EventEnvelope) -> Result<Self, HandlerError> {
        Self::deserialize(event.data())
            .map_err(|error| HandlerError::reject("unreadable-change", error.to_string()))
    }

    /// An event about this change, caused by `cause`.
    fn event(&self, kind: &str, cause: &EventEnvelope, env: &Env) -> EnvelopeBuilder {
        EventEnvelope::builder(kind, 1, "squall://prices")
            .subject(&self.change_id)
            .occurrence(Occurrence::Business(self.change_id.clone()))
            .partition_key(cause.partition_key().unwrap_or(&self.change_id))
            .caused_by(cause)
            .time_ms(env.clock.unix_ms())
            .data(json!({ "change_id": self.change_id, "cents": self.cents }))
    }
}

fn invalid(error: impl std::fmt::Display) -> HandlerError {
    HandlerError::reject("invalid-result", error.to_string())
}

/// Records a price.
struct Record {
    env: Env,
    prices: String,
}

#[async_trait]
impl Handler for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    async fn handle(&self, event: &EventEnvelope, _: &HandlerContext) -> Result<Outcome, HandlerError> {
        let change = Change::read(event)?;
        let changed = change.event(CHANGED, event, &self.env).build().map_err(invalid)?;
        let stream = StreamName::new(format!("price-{}", change.change_id)).map_err(invalid)?;
        let append = Append { stream, expected: ExpectedVersion::Any, events: vec![changed.clone()] };
        Ok(Outcome::none().append(append).publish(&self.prices, changed))
    }
}

/// Has a label printed.
struct Print {
    env: Env,
    config: Config,
}

#[async_trait]
impl Handler for Print {
    fn name(&self) -> &'static str {
        "print"
    }

    async fn handle(&self, event: &EventEnvelope, cx: &HandlerContext) -> Result<Outcome, HandlerError> {
        let change = Change::read(event)?;
        let body = json!({ "change_id": change.change_id, "cents": change.cents });
        let headers = [("idempotency-key", cx.effect_key.as_str())];
        let http = self.env.http().map_err(|error| HandlerError::reject("no-http", error.to_string()))?;
        let printer = &self.config.printer;
        let print = http.post_json(printer, "/labels", &headers, &body, self.config.print_timeout);
        let (status, answer) =
            print.await.map_err(|error| HandlerError::retry("printer-unavailable", error.to_string()))?;
        let said = || format!("{status}: {}", String::from_utf8_lossy(&answer));
        match status {
            StatusCode::OK => {
                let printed = change.event("label.printed", event, &self.env).build().map_err(invalid)?;
                Ok(Outcome::none().publish(&self.config.printed, printed))
            }
            status if status.is_client_error() => Err(HandlerError::reject("label-refused", said())),
            _ => Err(HandlerError::retry("label-failed", said())),
        }
    }
}
