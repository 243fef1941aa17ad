//! The reference system `mailer`: sends mails, to each customer no more than so many in a window.
//!
//! ```text
//! topic mails ──► worker ──► limit:<customer> in Redis
//!                    ├─────► POST /mails (post office)
//!                    └─────► outbox ──► topic sent
//! ```
//!
//! A mail beyond the limit waits; none is dropped. All workers share the limit, so a customer's mails may lie on any
//! partition.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use squall_core::env::Env;
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::limiter::{Limiter, LimiterOptions};
use squall_core::outbox::OutboxRelay;
use squall_core::processor::{Handler, HandlerContext, HandlerError, Outcome, Processor, ProcessorOptions};

use crate::fault::unit::duration;

/// The kind a scenario names.
pub const KIND: &str = "mailer.worker";

/// A worker's configuration, the `config` of a scenario.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Config {
    /// Where mails come from.
    mails: String,
    /// Where results go.
    sent: String,
    /// Where mails go that cannot be sent.
    dead_letters: String,
    /// The consumer group.
    group: String,
    /// The post office, `host:port`.
    post_office: String,
    /// How long handing in one mail may take.
    #[serde(with = "duration")]
    post_timeout: Duration,
    /// Mails a customer gets in one window.
    most: u64,
    /// The window.
    #[serde(with = "duration")]
    window: Duration,
    /// How long a mail may wait for its turn before it is taken up anew.
    #[serde(with = "duration")]
    patience: Duration,
    /// Silence after which the group gives a worker's partitions to another.
    #[serde(with = "duration")]
    session_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mails: "mails".to_owned(),
            sent: "sent".to_owned(),
            dead_letters: "dead-letters".to_owned(),
            group: "mailing".to_owned(),
            post_office: "post-office:80".to_owned(),
            post_timeout: Duration::from_secs(2),
            most: 3,
            window: Duration::from_secs(2),
            patience: Duration::from_secs(120),
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
    let mut options = ProcessorOptions::new(&config.group, [&config.mails]);
    options.session_timeout = config.session_timeout;
    options.handler_timeout = config.patience;
    options.retry.max_attempts = 50;
    options.retry.cap = Duration::from_secs(1);
    options.dead_letter_topic = Some(config.dead_letters.clone());
    let limiter = Limiter::new(&env, LimiterOptions { most: config.most, window: config.window })?;
    let relay = OutboxRelay::new(env.clone()).run();
    let send = Send { env: env.clone(), config, limiter };
    let processor = Processor::new(env, Arc::new(send), options)?.run();
    tokio::try_join!(async { anyhow::Ok(processor.await?) }, async { anyhow::Ok(relay.await?) })?;
    Ok(())
}

/// Sends a mail.
struct Send {
    env: Env,
    config: Config,
    limiter: Limiter,
}

/// What we read of `mail.requested`.
#[derive(Deserialize)]
struct Mail {
    mail_id: String,
    customer: String,
}

#[async_trait]
impl Handler for Send {
    fn name(&self) -> &'static str {
        "send"
    }

    async fn handle(&self, event: &EventEnvelope, cx: &HandlerContext) -> Result<Outcome, HandlerError> {
        let mail = Mail::deserialize(event.data())
            .map_err(|error| HandlerError::reject("unreadable-mail", error.to_string()))?;
        let admitted = self.limiter.admitted(&mail.customer).await;
        admitted.map_err(|error| HandlerError::retry("no-limiter", error.to_string()))?;
        let body = json!({ "mail_id": mail.mail_id, "customer": mail.customer });
        let headers = [("idempotency-key", cx.effect_key.as_str())];
        let http = self.env.http().map_err(|error| HandlerError::reject("no-http", error.to_string()))?;
        let post =
            http.post_json(&self.config.post_office, "/mails", &headers, &body, self.config.post_timeout);
        let (status, answer) =
            post.await.map_err(|error| HandlerError::retry("post-office-unavailable", error.to_string()))?;
        let said = || format!("{status}: {}", String::from_utf8_lossy(&answer));
        match status {
            StatusCode::OK => Ok(Outcome::none().publish(&self.config.sent, self.sent(event, &mail)?)),
            status if status.is_client_error() => Err(HandlerError::reject("mail-refused", said())),
            _ => Err(HandlerError::retry("mail-failed", said())),
        }
    }
}

impl Send {
    fn sent(&self, cause: &EventEnvelope, mail: &Mail) -> Result<EventEnvelope, HandlerError> {
        EventEnvelope::builder("mail.sent", 1, "squall://mailer")
            .subject(&mail.mail_id)
            .occurrence(Occurrence::Business(mail.mail_id.clone()))
            .partition_key(cause.partition_key().unwrap_or(&mail.mail_id))
            .caused_by(cause)
            .time_ms(self.env.clock.unix_ms())
            .data(json!({ "mail_id": mail.mail_id }))
            .build()
            .map_err(|error| HandlerError::reject("invalid-result", error.to_string()))
    }
}
