//! `DEBUG DIGEST` and `DEBUG DIGEST-VALUE`: signatures of data, the same as a real server's for the same data.
//!
//! What has an order is mixed (each step hashes what came before), what has none is put together by exclusive or, as in
//! `debug.c` of Redis 7.0. Deadlines count by being there, not by when they are; keys that expired still count.

use bytes::Bytes;
use sha1::{Digest as _, Sha1};

use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::number::general;
use crate::redis::resp::Reply;
use crate::redis::store::{Entry, Store, StreamId, Value};

/// The signature of all databases.
pub(super) fn digest(call: &Call<'_>) -> Outcome {
    Ok(of_store(&call.engine.store).reply())
}

/// The signatures of the values of keys; zero where there is no key.
pub(super) fn digest_values(call: &Call<'_>, keys: &[Bytes]) -> Outcome {
    let db = call.engine.store.db(call.db());
    let of_key = |key: &Bytes| {
        let mut sum = Sum::default();
        if let Some(entry) = db.get(key) {
            sum.add_entry(entry);
        }
        sum.reply()
    };
    Ok(Reply::Array(keys.iter().map(of_key).collect()))
}

fn of_store(store: &Store) -> Sum {
    let mut all = Sum::default();
    for (number, db) in (0_u32..).zip((0..store.databases()).map(|db| store.db(db))) {
        if !db.is_empty() {
            all.mix(&number.to_be_bytes());
        }
        for (key, entry) in db.iter() {
            let mut one = Sum::default();
            one.mix(key);
            one.add_entry(entry);
            all.xor(&one.0);
        }
    }
    all
}

/// A signature under way.
#[derive(Default)]
struct Sum([u8; 20]);

impl Sum {
    /// Adds something whose place does not matter.
    fn xor(&mut self, data: &[u8]) {
        let hash = Sha1::digest(data);
        self.0.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }

    /// Adds something whose place matters.
    fn mix(&mut self, data: &[u8]) {
        self.xor(data);
        self.0 = Sha1::digest(self.0).into();
    }

    /// Adds parts that belong together, as a whole whose place does not matter.
    fn xor_all(&mut self, parts: [&[u8]; 2]) {
        let mut whole = Self::default();
        parts.into_iter().for_each(|part| whole.mix(part));
        self.xor(&whole.0);
    }

    fn add_entry(&mut self, entry: &Entry) {
        let kind: u32 = match &entry.value {
            Value::Str(_) => 0,
            Value::List(_) => 1,
            Value::Set(_) => 2,
            Value::Zset(_) => 3,
            Value::Hash(_) => 4,
            Value::Stream(_) => 6,
        };
        self.mix(&kind.to_be_bytes());
        match &entry.value {
            Value::Str(text) => self.mix(text.data()),
            Value::List(list) => list.iter().for_each(|element| self.mix(element)),
            Value::Set(set) => set.iter().for_each(|member| self.xor(&member)),
            Value::Zset(zset) => {
                let members = zset.all().into_iter();
                members.for_each(|one| self.xor_all([&one.member, general(one.score).as_bytes()]));
            }
            Value::Hash(hash) => hash.iter().for_each(|(field, value)| self.xor_all([field, value])),
            Value::Stream(stream) => {
                for entry in stream.range(StreamId::MIN, StreamId::MAX) {
                    self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                    entry.fields.iter().for_each(|field| self.mix(field));
                }
            }
        }
        if entry.deadline_ms.is_some() {
            self.xor(b"!!expire!!");
        }
    }

    fn reply(&self) -> Reply {
        Reply::Status(self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
    }
}
