//! `LATENCY`: what stalled the server, by kind of event, and how long commands took.
//!
//! The kinds that can occur here are `command` and `fast-command`; there is no disk, fork or defragmentation.

use std::collections::{BTreeMap, VecDeque};

use super::Engine;
use super::table::Spec;
use super::table::flags::FAST;

/// Samples kept of each event.
const SAMPLES: usize = 160;

/// When and how long: Unix seconds and milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) at_s: i64,
    pub(crate) ms: i64,
}

/// The samples of one event, the oldest first: one for each second in which there was one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) samples: VecDeque<Sample>,
    /// The longest ever, in milliseconds.
    pub(crate) longest_ms: i64,
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.longest_ms = self.longest_ms.max(sample.ms);
        match self.samples.back_mut() {
            Some(last) if last.at_s == sample.at_s => last.ms = last.ms.max(sample.ms),
            _ => {
                if self.samples.len() == SAMPLES {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
        }
    }
}

/// What stalled the server.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    pub(crate) events: BTreeMap<&'static str, Series>,
}

impl Engine {
    /// Notes how long a command took, if that is long enough to be watched.
    pub(super) fn note_latency(&mut self, spec: &'static Spec, took_us: i64) {
        let (threshold, took_ms) = (self.config.tuning.latency_threshold_ms, took_us / 1000);
        if threshold == 0 || took_ms < threshold {
            return;
        }
        let event = if spec.has(FAST) { "fast-command" } else { "command" };
        // The sample is taken when the command is over.
        let at_s = (self.at.unix_us + took_us).div_euclid(1_000_000);
        self.latency.events.entry(event).or_default().add(Sample { at_s, ms: took_ms });
    }
}

/// How many calls took how long: counts by the power of two of microseconds that they stayed within.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    calls: u64,
    /// Counts of the calls beyond the first step; most take no time.
    longer: BTreeMap<u32, u64>,
}

/// Steps of the real server's histogram: from a microsecond to over an hour.
const STEPS: u32 = 40;

impl Histogram {
    pub(crate) fn add(&mut self, took_us: i64) {
        self.calls += 1;
        let ns = i128::from(took_us) * 1000;
        let step = (0..STEPS).find(|step| ns <= highest_ns(*step)).unwrap_or(STEPS);
        if step > 0 {
            *self.longer.entry(step).or_default() += 1;
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// Microseconds, and how many calls took no longer.
    pub(crate) fn cumulative(&self) -> Vec<(i64, u64)> {
        let mut total = self.calls - self.longer.values().sum::<u64>();
        let mut steps = Vec::new();
        if total > 0 {
            steps.push((1, total));
        }
        for (step, count) in &self.longer {
            total += count;
            steps.push((i64::try_from(highest_ns(*step) / 1000).unwrap_or(i64::MAX), total));
        }
        steps
    }
}

/// The longest time that counts for a step. The real server counts with two digits, so that its steps of powers
/// of two each end a little later.
fn highest_ns(step: u32) -> i128 {
    let power = 1024_i128 << step;
    power + power / 128 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_the_real_server() {
        let steps: Vec<i128> = (0..9).map(|step| highest_ns(step) / 1000).collect();
        assert_eq!(steps, [1, 2, 4, 8, 16, 33, 66, 132, 264]);
    }

    #[test]
    fn one_second_has_one_sample_the_longest() {
        let mut series = Series::default();
        for (at_s, ms) in [(1, 5), (1, 7), (1, 6), (2, 1)] {
            series.add(Sample { at_s, ms });
        }
        let samples: Vec<_> = series.samples.iter().map(|sample| (sample.at_s, sample.ms)).collect();
        assert_eq!(samples, [(1, 7), (2, 1)]);
        assert_eq!(series.longest_ms, 7);
    }
}
