//! One database: keys, an index of their deadlines, and the order `SCAN` visits them in.
//!
//! Keys are hashed without a seed, so every order is the same in every run. `SCAN` goes by the hash: a cursor
//! is the hash to go on from, so a key that stays is visited exactly once whatever is added or removed. The
//! ordered index this needs is built by the first `SCAN` of a database and kept up from then on, so that
//! others do not pay for it.

use std::collections::BTreeSet;
use std::hash::{BuildHasherDefault, Hash as _, Hasher};

use bytes::Bytes;
use indexmap::IndexMap;

use super::{Blob, Entry};

/// Hashes the same in every run.
pub type FixedState = BuildHasherDefault<FixedHasher>;

/// A fast hash without a seed. Whoever can choose keys can make them collide, which a test server may ignore.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedHasher(u64);

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            // Byte by byte: a copy of unknown length would be a call.
            let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(word);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    /// Spreads what the multiplications left in the high bits (the finalizer of MurmurHash3).
    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    }
}

/// One database.
#[derive(Clone, Debug, Default)]
pub struct Db {
    keys: IndexMap<Blob, Entry, FixedState>,
    deadlines: BTreeSet<(i64, Blob)>,
    by_cursor: Option<BTreeSet<(u64, Blob)>>,
}

/// Cursors are 48 bits, so that clients that read them as a double or a signed integer are right too. Zero is
/// kept for the end of a scan.
pub(crate) fn cursor_of(key: &[u8]) -> u64 {
    let mut hasher = FixedHasher::default();
    key.hash(&mut hasher);
    (hasher.finish() >> 16).max(1)
}

impl Db {
    /// How many keys there are, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys have a deadline.
    #[must_use]
    pub fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    /// The mean time the keys with a deadline have left, in milliseconds.
    #[must_use]
    pub fn mean_ttl_ms(&self, now_ms: i64) -> i64 {
        let count = i64::try_from(self.deadlines.len()).unwrap_or(i64::MAX);
        let left = self.deadlines.iter().map(|(deadline, _)| deadline.saturating_sub(now_ms).max(0));
        left.fold(0_i64, i64::saturating_add).checked_div(count).unwrap_or(0)
    }

    /// A key, expired or not.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.keys.get(key)
    }

    /// All keys, in an order that is the same in every run.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Blob> {
        self.keys.keys()
    }

    /// All keys and what they hold.
    pub fn iter(&self) -> impl Iterator<Item = (&Blob, &Entry)> {
        self.keys.iter()
    }

    /// The key at a position, for random draws.
    #[must_use]
    pub fn key_at(&self, index: usize) -> Option<&Blob> {
        self.keys.get_index(index).map(|(key, _)| key)
    }

    /// The key whose deadline is the `index`th to come, for eviction. Takes time in proportion to `index`.
    #[must_use]
    pub fn volatile_at(&self, index: usize) -> Option<&Blob> {
        self.deadlines.iter().nth(index).map(|(_, key)| key)
    }

    /// The next keys of a scan, and the cursor to go on with; 0 when it is over.
    pub fn scan(&mut self, cursor: u64, count: usize) -> (u64, Vec<Bytes>) {
        let keys = &self.keys;
        let index = self
            .by_cursor
            .get_or_insert_with(|| keys.keys().map(|key| (cursor_of(key), key.clone())).collect());
        let mut found: Vec<Bytes> = Vec::new();
        let mut last = 0;
        for (at, key) in index.range((cursor, Blob::default())..) {
            // Keys that share a cursor are visited together.
            if found.len() >= count && *at != last {
                return (*at, found);
            }
            last = *at;
            found.push(key.to_bytes());
        }
        (0, found)
    }

    /// The entry at a position.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&Entry> {
        self.keys.get_index(index).map(|(_, entry)| entry)
    }

    pub(super) fn find_mut(&mut self, key: &[u8]) -> Option<(usize, &mut Entry)> {
        self.keys.get_full_mut(key).map(|(index, _, entry)| (index, entry))
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.keys.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: &[u8], entry: Entry) -> Option<Entry> {
        let deadline = entry.deadline_ms;
        let before = if let Some(place) = self.keys.get_mut(key) {
            Some(std::mem::replace(place, entry))
        } else {
            let key = Blob::copied(key);
            if let Some(index) = &mut self.by_cursor {
                index.insert((cursor_of(&key), key.clone()));
            }
            self.keys.insert(key, entry);
            None
        };
        let gone = before.as_ref().and_then(|entry| entry.deadline_ms);
        self.move_deadline(key, gone, deadline);
        before
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.keys.swap_remove(key)?;
        self.move_deadline(key, entry.deadline_ms, None);
        if let Some(index) = &mut self.by_cursor {
            index.remove(&(cursor_of(key), Blob::copied(key)));
        }
        Some(entry)
    }

    pub(super) fn set_deadline(&mut self, key: &[u8], deadline_ms: Option<i64>) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        let before = std::mem::replace(&mut entry.deadline_ms, deadline_ms);
        self.move_deadline(key, before, deadline_ms);
    }

    fn move_deadline(&mut self, key: &[u8], from: Option<i64>, to: Option<i64>) {
        if from == to {
            return;
        }
        let key = Blob::copied(key);
        if let Some(from) = from {
            self.deadlines.remove(&(from, key.clone()));
        }
        if let Some(to) = to {
            self.deadlines.insert((to, key));
        }
    }

    pub(super) fn next_deadline_ms(&self) -> Option<i64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn first_due(&self, now_ms: i64) -> Option<Bytes> {
        self.deadlines.first().filter(|(deadline, _)| now_ms > *deadline).map(|(_, key)| key.to_bytes())
    }
}
