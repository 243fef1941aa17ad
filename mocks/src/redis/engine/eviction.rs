//! `maxmemory`: how much memory the data takes, and which keys go when it is too much.
//!
//! Sizes are an estimate of what Redis 7.0 with jemalloc would use, so that limits chosen for a real server mean
//! about the same here: exact for strings; for collections the bytes of their elements, and for each element
//! what its encoding adds (see [`value_bytes`]). Buffers of clients and replicas are not counted.
//!
//! Nothing is counted while neither a limit nor a policy that counts uses is set. With one, the sizes of keys are
//! kept from command to command, by the same list of changed keys that `WATCH` lives on.

use std::collections::HashMap;

use bytes::Bytes;
use rand::RngExt;

use super::Engine;
use super::notify;
use crate::redis::store::{Blob, Entry, FixedState, Place, Value};

/// What a real server without data uses, in bytes.
pub(super) const EMPTY_BYTES: usize = 876_256;

/// Which keys go, by `maxmemory-policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// Only keys with a deadline.
    pub(super) volatile: bool,
    pub(super) rank: Rank,
}

/// Which of the candidates goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rank {
    /// None goes.
    #[default]
    Never,
    /// The one unused for longest.
    Idle,
    /// The one least often used.
    Rare,
    /// Any.
    Random,
    /// The one whose deadline is next.
    Deadline,
}

impl Policy {
    pub(super) fn parse(name: &str) -> Self {
        let (group, rank) = name.split_once('-').unwrap_or(("", name));
        let rank = match rank {
            "lru" => Rank::Idle,
            "lfu" => Rank::Rare,
            "random" => Rank::Random,
            "ttl" => Rank::Deadline,
            _ => Rank::Never,
        };
        Self { volatile: group == "volatile", rank }
    }
}

/// How often a key was used: a counter that grows ever more slowly, and shrinks with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Uses {
    counter: u8,
    /// Minutes of Unix time of the last change.
    minute: i64,
}

/// What a new key's counter starts with.
const NEW_KEY_USES: u8 = 5;

/// What is known of keys' memory and use while it matters.
#[derive(Debug, Default)]
pub(super) struct Memory {
    on: bool,
    sizes: HashMap<Place, usize, FixedState>,
    uses: HashMap<Place, Uses, FixedState>,
    data: usize,
    peak: usize,
    /// The limit is passed and nothing could be evicted, as the last command from outside found it.
    exhausted: bool,
    /// The limit was set, so what does not fit goes when the commands that came with it have run.
    overdue: bool,
}

impl Memory {
    /// Whether sizes of keys are kept.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }
}

impl Engine {
    /// Starts or ends counting, as the parameters want it.
    pub(super) fn watch_memory(&mut self) {
        let on = self.config.tuning.memory_limit > 0 || self.config.tuning.policy.rank == Rank::Rare;
        if on && !self.memory.on {
            let dbs = 0..self.store.databases();
            let places = dbs.flat_map(|db| self.store.db(db).keys().map(move |key| (db, key.to_bytes())));
            for place in places.collect::<Vec<_>>() {
                self.measure(&place);
            }
        } else if !on {
            self.memory = Memory { peak: self.memory.peak, ..Memory::default() };
        }
        self.memory.on = on;
        self.choose_notes();
    }

    /// Takes note of a key that was written or removed, where someone counts.
    pub(super) fn note_written(&mut self, place: &Place) {
        if self.memory.on {
            self.measure(place);
        }
        if self.fields.is_on() {
            self.note_fields(place);
        }
    }

    /// Sums up the size of a key that was written or removed.
    fn measure(&mut self, place: &Place) {
        let entry = self.store.db(place.0).get(&place.1);
        let size = entry.map(|entry| key_bytes(&place.1, entry));
        let before = match size {
            Some(size) => self.memory.sizes.insert(place.clone(), size),
            None => {
                self.memory.uses.remove(place);
                self.memory.sizes.remove(place)
            }
        };
        self.memory.data = self.memory.data + size.unwrap_or(0) - before.unwrap_or(0);
        if size.is_some() && before.is_some() {
            self.note_use(place.0, &place.1);
        }
    }

    /// Counts a use of a key, if the policy goes by that.
    pub(super) fn note_use(&mut self, db: usize, key: &Bytes) {
        if self.config.tuning.policy.rank != Rank::Rare {
            return;
        }
        let (place, minute) = ((db, key.clone()), self.minute());
        let counter = grown(self.uses_of(&place), self.config.tuning.lfu_factor, self.rng.random());
        self.memory.uses.insert(place, Uses { counter, minute });
    }

    /// Sets a key's counter of uses, if the policy goes by that, for `RESTORE` with a frequency.
    pub(super) fn set_uses(&mut self, db: usize, key: &Bytes, counter: u8) {
        if self.config.tuning.policy.rank != Rank::Rare {
            return;
        }
        // That it was written is no use of it.
        self.settle();
        let minute = self.minute();
        self.memory.uses.insert((db, key.clone()), Uses { counter, minute });
    }

