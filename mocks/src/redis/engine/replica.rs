//! The replica of a server: a second engine that runs what the first one wrote, later.
//!
//! Every command, transaction or script that changed data is a write in the [`Log`], with the time it ran at;
//! running the writes in order, each at its time, makes another engine the same. Commands that draw by chance
//! or wait say what to run instead (`Call::replicate`). Keys that expire are written too, as Redis does it, so
//! that a replica deletes nothing by itself: its commands from the log find every key that the primary's found.
//!
//! There are up to two engines behind the log, since they stand at two places in it:
//! - the `base` is as far back as writes can be lost: a failover runs on it what is not lost, and its data
//!   become the server's;
//! - the `reader` is as far back as the replica lags. It is what clients of the replica see, and is made when
//!   the first one comes.
//!
//! What is not replicated: scripts that were loaded, clients, watches, subscriptions.

use std::collections::BTreeSet;
use std::time::Duration;

use super::client::{Client, ClientId};
use super::config::Config;
use super::log::{Command, Horizon, Log, Lose, micros};
use super::lua::Functions;
use super::{Engine, Moment, Setup, Version};
use crate::redis::store::{Overdue, Store};

/// Clients of the replica have numbers from here on, so that a number says whose client it is.
pub(crate) const REPLICA_CLIENTS: ClientId = 1 << 40;

/// The number of the client that the primary is to its replica.
pub(super) const PRIMARY: ClientId = 0;

/// The log of a server, and the engines that run it.
pub(crate) struct Replica {
    setup: Setup,
    pub(super) log: Log,
    base: Box<Engine>,
    pub(super) reader: Option<Reader>,
    /// The port on which the replica is served.
    pub(super) port: u16,
    /// How many commands were looked at, to be logged or not.
    pub(super) noted: u64,
    /// Clients that wait for their writes to reach the replica, by the end of those writes.
    pub(super) awaiting: BTreeSet<(u64, ClientId)>,
}

/// The engine that clients of the replica see.
pub(super) struct Reader {
    pub(super) engine: Box<Engine>,
    /// How many of the writes in the log it ran, and of how many commands these are.
    pub(super) writes: usize,
    commands: usize,
}

/// What an engine knows of the primary whose replica it is.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The primary's port.
    pub(crate) port: String,
    /// The primary's name for its history.
    pub(crate) run_id: String,
    /// Where in the stream of all writes the replica is.
    pub(crate) offset: u64,
}

impl Replica {
    /// A replica of an empty server; `None` if no writes can be lost.
    pub(super) fn new(setup: &Setup, at: Moment) -> Option<Box<Self>> {
        if setup.horizon.writes == 0 {
            return None;
        }
        let base = Box::new(follower(setup, at));
        Some(Box::new(Self {
            setup: setup.clone(),
            log: Log::default(),
            base,
            reader: None,
            port: 0,
            noted: 0,
            awaiting: BTreeSet::new(),
        }))
    }

    /// The port on which the replica is served, 0 if on none.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the stream of all writes ends.
    pub(crate) fn end(&self) -> u64 {
        self.log.end()
    }

    /// Where in the stream of all writes the replica is.
    pub(crate) fn reached(&self, now: Moment) -> u64 {
        self.log.end_of(self.log.reached(self.setup.replica_lag, now))
    }

    /// When the replica is at `end` in the stream of all writes, on the clock that never jumps; `None` if it is
    /// there already, since writes that leave the log reach it whatever its lag.
    pub(super) fn reaches_us(&self, end: u64) -> Option<i64> {
        let writes = self.log.writes();
        let write = writes.get(writes.partition_point(|write| write.end < end))?;
        Some(write.at.elapsed_us.saturating_add(micros(self.setup.replica_lag)))
            .filter(|_| end > self.log.end_of(0))
    }

    /// Has the engines behave as a version of Redis.
    pub(super) fn set_version(&mut self, version: Version) {
        self.base.set_version(version);
        if let Some(reader) = &mut self.reader {
            reader.engine.set_version(version);
        }
    }

    /// Takes over the parameters the server was started with, which no command in the log sets.
    pub(super) fn begin(&mut self, config: &Config) {
        self.base.config.clone_from(config);
    }

    /// Ends the write under way, and brings the engines to where they should be.
    pub(super) fn close(&mut self, at: Moment) {
        if !self.log.close(at) {
            return;
        }
        self.advance(at);
        while self.log.is_beyond(self.setup.horizon, at) {
            self.take_over();
        }
    }

    /// Has the reader run what has reached it.
    pub(super) fn advance(&mut self, now: Moment) {
        let Some(reader) = &mut self.reader else { return };
        let reached = self.log.reached(self.setup.replica_lag, now);
        while reader.writes < reached {
            reader.run_next(&self.log);
        }
    }

    /// Has the base run the oldest write, which leaves the log. A reader that lags more than the log holds
    /// hears of it early.
    fn take_over(&mut self) {
        if let Some(reader) = &mut self.reader
            && reader.writes == 0
        {
            reader.run_next(&self.log);
        }
        let Some(write) = self.log.pop() else { return };
        for _ in 0..write.commands {
            if let Some(command) = self.log.pop_command() {
                self.base.replay(write.at, &command);
            }
        }
        if let Some(reader) = &mut self.reader {
            reader.writes -= 1;
            reader.commands -= write.commands;
        }
    }

