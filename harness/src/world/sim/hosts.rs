//! Turns a plan's services into hosts: what each runs, on which addresses, with which environment.
//!
//! State that outlives a process (a broker's log, what a sink has done, the event store) is made here once; what
//! dies with the process is made each time its software starts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use squall_core::clock::Clock as PlatformClock;
use squall_core::entropy::Entropy;
use squall_core::env::Env;
use squall_core::http::Http;
use squall_core::net::Dial as PlatformDial;
use squall_core::redis::{Redis, RedisOptions};
use squall_core::store::{EventStore, MemoryStore};
use squall_mocks::Clock;
use squall_mocks::kafka::client::{ClientOptions, KafkaClient};
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use squall_mocks::net::Dial;
use squall_mocks::observe::{Observer as MockObserver, What};
use squall_mocks::redis::RedisServer;

use super::injector::{Cluster, HARNESS, Targets};
use super::load::Load;
use super::observer::Observer;
use super::{Exits, Refusals, WorldError};
use crate::bus::KafkaBus;
use crate::history::Recorder;
use crate::plan::{Plan, PlannedService, counted_as};
use crate::scenario::schema::{KAFKA_KIND, REDIS_KIND, SINK_KIND};
use crate::seed::Seed;
use crate::service::{ServiceFn, Services};
use crate::sim::engine::Software;
use crate::sim::net::{Latency, Net, SimDial};
use crate::sim::{EPOCH_MS, HostId, Probe, now};
use crate::sink::{HttpSink, SinkConfig};
use crate::store::WitnessedStore;

const KAFKA_PORT: u16 = 9092;
const REDIS_PORT: u16 = 6379;
const SINK_PORT: u16 = 80;
/// The host the load comes from. No service of a topology can have this name.
const LOAD_HOST: &str = "@load";
/// How long an operation of the event store takes: about a round trip to a database nearby.
const STORE_LATENCY: Duration = Duration::from_millis(2);
/// Requests to a broker or to Redis that are not answered in this time are given up, and tried again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Everyone on the stage, before the curtain.
pub(super) struct Cast {
    pub(super) net: Net,
    pub(super) names: Vec<String>,
    pub(super) targets: Targets,
    pub(super) observer: Rc<RefCell<Observer>>,
    pub(super) software: Vec<Software>,
    pub(super) load: Load,
    pub(super) exits: Exits,
    pub(super) refusals: Refusals,
}

/// What every host's software is made from.
struct Stage<'a> {
    plan: &'a Plan,
    services: &'a Services,
    net: Net,
    probe: Probe,
    recorder: Recorder,
    store: Arc<dyn EventStore>,
    exits: Exits,
    refusals: Refusals,
}

impl Cast {
    pub(super) fn new(
        plan: &Plan,
        services: &Services,
        probe: &Probe,
        recorder: &Recorder,
    ) -> Result<Self, WorldError> {
        let mut names: Vec<String> = plan.hosts().map(|(name, _)| name.to_owned()).collect();
        names.push(LOAD_HOST.to_owned());
        // The least latency is a tick: then the order in which hosts run in a step cannot be seen.
        let latency = Latency { base: plan.tick, jitter: plan.tick };
        let net = Net::new(names.clone(), plan.seed, latency, Arc::clone(probe));
        let stage = Stage {
            plan,
            services,
            net: net.clone(),
            probe: Arc::clone(probe),
            recorder: recorder.clone(),
            store: Arc::new(MemoryStore::new(PlatformClock::from_source(EPOCH_MS, now))),
            exits: Exits::default(),
            refusals: Refusals::default(),
        };
        let observer = Rc::new(RefCell::new(Observer::new(recorder.clone())));
        let mut targets = Targets {
            net: net.clone(),
            names: names.clone(),
            kafka: Vec::new(),
            redis: BTreeMap::new(),
            sinks: BTreeMap::new(),
            clocks: BTreeMap::new(),
        };
        let mut software = Vec::new();
        for service in &plan.services {
            stage.add(service, &mut targets, &mut observer.borrow_mut(), &mut software)?;
        }
        let load = Load::new(plan, recorder.clone(), Rc::clone(&observer));
        let harness = HostId(u16::try_from(names.len() - 1).unwrap_or(u16::MAX));
        software.push(stage.load(harness, &load));
        let (exits, refusals) = (stage.exits, stage.refusals);
        Ok(Self { net, names, targets, observer, software, load, exits, refusals })
    }
}

