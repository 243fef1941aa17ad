//! The thin shell around the cluster: the lock, the clock, the timers, and who is connected.
//!
//! Several nodes, perhaps on several runtimes of one thread, share one [`Shared`]. Whoever changes the cluster
//! delivers the answers that thereby became due to the connections that wait for them, whatever their node.
//! Nothing is awaited while the lock is held. What happens on a connection is in `conn.rs`.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::api::{Described, Request};
use super::cluster::{Cluster, Faults};
use super::conn::Connection;
use super::limits::Limits;
use super::mailbox::Mailbox;
use super::matcher::{KafkaMatch, KafkaRequest, Target};
use super::requests::{self, RequestRecord, Requests, Unsupported};
use super::wire::edit::Answered;
use super::wire::errors;
use super::wire::frame::{Frame, FrameError};
use crate::Clock;
use crate::net::Listener;
use crate::observe::{Observer, What};
use crate::rule::{Act, Rules};

/// Most deadlines one call of [`Shared::advance`] meets one by one.
const STEPS: usize = 100_000;
/// How long a node without file descriptors waits before it accepts again.
const SHORTAGE: Duration = Duration::from_millis(100);

/// A cluster and everything that is connected to it.
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Clock,
    limits: Limits,
    strict: bool,
    pub rules: Rules<KafkaMatch>,
    pub requests: Requests,
    /// The next deadline came nearer.
    nearer: Notify,
}

struct State {
    cluster: Cluster,
    conns: BTreeMap<u64, Conn>,
    next_conn: u64,
    observer: Option<Observer>,
    deadline: Option<Duration>,
    /// Time that was skipped by hand.
    skipped: Duration,
}

struct Conn {
    node: i32,
    host: String,
    mailbox: Arc<Mailbox>,
}

impl Shared {
    pub fn new(cluster: Cluster) -> Self {
        let options = &cluster.options;
        let (clock, rules) = (options.clock.clone(), Rules::new(options.seed));
        let (limits, strict) = (Limits::of(options), options.strict);
        let requests = cluster.requests.clone();
        let state = State {
            cluster,
            conns: BTreeMap::new(),
            next_conn: 1,
            observer: None,
            deadline: None,
            skipped: Duration::ZERO,
        };
        Self { state: Mutex::new(state), clock, limits, strict, rules, requests, nearer: Notify::new() }
    }

    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Calls `act` on the cluster as of now, and delivers what became due.
    pub fn with<R>(&self, act: impl FnOnce(&mut Cluster) -> R) -> R {
        self.within(self.lock(), act)
    }

    fn within<R>(&self, mut state: MutexGuard<'_, State>, act: impl FnOnce(&mut Cluster) -> R) -> R {
        let (now, now_ms) = (self.now(&state), self.clock.unix_ms());
        state.cluster.advance(now, now_ms);
        let result = act(&mut state.cluster);
        // Deadlines that `act` set to this very moment.
        state.cluster.advance(now, now_ms);
        for (conn, frame) in std::mem::take(&mut state.cluster.done) {
            if let Some(conn) = state.conns.get(&conn) {
                conn.mailbox.put(frame);
            }
        }
        let next = state.cluster.next_deadline();
        let nearer = next.is_some_and(|next| state.deadline.is_none_or(|known| next < known));
        state.deadline = next;
        let seen = std::mem::take(&mut state.cluster.sightings);
        let observer = if seen.is_empty() { None } else { state.observer.clone() };
        drop(state);
        if nearer {
            self.nearer.notify_waiters();
        }
        if let Some(observer) = observer {
            seen.into_iter().for_each(|sighting| observer(sighting));
        }
        result
    }

    fn now(&self, state: &State) -> Duration {
        self.clock.elapsed().saturating_add(state.skipped)
    }

    /// Lets time pass at once, from deadline to deadline, so that what is due happens at its time.
    pub fn advance(&self, by: Duration) {
        let mut left = by;
        for step in 0.. {
            let mut state = self.lock();
            let now = self.now(&state);
            let next = state.cluster.next_deadline().map_or(left, |at| at.saturating_sub(now).min(left));
            let next = if step < STEPS { next } else { left };
            state.skipped = state.skipped.saturating_add(next);
            // The wall clock counts whole milliseconds: what is left of them is made up for in the next step.
            let whole = |passed: Duration| i64::try_from((by - passed).as_millis()).unwrap_or(i64::MAX);
            self.clock.jump(whole(left - next).saturating_sub(whole(left)));
            left -= next;
            state.deadline = None;
            self.within(state, |_| ());
            if left.is_zero() {
                return;
            }
        }
    }

