//! The commands that servers and operators use for replication, as a primary answers them that nobody follows.
//!
//! The mock follows no other server and feeds none over the wire. One that is told to be another's replica is a
//! replica whose primary is out of reach; what else would need it is refused and says so.

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

pub(crate) fn replicaof(call: &mut Call<'_>) -> Outcome {
    const CLUSTER: CmdError = CmdError::fixed("ERR REPLICAOF not allowed in cluster mode.");
    const BAD_PORT: CmdError = CmdError::fixed("ERR Invalid master port");
    const LINKED: CmdError = CmdError::fixed("ERR this mock's replica stays with its own primary");
    if call.engine.cluster.is_some() {
        return Err(CLUSTER);
    }
    if is(&call.args[1], "no") && is(&call.args[2], "one") {
        call.engine.follow(None);
        return Ok(Reply::OK);
    }
    let port = strict_i64(&call.args[2]).and_then(|port| u16::try_from(port).ok()).ok_or(BAD_PORT)?;
    let host = String::from_utf8_lossy(&call.args[1]).into_owned();
    let followed = call.engine.follows.as_ref();
    if followed.is_some_and(|(other, at)| other.eq_ignore_ascii_case(&host) && *at == port) {
        return Ok(Reply::Status("OK Already connected to specified master".into()));
    }
    if call.engine.link.is_some() {
        return Err(LINKED);
    }
    call.engine.follow(Some((host, port)));
    Ok(Reply::OK)
}

pub(crate) fn slaveof(call: &mut Call<'_>) -> Outcome {
    replicaof(call)
}

const NOT_FED: CmdError = CmdError::fixed("ERR this mock does not feed replicas over the wire");

pub(crate) fn psync(_: &mut Call<'_>) -> Outcome {
    Err(NOT_FED)
}

pub(crate) fn sync(_: &mut Call<'_>) -> Outcome {
    Err(NOT_FED)
}

pub(crate) fn replconf(call: &mut Call<'_>) -> Outcome {
    const KNOWN: [&str; 6] =
        ["listening-port", "ip-address", "capa", "rdb-only", "rdb-filter-only", "getack"];
    let pairs = call.rest(1).chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(CmdError::SYNTAX);
    }
    for pair in pairs {
        if is(&pair[0], "listening-port") {
            strict_i64(&pair[1]).ok_or(CmdError::NOT_INTEGER)?;
        } else if is(&pair[0], "ack") {
            // Only a replica may say so; the real server does not answer either.
            return Ok(Reply::None);
        } else if !KNOWN.iter().any(|known| is(&pair[0], known)) {
            let option = String::from_utf8_lossy(&pair[0]);
            return Err(CmdError::new(format!("ERR Unrecognized REPLCONF option: {option}")));
        }
    }
    Ok(Reply::OK)
}

pub(crate) fn failover(call: &mut Call<'_>) -> Outcome {
    const NO_REPLICAS: CmdError = CmdError::fixed("ERR FAILOVER requires connected replicas.");
    if call.engine.cluster.is_some() {
        return Err(CmdError::fixed(
            "ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.",
        ));
    }
    let mut words = call.rest(1);
    let (mut to, mut aborts, mut forces, mut times_out) = (false, false, false, false);
    while let [word, rest @ ..] = words {
        words = match rest {
            [ms, rest @ ..] if is(word, "timeout") && !times_out => {
                let ms = strict_i64(ms).ok_or(CmdError::NOT_INTEGER)?;
                if ms <= 0 {
                    return Err(CmdError::fixed("ERR FAILOVER timeout must be greater than 0"));
                }
                times_out = true;
                rest
            }
            [_, port, rest @ ..] if is(word, "to") && !to => {
                strict_i64(port).ok_or(CmdError::NOT_INTEGER)?;
                to = true;
                rest
            }
            rest if is(word, "abort") && !aborts && call.args.len() == 2 => {
                aborts = true;
                rest
            }
            rest if is(word, "force") && !forces => {
                forces = true;
                rest
            }
            _ => return Err(CmdError::SYNTAX),
        };
    }
    if aborts {
        return Err(CmdError::fixed("ERR No failover in progress."));
    }
    Err(NO_REPLICAS)
}