impl Stage<'_> {
    fn add(
        &self,
        service: &PlannedService,
        targets: &mut Targets,
        observer: &mut Observer,
        software: &mut Vec<Software>,
    ) -> Result<(), WorldError> {
        let first = software.len();
        let id = |index: usize| HostId(u16::try_from(first + index).unwrap_or(u16::MAX));
        match service.spec.kind.as_str() {
            KAFKA_KIND => {
                let cluster = self.cluster(service, observer)?;
                for index in 0..service.hosts.len() {
                    software.push(self.broker(id(index), &cluster, index));
                }
                targets.kafka.push(Cluster { cluster, hosts: service.hosts.clone() });
            }
            REDIS_KIND => {
                let NoSettings {} = settings(service)?;
                for (index, host) in service.hosts.iter().enumerate() {
                    let server = self.redis_server(host);
                    software.push(self.redis(id(index), &server));
                    targets.redis.insert(host.clone(), server);
                }
            }
            SINK_KIND => {
                let config: SinkConfig = settings(service)?;
                for (index, host) in service.hosts.iter().enumerate() {
                    let seed = self.plan.seed.derive("sink", host, 0).0;
                    let sink = HttpSink::new(host, config.clone(), self.recorder.clone(), seed);
                    software.push(self.sink(id(index), &sink));
                    targets.sinks.insert(host.clone(), sink);
                }
            }
            kind => {
                let unknown = || WorldError::UnknownKind {
                    host: service.hosts.first().cloned().unwrap_or_default(),
                    kind: kind.to_owned(),
                    known: self.services.kinds().join(", "),
                };
                let run = self.services.get(kind).ok_or_else(unknown)?;
                for (index, host) in service.hosts.iter().enumerate() {
                    let clock = PlatformClock::from_source(EPOCH_MS, now);
                    software.push(self.service(id(index), host, service, run, &clock)?);
                    targets.clocks.insert(host.clone(), clock);
                }
            }
        }
        Ok(())
    }

    fn cluster(&self, service: &PlannedService, observer: &mut Observer) -> Result<KafkaCluster, WorldError> {
        let advertised = service.hosts.iter().map(|host| format!("{host}:{KAFKA_PORT}"));
        let mut options = KafkaOptions::advertised(advertised);
        options.seed = self.plan.seed.derive("kafka", &service.name, 0).0;
        options.clock = Clock::from_source(EPOCH_MS, now);
        let settings: ClusterConfig = settings(service)?;
        options.group_initial_rebalance_delay = settings.group_initial_rebalance_delay;
        options.failure_detection = settings.failure_detection;
        for (name, value) in &settings.settings {
            let set = options.set_broker_config(name, value);
            set.map_err(|error| WorldError::Config {
                service: service.name.clone(),
                reason: error.to_string(),
            })?;
        }
        options.strict = true;
        let cluster = KafkaCluster::new(options);
        cluster.observe(self.observer());
        for (name, topic) in &service.spec.topics {
            let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
            // -1 stands for the cluster's default.
            let replication =
                topic.replication.map_or(-1, |copies| i16::try_from(copies).unwrap_or(i16::MAX));
            let config: Vec<(&str, &str)> =
                topic.config.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let created = cluster.create_topic_with(name, partitions, replication, &config);
            created.map_err(|error| WorldError::Config {
                service: service.name.clone(),
                reason: format!("topic {name}: {error}"),
            })?;
            observer.watch(&cluster, &service.name, name, partitions, topic.role);
        }
        Ok(cluster)
    }

    fn redis_server(&self, host: &str) -> RedisServer {
        let options = squall_mocks::redis::RedisOptions {
            seed: self.plan.seed.derive("redis", host, 0).0,
            clock: Clock::from_source(EPOCH_MS, now),
            ..Default::default()
        };
        let server = RedisServer::new(options);
        server.observe(self.observer());
        server
    }

    /// What a mock tells goes into the trace; a rule that acts is counted under its name.
    fn observer(&self) -> MockObserver {
        let (probe, recorder) = (Arc::clone(&self.probe), self.recorder.clone());
        let refusals = Arc::clone(&self.refusals);
        Arc::new(move |sighting| {
            let server = &sighting.server;
            match &sighting.what {
                What::Request(text) => probe(None, "request", format_args!("{server} {text}")),
                What::Rule { name, request } => {
                    recorder.saw(&format!("{}.hit", counted_as(name)));
                    probe(None, "rule", format_args!("{server} {name} {request}"));
                }
                What::Unsupported(reason) => {
                    probe(None, "unsupported", format_args!("{server} {reason}"));
                    let mut first = refusals.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert_with(|| (server.clone(), reason.clone()));
                }
                What::Event(text) => probe(None, "event", format_args!("{server} {text}")),
                _ => {}
            }
        })
    }

    fn broker(&self, host: HostId, cluster: &KafkaCluster, index: usize) -> Software {
        let node = i32::try_from(index + 1).unwrap_or(i32::MAX);
        let (net, cluster) = (self.net.clone(), cluster.clone());
        Rc::new(move || {
            let (dial, cluster) = (net.start(host), cluster.clone());
            Box::pin(async move {
                if let Ok(listener) = dial.listen(KAFKA_PORT) {
                    // Ends with its host, or by an error of the listener, which a simulated one does not have.
                    let _ = cluster.serve(node, listener).await;
                }
            })
        })
    }

    fn redis(&self, host: HostId, server: &RedisServer) -> Software {
        let (net, server) = (self.net.clone(), server.clone());
        Rc::new(move || {
            let (dial, server) = (net.start(host), server.clone());
            Box::pin(async move {
                if let Ok(listener) = dial.listen(REDIS_PORT) {
                    let _ = server.serve(listener).await;
                }
            })
        })
    }

    fn sink(&self, host: HostId, sink: &HttpSink) -> Software {
        let (net, sink) = (self.net.clone(), sink.clone());
        Rc::new(move || {
            let (dial, sink) = (net.start(host), sink.clone());
            Box::pin(async move {
                if let Ok(listener) = dial.listen(SINK_PORT) {
                    sink.serve(listener).await;
                }
            })
        })
    }

    fn service(
        &self,
        host: HostId,
        name: &str,
        service: &PlannedService,
        run: &ServiceFn,
        clock: &PlatformClock,
    ) -> Result<Software, WorldError> {
        let config = serde_json::to_value(&service.spec.config).map_err(|error| WorldError::Config {
            service: service.name.clone(),
            reason: error.to_string(),
        })?;
        let make = self.environment(name, service, config, clock.clone());
        let (net, run, exits) = (self.net.clone(), Arc::clone(run), Rc::clone(&self.exits));
        Ok(Rc::new(move || {
            let life = net.start(host);
            let (env, run, exits) = (make(&life), Arc::clone(&run), Rc::clone(&exits));
            Box::pin(async move {
                let ended = run(env).await.map_err(|error| format!("it ended with an error: {error:#}"));
                // A killed host's tasks are polled until the step ends; what they say then nobody hears.
                if life.is_alive() {
                    exits.borrow_mut().push((host, ended));
                }
            })
        }))
    }

    /// Makes the environment of one life of a host. The host's clock outlives them all.
    fn environment(
        &self,
        name: &str,
        service: &PlannedService,
        config: serde_json::Value,
        clock: PlatformClock,
    ) -> impl Fn(&SimDial) -> Env + 'static {
        let (seed, name) = (self.plan.seed, name.to_owned());
        let (store, recorder) = (Arc::clone(&self.store), self.recorder.clone());
        let (brokers, redis) = (self.addresses(service, KAFKA_KIND), self.addresses(service, REDIS_KIND));
        let lives = Cell::new(0);
        move |life| {
            // A restarted process draws anew: it must not repeat the tokens of the one before.
            let number = lives.replace(lives.get() + 1);
            let client = client(&name, brokers.clone(), seed, number, life);
            let witnessed =
                WitnessedStore::new(Arc::clone(&store), &name, life.clone(), recorder.clone(), STORE_LATENCY);
            let entropy = Entropy::from_seed(seed.derive("entropy", &name, number).0);
            let clock = clock.clone();
            let dial: Arc<dyn PlatformDial> = Arc::new(life.clone());
            let mut env =
                Env::new(name.clone(), Arc::new(KafkaBus::new(client)), Arc::new(witnessed), entropy, clock)
                    .with_config(config.clone())
                    .with_http(Http::new(Arc::clone(&dial)));
            if let Some(address) = redis.first() {
                let redis = Redis::new(dial, RedisOptions::new(address), &env.entropy);
                env = env.with_redis(redis);
            }
            env
        }
    }

    /// Addresses of the servers of `kind` that `service` uses; of all, if it names none.
    fn addresses(&self, service: &PlannedService, kind: &str) -> Vec<String> {
        let port = if kind == KAFKA_KIND { KAFKA_PORT } else { REDIS_PORT };
        let used = |other: &&PlannedService| {
            other.spec.kind == kind
                && (service.spec.uses.is_empty() || service.spec.uses.contains(&other.name))
        };
        let servers = self.plan.services.iter().filter(used);
        servers.flat_map(|it| it.hosts.iter().map(|host| format!("{host}:{port}"))).collect()
    }

    fn load(&self, host: HostId, load: &Load) -> Software {
        let (net, load, seed) = (self.net.clone(), load.clone(), self.plan.seed);
        let clusters: BTreeMap<String, Vec<String>> = self
            .plan
            .services
            .iter()
            .filter(|service| service.spec.kind == KAFKA_KIND)
            .map(|service| {
                let brokers = service.hosts.iter().map(|host| format!("{host}:{KAFKA_PORT}"));
                (service.name.clone(), brokers.collect())
            })
            .collect();
        Rc::new(move || {
            let life = net.start(host);
            let clients = clusters.iter().map(|(name, brokers)| {
                (name.clone(), KafkaBus::new(client(HARNESS, brokers.clone(), seed, 0, &life)))
            });
            Box::pin(load.clone().run(clients.collect()))
        })
    }
}

