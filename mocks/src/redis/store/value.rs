//! What a key holds, and how Redis would have encoded it (`OBJECT ENCODING`).
//!
//! Collections are shared until they are written: by whoever reads one while keys change, and by a replica that
//! was just copied. The next write to such a key copies the collection, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;

use super::db::FixedState;
use super::{Blob, List, Set, Stream, Zset};
use crate::redis::engine::number::{decimal, strict_i64};

/// A key's value and lifetime.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// Unix milliseconds after which the key is gone.
    pub deadline_ms: Option<i64>,
    /// Unix milliseconds of the last use.
    pub used_ms: i64,
}

impl Entry {
    /// Whether the deadline has passed: strictly, so at the deadline itself the key still exists.
    #[must_use]
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.deadline_ms.is_some_and(|deadline| now_ms > deadline)
    }
}

/// A value of one of Redis' types.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Str(Str),
    /// A hash.
    Hash(Arc<Hash>),
    /// A list.
    List(Arc<List>),
    /// A set.
    Set(Arc<Set>),
    /// A stream.
    Stream(Arc<Stream>),
    /// A sorted set.
    Zset(Arc<Zset>),
}

impl Value {
    /// The type's name, as `TYPE` answers it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Str(_) => "string",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Stream(_) => "stream",
            Self::Zset(_) => "zset",
        }
    }

    /// The encoding's name, as `OBJECT ENCODING` answers it.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Str(text) => text.encoding(),
            Self::Hash(hash) if hash.table => "hashtable",
            Self::Hash(hash) if hash.timed => "listpackex",
            Self::Hash(_) => "listpack",
            Self::List(_) => "quicklist",
            Self::Set(set) if set.is_table() => "hashtable",
            Self::Set(_) => "intset",
            Self::Stream(_) => "stream",
            Self::Zset(zset) if zset.is_table() => "skiplist",
            Self::Zset(_) => "listpack",
        }
    }

    /// How many elements the hash table has that Redis would keep the value in; `None` if it would keep it otherwise.
    #[must_use]
    pub fn table_len(&self) -> Option<usize> {
        match self {
            Self::Hash(hash) if hash.is_table() => Some(hash.len()),
            Self::Set(set) if set.is_table() => Some(set.len()),
            Self::Zset(zset) if zset.is_table() => Some(zset.len()),
            _ => None,
        }
    }

    /// Whether Redis shares one object for all strings of this value: integers from 0 to 9999.
    #[must_use]
    pub fn is_shared_integer(&self) -> bool {
        matches!(self, Self::Str(Str { data, encoding: Encoding::Int }) if data.len() <= 4 && data[0] != b'-')
    }

    /// Bytes of payload, roughly: what limits on memory count.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Str(text) => text.data.len(),
            Self::Hash(hash) => hash.bytes,
            Self::List(list) => list.weight(),
            Self::Set(set) => set.weight(),
            Self::Stream(stream) => stream.weight(),
            Self::Zset(zset) => zset.weight(),
        }
    }
}

/// A string and its encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Str {
    data: Blob,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Int,
    Embedded,
    Raw,
}

/// Longest string stored in one piece with its header.
const EMBEDDED_BYTES: usize = 44;

impl Str {
    /// A string as `SET` stores it: a number becomes an integer (`tryObjectEncoding`).
    #[must_use]
    pub fn encoded(data: Bytes) -> Self {
        if data.len() <= 20 && strict_i64(&data).is_some() {
            return Self { data: Blob::from(data), encoding: Encoding::Int };
        }
        Self::plain(data)
    }

    /// A number as a string.
    #[must_use]
    pub fn integer(number: i64) -> Self {
        let mut buffer = [0; 20];
        Self { data: Blob::copied(decimal(number, &mut buffer)), encoding: Encoding::Int }
    }

    /// A string as computed commands store it: never an integer (`createStringObject`).
    #[must_use]
    pub fn plain(data: Bytes) -> Self {
        let encoding = if data.len() <= EMBEDDED_BYTES { Encoding::Embedded } else { Encoding::Raw };
        Self { data: Blob::from(data), encoding }
    }

    /// A string that was changed in place.
    #[must_use]
    pub fn raw(data: Bytes) -> Self {
        Self { data: Blob::from(data), encoding: Encoding::Raw }
    }

