//! A Redis server with its connections: accepting, expiry, and the handle tests hold.
//!
//! The engine sits behind a lock that is held for one command at a time and never across an await, so a
//! server works on one runtime, on several single-threaded ones sharing a thread, and on many threads.
//! A server may have a replica, which shares the lock and is reached by listeners of its own; it goes on when the
//! server is down or stands still. Connections run where [`RedisServer::serve`] or [`RedisServer::connect`] was called; the handle may be used
//! from anywhere.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use futures::task::AtomicWaker;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::busy::Busy;
use super::engine::{ClientId, Delivery, Engine, Moment, Setup, Watcher};
use super::options::{RedisLimits, RedisOptions};
use super::requests::{Recorded, Requests};
use super::rules::RedisMatch;
use super::{conn, conn_busy};
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
    pub(super) busy: Arc<Busy>,
    pub(super) clock: Clock,
    pub(super) rules: Rules<RedisMatch>,
    pub(super) limits: RedisLimits,
    name: String,
    observer: Mutex<Option<Observer>>,
    observed: AtomicBool,
    log: OnceLock<Requests>,
    connections: Mutex<BTreeMap<ClientId, Arc<Link>>>,
    pub(super) down: AtomicBool,
    /// A client ended the process.
    pub(super) ended: AtomicBool,
    pub(super) end: Notify,
    /// The server stands still until this much of the clock's time has passed, in microseconds.
    stalled_until_us: AtomicI64,
    /// Deadlines or the clock changed in a way that something is due earlier.
    due_moved: Notify,
    /// When something is due next, as those who wait for it know, in Unix milliseconds.
    armed_ms: AtomicI64,
}

/// Whom a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Primary,
    Replica,
}

/// How others reach a connection.
#[derive(Default)]
pub(super) struct Link {
    task: AtomicWaker,
    killed: AtomicBool,
    has_mail: AtomicBool,
    /// The mail is the last that the client gets.
    is_last: AtomicBool,
    /// What is to be written to it beside the answers it is owed.
    mail: Mutex<BytesMut>,
}

impl Link {
    /// Ready with false once the connection is to end, with true when there is mail.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<bool> {
        self.task.register(cx.waker());
        if self.killed.load(Ordering::Acquire) {
            return Poll::Ready(false);
        }
        if self.has_mail.load(Ordering::Acquire) { Poll::Ready(true) } else { Poll::Pending }
    }

    /// Moves what came for the connection to the end of `output`; whether nothing may follow it.
    pub(super) fn collect(&self, output: &mut BytesMut) -> bool {
        if self.has_mail.swap(false, Ordering::AcqRel) {
            output.unsplit(lock(&self.mail).split());
        }
        self.is_last.load(Ordering::Acquire)
    }

    fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// Bytes a pipe in memory holds before its writer waits.
