//! A Redis server with its connections: accepting, expiry, and the handle tests hold.
//!
//! The engine sits behind a lock that is held for one command at a time and never across an await, so a
//! server works on one runtime, on several single-threaded ones sharing a thread, and on many threads.
//! Connections run where [`RedisServer::serve`] or [`RedisServer::connect`] was called; the handle may be used
//! from anywhere.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::conn;
use super::engine::{ClientId, Delivery, Engine, Moment, Setup};
use super::options::{RedisLimits, RedisOptions};
use super::rules::RedisMatch;
use crate::Clock;
use crate::net::{BoxStream, Listener};
use crate::observe::{Observer, Sighting, What};
use crate::rule::Rules;

/// A Redis server. Clones are handles to the same server.
#[derive(Clone)]
pub struct RedisServer {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    engine: Mutex<Engine>,
    pub(super) clock: Clock,
    pub(super) rules: Rules<RedisMatch>,
    pub(super) limits: RedisLimits,
    name: String,
    observer: Mutex<Option<Observer>>,
    observed: AtomicBool,
    connections: Mutex<BTreeMap<ClientId, Arc<Link>>>,
    pub(super) down: AtomicBool,
    /// The server stands still until this much of the clock's time has passed, in microseconds.
    stalled_until_us: AtomicI64,
    /// Deadlines or the clock changed in a way that something is due earlier.
    due_moved: Notify,
    /// When something is due next, as those who wait for it know, in Unix milliseconds.
    armed_ms: AtomicI64,
}

/// How others reach a connection.
#[derive(Default)]
pub(super) struct Link {
    /// Ends it.
    pub(super) kill: Notify,
    /// There is mail.
    pub(super) wake: Notify,
    /// What is to be written to it beside the answers it is owed.
    mail: Mutex<BytesMut>,
}

impl Link {
    /// Moves what came for the connection to the end of `output`.
    pub(super) fn collect(&self, output: &mut BytesMut) {
        let mut mail = lock(&self.mail);
        if !mail.is_empty() {
            output.unsplit(mail.split());
        }
    }
}

/// Bytes a pipe in memory holds before its writer waits.
const PIPE_BYTES: usize = 64 * 1024;

