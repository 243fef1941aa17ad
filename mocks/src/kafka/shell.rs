//! The thin shell around the cluster: connections, timers, the lock.
//!
//! Several nodes, perhaps on several runtimes of one thread, share one [`Shared`]. Whoever changes the cluster
//! delivers the answers that thereby became due to the connections that wait for them, whatever their node.
//! Nothing is awaited while the lock is held. Requests of a connection are handled one after another, as a
//! broker mutes a channel while its request is under way.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::api::{Described, Outcome, Request};
use super::cluster::{Call, Cluster, Faults, Ticket};
use super::matcher::{KafkaMatch, KafkaRequest, Target};
use super::wire::errors;
use super::wire::frame::{self, Frame};
use crate::Clock;
use crate::net::{BoxStream, Listener};
use crate::observe::{Observer, What};
use crate::rule::{Act, Rules};

/// Bytes a connection may send ahead while its request waits.
const READ_AHEAD: usize = 1024 * 1024;
/// Bytes read at a time.
const READ_SIZE: usize = 64 * 1024;
/// Room left in a read buffer below which a new one is made. Records keep their read buffer alive, so it is
/// used up before.
const READ_ROOM: usize = 4 * 1024;

/// A cluster and everything that is connected to it.
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Clock,
    pub rules: Rules<KafkaMatch>,
    /// The next deadline came nearer.
    nearer: Notify,
}

struct State {
    cluster: Cluster,
    conns: BTreeMap<u64, Conn>,
    next_conn: u64,
    observer: Option<Observer>,
    deadline: Option<Duration>,
}

struct Conn {
    node: i32,
    /// At most one frame is ever under way in it.
    answers: mpsc::UnboundedSender<Frame>,
}

impl Shared {
    pub fn new(cluster: Cluster, clock: Clock, rules: Rules<KafkaMatch>) -> Self {
        let (conns, next_conn) = (BTreeMap::new(), 1);
        let state = State { cluster, conns, next_conn, observer: None, deadline: None };
        Self { state: Mutex::new(state), clock, rules, nearer: Notify::new() }
    }

    /// Calls `act` on the cluster as of now, and delivers what became due.
    pub fn with<R>(&self, act: impl FnOnce(&mut Cluster) -> R) -> R {
        let mut state = self.lock();
        let (now, now_ms) = (self.clock.elapsed(), self.clock.unix_ms());
        state.cluster.advance(now, now_ms);
        let result = act(&mut state.cluster);
        // Deadlines that `act` set to this very moment.
        state.cluster.advance(now, now_ms);
        for (conn, frame) in std::mem::take(&mut state.cluster.done) {
            if let Some(conn) = state.conns.get(&conn) {
                // A connection that is going away does not listen any more.
                let _ = conn.answers.send(frame);
            }
        }
        let next = state.cluster.next_deadline();
        let nearer = next.is_some_and(|next| state.deadline.is_none_or(|known| next < known));
        state.deadline = next;
        let seen = std::mem::take(&mut state.cluster.sightings);
        let observer = state.observer.clone().filter(|_| !seen.is_empty());
        drop(state);
        if nearer {
            self.nearer.notify_waiters();
        }
        if let Some(observer) = observer {
            seen.into_iter().for_each(|sighting| observer(sighting));
        }
        result
    }

    pub fn observe(&self, observer: Observer) {
        let mut state = self.lock();
        state.cluster.observed = true;
        state.observer = Some(observer);
    }

    /// Closes the connections of a node.
    pub fn close_node(&self, node: i32) {
        self.lock().conns.retain(|_, conn| conn.node != node);
    }

