//! `MONITOR`.

use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

pub(crate) fn monitor(call: &mut Call<'_>) -> Outcome {
    if !call.can_wait() {
        return Err(CmdError::fixed("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let client = call.client()?;
    if client.monitors {
        // Redis ignores it, and answers nothing.
        return Ok(Reply::None);
    }
    client.monitors = true;
    call.engine.monitors.insert(call.client);
    Ok(Reply::OK)
}
