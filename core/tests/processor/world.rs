//! A small world for tests: bus, store and keys in memory, workers that crash at code points, and the properties
//! every run must keep.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use squall_core::bus::memory::MemoryBus;
use squall_core::bus::{Bus, Gap, OutgoingRecord, PublisherOptions};
use squall_core::clock::Clock;
use squall_core::emitter::{Emitter, EmitterOptions};
use squall_core::entropy::Entropy;
use squall_core::env::Env;
use squall_core::envelope::{EnvelopeBuilder, EventEnvelope};
use squall_core::event_id::{EventId, Occurrence};
use squall_core::keys::MemoryKeys;
use squall_core::outbox::{OutboxRelay, RelayOptions};
use squall_core::point::{self, Passage};
use squall_core::processor::{Processor, ProcessorOptions, RetryOptions};
use squall_core::store::{Append, EventStore, ExpectedVersion, MemoryStore, StreamName};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use crate::shop::Step;
use crate::shop::{Shop, WatchedBus};

pub const ORDERS: &str = "orders";
pub const RESULTS: &str = "results";
pub const DEAD: &str = "orders.dlq";
pub const GROUP: &str = "billing";

/// Everything seen from outside the processor.
#[derive(Default)]
pub struct Seen {
    /// Every effect asked for: order, key, effect key. In order.
    pub effects: Vec<(String, String, String)>,
    /// Most handlers at work at the same time, in all and for one key.
    pub concurrent: usize,
    pub concurrent_in_key: usize,
    pub at_work: Vec<String>,
    /// Results in the log that no transaction had recorded when they came.
    pub phantoms: Vec<EventId>,
    pub recorded: BTreeSet<EventId>,
    /// Names of points and sightings, in order.
    pub trail: Vec<&'static str>,
    /// The same, and how often.
    pub points: BTreeMap<&'static str, usize>,
}

pub type SharedSeen = Arc<Mutex<Seen>>;

/// A world under test.
pub struct World {
    pub bus: MemoryBus,
    pub store: Arc<MemoryStore>,
    pub keys: Option<MemoryKeys>,
    pub seen: SharedSeen,
    pub script: Arc<Mutex<BTreeMap<String, VecDeque<Step>>>>,
    pub poison: Arc<Mutex<BTreeSet<String>>>,
    pub options: ProcessorOptions,
    pub relay: RelayOptions,
    pub groups: Vec<String>,
    pub workers: usize,
    pub effort: Duration,
    crashes: Rc<RefCell<VecDeque<(&'static str, usize)>>>,
    crashed: Rc<Notify>,
    clock: Clock,
    incarnation: u64,
    tasks: JoinSet<()>,
    pub stop: CancellationToken,
    /// Orders in the order they were emitted, with key.
    pub emitted: Vec<(String, String)>,
    /// Why an order of each case is missing from the log.
    pub gap: Option<Gap>,
    _hook: point::Installed,
}

impl World {
    /// One worker, four partitions, no Redis.
    pub fn new() -> Self {
        let clock = Clock::default();
        let bus =
            MemoryBus::new(clock.clone()).with_topic(ORDERS, 4).with_topic(RESULTS, 1).with_topic(DEAD, 1);
        let store = Arc::new(MemoryStore::new(clock.clone()).latency(Duration::from_millis(2)));
        let seen = SharedSeen::default();
        let (crashes, crashed) = (Rc::new(RefCell::new(VecDeque::new())), Rc::new(Notify::new()));
        let hook = hook(Arc::clone(&seen), Rc::clone(&crashes), Rc::clone(&crashed));
        let retry = RetryOptions { base: Duration::from_millis(20), ..RetryOptions::default() };
        Self {
            bus,
            store,
            keys: None,
            seen,
            script: Arc::default(),
            poison: Arc::default(),
            options: ProcessorOptions { retry, ..ProcessorOptions::new(GROUP, [ORDERS]) },
            relay: RelayOptions::default(),
            groups: vec![GROUP.to_owned()],
            workers: 1,
            effort: Duration::from_millis(5),
            crashes,
            crashed,
            clock,
            incarnation: 0,
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
            emitted: Vec::new(),
            gap: None,
            _hook: point::install(hook),
        }
    }

