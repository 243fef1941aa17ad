//! A start against a log that is late, or wrong, in one way at a time, in virtual time.

use std::collections::VecDeque;

use async_trait::async_trait;

use super::*;
use crate::bus::memory::MemoryBus;
use crate::bus::{Bus, Publisher, PublisherOptions};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::store::MemoryStore;

/// A log that gives these answers one after the other, the last for ever.
struct Scripted {
    inner: MemoryBus,
    answers: Mutex<VecDeque<Result<Option<TopicDescription>, &'static str>>>,
    refusals: Mutex<u32>,
}

#[async_trait]
impl Bus for Scripted {
    async fn publisher(&self, options: PublisherOptions) -> Result<Arc<dyn Publisher>, BusError> {
        self.inner.publisher(options).await
    }

    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>, BusError> {
        let refuse = {
            let mut left = self.refusals.lock().unwrap();
            let refuse = *left > 0;
            *left = left.saturating_sub(1);
            refuse
        };
        if refuse { Err(BusError::Refused("not now".to_owned())) } else { self.inner.consumer(options).await }
    }

    async fn describe(&self, _topic: &str) -> Result<Option<TopicDescription>, BusError> {
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        };
        match answer {
            Some(Ok(described)) => Ok(described),
            Some(Err(error)) => Err(BusError::Unreachable(error.to_owned())),
            None => std::future::pending().await,
        }
    }
}

fn described(partitions: usize, leaderless: &[i32]) -> Result<Option<TopicDescription>, &'static str> {
    Ok(Some(TopicDescription { partitions, leaderless: leaderless.to_vec() }))
}

fn env(answers: &[Result<Option<TopicDescription>, &'static str>], refusals: u32) -> Env {
    let clock = Clock::default();
    let bus = Scripted {
        inner: MemoryBus::new(clock.clone()).with_topic("orders", 3),
        answers: Mutex::new(answers.iter().cloned().collect()),
        refusals: Mutex::new(refusals),
    };
    let store = Arc::new(MemoryStore::new(clock.clone()));
    Env::new("worker-1", Arc::new(bus), store, Entropy::from_seed(0), clock)
}

async fn start(env: &Env) -> Result<(), StartError> {
    let subscription = ConsumerOptions {
        group: "billing".to_owned(),
        topics: vec!["orders".to_owned()],
        session_timeout: Duration::from_secs(6),
        committed_only: false,
    };
    let options = StartOptions { partitions_min: 3, ..StartOptions::default() };
    consumer(env, subscription, &options).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn a_consumer_starts_once_everything_it_needs_is_there() {
    let answers = [Err("nobody listens"), Ok(None), described(1, &[]), described(3, &[2]), described(3, &[])];
    let env = env(&answers, 2);
    assert!(!env.health.is_ready());
    start(&env).await.expect("started");
    assert!(env.health.is_ready());
    assert_eq!(env.health.consumers(), [("billing".to_owned(), StartState::Started)]);
}

#[tokio::test(start_paused = true)]
async fn what_never_comes_is_named_with_what_was_seen() {
    let cases = [
        (Err("nobody listens"), StartCheck::Reachable, "nobody listens"),
        (Ok(None), StartCheck::Topic, "found none of this name"),
        (described(2, &[]), StartCheck::Partitions, "expected 3 partitions or more, found 2"),
        (described(3, &[1, 2]), StartCheck::Leaders, "found 2 without, the first 1"),
    ];
    for (answer, check, seen) in cases {
        let env = env(&[answer], 0);
        let error = start(&env).await.expect_err("never ready");
        assert_eq!((error.check, error.topic.as_str()), (check, "orders"), "{error}");
        assert!(error.seen.contains(seen), "{error}");
        assert!(error.attempts > 10 && error.waited <= Duration::from_secs(60), "{error}");
        assert_eq!(env.health.consumers(), [("billing".to_owned(), StartState::Failed(error))]);
        assert!(!env.health.is_ready());
    }
    let error = start(&env(&[described(3, &[])], u32::MAX)).await.expect_err("refused for ever");
    assert_eq!(error.check, StartCheck::Subscribe, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_silent_is_asked_again_and_told_of() {
    let env = env(&[], 0);
    let watched = env.clone();
    let starting = tokio::spawn(async move { start(&watched).await });
    tokio::time::sleep(Duration::from_secs(20)).await;
    let seen = env.health.to_json();
    assert_eq!((&seen["ready"], &seen["consumers"][0]["state"]), (&false.into(), &"starting".into()));
    assert!(
        seen["consumers"][0]["last_seen"].as_str().is_some_and(|seen| seen.contains("no answer in time"))
    );
    let error = starting.await.expect("no panic").expect_err("silent for ever");
    assert_eq!(error.check, StartCheck::Reachable, "{error}");
    assert!(error.attempts > 5 && error.waited <= Duration::from_secs(60), "{error}");
}
