//! Puts the workloads into the system, as clients outside it would, and records every operation.
//!
//! Events of one key are published one after the other, so their order in the log is the order of their numbers;
//! events of different keys do not wait for each other. An operation is recorded as invoked before anything is
//! sent, and as *ok*, *fail* or *info* by what the client was told.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use squall_core::bus::{BusError, OutgoingRecord, PublisherOptions};
use squall_core::clock::Clock;
use squall_core::emitter::{EmitError, Emitter, EmitterOptions};
use squall_core::entropy::Entropy;
use squall_core::env::Env;
use squall_core::envelope::{EnvelopeBuilder, EventEnvelope};
use squall_core::event_id::Occurrence;
use squall_core::store::MemoryStore;
use tokio::time::sleep;

use super::SIGHTINGS;
use super::injector::HARNESS;
use super::observer::Observer;
use crate::bus::KafkaBus;
use crate::history::{Digest, OpId, Operation, Record, Recorder};
use crate::plan::{Emission, Plan, Spoil};
use crate::scenario::schema::Workload;
use crate::seed::Seed;
use crate::sim::{EPOCH_MS, now};

/// More than any broker takes by default.
const OVERSIZED_BYTES: usize = 1_100_000;

/// The workloads of a plan. Clones are handles to the same ones.
#[derive(Clone)]
pub(super) struct Load {
    shared: Rc<Shared>,
}

struct Shared {
    seed: Seed,
    workloads: Vec<(Workload, Vec<Emission>)>,
    recorder: Recorder,
    observer: Rc<RefCell<Observer>>,
    next_op: Cell<u64>,
    /// Publications still to be made or under way.
    open: Cell<usize>,
}

/// One publication of an event.
struct Publication {
    due: Duration,
    event: EventEnvelope,
    builder: EnvelopeBuilder,
    emission: Emission,
    repeated: bool,
}

impl Load {
    pub(super) fn new(plan: &Plan, recorder: Recorder, observer: Rc<RefCell<Observer>>) -> Self {
        let workloads: Vec<(Workload, Vec<Emission>)> =
            plan.workloads.iter().map(|it| (it.clone(), plan.emissions(it).collect())).collect();
        let repeated =
            |emission: &Emission| emission.spoil.iter().any(|it| matches!(it, Spoil::Duplicate { .. }));
        let all = || workloads.iter().flat_map(|(_, emissions)| emissions);
        let open = Cell::new(all().count() + all().filter(|emission| repeated(emission)).count());
        let next_op = Cell::new(0);
        Self { shared: Rc::new(Shared { seed: plan.seed, workloads, recorder, observer, next_op, open }) }
    }

    /// Whether every operation has been answered.
    pub(super) fn is_done(&self) -> bool {
        self.shared.open.get() == 0
    }

    /// The software of the load's host.
    pub(super) async fn run(self, buses: BTreeMap<String, KafkaBus>) {
        for (workload, emissions) in &self.shared.workloads {
            // The loader has checked that the cluster is there.
            let Some(bus) = buses.get(workload.cluster()) else { continue };
            let lines = self.lines(workload, emissions);
            for (number, (key, line)) in (0..).zip(lines) {
                let client = Client::new(&self.shared, bus, workload, &key, number);
                tokio::task::spawn_local(self.clone().publish_line(client, line));
            }
        }
        std::future::pending().await
    }

    /// The publications of each key, in the order they are due.
    fn lines(&self, workload: &Workload, emissions: &[Emission]) -> BTreeMap<String, Vec<Publication>> {
        let mut lines: BTreeMap<String, Vec<Publication>> = BTreeMap::new();
        for emission in emissions {
            let Some((builder, event)) = envelope(workload, emission) else {
                self.shared.open.set(self.shared.open.get() - 1);
                continue;
            };
            let (mut due, mut again) = (emission.at, None);
            for spoil in &emission.spoil {
                match spoil {
                    Spoil::Late { by } => due += *by,
                    Spoil::Duplicate { after } => again = Some(*after),
                    _ => {}
                }
            }
            let line = lines.entry(emission.key.clone()).or_default();
            let publication = |due, repeated| Publication {
                due,
                event: event.clone(),
                builder: builder.clone(),
                emission: emission.clone(),
                repeated,
            };
            line.push(publication(due, false));
            line.extend(again.map(|after| publication(due + after, true)));
        }
        for line in lines.values_mut() {
            line.sort_by_key(|publication| publication.due);
        }
        lines
    }

    async fn publish_line(self, client: Client, line: Vec<Publication>) {
        let mut sequences: BTreeMap<u64, u64> = BTreeMap::new();
        for publication in line {
            sleep(publication.due.saturating_sub(now())).await;
            let next = sequences.len() as u64;
            let sequence = *sequences.entry(publication.emission.n).or_insert(next);
            self.publish(&client, &publication, sequence).await;
            self.shared.open.set(self.shared.open.get() - 1);
        }
    }

