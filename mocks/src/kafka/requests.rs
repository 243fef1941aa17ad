//! The request log: what clients asked a cluster and with which error it answered, as far back as the capacity
//! allows; and what was asked that is no Kafka or none that is served.
//!
//! Requests are kept only if the cluster was asked to ([`KafkaCluster::log_requests`](super::KafkaCluster)),
//! what is unsupported always. Records are numbered from 1 without gaps; the oldest go when the log is full. A
//! record is there when its request comes, and gets its error when that is answered. Neither records of topics
//! nor passwords are in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

use super::matcher::Target;
use super::wire::errors;
use crate::kept::Kept;

/// Most targets and groups of one request that are kept.
const TARGETS: usize = 32;
/// Most unsupported requests that are kept; the first ones stay, since they tell what a client lacks.
const UNSUPPORTED: usize = 100;

/// A request and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RequestRecord {
    /// Its number, from 1.
    pub number: u64,
    /// Unix time in milliseconds on the cluster's clock.
    pub unix_ms: i64,
    /// The node that received it.
    pub node: i32,
    /// The connection's number.
    pub connection: u64,
    /// The id the client gave itself.
    pub client_id: String,
    /// The API's name in kebab case.
    pub api: &'static str,
    /// The version of the API.
    pub version: i16,
    /// Groups it names.
    pub groups: Vec<String>,
    /// Topics (`orders`) or partitions (`orders-0`) it names.
    pub targets: Vec<String>,
    /// The fault rule that acted on it.
    pub rule: Option<String>,
    /// Kafka's name of the answer's first error, `NONE` if there is none. Nothing as long as it is not
    /// answered.
    pub error: Option<String>,
}

/// Something a node could not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Unsupported {
    /// The node that received it.
    pub node: i32,
    /// The client's address.
    pub peer: String,
    /// What was expected, and what was found.
    pub reason: String,
}

/// The log of one cluster. Clones are handles to the same log.
#[derive(Clone)]
pub struct Requests {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    records: Kept<RequestRecord>,
    /// The number of the request that is under way in a connection.
    under_way: BTreeMap<u64, u64>,
    unsupported: Vec<Unsupported>,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), news: Notify::new() }) }
    }

    pub(super) fn set_capacity(&self, capacity: usize) {
        self.lock().records.set_capacity(capacity);
    }

    /// All records there are, the oldest first.
    #[must_use]
    pub fn snapshot(&self) -> Vec<RequestRecord> {
        self.lock().records.iter().cloned().collect()
    }

    /// Records with numbers above `number`, the oldest first, at most `limit`.
    #[must_use]
    pub fn since(&self, number: u64, limit: usize) -> Vec<RequestRecord> {
        self.lock().records.since(number, limit)
    }

    /// The number of the youngest record; 0 if there was none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.lock().records.last()
    }

    /// What no node could serve, the first first.
    #[must_use]
    pub fn unsupported(&self) -> Vec<Unsupported> {
        self.lock().unsupported.clone()
    }

    /// Waits until `n` of the records that are kept are `wanted`, and returns those.
    pub async fn wait_for(&self, n: usize, wanted: impl Fn(&RequestRecord) -> bool) -> Vec<RequestRecord> {
        self.wait(|state| {
            let found: Vec<_> = state.records.iter().filter(|it| wanted(it)).take(n).cloned().collect();
            (found.len() >= n).then_some(found)
        })
        .await
    }

    /// Waits for the first thing no node could serve.
    pub async fn wait_for_unsupported(&self) -> Unsupported {
        self.wait(|state| state.unsupported.first().cloned()).await
    }

    async fn wait<T>(&self, mut found: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            let news = self.shared.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(found) = found(&self.lock()) {
                return found;
            }
            news.await;
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.lock().records.capacity() > 0
    }

    /// A request came; `record` still has no number.
    pub(super) fn came(&self, record: RequestRecord) {
        let mut state = self.lock();
        let connection = record.connection;
        let number = state.records.push(|number| RequestRecord { number, ..record });
        if state.records.capacity() > 0 {
            state.under_way.insert(connection, number);
        }
        drop(state);
        self.shared.news.notify_waiters();
    }

    /// The request that is under way in a connection is answered.
    pub(super) fn answered(&self, connection: u64, error: i16) {
        let mut state = self.lock();
        let Some(number) = state.under_way.remove(&connection) else { return };
        if let Some(record) = state.records.get_mut(number) {
            record.error = Some(errors::name_of(error));
        }
        drop(state);
        self.shared.news.notify_waiters();
    }

    /// A connection is gone, or its request stays without an answer.
    pub(super) fn forget(&self, connection: u64) {
        self.lock().under_way.remove(&connection);
    }

    pub(super) fn refuse(&self, what: Unsupported) {
        let mut state = self.lock();
        if state.unsupported.len() < UNSUPPORTED {
            state.unsupported.push(what);
        }
        drop(state);
        self.shared.news.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").field("last", &self.last()).finish_non_exhaustive()
    }
}

/// Targets as a record keeps them.
pub(super) fn texts(targets: &[Target]) -> Vec<String> {
    let text = |target: &Target| match target.partition {
        Some(partition) => format!("{}-{partition}", target.topic),
        None => target.topic.clone(),
    };
    clipped(targets, text)
}

/// Groups as a record keeps them.
pub(super) fn names(groups: &[String]) -> Vec<String> {
    clipped(groups, String::clone)
}

fn clipped<T>(all: &[T], text: impl Fn(&T) -> String) -> Vec<String> {
    let more = all.len().saturating_sub(TARGETS);
    let rest = (more > 0).then(|| format!("... ({more} more)"));
    all.iter().take(TARGETS).map(text).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(connection: u64) -> RequestRecord {
        RequestRecord {
            number: 0,
            unix_ms: 0,
            node: 1,
            connection,
            client_id: String::new(),
            api: "fetch",
            version: 4,
            groups: Vec::new(),
            targets: Vec::new(),
            rule: None,
            error: None,
        }
    }

    #[test]
    fn the_oldest_records_go_and_numbers_go_on() {
        let log = Requests::new();
        log.came(record(1));
        assert!(log.snapshot().is_empty(), "nobody asked for records");
        log.set_capacity(2);
        (2..=4).for_each(|connection| log.came(record(connection)));
        log.answered(2, 0);
        log.answered(3, 16);
        let kept: Vec<_> = log.snapshot().into_iter().map(|it| (it.number, it.error)).collect();
        assert_eq!(kept, [(3, Some("NOT_COORDINATOR".to_owned())), (4, None)]);
        assert_eq!(log.since(3, 9).len(), 1);
        assert_eq!(log.last(), 4);
    }

    #[test]
    fn long_requests_are_clipped() {
        let targets: Vec<Target> =
            (0..100).map(|n| Target { topic: "t".to_owned(), partition: Some(n) }).collect();
        let kept = texts(&targets);
        assert_eq!(kept.len(), TARGETS + 1);
        assert_eq!(kept[31..], ["t-31", "... (68 more)"]);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_of_the_records_that_are_wanted() {
        let log = Requests::new();
        log.set_capacity(10);
        let waiting = log.wait_for(2, |record| record.error.is_some());
        tokio::pin!(waiting);
        for connection in [1, 2] {
            log.came(record(connection));
            assert!(futures::poll!(&mut waiting).is_pending());
            log.answered(connection, 0);
        }
        assert_eq!(waiting.await.len(), 2);
    }
}
