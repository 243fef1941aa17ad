//! The reference system `parcels`: orders a label for each parcel, through a Redis stream.
//!
//! ```text
//! topic parcels ──► feeder ──► stream parcels (Redis) ──► clerk ──► POST /labels (carrier)
//!                                                           └────► outbox ──► topic labels
//! ```
//!
//! Every worker is both: a feeder that puts what comes on the topic into the stream, and a clerk of the group that
//! works on the stream. A parcel may be in the stream twice and an entry may come twice; the platform sees to it that
//! the carrier is asked under one key.

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
use squall_core::processor::{Handler, HandlerContext, HandlerError, Outcome, Processor, ProcessorOptions};
use squall_core::redis::Redis;
use squall_core::stream::{self, StreamGroupOptions, StreamWorker, StreamWorkerOptions};

use crate::fault::unit::duration;

/// The kind a scenario names.
pub const KIND: &str = "parcels.worker";

/// A worker's configuration, the `config` of a scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Config {
    /// Where parcels come from.
    parcels: String,
    /// Where results go.
    labels: String,
    /// Where parcels go that get no label.
    dead_letters: String,
    /// The consumer group, on the topic and on the stream.
    group: String,
    /// The stream's key.
    stream: String,
    /// The carrier, `host:port`.
    carrier: String,
    /// How long ordering one label may take.
    #[serde(with = "duration")]
    carrier_timeout: Duration,
    /// An entry that was taken and not acknowledged for this long goes to another clerk.
    #[serde(with = "duration")]
    reclaim_after: Duration,
    /// Silence after which the group gives a worker's partitions to another.
    #[serde(with = "duration")]
    session_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            parcels: "parcels".to_owned(),
            labels: "labels".to_owned(),
            dead_letters: "dead-letters".to_owned(),
            group: "dispatch".to_owned(),
            stream: "parcels".to_owned(),
            carrier: "carrier:80".to_owned(),
            carrier_timeout: Duration::from_secs(1),
            reclaim_after: Duration::from_secs(3),
            session_timeout: Duration::from_secs(6),
        }
    }
}

/// Runs a worker until it is asked to stop.
///
/// # Errors
/// If the configuration does not fit, or the worker cannot go on.
pub async fn run(env: Env) -> anyhow::Result<()> {
    let config: Config = env.config()?;
    let mut options = ProcessorOptions::new(&config.group, [&config.parcels]);
    options.session_timeout = config.session_timeout;
    options.retry.max_attempts = 50;
    options.retry.cap = Duration::from_secs(1);
    options.dead_letter_topic = Some(config.dead_letters.clone());
    let feed = Feed { redis: env.redis()?.clone(), stream: config.stream.clone() };
    let feeder = Processor::new(env.clone(), Arc::new(feed), options)?.run();
    let options = StreamWorkerOptions {
        group: StreamGroupOptions {
            stream: config.stream.clone(),
            group: config.group.clone(),
            consumer: env.name.clone(),
            reclaim_after: config.reclaim_after,
            batch: 2,
        },
        poll: Duration::from_millis(500),
        handler_timeout: config.carrier_timeout,
        dead_letter_topic: config.dead_letters.clone(),
    };
    let clerk = StreamWorker::new(env.clone(), Arc::new(Label { env: env.clone(), config }), options)?.run();
    let relay = OutboxRelay::new(env).run();
    tokio::try_join!(async { anyhow::Ok(feeder.await?) }, async { anyhow::Ok(clerk.await?) }, async {
        anyhow::Ok(relay.await?)
    },)?;
    Ok(())
}

/// Puts a parcel into the stream.
struct Feed {
    redis: Redis,
    stream: String,
}

#[async_trait]
impl Handler for Feed {
    fn name(&self) -> &'static str {
        "feed"
    }

    async fn handle(&self, event: &EventEnvelope, _: &HandlerContext) -> Result<Outcome, HandlerError> {
        let added = stream::add(&self.redis, &self.stream, &event.to_bytes()).await;
        added.map_err(|error| HandlerError::retry("no-stream", error.to_string()))?;
        Ok(Outcome::none())
    }
}

/// Orders a label.
struct Label {
    env: Env,
    config: Config,
}

/// What we read of `parcel.packed`.
#[derive(Deserialize)]
struct Parcel {
    parcel_id: String,
    grams: u64,
}

#[async_trait]
impl Handler for Label {
    fn name(&self) -> &'static str {
        "label"
    }

    async fn handle(&self, event: &EventEnvelope, cx: &HandlerContext) -> Result<Outcome, HandlerError> {
        let parcel = Parcel::deserialize(event.data())
            .map_err(|error| HandlerError::reject("unreadable-parcel", error.to_string()))?;
        let body = json!({ "parcel_id": parcel.parcel_id, "grams": parcel.grams });
        let headers = [("idempotency-key", cx.effect_key.as_str())];
        let http = self.env.http().map_err(|error| HandlerError::reject("no-http", error.to_string()))?;
        let post =
            http.post_json(&self.config.carrier, "/labels", &headers, &body, self.config.carrier_timeout);
        let (status, answer) =
            post.await.map_err(|error| HandlerError::retry("carrier-unavailable", error.to_string()))?;
        let said = || format!("{status}: {}", String::from_utf8_lossy(&answer));
        match status {
            StatusCode::OK => {
                Ok(Outcome::none().publish(&self.config.labels, self.labelled(event, &parcel)?))
            }
            status if status.is_client_error() => Err(HandlerError::reject("label-refused", said())),
            _ => Err(HandlerError::retry("label-failed", said())),
        }
    }
}

impl Label {
    fn labelled(&self, cause: &EventEnvelope, parcel: &Parcel) -> Result<EventEnvelope, HandlerError> {
        EventEnvelope::builder("parcel.labelled", 1, "squall://parcels")
            .subject(&parcel.parcel_id)
            .occurrence(Occurrence::Business(parcel.parcel_id.clone()))
            .partition_key(cause.partition_key().unwrap_or(&parcel.parcel_id))
            .caused_by(cause)
            .time_ms(self.env.clock.unix_ms())
            .data(json!({ "parcel_id": parcel.parcel_id }))
            .build()
            .map_err(|error| HandlerError::reject("invalid-result", error.to_string()))
    }
}
