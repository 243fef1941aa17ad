//! A town for one system: brokers, a Redis, the service it calls, and the system itself, in memory.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use squall::bus::KafkaBus;
use squall::system::{mailer, orders, parcels, prices, settlements};
use squall_core::bus::{Bus, ConsumerOptions, Delivery, PublisherOptions};
use squall_core::clock::Clock;
use squall_core::entropy::Entropy;
use squall_core::env::Env;
use squall_core::envelope::EventEnvelope;
use squall_core::http::Http;
use squall_core::outbox::event_record;
use squall_core::redis::{Redis, RedisOptions};
use squall_core::store::MemoryStore;
use squall_fixtures::data::Deliveries;
use squall_fixtures::doubles::{Answer, HttpDouble, Reply};
use squall_mocks::kafka::client::{ClientOptions, KafkaClient};
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use squall_mocks::net::{Dial as _, MemoryNet};
use squall_mocks::redis::RedisServer;
use tokio::task::JoinSet;

const BROKER: &str = "kafka-1:9092";
const REDIS: &str = "redis:6379";
/// Virtual time in which every result must have come.
const PATIENCE: Duration = Duration::from_secs(120);
/// Virtual time after the last expected result in which one too many would come.
const QUIET: Duration = Duration::from_secs(20);

/// A reference system and what it is to do.
pub struct System {
    pub name: &'static str,
    pub input: &'static str,
    pub results: &'static str,
    pub service: Option<&'static str>,
    pub result: (&'static str, &'static [&'static str]),
}

/// What was seen of a system from outside.
pub struct Seen {
    /// Type and data of its results. Of a system with an outbox, which may tell of an event twice under one id, each
    /// event is counted once.
    pub results: Vec<(String, Value)>,
    /// What each request to the service was about, and the idempotency key it came under.
    pub effects: Vec<(String, String)>,
}

/// The network of a town, for both kinds of clients.
#[derive(Clone)]
struct Lines(MemoryNet);

#[async_trait]
impl squall_core::net::Dial for Lines {
    async fn dial(&self, address: &str) -> io::Result<squall_core::net::BoxStream> {
        Ok(Box::new(self.0.dial(address).await?))
    }
}

pub struct Town {
    net: MemoryNet,
    store: Arc<MemoryStore>,
    tasks: JoinSet<()>,
}

impl Town {
    /// Has the events delivered to a system and tells what came of it.
    pub fn run(system: &System, deliveries: &Deliveries<EventEnvelope>, lost: BTreeSet<u64>) -> Seen {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let mut town = Self::build(system);
            let service = HttpDouble::serve(town.net.listen(system.service.unwrap_or("nobody:80")))
                .when(move |nth, _| lost.contains(&nth), Reply::Lose)
                .otherwise(Answer::json(200, &Value::Null));
            town.publish(system, deliveries).await;
            town.start(system.name);
            let results = town.results(system, deliveries.sent().len()).await;
            let about = |body: &Value| {
                let ids = body.as_object().into_iter().flatten().filter(|(name, _)| name.ends_with("_id"));
                ids.filter_map(|(_, id)| id.as_str()).collect::<String>()
            };
            let effect = |seen: &squall_fixtures::doubles::Seen| {
                let body = seen.json().expect("the body is JSON");
                (about(&body), seen.header("idempotency-key").unwrap_or_default().to_owned())
            };
            Seen { results, effects: service.requests().all().iter().map(effect).collect() }
        })
    }

    fn build(system: &System) -> Self {
        let (net, mut tasks) = (MemoryNet::new(), JoinSet::new());
        let cluster = KafkaCluster::new(KafkaOptions::advertised([BROKER]));
        for topic in [system.input, system.results, "prices", "dead-letters"] {
            cluster.create_topic(topic, 2).expect("a topic");
        }
        let brokers = net.listen(BROKER);
        tasks.spawn(async move { cluster.serve(1, brokers).await.expect("the broker listens") });
        let (redis, listener) = (RedisServer::new(Default::default()), net.listen(REDIS));
        tasks.spawn(async move { redis.serve(listener).await.expect("Redis listens") });
        Self { net, store: Arc::new(MemoryStore::new(Clock::default())), tasks }
    }

    fn bus(&self, name: &str) -> KafkaBus {
        let mut options = ClientOptions::new([BROKER]);
        name.clone_into(&mut options.client_id);
        KafkaBus::new(KafkaClient::new(options, Arc::new(self.net.clone())))
    }

    /// One after another, as they are to be delivered: what the log holds twice, a consumer gets twice.
    async fn publish(&self, system: &System, deliveries: &Deliveries<EventEnvelope>) {
        let publisher = self.bus("load").publisher(PublisherOptions::default()).await.expect("a publisher");
        for delivery in deliveries.iter() {
            publisher.publish(event_record(system.input, delivery.event)).await.expect("acknowledged");
        }
    }

    fn start(&mut self, system: &str) {
        match system {
            "orders" => self.spawn("orders-1", orders::run),
            "mailer" => self.spawn("mailer-1", mailer::run),
            "parcels" => self.spawn("parcels-1", parcels::run),
            "prices" => {
                self.spawn("clerk-1", prices::clerk);
                self.spawn("labeller-1", prices::labeller);
            }
            "settlements" => self.spawn("settlements-1", settlements::run),
            other => panic!("there is no system {other}"),
        }
    }

    fn spawn<F>(&mut self, name: &str, run: fn(Env) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let lines = Arc::new(Lines(self.net.clone()));
        let entropy = Entropy::from_seed(1);
        let redis = Redis::new(lines.clone(), RedisOptions::new(REDIS), &entropy);
        let env = Env::new(name, Arc::new(self.bus(name)), self.store.clone(), entropy, Clock::default());
        let env = env.with_redis(redis).with_http(Http::new(lines));
        self.tasks.spawn(async move { run(env).await.expect("the system goes on") });
    }

    /// The results, once they are as many as expected and no further one has come for a while.
    async fn results(&self, system: &System, expected: usize) -> Vec<(String, Value)> {
        let options = ConsumerOptions {
            group: "reader".to_owned(),
            topics: vec![system.results.to_owned()],
            session_timeout: Duration::from_secs(6),
            committed_only: true,
        };
        let mut consumer = self.bus("reader").consumer(options).await.expect("a consumer");
        let (mut found, mut ids) = (Vec::new(), BTreeSet::new());
        let mut patience = PATIENCE;
        while let Ok(delivery) = tokio::time::timeout(patience, consumer.next()).await {
            if let Delivery::Records(records) = delivery.expect("the log can be read") {
                for record in records {
                    let event = EventEnvelope::from_bytes(&record.value).expect("a result is an event");
                    if ids.insert(event.id()) || system.service.is_none() {
                        found.push((event.event_type().to_owned(), event.data().clone()));
                    }
                }
            }
            patience = if found.len() < expected { PATIENCE } else { QUIET };
        }
        found
    }
}
