//! One direction between two hosts: its latency, and what faults have done to it.
//!
//! Latency is drawn here, per direction, from streams of the link's own, so that a fault on one link changes
//! no draw on another, and a fault's extra latency changes no draw of the base latency.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// What a fault does to one direction of a link while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing arrives. What was sent waits, as TCP keeps retransmitting, until the link is back or the
    /// retransmission timeout has passed and the connection is reset.
    Down,
    /// Adds to the latency: `add`, and up to `jitter` more.
    Latency {
        /// Always added.
        add: Duration,
        /// At most added on top, drawn for each write.
        jitter: Duration,
    },
    /// Lets through at most this many bytes a second, per connection.
    Bandwidth(u64),
    /// Hands the reader at most this many bytes at a time.
    Slice(usize),
    /// Resets a connection once it has carried this many bytes.
    CutAfter(u64),
}

/// The latency of a link nothing is wrong with: `base`, and up to `jitter` more.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The least time a byte takes. Not less than a tick, or the order hosts run in shows.
    pub base: Duration,
    /// At most added on top, drawn for each write.
    pub jitter: Duration,
}

pub(super) struct Link {
    latency: Latency,
    base_draws: ChaCha8Rng,
    fault_draws: ChaCha8Rng,
    /// Conditions with the fault each belongs to, in the order they began.
    conditions: Vec<(u64, Condition)>,
    pub(super) down_since: Option<Duration>,
}

impl Link {
    pub(super) fn new(latency: Latency, base_draws: ChaCha8Rng, fault_draws: ChaCha8Rng) -> Self {
        Self { latency, base_draws, fault_draws, conditions: Vec::new(), down_since: None }
    }

    /// Draws how long the next write takes to arrive.
    pub(super) fn draw_latency(&mut self) -> Duration {
        let mut total = self.latency.base + up_to(&mut self.base_draws, self.latency.jitter);
        for (_, condition) in &self.conditions {
            if let Condition::Latency { add, jitter } = condition {
                total += *add + up_to(&mut self.fault_draws, *jitter);
            }
        }
        total
    }

    pub(super) fn base_latency(&self) -> Duration {
        self.latency.base
    }

    pub(super) fn is_down(&self) -> bool {
        self.down_since.is_some()
    }

    pub(super) fn bandwidth(&self) -> Option<u64> {
        self.least(|condition| match condition {
            Condition::Bandwidth(rate) => Some((*rate).max(1)),
            _ => None,
        })
    }

    pub(super) fn slice(&self) -> Option<usize> {
        self.least(|condition| match condition {
            Condition::Slice(bytes) => Some((*bytes).max(1)),
            _ => None,
        })
    }

    pub(super) fn cut_after(&self) -> Option<u64> {
        self.least(|condition| match condition {
            Condition::CutAfter(bytes) => Some(*bytes),
            _ => None,
        })
    }

    pub(super) fn apply(&mut self, fault: u64, condition: Condition, now: Duration) {
        if condition == Condition::Down {
            self.down_since.get_or_insert(now);
        }
        self.conditions.push((fault, condition));
    }

    /// Ends a fault's conditions; answers whether the link came back by that.
    pub(super) fn clear(&mut self, fault: u64) -> bool {
        self.conditions.retain(|(of, _)| *of != fault);
        let still_down = self.conditions.iter().any(|(_, condition)| *condition == Condition::Down);
        let came_back = self.is_down() && !still_down;
        if came_back {
            self.down_since = None;
        }
        came_back
    }

    fn least<T: Ord>(&self, pick: impl Fn(&Condition) -> Option<T>) -> Option<T> {
        self.conditions.iter().filter_map(|(_, condition)| pick(condition)).min()
    }
}

/// Draws a duration from 0 to `most`, in microseconds. Draws nothing if `most` is zero.
fn up_to(rng: &mut ChaCha8Rng, most: Duration) -> Duration {
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 { Duration::ZERO } else { Duration::from_micros(rng.random_range(0..=micros)) }
}