    /// Moves the cluster on whenever something is due. Never returns.
    async fn run_timers(&self) {
        loop {
            let nearer = self.nearer.notified();
            tokio::pin!(nearer);
            nearer.as_mut().enable();
            let wait = self.lock().deadline.map(|at| at.saturating_sub(self.clock.elapsed()));
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

    fn connect(&self, node: i32) -> (u64, mpsc::UnboundedReceiver<Frame>) {
        let mut state = self.lock();
        let conn = state.next_conn;
        state.next_conn += 1;
        let (answers, receiver) = mpsc::unbounded_channel();
        if state.cluster.nodes.get(&node).is_some_and(|node| node.up) {
            state.conns.insert(conn, Conn { node, answers });
        }
        (conn, receiver)
    }

    fn disconnect(&self, conn: u64) {
        let mut state = self.lock();
        state.conns.remove(&conn);
        state.cluster.disconnect(conn);
    }

    /// What the fault rules say about a request.
    fn decide(&self, node: i32, request: &Request) -> (Faults, Option<Act>) {
        if self.rules.is_empty() {
            return (Faults::default(), None);
        }
        let described = request.describe(&self.lock().cluster, node);
        let head = &request.head;
        let (groups, targets) = (&described.groups, &described.targets);
        let seen = KafkaRequest::new(head.api.name, node, &head.client_id, groups, targets)
            .of_transactions(&described.transactional_ids);
        let Some((name, act)) = self.rules.decide(&seen) else { return (Faults::default(), None) };
        let matched = seen.into_matched();
        let text = described_text(head.api.name, &described, &matched);
        self.with(|cluster| {
            cluster.sight(&format!("kafka-{node}"), What::Rule { name: name.clone(), request: text });
        });
        (faults(&act, matched), Some(act))
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
        tokio::select! {
            biased;
            () = &mut timers => {}
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, node, "a connection's task failed");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (conn, answers) = shared.connect(node);
                    let guard = Guard { shared: Arc::clone(shared), conn };
                    let buffer = BytesMut::new();
                    tasks.spawn(Connection { guard, node, peer, stream, buffer, answers }.run());
                }
                Err(error) if is_of_one_peer(&error) => {}
                Err(error) => return Err(error),
            },
        }
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Takes the connection out of the cluster when its task ends, however it ends.
struct Guard {
    shared: Arc<Shared>,
    conn: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.disconnect(self.conn);
    }
}

struct Connection {
    guard: Guard,
    node: i32,
    peer: String,
    stream: BoxStream,
    buffer: BytesMut,
    answers: mpsc::UnboundedReceiver<Frame>,
}

/// The connection is over.
struct Closed;

impl Connection {
    async fn run(mut self) {
        loop {
            let frame = match frame::split(&mut self.buffer) {
                Ok(Some(frame)) => frame,
                Ok(None) => match self.read().await {
                    Ok(()) => continue,
                    Err(Closed) => return,
                },
                Err(error) => {
                    tracing::warn!(%error, peer = self.peer, node = self.node, "closing a connection");
                    return;
                }
            };
            if let Err(Closed) = self.handle(frame).await {
                return;
            }
        }
    }

    async fn handle(&mut self, frame: Bytes) -> Result<(), Closed> {
        let request = Request::decode(frame).map_err(|error| {
            tracing::warn!(%error, peer = self.peer, node = self.node, "closing a connection");
            Closed
        })?;
        let (faults, act) = self.guard.shared.decide(self.node, &request);
        match act {
            Some(Act::DropBefore) => return Err(Closed),
            Some(Act::Silence) => return Ok(()),
            Some(Act::Delay(wait)) => self.pause(wait).await?,
            _ => {}
        }
        let outcome = self.call(request, &faults);
        let answer = match outcome {
            Outcome::Reply(frame) => Some(frame),
            Outcome::Parked => Some(self.wait().await?),
            Outcome::NoReply => None,
            Outcome::Close => return Err(Closed),
        };
        match act {
            Some(Act::DropAfter) => return Err(Closed),
            Some(Act::DelayAfter(wait)) => self.pause(wait).await?,
            _ => {}
        }
        let Some(mut answer) = answer else { return Ok(()) };
        let cut = match act {
            Some(Act::Truncate(length)) => Some(length),
            _ => None,
        };
        if let Some(length) = cut {
            answer.truncate(length);
        }
        self.write(answer, cut.is_some()).await
    }

