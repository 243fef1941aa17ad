//! Deadlines of hash fields: `HEXPIRE` and its kin, as Redis 7.4 has them.
//!
//! One reply for each field: -2 there is no such field (or hash), 0 a condition was not met, 1 done, 2 removed
//! because the time has passed already; -1 the field has no deadline.

use std::sync::Arc;

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Hash, Value};

/// The latest deadline of a field: it has 46 bits (`HFE_MAX_ABS_TIME_MSEC`).
const LATEST_MS: i64 = 0xffff_ffff_fffe >> 2;

const NOT_GREATER: CmdError = CmdError::fixed("ERR Parameter `numFields` should be greater than 0");
const NOT_POSITIVE: CmdError = CmdError::fixed("ERR Number of fields must be a positive integer");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    /// Only fields without a deadline.
    Nx,
    /// Only fields with one.
    Xx,
    /// Only a later one; a field without one lives for ever.
    Gt,
    /// Only an earlier one.
    Lt,
}

impl Condition {
    fn is_met(self, before: Option<i64>, after: i64) -> bool {
        match self {
            Self::Always => true,
            Self::Nx => before.is_none(),
            Self::Xx => before.is_some(),
            Self::Gt => before.is_some_and(|before| after > before),
            Self::Lt => before.is_none_or(|before| after < before),
        }
    }
}

pub(crate) fn hexpire(call: &mut Call<'_>) -> Outcome {
    let now = call.now_ms();
    expire(call, 1000, now)
}

pub(crate) fn hpexpire(call: &mut Call<'_>) -> Outcome {
    let now = call.now_ms();
    expire(call, 1, now)
}

pub(crate) fn hexpireat(call: &mut Call<'_>) -> Outcome {
    expire(call, 1000, 0)
}

pub(crate) fn hpexpireat(call: &mut Call<'_>) -> Outcome {
    expire(call, 1, 0)
}

/// The fields named from `index` on: `FIELDS count field …`.
fn fields<'a>(call: &Call<'a>, index: usize, no_count: CmdError) -> Result<&'a [Bytes], CmdError> {
    const NO_FIELDS: CmdError =
        CmdError::fixed("ERR Mandatory argument FIELDS is missing or not at the right position");
    const MISCOUNTED: CmdError =
        CmdError::fixed("ERR The `numfields` parameter must match the number of arguments");
    let [word, count, fields @ ..] = call.rest(index) else { return Err(NO_FIELDS) };
    if !is(word, "fields") {
        return Err(NO_FIELDS);
    }
    let count = strict_i64(count).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    let count = count.ok_or(no_count)?;
    if count == fields.len() { Ok(fields) } else { Err(MISCOUNTED) }
}

fn expire(call: &mut Call<'_>, unit: i64, base: i64) -> Outcome {
    let (key, now) = (&call.args[1], call.now_ms());
    call.look_as::<Hash>(key)?;
    let deadline = deadline(call, unit, base)?;
    let conditions =
        [("nx", Condition::Nx), ("xx", Condition::Xx), ("gt", Condition::Gt), ("lt", Condition::Lt)];
    let condition = conditions.into_iter().find(|(word, _)| is(&call.args[3], word)).map(|(_, kind)| kind);
    let fields = fields(call, if condition.is_some() { 4 } else { 3 }, NOT_GREATER)?;
    let condition = condition.unwrap_or(Condition::Always);
    make_room(call, key);
    let Some(hash) = call.look_as::<Hash>(key)? else { return Ok(for_each(fields, |_| -2)) };
    let due = deadline <= now;
    let refusal = |hash: &Hash, field: &Bytes| {
        let is_met = condition.is_met(hash.deadline_ms(field), deadline);
        if hash.get(field).is_none() { Some(-2) } else { (!is_met).then_some(0) }
    };
    if fields.iter().all(|field| refusal(hash, field).is_some()) {
        return Ok(for_each(fields, |field| refusal(hash, field).unwrap_or(0)));
    }
    // One after the other: a field may be named twice.
    let replies = call.change(key, |hash: &mut Hash| {
        for_each(fields, |field| match refusal(hash, field) {
            Some(refusal) => refusal,
            None if due => {
                hash.remove(field);
                2
            }
            None => {
                hash.set_deadline(field, Some(deadline));
                1
            }
        })
    })?;
    call.notify(notify::HASH, if due { "hdel" } else { "hexpire" }, key);
    if due && call.look(key).is_none() {
        call.notify(notify::GENERIC, "del", key);
    }
    Ok(replies)
}

