//! The start of a consumer: checked, with one deadline, instead of hoped for.
//!
//! A consumer that subscribes to a topic that is not ready yet may idle, be refused for good, or begin with half of
//! the partitions, depending on the client. [`consumer`] therefore asks first: is the log reachable, is the topic
//! there, has it enough partitions, has each a leader; and only then subscribes. Whatever fails is tried again, with
//! growing pauses, until the deadline. How far it has come is in the environment's [`Health`], for a service to show.
//!
//! Nothing is created here, and nothing is watched afterwards: from then on the consumer looks after itself.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::backoff::Backoff;
use crate::bus::{BusError, Consumer, ConsumerOptions, TopicDescription};
use crate::env::Env;
use crate::{mutant, point};

/// What a consumer needs before it starts, and how long it waits for it.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// From the first attempt to the error.
    pub deadline: Duration,
    /// How long one question may take.
    pub attempt_timeout: Duration,
    /// The bound of the first pause between attempts; it doubles up to `cap`.
    pub base: Duration,
    /// The longest pause between attempts.
    pub cap: Duration,
    /// Partitions each topic must have at least.
    pub partitions_min: usize,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            attempt_timeout: Duration::from_secs(5),
            base: Duration::from_millis(50),
            cap: Duration::from_secs(2),
            partitions_min: 1,
        }
    }
}

/// What is checked before a consumer starts, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StartCheck {
    /// The log answers when asked for the topic.
    Reachable,
    /// The topic is there.
    Topic,
    /// It has as many partitions as are needed.
    Partitions,
    /// Every partition has a leader.
    Leaders,
    /// The client takes the subscription.
    Subscribe,
}

impl fmt::Display for StartCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reachable => "the check that the log answers",
            Self::Topic => "the check that the topic is there",
            Self::Partitions => "the check of the number of partitions",
            Self::Leaders => "the check of the leaders",
            Self::Subscribe => "the subscription",
        })
    }
}

/// Why a consumer did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the consumer of group {group} did not start within {waited:?} ({attempts} attempts): {check} failed for \
     {topic}; last seen: {seen}"
)]
pub struct StartError {
    /// The consumer group.
    pub group: String,
    /// The topic the failing check was about.
    pub topic: String,
    /// The check that failed last.
    pub check: StartCheck,
    /// What it saw last, in words that tell expected from found.
    pub seen: String,
    /// Attempts that were made.
    pub attempts: u32,
    /// From the first attempt to the error.
    pub waited: Duration,
}

/// How far a service's consumers have come. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// By consumer group, in the order of their first start.
    consumers: Arc<Mutex<Vec<(String, StartState)>>>,
}

/// How far the start of a consumer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartState {
    /// It is being tried.
    Starting {
        /// Attempts that have failed.
        attempts: u32,
        /// What the last of them has failed in and seen; none before that.
        last: Option<(StartCheck, String)>,
    },
    /// The consumer has subscribed.
    Started,
    /// It was given up.
    Failed(StartError),
}

impl Health {
    /// Whether every consumer that was to start has started: what a probe for readiness asks. False before any
    /// consumer was to start.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let consumers = self.consumers();
        !consumers.is_empty() && consumers.iter().all(|(_, state)| *state == StartState::Started)
    }

    /// Every consumer group of the service, and how far its consumer has come.
    #[must_use]
    pub fn consumers(&self) -> Vec<(String, StartState)> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of it as JSON, for an endpoint like `/health`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let consumer = |(group, state): (String, StartState)| {
            let (state, attempts, seen) = match state {
                StartState::Starting { attempts, last } => {
                    ("starting", attempts, last.map(|(check, seen)| format!("{check}: {seen}")))
                }
                StartState::Started => ("started", 0, None),
                StartState::Failed(error) => ("failed", error.attempts, Some(error.to_string())),
            };
            serde_json::json!({ "group": group, "state": state, "failed_attempts": attempts, "last_seen": seen })
        };
        let consumers: Vec<_> = self.consumers().into_iter().map(consumer).collect();
        serde_json::json!({ "ready": self.is_ready(), "consumers": consumers })
    }

    fn set(&self, group: &str, state: StartState) {
        let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        match consumers.iter_mut().find(|(known, _)| known == group) {
            Some((_, known)) => *known = state,
            None => consumers.push((group.to_owned(), state)),
        }
    }
}

/// A failed attempt: the topic, the check, what it saw.
type Missed = (String, StartCheck, String);

/// Starts a consumer once everything it needs is there.
///
/// # Errors
/// [`StartError`], if it is not there in time.
pub async fn consumer(
    env: &Env,
    subscription: ConsumerOptions,
    options: &StartOptions,
) -> Result<Box<dyn Consumer>, StartError> {
    let group = subscription.group.clone();
    let start = Instant::now();
    let deadline = start + options.deadline;
    let backoff = Backoff::new(options.base, options.cap, env.entropy.stream("start-jitter"));
    let mut attempts = 0;
    env.health.set(&group, StartState::Starting { attempts, last: None });
    loop {
        attempts += 1;
        let until = deadline.min(Instant::now() + options.attempt_timeout);
        let (topic, check, seen) = match attempt(env, &subscription, options, until).await {
            Ok(consumer) => {
                env.health.set(&group, StartState::Started);
                return Ok(consumer);
            }
            Err(missed) => missed,
        };
        point::saw("start-waited");
        tracing::debug!(group, topic, %check, seen, "the consumer cannot start yet");
        let pause = backoff.delay(attempts);
        if Instant::now() + pause >= deadline {
            let waited = start.elapsed();
            let error = StartError { group: group.clone(), topic, check, seen, attempts, waited };
            env.health.set(&group, StartState::Failed(error.clone()));
            return Err(error);
        }
        env.health.set(&group, StartState::Starting { attempts, last: Some((check, seen)) });
        tokio::time::sleep(pause).await;
    }
}

async fn attempt(
    env: &Env,
    subscription: &ConsumerOptions,
    options: &StartOptions,
    until: Instant,
) -> Result<Box<dyn Consumer>, Missed> {
    // Mutant 41: nobody asks whether the topics are ready.
    let topics: &[String] = if mutant::enabled("start-unchecked") { &[] } else { &subscription.topics };
    for topic in topics {
        let described = bounded(until, env.bus.describe(topic)).await;
        let checked = described
            .map_err(|seen| (StartCheck::Reachable, seen))
            .and_then(|described| check(described, options.partitions_min));
        checked.map_err(|(check, seen)| (topic.clone(), check, seen))?;
    }
    let subscribed = bounded(until, env.bus.consumer(subscription.clone())).await;
    subscribed.map_err(|seen| (subscription.topics.join(", "), StartCheck::Subscribe, seen))
}

fn check(described: Option<TopicDescription>, partitions_min: usize) -> Result<(), (StartCheck, String)> {
    let missing = || (StartCheck::Topic, "expected the topic, found none of this name".to_owned());
    let TopicDescription { partitions, leaderless } = described.ok_or_else(missing)?;
    if partitions < partitions_min {
        let seen = format!("expected {partitions_min} partitions or more, found {partitions}");
        return Err((StartCheck::Partitions, seen));
    }
    match leaderless.first() {
        Some(first) => {
            let count = leaderless.len();
            let seen =
                format!("expected a leader of every partition, found {count} without, the first {first}");
            Err((StartCheck::Leaders, seen))
        }
        None => Ok(()),
    }
}

/// What a call answers in time, or why it does not.
async fn bounded<T>(until: Instant, call: impl Future<Output = Result<T, BusError>>) -> Result<T, String> {
    match timeout_at(until, call).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests;