    /// Takes every worker down when the point is passed for the nth time, counted from 1 and from the crash
    /// before.
    pub fn crash_at(&mut self, point: &'static str, nth: usize) {
        self.crashes.borrow_mut().push_back((point, nth));
    }

    pub fn env(&mut self, name: &str) -> Env {
        self.incarnation += 1;
        let bus = WatchedBus {
            inner: self.bus.clone(),
            seen: Arc::clone(&self.seen),
            store: Arc::clone(&self.store),
        };
        let store: Arc<dyn EventStore> = self.store.clone();
        let entropy = Entropy::from_seed(self.incarnation);
        let env =
            Env::new(name, Arc::new(bus), store, entropy, self.clock.clone()).with_stop(self.stop.clone());
        match &self.keys {
            Some(keys) => env.with_keys(Arc::new(keys.clone())),
            None => env,
        }
    }

    /// An order, not yet emitted.
    pub fn order(name: &str, key: &str) -> EnvelopeBuilder {
        EventEnvelope::builder("order.placed", 1, "squall://shop")
            .subject(name)
            .occurrence(Occurrence::Business(name.to_owned()))
            .partition_key(key)
            .data(json!({ "order": name, "cents": 100 }))
    }

    pub async fn emit(&mut self, name: &str, key: &str) -> EventEnvelope {
        let env = self.env("shop");
        let emitter = Emitter::new(env, EmitterOptions::default()).await.expect("an emitter");
        let emitted = emitter.emit(ORDERS, Self::order(name, key)).await.expect("emitted");
        self.emitted.push((name.to_owned(), key.to_owned()));
        emitted.event
    }

    /// Stores an order that the log has lost, and has the workers told of the gap.
    pub async fn lose(&mut self, name: &str, key: &str, gap: Gap) {
        let events = vec![Self::order(name, key).build().expect("an order")];
        let stream = StreamName::new(format!("order-{name}")).expect("a name");
        let append = Append { stream, expected: ExpectedVersion::NoStream, events };
        self.store.append(append).await.expect("stored");
        self.emitted.push((name.to_owned(), key.to_owned()));
        self.bus.tell_gap(ORDERS, 0, gap);
    }

    /// Publishes bytes as they are.
    pub async fn publish_raw(&self, key: Option<&str>, value: &[u8]) {
        let publisher = self.bus.publisher(PublisherOptions::default()).await.expect("a publisher");
        let record = OutgoingRecord {
            topic: ORDERS.to_owned(),
            key: key.map(|key| key.as_bytes().to_vec().into()),
            headers: vec![("trace".to_owned(), "t-1".into())],
            value: value.to_vec().into(),
        };
        publisher.publish(record).await.expect("published");
    }

    pub fn script(&self, order: &str, steps: impl IntoIterator<Item = Step>) {
        self.script.lock().unwrap().insert(order.to_owned(), steps.into_iter().collect());
    }

    /// Starts all workers, each a processor and a relay.
    pub fn start(&mut self) {
        for group in self.groups.clone() {
            for number in 1..=self.workers {
                let env = self.env(&format!("{group}-{number}"));
                let shop = Shop {
                    seen: Arc::clone(&self.seen),
                    script: Arc::clone(&self.script),
                    poison: Arc::clone(&self.poison),
                    effort: self.effort,
                };
                let options = ProcessorOptions { group: group.clone(), ..self.options.clone() };
                let processor = Processor::new(env.clone(), Arc::new(shop), options).expect("a processor");
                self.tasks.spawn(async move { processor.run().await.expect("a good end") });
                let relay = OutboxRelay::with_options(env, self.relay.clone());
                self.tasks.spawn(async move { relay.run().await.expect("a good end") });
            }
        }
    }

