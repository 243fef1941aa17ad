//! `BLPOP`, `BRPOP`, `BLMPOP`, `BLMOVE` and `BRPOPLPUSH`: as the commands they are named after, but a client
//! that finds nothing waits.

use bytes::Bytes;

use super::list::take;
use super::list_move::{end, keys_word_and_count, move_one};
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::wait::Kind;
use crate::redis::resp::Reply;
use crate::redis::store::{End, List};

pub(crate) fn blpop(call: &mut Call<'_>) -> Outcome {
    pop_first(call, End::Left)
}

pub(crate) fn brpop(call: &mut Call<'_>) -> Outcome {
    pop_first(call, End::Right)
}

fn pop_first(call: &mut Call<'_>, from: End) -> Outcome {
    let last = call.args.len() - 1;
    let deadline = call.timeout_argument(last)?;
    let keys = &call.args[1..last];
    let Some((key, elements)) = take_first(call, keys, from, 1)? else { return wait(call, keys, deadline) };
    call.replicate(vec![pop_name(from), key.clone()]);
    Ok(Reply::bulks([key].into_iter().chain(elements)))
}

pub(crate) fn blmpop(call: &mut Call<'_>) -> Outcome {
    let (keys, word, count) = keys_word_and_count(call, 2)?;
    let from = end(word)?;
    let deadline = call.timeout_argument(1)?;
    let Some((key, elements)) = take_first(call, keys, from, count)? else {
        return wait(call, keys, deadline);
    };
    call.replicate(vec![pop_name(from), key.clone(), Bytes::from(elements.len().to_string())]);
    Ok(Reply::Array(vec![Reply::Bulk(key), Reply::bulks(elements)]))
}

pub(crate) fn blmove(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (end(&call.args[3])?, end(&call.args[4])?);
    move_or_wait(call, from, to, 5)
}

pub(crate) fn brpoplpush(call: &mut Call<'_>) -> Outcome {
    move_or_wait(call, End::Right, End::Left, 3)
}

fn move_or_wait(call: &mut Call<'_>, from: End, to: End, timeout: usize) -> Outcome {
    let deadline = call.timeout_argument(timeout)?;
    let source = &call.args[1];
    if call.look_as::<List>(source)?.is_some() {
        let word = |end| Bytes::from_static(if end == End::Left { b"left" } else { b"right" });
        call.replicate(vec![
            Bytes::from_static(b"lmove"),
            source.clone(),
            call.args[2].clone(),
            word(from),
            word(to),
        ]);
        return move_one(call, from, to);
    }
    if call.can_wait() {
        return call.wait_for(std::slice::from_ref(source), Kind::List, deadline);
    }
    Ok(Reply::Null)
}

/// Takes elements from the first of the keys that has any.
fn take_first(
    call: &mut Call<'_>,
    keys: &[Bytes],
    from: End,
    count: usize,
) -> Result<Option<(Bytes, Vec<Bytes>)>, crate::redis::engine::CmdError> {
    let ready = call.ready_key().cloned();
    for key in keys.iter().filter(|key| ready.as_ref().is_none_or(|ready| ready == *key)) {
        if call.look_as::<List>(key)?.is_some() {
            return Ok(Some((key.clone(), take(call, key, from, count)?)));
        }
    }
    Ok(None)
}

fn wait(call: &mut Call<'_>, keys: &[Bytes], deadline: Option<i64>) -> Outcome {
    if call.can_wait() { call.wait_for(keys, Kind::List, deadline) } else { Ok(Reply::NullArray) }
}

fn pop_name(from: End) -> Bytes {
    Bytes::from_static(if from == End::Left { b"lpop" } else { b"rpop" })
}
