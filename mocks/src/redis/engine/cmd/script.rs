//! `EVAL` and its kin, and the cache of scripts.

use bytes::Bytes;

use super::help;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::lua;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

pub(crate) fn eval(call: &mut Call<'_>) -> Outcome {
    eval_text(call, false)
}

pub(crate) fn eval_ro(call: &mut Call<'_>) -> Outcome {
    eval_text(call, true)
}

pub(crate) fn evalsha(call: &mut Call<'_>) -> Outcome {
    eval_cached(call, false)
}

pub(crate) fn evalsha_ro(call: &mut Call<'_>) -> Outcome {
    eval_cached(call, true)
}

fn eval_text(call: &mut Call<'_>, read_only: bool) -> Outcome {
    let (keys, args) = keys_and_args(call)?;
    let sha = call.engine.scripts.load(&call.args[1])?;
    let program = call.engine.scripts.program(&sha)?;
    lua::run(call, &program, keys, args, read_only)
}

fn eval_cached(call: &mut Call<'_>, read_only: bool) -> Outcome {
    let (keys, args) = keys_and_args(call)?;
    let sha = String::from_utf8_lossy(&call.args[1]).to_ascii_lowercase();
    let program = call.engine.scripts.program(&sha)?;
    lua::run(call, &program, keys, args, read_only)
}

/// The keys and the other arguments behind their count, the third word.
pub(super) fn keys_and_args<'a>(call: &Call<'a>) -> Result<(&'a [Bytes], &'a [Bytes]), CmdError> {
    let count = strict_i64(&call.args[2]).ok_or(CmdError::NOT_INTEGER)?;
    let rest = call.rest(3);
    match usize::try_from(count) {
        Err(_) => Err(CmdError::fixed("ERR Number of keys can't be negative")),
        Ok(count) if count > rest.len() => {
            Err(CmdError::fixed("ERR Number of keys can't be greater than number of args"))
        }
        Ok(count) => Ok(rest.split_at(count)),
    }
}

pub(crate) fn script_load(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulk(call.engine.scripts.load(&call.args[2])?))
}

pub(crate) fn script_exists(call: &mut Call<'_>) -> Outcome {
    let exists =
        |sha: &Bytes| call.engine.scripts.contains(&String::from_utf8_lossy(sha).to_ascii_lowercase());
    Ok(Reply::Array(call.rest(2).iter().map(|sha| Reply::flag(exists(sha))).collect()))
}

pub(crate) fn script_flush(call: &mut Call<'_>) -> Outcome {
    match call.rest(2) {
        [] => {}
        [mode] if is(mode, "sync") || is(mode, "async") => {}
        _ => return Err(CmdError::fixed("ERR SCRIPT FLUSH only support SYNC|ASYNC option")),
    }
    call.engine.scripts.flush();
    Ok(Reply::OK)
}

pub(crate) fn script_kill(_: &mut Call<'_>) -> Outcome {
    // A script never runs while another command does.
    Err(CmdError::fixed("NOTBUSY No scripts in execution right now."))
}

pub(crate) fn script_debug(call: &mut Call<'_>) -> Outcome {
    match &call.args[2] {
        mode if is(mode, "no") => Ok(Reply::OK),
        mode if is(mode, "yes") || is(mode, "sync") => {
            Err(CmdError::fixed("ERR SCRIPT DEBUG is not supported here; run the script without it"))
        }
        _ => Err(CmdError::fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO")),
    }
}

pub(crate) fn script_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::SCRIPT)
}
