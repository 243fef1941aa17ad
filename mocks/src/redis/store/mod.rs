//! The data: numbered databases of keys, their deadlines, and a journal of what every write replaced.
//!
//! Invariants:
//! - Every change goes through [`Store::edit`], [`Store::put`], [`Store::remove`], [`Store::set_deadline`] or
//!   one of the whole-database operations, so that the journal, the counter of changes and the list of touched
//!   keys (for `WATCH`) cannot miss one.
//! - A key has an entry in the index of deadlines exactly if it has a deadline.
//! - A key is expired if the time is strictly *after* its deadline (`keyIsExpired` of Redis 7.0).
//!
//! The store reads no clock; whoever calls says what time it is.

mod db;
mod journal;
mod list;
mod rank_tree;
mod set;
mod value;
mod zset;

use bytes::Bytes;

pub use db::Db;
pub use journal::{Horizon, Lose};
pub use list::{End, List};
pub use rank_tree::Scored;
pub use set::Set;
pub use value::{Entry, Hash, Str, Value};
pub use zset::Zset;

pub(crate) use db::{FixedState, cursor_of};
use journal::{Journal, Undo};

/// Where a key lies: the number of its database, and its name.
pub type Place = (usize, Bytes);

/// All databases of a server.
#[derive(Debug)]
pub struct Store {
    dbs: Vec<Db>,
    journal: Journal,
    /// Keys written or removed since the engine last asked; noted only while somebody watches keys.
    touched: Vec<Place>,
    notes_touched: bool,
    /// Keys that expired since the engine last asked.
    expired: Vec<Place>,
    /// Expired keys are not seen, but stay.
    keeps_expired: bool,
    dirty: u64,
}

impl Store {
    /// Empty databases.
    #[must_use]
    pub fn new(databases: usize, horizon: Horizon) -> Self {
        let dbs = std::iter::repeat_with(Db::default).take(databases).collect();
        Self {
            dbs,
            journal: Journal::new(horizon),
            touched: Vec::new(),
            notes_touched: false,
            expired: Vec::new(),
            keeps_expired: false,
            dirty: 0,
        }
    }

    /// How many databases there are.
    #[must_use]
    pub fn databases(&self) -> usize {
        self.dbs.len()
    }

    /// One database, to look at. Expired keys are still in it.
    #[must_use]
    pub fn db(&self, db: usize) -> &Db {
        &self.dbs[db]
    }

    /// Looks a key up and deletes it if it is expired.
    pub fn get(&mut self, db: usize, key: &Bytes, now_ms: i64) -> Option<&Entry> {
        if self.expire_if_due(db, key, now_ms) {
            return None;
        }
        self.dbs[db].get(key)
    }

    /// Says whether keys that expire stay where they are, unseen: while the server is paused.
    pub fn keep_expired(&mut self, on: bool) {
        self.keeps_expired = on;
    }

    /// The next keys of a scan, and the cursor to go on with; 0 when it is over.
    pub fn scan(&mut self, db: usize, cursor: u64, count: usize) -> (u64, Vec<Bytes>) {
        self.dbs[db].scan(cursor, count)
    }

    /// Notes that a key was used, for `OBJECT IDLETIME`.
    pub fn mark_used(&mut self, db: usize, key: &Bytes, now_ms: i64) {
        if let Some(entry) = self.dbs[db].get_mut(key) {
            entry.used_ms = now_ms;
        }
    }

    /// A value to be changed in place. The deadline stays.
    pub fn edit(&mut self, db: usize, key: &Bytes) -> Option<&mut Value> {
        let before = self.dbs[db].get(key)?.clone();
        self.note(db, key, Some(before));
        self.dbs[db].get_mut(key).map(|entry| &mut entry.value)
    }

    /// Sets a key, replacing value and deadline.
    pub fn put(&mut self, db: usize, key: &Bytes, value: Value, deadline_ms: Option<i64>, now_ms: i64) {
        let entry = Entry { value, deadline_ms, used_ms: now_ms };
        let before = self.dbs[db].insert(key.clone(), entry);
        self.note(db, key, before);
    }

