//! What the engine tells its log, and what goes on between it and its replica: clients of either, waits for
//! writes to arrive, things that are due.
//!
//! A client's number says whether it is the replica's: what comes from one is handed to the reader whole.

use bytes::Bytes;

use super::client::ClientId;
use super::log::Lose;
use super::replica::REPLICA_CLIENTS;
use super::wait::Kind;
use super::{Delivery, Engine, Moment};
use crate::redis::resp::Reply;
use crate::redis::store::Store;

/// What was so before a command ran, to see whether it is to be logged.
#[derive(Clone, Copy)]
pub(super) struct Before {
    dirty: u64,
    noted: u64,
}

impl Engine {
    /// A client of the replica connected from `address`; `None` if there is no replica.
    pub fn connect_replica(&mut self, address: String, at: Moment) -> Option<ClientId> {
        let replica = self.replica.as_mut()?;
        Some(replica.reader(&self.config, &self.store, &self.functions, at).engine.connect(address, at))
    }

    /// Whether there is a replica.
    #[must_use]
    pub fn has_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// Whether a client is one of the replica.
    #[must_use]
    pub fn is_of_replica(id: ClientId) -> bool {
        id >= REPLICA_CLIENTS
    }

    /// The replica's data as its clients see them, once one has connected.
    #[must_use]
    pub fn replica_store(&self) -> Option<&Store> {
        let reader = self.replica.as_ref()?.reader.as_ref()?;
        Some(&reader.engine.store)
    }

    /// The port that `INFO` and `ROLE` say the replica has.
    pub fn set_replica_port(&mut self, port: u16) {
        let Some(replica) = &mut self.replica else { return };
        replica.port = port;
        if let Some(reader) = &mut replica.reader {
            reader.engine.set_port(port);
        }
    }

    /// How many writes a replica was to hear of since the server was made: commands, transactions and scripts
    /// that changed data.
    #[must_use]
    pub fn logged_writes(&self) -> u64 {
        self.replica.as_ref().map_or(0, |replica| replica.log.counted())
    }

    /// The clock was moved; what is due by the clock that never jumps is due at another time of the wall.
    pub fn clock_jumped(&mut self, at: Moment) {
        self.at = at;
        self.rearm_idle();
    }

    /// The engine a client talks to, if it is the replica's; brought to where it should be at `at`.
    pub(super) fn reader_for(&mut self, id: ClientId, at: Option<Moment>) -> Option<&mut Self> {
        if !Self::is_of_replica(id) {
            return None;
        }
        let replica = self.replica.as_mut()?;
        if let Some(at) = at {
            replica.advance(at);
        }
        let reader = replica.reader.as_mut()?;
        if let Some(link) = &mut reader.engine.link {
            link.offset = replica.log.end_of(reader.writes);
            self.config.get("port").unwrap_or_default().clone_into(&mut link.port);
            link.run_id.clone_from(&self.run_id);
        }
        Some(&mut reader.engine)
    }

    /// The engine a client talks to, to be looked at.
    pub(super) fn reader_of(&self, id: ClientId) -> Option<&Self> {
        if !Self::is_of_replica(id) {
            return None;
        }
        Some(&self.replica.as_ref()?.reader.as_ref()?.engine)
    }

    /// What to compare with when the command under way is over.
    pub(super) fn before_command(&self) -> Option<Before> {
        let replica = self.replica.as_ref()?;
        Some(Before { dirty: self.store.dirty(), noted: replica.noted })
    }

    /// Logs the command that just ran, if it changed data or says what a replica is to run. One that ran
    /// others, which logged themselves, is not logged.
    pub(super) fn log_command(&mut self, before: Option<Before>, id: ClientId, args: &[Bytes]) {
        let (Some(before), Some(replica)) = (before, &mut self.replica) else { return };
        let changed = self.store.dirty() != before.dirty;
        let has_run_others = replica.noted != before.noted;
        let rewritten = std::mem::take(&mut self.rewritten);
        if has_run_others || !changed && rewritten.is_empty() {
            return;
        }
        if replica.noted == 0 {
            replica.begin(&self.config);
        }
        replica.noted += 1;
        // A script chose that replicas are not to have what it writes from here on.
        if self.script.is_some_and(|mode| !mode.replicate) {
            return;
        }
        let db = self.clients.get(&id).map_or(0, |client| client.db);
        if rewritten.is_empty() {
            replica.log.push(db, args.to_vec(), changed);
        }
        // An empty line runs nothing.
        for args in rewritten.into_iter().filter(|args| !args.is_empty()) {
            replica.log.push(db, args, changed);
        }
    }

