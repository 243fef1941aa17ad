//! Saving, which keeps nothing here, modules, which there are none of, and the version as a picture.

use bytes::Bytes;

use super::help_admin as help;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

/// Answers as if the data had been written to a file: there is none, and a restart keeps what the test says.
pub(crate) fn save(call: &mut Call<'_>) -> Outcome {
    call.engine.note_save();
    Ok(Reply::OK)
}

pub(crate) fn bgsave(call: &mut Call<'_>) -> Outcome {
    match call.rest(1) {
        [] => {}
        [word] if is(word, "schedule") => {}
        _ => return Err(CmdError::SYNTAX),
    }
    call.engine.note_save();
    Ok(Reply::Status("Background saving started".into()))
}

pub(crate) fn bgrewriteaof(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Status("Background append only file rewriting started".into()))
}

pub(crate) fn lastsave(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(call.engine.saved_at_s))
}

/// The real server draws a picture if it is asked for one of version 5 or 6; the version is its caption.
pub(crate) fn lolwut(call: &mut Call<'_>) -> Outcome {
    if let [word, _, ..] = call.rest(1)
        && is(word, "version")
    {
        call.integer(2)?;
    }
    let text = Bytes::from(format!("Redis ver. {}\n", call.engine.version.number()));
    Ok(Reply::Verbatim(Bytes::from_static(b"txt"), text))
}

const NO_MODULES: CmdError = CmdError::fixed(
    "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it \
     from a local connection, otherwise you need to set this option in the configuration file, and then restart \
     the server.",
);

pub(crate) fn module_list(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(Vec::new()))
}

/// Where modules are allowed, none is found.
fn no_module(call: &Call<'_>, why: &'static str) -> Outcome {
    let is_allowed = call.engine.config.get("enable-module-command") != Some("no");
    Err(if is_allowed { CmdError::fixed(why) } else { NO_MODULES })
}

pub(crate) fn module_load(call: &mut Call<'_>) -> Outcome {
    no_module(call, "ERR Error loading the extension. Please check the server logs.")
}

pub(crate) fn module_loadex(call: &mut Call<'_>) -> Outcome {
    module_load(call)
}

pub(crate) fn module_unload(call: &mut Call<'_>) -> Outcome {
    no_module(call, "ERR Error unloading module: no such module with that name")
}

pub(crate) fn module_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::MODULE)
}
