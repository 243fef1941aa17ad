//! Strings, behaving as `t_string.c` of Redis 7.0.
//!
//! What keeps a key's deadline (`APPEND`, `INCR`, `SETRANGE`) changes the value in place; what clears it
//! (`SET`, `GETSET`, `MSET`) puts a new entry.

use bytes::{Bytes, BytesMut};

use super::expire::{Unit, deadline_from};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::{GENERIC, STRING};
use crate::redis::engine::number::{add_floats, float, strict_i64};
use crate::redis::resp::Reply;
use crate::redis::store::{Str, Value};

pub(crate) use super::lcs::lcs;

const TOO_LONG: CmdError = CmdError::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

/// What `SET` and `GETEX` can be told beside key and value.
#[derive(Default)]
struct Options {
    only_if_absent: bool,
    only_if_present: bool,
    get: bool,
    keep_deadline: bool,
    persist: bool,
    time: Option<(Unit, bool, Bytes)>,
}

impl Options {
    fn parse(call: &Call<'_>, from: usize, is_set: bool) -> Result<Self, CmdError> {
        let mut options = Self::default();
        let mut rest = call.rest(from).iter();
        while let Some(word) = rest.next() {
            let no_time = options.time.is_none();
            let free = no_time && !options.keep_deadline && !options.persist;
            if is_set && is(word, "nx") && !options.only_if_present {
                options.only_if_absent = true;
            } else if is_set && is(word, "xx") && !options.only_if_absent {
                options.only_if_present = true;
            } else if is_set && is(word, "get") {
                options.get = true;
            } else if is_set && is(word, "keepttl") && no_time {
                options.keep_deadline = true;
            } else if !is_set && is(word, "persist") && no_time {
                options.persist = true;
            } else if let Some((unit, absolute)) = time_word(word).filter(|_| free) {
                let value = rest.next().ok_or(CmdError::SYNTAX)?;
                options.time = Some((unit, absolute, value.clone()));
            } else {
                return Err(CmdError::SYNTAX);
            }
        }
        Ok(options)
    }

    /// The deadline asked for, checked apart from the syntax: `GETEX` looks at the key in between.
    fn deadline_ms(&self, call: &Call<'_>) -> Result<Option<i64>, CmdError> {
        let Some((unit, absolute, text)) = &self.time else { return Ok(None) };
        let value = strict_i64(text).ok_or(CmdError::NOT_INTEGER)?;
        let invalid = || CmdError::invalid_expire(call.spec.name);
        let positive = Some(value).filter(|value| *value > 0).ok_or_else(invalid)?;
        let base = if *absolute { 0 } else { call.now_ms() };
        Ok(Some(deadline_from(positive, *unit, base).ok_or_else(invalid)?))
    }
}

fn time_word(word: &[u8]) -> Option<(Unit, bool)> {
    let words = [("ex", Unit::Seconds, false), ("px", Unit::Millis, false)];
    let absolute = [("exat", Unit::Seconds, true), ("pxat", Unit::Millis, true)];
    let found = words.into_iter().chain(absolute).find(|(name, ..)| is(word, name));
    found.map(|(_, unit, absolute)| (unit, absolute))
}

pub(crate) fn set(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (&call.args[1], &call.args[2]);
    let options = Options::parse(call, 3, true)?;
    let deadline = options.deadline_ms(call)?;
    let before = if options.get { Some(Reply::bulk_or_null(call.read_str(key)?)) } else { None };
    let present = call.look(key).map(|entry| entry.deadline_ms);
    if options.only_if_absent && present.is_some() || options.only_if_present && present.is_none() {
        return Ok(before.unwrap_or(Reply::Null));
    }
    let kept = present.flatten().filter(|_| options.keep_deadline);
    // A deadline in the past is stored all the same: the key expires when it is next looked at.
    call.put(key, Value::Str(Str::encoded(value.clone())), deadline.or(kept));
    if options.get {
        call.answers_first();
    }
    call.notify(STRING, "set", key);
    if deadline.is_some() {
        call.notify(GENERIC, "expire", key);
    }
    Ok(before.unwrap_or(Reply::OK))
}

pub(crate) fn setnx(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (&call.args[1], &call.args[2]);
    let absent = call.look(key).is_none();
    if absent {
        call.put(key, Value::Str(Str::encoded(value.clone())), None);
        call.notify(STRING, "set", key);
    }
    Ok(Reply::flag(absent))
}