    /// Removes a key.
    pub fn remove(&mut self, db: usize, key: &Bytes) -> Option<Entry> {
        let before = self.dbs[db].remove(key)?;
        self.note(db, key, Some(before.clone()));
        Some(before)
    }

    /// Sets or clears a key's deadline; false if there is no such key.
    pub fn set_deadline(&mut self, db: usize, key: &Bytes, deadline_ms: Option<i64>) -> bool {
        let Some(before) = self.dbs[db].get(key).cloned() else { return false };
        self.dbs[db].set_deadline(key, deadline_ms);
        self.note(db, key, Some(before));
        true
    }

    /// Empties a database; how many keys it held.
    pub fn flush(&mut self, db: usize) -> usize {
        let before = std::mem::take(&mut self.dbs[db]);
        let count = before.len();
        if self.notes_touched {
            self.touched.extend(before.keys().map(|key| (db, key.clone())));
        }
        self.dirty += u64::try_from(count).unwrap_or(u64::MAX);
        if count > 0 {
            self.journal.push(Undo::Database { db, before: Box::new(before) });
        }
        count
    }

    /// Exchanges the contents of two databases.
    pub fn swap(&mut self, left: usize, right: usize) {
        self.dbs.swap(left, right);
        for db in [left, right].into_iter().filter(|_| self.notes_touched) {
            let keys = self.dbs[left].keys().chain(self.dbs[right].keys());
            self.touched.extend(keys.map(|key| (db, key.clone())));
        }
        self.dirty += 1;
        self.journal.push(Undo::Swap { left, right });
    }

    /// Deletes a key if the time is after its deadline; whether it is.
    pub fn expire_if_due(&mut self, db: usize, key: &Bytes, now_ms: i64) -> bool {
        let due = self.dbs[db].get(key).is_some_and(|entry| entry.is_expired(now_ms));
        if due && !self.keeps_expired {
            self.dbs[db].remove(key);
            self.touch(db, key);
            self.expired.push((db, key.clone()));
        }
        due
    }

    /// Deletes every key whose deadline has passed.
    pub fn expire_all_due(&mut self, now_ms: i64) {
        if self.keeps_expired {
            return;
        }
        for db in 0..self.dbs.len() {
            while let Some(key) = self.dbs[db].first_due(now_ms) {
                self.expire_if_due(db, &key, now_ms);
            }
        }
    }

