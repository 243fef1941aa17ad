//! Fault rules: one schema for every mock, written in Rust or read from TOML or JSON.
//!
//! A rule matches requests (the protocol's own [`Matcher`]) and says what to do with them ([`Act`]). The
//! servers ask [`Rules::decide`] once per request and carry the act out; nothing here does I/O. Which acts a
//! server supports for which request is the server's to document.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Says which requests of one protocol a rule is about. An empty matcher matches every request.
pub trait Matcher: Send + 'static {
    /// A request as the matcher sees it.
    type Request<'a>;

    /// Whether the rule is about `request`.
    fn matches(&self, request: &Self::Request<'_>) -> bool;
}

/// What to do with a matched request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Act {
    /// Answer with this error and do not apply the request. Kafka: an error's name, `NOT_COORDINATOR`.
    /// Redis: the first word of an error of the real server, `LOADING`, or a whole error line.
    Error(String),
    /// Apply the request, then answer with this error all the same.
    ErrorAfter(String),
    /// Wait, then apply and answer.
    Delay(#[serde(with = "crate::rule::duration_text")] Duration),
    /// Apply, then wait before answering.
    DelayAfter(#[serde(with = "crate::rule::duration_text")] Duration),
    /// Close the connection and do not apply the request.
    DropBefore,
    /// Apply the request, then close the connection without an answer: a lost acknowledgement.
    DropAfter,
    /// Neither apply nor answer; the connection stays open.
    Silence,
    /// Apply, send only this many bytes of the answer, then close the connection.
    Truncate(usize),
    /// Kafka only. Answer a fetch with a wrong bit in the first batch of every partition it concerns, so that
    /// the batch does not have its checksum. Other requests are answered as ever.
    CorruptCrc,
    /// Kafka only. Apply and answer, tell the client this time as the one it is throttled for, and take
    /// nothing more from its connection for as long.
    Throttle(#[serde(with = "crate::rule::duration_text")] Duration),
    /// Kafka only. Apply and answer by the metadata before its last change, as a broker that lags behind.
    StaleMetadata,
}

impl Act {
    /// Whether only Kafka has such a thing; elsewhere a rule with it changes nothing.
    #[must_use]
    pub fn is_of_kafka_only(&self) -> bool {
        matches!(self, Self::CorruptCrc | Self::Throttle(_) | Self::StaleMetadata)
    }
}

/// A fault rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule<M> {
    /// Names the rule in traces; made from its number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which requests.
    #[serde(rename = "match")]
    pub matcher: M,
    /// What to do.
    pub act: Act,
    /// Act on the nth matching request only, counted from 1; later ones too if `count` is above 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Act at most this often; without it, and without `nth`, on every match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Act on a match with this probability, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

impl<M> Rule<M> {
    /// A rule that acts on every match.
    pub fn new(matcher: M, act: Act) -> Self {
        Self { name: None, matcher, act, nth: None, count: None, probability: None }
    }

    /// Names the rule.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Limits how often the rule acts.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }

    /// Lets the rule begin at the nth match, counted from 1.
    #[must_use]
    pub fn from_nth(self, nth: u64) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// Lets the rule act with this probability.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self { probability: Some(probability), ..self }
    }
}

/// The rules of one server. Clones share them.
pub struct Rules<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    state: Mutex<State<M>>,
    hit: Notify,
}

struct State<M> {
    seed: u64,
    next_id: u64,
    entries: VecDeque<Entry<M>>,
    /// Hits of rules that were removed, so that a handle can still tell them.
    gone: Vec<(u64, u64)>,
}

struct Entry<M> {
    id: u64,
    name: String,
    rule: Rule<M>,
    /// Drawn from once per match, from a stream of the rule's own: adding or removing another rule changes
    /// no draw of this one.
    rng: ChaCha8Rng,
    matches: u64,
    hits: u64,
}

/// A rule and what it did so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Listed<M> {
    /// Its name, given or made from its number.
    pub name: String,
    /// The rule.
    pub rule: Rule<M>,
    /// Requests it matched.
    pub matches: u64,
    /// Requests it acted on.
    pub hits: u64,
}

/// Most removed rules whose hits are remembered.
const REMEMBERED: usize = 1024;