fn client(name: &str, brokers: Vec<String>, seed: Seed, life: u64, dial: &SimDial) -> KafkaClient {
    let mut options = ClientOptions::new(brokers);
    name.clone_into(&mut options.client_id);
    options.request_timeout = REQUEST_TIMEOUT;
    options.seed = seed.derive("kafka-client", name, life).0;
    options.clock = Clock::from_source(EPOCH_MS, now);
    let dial: Arc<dyn Dial> = Arc::new(dial.clone());
    KafkaClient::new(options, dial)
}

/// Settings of a Kafka cluster in a scenario. Kafka's own defaults are made for machines that stay up for
/// months; these are made for runs of seconds.
#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct ClusterConfig {
    #[serde(with = "crate::fault::unit::duration")]
    group_initial_rebalance_delay: Duration,
    #[serde(with = "crate::fault::unit::duration")]
    failure_detection: Duration,
    /// Settings of the brokers by Kafka's names.
    settings: BTreeMap<String, String>,
}

/// A Redis server has no settings in a scenario.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            group_initial_rebalance_delay: Duration::from_millis(500),
            failure_detection: Duration::from_secs(2),
            settings: BTreeMap::new(),
        }
    }
}

fn settings<T: DeserializeOwned>(service: &PlannedService) -> Result<T, WorldError> {
    T::deserialize(toml::Value::Table(service.spec.config.clone()))
        .map_err(|error| WorldError::Config { service: service.name.clone(), reason: error.to_string() })
}