    /// Moves the wall clock alone.
    pub fn jump(&self, delta_ms: i64) {
        self.clock.jump(delta_ms);
        self.with(|_| ());
    }

    pub fn observe(&self, observer: Observer) {
        let mut state = self.lock();
        state.cluster.observed = true;
        state.observer = Some(observer);
    }

    /// Closes the connections of a node.
    pub fn close_node(&self, node: i32) {
        self.lock().conns.retain(|_, conn| {
            let stays = conn.node != node;
            if !stays {
                conn.mailbox.close();
            }
            stays
        });
    }

    /// How many connections each node has.
    pub fn connections(&self) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        self.lock().conns.values().for_each(|conn| *counts.entry(conn.node).or_default() += 1);
        counts
    }

    /// Moves the cluster on whenever something is due. Never returns.
    async fn run_timers(&self) {
        loop {
            let nearer = self.nearer.notified();
            tokio::pin!(nearer);
            nearer.as_mut().enable();
            let wait = {
                let state = self.lock();
                state.deadline.map(|at| at.saturating_sub(self.now(&state)))
            };
            let due = async {
                match wait {
                    Some(wait) => sleep(wait).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = nearer => {}
                () = due => self.with(|_| ()),
            }
        }
    }

    /// A new connection's place, unless its host has too many.
    fn connect(self: &Arc<Self>, node: i32, peer: &str) -> Option<Place> {
        let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
        let mailbox = Arc::new(Mailbox::default());
        let mut state = self.lock();
        let max = self.limits.max_connections_per_ip;
        // Counted only if there is a limit, for there may be very many.
        let same = |conn: &&Conn| conn.node == node && conn.host == host;
        if max < usize::MAX && state.conns.values().filter(same).count() >= max {
            return None;
        }
        let conn = state.next_conn;
        state.next_conn += 1;
        if state.cluster.nodes.get(&node).is_some_and(|node| node.up) {
            state.conns.insert(conn, Conn { node, host: host.to_owned(), mailbox: Arc::clone(&mailbox) });
        } else {
            mailbox.close();
        }
        drop(state);
        Some(Place { shared: Arc::clone(self), conn, node, mailbox })
    }

    fn disconnect(&self, conn: u64) {
        let mut state = self.lock();
        state.conns.remove(&conn);
        state.cluster.disconnect(conn);
        drop(state);
        self.requests.forget(conn);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a node until its listener ends. Dropping the future closes its connections.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    node: i32,
    mut listener: impl Listener,
) -> Result<(), io::Error> {
    let mut tasks = JoinSet::new();
    let timers = shared.run_timers();
    tokio::pin!(timers);
    loop {
        // More wait to be accepted, as in Kafka.
        let has_room = tasks.len() < shared.limits.max_connections;
        tokio::select! {
            biased;
            () = &mut timers => {}
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, node, "a connection's task failed");
                }
            }
            accepted = accept(&mut listener, node), if has_room => {
                let (stream, peer) = accepted?;
                match shared.connect(node, &peer) {
                    Some(place) => {
                        tasks.spawn(Connection::new(place, &peer, stream).run());
                    }
                    None => tracing::warn!(peer, node, "refusing a connection: its host has too many"),
                }
            }
        }
    }
}