const PIPE_BYTES: usize = 64 * 1024;
/// Most records of a log of requests.
const MOST_RECORDS: usize = 1_000_000;

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
            replica_lag: options.replica_lag,
            databases: options.databases,
            script_instructions: options.limits.script_instructions,
        };
        let mut engine = Engine::new(setup, at);
        engine.set_version(options.version);
        engine.set_max_clients(options.limits.clients);
        if options.cluster {
            engine.set_cluster(true);
        }
        let busy = Arc::new(Busy::new(options.clock.clone()));
        engine.watch_programs(&(Arc::clone(&busy) as Arc<dyn Watcher>));
        let shared = Shared {
            engine: Mutex::new(engine),
            busy,
            clock: options.clock,
            rules: Rules::new(options.seed),
            limits: options.limits,
            name: options.name,
            observer: Mutex::default(),
            observed: AtomicBool::new(false),
            log: OnceLock::new(),
            connections: Mutex::default(),
            down: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            end: Notify::new(),
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
        self.accept(listener, Role::Primary).await
    }

    /// Serves connections to the server's replica: they see what was written
    /// [`RedisOptions::replica_lag`] ago, and cannot write.
    ///
    /// # Errors
    /// As [`RedisServer::serve`], or if the server has no replica, because its horizon holds no writes.
    pub async fn serve_replica(&self, mut listener: impl Listener) -> io::Result<()> {
        self.serve_replica_dyn(&mut listener).await
    }

    /// [`RedisServer::serve_replica`] for a listener whose transport is not known at compile time.
    ///
    /// # Errors
    /// As [`RedisServer::serve_replica`].
    pub async fn serve_replica_dyn(&self, listener: &mut dyn Listener) -> io::Result<()> {
        self.check_replica()?;
        self.accept(listener, Role::Replica).await
    }

    async fn accept(&self, listener: &mut dyn Listener, role: Role) -> io::Result<()> {
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
                    connections.spawn(self.clone().run_connection(stream, peer, role));
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

    /// [`RedisServer::start_tcp`] for the server's replica.
    ///
    /// # Errors
    /// If the address cannot be listened on, or the server has no replica.
    pub async fn start_replica_tcp(&self, address: &str) -> io::Result<SocketAddr> {
        self.check_replica()?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        self.engine().set_replica_port(address.port());
        let server = self.clone();
        tokio::spawn(async move { server.serve_replica(listener).await });
        Ok(address)
    }

    /// A connection in memory, served on the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn connect(&self) -> BoxStream {
        self.connect_to(Role::Primary)
    }

    /// A connection in memory to the server's replica, served on the current runtime.
    ///
    /// # Errors
    /// If the server has no replica, because its horizon holds no writes.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect_replica(&self) -> io::Result<BoxStream> {
        self.check_replica()?;
        Ok(self.connect_to(Role::Replica))
    }

    fn connect_to(&self, role: Role) -> BoxStream {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let server = self.clone();
        tokio::spawn(async move {
            let due = server.drive_due();
            tokio::select! {
                biased;
                () = server.clone().run_connection(Box::new(far), "memory:0".to_owned(), role) => {}
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

    /// Keeps the last `capacity` requests and events from now on, 1,000,000 at most. Called again, it changes the
    /// capacity of the log there is.
    pub fn log_requests(&self, capacity: usize) -> Requests {
        let log = self.shared.log.get_or_init(Requests::new).clone();
        log.set_capacity(capacity.min(MOST_RECORDS));
        self.shared.observed.store(true, Ordering::Release);
        log
    }

    /// The log of requests, if [`RedisServer::log_requests`] was called.
    #[must_use]
    pub fn requests(&self) -> Option<&Requests> {
        self.shared.log.get()
    }

    pub(super) fn engine(&self) -> MutexGuard<'_, Engine> {
        lock(&self.shared.engine)
    }

    /// The engine, unless it is taken for longer than a command takes.
    pub(super) fn engine_soon(&self) -> Option<MutexGuard<'_, Engine>> {
        // On one thread the first try succeeds. Others hold it for some microseconds, but for a program.
        for _ in 0..100 {
            if self.shared.busy.is_busy() {
                return None;
            }
            if let Some(engine) = self.try_engine() {
                return Some(engine);
            }
            std::thread::yield_now();
        }
        None
    }

    /// The engine, unless it is taken.
    fn try_engine(&self) -> Option<MutexGuard<'_, Engine>> {
        match self.shared.engine.try_lock() {
            Ok(engine) => Some(engine),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn now(&self) -> Moment {
        moment(&self.shared.clock)
    }

    pub(super) fn is_observed(&self) -> bool {
        self.shared.observed.load(Ordering::Acquire)
    }

    /// Tells the observer. Call it without holding the engine: the observer may ask the server something.
    pub(super) fn tell(&self, what: What) {
        if let (Some(log), What::Event(event)) = (self.requests(), &what) {
            log.push(self.now(), Recorded::Event(event.clone()));
        }
        let observer = lock(&self.shared.observer).clone();
        if let Some(observer) = observer {
            observer(Sighting::new(&self.shared.name, what));
        }
    }

    /// Sends what the engine has for clients, tells the observer of keys that expired, and whoever waits for
    /// what is due next that it moved.
    /// Takes the engine and gives it free: the observer may ask the server something.
    pub(super) fn after_change(&self, mut engine: MutexGuard<'_, Engine>) {
        engine.end_round();
        let (expired, next) = (engine.take_expired(), engine.next_due_ms());
        let shutdown = engine.take_shutdown();
        for delivery in engine.take_deliveries() {
            self.deliver(&delivery);
        }
        let dropped = engine.take_dropped();
        drop(engine);
        dropped.into_iter().for_each(|id| self.kill(id));
        if shutdown {
            self.end();
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

    /// The server stands still for this long, if `id` is a client of it: commands wait. Its replica does not, and
    /// a replica that is told to stand still only answers late.
    pub(super) fn stall_for(&self, id: ClientId, duration: Duration) {
        if Engine::is_of_replica(id) {
            return;
        }
        let until = self.shared.clock.elapsed().saturating_add(duration);
        let until = i64::try_from(until.as_micros()).unwrap_or(i64::MAX);
        self.shared.stalled_until_us.fetch_max(until, Ordering::AcqRel);
    }

    /// How long the server goes on standing still for a client.
    pub(super) fn stalled_for(&self, id: ClientId) -> Option<Duration> {
        if Engine::is_of_replica(id) {
            return None;
        }
        let until = u64::try_from(self.shared.stalled_until_us.load(Ordering::Acquire)).unwrap_or(0);
        if until == 0 {
            return None;
        }
        let left = Duration::from_micros(until).saturating_sub(self.shared.clock.elapsed());
        (!left.is_zero()).then_some(left)
    }

    /// Leaves something with a connection, to be written next. One that does not read is closed.
    pub(super) fn deliver(&self, delivery: &Delivery) {
        let Some(link) = lock(&self.shared.connections).get(&delivery.to).cloned() else { return };
        let mut mail = lock(&link.mail);
        delivery.reply.write(delivery.protocol, &mut mail);
        link.is_last.fetch_or(delivery.last, Ordering::AcqRel);
        link.has_mail.store(true, Ordering::Release);
        link.task.wake();
        if mail.len() > self.shared.limits.output_bytes {
            link.kill();
        }
    }

    /// Ends a connection.
    pub(super) fn kill(&self, id: ClientId) {
        if let Some(link) = lock(&self.shared.connections).get(&id) {
            link.kill();
        }
    }

    /// Ends every connection to the server itself, none to its replica.
    pub(super) fn kill_own(&self) {
        for (_, link) in lock(&self.shared.connections).iter().filter(|(id, _)| !Engine::is_of_replica(**id))
        {
            link.kill();
        }
    }

    /// Ends every connection.
    pub(super) fn kill_all(&self) {
        for link in lock(&self.shared.connections).values() {
            link.kill();
        }
    }

    /// Runs one connection to its end.
    async fn run_connection(self, mut stream: BoxStream, peer: String, role: Role) {
        if role == Role::Primary && self.shared.down.load(Ordering::Acquire) {
            return;
        }
        let mut begun = conn_busy::Begun::new();
        let registered = loop {
            if !conn_busy::serve_unknown(&self, &mut stream, &mut begun).await {
                return;
            }
            if let Some(registered) = self.register(&peer, role) {
                break registered;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let (id, link) = match registered {
            Ok(registered) => registered,
            Err(why) => {
                // The peer may be gone already; nothing depends on its hearing this.
                let _ = stream.write_all(format!("-{why}\r\n").as_bytes()).await;
                return;
            }
        };
        let _registered = Registered { server: &self, id };
        conn::run(&self, id, &link, stream, begun).await;
    }

    /// Makes a connection known, or says why it is refused. `None` if the engine is taken.
    fn register(&self, peer: &str, role: Role) -> Option<Result<(ClientId, Arc<Link>), &'static str>> {
        let mut engine = self.engine_soon()?;
        let mut connections = lock(&self.shared.connections);
        if let Some(why) = engine.refuse_connection(role == Role::Replica) {
            return Some(Err(why));
        }
        let (now, peer) = (self.now(), peer.to_owned());
        let id = match role {
            Role::Primary => engine.connect(peer, now),
            Role::Replica => match engine.connect_replica(peer, now) {
                Some(id) => id,
                None => return Some(Err("ERR there is no replica")),
            },
        };
        let link = Arc::new(Link::default());
        connections.insert(id, Arc::clone(&link));
        Some(Ok((id, link)))
    }

    fn check_replica(&self) -> io::Result<()> {
        if self.engine().has_replica() {
            return Ok(());
        }
        let why = "the server has no replica, because the horizon of its options holds no writes";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    /// Deletes keys and ends waits when they are due. Several may do so at a time.
    async fn drive_due(&self) {
        loop {
            let moved = self.shared.due_moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let next = self.try_engine().map(|engine| engine.next_due_ms());
            let Some(next) = next else {
                // A program has it; whoever accepts connections may be the same task, so this one does not block.
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            self.shared.armed_ms.store(next.unwrap_or(i64::MAX), Ordering::Release);
            let Some(next) = next else {
                moved.await;
                continue;
            };
            let wait_us = next.saturating_mul(1000).saturating_sub(self.now().unix_us);
            if wait_us <= 0 {
                let now = self.now();
                if let Some(mut engine) = self.try_engine() {
                    engine.run_due(now);
                    self.after_change(engine);
                }
                // More may be due, but clients come first.
                tokio::task::yield_now().await;
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
        match self.server.engine_soon() {
            Some(mut engine) => engine.disconnect(self.id),
            None => self.server.shared.busy.leave(self.id),
        }
    }
}

fn moment(clock: &Clock) -> Moment {
    let elapsed = clock.elapsed();
    let elapsed_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
    Moment { unix_us: clock.unix_us_at(elapsed), elapsed_us }
}

fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// A panic while a lock was held left the value whole: every change under a lock is one engine call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
