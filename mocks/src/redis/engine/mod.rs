//! The server without its sockets: commands go in, replies and their consequences come out.
//!
//! The engine does no I/O, reads no clock and waits for nothing, so the same calls give the same answers in
//! every run. Time is handed in with each command and stands still while it runs, also throughout a
//! transaction or a script, as in Redis.
//!
//! [`Engine::exec`] follows `processCommand` of Redis 7.0: find the command, check arity, authentication and
//! modes, queue it in a transaction or call it. What to do with the consequences (closing connections,
//! stalling) is the shell's.

mod acl;
pub(crate) mod admit;
pub(crate) mod call;
mod client;
mod client_limits;
mod cluster;
pub(crate) mod cmd;
mod collection;
mod config;
mod config_value;
mod delivery;
mod error;
mod eviction;
pub(crate) mod files;
pub(crate) mod geohash;
mod hash_fields;
pub(crate) mod hll;
mod latency;
mod lazy_free;
mod log;
mod long_double;
mod lua;
mod monitor;
pub(crate) mod notify;
pub(crate) mod number;
mod outage;
mod output_limit;
mod parameters;
pub(crate) mod pause;
pub(crate) mod peers;
mod propagate;
pub(crate) mod pubsub;
mod redact;
pub(crate) mod replica;
mod rewrite;
mod setup;
pub mod slots;
mod slowlog;
pub(crate) mod stats;
pub(crate) mod table;
pub(crate) mod tracking;
mod tuning;
mod version;
pub(crate) mod wait;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::redis::resp::{Limits, Reply};
use crate::redis::store::{Place, Store};

use acl::Acl;
use call::Call;
use client::{Client, Clients};
use lua::{Functions, Scripts};
use monitor::Monitors;
use pause::Pause;
use pubsub::PubSub;
use replica::{Link, Replica};
use stats::Stats;
use tracking::Copies;
use wait::Waiters;
use watch::Watched;

pub(crate) use acl::Declared;
pub use client::ClientId;
pub use client_limits::Buffers;
pub use cluster::{Peer, SlotState};
pub(crate) use config::Config;
pub use delivery::Delivery;
pub use error::CmdError;
pub use files::{Files, MemoryFiles};
pub use log::{Horizon, Lose};
pub use lua::{Running, Verdict, Watcher};
pub use output_limit::OutputLimit;
pub use peers::{Exchanged, Peers, Unreached};
pub(crate) use redact::redacted;
pub use setup::{Expiry, Setup};
pub use table::{Spec, all as commands};
pub use version::Version;

/// The version this engine behaves as, and reports.
pub const VERSION: &str = "7.0.15";

/// A point in time, as the shell's clock tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Unix time in microseconds; tests may make it jump.
    pub unix_us: i64,
    /// Microseconds since the server was made; never jumps.
    pub elapsed_us: i64,
}

impl Moment {
    /// Unix time in milliseconds, the unit of deadlines.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.unix_us.div_euclid(1000)
    }
}

/// What a command led to.
#[derive(Debug, PartialEq)]
pub struct Effects {
    /// The answer, if there is one to send now.
    pub reply: Option<Reply>,
    /// The version of the protocol to send it in.
    pub protocol: u8,
    /// Close this connection when the answer is sent.
    pub close: bool,
    /// Close these other connections.
    pub kill: Vec<ClientId>,
    /// The whole server stands still for this long.
    pub stall: Option<Duration>,
    /// Whether the client is between `MULTI` and `EXEC`.
    pub in_transaction: bool,
    /// The command was not run, but is to be tried again when the client does not wait any more.
    pub postponed: Option<Vec<Bytes>>,
}

