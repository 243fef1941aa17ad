//! `ZPOPMIN`, `ZPOPMAX`, `ZMPOP` and `ZRANDMEMBER`: members taken from an end, or drawn from the server's seed.

use bytes::Bytes;

use super::list_move::keys_word_and_count;
use super::random;
use super::zset_range::scored;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::ZSET;
use crate::redis::resp::Reply;
use crate::redis::store::{Scored, Zset};

pub(crate) fn zpopmin(call: &mut Call<'_>) -> Outcome {
    pop(call, false)
}

pub(crate) fn zpopmax(call: &mut Call<'_>) -> Outcome {
    pop(call, true)
}

fn pop(call: &mut Call<'_>, highest: bool) -> Outcome {
    let key = &call.args[1];
    let count = call.optional_count(2, CmdError::SYNTAX)?;
    let nest = count.is_some() && call.protocol() >= 3;
    let taken = take(call, key, highest, count.unwrap_or(1))?;
    Ok(scored(taken.unwrap_or_default(), true, nest))
}

/// Removes up to `count` members from an end; `None` if there is no such key.
pub(super) fn take(
    call: &mut Call<'_>,
    key: &Bytes,
    highest: bool,
    count: usize,
) -> Result<Option<Vec<Scored>>, CmdError> {
    let Some(length) = call.look_as::<Zset>(key)?.map(Zset::len) else { return Ok(None) };
    let count = count.min(length);
    if count == 0 {
        return Ok(Some(Vec::new()));
    }
    let taken = call.change(key, |zset: &mut Zset| {
        let rank = |zset: &Zset| if highest { zset.len().saturating_sub(1) } else { 0 };
        (0..count).map_while(|_| zset.remove_at(rank(zset))).collect()
    })?;
    call.notify_change(ZSET, if highest { "zpopmax" } else { "zpopmin" }, key);
    Ok(Some(taken))
}

pub(crate) fn zmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, word, count) = keys_word_and_count(call, 1)?;
    let highest = highest(word)?;
    for key in keys {
        if let Some(taken) = take(call, key, highest, count)? {
            return Ok(Reply::Array(vec![Reply::Bulk(key.clone()), scored(taken, true, true)]));
        }
    }
    Ok(Reply::NullArray)
}

/// Whether a word says to take from the highest.
pub(super) fn highest(word: &[u8]) -> Result<bool, CmdError> {
    match word {
        word if is(word, "min") => Ok(false),
        word if is(word, "max") => Ok(true),
        _ => Err(CmdError::SYNTAX),
    }
}

pub(crate) fn zrandmember(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    let mut rng = call.engine.rng.clone();
    let Some(count) = call.args.get(2) else {
        let Some(zset) = call.read_as::<Zset>(key)? else { return Ok(Reply::Null) };
        let member = zset.at(random::one(&mut rng, zset.len())).map(|item| item.member.clone());
        call.engine.rng = rng;
        return Ok(Reply::bulk_or_null(member));
    };
    let (count, with_scores) = random::count_and_word(count, call.rest(3), "withscores")?;
    let nest = call.protocol() >= 3;
    let Some(zset) = call.read_as::<Zset>(key)? else { return Ok(Reply::Array(Vec::new())) };
    let chosen = random::several(&mut rng, zset.len(), count)?;
    let items = chosen.into_iter().filter_map(|rank| zset.at(rank)).cloned().collect();
    call.engine.rng = rng;
    Ok(scored(items, with_scores, nest))
}