impl<M: Matcher> Rules<M> {
    /// No rules. `seed` decides the draws of rules with a probability.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State { seed, next_id: 1, entries: VecDeque::new(), gone: Vec::new() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), hit: Notify::new() }) }
    }

    /// Adds a rule behind those there are; the first rule that acts decides a request.
    pub fn add(&self, rule: Rule<M>) -> RuleHandle<M> {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let name = rule.name.clone().unwrap_or_else(|| format!("rule-{id}"));
        let rng = ChaCha8Rng::seed_from_u64(state.seed ^ fnv1a(name.as_bytes()));
        state.entries.push_back(Entry { id, name, rule, rng, matches: 0, hits: 0 });
        RuleHandle { id, rules: self.clone() }
    }

    /// Removes every rule.
    pub fn clear(&self) {
        let ids: Vec<u64> = self.lock().entries.iter().map(|entry| entry.id).collect();
        for id in ids {
            self.remove(id);
        }
    }

    /// Removes the rules of this name; how many there were.
    pub fn remove_named(&self, name: &str) -> usize {
        let named = |entry: &Entry<M>| (entry.name == name).then_some(entry.id);
        let ids: Vec<u64> = self.lock().entries.iter().filter_map(named).collect();
        ids.iter().for_each(|id| self.remove(*id));
        ids.len()
    }

    /// The rules there are, in the order in which they are asked.
    #[must_use]
    pub fn list(&self) -> Vec<Listed<M>>
    where
        M: Clone,
    {
        let listed = |entry: &Entry<M>| Listed {
            name: entry.name.clone(),
            rule: entry.rule.clone(),
            matches: entry.matches,
            hits: entry.hits,
        };
        self.lock().entries.iter().map(listed).collect()
    }

    /// Whether there are no rules; servers ask before they describe a request for matching.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// What to do with `request`: the name and act of the first rule that acts on it. Counts the match.
    #[must_use]
    pub fn decide(&self, request: &M::Request<'_>) -> Option<(String, Act)> {
        let mut state = self.lock();
        let decided = state.entries.iter_mut().find_map(|entry| entry.decide(request));
        drop(state);
        if decided.is_some() {
            self.shared.hit.notify_waiters();
        }
        decided
    }

    fn remove(&self, id: u64) {
        let mut state = self.lock();
        let Some(index) = state.entries.iter().position(|entry| entry.id == id) else { return };
        if let Some(entry) = state.entries.remove(index) {
            if state.gone.len() == REMEMBERED {
                state.gone.remove(0);
            }
            state.gone.push((id, entry.hits));
        }
        drop(state);
        self.shared.hit.notify_waiters();
    }

    fn hits(&self, id: u64) -> u64 {
        let state = self.lock();
        let live = state.entries.iter().find(|entry| entry.id == id).map(|entry| entry.hits);
        let gone = || state.gone.iter().find(|(gone, _)| *gone == id).map(|(_, hits)| *hits);
        live.or_else(gone).unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Matcher> Entry<M> {
    fn decide(&mut self, request: &M::Request<'_>) -> Option<(String, Act)> {
        if !self.rule.matcher.matches(request) {
            return None;
        }
        self.matches += 1;
        // Drawn for every match, acted on or not, so that `nth` and `count` shift no later draw.
        let lucky = self.rule.probability.is_none_or(|p| self.rng.random_bool(p.clamp(0.0, 1.0)));
        let first = self.rule.nth.unwrap_or(1);
        let limit = self.rule.count.unwrap_or(if self.rule.nth.is_some() { 1 } else { u64::MAX });
        if !lucky || self.matches < first || self.hits >= limit {
            return None;
        }
        self.hits += 1;
        Some((self.name.clone(), self.rule.act.clone()))
    }
}

impl<M> Clone for Rules<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M> fmt::Debug for Rules<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

/// Watches and removes one rule. Dropping the handle leaves the rule in place.
#[derive(Clone, Debug)]
pub struct RuleHandle<M> {
    id: u64,
    rules: Rules<M>,
}

impl<M: Matcher> RuleHandle<M> {
    /// How often the rule acted.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.rules.hits(self.id)
    }

    /// Waits until the rule has acted `n` times.
    pub async fn wait(&self, n: u64) {
        loop {
            let hit = self.rules.shared.hit.notified();
            tokio::pin!(hit);
            hit.as_mut().enable();
            if self.hits() >= n {
                return;
            }
            hit.await;
        }
    }

    /// Removes the rule.
    pub fn remove(&self) {
        self.rules.remove(self.id);
    }
}