    /// A key's counter of uses as it is now.
    pub(super) fn uses_of(&self, place: &Place) -> u8 {
        let Some(uses) = self.memory.uses.get(place) else { return NEW_KEY_USES };
        let elapsed = self.minute().saturating_sub(uses.minute).max(0);
        let steps = elapsed.checked_div(self.config.tuning.lfu_decay_minutes).unwrap_or(0);
        uses.counter.saturating_sub(u8::try_from(steps).unwrap_or(u8::MAX))
    }

    fn minute(&self) -> i64 {
        self.at.unix_ms().div_euclid(60_000)
    }

    /// Bytes that a real server would use for the data.
    pub(super) fn used_memory(&self) -> usize {
        if self.memory.on {
            return EMPTY_BYTES + self.memory.data;
        }
        let dbs = (0..self.store.databases()).map(|db| self.store.db(db));
        EMPTY_BYTES + dbs.flat_map(|db| db.iter()).map(|(key, entry)| key_bytes(key, entry)).sum::<usize>()
    }

    /// The most that [`Engine::used_memory`] has been, as far as anyone looked.
    pub(super) fn peak_memory(&self) -> usize {
        self.memory.peak.max(self.used_memory())
    }

    /// Whether commands that need memory are refused, as the last command from outside found it.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.memory.exhausted
    }

    /// Has what does not fit go though no other command comes: the limit was set.
    pub(super) fn limit_was_set(&mut self) {
        self.memory.overdue = self.config.tuning.memory_limit > 0;
    }

    /// When keys go though no command comes, in Unix milliseconds.
    pub(super) fn next_eviction_ms(&self) -> Option<i64> {
        self.memory.overdue.then(|| self.at.unix_ms())
    }

    /// Evicts keys if a limit was set since the last command came.
    pub(super) fn evict_overdue(&mut self) {
        if self.memory.overdue {
            self.make_room();
        }
    }

    /// Evicts keys until the data is within the limit, or none may go. In a pause the data stays as it is.
    pub(super) fn make_room(&mut self) {
        (self.memory.exhausted, self.memory.overdue) = (false, false);
        let limit = self.config.tuning.memory_limit;
        if limit == 0 || self.pause.is_some() {
            return;
        }
        self.memory.peak = self.peak_memory();
        while self.used_memory() > limit {
            let Some((db, key)) = self.victim() else {
                self.memory.exhausted = true;
                return;
            };
            self.evict_key(db, &key);
        }
    }

    /// Removes a key because of memory, telling whoever listens.
    pub(super) fn evict_key(&mut self, db: usize, key: &Bytes) {
        let sent = self.deliveries();
        if let Some(entry) = self.store.remove(db, key) {
            self.note_freed(&entry.value, Some("lazyfree-lazy-eviction"));
        }
        self.log_own(db, vec![Bytes::from_static(b"del"), key.clone()], true);
        self.stats.evicted += 1;
        self.notify(notify::EVICTED, "evicted", db, key);
        self.settle();
        self.hasten(sent);
    }

    /// The key that goes next.
    fn victim(&mut self) -> Option<Place> {
        let policy = self.config.tuning.policy;
        if policy.rank == Rank::Never {
            return None;
        }
        let samples = if policy.rank == Rank::Random { 1 } else { self.config.tuning.memory_samples.max(1) };
        let mut best: Option<(i64, Place)> = None;
        for db in 0..self.store.databases() {
            for _ in 0..samples {
                let Some(key) = self.candidate(db, policy) else { break };
                let score = self.score(db, &key, policy.rank);
                if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                    best = Some((score, (db, key)));
                }
            }
        }
        best.map(|(_, place)| place)
    }

    /// A key that may go, drawn by chance; with the shortest time to live if that is what counts.
    fn candidate(&mut self, db: usize, policy: Policy) -> Option<Bytes> {
        /// Draws among all keys before the keys with a deadline are counted through.
        const DRAWS: usize = 16;
        let held = self.store.db(db);
        if policy.rank == Rank::Deadline {
            return held.volatile_at(0).map(Blob::to_bytes);
        }
        let (keys, volatile) = (held.len(), held.deadlines());
        if keys == 0 || policy.volatile && volatile == 0 {
            return None;
        }
        if !policy.volatile {
            return held.key_at(self.rng.random_range(0..keys)).map(Blob::to_bytes);
        }
        for _ in 0..DRAWS {
            let key = held.key_at(self.rng.random_range(0..keys))?;
            if held.get(key).is_some_and(|entry| entry.deadline_ms.is_some()) {
                return Some(key.to_bytes());
            }
        }
        held.volatile_at(self.rng.random_range(0..volatile)).map(Blob::to_bytes)
    }

    /// How much a key deserves to go.
    fn score(&self, db: usize, key: &Bytes, rank: Rank) -> i64 {
        let Some(entry) = self.store.db(db).get(key) else { return 0 };
        match rank {
            Rank::Never | Rank::Random => 0,
            Rank::Idle => self.at.unix_ms().saturating_sub(entry.used_ms),
            Rank::Rare => i64::from(255 - self.uses_of(&(db, key.clone()))),
            Rank::Deadline => i64::MAX - entry.deadline_ms.unwrap_or(i64::MAX),
        }
    }
}

