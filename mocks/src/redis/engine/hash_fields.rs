//! Deadlines of hash fields, as Redis 7.4 has them: fields that expire, and when the next one does.
//!
//! A field is gone when the time is after its deadline, as a key is. All that are due go before a command runs
//! and whenever the server looks for what is due, so no command ever sees one; the real server may tell of
//! them a little later.
//!
//! Invariant: every hash with a deadline has an entry here that is not later than its next one. Entries without
//! a hash are dropped when their time comes.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Engine, notify};
use crate::redis::store::{Hash, Place, Value};

/// When hashes have fields that expire.
#[derive(Debug, Default)]
pub(super) struct FieldDeadlines {
    on: bool,
    due: BTreeSet<(i64, Place)>,
}

impl FieldDeadlines {
    pub(super) fn new(on: bool) -> Self {
        Self { on, due: BTreeSet::new() }
    }

    /// Whether fields can have deadlines at all.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// When a field expires next, in Unix milliseconds.
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn clear(&mut self) {
        self.due.clear();
    }
}

impl Engine {
    /// Takes note of a key that was written: it may hold a hash whose fields expire.
    pub(super) fn note_fields(&mut self, place: &Place) {
        let entry = self.store.db(place.0).get(&place.1);
        if let Some(Value::Hash(hash)) = entry.map(|entry| &entry.value)
            && let Some(deadline) = hash.next_deadline_ms()
        {
            self.fields.due.insert((deadline, place.clone()));
        }
    }

    /// When a field is deleted next though nobody looks at it.
    pub(super) fn next_field_expiry_ms(&self) -> Option<i64> {
        self.next_tick_ms(self.fields.next_ms().filter(|_| self.active_expiry)?)
    }

    /// Takes note of all hashes: the data is another than before.
    pub(super) fn note_all_fields(&mut self) {
        self.fields.clear();
        let dbs = 0..self.store.databases();
        let places = dbs.flat_map(|db| self.store.db(db).keys().map(move |key| (db, key.to_bytes())));
        for place in places.collect::<Vec<_>>() {
            self.note_fields(&place);
        }
    }

    /// Removes the fields whose deadline has passed, and the hashes that are empty then.
    pub(super) fn expire_fields(&mut self) {
        let now = self.at.unix_ms();
        while let Some((deadline, place)) = self.fields.due.first().cloned() {
            if deadline >= now {
                return;
            }
            self.fields.due.pop_first();
            self.expire_fields_of(&place, now);
        }
    }

    fn expire_fields_of(&mut self, place: &Place, now: i64) {
        let (db, key) = place;
        let entry = self.store.db(*db).get(key).filter(|entry| !entry.is_expired(now));
        let Some(Value::Hash(hash)) = entry.map(|entry| &entry.value) else { return };
        let due: Vec<Bytes> = hash.due_fields(now);
        if due.is_empty() {
            self.note_fields(place);
            return;
        }
        if let Some(Value::Hash(hash)) = self.store.edit(*db, key) {
            let hash = std::sync::Arc::make_mut(hash);
            for field in &due {
                hash.remove(field);
            }
        }
        self.notify(notify::HASH, "hexpired", *db, key);
        self.remove_if_empty(place);
        self.settle();
        self.note_fields(place);
    }

    fn remove_if_empty(&mut self, (db, key): &Place) {
        let entry = self.store.db(*db).get(key);
        let is_empty =
            entry.is_some_and(|entry| matches!(&entry.value, Value::Hash(hash) if Hash::is_empty(hash)));
        if is_empty {
            self.store.remove(*db, key);
            self.notify(notify::GENERIC, "del", *db, key);
        }
    }
}