/// A Redis server without sockets.
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) clients: Clients,
    pub(crate) config: Config,
    pub(crate) stats: Stats,
    acl: Acl,
    version: Version,
    fields: hash_fields::FieldDeadlines,
    /// Whether the server is a node of a cluster, and what it knows of it.
    cluster: Option<Box<cluster::Cluster>>,
    memory: eviction::Memory,
    slow_log: slowlog::SlowLog,
    latency: latency::Latency,
    /// Unix seconds of the last `SAVE`, or of the start.
    saved_at_s: i64,
    pub(crate) scripts: Scripts,
    pub(crate) functions: Functions,
    pub(crate) rng: ChaCha8Rng,
    /// The time of the command under way.
    pub(crate) at: Moment,
    pub(crate) started: Moment,
    pub(crate) run_id: String,
    pub(crate) read_only: bool,
    pub(crate) active_expiry: bool,
    pub(crate) watched: Watched,
    /// How the script under way may call commands.
    pub(crate) script: Option<lua::Mode>,
    pub(crate) kill: Vec<ClientId>,
    pub(crate) close: bool,
    /// The process is to end.
    pub(crate) shutdown: bool,
    pub(crate) stall: Option<Duration>,
    pub(crate) pubsub: PubSub,
    pub(crate) monitors: Monitors,
    pub(crate) copies: Copies,
    pub(crate) waiters: Waiters,
    pub(crate) pause: Option<Pause>,
    /// Clients whose commands wait for the end of the pause, in order.
    postponed: Monitors,
    /// The command that was just postponed.
    kept_back: Option<Vec<Bytes>>,
    /// The client whose command runs.
    pub(crate) current: Option<ClientId>,
    /// The command under way has its answer.
    is_answered: bool,
    /// The commands of a transaction are running.
    pub(crate) in_transaction: bool,
    /// What replicas are to run instead of the command under way.
    pub(crate) rewritten: Vec<Vec<Bytes>>,
    pub(crate) replica: Option<Box<Replica>>,
    /// The primary whose replica this is.
    pub(crate) link: Option<Link>,
    /// The primary whose replica this was told to be, and from which it hears nothing.
    pub(crate) follows: Option<(String, u16)>,
    deliveries: Vec<Delivery>,
    expired: Vec<Place>,
    expiry: Expiry,
    /// When the next client may have been idle for too long; no earlier than that.
    idle_due_ms: Option<i64>,
    next_client: ClientId,
}