/// FNV-1a, 64 bits: turns the name of a stream of draws into a number.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Durations as text with a unit: `"250ms"`, `"1.5s"`, `"2m"`, `"1h"`.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Reads `"250ms"`.
    ///
    /// # Errors
    /// A text without a number or without one of the units `us`, `ms`, `s`, `m`, `h`, `d`.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let expected = || format!("expected a duration with a unit like \"250ms\", found {text:?}");
        let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(expected)?;
        let (number, unit) = text.split_at(split);
        let number: f64 = number.trim().parse().map_err(|_| expected())?;
        let seconds = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(expected()),
        };
        // Rounded to a microsecond: 1.1 ms is not exact in binary.
        let micros = (number * seconds * 1e6).round();
        if !(0.0..=1e17).contains(&micros) {
            return Err(format!("expected a duration between 0 and 100 years, found {text:?}"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
        Ok(Duration::from_micros(micros as u64))
    }

    /// Writes the largest unit that is exact.
    #[must_use]
    pub fn format(duration: Duration) -> String {
        let micros = duration.as_micros();
        let units = [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000)];
        let exact = units.iter().find(|(_, size)| micros > 0 && micros.is_multiple_of(*size));
        match exact {
            Some((unit, size)) => format!("{}{unit}", micros / size),
            None if micros.is_multiple_of(1000) => format!("{}ms", micros / 1000),
            None => format!("{micros}us"),
        }
    }

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone)]
    struct Named(&'static str);

    impl Matcher for Named {
        type Request<'a> = &'a str;

        fn matches(&self, request: &Self::Request<'_>) -> bool {
            *request == self.0
        }
    }

    fn acts(rules: &Rules<Named>, n: usize) -> Vec<bool> {
        (0..n).map(|_| rules.decide(&"get").is_some()).collect()
    }

    #[test]
    fn nth_alone_acts_once() {
        let rules = Rules::new(0);
        rules.add(Rule::new(Named("get"), Act::DropAfter).from_nth(2));
        assert_eq!(acts(&rules, 4), [false, true, false, false]);
    }

    #[test]
    fn count_limits_how_often_a_rule_acts_and_the_handle_remembers_after_removal() {
        let rules = Rules::new(0);
        let handle = rules.add(Rule::new(Named("get"), Act::Silence).times(2));
        assert_eq!(acts(&rules, 4), [true, true, false, false]);
        assert!(rules.decide(&"set").is_none());
        handle.remove();
        assert_eq!(handle.hits(), 2);
    }

    #[test]
    fn rules_are_listed_with_their_hits_and_removed_by_name() {
        let rules = Rules::new(0);
        rules.add(Rule::new(Named("get"), Act::Silence).named("quiet").times(1));
        rules.add(Rule::new(Named("set"), Act::DropAfter));
        assert_eq!(acts(&rules, 3), [true, false, false]);
        let seen = rules.list().into_iter().map(|it| (it.name, it.matches, it.hits)).collect::<Vec<_>>();
        assert_eq!(seen, [("quiet".to_owned(), 3, 1), ("rule-2".to_owned(), 0, 0)]);
        assert_eq!((rules.remove_named("quiet"), rules.remove_named("quiet")), (1, 0));
        assert_eq!(rules.list().len(), 1);
    }

    #[test]
    fn draws_of_a_rule_do_not_change_when_another_is_added_before_it() {
        let rule = || Rule::new(Named("get"), Act::DropBefore).with_probability(0.5).named("half");
        let alone = Rules::new(7);
        alone.add(rule());
        let behind = Rules::new(7);
        behind.add(Rule::new(Named("other"), Act::Silence));
        behind.add(rule());
        assert_eq!(acts(&alone, 64), acts(&behind, 64));
    }

    #[test]
    fn durations_need_a_unit_and_survive_a_round_trip() {
        for text in ["250ms", "1500us", "2s", "90m", "1d", "0ms"] {
            let parsed = duration_text::parse(text).expect("a duration");
            assert_eq!(duration_text::parse(&duration_text::format(parsed)), Ok(parsed));
        }
        assert_eq!(duration_text::parse("1.5s"), Ok(Duration::from_millis(1500)));
        for wrong in ["250", "ms", "-1s", "1 fortnight", "1e30d", ""] {
            assert!(duration_text::parse(wrong).is_err(), "{wrong}");
        }
    }
}
