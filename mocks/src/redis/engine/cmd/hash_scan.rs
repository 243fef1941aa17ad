//! `HSCAN` and `HRANDFIELD`: visiting fields of a hash in part or by chance.
//!
//! A small hash is scanned in one step whatever `COUNT` says, as a listpack is. A large one is visited in the
//! order of the fields' hashes, with the same guarantees as `SCAN`; each step costs the size of the hash.

use bytes::Bytes;
use rand::RngExt;
use rand::seq::index;

use super::scan;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Hash, Value, cursor_of};

pub(crate) fn hscan(call: &mut Call<'_>) -> Outcome {
    scan::cursor(&call.args[2])?;
    // A missing key ends the scan before the options are looked at.
    if call.read_hash(&call.args[1])?.is_none() {
        return Ok(scan::page(0, Vec::new()));
    }
    let options = scan::Options::parse(call, 2, false)?;
    let Some(Value::Hash(hash)) = call.look(&call.args[1]).map(|entry| &entry.value) else {
        return Ok(scan::page(0, Vec::new()));
    };
    let (cursor, found) =
        if hash.is_table() { step(hash, options.cursor, options.count) } else { (0, hash.iter().collect()) };
    let matching = found.into_iter().filter(|(field, _)| options.matches(field));
    let items = matching.flat_map(|(field, value)| [Reply::Bulk(field.clone()), Reply::Bulk(value.clone())]);
    Ok(scan::page(cursor, items.collect()))
}

/// The fields from a cursor on, in order, and the cursor of the first that is left out.
fn step(hash: &Hash, cursor: u64, count: usize) -> (u64, Vec<(&Bytes, &Bytes)>) {
    let ahead = hash.iter().map(|pair| (cursor_of(pair.0), pair)).filter(|(at, _)| *at >= cursor);
    let mut ahead: Vec<_> = ahead.collect();
    ahead.sort_unstable_by_key(|(at, (field, _))| (*at, *field));
    let mut end = count.min(ahead.len());
    // Fields that share a cursor are visited together.
    while end > 0 && end < ahead.len() && ahead[end].0 == ahead[end - 1].0 {
        end += 1;
    }
    let next = ahead.get(end).map_or(0, |(at, _)| *at);
    (next, ahead.into_iter().take(end).map(|(_, pair)| pair).collect())
}

/// Most answers to a request for fields that may repeat: one reply must fit into memory.
const REPEATS: i64 = 10_000_000;

pub(crate) fn hrandfield(call: &mut Call<'_>) -> Outcome {
    const RANGE: CmdError = CmdError::fixed(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    let key = &call.args[1];
    let mut rng = call.engine.rng.clone();
    let Some(count) = call.args.get(2) else {
        let Some(hash) = call.read_hash(key)? else { return Ok(Reply::Null) };
        let field = hash.at(rng.random_range(0..hash.len().max(1))).map(|(field, _)| field.clone());
        call.engine.rng = rng;
        return Ok(Reply::bulk_or_null(field));
    };
    let count = strict_i64(count).ok_or(CmdError::NOT_INTEGER)?;
    if count == i64::MIN {
        return Err(RANGE);
    }
    let with_values = match call.rest(3) {
        [] => false,
        [word] if is(word, "withvalues") => true,
        _ => return Err(CmdError::SYNTAX),
    };
    if with_values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(CmdError::fixed("ERR value is out of range"));
    }
    let pairs_nest = call.protocol() >= 3;
    let Some(hash) = call.read_hash(key)? else { return Ok(Reply::Array(Vec::new())) };
    let chosen: Vec<usize> = if count >= 0 {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(hash.len());
        if count == hash.len() {
            (0..count).collect()
        } else {
            index::sample(&mut rng, hash.len(), count).into_vec()
        }
    } else if count < -REPEATS {
        return Err(CmdError::fixed("ERR value is out of range"));
    } else {
        (count..0).map(|_| rng.random_range(0..hash.len())).collect()
    };
    let pairs = chosen.into_iter().filter_map(|at| hash.at(at));
    let pairs = pairs.map(|(field, value)| (Reply::Bulk(field.clone()), Reply::Bulk(value.clone())));
    let reply = match (with_values, pairs_nest) {
        (false, _) => pairs.map(|(field, _)| field).collect(),
        (true, true) => pairs.map(|(field, value)| Reply::Array(vec![field, value])).collect(),
        (true, false) => pairs.flat_map(|(field, value)| [field, value]).collect(),
    };
    call.engine.rng = rng;
    Ok(Reply::Array(reply))
}
