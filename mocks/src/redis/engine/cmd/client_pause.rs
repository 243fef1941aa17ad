//! `CLIENT PAUSE`, `UNPAUSE` and `UNBLOCK`: who waits, and for how long.

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::client::ClientId;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::engine::pause::Pause;
use crate::redis::resp::Reply;

pub(crate) fn client_pause(call: &mut Call<'_>) -> Outcome {
    const MODE: CmdError = CmdError::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL");
    let everything = match call.rest(3) {
        [] => true,
        [mode] if is(mode, "all") => true,
        [mode] if is(mode, "write") => false,
        [_] => return Err(MODE),
        _ => return Err(CmdError::wrong_subcommand(call.args)),
    };
    // Zero is a time long ago, so such a pause is over before it begins.
    let until_ms = call.timeout_ms_argument(2)?.unwrap_or(0);
    call.engine.pause(Pause { until_ms, everything });
    Ok(Reply::OK)
}

pub(crate) fn client_unpause(call: &mut Call<'_>) -> Outcome {
    call.engine.unpause();
    Ok(Reply::OK)
}

pub(crate) fn client_unblock(call: &mut Call<'_>) -> Outcome {
    const REASON: CmdError = CmdError::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    let with_error = match call.rest(3) {
        [] => false,
        [reason] if is(reason, "timeout") => false,
        [reason] if is(reason, "error") => true,
        [_] => return Err(REASON),
        _ => return Err(CmdError::wrong_subcommand(call.args)),
    };
    let id = strict_i64(&call.args[2]).ok_or(CmdError::NOT_INTEGER)?;
    let id = ClientId::try_from(id).unwrap_or(0);
    Ok(Reply::flag(call.engine.end_wait_early(id, with_error)))
}
