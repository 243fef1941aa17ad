//! What a test does to a server from outside: failover, restart, eviction, time, outages, and looking inside.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::engine::stats::Stats;
use super::engine::{Lose, SlotState};
use super::server::RedisServer;
use super::store::{Entry, Place};
use crate::observe::What;

/// What a restart keeps of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: no persistence.
    Nothing,
    /// All but the writes younger than this: a file synced that often (`appendfsync everysec`: one second).
    AllBut(Duration),
}

impl RedisServer {
    /// A replica that lags takes over under the same address: the writes it had not received are lost, and
    /// every connection is closed, also those to the replica, which is another one now. Scripts are the
    /// replica's own: none are loaded. Answers how many writes were lost.
    ///
    /// How far back writes can be lost is bounded by [`RedisOptions::horizon`](super::RedisOptions).
    pub fn failover(&self, lose: Lose) -> usize {
        let now = self.now();
        let lost = self.engine().failover(lose, now);
        self.kill_all();
        self.changed(format!("failover lost {lost} writes"));
        lost
    }

    /// The process stops and starts again, closing every connection. Answers how many writes were lost.
    pub fn restart(&self, keep: Keep) -> usize {
        let now = self.now();
        let lose = match keep {
            Keep::Nothing => None,
            Keep::AllBut(age) => Some(Lose::Last(age)),
        };
        let lost = self.engine().restart(lose, now);
        self.kill_all();
        self.changed(format!("restart lost {lost} writes"));
        lost
    }

    /// Deletes every key in every database. Answers how many there were.
    pub fn flush_all(&self) -> usize {
        let now = self.now();
        let count = self.engine().flush_all(now);
        self.changed(format!("flushed {count} keys"));
        count
    }

    /// Deletes the keys that match a glob pattern, as eviction under memory pressure does. Answers how many.
    pub fn evict(&self, pattern: &str) -> usize {
        let now = self.now();
        let count = self.engine().evict(pattern.as_bytes(), now);
        self.changed(format!("evicted {count} keys matching {}", pattern.escape_debug()));
        count
    }

    /// Moves the server's wall clock forwards: keys come nearer to their deadlines.
    pub fn advance(&self, by: Duration) {
        self.jump(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Moves the server's wall clock, backwards if negative. Deadlines are absolute and stay where they are.
    pub fn jump(&self, delta_ms: i64) {
        self.shared.clock.jump(delta_ms);
        let now = self.now();
        self.engine().clock_jumped(now);
        self.rearm();
        self.changed(format!("clock jumped {delta_ms} ms"));
    }

    /// The server is gone: connections are closed and new ones are closed as soon as they are accepted. Its
    /// replica is still there. The data stays; [`RedisServer::restart`] says what would be lost.
    pub fn down(&self) {
        self.shared.down.store(true, Ordering::Release);
        self.kill_own();
        self.changed("down".to_owned());
    }

    /// Ends [`RedisServer::down`].
    pub fn up(&self) {
        self.shared.down.store(false, Ordering::Release);
        self.changed("up".to_owned());
    }

    /// The process stands still: connections stay open, commands wait. Its replica does not stand still.
    pub fn stall(&self, duration: Duration) {
        self.stall_for(0, duration);
        self.changed(format!("stalled for {}us", duration.as_micros()));
    }

    /// Closes every connection. The data stays.
    pub fn disconnect_all(&self) {
        self.kill_all();
        self.changed("disconnected all".to_owned());
    }

    /// Refuses writes, as a replica does, or takes them again.
    pub fn set_readonly(&self, read_only: bool) {
        self.engine().set_read_only(read_only);
        self.changed(format!("read-only {read_only}"));
    }

    /// Says what the server does with slots from now on: it serves them, or sends clients elsewhere. Whether it
    /// is a node of a cluster ([`RedisOptions::cluster`](super::RedisOptions)) at all.
    pub fn set_slots(&self, slots: RangeInclusive<u16>, state: SlotState) -> bool {
        let event = format!("slots {}-{} {state:?}", slots.start(), slots.end());
        let is_node = self.engine().set_slots(slots, state);
        self.changed(event);
        is_node
    }

    /// Says whether the cluster is down: commands with keys are refused. Whether the server is a node of one.
    pub fn set_cluster_down(&self, down: bool) -> bool {
        let is_node = self.engine().set_cluster_down(down);
        self.changed(format!("cluster down {down}"));
        is_node
    }

    /// All keys, by database and name, with values and deadlines. Includes keys that expired and were not yet
    /// deleted: ask [`Entry::is_expired`].
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<Place, Entry> {
        let engine = self.engine();
        let store = engine.store();
        let dbs = 0..store.databases();
        let entries = dbs.flat_map(|db| {
            store.db(db).iter().map(move |(key, entry)| ((db, key.to_bytes()), entry.clone()))
        });
        entries.collect()
    }

    /// The counters of `INFO stats`.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine().stats().clone()
    }

    fn changed(&self, event: String) {
        self.after_change(self.engine());
        if self.is_observed() {
            self.tell(What::Event(event));
        }
    }
}
