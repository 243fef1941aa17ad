//! Deadlines of hash fields, as Redis 7.4 has them: fields that expire, and when the next one does.
//!
//! A field is overdue when the time is after its deadline, as a key is. What looks an overdue field up by its
//! name deletes it; what looks at all fields of a hash does not see it; what counts them counts it. It is
//! deleted at last when keys would be. A replica hides overdue fields, and waits for its primary to delete them.
//!
//! Invariant: every hash with a deadline has an entry here that is not later than its next one. Entries without
//! a hash are dropped when their time comes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;

use super::call::Call;
use super::error::CmdError;
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
    fn next_ms(&self) -> Option<i64> {
        self.due.first().map(|(deadline, _)| *deadline)
    }
}

impl Engine {
    /// Takes note of a key that was written: it may hold a hash whose fields expire.
    pub(super) fn note_fields(&mut self, place: &Place) {
        if let Some(deadline) = self.hash_at(place).and_then(Hash::next_deadline_ms) {
            self.fields.due.insert((deadline, place.clone()));
        }
    }

    /// Takes note of all hashes: the data is another than before.
    pub(super) fn note_all_fields(&mut self) {
        self.fields.due.clear();
        if !self.fields.on {
            return;
        }
        let dbs = 0..self.store.databases();
        let places = dbs.flat_map(|db| self.store.db(db).keys().map(move |key| (db, key.to_bytes())));
        for place in places.collect::<Vec<_>>() {
            self.note_fields(&place);
        }
    }

    /// When a field is deleted next though nobody looks at it.
    pub(super) fn next_field_expiry_ms(&self) -> Option<i64> {
        let deletes = self.active_expiry && self.store.deletes_overdue();
        self.next_tick_ms(self.fields.next_ms().filter(|_| deletes)?)
    }

    /// Removes the fields whose deadline has passed, and the hashes that are empty then, if it is time to.
    pub(super) fn expire_fields(&mut self) {
        let now = self.at.unix_ms();
        if self.next_field_expiry_ms().is_none_or(|due| due > now) {
            return;
        }
        while let Some((deadline, place)) = self.fields.due.first().cloned() {
            if deadline >= now {
                return;
            }
            self.fields.due.pop_first();
            // A hash that is overdue itself goes whole.
            if self.store.db(place.0).get(&place.1).is_some_and(|entry| !entry.is_expired(now)) {
                self.drop_overdue(&place, Drops::All);
                self.note_fields(&place);
            }
        }
    }

    /// Removes fields of a hash whose deadline has passed, and the hash if it is empty then.
    fn drop_overdue(&mut self, place: &Place, which: Drops<'_>) {
        let now = self.at.unix_ms();
        let Some(hash) = self.hash_at(place).filter(|_| self.store.deletes_overdue()) else { return };
        let mut overdue = hash.overdue(now);
        match which {
            Drops::Nothing => return,
            Drops::Named(fields) => overdue.retain(|field| fields.contains(field)),
            Drops::All => {}
        }
        if overdue.is_empty() {
            return;
        }
        let (db, key) = place;
        let is_empty = self.store.expire_fields(*db, key, &overdue);
        self.notify(notify::HASH, "hexpired", *db, key);
        if is_empty {
            self.notify(notify::GENERIC, "del", *db, key);
        }
        let deletion = [Bytes::from_static(b"hdel"), key.clone()].into_iter().chain(overdue);
        self.log_own(*db, deletion.collect(), false);
        self.settle();
    }

    /// Whether a field may be overdue.
    fn may_have_overdue(&self) -> bool {
        self.fields.next_ms().is_some_and(|deadline| deadline < self.at.unix_ms())
    }

    fn hash_at(&self, (db, key): &Place) -> Option<&Hash> {
        match &self.store.db(*db).get(key)?.value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }
}

/// Which overdue fields of a hash a command deletes when it looks at it.
#[derive(Clone, Copy)]
pub(crate) enum Drops<'a> {
    /// None: it looks at whatever is there.
    Nothing,
    /// Those it names.
    Named(&'a [Bytes]),
    /// All: it draws by chance from what is there.
    All,
}

impl Call<'_> {
    /// A hash without its overdue fields, to be read: counts a hit or a miss.
    pub(crate) fn read_hash(
        &mut self,
        key: &Bytes,
        drops: Drops<'_>,
    ) -> Result<Option<Cow<'_, Hash>>, CmdError> {
        if !self.engine.may_have_overdue() {
            return Ok(self.read_as::<Hash>(key)?.map(Cow::Borrowed));
        }
        if self.read_as::<Hash>(key)?.is_none() {
            return Ok(None);
        }
        let place = (self.db(), key.clone());
        self.engine.drop_overdue(&place, drops);
        Ok(self.engine.hash_at(&place).map(|hash| seen(hash, self.now_ms())))
    }

    /// A hash without its overdue fields, to be looked at: counts nothing.
    pub(crate) fn look_hash(&mut self, key: &Bytes) -> Result<Option<Cow<'_, Hash>>, CmdError> {
        let now = self.now_ms();
        Ok(self.look_as::<Hash>(key)?.map(|hash| seen(hash, now)))
    }

    /// A field's value, looked up to be changed.
    pub(crate) fn field_to_change(&mut self, key: &Bytes, field: &Bytes) -> Result<Option<Bytes>, CmdError> {
        if self.engine.may_have_overdue() && self.look_as::<Hash>(key)?.is_some() {
            let place = (self.db(), key.clone());
            self.engine.drop_overdue(&place, Drops::Named(std::slice::from_ref(field)));
        }
        Ok(self.look_as::<Hash>(key)?.and_then(|hash| hash.get(field)).cloned())
    }
}

/// A hash as whoever reads it sees it.
fn seen(hash: &Hash, now_ms: i64) -> Cow<'_, Hash> {
    let overdue = hash.overdue(now_ms);
    if overdue.is_empty() {
        return Cow::Borrowed(hash);
    }
    let mut seen = hash.clone();
    for field in &overdue {
        seen.remove(field);
    }
    Cow::Owned(seen)
}
