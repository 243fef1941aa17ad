//! The data: numbered databases of keys and their deadlines.
//!
//! Invariants:
//! - Every change goes through [`Store::edit`], [`Store::put`], [`Store::remove`], [`Store::set_deadline`] or
//!   one of the whole-database operations, so that the counter of changes, by which a replica is told, and the
//!   list of touched keys (for `WATCH`) cannot miss one.
//! - A key has an entry in the index of deadlines exactly if it has a deadline.
//! - A key is expired if the time is strictly *after* its deadline (`keyIsExpired` of Redis 7.0).
//!
//! The store reads no clock; whoever calls says what time it is.

mod blob;
mod db;
mod list;
mod rank_tree;
pub mod rdb;
mod set;
mod stream;
mod value;
mod zset;

use bytes::Bytes;

pub use blob::Blob;
pub use db::Db;
pub use list::{End, List};
pub use rank_tree::Scored;
pub use set::Set;
pub use stream::{
    Consumer, Counters, Fields, Group, NodeLimits, Pending, Stream, StreamEntry, StreamId, Trim, TrimTo,
};
pub use value::{Entry, Hash, Str, Value};
pub use zset::Zset;

pub(crate) use db::{FixedState, cursor_of};

/// Where a key lies: the number of its database, and its name.
pub type Place = (usize, Bytes);

/// What becomes of a key that is looked up after its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It is deleted.
    Deleted,
    /// It is not there for whoever looks, but stays: a replica waits for its primary to delete it.
    Hidden,
    /// It is as good as any: what a replica's primary tells it about, the primary had not deleted.
    Kept,
}

/// All databases of a server.
#[derive(Debug)]
pub struct Store {
    dbs: Vec<Db>,
    overdue: Overdue,
    /// Keys written or removed since the engine last asked; noted only while somebody watches keys.
    touched: Vec<Place>,
    notes_touched: bool,
    /// Keys that expired since the engine last asked.
    expired: Vec<Place>,
    dirty: u64,
}

