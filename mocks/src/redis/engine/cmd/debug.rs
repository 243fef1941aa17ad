//! The parts of `DEBUG` that make sense for a server without files or processes: `SLEEP`, `ERROR`,
//! `SET-ACTIVE-EXPIRE`, `CHANGE-REPL-ID`, and those of `debug_value`.

use std::time::Duration;

use super::help;
use super::server::random_hex;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

/// A server that sleeps longer is as good as dead.
const LONGEST_SLEEP: f64 = 86_400.0;

pub(crate) fn debug(call: &mut Call<'_>) -> Outcome {
    if let Some(outcome) = super::debug_value::debug_value(call) {
        return outcome;
    }
    match call.rest(1) {
        [word] if is(word, "help") => super::help_reply(help::DEBUG),
        [word] if is(word, "change-repl-id") => {
            call.engine.run_id = random_hex(&mut call.engine.rng);
            Ok(Reply::OK)
        }
        [word, seconds] if is(word, "sleep") => {
            // What C's `strtod` makes of a text that is no number is 0.
            let seconds = crate::redis::engine::number::float(seconds).unwrap_or(0.0);
            call.engine.stall = Some(Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_SLEEP)));
            Ok(Reply::OK)
        }
        [word, on] if is(word, "set-active-expire") => {
            call.engine.active_expiry = crate::redis::engine::number::strict_i64(on).unwrap_or(0) != 0;
            Ok(Reply::OK)
        }
        [word, line] if is(word, "error") => {
            // The first line break would end the error; Redis shows it as a space.
            Ok(Reply::Error(String::from_utf8_lossy(line).into_owned()))
        }
        [word, ..] => {
            let word = String::from_utf8_lossy(word);
            Err(CmdError::new(format!(
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."
            )))
        }
        [] => Err(CmdError::wrong_arity("debug")),
    }
}
