//! Keys and values of a Redis server as JSON that people can read.
//!
//! Texts are [`readable`]: bytes that are no text are escaped, so no two values look the same. Long values are
//! cut, and say so.

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};
use squall_mocks::redis::store::{Entry, Stream, StreamId, Value};
use squall_mocks::redis::{RedisServer, glob, readable};

/// Elements of a collection that are shown.
const ELEMENTS: usize = 1000;
/// Bytes of a string that are shown.
const BYTES: usize = 64 * 1024;

/// The keys that match, by database and name, with values and deadlines; at most `limit` of them.
pub(super) fn snapshot(server: &RedisServer, only_db: Option<usize>, pattern: &str, limit: usize) -> Json {
    let now_ms = server.clock().unix_ms();
    let all = server.snapshot();
    let wanted = |db: usize, key: &Bytes| {
        only_db.is_none_or(|only| only == db) && glob::matches(pattern.as_bytes(), key)
    };
    let matching = || all.iter().filter(|((db, key), _)| wanted(*db, key));
    let keys: Vec<Json> =
        matching().take(limit).map(|((db, key), entry)| describe(*db, key, entry, now_ms)).collect();
    json!({ "unix-ms": now_ms, "matching": matching().count(), "keys": keys })
}

fn describe(db: usize, key: &Bytes, entry: &Entry, now_ms: i64) -> Json {
    let mut fields = Map::new();
    fields.insert("db".to_owned(), json!(db));
    fields.insert("key".to_owned(), json!(readable(key)));
    fields.insert("type".to_owned(), json!(entry.value.type_name()));
    if let Some(deadline) = entry.deadline_ms {
        fields.insert("expires-unix-ms".to_owned(), json!(deadline));
        fields.insert("expired".to_owned(), json!(entry.is_expired(now_ms)));
    }
    let (shown, length) = value(&entry.value);
    fields.insert("length".to_owned(), json!(length));
    fields.insert("value".to_owned(), shown);
    Json::Object(fields)
}

/// A value, cut, and its whole length: bytes of a string, elements of a collection.
fn value(value: &Value) -> (Json, u64) {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    match value {
        Value::Str(text) => {
            let data = text.data();
            (json!(text_of(data)), count(data.len()))
        }
        Value::List(list) => {
            (list.iter().take(ELEMENTS).map(|it| json!(text_of(it))).collect(), count(list.len()))
        }
        Value::Set(set) => {
            (set.iter().take(ELEMENTS).map(|it| json!(text_of(&it))).collect(), count(set.len()))
        }
        Value::Hash(hash) => {
            let pairs =
                hash.iter().take(ELEMENTS).map(|(field, value)| json!([text_of(field), text_of(value)]));
            (pairs.collect(), count(hash.len()))
        }
        Value::Zset(zset) => {
            let shown = zset.slice(0..zset.len().min(ELEMENTS));
            let pairs = shown.into_iter().map(|it| json!([text_of(&it.member), score(it.score)]));
            (pairs.collect(), count(zset.len()))
        }
        Value::Stream(stream) => (entries(stream), stream.len()),
    }
}

fn entries(stream: &Stream) -> Json {
    let all = stream.range(StreamId::MIN, StreamId::MAX).take(ELEMENTS);
    let shown = all.map(|entry| {
        let fields: Vec<String> = entry.fields.iter().map(text_of).collect();
        json!([entry.id.to_string(), fields])
    });
    shown.collect()
}

/// JSON has no infinity; Redis writes it as a word.
fn score(score: f64) -> Json {
    match score {
        f64::INFINITY => json!("inf"),
        f64::NEG_INFINITY => json!("-inf"),
        finite => json!(finite),
    }
}

fn text_of(bytes: &[u8]) -> String {
    match bytes.get(..BYTES) {
        Some(start) if bytes.len() > BYTES => format!("{}... ({} bytes)", readable(start), bytes.len()),
        _ => readable(bytes),
    }
}