    /// Loses writes: `store` and `functions` are brought to where they were before them. Answers how many.
    pub(super) fn rewind(
        &mut self,
        lose: Lose,
        at: Moment,
        store: &mut Store,
        functions: &mut Functions,
    ) -> usize {
        let (kept, lost) = self.log.split(lose, self.setup.replica_lag, at);
        for _ in 0..kept {
            self.take_over();
        }
        if lost > 0 {
            store.swap_data(&mut self.base.store);
            self.base.store.copy_data(store);
            functions.copy_from(&self.base.functions);
        }
        // What is left when nothing that counts was lost is as good as run: expired keys, parameters.
        while !self.log.writes().is_empty() && lost == 0 {
            self.take_over();
        }
        self.begin_again(at, store, functions);
        lost
    }

    /// Loses all data, `functions` being empty already; how many writes of those that were still known.
    pub(super) fn forget(&mut self, at: Moment, store: &mut Store, functions: &Functions) -> usize {
        let (_, lost) = self.log.split(Lose::LastWrites(usize::MAX), Duration::ZERO, at);
        store.forget_everything();
        self.base.store.forget_everything();
        self.base.functions.flush();
        self.begin_again(at, store, functions);
        lost
    }

    /// A server with this data, which the base has too, has no history, and its replica is another process.
    fn begin_again(&mut self, at: Moment, store: &Store, functions: &Functions) {
        self.log.clear();
        self.awaiting.clear();
        if let Some(reader) = &mut self.reader {
            (reader.writes, reader.commands) = (0, 0);
            reader.engine.store.copy_data(store);
            reader.engine.functions.copy_from(functions);
            reader.engine.begin_another_process(at);
        }
    }

    /// What clients of the replica see, made if it was not there.
    pub(super) fn reader(
        &mut self,
        config: &Config,
        store: &Store,
        functions: &Functions,
        at: Moment,
    ) -> &mut Reader {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.make_reader(config, store, functions, at),
        };
        self.reader.insert(reader)
    }

    fn make_reader(&self, config: &Config, store: &Store, functions: &Functions, at: Moment) -> Reader {
        let mut engine = Box::new(follower(&self.setup, at));
        engine.next_client = REPLICA_CLIENTS;
        engine.read_only = true;
        engine.set_version(self.base.version);
        engine.config.clone_from(config);
        engine.config.home = None;
        engine.set_port(self.port);
        engine.link = Some(Link::default());
        let reached = self.log.reached(self.setup.replica_lag, at);
        if reached == self.log.writes().len() {
            engine.store.copy_data(store);
            engine.functions.copy_from(functions);
            engine.note_all_fields();
            return Reader { engine, writes: reached, commands: self.log.commands().len() };
        }
        engine.store.copy_data(&self.base.store);
        engine.functions.copy_from(&self.base.functions);
        engine.note_all_fields();
        let mut reader = Reader { engine, writes: 0, commands: 0 };
        while reader.writes < reached {
            reader.run_next(&self.log);
        }
        reader
    }
}

impl Reader {
    fn run_next(&mut self, log: &Log) {
        let Some(write) = log.writes().get(self.writes) else { return };
        for command in log.commands().iter().skip(self.commands).take(write.commands) {
            self.engine.replay(write.at, command);
        }
        self.writes += 1;
        self.commands += write.commands;
        // Clients of a replica can wait for streams.
        self.engine.serve_ready();
    }
}

/// An engine that runs what another wrote.
fn follower(setup: &Setup, at: Moment) -> Engine {
    // Chance is its own, so that what is drawn and not replicated shows.
    let seed = setup.seed.wrapping_add(1);
    let mut engine = Engine::new(Setup { seed, horizon: Horizon::NONE, ..setup.clone() }, at);
    engine.store.treat_overdue(Overdue::Hidden);
    engine
}

impl Engine {
    /// Makes this the replica of a primary that is out of reach, or a primary again.
    pub(crate) fn follow(&mut self, primary: Option<(String, u16)>) {
        if primary.is_some() {
            self.end_all_waits();
        }
        if primary.is_some() || self.follows.is_some() {
            self.read_only = primary.is_some();
            self.follows = primary;
        }
    }

    /// Runs what the primary ran, at the time it ran at.
    fn replay(&mut self, at: Moment, command: &Command) {
        let Ok(spec) = self.resolve(&command.args) else { return };
        if !spec.takes(command.args.len()) {
            // `DEBUG REPLICATE` sends anything.
            return;
        }
        self.at = at;
        if !self.clients.contains_key(&PRIMARY) {
            self.clients.insert(Client::new(PRIMARY, "primary:0".to_owned(), true, at));
        }
        if let Some(primary) = self.clients.get_mut(&PRIMARY) {
            primary.db = command.db;
        }
        self.store.treat_overdue(Overdue::Kept);
        // A command that would wait did not, or it would not be in the log.
        self.in_transaction = true;
        self.call(PRIMARY, spec, &command.args);
        self.in_transaction = false;
        self.store.treat_overdue(Overdue::Hidden);
    }
}
