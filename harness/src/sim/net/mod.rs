//! The simulated network: connections between hosts that behave as TCP does when things go wrong.
//!
//! An outage delays what was sent, it does not lose it; an outage that outlasts the retransmission timeout
//! resets the connection; a dial into an outage hangs and then times out; a dial to a host that runs but does
//! not listen is refused; the connections of a killed process end as its kernel would end them. Bytes never
//! overtake each other on a connection. Nothing here is an engine's: only virtual time is needed.
//!
//! A host that was killed is dead to the network at once, although its tasks may still be polled until the
//! step ends: each of its ends belongs to an incarnation, and an end of an earlier one hangs for ever.

mod ends;
mod link;
mod pipe;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

use self::link::Link;
use self::pipe::Pipe;
use super::{HostId, Probe, now};
use crate::seed::Seed;

pub use self::link::{Condition, Latency};
pub use self::stream::{SimDial, SimListener, SimStream};

/// How long unacknowledged bytes are retransmitted before the connection is reset.
const RETRANSMISSION_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections that wait to be accepted; a dial beyond it waits as if its SYN were lost.
const BACKLOG: usize = 128;

/// The network of one simulation. Clones are handles to the same network.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Woken when a link comes back or a backlog has room: dials look again.
    changed: Notify,
    probe: Probe,
}

struct State {
    hosts: Vec<Host>,
    links: BTreeMap<(HostId, HostId), Link>,
    listeners: BTreeMap<(HostId, u16), Backlog>,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    seed: Seed,
    latency: Latency,
}

struct Host {
    name: String,
    alive: bool,
    incarnation: u32,
}

/// One life of a host, from start to death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incarnation {
    host: HostId,
    number: u32,
}

#[derive(Default)]
struct Backlog {
    waiting: VecDeque<(u64, HostId)>,
    acceptor: Option<Waker>,
}

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Dialer,
    Acceptor,
}

/// Both directions: `pipes[0]` carries what the dialer writes.
struct Connection {
    pipes: [Pipe; 2],
    closed: [bool; 2],
}

impl Side {
    fn outgoing(self) -> usize {
        usize::from(self == Self::Acceptor)
    }

    fn incoming(self) -> usize {
        1 - self.outgoing()
    }
}

