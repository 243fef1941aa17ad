//! Writes chaos out as faults with times and hosts.
//!
//! Each entry of `[chaos]` is a process of its own: a gap, an occurrence, a gap, …, each drawn from streams
//! under the entry's name. Then the occurrences of all entries compete for the `max-concurrent` places: each
//! draws a ticket u^(1/weight), and the highest go first (weighted sampling after Efraimidis and Spirakis),
//! so leaving an entry out changes no draw of another; at most it leaves room for more of them.

use std::time::Duration;

use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::draw::{Names, name_rule, resolve};
use super::{Origin, PlannedFault, Trigger};
use crate::fault::{Fault, Hosts};
use crate::scenario::schema::{Chaos, ChaosEntry, Scenario, Span};
use crate::seed::Seed;

/// Most occurrences of one entry; a checked scenario expects fewer.
const OCCURRENCES_MAX: u64 = 20_000;
/// The share of entries a swarm enables: few enough to find what others mask, seldom none.
const SWARM_SHARE: f64 = 2.0 / 3.0;

/// A fault that happens if there is room for it.
struct Candidate {
    ticket: f64,
    start: Duration,
    end: Duration,
    fault: PlannedFault,
}

/// The faults chaos comes to under `seed`, in order of time.
pub(super) fn draw(scenario: &Scenario, hosts: &[String], seed: Seed) -> Vec<PlannedFault> {
    let Some(chaos) = &scenario.chaos else { return Vec::new() };
    let mut names = Names::default();
    let mut candidates = Vec::new();
    for entry in &chaos.any {
        let Some(fault) = entry.fault() else { continue };
        let name = names.name(entry.name.as_deref(), fault.kind(), &fault);
        if let Some(weight) = weight(chaos, entry, &name, seed) {
            let process = Process { entry, fault, name, weight, hosts, seed, healed: scenario.run.duration };
            candidates.extend(process.candidates());
        }
    }
    let mut admitted = admit(candidates, chaos.max_concurrent);
    admitted.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| a.fault.name.cmp(&b.fault.name)));
    admitted.into_iter().map(|candidate| candidate.fault).collect()
}

/// The weight of an entry under this seed; `None` if the swarm leaves it out.
fn weight(chaos: &Chaos, entry: &ChaosEntry, name: &str, seed: Seed) -> Option<u32> {
    if !chaos.swarm {
        return Some(entry.weight);
    }
    let mut rng = seed.stream("chaos.swarm", name, 0);
    let enabled = rng.random_bool(SWARM_SHARE);
    let weight = rng.random_range(1..=100);
    enabled.then_some(weight)
}

/// One entry's occurrences.
struct Process<'a> {
    entry: &'a ChaosEntry,
    fault: Fault,
    name: String,
    weight: u32,
    hosts: &'a [String],
    seed: Seed,
    healed: Duration,
}

impl Process<'_> {
    fn candidates(&self) -> Vec<Candidate> {
        let gaps = self.seed.streams("chaos.gap", &self.name);
        let mut candidates = Vec::new();
        let mut free = Duration::ZERO;
        for n in 0..OCCURRENCES_MAX {
            let start = free.saturating_add(exponential(&mut gaps.at(n), self.entry.gap.mean));
            if start >= self.healed {
                break;
            }
            let drawn = self.length(n);
            free = start.saturating_add(drawn.unwrap_or_default());
            candidates.extend(self.candidate(n, start, drawn));
        }
        candidates
    }

    fn length(&self, n: u64) -> Option<Duration> {
        let Span { min, max } = self.entry.lasts?;
        let mut rng = self.seed.stream("chaos.for", &self.name, n);
        Some(milliseconds(rng.random_range(whole(min)..=whole(max).max(whole(min)))))
    }

    /// The `n`-th occurrence, shortened to end with the run's duration; `None` if that leaves too little.
    fn candidate(&self, n: u64, start: Duration, drawn: Option<Duration>) -> Option<Candidate> {
        let room = self.healed.saturating_sub(start);
        let lasts = drawn.map(|drawn| drawn.min(room));
        if let (Some(lasts), Some(span)) = (lasts, self.entry.lasts)
            && lasts < span.min
        {
            return None;
        }
        let mut fault = self.fault.clone();
        choose_hosts(&mut fault, self.hosts, &mut self.seed.stream("chaos.hosts", &self.name, n))?;
        let name = format!("chaos.{}.{n}", self.name);
        name_rule(&mut fault, &name);
        let uniform: f64 = self.seed.stream("chaos.ticket", &self.name, n).random();
        let ticket = uniform.powf(1.0 / f64::from(self.weight.max(1)));
        let fault = PlannedFault { name, trigger: Trigger::At(start), lasts, fault, origin: Origin::Chaos };
        let end = fault.end(self.healed).unwrap_or(start).max(start + Duration::from_millis(1));
        Some(Candidate { ticket, start, end, fault })
    }
}

/// Replaces each pattern by hosts: all it selects, or one of them, evenly. `None` if a link has only one end.
fn choose_hosts(fault: &mut Fault, all: &[String], rng: &mut ChaCha8Rng) -> Option<()> {
    let mut taken: Vec<String> = Vec::new();
    for (_, hosts) in fault.hosts_mut() {
        let mut selected = resolve(hosts, all).names().to_vec();
        selected.retain(|host| !taken.contains(host));
        let everyone = rng.random_bool(0.5);
        let one = selected.choose(rng).cloned()?;
        // The first end must not take every host when the second wants some of the same.
        if !everyone || selected.len() == all.len() {
            selected = vec![one];
        }
        taken.extend(selected.iter().cloned());
        *hosts = Hosts::new(selected);
    }
    Some(())
}

/// Those with the highest tickets of which no more than `most` are active at once.
fn admit(mut candidates: Vec<Candidate>, most: u32) -> Vec<Candidate> {
    // Ties are broken by name, so that the order never depends on the file's.
    candidates.sort_by(|a, b| b.ticket.total_cmp(&a.ticket).then_with(|| a.fault.name.cmp(&b.fault.name)));
    let mut admitted: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let overlapping =
            admitted.iter().filter(|other| other.start < candidate.end && candidate.start < other.end);
        let overlapping: Vec<&Candidate> = overlapping.collect();
        let active =
            |at: Duration| overlapping.iter().filter(|other| other.start <= at && at < other.end).count();
        // The number of active faults only rises where one starts.
        let starts = overlapping.iter().map(|other| other.start.max(candidate.start));
        let peak = starts.map(active).max().unwrap_or(0);
        if peak < most as usize {
            admitted.push(candidate);
        }
    }
    admitted
}

/// A time from an exponential distribution, in whole milliseconds, at least one.
fn exponential(rng: &mut ChaCha8Rng, mean: Duration) -> Duration {
    let uniform: f64 = rng.random();
    // `uniform` is below 1, so the logarithm is finite.
    let factor = -(1.0 - uniform).ln();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
    let drawn = (mean.as_secs_f64() * factor * 1000.0).round() as u64;
    milliseconds(drawn.max(1))
}

fn whole(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}