/// The deadline that a command sets, in Unix milliseconds.
fn deadline(call: &Call<'_>, unit: i64, base: i64) -> Result<i64, CmdError> {
    const NEGATIVE: CmdError = CmdError::fixed("ERR invalid expire time, must be >= 0");
    let time = call.integer(2)?;
    if time < 0 {
        return Err(NEGATIVE);
    }
    let deadline = time.checked_mul(unit).and_then(|ms| ms.checked_add(base)).filter(|at| *at <= LATEST_MS);
    deadline.ok_or_else(|| CmdError::invalid_expire(call.spec.name))
}

/// Has a hash room for deadlines, whether or not any is set: `OBJECT ENCODING` tells.
fn make_room(call: &mut Call<'_>, key: &Bytes) {
    let db = call.db();
    if let Some(Value::Hash(hash)) = call.engine.store.reshape(db, key)
        && !hash.is_timed()
    {
        Arc::make_mut(hash).make_timed();
    }
}

pub(crate) fn hpersist(call: &mut Call<'_>) -> Outcome {
    let (key, now) = (&call.args[1], call.now_ms());
    call.look_as::<Hash>(key)?;
    let fields = fields(call, 2, NOT_POSITIVE)?;
    let Some(hash) = call.look_as::<Hash>(key)? else { return Ok(for_each(fields, |_| -2)) };
    let reply = |hash: &Hash, field: &Bytes| match hash.deadline_ms(field) {
        Some(deadline) if now <= deadline => 1,
        None if hash.get(field).is_some() => -1,
        _ => -2,
    };
    if !fields.iter().any(|field| reply(hash, field) == 1) {
        return Ok(for_each(fields, |field| reply(hash, field)));
    }
    // One after the other: a field may be named twice.
    let replies = call.change(key, |hash: &mut Hash| {
        for_each(fields, |field| {
            let reply = reply(hash, field);
            if reply == 1 {
                hash.set_deadline(field, None);
            }
            reply
        })
    })?;
    call.notify(notify::HASH, "hpersist", key);
    Ok(replies)
}

pub(crate) fn httl(call: &mut Call<'_>) -> Outcome {
    let now = call.now_ms();
    left(call, |deadline| (deadline - now + 999) / 1000)
}

pub(crate) fn hpttl(call: &mut Call<'_>) -> Outcome {
    let now = call.now_ms();
    left(call, |deadline| deadline - now)
}

pub(crate) fn hexpiretime(call: &mut Call<'_>) -> Outcome {
    left(call, |deadline| (deadline + 999) / 1000)
}

pub(crate) fn hpexpiretime(call: &mut Call<'_>) -> Outcome {
    left(call, |deadline| deadline)
}

fn left(call: &mut Call<'_>, tell: impl Fn(i64) -> i64) -> Outcome {
    let now = call.now_ms();
    call.read_as::<Hash>(&call.args[1])?;
    let fields = fields(call, 2, NOT_POSITIVE)?;
    let hash = call.look_as::<Hash>(&call.args[1])?;
    Ok(for_each(fields, |field| match hash.map(|hash| (hash.get(field), hash.deadline_ms(field))) {
        None | Some((None, _)) => -2,
        Some((_, None)) => -1,
        Some((_, Some(deadline))) if now > deadline => -2,
        Some((_, Some(deadline))) => tell(deadline),
    }))
}

fn for_each(fields: &[Bytes], mut reply: impl FnMut(&Bytes) -> i64) -> Reply {
    Reply::Array(fields.iter().map(|field| Reply::Int(reply(field))).collect())
}
