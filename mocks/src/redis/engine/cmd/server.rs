//! The server as a whole: sizes, flushing, time.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::keyspace::database;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

pub(crate) use super::debug::debug;
pub(crate) use super::info::info;
pub(crate) use super::monitor::monitor;

pub(crate) fn dbsize(call: &mut Call<'_>) -> Outcome {
    // Keys that expired but were not deleted count.
    Ok(Reply::count(call.engine.store.db(call.db()).len()))
}

pub(crate) fn flushdb(call: &mut Call<'_>) -> Outcome {
    let db = call.db();
    flush(call, db..db + 1)
}

pub(crate) fn flushall(call: &mut Call<'_>) -> Outcome {
    let all = 0..call.engine.store.databases();
    flush(call, all)
}

fn flush(call: &mut Call<'_>, dbs: Range<usize>) -> Outcome {
    let in_thread = match call.rest(1) {
        [] => call.engine.config.get("lazyfree-lazy-user-flush") == Some("yes"),
        [mode] if is(mode, "sync") => false,
        [mode] if is(mode, "async") => true,
        _ => return Err(CmdError::SYNTAX),
    };
    for db in dbs {
        let keys = call.engine.store.flush(db);
        call.engine.stats.freed_in_thread += if in_thread { keys as u64 } else { 0 };
    }
    call.engine.invalidate_everything();
    Ok(Reply::OK)
}

pub(crate) fn swapdb(call: &mut Call<'_>) -> Outcome {
    if call.engine.cluster.is_some() {
        return Err(CmdError::fixed("ERR SWAPDB is not allowed in cluster mode"));
    }
    let first = strict_i64(&call.args[1]).ok_or(CmdError::fixed("ERR invalid first DB index"))?;
    let second = strict_i64(&call.args[2]).ok_or(CmdError::fixed("ERR invalid second DB index"))?;
    let (first, second) = (database(call, first), database(call, second));
    let (Some(first), Some(second)) = (first, second) else { return Err(CmdError::INDEX) };
    if first != second {
        // Redis tells nobody that keys changed places.
        call.engine.writes_wholesale();
        call.engine.swap_databases(first, second);
    }
    Ok(Reply::OK)
}

pub(crate) fn time(call: &mut Call<'_>) -> Outcome {
    let engine = &call.engine;
    // The only command for which time goes on in a program, which may wait until it has.
    let live = engine.script.and_then(|_| engine.scripts.unix_us());
    let us = live.unwrap_or(engine.at.unix_us);
    let parts = [us.div_euclid(1_000_000), us.rem_euclid(1_000_000)];
    Ok(Reply::bulks(parts.map(|part| part.to_string())))
}

/// 40 hexadecimal digits, as run ids and replication ids have.
pub(crate) fn random_hex(rng: &mut ChaCha8Rng) -> String {
    (0..40).map(|_| char::from(b"0123456789abcdef"[rng.random_range(0..16)])).collect()
}
