//! `OBJECT`: what is known of a key beside its value. Looking does not count as using.

use super::help;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

pub(crate) fn object_encoding(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[2];
    Ok(call.look(key).map_or(Reply::Null, |entry| Reply::bulk(entry.value.encoding())))
}

pub(crate) fn object_refcount(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[2];
    // Small integers are shared by the real server, unless it evicts by the age or the uses of each.
    let shares = !call.engine.config.tuning.tells_keys_apart();
    Ok(call.look(key).map_or(Reply::Null, |entry| match &entry.value {
        value if shares && value.is_shared_integer() => Reply::Int(i64::from(i32::MAX)),
        _ => Reply::Int(1),
    }))
}

pub(crate) fn object_idletime(call: &mut Call<'_>) -> Outcome {
    const BY_FREQUENCY: CmdError = CmdError::fixed(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
         between policies at runtime LRU and LFU data will take some time to adjust.",
    );
    let (key, now) = (&call.args[2], call.now_ms());
    let Some(used_ms) = call.look(key).map(|entry| entry.used_ms) else { return Ok(Reply::Null) };
    if counts_frequency(call) {
        return Err(BY_FREQUENCY);
    }
    Ok(Reply::Int(now.saturating_sub(used_ms).max(0) / 1000))
}

pub(crate) fn object_freq(call: &mut Call<'_>) -> Outcome {
    const NOT_COUNTED: CmdError = CmdError::fixed(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
         switching between policies at runtime LRU and LFU data will take some time to adjust.",
    );
    let (db, key) = (call.db(), &call.args[2]);
    if call.look(key).is_none() {
        return Ok(Reply::Null);
    }
    if !counts_frequency(call) {
        return Err(NOT_COUNTED);
    }
    Ok(Reply::Int(i64::from(call.engine.uses_of(&(db, key.clone())))))
}

pub(crate) fn object_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::OBJECT)
}

fn counts_frequency(call: &Call<'_>) -> bool {
    call.engine.config.get("maxmemory-policy").is_some_and(|policy| policy.ends_with("lfu"))
}