    /// Takes every worker down, without a word.
    pub async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Starts the workers, restarts them after every crash, and waits until everything emitted is consumed and
    /// every promise of the outbox is kept; `false` if that does not happen within ten virtual minutes.
    pub async fn run(&mut self) -> bool {
        self.start();
        let patience = tokio::time::sleep(Duration::from_secs(600));
        tokio::pin!(patience);
        let crashed = Rc::clone(&self.crashed);
        loop {
            if self.is_settled().await {
                return true;
            }
            tokio::select! {
                biased;
                () = crashed.notified() => {
                    self.kill().await;
                    self.start();
                }
                () = &mut patience => return false,
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    /// Ends the workers gracefully.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic");
        }
    }

    async fn is_settled(&self) -> bool {
        let mut ends = BTreeMap::<i32, i64>::new();
        for record in self.bus.records(ORDERS) {
            ends.insert(record.partition.partition, record.offset + 1);
        }
        let consumed = |group: &String| {
            ends.iter().all(|(partition, end)| self.bus.committed(group, ORDERS, *partition) == Some(*end))
        };
        self.groups.iter().all(consumed) && self.store.outbox_pending(1).await.expect("the outbox").is_empty()
    }

    pub fn saw(&self, name: &str) -> usize {
        self.seen.lock().unwrap().points.get(name).copied().unwrap_or(0)
    }

    /// Orders among the dead letters, in order.
    pub fn dead(&self) -> Vec<String> {
        let subject = |value: &[u8]| Some(EventEnvelope::from_bytes(value).ok()?.subject()?.to_owned());
        self.bus.records(DEAD).iter().filter_map(|record| subject(&record.value)).collect()
    }

    /// Distinct effect keys an order was charged under: what a sink that honours them has committed.
    pub fn charges(&self, order: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        let keys = seen.effects.iter().filter(|(of, _, _)| of == order).map(|(_, _, effect)| effect);
        keys.collect::<BTreeSet<_>>().len()
    }

    /// Every broken property, by its name.
    pub fn violations(&self) -> BTreeSet<&'static str> {
        let mut broken = BTreeSet::new();
        let dead: BTreeSet<String> = self.dead().into_iter().collect();
        let mut broken_if = |condition: bool, name| {
            if condition {
                broken.insert(name);
            }
        };
        for (order, _) in &self.emitted {
            let charges = self.charges(order);
            broken_if(charges > 1, "idempotent");
            broken_if(charges == 0 && !dead.contains(order), "no-acked-loss");
            let told = self.bus.records(RESULTS).iter().any(|record| {
                EventEnvelope::from_bytes(&record.value).expect("a result").subject() == Some(order)
            });
            broken_if(!told && !dead.contains(order), "no-acked-loss");
        }
        let seen = self.seen.lock().unwrap();
        broken_if(!seen.phantoms.is_empty(), "no-phantom");
        let mut first = Vec::<(&String, &String)>::new();
        for (order, key, _) in &seen.effects {
            if !first.contains(&(order, key)) {
                first.push((order, key));
            }
        }
        for (_, key) in &self.emitted {
            let of_key = |(_, other): &&(String, String)| other == key;
            let emitted = self.emitted.iter().filter(of_key).map(|(order, _)| order);
            let charged: Vec<&String> =
                first.iter().filter(|(_, other)| *other == key).map(|(order, _)| *order).collect();
            let expected: Vec<&String> = emitted.filter(|order| charged.contains(order)).collect();
            broken_if(charged != expected, "key-order");
        }
        for name in seen.points.keys() {
            broken_if(!point::ALL.iter().any(|point| point.name == *name), "undeclared-point");
        }
        broken
    }
}

fn hook(
    seen: SharedSeen,
    crashes: Rc<RefCell<VecDeque<(&'static str, usize)>>>,
    crashed: Rc<Notify>,
) -> impl Fn(&'static str) -> Passage {
    move |name| {
        {
            let mut seen = seen.lock().unwrap();
            *seen.points.entry(name).or_default() += 1;
            seen.trail.push(name);
        }
        let mut crashes = crashes.borrow_mut();
        let Some((point, left)) = crashes.front_mut().filter(|(point, _)| *point == name) else {
            return Passage::Go;
        };
        let _ = point;
        *left -= 1;
        if *left > 0 {
            return Passage::Go;
        }
        crashes.pop_front();
        crashed.notify_one();
        Passage::Stop
    }
}
