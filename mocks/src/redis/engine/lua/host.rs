//! The functions the sandbox is built on. Each answers whether it succeeded, and its result or what to raise:
//! an error of the host's own kind would not look like Redis' to a script that catches it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mlua::{Lua, MultiValue, Table, Value};

use super::sha1_hex;
use crate::redis::engine::VERSION;
use crate::redis::engine::table;

/// The version of the protocol that `redis.setresp` chose in this run.
#[derive(Clone, Copy, Default)]
struct Chosen(Option<u8>);

/// Forgets what an earlier run chose.
pub(super) fn begin_run(lua: &Lua) {
    lua.set_app_data(Chosen::default());
}

/// The version of the protocol this run chose.
pub(super) fn chosen_protocol(lua: &Lua) -> Option<u8> {
    lua.app_data_ref::<Chosen>().and_then(|chosen| chosen.0)
}

type Answer = (bool, Value);

/// The fields of `redis` that are not functions.
pub(super) fn constants(lua: &Lua) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    redis.raw_set("REDIS_VERSION", VERSION)?;
    redis.raw_set("REDIS_VERSION_NUM", 0x0007_000f)?;
    let levels = ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"];
    for (level, name) in levels.into_iter().enumerate() {
        redis.raw_set(name, level)?;
    }
    for (name, value) in
        [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)]
    {
        redis.raw_set(name, value)?;
    }
    Ok(redis)
}

/// The host functions. `left` is the budget of the script under way: 0 once it was stopped.
pub(super) fn functions(lua: &Lua, left: &Arc<AtomicU64>) -> mlua::Result<Table> {
    let host = lua.create_table()?;
    let left = Arc::clone(left);
    host.raw_set("is_stopped", lua.create_function(move |_, ()| Ok(left.load(Ordering::Relaxed) == 0))?)?;
    host.raw_set("line", lua.create_function(|lua, ()| Ok(script_line(lua)))?)?;
    host.raw_set("single_field", lua.create_function(single_field)?)?;
    host.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    host.raw_set("log", lua.create_function(log)?)?;
    host.raw_set("setresp", lua.create_function(setresp)?)?;
    host.raw_set("set_repl", lua.create_function(set_repl)?)?;
    host.raw_set("acl_check_cmd", lua.create_function(acl_check_cmd)?)?;
    let state = Arc::new(AtomicU64::new(seeded(0)));
    let seed = Arc::clone(&state);
    host.raw_set("random", lua.create_function(move |lua, args| random(lua, &args, &state))?)?;
    host.raw_set("randomseed", lua.create_function(move |lua, args| randomseed(lua, &args, &seed))?)?;
    Ok(host)
}

/// The line of the innermost frame that is the script's.
fn script_line(lua: &Lua) -> Option<usize> {
    (0..64).find_map(|level| {
        let frame = lua.inspect_stack(level, |frame| {
            let is_script = frame.source().source.is_some_and(|source| source == "@user_script");
            (is_script, frame.current_line())
        });
        frame.and_then(|(is_script, line)| line.filter(|_| is_script))
    })
}

fn fail(lua: &Lua, text: &str) -> mlua::Result<Answer> {
    let failure = lua.create_table()?;
    failure.raw_set("err", text)?;
    Ok((false, Value::Table(failure)))
}

/// `{err = …}` or `{ok = …}`. An error without a code gets `ERR`; one that names its code starts with `-`.
fn single_field(lua: &Lua, (field, text): (String, mlua::LuaString)) -> mlua::Result<Table> {
    let bytes = text.as_bytes();
    let trimmed: &[u8] = bytes.strip_suffix(b"\r\n").unwrap_or(&bytes);
    let text = match (field.as_str(), trimmed) {
        ("err", [b'-', code @ ..]) => code.to_vec(),
        ("err", text) => [b"ERR ", text].concat(),
        (_, text) => text.to_vec(),
    };
    let table = lua.create_table()?;
    table.raw_set(field, lua.create_string(text)?)?;
    Ok(table)
}

fn sha1hex(lua: &Lua, args: MultiValue) -> mlua::Result<Answer> {
    if args.len() != 1 {
        return fail(lua, "ERR wrong number of arguments");
    }
    let bytes = args.front().and_then(super::convert::to_argument).unwrap_or_default();
    Ok((true, Value::String(lua.create_string(sha1_hex(&bytes))?)))
}

