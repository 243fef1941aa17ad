//! Values as payloads: `DUMP` and `RESTORE`, behaving as `cluster.c` of Redis 7.0.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::config::Config;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::GENERIC;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::rdb::{self, Layout, RdbError};

const BUSY_KEY: CmdError = CmdError::fixed("BUSYKEY Target key name already exists.");

impl From<RdbError> for CmdError {
    fn from(error: RdbError) -> Self {
        Self::new(format!("ERR {error}"))
    }
}

pub(crate) fn dump(call: &mut Call<'_>) -> Outcome {
    let layout = layout(call);
    let found = call.read(&call.args[1]).map(|entry| rdb::dump(&entry.value, &layout));
    Ok(found.map_or(Reply::Null, Reply::bulk))
}

/// What `RESTORE` was told.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_seconds: Option<i64>,
    /// What the counter of uses is to be.
    frequency: Option<u8>,
}

impl Options {
    fn parse(mut rest: &[Bytes]) -> Result<Self, CmdError> {
        const BAD_IDLE: CmdError = CmdError::fixed("ERR Invalid IDLETIME value, must be >= 0");
        const BAD_FREQUENCY: CmdError = CmdError::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255");
        let mut options = Self::default();
        while let Some((word, tail)) = rest.split_first() {
            rest = match tail {
                tail if is(word, "replace") => {
                    options.replace = true;
                    tail
                }
                tail if is(word, "absttl") => {
                    options.absolute = true;
                    tail
                }
                [seconds, tail @ ..] if is(word, "idletime") && options.frequency.is_none() => {
                    let seconds = strict_i64(seconds).ok_or(CmdError::NOT_INTEGER)?;
                    options.idle_seconds = Some(seconds).filter(|seconds| *seconds >= 0);
                    options.idle_seconds.ok_or(BAD_IDLE)?;
                    tail
                }
                [frequency, tail @ ..] if is(word, "freq") && options.idle_seconds.is_none() => {
                    let frequency = strict_i64(frequency).ok_or(CmdError::NOT_INTEGER)?;
                    options.frequency = Some(u8::try_from(frequency).map_err(|_| BAD_FREQUENCY)?);
                    tail
                }
                _ => return Err(CmdError::SYNTAX),
            };
        }
        Ok(options)
    }
}

pub(crate) fn restore(call: &mut Call<'_>) -> Outcome {
    const BAD_TTL: CmdError = CmdError::fixed("ERR Invalid TTL value, must be >= 0");
    let (key, payload) = (&call.args[1], &call.args[3]);
    let options = Options::parse(call.rest(4))?;
    if !options.replace && call.look(key).is_some() {
        return Err(BUSY_KEY);
    }
    let ttl = call.integer(2)?;
    if ttl < 0 {
        return Err(BAD_TTL);
    }
    let value = rdb::restore(payload, &layout(call))?;
    let (db, now) = (call.db(), call.now_ms());
    let deadline = match ttl {
        0 => None,
        ttl if options.absolute => Some(ttl),
        // What is too far ahead has passed, as in the real server.
        ttl => Some(ttl.wrapping_add(now)),
    };
    if deadline.is_some_and(|deadline| deadline <= now) {
        if call.delete(key) {
            call.replicate(vec![Bytes::from_static(b"DEL"), key.clone()]);
            call.notify(GENERIC, "del", key);
        }
        return Ok(Reply::OK);
    }
    // An old value is deleted before, so that the key counts as new.
    call.engine.store.remove(db, key);
    call.put(key, value, deadline);
    if let Some(seconds) = options.idle_seconds {
        call.engine.store.set_used(db, key, now.saturating_sub(seconds.saturating_mul(1000)));
    }
    if let Some(frequency) = options.frequency {
        call.engine.set_uses(db, key, frequency);
    }
    if let Some(deadline) = deadline.filter(|_| !options.absolute) {
        let mut args = call.args.to_vec();
        args[2] = Bytes::from(deadline.to_string());
        args.push(Bytes::from_static(b"ABSTTL"));
        call.replicate(args);
    }
    call.notify(GENERIC, "restore", key);
    Ok(Reply::OK)
}

/// The settings that decide how values are laid out.
pub(super) fn layout(call: &Call<'_>) -> Layout {
    let config = &call.engine.config;
    Layout {
        version: call.engine.version.rdb(),
        hash: config.hash_listpack,
        zset: config.zset_listpack,
        set_integers: config.set_integers,
        list_node: config.get("list-max-listpack-size").and_then(|size| size.parse().ok()).unwrap_or(-2),
        compress: compresses(config),
    }
}

/// Whether strings are compressed.
pub(super) fn compresses(config: &Config) -> bool {
    config.get("rdbcompression") != Some("no")
}
