//! The events of a workload, each from streams of its own: its key, its fields, how it is spoiled.
//!
//! They follow from the workload's definition and the seed, so they are made when they are asked for. Adding
//! a field changes no other field, raising the count changes no earlier event.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::Plan;
use crate::scenario::schema::{Fake, Field, Keys, Workload};
use crate::seed::{Seed, Streams};

/// An event to be put into the system.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// Its number in the workload, from 0.
    pub n: u64,
    /// When it is due, from the beginning of the run. An event that is [`Spoil::Late`] is published later.
    pub at: Duration,
    /// Its key.
    pub key: String,
    /// Its payload's fields.
    pub data: BTreeMap<String, Value>,
    /// How it is spoiled; usually not at all.
    pub spoil: Vec<Spoil>,
}

/// A way in which an event is spoiled. Times end within the run's duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spoil {
    /// It is published again, unchanged.
    Duplicate {
        /// So long after the first time.
        after: Duration,
    },
    /// It is published late, behind events that were due after it.
    Late {
        /// So long after it was due.
        by: Duration,
    },
    /// Its payload cannot be read.
    Poison,
    /// Its payload is larger than a broker accepts by default.
    Oversized,
}

impl Plan {
    /// The events of one of the plan's workloads, in order of their numbers.
    pub fn emissions<'w>(&self, workload: &'w Workload) -> impl Iterator<Item = Emission> + use<'w> {
        let source = Source::new(self.seed, self.duration, workload);
        (0..workload.count).map(move |n| source.event(n))
    }
}

/// Longest delay of a late event, and of a duplicate.
const DELAY_MAX_MS: u64 = 10_000;

/// A workload's streams, their names hashed once.
struct Source<'w> {
    workload: &'w Workload,
    duration: Duration,
    keys: Streams,
    /// For Zipf: the share of events that go to the keys up to each.
    cumulative: Vec<f64>,
    fields: Vec<(&'w str, &'w Field, Streams)>,
    spoils: [Streams; 4],
}

impl<'w> Source<'w> {
    fn new(seed: Seed, duration: Duration, workload: &'w Workload) -> Self {
        let name = &workload.name;
        let field = |(key, field): (&'w String, &'w Field)| {
            (key.as_str(), field, seed.streams(&format!("workload.data.{key}"), name))
        };
        let cumulative = match workload.keys {
            Keys::Zipf { n, s } => zipf(n, s),
            Keys::Unique | Keys::Uniform { .. } => Vec::new(),
        };
        let spoil = |kind: &str| seed.streams(&format!("workload.spoil.{kind}"), name);
        Self {
            workload,
            duration,
            keys: seed.streams("workload.key", name),
            cumulative,
            fields: workload.data.iter().map(field).collect(),
            spoils: [spoil("duplicate"), spoil("late"), spoil("poison"), spoil("oversized")],
        }
    }

    fn event(&self, n: u64) -> Emission {
        let at = self.workload.rate.due(n);
        let data = self
            .fields
            .iter()
            .map(|(name, field, streams)| ((*name).to_owned(), value(field, &mut streams.at(n))));
        Emission { n, at, key: self.key(n), data: data.collect(), spoil: self.spoil(n, at) }
    }

    fn key(&self, n: u64) -> String {
        let mut rng = self.keys.at(n);
        let index = match self.workload.keys {
            Keys::Unique => n,
            Keys::Uniform { n: keys } => rng.random_range(0..u64::from(keys.max(1))),
            Keys::Zipf { .. } => {
                let drawn: f64 = rng.random();
                let index = self.cumulative.partition_point(|share| *share <= drawn);
                // The last share may round to a little below 1.
                index.min(self.cumulative.len().saturating_sub(1)) as u64
            }
        };
        format!("key-{index}")
    }

    fn spoil(&self, n: u64, at: Duration) -> Vec<Spoil> {
        let shares = self.workload.spoil;
        let shares = [shares.duplicate, shares.late, shares.poison, shares.oversized];
        let mut spoils = Vec::new();
        for (kind, (share, streams)) in shares.into_iter().zip(&self.spoils).enumerate() {
            if share.is_zero() {
                continue;
            }
            let mut rng = streams.at(n);
            if !rng.random_bool(share.get()) {
                continue;
            }
            let delay = Duration::from_millis(rng.random_range(1..=DELAY_MAX_MS));
            let delay = delay.min(self.duration.saturating_sub(at));
            spoils.push(match kind {
                0 => Spoil::Duplicate { after: delay },
                1 => Spoil::Late { by: delay },
                2 => Spoil::Poison,
                _ => Spoil::Oversized,
            });
        }
        spoils
    }
}

/// The share of the first k keys, for k from 1 to `n`, if the k-th has a weight of 1 / k^s.
fn zipf(n: u32, s: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let mut cumulative: Vec<f64> = (1..=n)
        .map(|k| {
            sum += f64::from(k).powf(-s);
            sum
        })
        .collect();
    cumulative.iter_mut().for_each(|share| *share /= sum);
    cumulative
}

fn value(field: &Field, rng: &mut ChaCha8Rng) -> Value {
    match field {
        Field::Range([low, high]) => rng.random_range(*low..=*high.max(low)).into(),
        Field::Fake(fake) => made_up(*fake, rng).into(),
        Field::OneOf(values) if values.is_empty() => Value::Null,
        Field::OneOf(values) => json(&values[rng.random_range(0..values.len())]),
        Field::Literal(literal) => json(literal),
    }
}

fn json(value: &toml::Value) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

const FIRST: [&str; 12] = [
    "Ada", "Barbara", "Edsger", "Grace", "Hedy", "Jim", "Leslie", "Margaret", "Nancy", "Niklaus", "Radia",
    "Tony",
];
const LAST: [&str; 12] = [
    "Abara",
    "Brandt",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Gupta",
    "Haddad",
    "Ito",
    "Jansen",
    "Kovacs",
    "Lindqvist",
];
const WORDS: [&str; 12] = [
    "amber", "birch", "cobalt", "delta", "ember", "fjord", "grove", "harbor", "indigo", "juniper", "krill",
    "lagoon",
];
const CITIES: [&str; 8] = ["Bergen", "Cusco", "Dakar", "Gdansk", "Hanoi", "Lisbon", "Oaxaca", "Turku"];

/// Our own few lists: a library's would change with its version, and every plan with it.
fn made_up(fake: Fake, rng: &mut ChaCha8Rng) -> String {
    let mut pick = |list: &[&'static str]| list[rng.random_range(0..list.len())];
    match fake {
        Fake::Email => {
            let (first, last) = (pick(&FIRST).to_lowercase(), pick(&LAST).to_lowercase());
            format!("{first}.{last}.{}@example.com", rng.random_range(1..10_000))
        }
        Fake::Name => format!("{} {}", pick(&FIRST), pick(&LAST)),
        Fake::Word => pick(&WORDS).to_owned(),
        Fake::City => pick(&CITIES).to_owned(),
        // 555-0100 to 555-0199 are kept free for fiction.
        Fake::Phone => format!("+1-{}-555-01{:02}", rng.random_range(200..1000), rng.random_range(0..100)),
        Fake::Uuid => uuid::Builder::from_random_bytes(rng.random()).into_uuid().to_string(),
    }
}
