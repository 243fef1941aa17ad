//! Intersection, union and difference of sets, behaving as `t_set.c` of Redis 7.0.
//!
//! The real server chooses between two ways to a difference by the work they make. The choice shows in the
//! encoding of what is stored, so it is made here too.

use std::sync::Arc;

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::SET;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::Set;

type Operation = fn(&[Option<Arc<Set>>], usize) -> Set;

pub(crate) fn smembers(call: &mut Call<'_>) -> Outcome {
    let members = call.read_as::<Set>(&call.args[1])?.map(|set| set.iter().map(Reply::Bulk).collect());
    Ok(Reply::Set(members.unwrap_or_default()))
}

pub(crate) fn sinter(call: &mut Call<'_>) -> Outcome {
    answer(call, intersection)
}

pub(crate) fn sunion(call: &mut Call<'_>) -> Outcome {
    answer(call, union)
}

pub(crate) fn sdiff(call: &mut Call<'_>) -> Outcome {
    answer(call, difference)
}

pub(crate) fn sinterstore(call: &mut Call<'_>) -> Outcome {
    store(call, intersection, "sinterstore")
}

pub(crate) fn sunionstore(call: &mut Call<'_>) -> Outcome {
    store(call, union, "sunionstore")
}

pub(crate) fn sdiffstore(call: &mut Call<'_>) -> Outcome {
    store(call, difference, "sdiffstore")
}

pub(crate) fn sintercard(call: &mut Call<'_>) -> Outcome {
    let (keys, limit) = counted_keys_and_limit(call)?;
    let sets = sets(call, keys)?;
    let found = intersection(&sets, usize::MAX).len();
    Ok(Reply::count(if limit == 0 { found } else { found.min(limit) }))
}

/// The keys of `SINTERCARD` and `ZINTERCARD`, and the limit; 0 is none.
pub(super) fn counted_keys_and_limit<'a>(call: &Call<'a>) -> Result<(&'a [Bytes], usize), CmdError> {
    const NOT_POSITIVE: CmdError = CmdError::fixed("ERR numkeys should be greater than 0");
    const TOO_MANY: CmdError = CmdError::fixed("ERR Number of keys can't be greater than number of args");
    const NEGATIVE: CmdError = CmdError::fixed("ERR LIMIT can't be negative");
    let number = |text: &[u8], wrong: CmdError| {
        strict_i64(text).and_then(|number| usize::try_from(number).ok()).ok_or(wrong)
    };
    let count = number(&call.args[1], NOT_POSITIVE)?;
    if count == 0 || i32::try_from(count).is_err() {
        return Err(NOT_POSITIVE);
    }
    let rest = call.rest(2);
    let (keys, mut options) = rest.split_at_checked(count).ok_or(TOO_MANY)?;
    let mut limit = 0;
    while let Some((word, tail)) = options.split_first() {
        let (value, tail) = tail.split_first().filter(|_| is(word, "limit")).ok_or(CmdError::SYNTAX)?;
        limit = number(value, NEGATIVE)?;
        options = tail;
    }
    Ok((keys, limit))
}

fn answer(call: &mut Call<'_>, operation: Operation) -> Outcome {
    let sets = sets(call, call.rest(1))?;
    let result = operation(&sets, call.engine.config.set_integers);
    Ok(Reply::Set(result.iter().map(Reply::Bulk).collect()))
}

fn store(call: &mut Call<'_>, operation: Operation, event: &'static str) -> Outcome {
    let sets = sets(call, call.rest(2))?;
    let result = operation(&sets, call.engine.config.set_integers);
    let count = result.len();
    call.store_and_notify(&call.args[1], result, SET, event);
    Ok(Reply::count(count))
}

fn sets(call: &mut Call<'_>, keys: &[Bytes]) -> Result<Vec<Option<Arc<Set>>>, CmdError> {
    keys.iter().map(|key| call.share_as::<Set>(key)).collect()
}

fn union(sets: &[Option<Arc<Set>>], most_integers: usize) -> Set {
    collect(sets.iter().flatten().flat_map(|set| set.iter()), most_integers)
}

fn intersection(sets: &[Option<Arc<Set>>], most_integers: usize) -> Set {
    let Some(mut sets) = sets.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() else {
        return Set::default();
    };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return Set::default() };
    let in_all = smallest.iter().filter(|member| others.iter().all(|set| set.contains(member)));
    collect(in_all, most_integers)
}

fn difference(sets: &[Option<Arc<Set>>], most_integers: usize) -> Set {
    let Some((Some(first), others)) = sets.split_first() else { return Set::default() };
    let others: Vec<&Arc<Set>> = others.iter().flatten().collect();
    let by_members = first.len() * (others.len() + 1) / 2;
    let by_sets = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    if by_members <= by_sets {
        let left = first.iter().filter(|member| !others.iter().any(|set| set.contains(member)));
        return collect(left, most_integers);
    }
    let mut result = collect(first.iter(), most_integers);
    for member in others.into_iter().flat_map(|set| set.iter()) {
        result.remove(&member);
    }
    result
}

fn collect(members: impl Iterator<Item = Bytes>, most_integers: usize) -> Set {
    let mut set = Set::default();
    for member in members {
        set.add(member, most_integers);
    }
    set
}