impl Net {
    /// A network of the hosts `names`, numbered in order. All draws come from `seed`.
    #[must_use]
    pub fn new(names: Vec<String>, seed: Seed, latency: Latency, probe: Probe) -> Self {
        let hosts = names.into_iter().map(|name| Host { name, alive: false, incarnation: 0 }).collect();
        let state = State {
            hosts,
            links: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 1,
            seed,
            latency,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new(), probe }) }
    }

    /// Begins a life of `host` and hands out its way to the network.
    #[must_use]
    pub fn start(&self, host: HostId) -> SimDial {
        let mut state = self.lock();
        let entry = &mut state.hosts[usize::from(host.0)];
        entry.alive = true;
        entry.incarnation += 1;
        let owner = Incarnation { host, number: entry.incarnation };
        drop(state);
        SimDial { net: self.clone(), owner }
    }

    /// Ends the life of `host` as `kill -9` ends a process: from now on nothing it does is seen by anyone,
    /// and its peers learn of it as its kernel would tell them.
    pub fn kill(&self, host: HostId) {
        let mut state = self.lock();
        state.hosts[usize::from(host.0)].alive = false;
        state.listeners.retain(|(of, _), _| *of != host);
        let owned: Vec<(u64, Side)> = state.ends_of(host).collect();
        let wakers = owned.into_iter().flat_map(|(id, side)| state.close_end(id, side)).collect::<Vec<_>>();
        drop(state);
        wake(wakers);
        self.shared.changed.notify_waiters();
    }

    /// Whether `host` is alive.
    #[must_use]
    pub fn is_running(&self, host: HostId) -> bool {
        self.lock().hosts[usize::from(host.0)].alive
    }

    /// Applies `condition` to the direction `from` → `to` until [`Net::clear`] is called with `fault`.
    pub fn apply(&self, fault: u64, from: HostId, to: HostId, condition: Condition) {
        self.lock().link(from, to).apply(fault, condition, now());
    }

    /// Ends every condition that `fault` brought.
    pub fn clear(&self, fault: u64) {
        let mut state = self.lock();
        let mut back = Vec::new();
        for (ends, link) in &mut state.links {
            if link.clear(fault) {
                back.push((*ends, link.base_latency()));
            }
        }
        let mut wakers = Vec::new();
        for (ends, latency) in back {
            for connection in state.connections.values_mut() {
                for pipe in connection.pipes.iter_mut().filter(|pipe| (pipe.from, pipe.to) == ends) {
                    pipe.retransmit(now(), latency);
                    wakers.extend(pipe.reader.take());
                }
            }
        }
        drop(state);
        wake(wakers);
        self.shared.changed.notify_waiters();
    }

    /// Resets every connection between two hosts; answers how many.
    pub fn reset(&self, a: HostId, b: HostId) -> usize {
        let mut state = self.lock();
        let between = |pipe: &Pipe| (pipe.from, pipe.to) == (a, b) || (pipe.from, pipe.to) == (b, a);
        let hit: Vec<u64> = state.connections_where(|connection| between(&connection.pipes[0]));
        let wakers: Vec<Waker> = hit.iter().flat_map(|id| state.reset(*id)).collect();
        drop(state);
        wake(wakers);
        hit.len()
    }

    /// Resets connections whose bytes have waited too long for a link to come back. Called once per step.
    pub fn expire(&self) {
        let mut state = self.lock();
        let expired = |link: &Link| link.down_since.is_some_and(|at| now() >= at + RETRANSMISSION_TIMEOUT);
        let dead: Vec<(HostId, HostId)> =
            state.links.iter().filter(|(_, link)| expired(link)).map(|(ends, _)| *ends).collect();
        if dead.is_empty() {
            return;
        }
        let gives_up =
            |pipe: &Pipe| dead.contains(&(pipe.from, pipe.to)) && pipe.is_waiting_for_acknowledgement();
        let hit = state.connections_where(|connection| connection.pipes.iter().any(gives_up));
        let wakers: Vec<Waker> = hit.iter().flat_map(|id| state.reset(*id)).collect();
        drop(state);
        for id in hit {
            self.trace(None, "net.timeout", format_args!("connection {id}"));
        }
        wake(wakers);
    }

    fn trace(&self, host: Option<HostId>, kind: &'static str, text: std::fmt::Arguments<'_>) {
        (self.shared.probe)(host, kind, text);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Admission {
    Refused,
    Full,
    Admitted(u64, Option<Waker>),
}

impl State {
    fn is_alive(&self, owner: Incarnation) -> bool {
        let host = &self.hosts[usize::from(owner.host.0)];
        host.alive && host.incarnation == owner.number
    }

    fn link(&mut self, from: HostId, to: HostId) -> &mut Link {
        let Self { links, seed, latency, hosts, .. } = self;
        links.entry((from, to)).or_insert_with(|| {
            let name = |host: HostId| hosts[usize::from(host.0)].name.as_str();
            let entity = format!("{}->{}", name(from), name(to));
            Link::new(*latency, seed.stream("net.latency", &entity, 0), seed.stream("net.fault", &entity, 0))
        })
    }

    /// A SYN has arrived at `to`.
    fn admit(&mut self, owner: Incarnation, to: HostId, port: u16) -> Admission {
        let Some(backlog) = self.listeners.get_mut(&(to, port)) else { return Admission::Refused };
        if backlog.waiting.len() >= BACKLOG {
            return Admission::Full;
        }
        let id = self.next_connection;
        self.next_connection += 1;
        backlog.waiting.push_back((id, owner.host));
        let waker = backlog.acceptor.take();
        let pipes = [Pipe::new(owner.host, to), Pipe::new(to, owner.host)];
        self.connections.insert(id, Connection { pipes, closed: [false; 2] });
        Admission::Admitted(id, waker)
    }

    fn ends_of(&self, host: HostId) -> impl Iterator<Item = (u64, Side)> {
        self.connections.iter().flat_map(move |(id, connection)| {
            let dialer = (connection.pipes[0].from == host).then_some((*id, Side::Dialer));
            let acceptor = (connection.pipes[0].to == host).then_some((*id, Side::Acceptor));
            dialer.into_iter().chain(acceptor)
        })
    }

    fn connections_where(&self, wanted: impl Fn(&Connection) -> bool) -> Vec<u64> {
        self.connections.iter().filter(|(_, connection)| wanted(connection)).map(|(id, _)| *id).collect()
    }

    fn finish(&mut self, id: u64, side: Side) -> Option<Waker> {
        let (from, to) = self.connections.get(&id)?.ends(side);
        let latency = self.link(from, to).draw_latency();
        let pipe = &mut self.connections.get_mut(&id)?.pipes[side.outgoing()];
        pipe.finish(now(), latency);
        pipe.reader.take()
    }

    /// One end is gone, by `close` or by death: its peer reads what was sent, then the end, and can no longer
    /// write.
    fn close_end(&mut self, id: u64, side: Side) -> Vec<Waker> {
        let mut wakers: Vec<Waker> = self.finish(id, side).into_iter().collect();
        let Some(connection) = self.connections.get_mut(&id) else { return wakers };
        let incoming = &mut connection.pipes[side.incoming()];
        incoming.reader_gone = true;
        wakers.extend(incoming.writer.take());
        connection.closed[side.outgoing()] = true;
        if connection.closed == [true; 2] {
            self.connections.remove(&id);
        }
        wakers
    }

    fn reset(&mut self, id: u64) -> Vec<Waker> {
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        let mut wakers = Vec::new();
        for pipe in &mut connection.pipes {
            pipe.set_reset();
            wakers.extend(pipe.reader.take());
            wakers.extend(pipe.writer.take());
        }
        wakers
    }
}

impl Connection {
    fn ends(&self, side: Side) -> (HostId, HostId) {
        let pipe = &self.pipes[side.outgoing()];
        (pipe.from, pipe.to)
    }
}

/// Wakes after the network's lock is released, for a waker may drop a task and with it a stream.
fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