    /// The bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, to be sent or kept.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.data.to_bytes()
    }

    /// Changes the bytes in place, copying them only if someone else holds them.
    pub fn modify(&mut self, change: impl FnOnce(&mut BytesMut)) {
        let data = std::mem::take(&mut self.data).into_bytes();
        let mut data = data.try_into_mut().unwrap_or_else(|data| BytesMut::from(&data[..]));
        change(&mut data);
        *self = Self::raw(data.freeze());
    }

    /// The encoding's name.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match self.encoding {
            Encoding::Int => "int",
            Encoding::Embedded => "embstr",
            Encoding::Raw => "raw",
        }
    }
}

/// Fields and values. Small ones keep the order of insertion, as a listpack does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hash {
    fields: IndexMap<Bytes, Bytes, FixedState>,
    /// Whether Redis would have turned it into a hash table. It never turns back.
    table: bool,
    bytes: usize,
    /// Unix milliseconds after which fields are gone; most hashes have none.
    deadlines: BTreeMap<Bytes, i64>,
    /// Whether it has room for deadlines, which it keeps from then on.
    timed: bool,
}

impl Hash {
    /// Fields and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Bytes, &Bytes)> {
        self.fields.iter()
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether Redis would hold it as a hash table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.table
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, field: &Bytes) -> Option<&Bytes> {
        self.fields.get(field)
    }

    /// The field and value at a position.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<(&Bytes, &Bytes)> {
        self.fields.get_index(index)
    }

    /// Sets a field; whether it is new. `limits` are the most fields and the longest value of a listpack.
    /// The field's deadline is over.
    pub fn set(&mut self, field: Bytes, value: Bytes, limits: (usize, usize)) -> bool {
        self.set_deadline(&field, None);
        self.replace(field, value, limits)
    }

    /// Sets a field, keeping its deadline; whether it is new.
    pub fn replace(&mut self, field: Bytes, value: Bytes, limits: (usize, usize)) -> bool {
        self.table |= field.len() > limits.1 || value.len() > limits.1;
        self.bytes += field.len() + value.len();
        let before = self.fields.insert(field.clone(), value);
        if let Some(before) = &before {
            self.bytes -= field.len() + before.len();
        }
        self.table |= self.fields.len() > limits.0;
        before.is_none()
    }

    /// When a field is gone, in Unix milliseconds.
    #[must_use]
    pub fn deadline_ms(&self, field: &Bytes) -> Option<i64> {
        self.deadlines.get(field).copied()
    }

    /// Whether it has room for deadlines.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.timed
    }

    /// Gives it room for deadlines, as a command does that sets some, even if it sets none in the end.
    pub fn make_timed(&mut self) {
        self.timed = true;
    }

    /// Sets or clears the deadline of a field that is there. As in a listpack, the field that goes first stands
    /// first; one that loses its deadline becomes the last.
    pub fn set_deadline(&mut self, field: &Bytes, deadline_ms: Option<i64>) {
        match deadline_ms {
            Some(deadline) => {
                self.make_timed();
                self.deadlines.remove(field);
                if !self.table {
                    let before = self.deadlines.values().filter(|other| **other < deadline).count();
                    self.move_to(field, before);
                }
                self.deadlines.insert(field.clone(), deadline);
            }
            None => {
                if self.deadlines.remove(field).is_some() {
                    self.move_to(field, usize::MAX);
                }
            }
        }
    }

    /// Moves a field to a position, or to the end; a table has no order.
    fn move_to(&mut self, field: &Bytes, index: usize) {
        if let Some(from) = self.fields.get_index_of(field).filter(|_| !self.table) {
            self.fields.move_index(from, index.min(self.fields.len() - 1));
        }
    }

    /// The earliest deadline of any field. Looks at all deadlines.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.deadlines.values().min().copied()
    }

    /// Whether the deadline of a field has passed.
    #[must_use]
    pub fn is_overdue(&self, field: &Bytes, now_ms: i64) -> bool {
        self.deadlines.get(field).is_some_and(|deadline| now_ms > *deadline)
    }

    /// The fields whose deadline has passed, sorted.
    #[must_use]
    pub fn overdue(&self, now_ms: i64) -> Vec<Bytes> {
        let overdue = self.deadlines.iter().filter(|(_, deadline)| now_ms > **deadline);
        overdue.map(|(field, _)| field.clone()).collect()
    }

    /// Removes a field; whether it was there.
    pub fn remove(&mut self, field: &Bytes) -> bool {
        self.deadlines.remove(field);
        let removed =
            if self.table { self.fields.swap_remove(field) } else { self.fields.shift_remove(field) };
        if let Some(value) = &removed {
            self.bytes -= field.len() + value.len();
        }
        removed.is_some()
    }
}