    /// Logs a command that no client sent.
    pub(super) fn log_own(&mut self, db: usize, args: Vec<Bytes>, counts: bool) {
        if let Some(replica) = &mut self.replica {
            replica.log.push(db, args, counts);
        }
    }

    /// Ends the write under way: what was logged since the last one.
    pub(super) fn close_write(&mut self) {
        if let Some(replica) = &mut self.replica {
            replica.close(self.at);
        }
    }

    /// Loses writes. Answers how many.
    pub(super) fn lose(&mut self, lose: Lose, at: Moment) -> usize {
        self.replica
            .as_mut()
            .map_or(0, |replica| replica.rewind(lose, at, &mut self.store, &mut self.functions))
    }

    /// Loses all data. Answers how many writes that were, of those that could have been lost.
    pub(super) fn lose_everything(&mut self, at: Moment) -> usize {
        self.functions.flush();
        match &mut self.replica {
            Some(replica) => replica.forget(at, &mut self.store, &self.functions),
            None => {
                self.store.forget_everything();
                0
            }
        }
    }

    /// Does what is due on the replica, and ends the waits for what has reached it.
    pub(super) fn run_replica(&mut self) {
        let Some(replica) = &mut self.replica else { return };
        replica.advance(self.at);
        if let Some(reader) = &mut replica.reader {
            reader.engine.run_due(self.at);
        }
        let reached = replica.reached(self.at);
        let later = replica.awaiting.split_off(&(reached.saturating_add(1), 0));
        for (end, id) in std::mem::replace(&mut replica.awaiting, later) {
            // It may wait for something else by now.
            let kind = self
                .clients
                .get(&id)
                .and_then(|client| client.waiting.as_ref())
                .map(|waiting| waiting.kind());
            if kind == Some(Kind::Replicas(end)) {
                self.unblock(id, Reply::Int(1));
            }
        }
    }

    /// When something is due on the replica, or a client has waited long enough for it, in Unix milliseconds.
    pub(super) fn replica_due_ms(&self) -> Option<i64> {
        let replica = self.replica.as_ref()?;
        let next_read = replica.reader.as_ref().and_then(|reader| replica.log.writes().get(reader.writes));
        let next_end = replica.awaiting.first().map(|(end, _)| *end);
        let reached = next_read.map(|write| write.end).into_iter().chain(next_end).min();
        let reached = reached.map(|end| replica.reaches_us(end).unwrap_or(self.at.elapsed_us));
        let reached = reached.map(|us| {
            let unix_us = self.at.unix_us.saturating_add(us - self.at.elapsed_us);
            unix_us.div_euclid(1000) + i64::from(unix_us.rem_euclid(1000) != 0)
        });
        let waits = replica.reader.as_ref().and_then(|reader| reader.engine.next_due_ms());
        reached.into_iter().chain(waits).min()
    }

    /// What clients of the replica are to be sent beside answers.
    pub(super) fn take_replica_deliveries(&mut self) -> Vec<Delivery> {
        let reader = self.replica.as_mut().and_then(|replica| replica.reader.as_mut());
        reader.map(|reader| reader.engine.take_deliveries()).unwrap_or_default()
    }

    /// How many replicas are at `end` in the stream of all writes.
    pub(crate) fn replicas_at(&self, end: u64) -> i64 {
        self.replica.as_ref().map_or(0, |replica| i64::from(replica.reached(self.at) >= end))
    }

    /// Remembers that a client waits for one replica to be at `end`.
    pub(crate) fn await_replica(&mut self, id: ClientId, end: u64) {
        if let Some(replica) = &mut self.replica {
            replica.awaiting.insert((end, id));
        }
    }
}