impl Engine {
    /// An empty server.
    #[must_use]
    pub fn new(setup: Setup, at: Moment) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(setup.seed);
        let mut config = Config::new();
        let replica = Replica::new(&setup, at);
        config.force("databases", setup.databases.to_string());
        let password = setup.password.unwrap_or_default();
        let acl = Acl::with_password(password.as_bytes());
        config.force("requirepass", password);
        if let Expiry::Redis { hz } = setup.expiry {
            config.force("hz", hz.to_string());
        }
        Self {
            store: Store::new(setup.databases.max(1)),
            clients: Clients::default(),
            config,
            acl,
            version: Version::default(),
            fields: hash_fields::FieldDeadlines::default(),
            cluster: None,
            memory: eviction::Memory::default(),
            slow_log: slowlog::SlowLog::default(),
            latency: latency::Latency::default(),
            saved_at_s: at.unix_us.div_euclid(1_000_000),
            stats: Stats::default(),
            scripts: Scripts::new(setup.script_instructions),
            functions: Functions::new(setup.script_instructions),
            run_id: cmd::server::random_hex(&mut rng),
            rng,
            at,
            started: at,
            read_only: false,
            active_expiry: true,
            watched: Watched::new(),
            script: None,
            kill: Vec::new(),
            close: false,
            shutdown: false,
            stall: None,
            pubsub: PubSub::default(),
            monitors: Monitors::default(),
            copies: Copies::default(),
            waiters: Waiters::default(),
            pause: None,
            postponed: Monitors::default(),
            kept_back: None,
            current: None,
            is_answered: false,
            in_transaction: false,
            rewritten: Vec::new(),
            replica,
            link: None,
            follows: None,
            deliveries: Vec::new(),
            expired: Vec::new(),
            expiry: setup.expiry,
            idle_due_ms: None,
            next_client: 1,
        }
    }

    /// Takes over the parameters of a command line.
    pub(crate) fn configure(&mut self, config: Config) {
        self.config = config;
        let password = self.config.get("requirepass").unwrap_or_default().to_owned();
        self.acl.set_default_password(password.as_bytes());
        if self.config.get("cluster-enabled") == Some("yes") {
            self.set_cluster(true);
        }
        self.watch_memory();
    }

    /// Has somebody watch scripts and functions, who lets others be answered while one runs for long.
    pub fn watch_programs(&mut self, watcher: &Arc<dyn Watcher>) {
        self.scripts.watch(Arc::clone(watcher));
        self.functions.watch(Arc::clone(watcher));
    }

    /// A client connected from `address`.
    pub fn connect(&mut self, address: String, at: Moment) -> ClientId {
        let id = self.next_client;
        self.next_client += 1;
        self.stats.connections += 1;
        let authenticated = self.acl.is_open();
        let mut client = Client::new(id, address, authenticated, at);
        client.library = (self.version >= Version::V7_2).then(Default::default);
        self.clients.insert(client);
        self.arm_idle();
        id
    }

    /// A client's connection is gone.
    pub fn disconnect(&mut self, id: ClientId) {
        if let Some(reader) = self.reader_for(id, None) {
            return reader.disconnect(id);
        }
        self.unwatch(id);
        self.forget_wait(id);
        self.forget_subscriptions(id);
        self.untrack(id);
        self.monitors.shift_remove(&id);
        self.postponed.shift_remove(&id);
        self.clients.remove(&id);
    }

    /// Whether a client is connected.
    #[must_use]
    pub fn is_connected(&self, id: ClientId) -> bool {
        self.reader_of(id).unwrap_or(self).clients.contains_key(&id)
    }

    /// What a client may send; `None` while it waits, when nothing else of what it sent may run.
    #[must_use]
    pub fn may_send(&self, id: ClientId) -> Option<Limits> {
        let engine = self.reader_of(id).unwrap_or(self);
        let client = engine.clients.get(&id);
        if client.is_some_and(|client| client.waiting.is_some() || client.is_postponed) {
            return None;
        }
        let authenticated = client.is_some_and(|client| client.authenticated) || engine.acl.is_open();
        Some(Limits { bulk_bytes: engine.config.bulk_bytes, authenticated })
    }

    /// Runs one command of a client at the time `at`.
    pub fn exec(&mut self, id: ClientId, args: Vec<Bytes>, at: Moment) -> Effects {
        if let Some(reader) = self.reader_for(id, Some(at)) {
            return reader.exec(id, args, at);
        }
        self.at = at;
        self.current = Some(id);
        self.end_pause_if_over();
        self.is_answered = false;
        let reply = self.dispatch(id, args);
        self.close_write();
        let written_to = self.replica.as_ref().map_or(0, |replica| replica.end());
        self.is_answered = true;
        self.serve_ready();
        self.is_answered = false;
        self.current = None;
        let (reply, protocol, in_transaction) = match self.clients.get_mut(&id) {
            Some(client) => {
                client.used = at;
                client.written_to = written_to;
                (client.filter_reply(reply), client.protocol, client.transaction.is_some())
            }
            None => (None, 2, false),
        };
        self.arm_idle();
        Effects {
            reply,
            protocol,
            close: std::mem::take(&mut self.close),
            kill: std::mem::take(&mut self.kill),
            stall: self.stall.take(),
            in_transaction,
            postponed: self.kept_back.take(),
        }
    }

    /// Answers an error line for a command that is not run, as if the server had refused it.
    pub fn inject(&mut self, id: ClientId, args: &[Bytes], line: String) -> Effects {
        if let Some(reader) = self.reader_for(id, None) {
            return reader.inject(id, args, line);
        }
        let reply = self.refuse(id, args, CmdError::new(line));
        let client = self.clients.get_mut(&id);
        let (reply, protocol, in_transaction) = client.map_or((None, 2, false), |client| {
            (client.filter_reply(reply), client.protocol, client.transaction.is_some())
        });
        let (kill, postponed) = (Vec::new(), None);
        Effects { reply, protocol, close: false, kill, stall: None, in_transaction, postponed }
    }

    /// Does what is due: deletes keys whose deadline has passed, ends waits. With [`Expiry::Redis`] there may be
    /// more keys than it deletes in one go; then [`Engine::next_due_ms`] is not later than now.
    pub fn run_due(&mut self, at: Moment) {
        self.at = at;
        self.end_pause_if_over();
        if self.next_expiry_ms().is_some_and(|due| due <= at.unix_ms()) {
            self.store.expire_due(at.unix_ms(), self.expiry.portion());
        }
        self.expire_fields();
        self.evict_overdue();
        self.settle();
        self.close_write();
        self.serve_ready();
        self.run_replica();
        self.end_overdue_waits();
        self.close_idle();
    }

    /// When [`Engine::run_due`] should be called next, in Unix milliseconds.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<i64> {
        let waits = self.waiters.next_deadline_ms();
        let due = self.next_expiry_ms().into_iter().chain(self.next_field_expiry_ms());
        let pause = self.pause.map(|pause| pause.until_ms.saturating_add(1));
        let own = self.next_eviction_ms().into_iter().chain(self.idle_due_ms);
        due.chain(waits).chain(self.replica_due_ms()).chain(pause).chain(own).min()
    }

    fn next_expiry_ms(&self) -> Option<i64> {
        if !self.active_expiry || !self.store.deletes_overdue() {
            return None;
        }
        self.next_tick_ms(self.store.next_deadline_ms()?)
    }

    /// When what has this deadline is deleted though nobody looks at it.
    fn next_tick_ms(&self, deadline_ms: i64) -> Option<i64> {
        // The deadline itself still belongs to the key.
        let due = deadline_ms.saturating_add(1);
        match self.expiry {
            Expiry::LazyOnly => None,
            Expiry::Exact => Some(due),
            Expiry::Redis { hz } => {
                let period = 1000 / i64::from(hz.clamp(1, 500));
                let ticks = due.div_euclid(period) + i64::from(due.rem_euclid(period) != 0);
                Some(ticks.saturating_mul(period))
            }
        }
    }

    /// Whether a client ended the process since the last call.
    pub fn take_shutdown(&mut self) -> bool {
        std::mem::take(&mut self.shutdown)
    }

    /// The commands that arrived together have all run: tells what was gathered meanwhile.
    pub fn end_round(&mut self) {
        self.limit_copies();
        self.broadcast_stale_keys();
    }

    /// Keys that expired since the last call, in order.
    pub fn take_expired(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.expired)
    }

    /// Whether writes are refused, as a replica refuses them.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }

    /// The data.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Commands run, connections accepted and refused, keys expired and evicted: as in `INFO stats`.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The port that `CONFIG GET port` and `INFO` report.
    pub fn set_port(&mut self, port: u16) {
        self.config.force("port", port.to_string());
    }

    /// The name and number of a client, for matching rules.
    #[must_use]
    pub fn client_name(&self, id: ClientId) -> Bytes {
        let engine = self.reader_of(id).unwrap_or(self);
        engine.clients.get(&id).map(|client| client.name.clone()).unwrap_or_default()
    }

    /// Runs a command for a client that may have it run: no checks but those of the command itself.
    pub(crate) fn call(&mut self, id: ClientId, spec: &'static Spec, args: &[Bytes]) -> Reply {
        self.rewritten.clear();
        let before = self.before_command();
        let stalled_us = self.stalled_us();
        self.show_script(id, spec, args);
        self.note_declared_keys(id, spec, args);
        let outcome = (spec.run)(&mut Call { engine: self, client: id, spec, args });
        self.settle();
        self.log_command(before, id, args);
        let took_us = self.stalled_us().saturating_sub(stalled_us);
        self.note_time(id, spec, args, took_us);
        self.show_call(id, spec, args);
        self.remember_reads(id, spec, args);
        let failed = matches!(outcome, Err(_) | Ok(Reply::Error(_)));
        self.stats.count_call(spec.name, failed, took_us, self.config.tuning.tracks_latency);
        match outcome {
            Ok(reply) => {
                if let Reply::Error(line) = &reply {
                    self.stats.count_error(line);
                }
                reply
            }
            Err(error) => {
                if !error.was_counted() {
                    self.stats.count_error(error.code());
                }
                Reply::Error(error.to_string())
            }
        }
    }

    /// Runs the command of a client that waited once more; it was counted when it came.
    pub(crate) fn rerun(&mut self, id: ClientId, spec: &'static Spec, args: &[Bytes]) -> Reply {
        self.rewritten.clear();
        let before = self.before_command();
        let outcome = (spec.run)(&mut Call { engine: self, client: id, spec, args });
        self.settle();
        self.log_command(before, id, args);
        self.close_write();
        outcome.unwrap_or_else(|error| {
            self.stats.count_error(error.code());
            self.stats.count_failed(spec.name);
            Reply::Error(error.to_string())
        })
    }

    /// Tells watching and waiting clients of the keys that changed, and notes those that expired.
    pub(crate) fn settle(&mut self) {
        self.tell_expired();
        for place in self.store.take_touched() {
            self.waiters.written(&place);
            self.note_written(&place);
            self.invalidate(&place.1);
            let Some(watchers) = self.watched.get(&place) else { continue };
            let gone = self.store.db(place.0).get(&place.1).is_none();
            for id in watchers {
                if let Some(client) = self.clients.get_mut(id) {
                    client.watched_key_changed(&place, gone);
                }
            }
        }
        self.waiters.settled();
        self.settle_copies();
    }

    /// Tells of keys that expired, and notes them.
    pub(crate) fn tell_expired(&mut self) {
        if !self.store.has_expired() {
            return;
        }
        let expired = self.store.take_expired();
        self.stats.expired += u64::try_from(expired.len()).unwrap_or(u64::MAX);
        for (db, key) in &expired {
            self.notify(notify::EXPIRED, "expired", *db, key);
            self.log_own(*db, vec![Bytes::from_static(b"del"), key.clone()], false);
        }
        if self.expired.len() < REMEMBERED_EXPIRIES {
            self.expired.extend(expired);
        }
    }

    /// Has the store note which keys change exactly while someone wants to know.
    pub(crate) fn choose_notes(&mut self) {
        let counted = self.memory.is_on() || self.fields.is_on();
        let watched = !self.watched.is_empty() || !self.waiters.is_empty() || !self.copies.is_empty();
        self.store.note_touched(counted || watched);
    }
}

/// Expired keys remembered until the shell asks, so that an engine nobody asks does not grow.
const REMEMBERED_EXPIRIES: usize = 100_000;

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("clients", &self.clients.len())
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod eviction_tests;
#[cfg(test)]
mod hash_fields_tests;
#[cfg(test)]
mod listen_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wait_tests;