pub(crate) fn setex(call: &mut Call<'_>) -> Outcome {
    set_with_time(call, Unit::Seconds)
}

pub(crate) fn psetex(call: &mut Call<'_>) -> Outcome {
    set_with_time(call, Unit::Millis)
}

fn set_with_time(call: &mut Call<'_>, unit: Unit) -> Outcome {
    let invalid = || CmdError::invalid_expire(call.spec.name);
    let time = call.integer(2)?;
    let time = Some(time).filter(|time| *time > 0).ok_or_else(invalid)?;
    let deadline = deadline_from(time, unit, call.now_ms()).ok_or_else(invalid)?;
    let key = &call.args[1];
    call.look(key);
    call.put(key, Value::Str(Str::encoded(call.args[3].clone())), Some(deadline));
    call.notify(STRING, "set", key);
    call.notify(GENERIC, "expire", key);
    Ok(Reply::OK)
}

pub(crate) fn get(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulk_or_null(call.read_str(&call.args[1])?))
}

pub(crate) fn getdel(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    let value = call.read_str(key)?;
    if value.is_some() {
        call.delete(key);
        call.answers_first();
        call.notify(GENERIC, "del", key);
    }
    Ok(Reply::bulk_or_null(value))
}

pub(crate) fn getex(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    let options = Options::parse(call, 2, false)?;
    let Some(value) = call.read_str(key)? else { return Ok(Reply::Null) };
    let (db, now) = (call.db(), call.now_ms());
    let deadline = options.deadline_ms(call)?;
    call.answers_first();
    match deadline {
        Some(deadline) if deadline <= now => {
            call.delete(key);
            call.notify(GENERIC, "del", key);
        }
        Some(deadline) => {
            call.engine.store.set_deadline(db, key, Some(deadline));
            call.notify(GENERIC, "expire", key);
        }
        None => {
            let has_deadline = call.look(key).is_some_and(|entry| entry.deadline_ms.is_some());
            if options.persist && has_deadline {
                call.engine.store.set_deadline(db, key, None);
                call.notify(GENERIC, "persist", key);
            }
        }
    }
    Ok(Reply::Bulk(value))
}

pub(crate) fn getset(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    let before = call.read_str(key)?;
    call.answers_first();
    call.put(key, Value::Str(Str::encoded(call.args[2].clone())), None);
    call.notify(STRING, "set", key);
    Ok(Reply::bulk_or_null(before))
}

pub(crate) fn mget(call: &mut Call<'_>) -> Outcome {
    // A key of another type reads as none here.
    Ok(Reply::Array(
        call.rest(1).iter().map(|key| Reply::bulk_or_null(call.read_str(key).ok().flatten())).collect(),
    ))
}

pub(crate) fn mset(call: &mut Call<'_>) -> Outcome {
    let pairs = pairs(call)?;
    set_pairs(call, pairs);
    Ok(Reply::OK)
}

pub(crate) fn msetnx(call: &mut Call<'_>) -> Outcome {
    let pairs = pairs(call)?;
    let absent = pairs.chunks_exact(2).all(|pair| call.look(&pair[0]).is_none());
    if absent {
        set_pairs(call, pairs);
    }
    Ok(Reply::flag(absent))
}

fn pairs<'a>(call: &Call<'a>) -> Result<&'a [Bytes], CmdError> {
    let pairs = call.rest(1);
    if pairs.len().is_multiple_of(2) { Ok(pairs) } else { Err(CmdError::wrong_arity(call.spec.name)) }
}

fn set_pairs(call: &mut Call<'_>, pairs: &[Bytes]) {
    for pair in pairs.chunks_exact(2) {
        call.look(&pair[0]);
        call.put(&pair[0], Value::Str(Str::encoded(pair[1].clone())), None);
        call.notify(STRING, "set", &pair[0]);
    }
}

pub(crate) fn append(call: &mut Call<'_>) -> Outcome {
    let (key, tail) = (&call.args[1], &call.args[2]);
    let Some(before) = call.look_str(key)? else {
        call.put(key, Value::Str(Str::encoded(tail.clone())), None);
        call.notify(STRING, "append", key);
        return Ok(Reply::count(tail.len()));
    };
    let length = before.len() + tail.len();
    check_length(call, length)?;
    drop(before);
    modify(call, key, |data| data.extend_from_slice(tail));
    call.notify(STRING, "append", key);
    Ok(Reply::count(length))
}

