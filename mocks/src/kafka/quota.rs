//! Quotas: which rate a client may have, and for how long it has to wait when it has more.
//!
//! Rates are Kafka's: bytes over the last samples (`quota.window.num` of `quota.window.size.seconds`), and at
//! least all but one of them, so that a burst counts from the start. Byte rates of producers and consumers are
//! held to; the other quotas are kept and told.

use std::collections::{BTreeMap, VecDeque};

/// What a quota is for: user, client id or address by the kind, none for the default of the kind.
pub(crate) type Entity = BTreeMap<String, Option<String>>;

/// Limits by name, of every entity that has some.
pub(crate) type Quotas = BTreeMap<Entity, BTreeMap<String, f64>>;

pub(crate) const USER: &str = "user";
pub(crate) const CLIENT_ID: &str = "client-id";
pub(crate) const IP: &str = "ip";

/// A rate that is limited, numbered for order only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rate {
    Produce,
    Fetch,
}

impl Rate {
    fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
        }
    }
}

/// Who shares a rate: a user, a client id, or both; empty for what does not count.
pub(crate) type Sharers = (String, String);

/// The limit of a client in bytes per second, and with whom it shares that; none if it has none.
pub(crate) fn limit(quotas: &Quotas, rate: Rate, user: &str, client: &str) -> Option<(f64, Sharers)> {
    let (some, all) = (|name: &str| Some(name.to_owned()), None::<String>);
    // The nearest first: of this user, then of every user, then of clients whoever their user is.
    let entities = [
        (Some(some(user)), Some(some(client))),
        (Some(some(user)), Some(all.clone())),
        (Some(some(user)), None),
        (Some(all.clone()), Some(some(client))),
        (Some(all.clone()), Some(all.clone())),
        (Some(all.clone()), None),
        (None, Some(some(client))),
        (None, Some(all)),
    ];
    entities.into_iter().find_map(|(of_user, of_client)| {
        let shared = |counts: bool, name: &str| if counts { name.to_owned() } else { String::new() };
        let sharers = (shared(of_user.is_some(), user), shared(of_client.is_some(), client));
        let parts = [(USER, of_user), (CLIENT_ID, of_client)];
        let entity: Entity =
            parts.into_iter().filter_map(|(kind, name)| Some((kind.to_owned(), name?))).collect();
        Some((*quotas.get(&entity)?.get(rate.key())?, sharers))
    })
}

/// How rates are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub samples: usize,
    pub size_ms: i64,
}

/// Amounts of the last windows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    start: i64,
    last: i64,
    sum: f64,
}

impl Meter {
    /// Adds an amount at `now` (milliseconds).
    pub fn record(&mut self, windows: Windows, amount: f64, now: i64) {
        match self.samples.back_mut().filter(|sample| now - sample.start < windows.size_ms) {
            Some(sample) => {
                sample.last = now;
                sample.sum += amount;
            }
            None => {
                if self.samples.len() > windows.samples {
                    self.samples.pop_front();
                }
                self.samples.push_back(Sample { start: now, last: now, sum: amount });
            }
        }
    }

    /// How long to wait, in milliseconds, until the rate is at most `limit` a second.
    pub fn throttle(&mut self, windows: Windows, limit: f64, now: i64) -> i64 {
        let kept = i64::try_from(windows.samples).unwrap_or(1) * windows.size_ms;
        self.samples.retain(|sample| now - sample.last < kept);
        let elapsed = self.samples.front().map_or(0, |sample| now - sample.start);
        let full = elapsed / windows.size_ms;
        let least = i64::try_from(windows.samples.saturating_sub(1)).unwrap_or(0);
        let span = (elapsed + (least - full).max(0) * windows.size_ms).max(1);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        #[expect(clippy::cast_precision_loss, reason = "spans are minutes at most")]
        let span = span as f64;
        let rate = sum / span * 1000.0;
        let wait = ((rate - limit) / limit * span).round();
        // Too long a wait is no wait that ends.
        #[expect(clippy::cast_possible_truncation, reason = "bounded on the line itself")]
        if rate > limit { wait.min(f64::from(i32::MAX)) as i64 } else { 0 }
    }

    /// When something was last added.
    pub fn last(&self) -> i64 {
        self.samples.back().map_or(i64::MIN, |sample| sample.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOWS: Windows = Windows { samples: 11, size_ms: 1000 };

    type Part = (&'static str, Option<&'static str>);

    fn quotas(entities: &[(&[Part], f64)]) -> Quotas {
        let entity = |parts: &[Part]| {
            parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect()
        };
        let values = |limit| BTreeMap::from([("producer_byte_rate".to_owned(), limit)]);
        entities.iter().map(|(parts, limit)| (entity(parts), values(*limit))).collect()
    }

    #[test]
    fn the_nearest_quota_is_in_force_and_says_who_shares_it() {
        let all = quotas(&[
            (&[(USER, Some("bob")), (CLIENT_ID, Some("app"))], 1.0),
            (&[(USER, Some("bob"))], 2.0),
            (&[(USER, None)], 3.0),
            (&[(CLIENT_ID, Some("app"))], 4.0),
            (&[(CLIENT_ID, None)], 5.0),
        ]);
        let of = |user: &str, client: &str| limit(&all, Rate::Produce, user, client);
        let shared = |user: &str, client: &str| (user.to_owned(), client.to_owned());
        assert_eq!(of("bob", "app"), Some((1.0, shared("bob", "app"))));
        assert_eq!(of("bob", "other"), Some((2.0, shared("bob", ""))));
        assert_eq!(of("eve", "app"), Some((3.0, shared("eve", ""))));
        let clients = quotas(&[(&[(CLIENT_ID, Some("app"))], 4.0), (&[(CLIENT_ID, None)], 5.0)]);
        assert_eq!(limit(&clients, Rate::Produce, "eve", "app"), Some((4.0, shared("", "app"))));
        assert_eq!(limit(&clients, Rate::Produce, "eve", "else"), Some((5.0, shared("", "else"))));
        assert_eq!(limit(&clients, Rate::Fetch, "eve", "app"), None);
    }

    #[test]
    fn a_burst_counts_over_ten_seconds_from_the_start() {
        let mut meter = Meter::default();
        meter.record(WINDOWS, 10_000.0, 0);
        assert_eq!(meter.throttle(WINDOWS, 1000.0, 0), 0);
        meter.record(WINDOWS, 10_000.0, 0);
        // Twice the rate over 10 s: as long again until it is the rate.
        assert_eq!(meter.throttle(WINDOWS, 1000.0, 0), 10_000);
        assert_eq!(meter.throttle(WINDOWS, 1000.0, 11_000), 0);
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_stays_at_the_limit(amounts in proptest::collection::vec(1_u32..5000, 20..60)) {
            let (mut meter, mut now, mut sum) = (Meter::default(), 0_i64, 0.0);
            for amount in amounts {
                meter.record(WINDOWS, f64::from(amount), now);
                sum += f64::from(amount);
                now += meter.throttle(WINDOWS, 1000.0, now);
            }
            // What may go at once is a burst of ten seconds; the rest needs its time.
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let allowed = now as f64 + 11_000.0;
            prop_assert!(sum <= allowed * 1.2, "{sum} in {now} ms");
        }
    }
}