fn log(lua: &Lua, args: MultiValue) -> mlua::Result<Answer> {
    let args: Vec<Value> = args.into_iter().collect();
    let [level, words @ ..] = &args[..] else {
        return fail(lua, "ERR redis.log() requires two arguments or more.");
    };
    if words.is_empty() {
        return fail(lua, "ERR redis.log() requires two arguments or more.");
    }
    let level = match level {
        Value::Integer(level) => Some(*level),
        #[expect(clippy::cast_possible_truncation, reason = "levels are small; others are refused")]
        Value::Number(level) => Some(*level as i64),
        _ => None,
    };
    match level {
        None => return fail(lua, "ERR First argument must be a number (log level)."),
        Some(level) if !(0..=3).contains(&level) => return fail(lua, "ERR Invalid debug level."),
        Some(_) => {}
    }
    let words: Vec<Bytes> = words.iter().filter_map(super::convert::to_argument).collect();
    let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    tracing::debug!(target: "squall_mocks::redis::script", "{}", words.join(" "));
    Ok((true, Value::Nil))
}

fn setresp(lua: &Lua, args: MultiValue) -> mlua::Result<Answer> {
    let version = args.front().and_then(Value::as_i64);
    match version {
        _ if args.len() != 1 => fail(lua, "ERR redis.setresp() requires one argument."),
        Some(version @ (2 | 3)) => {
            lua.set_app_data(Chosen(Some(if version == 3 { 3 } else { 2 })));
            Ok((true, Value::Nil))
        }
        _ => fail(lua, "ERR RESP version must be 2 or 3."),
    }
}

fn set_repl(lua: &Lua, args: MultiValue) -> mlua::Result<Answer> {
    match args.front().and_then(Value::as_i64) {
        _ if args.len() != 1 => fail(lua, "ERR redis.set_repl() requires two arguments."),
        Some(0..=3) => Ok((true, Value::Nil)),
        _ => fail(
            lua,
            "ERR Invalid replication flags. Please use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        ),
    }
}

fn acl_check_cmd(lua: &Lua, args: MultiValue) -> mlua::Result<Answer> {
    let args: Option<Vec<Bytes>> = args.iter().map(super::convert::to_argument).collect();
    match args {
        None => fail(lua, "ERR redis.acl_check_cmd() require at least one argument"),
        Some(args) if table::resolve(&args).is_err() => {
            fail(lua, "ERR Invalid command passed to redis.acl_check_cmd()")
        }
        Some(_) => Ok((true, Value::Boolean(true))),
    }
}

/// Redis' own generator (`rand.c`), the same on every machine: the 48-bit one of POSIX.
fn next_random(state: &AtomicU64) -> u64 {
    const MASK: u64 = (1 << 48) - 1;
    let step = |state: u64| state.wrapping_mul(0x0005_DEEC_E66D).wrapping_add(0xB) & MASK;
    let before = state.load(Ordering::Relaxed);
    state.store(step(before), Ordering::Relaxed);
    step(before) >> 17
}

fn seeded(seed: u32) -> u64 {
    u64::from(seed) << 16 | 0x330E
}

fn random(lua: &Lua, args: &MultiValue, state: &AtomicU64) -> mlua::Result<Answer> {
    const MOST: u64 = i32::MAX as u64;
    #[expect(clippy::cast_precision_loss, reason = "31 bits")]
    let unit = (next_random(state) % MOST) as f64 / MOST as f64;
    let bound = |at: usize| args.get(at).and_then(Value::as_f64).map(f64::trunc);
    let (low, high) = match args.len() {
        0 => return Ok((true, Value::Number(unit))),
        1 => (Some(1.0), bound(0)),
        2 => (bound(0), bound(1)),
        _ => return fail(lua, "ERR wrong number of arguments"),
    };
    match (low, high) {
        (Some(low), Some(high)) if low <= high => {
            Ok((true, Value::Number((unit * (high - low + 1.0)).floor() + low)))
        }
        _ => {
            let text = format!("bad argument #{} to 'random' (interval is empty)", args.len());
            Ok((false, Value::String(lua.create_string(text)?)))
        }
    }
}

fn randomseed(lua: &Lua, args: &MultiValue, state: &AtomicU64) -> mlua::Result<Answer> {
    let Some(seed) = args.front().and_then(Value::as_f64) else {
        let text = "bad argument #1 to 'randomseed' (number expected)";
        return Ok((false, Value::String(lua.create_string(text)?)));
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "C's cast to int, then its bits"
    )]
    let seed = seed as i64 as u32;
    state.store(seeded(seed), Ordering::Relaxed);
    Ok((true, Value::Nil))
}