    async fn publish(&self, client: &Client, publication: &Publication, sequence: u64) {
        let shared = &self.shared;
        let op = OpId(shared.next_op.replace(shared.next_op.get() + 1));
        let event = &publication.event;
        let poison = publication.emission.spoil.contains(&Spoil::Poison);
        let value = if poison { poisoned(event) } else { Bytes::from(event.to_bytes()) };
        shared.recorder.record(
            HARNESS,
            Record::Invoke(Operation {
                op,
                event: event.id().to_string().into(),
                business_key: event.subject().unwrap_or_default().into(),
                ordering_key: publication.emission.key.as_str().into(),
                sequence,
                topic: client.topic.as_str().into(),
                value: Digest::of(&value),
                poison,
            }),
        );
        if publication.repeated {
            shared.recorder.saw(SIGHTINGS[0]);
        }
        let outcome = client.publish(publication, poison.then_some(value)).await;
        let told = |error: &dyn std::fmt::Display| error.to_string().into();
        let record = match outcome {
            Ok((partition, offset)) => {
                let mut observer = shared.observer.borrow_mut();
                observer.accepted(&event.id().to_string(), &client.topic, partition, offset);
                Record::Ok { op, partition, offset }
            }
            Err(Answer::No(error)) => Record::Fail { op, reason: told(&error) },
            Err(Answer::None(error)) => Record::Info { op, reason: told(&error) },
        };
        shared.recorder.record(HARNESS, record);
    }
}

/// What a client is told when it is not told *ok*.
enum Answer {
    No(String),
    None(String),
}

/// The client of one key.
struct Client {
    env: Env,
    topic: String,
    options: PublisherOptions,
}

impl Client {
    fn new(shared: &Shared, bus: &KafkaBus, workload: &Workload, key: &str, number: u64) -> Self {
        let entropy = Entropy::from_seed(shared.seed.derive("load", &workload.name, number).0);
        let clock = Clock::from_source(EPOCH_MS, now);
        // A client outside the system has no store; the environment wants one all the same.
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let env = Env::new(format!("{}/{key}", workload.name), Arc::new(bus.clone()), store, entropy, clock);
        let options = PublisherOptions {
            idempotent: workload.producer.idempotent,
            delivery_timeout: workload.producer.delivery_timeout,
        };
        Self { env, topic: workload.topic().to_owned(), options }
    }

    async fn publish(&self, publication: &Publication, raw: Option<Bytes>) -> Result<(i32, i64), Answer> {
        let no = |error: &BusError| Answer::No(error.to_string());
        if let Some(value) = raw {
            let publisher = self.env.bus.publisher(self.options.clone()).await.map_err(|error| no(&error))?;
            let key = Some(Bytes::from(publication.emission.key.clone()));
            let record = OutgoingRecord { topic: self.topic.clone(), key, headers: Vec::new(), value };
            return match publisher.publish(record).await {
                Ok((at, offset)) => Ok((at.partition, offset)),
                Err(error @ BusError::Unknown(_)) => Err(Answer::None(error.to_string())),
                Err(error) => Err(no(&error)),
            };
        }
        let options = EmitterOptions { publisher: self.options.clone(), ..EmitterOptions::default() };
        let emitter = Emitter::new(self.env.clone(), options).await.map_err(|error| no(&error))?;
        match emitter.emit(&self.topic, publication.builder.clone()).await {
            Ok(emitted) => Ok((emitted.partition.partition, emitted.offset)),
            Err(error @ EmitError::Unknown { .. }) => Err(Answer::None(error.to_string())),
            Err(error) => Err(Answer::No(error.to_string())),
        }
    }
}

/// The event of an emission. `None` only if the scenario's payload has no canonical form.
fn envelope(workload: &Workload, emission: &Emission) -> Option<(EnvelopeBuilder, EventEnvelope)> {
    let subject = format!("{}-{}", workload.name, emission.n);
    let mut data: serde_json::Map<String, Value> = emission.data.clone().into_iter().collect();
    data.insert(workload.id_field.clone(), Value::String(subject.clone()));
    if emission.spoil.contains(&Spoil::Oversized) {
        data.insert("padding".to_owned(), Value::String("x".repeat(OVERSIZED_BYTES)));
    }
    let due_ms = i64::try_from(emission.at.as_millis()).unwrap_or(i64::MAX);
    let builder = EventEnvelope::builder(&workload.emit, 1, "squall://load")
        .subject(&subject)
        .occurrence(Occurrence::Business(subject.clone()))
        .partition_key(&emission.key)
        .time_ms(EPOCH_MS.saturating_add(due_ms))
        .data(Value::Object(data));
    let event = builder.clone().build().ok()?;
    Some((builder, event))
}

/// The event's bytes, cut off in the middle: no JSON any more.
fn poisoned(event: &EventEnvelope) -> Bytes {
    let mut bytes = event.to_bytes();
    bytes.truncate(bytes.len() / 2);
    Bytes::from(bytes)
}