    fn call(&self, request: Request, faults: &Faults) -> Outcome {
        let (api, version) = (request.head.api, request.head.version);
        let correlation = request.head.correlation;
        let ticket = Ticket {
            conn: self.guard.conn,
            node: self.node,
            api,
            version,
            correlation,
            error_after: faults.after,
        };
        let client_id = request.head.client_id.clone();
        let client_host = format!("/{}", self.peer.rsplit_once(':').map_or(&*self.peer, |(host, _)| host));
        self.guard.shared.with(|cluster| {
            let call =
                Call { ticket, node: self.node, client_id: &client_id, client_host: &client_host, faults };
            cluster.handle(&call, request)
        })
    }

    /// Writes an answer; one without bytes, or one that was cut, ends the connection.
    async fn write(&mut self, mut answer: Frame, is_cut: bool) -> Result<(), Closed> {
        if !answer.has_remaining() {
            return Err(Closed);
        }
        self.stream.write_all_buf(&mut answer).await.map_err(|_| Closed)?;
        self.stream.flush().await.map_err(|_| Closed)?;
        if is_cut { Err(Closed) } else { Ok(()) }
    }

    async fn read(&mut self) -> Result<(), Closed> {
        tokio::select! {
            biased;
            _ = self.answers.recv() => Err(Closed), // nothing is awaited: the node died
            read = read_some(&mut self.stream, &mut self.buffer) => read,
        }
    }

    /// Waits for the answer of a parked request.
    async fn wait(&mut self) -> Result<Frame, Closed> {
        tokio::select! {
            biased;
            answer = self.answers.recv() => answer.ok_or(Closed),
            Closed = until_closed(&mut self.stream, &mut self.buffer) => Err(Closed),
        }
    }

    async fn pause(&mut self, wait: Duration) -> Result<(), Closed> {
        tokio::select! {
            biased;
            () = sleep(wait) => Ok(()),
            _ = self.answers.recv() => Err(Closed),
            Closed = until_closed(&mut self.stream, &mut self.buffer) => Err(Closed),
        }
    }
}

async fn read_some(stream: &mut BoxStream, buffer: &mut BytesMut) -> Result<(), Closed> {
    if buffer.capacity() - buffer.len() < READ_ROOM {
        buffer.reserve(READ_SIZE);
    }
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => Err(Closed),
        Ok(_) => Ok(()),
    }
}

/// Returns when the peer closes, reading ahead meanwhile, for that is how one learns of it.
async fn until_closed(stream: &mut BoxStream, buffer: &mut BytesMut) -> Closed {
    while buffer.len() < READ_AHEAD {
        if let Err(closed) = read_some(stream, buffer).await {
            return closed;
        }
    }
    pending().await
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

/// The errors an act puts into a request.
fn faults(act: &Act, targets: Vec<Target>) -> Faults {
    // A broker answers these only once the work is done, so a rule that names them means that.
    const ALWAYS_AFTER: [&str; 2] = ["REQUEST_TIMED_OUT", "NOT_ENOUGH_REPLICAS_AFTER_APPEND"];
    let code = |name: &str| {
        errors::code_of(name).unwrap_or_else(|| {
            tracing::warn!(name, "a rule names no error of Kafka's; answering UNKNOWN_SERVER_ERROR");
            -1
        })
    };
    match act {
        Act::Error(name) if !ALWAYS_AFTER.contains(&name.as_str()) => {
            Faults { before: Some(code(name)), after: None, targets }
        }
        Act::Error(name) | Act::ErrorAfter(name) => Faults { before: None, after: Some(code(name)), targets },
        _ => Faults::default(),
    }
}
