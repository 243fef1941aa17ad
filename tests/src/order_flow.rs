//! The platform end to end, on whatever servers the fixtures give: topics deleted and made anew, orders produced
//! twice each, charged by the reference system, and checked.
//!
//! Everything between the services is real here: TCP, Kafka's and Redis' protocols, time. Only the payment
//! service and the event store are this process's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use squall::bus::KafkaBus;
use squall::history::{Record, Recorder};
use squall::service::Services;
use squall::sink::{HttpSink, SinkConfig};
use squall_core::clock::Clock;
use squall_core::emitter::{Emitter, EmitterOptions};
use squall_core::entropy::Entropy;
use squall_core::env::Env;
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::http::Http;
use squall_core::net::TcpDial;
use squall_core::redis::{Redis, RedisOptions};
use squall_core::store::MemoryStore;
use squall_fixtures::{Kafka, Scope};
use tokio::net::TcpListener;
use tokio::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long each step took.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// Getting servers: a mock's start, joining shared containers, the first topics.
    pub servers: Duration,
    /// Deleting the topics, waiting until they are forgotten, making them, waiting until they are ready.
    pub topics: Duration,
    /// Producing every order twice.
    pub produce: Duration,
    /// From the service's start until the last result is there.
    pub process: Duration,
    /// Reading everything back and comparing.
    pub check: Duration,
}

impl Timings {
    /// Everything but getting the servers.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.topics + self.produce + self.process + self.check
    }
}

/// Runs `orders` orders through the reference system.
///
/// # Errors
/// What went wrong first; an order that was not charged exactly once among it.
pub async fn run(fx: &Scope, orders: usize) -> Result<Timings, Failure> {
    let start = Instant::now();
    let mut kafka = fx.kafka().topics(["orders:3", "payments:3", "dead-letters"]).await?;
    let redis = fx.redis().await?;
    let servers = start.elapsed();

    let start = Instant::now();
    kafka.recreate().await?;
    let topics = start.elapsed();

    let payment = Payment::start().await?;
    let env = env_of(&kafka, redis.url(), &payment)?;
    let start = Instant::now();
    produce_twice(&env, fx.prefix(), &kafka.topic("orders"), orders).await?;
    let produce = start.elapsed();

    let start = Instant::now();
    let services = Services::builtin();
    let worker = services.get("orders.worker").ok_or("expected the reference system, found none")?;
    let worker = tokio::spawn(worker(env.clone()));
    let results = results(&kafka, orders).await;
    let process = start.elapsed();
    env.stop.cancel();
    worker.await??;

    let start = Instant::now();
    check(results?, &payment, fx.prefix(), orders)?;
    Ok(Timings { servers, topics, produce, process, check: start.elapsed() })
}

/// A payment service that charges each idempotency key once, and what it did.
struct Payment {
    address: String,
    done: Recorder,
}

impl Payment {
    async fn start() -> Result<Self, Failure> {
        let start = Instant::now();
        let done = Recorder::new(move || start.elapsed());
        let config: SinkConfig =
            serde_json::from_value(json!({ "effect": "card.charged", "key": "order_id" }))?;
        let sink = HttpSink::new("payment", config, done.clone(), 0);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(async move { sink.serve(listener).await });
        Ok(Self { address, done })
    }

    /// How often each order was charged.
    fn charges(&self) -> BTreeMap<String, usize> {
        let mut charges = BTreeMap::new();
        for entry in self.done.snapshot().entries() {
            if let Record::Effect(effect) = &entry.what
                && effect.committed
            {
                *charges.entry(effect.business_key.to_string()).or_default() += 1;
            }
        }
        charges
    }
}

fn env_of(kafka: &Kafka, redis_url: &str, payment: &Payment) -> Result<Env, Failure> {
    let entropy = Entropy::from_seed(0);
    let clock = Clock::system();
    let address = redis_url.trim_start_matches("redis://").split('/').next().unwrap_or_default();
    let redis = Redis::new(Arc::new(TcpDial), RedisOptions::new(address), &entropy);
    let bus = Arc::new(KafkaBus::new(kafka.client().clone()));
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let config = json!({
        "orders": kafka.topic("orders"),
        "payments": kafka.topic("payments"),
        "dead-letters": kafka.topic("dead-letters"),
        "group": kafka.group("billing"),
        "payment": payment.address,
    });
    let env = Env::new("worker-1", bus, store, entropy, clock).with_redis(redis);
    Ok(env.with_http(Http::new(Arc::new(TcpDial))).with_config(config))
}

/// An order's id: this run's own, since the service remembers in Redis what it has charged, and Redis is shared.
fn order(run: &str, number: usize) -> String {
    format!("{run}-order-{number}")
}

async fn produce_twice(env: &Env, run: &str, topic: &str, orders: usize) -> Result<(), Failure> {
    let emitter = Emitter::new(env.clone(), EmitterOptions::default()).await?;
    for number in (0..orders).chain(0..orders) {
        let id = order(run, number);
        let event = EventEnvelope::builder("order.placed", 1, "squall://end-to-end")
            .subject(&id)
            .occurrence(Occurrence::Business(id.clone()))
            .partition_key(format!("customer-{}", number % 8))
            .time_ms(env.clock.unix_ms())
            .data(json!({ "order_id": id, "amount": 100 }));
        emitter.emit(topic, event).await?;
    }
    Ok(())
}

/// The results' orders, once there are as many as orders and every order is done with.
async fn results(kafka: &Kafka, orders: usize) -> Result<Vec<String>, Failure> {
    let mut collector = kafka.collector("payments").await?;
    let mut records = collector.recv_n(orders, Duration::from_secs(60)).await?;
    kafka.wait().await_lag_zero(&kafka.group("billing"), &[&kafka.topic("orders")]).await?;
    // What a duplicate led to came before its offset was committed.
    records.extend(collector.collect_until_idle(Duration::ZERO, Duration::from_secs(5)).await?);
    let mut found = Vec::new();
    for record in records {
        let event = EventEnvelope::from_bytes(record.record.value.as_deref().unwrap_or_default())?;
        found.extend(event.data()["order_id"].as_str().map(str::to_owned));
    }
    Ok(found)
}

fn check(mut results: Vec<String>, payment: &Payment, run: &str, orders: usize) -> Result<(), Failure> {
    let mut expected: Vec<String> = (0..orders).map(|number| order(run, number)).collect();
    expected.sort();
    results.sort();
    if results != expected {
        return Err(format!("expected one result of each of {orders} orders, found {results:?}").into());
    }
    let charges = payment.charges();
    let wrong: Vec<_> = charges.iter().filter(|(_, times)| **times != 1).collect();
    if charges.len() != orders || !wrong.is_empty() {
        return Err(
            format!("expected {orders} orders charged once, found {}: {wrong:?}", charges.len()).into()
        );
    }
    Ok(())
}