impl RedisServer {
    /// An empty server. Nothing listens yet.
    #[must_use]
    pub fn new(options: RedisOptions) -> Self {
        let at = moment(&options.clock);
        let setup = Setup {
            seed: options.seed,
            expiry: options.expiry,
            password: options.password,
            horizon: options.horizon,
            databases: options.databases,
            script_instructions: options.limits.script_instructions,
        };
        let shared = Shared {
            engine: Mutex::new(Engine::new(setup, at)),
            clock: options.clock,
            rules: Rules::new(options.seed),
            limits: options.limits,
            name: options.name,
            observer: Mutex::default(),
            observed: AtomicBool::new(false),
            connections: Mutex::default(),
            down: AtomicBool::new(false),
            stalled_until_us: AtomicI64::new(0),
            due_moved: Notify::new(),
            armed_ms: AtomicI64::new(i64::MAX),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Serves connections from `listener` until it ends. Dropping the future closes them all, as the death of
    /// a process does; the data stays in the handle.
    ///
    /// # Errors
    /// The listener's error, unless it only says that there will be no more connections.
    pub async fn serve(&self, mut listener: impl Listener) -> io::Result<()> {
        self.serve_dyn(&mut listener).await
    }

    /// [`RedisServer::serve`] for a listener whose transport is not known at compile time.
    ///
    /// # Errors
    /// As [`RedisServer::serve`].
    pub async fn serve_dyn(&self, listener: &mut dyn Listener) -> io::Result<()> {
        let mut connections = JoinSet::new();
        let due = self.drive_due();
        tokio::pin!(due);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut due => continue,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(self.clone().run_connection(stream, peer));
                }
                Err(error) if concerns_one_peer(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Listens on a TCP address, `127.0.0.1:0` for any free port, and serves it on the current runtime for as
    /// long as that lives. Answers the address.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn start_tcp(&self, address: &str) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        self.engine().set_port(address.port());
        let server = self.clone();
        tokio::spawn(async move { server.serve(listener).await });
        Ok(address)
    }

    /// A connection in memory, served on the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn connect(&self) -> BoxStream {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let server = self.clone();
        tokio::spawn(async move {
            let due = server.drive_due();
            tokio::select! {
                biased;
                () = server.clone().run_connection(Box::new(far), "memory:0".to_owned()) => {}
                () = due => {}
            }
        });
        Box::new(near)
    }

    /// The fault rules.
    #[must_use]
    pub fn rules(&self) -> &Rules<RedisMatch> {
        &self.shared.rules
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Tells `observer` of every command, rule and event from now on.
    pub fn observe(&self, observer: Observer) {
        *lock(&self.shared.observer) = Some(observer);
        self.shared.observed.store(true, Ordering::Release);
    }

    pub(super) fn engine(&self) -> MutexGuard<'_, Engine> {
        lock(&self.shared.engine)
    }

    pub(super) fn now(&self) -> Moment {
        moment(&self.shared.clock)
    }

    pub(super) fn is_observed(&self) -> bool {
        self.shared.observed.load(Ordering::Acquire)
    }

    /// Tells the observer. Call it without holding the engine: the observer may ask the server something.
    pub(super) fn tell(&self, what: What) {
        let observer = lock(&self.shared.observer).clone();
        if let Some(observer) = observer {
            observer(Sighting::new(&self.shared.name, what));
        }
    }

    /// Sends what the engine has for clients, tells the observer of keys that expired, and whoever waits for
    /// what is due next that it moved.
    pub(super) fn after_change(&self) {
        let (expired, next, deliveries) = {
            let mut engine = self.engine();
            engine.end_round();
            (engine.take_expired(), engine.next_due_ms(), engine.take_deliveries())
        };
        for delivery in deliveries {
            self.deliver(&delivery);
        }
        if next.is_some_and(|next| next < self.shared.armed_ms.load(Ordering::Acquire)) {
            self.shared.due_moved.notify_waiters();
        }
        if self.is_observed() {
            for (db, key) in expired {
                self.tell(What::Event(format!("expired {db} {}", key.escape_ascii())));
            }
        }
    }

    /// Makes whoever waits for what is due next look again: the clock was moved.
    pub(super) fn rearm(&self) {
        self.shared.due_moved.notify_waiters();
    }

    /// The server stands still for this long: commands wait.
    pub(super) fn stall_for(&self, duration: Duration) {
        let until = self.shared.clock.elapsed().saturating_add(duration);
        let until = i64::try_from(until.as_micros()).unwrap_or(i64::MAX);
        self.shared.stalled_until_us.fetch_max(until, Ordering::AcqRel);
    }

    /// How long the server goes on standing still.
    pub(super) fn stalled_for(&self) -> Option<Duration> {
        let until = u64::try_from(self.shared.stalled_until_us.load(Ordering::Acquire)).unwrap_or(0);
        let left = Duration::from_micros(until).saturating_sub(self.shared.clock.elapsed());
        (!left.is_zero()).then_some(left)
    }

    /// Leaves something with a connection, to be written next. One that does not read is closed.
    pub(super) fn deliver(&self, delivery: &Delivery) {
        let Some(link) = lock(&self.shared.connections).get(&delivery.to).cloned() else { return };
        let mut mail = lock(&link.mail);
        delivery.reply.write(delivery.protocol, &mut mail);
        link.wake.notify_one();
        if mail.len() > self.shared.limits.output_bytes {
            link.kill.notify_one();
        }
    }

    /// Ends a connection.
    pub(super) fn kill(&self, id: ClientId) {
        if let Some(link) = lock(&self.shared.connections).get(&id) {
            link.kill.notify_one();
        }
    }

    /// Ends every connection.
    pub(super) fn kill_all(&self) {
        for link in lock(&self.shared.connections).values() {
            link.kill.notify_one();
        }
    }

    /// Runs one connection to its end.
    async fn run_connection(self, mut stream: BoxStream, peer: String) {
        if self.shared.down.load(Ordering::Acquire) {
            return;
        }
        let Some((id, link)) = self.register(peer) else {
            // The peer may be gone already; nothing depends on its hearing this.
            let _ = stream.write_all(b"-ERR max number of clients reached\r\n").await;
            return;
        };
        let _registered = Registered { server: &self, id };
        conn::run(&self, id, &link, stream).await;
    }

    /// Makes a connection known, unless there are too many.
    fn register(&self, peer: String) -> Option<(ClientId, Arc<Link>)> {
        let mut connections = lock(&self.shared.connections);
        if connections.len() >= self.shared.limits.clients {
            self.engine().count_rejected_connection();
            return None;
        }
        let now = self.now();
        let id = self.engine().connect(peer, now);
        let link = Arc::new(Link::default());
        connections.insert(id, Arc::clone(&link));
        Some((id, link))
    }

    /// Deletes keys and ends waits when they are due. Several may do so at a time.
    async fn drive_due(&self) {
        loop {
            let moved = self.shared.due_moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let next = self.engine().next_due_ms();
            self.shared.armed_ms.store(next.unwrap_or(i64::MAX), Ordering::Release);
            let Some(next) = next else {
                moved.await;
                continue;
            };
            let wait_us = next.saturating_mul(1000).saturating_sub(self.now().unix_us);
            if wait_us <= 0 {
                let now = self.now();
                self.engine().run_due(now);
                self.after_change();
                continue;
            }
            let wait = Duration::from_micros(u64::try_from(wait_us).unwrap_or(0));
            tokio::select! {
                biased;
                () = moved => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

impl std::fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisServer").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// Removes a connection however it ends, also if its task is dropped.
struct Registered<'a> {
    server: &'a RedisServer,
    id: ClientId,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        lock(&self.server.shared.connections).remove(&self.id);
        self.server.engine().disconnect(self.id);
    }
}

fn moment(clock: &Clock) -> Moment {
    let elapsed_us = i64::try_from(clock.elapsed().as_micros()).unwrap_or(i64::MAX);
    Moment { unix_us: clock.unix_us(), elapsed_us }
}

fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// A panic while a lock was held left the value whole: every change under a lock is one engine call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
