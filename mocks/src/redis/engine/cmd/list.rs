//! Lists, one key at a time, behaving as `t_list.c` of Redis 7.0. A list whose last element is removed is gone.
//!
//! Blocking forms are not here.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::LIST;
use crate::redis::resp::Reply;
use crate::redis::store::{End, List};

pub(crate) use super::list_move::{lmove, lmpop, rpoplpush};
use super::list_move::{popped, pushed};
pub(crate) use super::list_pos::lpos;

pub(crate) fn lpush(call: &mut Call<'_>) -> Outcome {
    push(call, End::Left, true)
}

pub(crate) fn rpush(call: &mut Call<'_>) -> Outcome {
    push(call, End::Right, true)
}

pub(crate) fn lpushx(call: &mut Call<'_>) -> Outcome {
    push(call, End::Left, false)
}

pub(crate) fn rpushx(call: &mut Call<'_>) -> Outcome {
    push(call, End::Right, false)
}

fn push(call: &mut Call<'_>, end: End, makes: bool) -> Outcome {
    let (key, elements) = (&call.args[1], call.rest(2));
    if call.look_as::<List>(key)?.is_none() && !makes {
        return Ok(Reply::Int(0));
    }
    let length = call.change(key, |list: &mut List| {
        elements.iter().for_each(|element| list.push(end, element.clone()));
        list.len()
    })?;
    call.answers_first();
    call.notify(LIST, pushed(end), key);
    Ok(Reply::count(length))
}

pub(crate) fn lpop(call: &mut Call<'_>) -> Outcome {
    pop(call, End::Left)
}

pub(crate) fn rpop(call: &mut Call<'_>) -> Outcome {
    pop(call, End::Right)
}

fn pop(call: &mut Call<'_>, end: End) -> Outcome {
    let key = &call.args[1];
    let count = call.optional_count(2, CmdError::wrong_arity(call.spec.name))?;
    if call.look_as::<List>(key)?.is_none() {
        return Ok(if count.is_some() { Reply::NullArray } else { Reply::Null });
    }
    match count {
        None => Ok(Reply::bulk_or_null(take(call, key, end, 1)?.into_iter().next())),
        Some(0) => Ok(Reply::Array(Vec::new())),
        Some(count) => Ok(Reply::bulks(take(call, key, end, count)?)),
    }
}

/// Removes up to `count` elements from an end of a list.
pub(super) fn take(call: &mut Call<'_>, key: &Bytes, end: End, count: usize) -> Result<Vec<Bytes>, CmdError> {
    let taken = call.change(key, |list: &mut List| (0..count).map_while(|_| list.pop(end)).collect())?;
    call.answers_first();
    call.notify_change(LIST, popped(end), key);
    Ok(taken)
}

pub(crate) fn llen(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.read_as::<List>(&call.args[1])?.map_or(0, List::len)))
}

pub(crate) fn lrange(call: &mut Call<'_>) -> Outcome {
    let (start, end) = (call.integer(2)?, call.integer(3)?);
    let Some(list) = call.read_as::<List>(&call.args[1])? else { return Ok(Reply::Array(Vec::new())) };
    Ok(Reply::bulks(list.slice(positions(start, end, list.len())).cloned()))
}

/// The positions from `start` to `end`, both included; negative ones count from the end.
pub(super) fn positions(start: i64, end: i64, length: usize) -> std::ops::Range<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_end = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let (start, end) = (from_end(start).max(0), from_end(end).min(length - 1));
    if start > end {
        return 0..0;
    }
    usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0) + 1
}

/// The position an index means, if the list reaches so far.
fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if index < 0 { index.saturating_add(length) } else { index };
    usize::try_from(at).ok().filter(|_| at < length)
}

pub(crate) fn lindex(call: &mut Call<'_>) -> Outcome {
    // A missing key answers before the index is looked at.
    let Some(length) = call.read_as::<List>(&call.args[1])?.map(List::len) else { return Ok(Reply::Null) };
    let at = position(call.integer(2)?, length);
    let list = call.look_as::<List>(&call.args[1])?;
    Ok(Reply::bulk_or_null(list.and_then(|list| list.at(at?)).cloned()))
}

pub(crate) fn lset(call: &mut Call<'_>) -> Outcome {
    let (key, element) = (&call.args[1], &call.args[3]);
    let length = call.look_as::<List>(key)?.ok_or(CmdError::NO_KEY)?.len();
    let at = position(call.integer(2)?, length).ok_or(CmdError::fixed("ERR index out of range"))?;
    call.change(key, |list: &mut List| list.set(at, element.clone()))?;
    call.answers_first();
    call.notify(LIST, "lset", key);
    Ok(Reply::OK)
}

pub(crate) fn lrem(call: &mut Call<'_>) -> Outcome {
    let (key, count, element) = (&call.args[1], call.integer(2)?, &call.args[3]);
    let list = call.look_as::<List>(key)?;
    if !list.is_some_and(|list| list.iter().any(|other| other == element)) {
        return Ok(Reply::Int(0));
    }
    let from = if count < 0 { End::Right } else { End::Left };
    let most =
        if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let removed = call.change(key, |list: &mut List| list.remove(from, element, most))?;
    call.notify_change(LIST, "lrem", key);
    Ok(Reply::count(removed))
}

pub(crate) fn ltrim(call: &mut Call<'_>) -> Outcome {
    let (key, start, end) = (&call.args[1], call.integer(2)?, call.integer(3)?);
    if call.look_as::<List>(key)?.is_some() {
        call.change(key, |list: &mut List| list.keep(positions(start, end, list.len())))?;
        call.notify_change(LIST, "ltrim", key);
    }
    Ok(Reply::OK)
}

pub(crate) fn linsert(call: &mut Call<'_>) -> Outcome {
    let (key, pivot, element) = (&call.args[1], &call.args[3], &call.args[4]);
    let after = match &call.args[2] {
        word if is(word, "after") => 1,
        word if is(word, "before") => 0,
        _ => return Err(CmdError::SYNTAX),
    };
    let Some(list) = call.look_as::<List>(key)? else { return Ok(Reply::Int(0)) };
    let Some(at) = list.iter().position(|other| other == pivot) else { return Ok(Reply::Int(-1)) };
    let length = call.change(key, |list: &mut List| {
        list.insert(at + after, element.clone());
        list.len()
    })?;
    call.notify(LIST, "linsert", key);
    Ok(Reply::count(length))
}
