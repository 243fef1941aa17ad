//! What Redis 7.2 added to `CLIENT`: the client library's name and version, and reading without touching.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

pub(crate) fn client_setinfo(call: &mut Call<'_>) -> Outcome {
    let (name, value) = (&call.args[2], &call.args[3]);
    let at = match () {
        () if is(name, "lib-name") => 0,
        () if is(name, "lib-ver") => 1,
        () => {
            let name = String::from_utf8_lossy(name);
            return Err(CmdError::new(format!("ERR Unrecognized option '{name}'")));
        }
    };
    if !value.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        let name = ["lib-name", "lib-ver"][at];
        return Err(CmdError::new(format!(
            "ERR {name} cannot contain spaces, newlines or special characters."
        )));
    }
    let library = call.client()?.library.get_or_insert_with(Default::default);
    library[at] = Bytes::clone(value);
    Ok(Reply::OK)
}

pub(crate) fn client_no_touch(call: &mut Call<'_>) -> Outcome {
    let word = &call.args[2];
    let on = is(word, "on");
    if !on && !is(word, "off") {
        return Err(CmdError::SYNTAX);
    }
    call.client()?.no_touch = on;
    Ok(Reply::OK)
}
