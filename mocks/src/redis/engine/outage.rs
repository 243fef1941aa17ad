//! What a test does to the whole server: failover, restart, eviction, flushing.

use bytes::Bytes;

use super::cmd;
use super::eviction::Memory;
use super::log::Lose;
use super::pubsub::PubSub;
use super::stats::Stats;
use super::tracking::Copies;
use super::wait::Waiters;
use super::{Engine, Moment, notify};
use crate::redis::glob;
use crate::redis::store::Blob;

impl Engine {
    /// A replica that lags takes over: its writes end where `lose` says, every connection is closed, scripts
    /// and their cache are the replica's own. Answers how many writes were lost.
    pub fn failover(&mut self, lose: Lose, at: Moment) -> usize {
        let lost = self.lose(lose, at);
        self.begin_another_process(at);
        lost
    }

    /// The process stops and starts again. `lose` says what its files had not kept; `None` if they kept
    /// nothing at all. Answers how many writes were lost, of those that could have been.
    pub fn restart(&mut self, lose: Option<Lose>, at: Moment) -> usize {
        let lost = match lose {
            Some(lose) => self.lose(lose, at),
            None => self.lose_everything(at),
        };
        self.begin_another_process(at);
        self.stats = Stats::default();
        lost
    }

    /// Deletes keys in every database that match a pattern, as eviction does. Answers how many.
    pub fn evict(&mut self, pattern: &[u8], at: Moment) -> usize {
        self.at = at;
        let mut count = 0;
        for db in 0..self.store.databases() {
            let matching = self.store.db(db).keys().filter(|key| glob::matches(pattern, key));
            let matching: Vec<Bytes> = matching.map(Blob::to_bytes).collect();
            for key in &matching {
                self.store.remove(db, key);
                self.notify(notify::EVICTED, "evicted", db, key);
            }
            count += matching.len();
            if !matching.is_empty() {
                let command = [Bytes::from_static(b"del")].into_iter().chain(matching);
                self.log_own(db, command.collect(), true);
            }
        }
        self.stats.evicted += u64::try_from(count).unwrap_or(u64::MAX);
        self.settle();
        self.close_write();
        count
    }

    /// Empties every database. Answers how many keys there were.
    pub fn flush_all(&mut self, at: Moment) -> usize {
        self.at = at;
        let count = (0..self.store.databases()).map(|db| self.store.flush(db)).sum();
        if count > 0 {
            self.log_own(0, vec![Bytes::from_static(b"flushall")], true);
        }
        self.invalidate_everything();
        self.settle();
        self.close_write();
        count
    }

    /// Clients, scripts and counters of a process end with it; data and parameters stay.
    pub(super) fn begin_another_process(&mut self, at: Moment) {
        self.at = at;
        self.started = at;
        self.clients.clear();
        self.watched.clear();
        self.waiters = Waiters::default();
        self.pubsub = PubSub::default();
        self.monitors.clear();
        self.copies = Copies::default();
        self.unpause();
        self.postponed.clear();
        self.deliveries.clear();
        self.scripts.flush();
        self.memory = Memory::default();
        self.note_all_fields();
        self.watch_memory();
        self.choose_notes();
        self.run_id = cmd::server::random_hex(&mut self.rng);
    }
}
