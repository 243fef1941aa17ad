//! The fetcher's task: plans requests, keeps one per broker under way, takes their answers in.
//!
//! It sleeps until an answer comes, the assignment changes, records are taken, or a delay is over; it never
//! polls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::{Brought, Cursor, Position, Shared, State};
use crate::kafka::client::admin::OffsetSpec;
use crate::kafka::client::backoff::Backoff;
use crate::kafka::client::error::ClientError;
use crate::kafka::client::fetch::{From, fetch};
use crate::kafka::client::network::Lane;
use crate::kafka::client::types::TopicPartition;

/// A cursor's number and where to fetch from, by partition.
type Starts = BTreeMap<TopicPartition, (u64, From)>;

/// What came of something that was under way.
enum Done {
    Fetched {
        node: i32,
        ids: BTreeMap<TopicPartition, u64>,
        outcome: Result<BTreeMap<TopicPartition, Result<Brought, ClientError>>, ClientError>,
    },
    Asked {
        partition: TopicPartition,
        id: u64,
        outcome: Result<i64, ClientError>,
    },
    Refreshed {
        outcome: Result<(), ClientError>,
    },
}

/// What the task itself keeps.
struct Work {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    backoff: Backoff,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    busy: BTreeSet<i32>,
    refreshing: bool,
    refresh_not_before: Option<Instant>,
}

/// Runs until aborted.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut work = Work {
        lane: Arc::new(shared.client.lane()),
        backoff: shared.client.backoff("fetch"),
        shared: Arc::clone(&shared),
        under_way: FuturesUnordered::new(),
        busy: BTreeSet::new(),
        refreshing: false,
        refresh_not_before: None,
    };
    loop {
        let wake = work.plan();
        tokio::select! {
            biased;
            Some(done) = work.under_way.next(), if !work.under_way.is_empty() => work.take_in(done),
            () = shared.work.notified() => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
    }
}

impl Work {
    /// Starts whatever can be started; answers when to look again though nothing happens.
    fn plan(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let shared = Arc::clone(&self.shared);
        let mut wake: Option<Instant> = None;
        let mut requests: BTreeMap<i32, (String, Starts)> = BTreeMap::new();
        let mut leaderless = BTreeSet::new();
        let leaders = shared.client.leaders_known();
        let mut state = shared.lock();
        let State { cursors, gaps, .. } = &mut *state;
        // A fetch waits for records, and a partition that is not in it waits for its end. So a broker is not fetched
        // from until it is known where all its partitions begin, unless asking has failed.
        let is_new =
            |cursor: &Cursor| matches!(cursor.position, Position::Ask(_)) && cursor.not_before.is_none();
        let new = cursors.iter().filter(|(_, cursor)| is_new(cursor));
        let asked: BTreeSet<i32> =
            new.filter_map(|(partition, _)| leaders(partition)).map(|leader| leader.node).collect();
        for (partition, cursor) in cursors {
            let leader = leaders(partition);
            if let Some(gap) = leader.as_ref().and_then(|leader| cursor.led_by(leader.epoch)) {
                gaps.push_back((partition.clone(), gap));
                shared.ready.notify_one();
            }
            if cursor.under_way || cursor.held_bytes >= shared.options.partition_bytes {
                continue;
            }
            if let Some(at) = cursor.not_before.filter(|at| *at > now) {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
                continue;
            }
            match (cursor.position, leader) {
                (Position::Ask(spec), Some(_)) => {
                    cursor.under_way = true;
                    self.ask(partition.clone(), cursor.id, spec);
                }
                (Position::Offset(offset), Some(leader))
                    if !self.busy.contains(&leader.node) && !asked.contains(&leader.node) =>
                {
                    cursor.under_way = true;
                    let from = From { offset, leader_epoch: leader.epoch, last_epoch: cursor.last_epoch };
                    let (_, starts) =
                        requests.entry(leader.node).or_insert((leader.address, BTreeMap::new()));
                    starts.insert(partition.clone(), (cursor.id, from));
                }
                // The broker's answer to the request that is under way wakes us.
                (Position::Offset(_), Some(_)) => {}
                (_, None) => {
                    leaderless.insert(partition.topic.to_string());
                }
            }
        }
        drop(state);
        for (node, (address, starts)) in requests {
            self.fetch(node, address, starts);
        }
        if !leaderless.is_empty() && !self.refreshing {
            match self.refresh_not_before.filter(|at| *at > now) {
                Some(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
                None => self.refresh(leaderless),
            }
        }
        wake
    }

    fn fetch(&mut self, node: i32, address: String, starts: Starts) {
        self.busy.insert(node);
        let (shared, lane) = (Arc::clone(&self.shared), Arc::clone(&self.lane));
        let ids = starts.iter().map(|(partition, (id, _))| (partition.clone(), *id)).collect();
        let offsets = starts.into_iter().map(|(partition, (_, from))| (partition, from)).collect();
        let request = async move {
            let outcome = fetch(&shared.client, &lane, &shared.options, &address, &offsets).await;
            Done::Fetched { node, ids, outcome }
        };
        self.under_way.push(request.boxed());
    }

    fn ask(&mut self, partition: TopicPartition, id: u64, spec: OffsetSpec) {
        let shared = Arc::clone(&self.shared);
        let request = async move {
            let isolation = shared.options.isolation;
            let outcome = shared.client.list_offset_for(isolation, &partition, spec).await;
            Done::Asked { partition, id, outcome }
        };
        self.under_way.push(request.boxed());
    }

    fn refresh(&mut self, topics: BTreeSet<String>) {
        self.refreshing = true;
        let shared = Arc::clone(&self.shared);
        let request = async move {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            shared.client.invalidate_metadata();
            Done::Refreshed { outcome: shared.client.metadata(&topics).await.map(|_| ()) }
        };
        self.under_way.push(request.boxed());
    }

    fn take_in(&mut self, done: Done) {
        let retry_at = Instant::now() + self.backoff.next_delay();
        let shared = Arc::clone(&self.shared);
        let reset = shared.reset;
        let mut state = shared.lock();
        let mut wrong = false;
        match done {
            Done::Fetched { node, ids, outcome } => {
                self.busy.remove(&node);
                let (mut outcomes, failure) = match outcome {
                    Ok(outcomes) => (outcomes, None),
                    Err(error) => (BTreeMap::new(), Some(error)),
                };
                for (partition, id) in ids {
                    let missing = || match &failure {
                        Some(error) => Err(error.clone()),
                        None => Err(ClientError::NotFound(format!("{partition} in the answer to a fetch"))),
                    };
                    let outcome = outcomes.remove(&partition).unwrap_or_else(missing);
                    if outcome.is_ok() {
                        self.backoff.reset();
                    }
                    wrong |= state.settle((&partition, id), outcome, retry_at, reset);
                }
            }
            Done::Asked { partition, id, outcome } => {
                wrong |= state.settle((&partition, id), outcome.map(Brought::Offset), retry_at, reset);
            }
            Done::Refreshed { outcome } => {
                self.refreshing = false;
                // If leaders are still missing, the next attempt waits.
                self.refresh_not_before = Some(retry_at);
                match outcome {
                    Err(error) if !error.is_retryable() => state.failure = Some(error),
                    _ => {}
                }
            }
        }
        drop(state);
        if wrong {
            shared.client.invalidate_metadata();
        }
        shared.ready.notify_one();
    }
}
