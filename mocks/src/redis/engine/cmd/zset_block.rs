//! `BZPOPMIN`, `BZPOPMAX` and `BZMPOP`: as the commands they are named after, but a client that finds nothing
//! waits.

use bytes::Bytes;

use super::list_move::keys_word_and_count;
use super::zset_pop::{highest, take};
use super::zset_range::scored;
use crate::redis::engine::CmdError;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::wait::Kind;
use crate::redis::resp::Reply;
use crate::redis::store::Scored;

pub(crate) fn bzpopmin(call: &mut Call<'_>) -> Outcome {
    pop_first(call, false)
}

pub(crate) fn bzpopmax(call: &mut Call<'_>) -> Outcome {
    pop_first(call, true)
}

fn pop_first(call: &mut Call<'_>, from_highest: bool) -> Outcome {
    let last = call.args.len() - 1;
    let deadline = call.timeout_argument(last)?;
    let keys = &call.args[1..last];
    let Some((key, taken)) = take_first(call, keys, from_highest, 1)? else {
        return wait(call, keys, deadline);
    };
    let one = taken.into_iter().flat_map(|item| [Reply::Bulk(item.member), Reply::Double(item.score)]);
    Ok(Reply::Array([Reply::Bulk(key)].into_iter().chain(one).collect()))
}

pub(crate) fn bzmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, word, count) = keys_word_and_count(call, 2)?;
    let from_highest = highest(word)?;
    let deadline = call.timeout_argument(1)?;
    let Some((key, taken)) = take_first(call, keys, from_highest, count)? else {
        return wait(call, keys, deadline);
    };
    Ok(Reply::Array(vec![Reply::Bulk(key), scored(taken, true, true)]))
}

/// Takes members from the first of the keys that has any.
fn take_first(
    call: &mut Call<'_>,
    keys: &[Bytes],
    from_highest: bool,
    count: usize,
) -> Result<Option<(Bytes, Vec<Scored>)>, CmdError> {
    let ready = call.ready_key().cloned();
    for key in keys.iter().filter(|key| ready.as_ref().is_none_or(|ready| ready == *key)) {
        if let Some(taken) = take(call, key, from_highest, count)? {
            let name: &[u8] = if from_highest { b"zpopmax" } else { b"zpopmin" };
            call.replicate(vec![Bytes::from_static(name), key.clone(), Bytes::from(taken.len().to_string())]);
            return Ok(Some((key.clone(), taken)));
        }
    }
    Ok(None)
}

fn wait(call: &mut Call<'_>, keys: &[Bytes], deadline: Option<i64>) -> Outcome {
    if call.can_wait() { call.wait_for(keys, Kind::Zset, deadline) } else { Ok(Reply::NullArray) }
}
