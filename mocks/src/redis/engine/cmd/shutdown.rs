//! `SHUTDOWN`: the process ends. There is nothing to save, so `SAVE` and `NOSAVE` are the same.

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

pub(crate) fn shutdown(call: &mut Call<'_>) -> Outcome {
    let has = |word: &str| call.rest(1).iter().any(|argument| is(argument, word));
    let known =
        |argument: &[u8]| ["nosave", "save", "now", "force", "abort"].iter().any(|word| is(argument, word));
    let only_abort = has("abort") && call.rest(1).iter().all(|argument| is(argument, "abort"));
    let is_odd = has("abort") && !only_abort || has("save") && has("nosave");
    if is_odd || !call.rest(1).iter().all(|argument| known(argument)) {
        return Err(CmdError::SYNTAX);
    }
    if only_abort {
        return Err(CmdError::fixed("ERR No shutdown in progress."));
    }
    call.engine.shutdown = true;
    call.engine.close = true;
    Ok(Reply::None)
}
