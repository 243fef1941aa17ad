//! `MIGRATE`, behaving as `cluster.c` of Redis 7.0: keys are restored on another server, and deleted here once that
//! says so.
//!
//! The engine does no I/O: a server that was given [`Peers`](crate::redis::engine::Peers) reaches others by them and
//! stands still meanwhile; for one that was not, every other server refuses the connection. No connection is kept.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::dump::layout;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::GENERIC;
use crate::redis::engine::peers::Unreached;
use crate::redis::resp::Reply;
use crate::redis::store::rdb;

/// A server that stands still for longer is as good as dead.
const LONGEST_MS: u64 = 60_000;

/// What a command line asks for beside the address.
struct Plan<'a> {
    keys: &'a [Bytes],
    copy: bool,
    replace: bool,
    /// The arguments of `AUTH`; none if nobody has to log in.
    login: &'a [Bytes],
}

pub(crate) fn migrate(call: &mut Call<'_>) -> Outcome {
    let plan = Plan::parse(call)?;
    let patience_ms = call.integer(5)?;
    call.integer(4)?;
    let found: Vec<Bytes> = plan.keys.iter().filter(|key| call.read(key).is_some()).cloned().collect();
    if found.is_empty() {
        return Ok(Reply::Status("NOKEY".into()));
    }
    let patience_ms = u64::try_from(patience_ms).ok().filter(|ms| *ms > 0).unwrap_or(1000);
    let patience = Duration::from_millis(patience_ms.min(LONGEST_MS));
    let request = request(call, &plan, &found);
    let heads = 1 + usize::from(!plan.login.is_empty());
    let text = |at: usize| String::from_utf8_lossy(&call.args[at]);
    let peers = call.engine.config.reach.0.clone();
    let answers = peers.map_or(Err(Unreached::Writing), |peers| {
        peers.exchange((&text(1), &text(2)), &request, heads + found.len(), patience)
    });
    let (lines, broken) = match answers {
        Ok(lines) => (lines, false),
        Err(Unreached::Reading(lines)) => (lines, true),
        Err(Unreached::Writing) => return Err(failed("writing to target instance")),
        Err(Unreached::Connecting) => return Err(failed("connecting to the client")),
    };
    let (heads, restored) = lines.split_at(heads.min(lines.len()));
    let refusal = |line: &String| line.strip_prefix('-').map(str::to_owned);
    let refused = heads.iter().find_map(refusal);
    if refused.is_none() && !plan.copy {
        delete(
            call,
            found.iter().zip(restored).filter(|(_, line)| !line.starts_with('-')).map(|(key, _)| key),
        );
    }
    match refused.filter(|_| !restored.is_empty()).or_else(|| restored.iter().find_map(refusal)) {
        Some(why) => Err(CmdError::new(format!("ERR Target instance replied with error: {why}"))),
        None if broken => Err(failed("reading from target instance")),
        None => Ok(Reply::OK),
    }
}

fn failed(what: &str) -> CmdError {
    CmdError::new(format!("IOERR error or timeout {what}"))
}

/// Deletes keys that are elsewhere now; replicas hear of it as `DEL`.
fn delete<'a>(call: &mut Call<'_>, keys: impl Iterator<Item = &'a Bytes>) {
    let mut line = vec![Bytes::from_static(b"DEL")];
    for key in keys {
        call.delete(key);
        call.notify(GENERIC, "del", key);
        line.push(key.clone());
    }
    if line.len() > 1 {
        call.replicate(line);
    }
}

/// The commands for the other server, as they are sent.
fn request(call: &mut Call<'_>, plan: &Plan<'_>, keys: &[Bytes]) -> BytesMut {
    let mut out = BytesMut::new();
    let mut send = |words: Vec<Bytes>| Reply::bulks(words).write(2, &mut out);
    if !plan.login.is_empty() {
        send([&[Bytes::from_static(b"AUTH")], plan.login].concat());
    }
    send(vec![Bytes::from_static(b"SELECT"), call.args[4].clone()]);
    let (layout, now) = (layout(call), call.now_ms());
    let restore: &[u8] = if call.engine.cluster.is_some() { b"RESTORE-ASKING" } else { b"RESTORE" };
    for key in keys {
        let Some(entry) = call.look(key) else { continue };
        let ttl = entry.deadline_ms.map_or(0, |deadline| deadline.saturating_sub(now).max(1));
        let payload = Bytes::from(rdb::dump(&entry.value, &layout));
        let mut words = vec![Bytes::from_static(restore), key.clone(), Bytes::from(ttl.to_string()), payload];
        words.extend(plan.replace.then_some(Bytes::from_static(b"REPLACE")));
        send(words);
    }
    out
}

impl<'a> Plan<'a> {
    fn parse(call: &Call<'a>) -> Result<Self, CmdError> {
        const TWICE: CmdError = CmdError::fixed(
            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
        );
        let mut plan = Self { keys: &call.args[3..4], copy: false, replace: false, login: &[] };
        let mut rest = call.rest(6);
        while let Some((word, tail)) = rest.split_first() {
            rest = match tail {
                tail if is(word, "copy") => {
                    plan.copy = true;
                    tail
                }
                tail if is(word, "replace") => {
                    plan.replace = true;
                    tail
                }
                [_, tail @ ..] if is(word, "auth") => {
                    plan.login = &rest[1..2];
                    tail
                }
                [_, _, tail @ ..] if is(word, "auth2") => {
                    plan.login = &rest[1..3];
                    tail
                }
                _ if is(word, "keys") && !call.args[3].is_empty() => return Err(TWICE),
                keys if is(word, "keys") => {
                    plan.keys = keys;
                    &[]
                }
                _ => return Err(CmdError::SYNTAX),
            };
        }
        Ok(plan)
    }
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
