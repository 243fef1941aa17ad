//! What clients may cost: how many there are (`maxclients`), how long they may be idle (`timeout`), and what their
//! buffers may hold together (`maxmemory-clients`).
//!
//! The engine says who has to go; the shell, which has the connections and tells the engine what their buffers
//! hold, closes them. Memory is an estimate: what an idle client of Redis 7.0 takes, and the bytes in its buffers
//! and its transaction, without what an allocator adds.

use super::client::{Class, Client, ClientId};
use super::pubsub::Topic;
use super::{Engine, Moment};

/// What a connection holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// Of commands that have not run.
    pub query: usize,
    /// Of replies that were not sent.
    pub output: usize,
}

/// What an idle client of the real server takes.
const IDLE_BYTES: usize = 1800;
/// What each subscription adds to that.
const SUBSCRIPTION_BYTES: usize = 40;
/// A limit below this would end the connection that could raise it.
const LOWEST_LIMIT: usize = 128 * 1024;

impl Client {
    /// Bytes it takes, by estimate.
    pub(super) fn memory(&self) -> usize {
        let queued = self.transaction.as_ref().map_or(0, |transaction| transaction.bytes);
        let topics = [Topic::Channel, Topic::Pattern, Topic::Shard];
        let subscriptions: usize = topics.map(|topic| self.subscriptions.of(topic).len()).iter().sum();
        let buffers = self.buffers.query + self.buffers.output;
        IDLE_BYTES + buffers + queued + subscriptions * SUBSCRIPTION_BYTES
    }

    /// Whether a client that does nothing is to go at some time.
    fn may_time_out(&self) -> bool {
        let waits = self.waiting.is_some() || self.is_postponed;
        !self.monitors && !waits && self.class() == Class::Normal && self.id != super::replica::PRIMARY
    }
}

impl Engine {
    /// What a connection that comes now is told instead of being served, if there are too many.
    pub fn refuse_connection(&mut self, of_replica: bool) -> Option<&'static str> {
        let reader = self.replica.as_mut().and_then(|replica| replica.reader.as_mut());
        let engine = match reader {
            Some(reader) if of_replica => &mut *reader.engine,
            _ if of_replica => return None,
            _ => self,
        };
        if engine.clients.len() < engine.config.tuning.most_clients {
            return None;
        }
        engine.stats.rejected_connections += 1;
        Some(match engine.cluster {
            Some(_) => "ERR max number of clients + cluster connections reached",
            None => "ERR max number of clients reached",
        })
    }

    /// Sets how many clients there may be.
    pub fn set_max_clients(&mut self, most: usize) {
        self.config.force("maxclients", most.to_string());
    }

    /// Whether it matters what connections hold.
    #[must_use]
    pub fn counts_buffers(&self) -> bool {
        self.config.tuning.clients_memory_limit > 0 || self.config.tuning.timeout_s > 0
    }

    /// Notes what a connection holds, and ends connections if all hold too much. More to run than before is a
    /// sign of life.
    pub fn note_buffers(&mut self, id: ClientId, buffers: Buffers, at: Moment) {
        if let Some(reader) = self.reader_for(id, None) {
            return reader.note_buffers(id, buffers, at);
        }
        let Some(client) = self.clients.get_mut(&id) else { return };
        if buffers.query > client.buffers.query {
            client.used = at;
        }
        client.buffers = buffers;
        self.evict_clients();
    }

    /// Ends connections, those that hold most first, until all together are within `maxmemory-clients`.
    fn evict_clients(&mut self) {
        let limit = self.config.tuning.clients_memory_limit;
        if limit == 0 {
            return;
        }
        let limit = limit.max(LOWEST_LIMIT);
        let mut held: usize = self.clients.values().map(Client::memory).sum();
        while held >= limit {
            let candidates = self.clients.values().filter(|client| !client.never_evict && client.id > 0);
            // Of clients as big, the one that came first.
            let biggest = candidates.rev().max_by_key(|client| size_class(client.memory()));
            let Some((id, bytes)) = biggest.map(|client| (client.id, client.memory())) else { return };
            held -= bytes;
            self.stats.evicted_clients += 1;
            self.drop_client(id);
        }
    }

    /// Ends the connections that were idle for longer than `timeout`.
    pub(super) fn close_idle(&mut self) {
        if self.idle_due_ms.is_none_or(|due| due > self.at.unix_ms()) {
            return;
        }
        let now_s = self.at.unix_us.div_euclid(1_000_000);
        let timeout_s = self.config.tuning.timeout_s;
        let is_overdue = |client: &&Client| client.may_time_out() && idle_end_s(client, timeout_s) <= now_s;
        let overdue: Vec<_> = self.clients.values().filter(is_overdue).map(|client| client.id).collect();
        overdue.into_iter().for_each(|id| self.drop_client(id));
        self.rearm_idle();
    }

    /// Finds out when the next client may have been idle for too long.
    pub(super) fn rearm_idle(&mut self) {
        let timeout_s = self.config.tuning.timeout_s;
        self.idle_due_ms = None;
        if timeout_s > 0 {
            let ends = self.clients.values().filter(|client| client.may_time_out());
            self.idle_due_ms = ends.map(|client| idle_end_s(client, timeout_s).saturating_mul(1000)).min();
        }
    }

    /// A client did something: it may be the first that can be idle for too long.
    pub(super) fn arm_idle(&mut self) {
        if self.config.tuning.timeout_s > 0 && self.idle_due_ms.is_none() {
            self.rearm_idle();
        }
    }

    /// Connections to be closed that no command closed, since the last call.
    pub fn take_dropped(&mut self) -> Vec<ClientId> {
        let mut dropped = std::mem::take(&mut self.kill);
        if let Some(reader) = self.replica.as_mut().and_then(|replica| replica.reader.as_mut()) {
            dropped.append(&mut reader.engine.kill);
        }
        dropped
    }

    fn drop_client(&mut self, id: ClientId) {
        self.disconnect(id);
        self.kill.push(id);
    }
}

/// The second of the wall clock at which a client that does nothing more goes.
fn idle_end_s(client: &Client, timeout_s: i64) -> i64 {
    client.used.unix_us.div_euclid(1_000_000).saturating_add(timeout_s).saturating_add(1)
}

/// Powers of two between 32 KB and 8 GB: clients within one are as big as one another.
fn size_class(bytes: usize) -> u32 {
    (usize::BITS - bytes.leading_zeros()).clamp(15, 33)
}