async fn accept(listener: &mut impl Listener, node: i32) -> io::Result<(crate::net::BoxStream, String)> {
    loop {
        match listener.accept().await {
            Err(error) if is_of_one_peer(&error) => {}
            Err(error) if is_shortage(&error) => {
                tracing::warn!(%error, node, "cannot accept for now");
                sleep(SHORTAGE).await;
            }
            other => return other,
        }
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Whether the process or the machine has no more files or memory: it may have some again.
fn is_shortage(error: &io::Error) -> bool {
    // ENOMEM, ENFILE, EMFILE, ENOBUFS.
    error.raw_os_error().is_some_and(|code| matches!(code, 12 | 23 | 24 | 105))
}

/// A connection's place among the others; dropping it takes it out of the cluster, however its task ends.
pub(super) struct Place {
    pub shared: Arc<Shared>,
    pub conn: u64,
    pub node: i32,
    pub mailbox: Arc<Mailbox>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.disconnect(self.conn);
    }
}

/// What the fault rules say about a request.
#[derive(Default)]
pub(super) struct Ruled {
    pub faults: Faults,
    pub act: Option<Act>,
    /// Which of its targets the rule is about.
    pub matched: Vec<Target>,
}

impl Place {
    /// Asks the fault rules about a request, and writes it into the request log.
    pub fn decide(&self, request: &Request) -> Ruled {
        let shared = &*self.shared;
        let is_kept = shared.requests.is_kept();
        if shared.rules.is_empty() && !is_kept {
            return Ruled::default();
        }
        let described = request.describe(&shared.lock().cluster, self.node);
        let head = &request.head;
        let (groups, targets) = (&described.groups, &described.targets);
        let seen = KafkaRequest::new(head.api.name, self.node, &head.client_id, groups, targets)
            .of_transactions(&described.transactional_ids);
        let decided = shared.rules.decide(&seen);
        let matched = seen.into_matched();
        if is_kept {
            shared.requests.came(RequestRecord {
                number: 0,
                unix_ms: shared.clock.unix_ms(),
                node: self.node,
                connection: self.conn,
                client_id: head.client_id.clone(),
                api: head.api.name,
                version: head.version,
                groups: requests::names(groups),
                targets: requests::texts(targets),
                rule: decided.as_ref().map(|(name, _)| name.clone()),
                error: None,
            });
        }
        let Some((name, act)) = decided else { return Ruled::default() };
        let text = described_text(head.api.name, &described, &matched);
        shared.with(|cluster| {
            cluster.sight(&format!("kafka-{}", self.node), What::Rule { name, request: text });
        });
        Ruled { faults: faults(&act, &matched), act: Some(act), matched }
    }

    /// Turns bits of the batches that an answer has of the matched partitions.
    pub fn corrupt(&self, answered: Answered, answer: Frame, matched: &[Target]) -> Frame {
        if answered.api.name != "fetch" {
            return answer;
        }
        let state = self.shared.lock();
        answered.corrupt_batches(answer, |name, id, partition| {
            let name = match id.is_nil() {
                true => Some(name.to_string()),
                false => state.cluster.topic_name(self.node, id),
            };
            let same = |target: &Target| {
                Some(&target.topic) == name.as_ref() && target.partition.is_none_or(|it| it == partition)
            };
            matched.is_empty() || matched.iter().any(same)
        })
    }

    /// Whether the next frame is an authentication token and no request.
    pub fn is_token_next(&self) -> bool {
        false
    }

    /// The answer to an authentication token; none if it is refused.
    pub fn authenticate(&self, _token: &[u8]) -> Option<Frame> {
        None
    }

    /// Bytes that are no request this cluster serves: the owner is told.
    pub fn refuse(&self, peer: &str, error: &FrameError) {
        let (node, shared) = (self.node, &*self.shared);
        tracing::warn!(%error, peer, node, "closing a connection");
        let reason = error.to_string();
        if shared.strict {
            let what = What::Unsupported(reason.clone());
            shared.with(|cluster| cluster.sight(&format!("kafka-{node}"), what));
        }
        shared.requests.refuse(Unsupported { node, peer: peer.trim_start_matches('/').to_owned(), reason });
    }
}

fn described_text(api: &str, described: &Described, targets: &[Target]) -> String {
    let mut text = api.to_owned();
    for group in &described.groups {
        text.push_str(&format!(" group {group}"));
    }
    for id in &described.transactional_ids {
        text.push_str(&format!(" transactional-id {id}"));
    }
    for target in targets {
        let partition = target.partition.map(|number| format!("-{number}")).unwrap_or_default();
        text.push_str(&format!(" {}{partition}", target.topic));
    }
    text
}

/// What an act changes in how a request is handled.
fn faults(act: &Act, targets: &[Target]) -> Faults {
    // A broker answers these only once the work is done, so a rule that names them means that.
    const ALWAYS_AFTER: [&str; 2] = ["REQUEST_TIMED_OUT", "NOT_ENOUGH_REPLICAS_AFTER_APPEND"];
    let code = |name: &str| {
        errors::code_of(name).unwrap_or_else(|| {
            tracing::warn!(name, "a rule names no error of Kafka's; answering UNKNOWN_SERVER_ERROR");
            -1
        })
    };
    let targets = targets.to_vec();
    match act {
        Act::Error(name) if !ALWAYS_AFTER.contains(&name.as_str()) => {
            Faults { before: Some(code(name)), targets, ..Faults::default() }
        }
        Act::Error(name) | Act::ErrorAfter(name) => {
            Faults { after: Some(code(name)), targets, ..Faults::default() }
        }
        Act::StaleMetadata => Faults { stale: true, ..Faults::default() },
        _ => Faults::default(),
    }
}