pub(crate) fn strlen(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.read_str(&call.args[1])?.map_or(0, |value| value.len())))
}

pub(crate) fn setrange(call: &mut Call<'_>) -> Outcome {
    let (key, patch) = (&call.args[1], &call.args[3]);
    let offset = call.integer(2)?;
    let offset = usize::try_from(offset).map_err(|_| CmdError::fixed("ERR offset is out of range"))?;
    let before = call.look_str(key)?;
    let length = before.as_ref().map_or(0, Bytes::len);
    if patch.is_empty() {
        return Ok(Reply::count(length));
    }
    let end = offset.saturating_add(patch.len());
    check_length(call, end)?;
    let write = |data: &mut BytesMut| {
        if data.len() < end {
            data.resize(end, 0);
        }
        data[offset..end].copy_from_slice(patch);
    };
    if before.is_some() {
        drop(before);
        modify(call, key, write);
    } else {
        let mut data = BytesMut::new();
        write(&mut data);
        call.put(key, Value::Str(Str::raw(data.freeze())), None);
    }
    call.notify(STRING, "setrange", key);
    Ok(Reply::count(length.max(end)))
}

pub(crate) fn getrange(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let value = call.read_str(&call.args[1])?.unwrap_or_default();
    let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::bulk(Bytes::new()));
    }
    let from_end = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    if start > end || length == 0 {
        return Ok(Reply::bulk(Bytes::new()));
    }
    let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
    Ok(Reply::Bulk(value.slice(start..=end)))
}

pub(crate) fn substr(call: &mut Call<'_>) -> Outcome {
    getrange(call)
}

pub(crate) fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1)
}

pub(crate) fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1)
}

pub(crate) fn incrby(call: &mut Call<'_>) -> Outcome {
    let by = call.integer(2)?;
    add(call, by)
}

pub(crate) fn decrby(call: &mut Call<'_>) -> Outcome {
    let by = call.integer(2)?;
    let by = by.checked_neg().ok_or(CmdError::fixed("ERR decrement would overflow"))?;
    add(call, by)
}

fn add(call: &mut Call<'_>, by: i64) -> Outcome {
    let key = &call.args[1];
    let (exists, number) = match call.look(key).map(|entry| &entry.value) {
        None => (false, Some(0)),
        Some(Value::Str(text)) => (true, strict_i64(text.data())),
        Some(_) => return Err(CmdError::WRONG_TYPE),
    };
    let number = number.ok_or(CmdError::NOT_INTEGER)?;
    let sum = number.checked_add(by).ok_or(CmdError::OVERFLOW)?;
    replace(call, key, exists, Str::integer(sum));
    call.notify(STRING, "incrby", key);
    Ok(Reply::Int(sum))
}

pub(crate) fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let (key, by) = (&call.args[1], &call.args[2]);
    let before = call.look_str(key)?;
    let number = before.clone().unwrap_or(Bytes::from_static(b"0"));
    if float(&number).is_none() || float(by).is_none() {
        return Err(CmdError::NOT_FLOAT);
    }
    let sum = add_floats(&number, by);
    let sum = Bytes::from(sum.ok_or(CmdError::fixed("ERR increment would produce NaN or Infinity"))?);
    replace(call, key, before.is_some(), Str::plain(sum.clone()));
    call.notify(STRING, "incrbyfloat", key);
    Ok(Reply::Bulk(sum))
}

/// Sets a string and keeps the deadline.
fn replace(call: &mut Call<'_>, key: &Bytes, exists: bool, text: Str) {
    if !exists {
        call.put(key, Value::Str(text), None);
    } else if let Some(value) = call.edit(key) {
        *value = Value::Str(text);
    }
}

fn modify(call: &mut Call<'_>, key: &Bytes, change: impl FnOnce(&mut BytesMut)) {
    if let Some(Value::Str(text)) = call.edit(key) {
        text.modify(change);
    }
}

fn check_length(call: &Call<'_>, length: usize) -> Result<(), CmdError> {
    if length > call.engine.config.bulk_bytes { Err(TOO_LONG) } else { Ok(()) }
}
