//! The parts of `DEBUG` that make sense for a server without files or processes: `SLEEP`, `ERROR`,
//! `SET-ACTIVE-EXPIRE`, `CHANGE-REPL-ID`, `REPLICATE`, and those of `debug_value` and `debug_data`.

use std::time::Duration;

use bytes::Bytes;

use super::help;
use super::server::random_hex;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

/// A server that sleeps longer is as good as dead.
const LONGEST_SLEEP: f64 = 86_400.0;

/// What ends the real server.
const CRASHES: [&str; 6] = ["segfault", "panic", "assert", "oom", "restart", "crash-and-recover"];
const NO_CRASH: CmdError = CmdError::fixed(
    "ERR this mock does not crash by a command: use the control port, /down, /up and /restart",
);
/// What `DEBUG STRUCTSIZE` says on a machine of 64 bits.
const STRUCT_SIZES: &str =
    "bits:64 robj:16 dictentry:24 sdshdr5:1 sdshdr8:3 sdshdr16:5 sdshdr32:9 sdshdr64:17 ";

/// Accepts what changes how the real server uses its machine, once the number it takes is one.
fn no_effect(number: Option<&Bytes>) -> Outcome {
    match number.map(|number| strict_i64(number)) {
        Some(None) => Err(CmdError::NOT_INTEGER),
        _ => Ok(Reply::OK),
    }
}

pub(crate) fn debug(call: &mut Call<'_>) -> Outcome {
    if let Some(outcome) = super::debug_value::debug_value(call) {
        return outcome;
    }
    if let Some(outcome) = super::debug_data::debug_data(call) {
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
            call.engine.active_expiry = strict_i64(on).unwrap_or(0) != 0;
            Ok(Reply::OK)
        }
        [word, on] if is(word, "pause-cron") => {
            call.engine.active_expiry = strict_i64(on).unwrap_or(0) == 0;
            Ok(Reply::OK)
        }
        [word, line @ ..] if is(word, "replicate") && !line.is_empty() => {
            call.replicate(line.to_vec());
            Ok(Reply::OK)
        }
        [word] if is(word, "structsize") => Ok(Reply::bulk(STRUCT_SIZES)),
        [word] if is(word, "stringmatch-test") => {
            Ok(Reply::Status("Apparently Redis did not crash: test passed".into()))
        }
        [word, us] if is(word, "aof-flush-sleep") => no_effect(Some(us)),
        [word, packets] if is(word, "drop-cluster-packet-filter") => no_effect(Some(packets)),
        [word, what, how] if is(word, "replybuffer") && is(what, "peak-reset-time") => {
            no_effect(Some(how).filter(|how| !is(how, "never") && !is(how, "reset")))
        }
        [word, what, _] if is(word, "replybuffer") && is(what, "resizing") => no_effect(None),
        [word, _] if is(word, "leak") => no_effect(None),
        [word, ..] if CRASHES.iter().any(|known| is(word, known)) => Err(NO_CRASH),
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
