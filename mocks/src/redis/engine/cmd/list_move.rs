//! `LMOVE`, `RPOPLPUSH` and `LMPOP`: taking elements from one of several lists.

use bytes::Bytes;

use super::list::take;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::LIST;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{End, List};

pub(super) fn end(word: &[u8]) -> Result<End, CmdError> {
    match word {
        word if is(word, "left") => Ok(End::Left),
        word if is(word, "right") => Ok(End::Right),
        _ => Err(CmdError::SYNTAX),
    }
}

pub(crate) fn lmove(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (end(&call.args[3])?, end(&call.args[4])?);
    move_one(call, from, to)
}

pub(crate) fn rpoplpush(call: &mut Call<'_>) -> Outcome {
    move_one(call, End::Right, End::Left)
}

pub(super) fn move_one(call: &mut Call<'_>, from: End, to: End) -> Outcome {
    let (source, target) = (&call.args[1], &call.args[2]);
    // A missing source answers before the target's type is looked at.
    if call.look_as::<List>(source)?.is_none() {
        return Ok(Reply::Null);
    }
    call.look_as::<List>(target)?;
    if source == target {
        // In one change: a list of one element does not vanish in between, nor does its deadline.
        let element = call.change(source, |list: &mut List| {
            let element = list.pop(from)?;
            list.push(to, element.clone());
            Some(element)
        });
        let element = element?;
        call.notify(LIST, pushed(to), source);
        call.notify(LIST, popped(from), source);
        return Ok(Reply::bulk_or_null(element));
    }
    let Some(element) = call.change(source, |list: &mut List| list.pop(from))? else {
        return Ok(Reply::Null);
    };
    call.change(target, |list: &mut List| list.push(to, element.clone()))?;
    call.notify(LIST, pushed(to), target);
    call.notify_change(LIST, popped(from), source);
    Ok(Reply::Bulk(element))
}

/// The event of an element that came at an end.
pub(super) fn pushed(end: End) -> &'static str {
    if end == End::Left { "lpush" } else { "rpush" }
}

/// The event of an element that went from an end.
pub(super) fn popped(end: End) -> &'static str {
    if end == End::Left { "lpop" } else { "rpop" }
}

pub(crate) fn lmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, word, count) = keys_word_and_count(call, 1)?;
    let end = end(word)?;
    for key in keys {
        if call.look_as::<List>(key)?.is_some() {
            let elements = Reply::bulks(take(call, key, end, count)?);
            return Ok(Reply::Array(vec![Reply::Bulk(key.clone()), elements]));
        }
    }
    Ok(Reply::NullArray)
}

/// What `LMPOP` and its like are told from argument `at` on: keys, the word that says from where, and how many.
pub(super) fn keys_word_and_count<'a>(
    call: &Call<'a>,
    at: usize,
) -> Result<(&'a [Bytes], &'a Bytes, usize), CmdError> {
    let positive = |text: &[u8], wrong: &'static str| {
        let number = strict_i64(text).filter(|number| *number > 0);
        number.and_then(|number| usize::try_from(number).ok()).ok_or(CmdError::fixed(wrong))
    };
    let number = positive(&call.args[at], "ERR numkeys should be greater than 0")?;
    let (keys, rest) = call.rest(at + 1).split_at_checked(number).ok_or(CmdError::SYNTAX)?;
    let (word, options) = rest.split_first().ok_or(CmdError::SYNTAX)?;
    let count = match options {
        [] => 1,
        [name, count, rest @ ..] if is(name, "count") => {
            let count = positive(count, "ERR count should be greater than 0")?;
            if rest.is_empty() { count } else { return Err(CmdError::SYNTAX) }
        }
        _ => return Err(CmdError::SYNTAX),
    };
    Ok((keys, word, count))
}
