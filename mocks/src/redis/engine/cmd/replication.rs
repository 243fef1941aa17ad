//! `WAIT`, `ROLE` and what `INFO` says of replication, behaving as `replication.c` of Redis 7.0.
//!
//! A server has one replica or none. Places in the stream of all writes are what its commands would be on the
//! wire, without the `SELECT`, `MULTI`, `EXEC` and `PING` that the real stream has between them.

use super::info::{lines, number};
use crate::redis::engine::Engine;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::wait::Kind;
use crate::redis::resp::Reply;

/// The address at which primary and replica know each other.
const HOST: &str = "127.0.0.1";

pub(crate) fn wait(call: &mut Call<'_>) -> Outcome {
    const ON_REPLICA: CmdError = CmdError::fixed(
        "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
         configured to be writable (which is not the default) writes to replicas are just local and are not \
         propagated.",
    );
    if call.engine.read_only {
        return Err(ON_REPLICA);
    }
    let wanted = call.integer(1)?;
    let deadline = call.timeout_ms_argument(2)?;
    let end = call.client()?.written_to;
    let reached = call.engine.replicas_at(end);
    if reached >= wanted || !call.can_wait() {
        return Ok(Reply::Int(reached));
    }
    if wanted == 1 {
        call.engine.await_replica(call.client, end);
    }
    call.wait_for(&[], Kind::Replicas(end), deadline)
}

pub(crate) fn role(call: &mut Call<'_>) -> Outcome {
    let engine = &call.engine;
    if engine.read_only {
        let link = engine.link.as_ref();
        let (host, port) = primary(engine);
        return Ok(Reply::Array(vec![
            Reply::bulk("slave"),
            Reply::bulk(host),
            Reply::Int(port.into()),
            Reply::bulk(if link.is_some() { "connected" } else { "connect" }),
            Reply::Int(link.map_or(-1, |link| link.offset.cast_signed())),
        ]));
    }
    let replicas = engine.replica.iter().map(|replica| {
        let fields = [HOST.to_owned(), number(replica.port()), number(replica.reached(engine.at))];
        Reply::bulks(fields)
    });
    let replicas = Reply::Array(replicas.collect());
    Ok(Reply::Array(vec![Reply::bulk("master"), Reply::Int(offset(engine).cast_signed()), replicas]))
}

/// The fields of the section `Replication` of `INFO`.
pub(super) fn fields(engine: &Engine) -> String {
    let offset = offset(engine);
    let is_active = engine.replica.is_some() || engine.link.is_some();
    let kept: u64 = engine.config.get("repl-backlog-size").and_then(|size| size.parse().ok()).unwrap_or(0);
    let history = if is_active { offset.min(kept) } else { 0 };
    let run_id = engine.link.as_ref().map_or(&engine.run_id, |link| &link.run_id);
    let common = lines([
        ("master_failover_state", "no-failover".to_owned()),
        ("master_replid", run_id.clone()),
        ("master_replid2", "0".repeat(40)),
        ("master_repl_offset", number(offset)),
        ("second_repl_offset", number(-1)),
        ("repl_backlog_active", number(u8::from(is_active))),
        ("repl_backlog_size", engine.config.get("repl-backlog-size").unwrap_or_default().to_owned()),
        ("repl_backlog_first_byte_offset", number(if is_active { offset - history + 1 } else { 0 })),
        ("repl_backlog_histlen", number(history)),
    ]);
    format!("{}{common}", if engine.read_only { as_replica(engine) } else { as_primary(engine) })
}

fn as_primary(engine: &Engine) -> String {
    let replica = engine.replica.as_ref().map(|replica| {
        let (port, reached) = (replica.port(), replica.reached(engine.at));
        format!("slave0:ip={HOST},port={port},state=online,offset={reached},lag=0\r\n")
    });
    let count = number(u8::from(replica.is_some()));
    lines([("role", "master".to_owned()), ("connected_slaves", count)]) + &replica.unwrap_or_default()
}

/// Where a replica has its primary. A server that refuses writes without being one's replica plays one whose
/// primary is out of reach.
fn primary(engine: &Engine) -> (String, u16) {
    if let Some(primary) = &engine.follows {
        return primary.clone();
    }
    let port = engine.link.as_ref().map_or(engine.config.get("port"), |link| Some(&link.port));
    (HOST.to_owned(), port.and_then(|port| port.parse().ok()).unwrap_or(0))
}

fn as_replica(engine: &Engine) -> String {
    let link = engine.link.as_ref();
    let (host, port) = primary(engine);
    let offset = number(offset(engine));
    let (status, silent) = if link.is_some() { ("up", 0) } else { ("down", -1) };
    lines([
        ("role", "slave".to_owned()),
        ("master_host", host),
        ("master_port", number(port)),
        ("master_link_status", status.to_owned()),
        ("master_last_io_seconds_ago", number(silent)),
        ("master_sync_in_progress", number(0)),
        ("slave_read_repl_offset", offset.clone()),
        ("slave_repl_offset", offset),
    ]) + if link.is_some() { "" } else { "master_link_down_since_seconds:-1\r\n" }
        + &lines([
            ("slave_priority", engine.config.get("replica-priority").unwrap_or_default().to_owned()),
            ("slave_read_only", number(1)),
            ("replica_announced", number(1)),
            ("connected_slaves", number(0)),
        ])
}

/// Where a primary's stream of writes ends, or how much of it a replica has.
fn offset(engine: &Engine) -> u64 {
    match (&engine.link, &engine.replica) {
        (Some(link), _) => link.offset,
        (None, Some(replica)) => replica.end(),
        (None, None) => 0,
    }
}