/// A counter after one more use; `draw` decides whether it grows (`LFULogIncr`).
fn grown(counter: u8, factor: f64, draw: f64) -> u8 {
    let above = f64::from(counter.saturating_sub(NEW_KEY_USES));
    if draw < 1.0 / (above * factor + 1.0) { counter.saturating_add(1) } else { counter }
}

/// What an allocation of `bytes` takes: jemalloc's classes, 16 bytes apart to 128, then four to a doubling.
pub(super) fn allocated(bytes: usize) -> usize {
    match bytes {
        0..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        _ => {
            let step = bytes.next_power_of_two() / 8;
            bytes.next_multiple_of(step)
        }
    }
}

/// A string of Redis' own kind with its header.
pub(super) fn sds(bytes: usize) -> usize {
    allocated(match bytes {
        0..=31 => bytes + 2,
        32..=255 => bytes + 4,
        256..=0xffff => bytes + 6,
        _ => bytes + 10,
    })
}

/// A key with its value, in bytes: what `MEMORY USAGE` answers.
pub(super) fn key_bytes(key: &[u8], entry: &Entry) -> usize {
    /// A slot of the hash table of keys.
    const SLOT: usize = 24;
    SLOT + sds(key.len()) + value_bytes(&entry.value)
}

/// A value in bytes. An element of a hash table costs its slot and the headers of its strings, one of a skip
/// list also the links; an element of a listpack about three bytes.
fn value_bytes(value: &Value) -> usize {
    /// The object that points to the value.
    const OBJECT: usize = 16;
    let payload = value.weight();
    let table = |elements: usize, each: usize| 56 + elements.next_power_of_two().max(4) * 8 + elements * each;
    OBJECT
        + match value {
            Value::Str(text) => match value.encoding() {
                "int" => 0,
                "embstr" => allocated(text.data().len() + 20) - OBJECT,
                _ => sds(text.data().len().max(32)),
            },
            Value::Hash(hash) if hash.is_table() => table(hash.len(), 24 + 16) + payload,
            Value::Hash(hash) => allocated(7 + payload + hash.len() * 4),
            Value::Set(set) if set.is_table() => table(set.len(), 24 + 8) + payload,
            Value::Set(set) => allocated(8 + set.len() * 2),
            Value::Zset(zset) if zset.is_table() => 704 + table(zset.len(), 24 + 60) + payload,
            Value::Zset(zset) => allocated(7 + payload + zset.len() * 5),
            Value::Stream(stream) => {
                allocated(256 + payload + usize::try_from(stream.len()).unwrap_or(usize::MAX / 16) * 8)
            }
            Value::List(list) => 40 + 40 * (1 + payload / 8192) + allocated(7 + payload + list.len() * 2),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::store::Str;

    fn usage(key: &'static str, value: &str) -> usize {
        let value = Value::Str(Str::encoded(Bytes::copy_from_slice(value.as_bytes())));
        key_bytes(&Bytes::from_static(key.as_bytes()), &Entry { value, deadline_ms: None, used_ms: 0 })
    }

    #[test]
    fn strings_take_what_memory_usage_of_a_real_server_says() {
        let sizes =
            [1, 8, 28, 29, 44, 45, 46, 61, 101, 201, 1001, 5001].map(|len| usage("k", &"x".repeat(len)));
        assert_eq!(sizes, [64, 64, 80, 96, 96, 112, 112, 128, 160, 272, 1072, 5168]);
        assert_eq!(
            (usage("k", "12"), usage("kkkkkkkk", "1"), usage("kkkkkkkkkkkkkkkkkkkkkkkk", "1")),
            (48, 56, 72)
        );
    }

    #[test]
    fn a_counter_of_uses_grows_ever_more_slowly() {
        assert_eq!(grown(5, 10.0, 0.99), 6);
        assert_eq!(grown(6, 10.0, 0.5), 6);
        assert_eq!(grown(255, 0.0, 0.0), 255);
    }

    #[test]
    fn policies_are_read_from_their_names() {
        assert_eq!(Policy::parse("volatile-lfu"), Policy { volatile: true, rank: Rank::Rare });
        assert_eq!(Policy::parse("noeviction").rank, Rank::Never);
    }
}