impl Store {
    /// Empty databases.
    #[must_use]
    pub fn new(databases: usize) -> Self {
        let dbs = std::iter::repeat_with(Db::default).take(databases).collect();
        Self {
            dbs,
            overdue: Overdue::Deleted,
            touched: Vec::new(),
            notes_touched: false,
            expired: Vec::new(),
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

    /// Says what becomes of keys that are looked up after their deadlines; at first they are deleted.
    pub fn treat_overdue(&mut self, overdue: Overdue) {
        self.overdue = overdue;
    }

    /// Whether keys are deleted after their deadlines.
    #[must_use]
    pub fn deletes_overdue(&self) -> bool {
        self.overdue == Overdue::Deleted
    }

    /// Looks a key up. If it is expired, [`Store::treat_overdue`] says what is done.
    pub fn get(&mut self, db: usize, key: &Bytes, now_ms: i64) -> Option<&Entry> {
        let (index, entry) = self.dbs[db].find_mut(key)?;
        if entry.is_expired(now_ms) && self.expire_if_due(db, key, now_ms) {
            return None;
        }
        self.dbs[db].at(index)
    }

    /// Looks a key up and deletes it if it is expired; where it lies in its database.
    pub fn locate(&mut self, db: usize, key: &Bytes, now_ms: i64) -> Option<usize> {
        let (index, entry) = self.dbs[db].find_mut(key)?;
        let is_seen = !entry.is_expired(now_ms) || !self.expire_if_due(db, key, now_ms);
        is_seen.then_some(index)
    }

    /// The next keys of a scan, and the cursor to go on with; 0 when it is over.
    pub fn scan(&mut self, db: usize, cursor: u64, count: usize) -> (u64, Vec<Bytes>) {
        self.dbs[db].scan(cursor, count)
    }

    /// Looks a key up, deletes it if it is expired, and otherwise notes that it was used; where it lies in
    /// the database until the next change.
    pub fn find(&mut self, db: usize, key: &Bytes, now_ms: i64) -> Option<usize> {
        let (index, entry) = self.dbs[db].find_mut(key)?;
        if !entry.is_expired(now_ms) {
            entry.used_ms = now_ms;
            return Some(index);
        }
        (!self.expire_if_due(db, key, now_ms)).then_some(index)
    }

    /// A value to be changed in place. The deadline stays.
    pub fn edit(&mut self, db: usize, key: &Bytes) -> Option<&mut Value> {
        self.dbs[db].get(key)?;
        self.note(db, key);
        self.dbs[db].get_mut(key).map(|entry| &mut entry.value)
    }

    /// A value to be changed in a way that does not count as a change: how it is held, or what is cached in it.
    pub fn reshape(&mut self, db: usize, key: &Bytes) -> Option<&mut Value> {
        self.dbs[db].get_mut(key).map(|entry| &mut entry.value)
    }

    /// A value to be changed in place by a command that says itself what came of it, with
    /// [`Store::count_changes`] and [`Store::touch`]: not every change counts or breaks a watch.
    pub fn edit_unnoted(&mut self, db: usize, key: &Bytes) -> Option<&mut Value> {
        self.dbs[db].get_mut(key).map(|entry| &mut entry.value)
    }

    /// Counts changes that were made through [`Store::edit_unnoted`].
    pub fn count_changes(&mut self, count: usize) {
        self.dirty += count as u64;
    }

    /// Sets when a key was last used, for `RESTORE` with an idle time.
    pub fn set_used(&mut self, db: usize, key: &Bytes, used_ms: i64) {
        if let Some(entry) = self.dbs[db].get_mut(key) {
            entry.used_ms = used_ms;
        }
    }

    /// Sets a key, replacing value and deadline.
    pub fn put(&mut self, db: usize, key: &Bytes, value: Value, deadline_ms: Option<i64>, now_ms: i64) {
        let entry = Entry { value, deadline_ms, used_ms: now_ms };
        self.dbs[db].insert(key, entry);
        self.note(db, key);
    }

    /// Removes a key.
    pub fn remove(&mut self, db: usize, key: &Bytes) -> Option<Entry> {
        let before = self.dbs[db].remove(key)?;
        self.note(db, key);
        Some(before)
    }

    /// Sets or clears a key's deadline; false if there is no such key.
    pub fn set_deadline(&mut self, db: usize, key: &Bytes, deadline_ms: Option<i64>) -> bool {
        if self.dbs[db].get(key).is_none() {
            return false;
        }
        self.dbs[db].set_deadline(key, deadline_ms);
        self.note(db, key);
        true
    }

    /// Empties a database; how many keys it held.
    pub fn flush(&mut self, db: usize) -> usize {
        let before = std::mem::take(&mut self.dbs[db]);
        let count = before.len();
        if self.notes_touched {
            self.touched.extend(before.keys().map(|key| (db, key.to_bytes())));
        }
        self.dirty += u64::try_from(count).unwrap_or(u64::MAX);
        count
    }

    /// Exchanges the contents of two databases.
    pub fn swap(&mut self, left: usize, right: usize) {
        self.dbs.swap(left, right);
        for db in [left, right].into_iter().filter(|_| self.notes_touched) {
            let keys = self.dbs[left].keys().chain(self.dbs[right].keys());
            self.touched.extend(keys.map(|key| (db, key.to_bytes())));
        }
        self.dirty += 1;
    }

    /// Deletes a key if the time is after its deadline; whether it is gone, or hidden.
    pub fn expire_if_due(&mut self, db: usize, key: &Bytes, now_ms: i64) -> bool {
        let due = self.dbs[db].get(key).is_some_and(|entry| entry.is_expired(now_ms));
        if due && self.overdue == Overdue::Kept {
            return false;
        }
        if due && self.overdue == Overdue::Deleted {
            self.dbs[db].remove(key);
            self.touch(db, key);
            self.expired.push((db, key.clone()));
        }
        due
    }

    /// Removes fields of a hash because their deadlines have passed, and the hash if it is empty then; whether
    /// it is. Not counted as a change: a replica is told of the fields by themselves.
    pub fn expire_fields(&mut self, db: usize, key: &Bytes, fields: &[Bytes]) -> bool {
        let Some(Value::Hash(hash)) = self.dbs[db].get_mut(key).map(|entry| &mut entry.value) else {
            return false;
        };
        let hash = std::sync::Arc::make_mut(hash);
        for field in fields {
            hash.remove(field);
        }
        let is_empty = hash.is_empty();
        if is_empty {
            self.dbs[db].remove(key);
        }
        self.touch(db, key);
        is_empty
    }

    /// Deletes keys whose deadline has passed, the earliest of each database first, up to `most`.
    pub fn expire_due(&mut self, now_ms: i64, most: usize) {
        if !self.deletes_overdue() {
            return;
        }
        let mut left = most;
        for db in 0..self.dbs.len() {
            while left > 0
                && let Some(key) = self.dbs[db].first_due(now_ms)
            {
                self.expire_if_due(db, &key, now_ms);
                left -= 1;
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

    /// Empties every database, uncounted and untold: the process that held them is gone.
    pub fn forget_everything(&mut self) {
        self.dbs.fill_with(Db::default);
    }

    /// Exchanges all data with another store of as many databases; nothing else.
    pub fn swap_data(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.dbs, &mut other.dbs);
    }

    /// Takes over the data of another store; collections are shared until either changes them.
    pub fn copy_data(&mut self, other: &Self) {
        self.dbs.clone_from(&other.dbs);
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

    /// Breaks the watches of a key, and lets those who wait for it look.
    pub fn touch(&mut self, db: usize, key: &Bytes) {
        if self.notes_touched {
            self.touched.push((db, key.clone()));
        }
    }

    fn note(&mut self, db: usize, key: &Bytes) {
        self.dirty += 1;
        self.touch(db, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: u8) -> Value {
        Value::Str(Str::encoded(Bytes::from(vec![value])))
    }

    #[test]
    fn a_key_lives_through_its_deadline_and_dies_after_it() {
        let mut store = Store::new(1);
        let key = Bytes::from_static(b"k");
        store.put(0, &key, text(1), Some(1000), 0);
        assert!(store.get(0, &key, 1000).is_some());
        assert!(store.get(0, &key, 1001).is_none());
        assert_eq!(store.next_deadline_ms(), None);
    }

    #[test]
    fn an_overdue_key_can_be_hidden_or_kept_and_is_there_all_the_same() {
        let mut store = Store::new(1);
        let key = Bytes::from_static(b"k");
        store.put(0, &key, text(1), Some(1000), 0);
        store.treat_overdue(Overdue::Hidden);
        store.expire_due(2000, usize::MAX);
        assert!(store.get(0, &key, 2000).is_none());
        store.treat_overdue(Overdue::Kept);
        assert!(store.get(0, &key, 2000).is_some());
        assert_eq!((store.db(0).len(), store.take_expired()), (1, vec![]));
    }
}