    /// The earliest deadline of any key.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.dbs.iter().filter_map(Db::next_deadline_ms).min()
    }

    /// Changes since the server started.
    #[must_use]
    pub fn dirty(&self) -> u64 {
        self.dirty
    }

    /// Opens a group of writes that a failover loses as one: a command, a transaction or a script.
    pub fn begin_write(&mut self, elapsed_us: i64) {
        self.journal.begin(elapsed_us);
    }

    /// Undoes the youngest writes and answers how many there were. Forgets what cannot be undone any more.
    pub fn lose(&mut self, lose: Lose, elapsed_us: i64) -> usize {
        let (writes, undone) = self.journal.take(lose, elapsed_us);
        for undo in undone {
            match undo {
                Undo::Key { db, key, before: Some(before) } => {
                    self.dbs[db].insert(key, *before);
                }
                Undo::Key { db, key, before: None } => {
                    self.dbs[db].remove(&key);
                }
                Undo::Database { db, before } => self.dbs[db] = *before,
                Undo::Swap { left, right } => self.dbs.swap(left, right),
            }
        }
        writes
    }

    /// Empties everything, journal included, as a restart without persistence does.
    pub fn forget_everything(&mut self) {
        self.dbs.fill_with(Db::default);
        self.journal.clear();
    }

    /// Makes the state as it is the one that cannot be undone: a promoted replica has no earlier one.
    pub fn forget_history(&mut self) {
        self.journal.clear();
    }

    /// Takes the list of keys that changed since the last call.
    pub fn take_touched(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.touched)
    }

    /// Says whether to note which keys change: only while somebody watches keys.
    pub fn note_touched(&mut self, on: bool) {
        self.notes_touched = on;
        if !on {
            self.touched.clear();
        }
    }

    /// Whether keys expired since the last call of [`Store::take_expired`].
    #[must_use]
    pub fn has_expired(&self) -> bool {
        !self.expired.is_empty()
    }

    /// Takes the list of keys that expired since the last call.
    pub fn take_expired(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.expired)
    }

    fn touch(&mut self, db: usize, key: &Bytes) {
        if self.notes_touched {
            self.touched.push((db, key.clone()));
        }
    }

    fn note(&mut self, db: usize, key: &Bytes, before: Option<Entry>) {
        self.dirty += 1;
        self.touch(db, key);
        self.journal.push(Undo::Key { db, key: key.clone(), before: before.map(Box::new) });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn text(value: u8) -> Value {
        Value::Str(Str::encoded(Bytes::from(vec![value])))
    }

    fn image(store: &Store) -> Vec<Vec<(Bytes, Entry)>> {
        let mut all: Vec<Vec<_>> =
            store.dbs.iter().map(|db| db.iter().map(|(k, e)| (k.clone(), e.clone())).collect()).collect();
        all.iter_mut().for_each(|db| db.sort_by(|left, right| left.0.cmp(&right.0)));
        all
    }

    fn apply(store: &mut Store, step: (u8, u8, u8)) {
        let (what, key, value) = step;
        let key = Bytes::from(vec![key]);
        match what {
            0 => store.put(0, &key, text(value), Some(i64::from(value) + 1000), 0),
            1 => store.put(1, &key, text(value), None, 0),
            2 => drop(store.remove(0, &key)),
            3 => drop(store.set_deadline(0, &key, None)),
            4 => drop(store.flush(0)),
            5 => store.swap(0, 1),
            _ => {
                if let Some(found) = store.edit(0, &key) {
                    *found = text(value);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn losing_the_last_writes_brings_back_exactly_the_state_before_them(
            steps in prop::collection::vec((0_u8..7, 0_u8..4, any::<u8>()), 1..60),
            lost in 0_usize..60,
        ) {
            let mut store = Store::new(2, Horizon::default());
            let mut images = vec![image(&store)];
            for (at, step) in steps.into_iter().enumerate() {
                let dirty = store.dirty();
                store.begin_write(i64::try_from(at).unwrap_or(0));
                apply(&mut store, step);
                if store.dirty() > dirty {
                    images.push(image(&store));
                }
            }
            let lost = lost.min(images.len() - 1);
            prop_assert_eq!(store.lose(Lose::LastWrites(lost), 100), lost);
            prop_assert_eq!(&image(&store), &images[images.len() - 1 - lost]);
            let indexed: usize = store.dbs.iter().map(Db::deadlines).sum();
            let carried = store.dbs.iter().flat_map(Db::iter).filter(|(_, e)| e.deadline_ms.is_some()).count();
            prop_assert_eq!(indexed, carried);
        }
    }

    #[test]
    fn writes_younger_than_the_lag_are_lost_and_the_older_stay() {
        let mut store = Store::new(1, Horizon::default());
        let key = Bytes::from_static(b"k");
        for at in 0..5_i64 {
            store.begin_write(at * 1000);
            store.put(0, &key, text(u8::try_from(at).unwrap_or(0)), None, 0);
        }
        assert_eq!(store.lose(Lose::Last(Duration::from_millis(2)), 4000), 2);
        assert_eq!(store.db(0).get(&key).map(|entry| entry.value.clone()), Some(text(2)));
    }

    #[test]
    fn a_key_lives_through_its_deadline_and_dies_after_it() {
        let mut store = Store::new(1, Horizon::default());
        let key = Bytes::from_static(b"k");
        store.put(0, &key, text(1), Some(1000), 0);
        assert!(store.get(0, &key, 1000).is_some());
        assert!(store.get(0, &key, 1001).is_none());
        assert_eq!(store.next_deadline_ms(), None);
    }
}
