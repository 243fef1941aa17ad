//! Reads the topics that results and dead letters go to, and tells whether the system is done.
//!
//! It reads the brokers' logs directly, not through a client, so no fault can blind it, and sees a record in the
//! step in which it becomes visible. Which topics these are, the topology says by their role.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use squall_core::envelope::EventEnvelope;
use squall_core::processor::HEADER_PREFIX;
use squall_mocks::kafka::{KafkaCluster, LogRecord};

use crate::history::{DeadLetter, Digest, Observed, Record, Recorder, Text};
use crate::scenario::schema::Role;
use crate::sim::now;

/// The system is quiet once nothing was recorded for this long.
const QUIET: Duration = Duration::from_secs(1);

pub(super) struct Observer {
    watched: Vec<Watched>,
    recorder: Recorder,
    /// Accepted events that have neither a result nor a dead letter, with where they lie.
    open: BTreeMap<String, Place>,
    /// Events and places that have one, should the acknowledgement come later.
    closed: BTreeSet<String>,
    closed_places: BTreeSet<Place>,
    last_news: Duration,
}

/// Topic, partition and offset: what identifies an event that cannot be read.
type Place = (String, i32, i64);

struct Watched {
    cluster: KafkaCluster,
    host: Text,
    topic: Text,
    role: Role,
    /// The next offset to read, per partition.
    next: BTreeMap<i32, i64>,
}

impl Observer {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self {
            watched: Vec::new(),
            recorder,
            open: BTreeMap::new(),
            closed: BTreeSet::new(),
            closed_places: BTreeSet::new(),
            last_news: Duration::ZERO,
        }
    }

    pub(super) fn watch(
        &mut self,
        cluster: &KafkaCluster,
        name: &str,
        topic: &str,
        partitions: i32,
        role: Role,
    ) {
        self.watched.push(Watched {
            cluster: cluster.clone(),
            host: name.into(),
            topic: topic.into(),
            role,
            next: (0..partitions).map(|partition| (partition, 0)).collect(),
        });
    }

    /// The workload's event was accepted.
    pub(super) fn accepted(&mut self, event: &str, topic: &str, partition: i32, offset: i64) {
        self.last_news = now();
        let place = (topic.to_owned(), partition, offset);
        if !self.closed.contains(event) && !self.closed_places.contains(&place) {
            self.open.insert(event.to_owned(), place);
        }
    }

    /// Reads what is new.
    pub(super) fn read(&mut self) {
        let mut news = Vec::new();
        for watched in &mut self.watched {
            let Watched { cluster, host, topic, role, next } = watched;
            for (partition, next) in next {
                if cluster.end_offset(topic, *partition).is_none_or(|end| end <= *next) {
                    continue;
                }
                // The topic was there a line ago. What may yet be aborted is not seen by those who wait for it.
                for record in cluster.committed_from(topic, *partition, *next).unwrap_or_default() {
                    *next = record.offset + 1;
                    let (what, root) = match *role {
                        Role::Results => {
                            let value = record.value.as_deref();
                            let envelope = value.and_then(|value| EventEnvelope::from_bytes(value).ok());
                            let root = envelope.as_ref().and_then(EventEnvelope::correlation_id);
                            let root = root.map(str::to_owned);
                            (observed(topic, *partition, record.offset, envelope.as_ref()), root)
                        }
                        Role::DeadLetters => (dead_letter(&record), None),
                        Role::Plain => continue,
                    };
                    news.push((Arc::clone(host), what, root));
                }
            }
        }
        for (host, what, root) in news {
            self.last_news = now();
            self.close(&what);
            // The result of a result ends the event that began it all.
            if let Some(root) = root {
                self.open.remove(&root);
                self.closed.insert(root);
            }
            self.recorder.record(host, what);
        }
    }

    fn close(&mut self, what: &Record) {
        let event = match what {
            Record::Observe(observed) => observed.cause.as_deref(),
            Record::DeadLetter(letter) => {
                let place = (letter.topic.to_string(), letter.partition, letter.offset);
                self.open.retain(|_, open| *open != place);
                self.closed_places.insert(place);
                letter.event.as_deref()
            }
            _ => None,
        };
        if let Some(event) = event {
            self.open.remove(event);
            self.closed.insert(event.to_owned());
        }
    }

    /// Whether every accepted event has its result or is a dead letter, and nothing has come for a while.
    pub(super) fn is_quiet(&self) -> bool {
        self.open.is_empty() && now() >= self.last_news + QUIET
    }
}

fn observed(topic: &Text, partition: i32, offset: i64, envelope: Option<&EventEnvelope>) -> Record {
    let text = |id: Option<String>| id.unwrap_or_default().into();
    Record::Observe(Observed {
        topic: Arc::clone(topic),
        partition,
        offset,
        event: text(envelope.map(|it| it.id().to_string())),
        cause: envelope.and_then(|it| it.causation_id()).map(|id| id.to_string().into()),
        business_key: text(envelope.and_then(|it| it.subject()).map(str::to_owned)),
    })
}

fn dead_letter(record: &LogRecord) -> Record {
    let header = |name: &str| {
        let of = |(other, _): &&(String, _)| other.strip_prefix(HEADER_PREFIX) == Some(name);
        let value = record.headers.iter().find(of).and_then(|(_, value)| value.as_deref());
        value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let value = record.value.as_deref().unwrap_or_default();
    let event = EventEnvelope::from_bytes(value).ok().map(|envelope| envelope.id().to_string().into());
    Record::DeadLetter(DeadLetter {
        topic: header("topic").into(),
        partition: header("partition").parse().unwrap_or(-1),
        offset: header("offset").parse().unwrap_or(-1),
        event,
        key: record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into(),
        value: Digest::of(value),
        attempts: header("attempts").parse().unwrap_or(0),
        reason: header("reason").into(),
    })
}
