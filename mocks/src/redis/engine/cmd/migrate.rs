//! `MIGRATE`, as far as it needs no other server: its arguments are checked as `cluster.c` of Redis 7.0 checks
//! them, and a key that is not there is told.
//!
//! The engine does no I/O, so there is no way to another server: the answer is then the one that
//! comes when a connection is refused.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::resp::Reply;

pub(crate) fn migrate(call: &mut Call<'_>) -> Outcome {
    const UNREACHABLE: CmdError = CmdError::fixed("IOERR error or timeout writing to target instance");
    let keys = keys(call)?;
    call.integer(5)?;
    call.integer(4)?;
    let found = keys.iter().filter(|key| call.read(key).is_some()).count();
    if found == 0 {
        return Ok(Reply::Status("NOKEY".into()));
    }
    Err(UNREACHABLE)
}

/// The keys to move, once all options are known to be right.
fn keys<'a>(call: &Call<'a>) -> Result<&'a [Bytes], CmdError> {
    const TWICE: CmdError = CmdError::fixed(
        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
    );
    let mut rest = call.rest(6);
    while let Some((word, tail)) = rest.split_first() {
        rest = match tail {
            tail if is(word, "copy") || is(word, "replace") => tail,
            [_, tail @ ..] if is(word, "auth") => tail,
            [_, _, tail @ ..] if is(word, "auth2") => tail,
            _ if is(word, "keys") && !call.args[3].is_empty() => return Err(TWICE),
            keys if is(word, "keys") => return Ok(keys),
            _ => return Err(CmdError::SYNTAX),
        };
    }
    Ok(&call.args[3..4])
}

/// The keys of a command line and their use.
pub(crate) fn key_uses(args: &[Bytes]) -> Vec<(usize, &'static str)> {
    const USE: &str = "RW access delete";
    let mut at = 6;
    while let Some(word) = args.get(at) {
        if is(word, "keys") {
            let keys = if args[3].is_empty() { at + 1..args.len() } else { 0..0 };
            return keys.map(|at| (at, USE)).collect();
        }
        at += match word {
            word if is(word, "auth") => 2,
            word if is(word, "auth2") => 3,
            _ => 1,
        };
    }
    vec![(3, USE)]
}
