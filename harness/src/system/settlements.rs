//! The reference system `settlements`: settles each trade once, on the log alone, in its transactions.
//!
//! ```text
//! topic trades ──► worker ──► topic settlements
//!                       └───► the group's offsets      (one transaction)
//! ```
//!
//! There is no store and no deduplication: a settlement and the offset of its trade count together or not at
//! all. What a worker that was taken for dead still has in hand is fenced twice over: each partition has its
//! transactional id, which the next owner takes over, and offsets are committed as a member of the group.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use squall_core::bus::{
    BusError, Consumer, ConsumerOptions, Delivery, Exchange, Membership, OutgoingRecord, Record,
    TopicPartition, TransactionalPublisher,
};
use squall_core::env::Env;
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::outbox::event_record;
use squall_core::start::{self, StartOptions};
use squall_core::{mutant, point};

use crate::fault::unit::duration;

/// The kind a scenario names.
pub const KIND: &str = "settlements.worker";

/// Pause before a worker that lost its place begins anew.
const AGAIN: Duration = Duration::from_millis(500);

/// A worker's configuration, the `config` of a scenario.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Config {
    /// Where trades come from.
    trades: String,
    /// Where settlements go.
    settlements: String,
    /// The consumer group.
    group: String,
    /// Silence after which the group gives a worker's partitions to another.
    #[serde(with = "duration")]
    session_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            trades: "trades".to_owned(),
            settlements: "settlements".to_owned(),
            group: "settling".to_owned(),
            session_timeout: Duration::from_secs(6),
        }
    }
}

/// Runs a worker until it is asked to stop.
///
/// # Errors
/// If the configuration does not fit, or the log refuses what no other try will change.
pub async fn run(env: Env) -> anyhow::Result<()> {
    let config: Config = env.config()?;
    while !env.stop.is_cancelled() {
        let options = ConsumerOptions {
            group: config.group.clone(),
            topics: vec![config.trades.clone()],
            session_timeout: config.session_timeout,
            committed_only: true,
        };
        let mut worker = Worker {
            consumer: start::consumer(&env, options, &StartOptions::default()).await?,
            publishers: BTreeMap::new(),
            env: &env,
            config: &config,
        };
        let ended = worker.work().await;
        // What was taken and not settled is taken again from where the group's offsets stand.
        let _ = worker.consumer.close().await;
        match ended {
            Ok(()) => return Ok(()),
            Err(BusError::Fenced(why)) => {
                point::saw("worker-fenced");
                tracing::info!(why, "another worker has taken over");
            }
            Err(error) if error.is_retryable() => tracing::info!(%error, "a transaction failed"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

struct Worker<'a> {
    env: &'a Env,
    config: &'a Config,
    consumer: Box<dyn Consumer>,
    /// One for each partition that is this worker's.
    publishers: BTreeMap<TopicPartition, Box<dyn TransactionalPublisher>>,
}

impl Worker<'_> {
    async fn work(&mut self) -> Result<(), BusError> {
        loop {
            let delivery = tokio::select! {
                biased;
                () = self.env.stop.cancelled() => return Ok(()),
                delivery = self.consumer.next() => delivery?,
            };
            match delivery {
                Delivery::Assigned(partitions) => {
                    for partition in partitions {
                        let publisher = self.env.bus.transactional(&self.id_of(&partition)).await?;
                        self.publishers.insert(partition, publisher);
                    }
                }
                Delivery::Records(records) => self.settle(&records).await?,
                Delivery::Revoked(partitions) | Delivery::Lost(partitions) => {
                    self.publishers.retain(|partition, _| !partitions.contains(partition));
                }
                // Trades are kept for longer than any worker is away.
                Delivery::Gap(..) => {}
            }
        }
    }

    /// Who publishes for a partition, whichever worker that is.
    fn id_of(&self, partition: &TopicPartition) -> String {
        if mutant::enabled("zombie-not-fenced") {
            // Mutant 18: an id that no other process ever has.
            return format!("{}/{}", self.env.name, self.env.entropy.token());
        }
        format!("{}-{}-{}", self.config.group, partition.topic, partition.partition)
    }

    /// Settles trades of one partition.
    async fn settle(&mut self, records: &[Record]) -> Result<(), BusError> {
        let Some(last) = records.last() else { return Ok(()) };
        let fenced = || BusError::Fenced("the group has moved on".to_owned());
        let mut consumer = self.consumer.membership().ok_or_else(fenced)?;
        if mutant::enabled("zombie-not-fenced") {
            // Mutant 18: believed without being a member.
            consumer = Membership { generation: -1, member: String::new(), ..consumer };
        }
        let publisher = self.publishers.get_mut(&last.partition).ok_or_else(fenced)?;
        let (topic, now_ms) = (&self.config.settlements, self.env.clock.unix_ms());
        let records = records.iter().filter_map(|record| settlement(topic, record, now_ms)).collect();
        let offsets = vec![(last.partition.clone(), last.offset + 1)];
        publisher.exchange(Exchange { records, offsets, consumer }).await
    }
}

/// What we read of `trade.made`.
#[derive(Deserialize)]
struct Trade {
    trade_id: String,
    cents: i64,
}

/// The settlement of a trade; none of what is no trade.
fn settlement(topic: &str, record: &Record, now_ms: i64) -> Option<OutgoingRecord> {
    let trade = EventEnvelope::from_bytes(&record.value).ok()?;
    let Trade { trade_id, cents } = Trade::deserialize(trade.data()).ok()?;
    let settled = EventEnvelope::builder("trade.settled", 1, "squall://settlements")
        .subject(&trade_id)
        .occurrence(Occurrence::Business(trade_id.clone()))
        .partition_key(trade.partition_key().unwrap_or(&trade_id))
        .caused_by(&trade)
        .time_ms(now_ms)
        .data(json!({ "trade_id": trade_id, "cents": cents }))
        .build();
    Some(event_record(topic, &settled.ok()?))
}
