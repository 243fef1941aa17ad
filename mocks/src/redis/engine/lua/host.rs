//! The functions the sandbox is built on.
//!
//! They raise [`Raised`], which the sandbox turns into the table Redis would have raised before a script sees
//! it. They are called by scripts directly: a Lua function in between would hide the script's line from
//! errors, since a tail call leaves no frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mlua::{Function, Lua, MultiValue, Table, Value};

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

/// An error a host function raises.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) String);

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
    host.raw_set("plain", lua.create_function(plain)?)?;
    host.raw_set("guard", lua.create_function(guard)?)?;
    host.raw_set("single_field", lua.create_function(single_field)?)?;
    host.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    host.raw_set("log", lua.create_function(log)?)?;
    host.raw_set("setresp", lua.create_function(setresp)?)?;
    host.raw_set("set_repl", lua.create_function(set_repl)?)?;
    host.raw_set("acl_check_cmd", lua.create_function(acl_check_cmd)?)?;
    let state = Arc::new(AtomicU64::new(seeded(0)));
    let seed = Arc::clone(&state);
    host.raw_set("random", lua.create_function(move |_, args| random(&args, &state))?)?;
    host.raw_set("randomseed", lua.create_function(move |_, args| randomseed(&args, &seed))?)?;
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

fn fail<T>(text: &str) -> mlua::Result<T> {
    Err(mlua::Error::external(Raised(text.to_owned())))
}

/// A raised value as Redis would have raised it.
fn plain(lua: &Lua, failure: Value) -> mlua::Result<Value> {
    let Value::Error(error) = &failure else { return Ok(failure) };
    let text = match error.downcast_ref::<Raised>() {
        Some(raised) => raised.0.clone(),
        None => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            format!("ERR {}", first.strip_prefix("runtime error: ").unwrap_or(first))
        }
    };
    let table = lua.create_table()?;
    table.raw_set("err", text)?;
    Ok(Value::Table(table))
}

/// A function that refuses the tables in `held` as its first argument and passes all others to `inner`.
fn guard(lua: &Lua, (held, inner, refusal): (Table, Function, String)) -> mlua::Result<Function> {
    lua.create_function(move |_, args: MultiValue| {
        let subject = args.front().cloned().unwrap_or(Value::Nil);
        if !subject.is_nil() && held.raw_get::<Value>(subject)? != Value::Nil {
            return fail(&refusal);
        }
        inner.call::<MultiValue>(args)
    })
}

/// A number without its fraction.
#[expect(clippy::cast_possible_truncation, reason = "callers refuse what is far from small")]
fn integer(value: &Value) -> Option<i64> {
    number(value).map(|number| number as i64)
}

/// A number, however the interpreter's binding holds it.
#[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
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

fn sha1hex(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    if args.len() != 1 {
        return fail("ERR wrong number of arguments");
    }
    let bytes = args.front().and_then(super::convert::to_argument).unwrap_or_default();
    Ok(Value::String(lua.create_string(sha1_hex(&bytes))?))
}

fn log(_: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let args: Vec<Value> = args.into_iter().collect();
    let [level, words @ ..] = &args[..] else {
        return fail("ERR redis.log() requires two arguments or more.");
    };
    if words.is_empty() {
        return fail("ERR redis.log() requires two arguments or more.");
    }
    let level = match level {
        Value::Integer(level) => Some(*level),
        #[expect(clippy::cast_possible_truncation, reason = "levels are small; others are refused")]
        Value::Number(level) => Some(*level as i64),
        _ => None,
    };
    match level {
        None => return fail("ERR First argument must be a number (log level)."),
        Some(level) if !(0..=3).contains(&level) => return fail("ERR Invalid debug level."),
        Some(_) => {}
    }
    let words: Vec<Bytes> = words.iter().filter_map(super::convert::to_argument).collect();
    let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    tracing::debug!(target: "squall_mocks::redis::script", "{}", words.join(" "));
    Ok(Value::Nil)
}

fn setresp(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let version = args.front().and_then(integer);
    match version {
        _ if args.len() != 1 => fail("ERR redis.setresp() requires one argument."),
        Some(version @ (2 | 3)) => {
            lua.set_app_data(Chosen(Some(if version == 3 { 3 } else { 2 })));
            Ok(Value::Nil)
        }
        _ => fail("ERR RESP version must be 2 or 3."),
    }
}

fn set_repl(_: &Lua, args: MultiValue) -> mlua::Result<Value> {
    match args.front().and_then(integer) {
        _ if args.len() != 1 => fail("ERR redis.set_repl() requires two arguments."),
        Some(0..=3) => Ok(Value::Nil),
        _ => fail("ERR Invalid replication flags. Please use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."),
    }
}

fn acl_check_cmd(_: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let args: Option<Vec<Bytes>> = args.iter().map(super::convert::to_argument).collect();
    match args {
        None => fail("ERR redis.acl_check_cmd() require at least one argument"),
        Some(args) if table::resolve(&args).is_err() => {
            fail("ERR Invalid command passed to redis.acl_check_cmd()")
        }
        Some(_) => Ok(Value::Boolean(true)),
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

fn random(args: &MultiValue, state: &AtomicU64) -> mlua::Result<Value> {
    const MOST: u64 = i32::MAX as u64;
    #[expect(clippy::cast_precision_loss, reason = "31 bits")]
    let unit = (next_random(state) % MOST) as f64 / MOST as f64;
    let bound = |at: usize| args.get(at).and_then(number).map(f64::trunc);
    let (low, high) = match args.len() {
        0 => return Ok(Value::Number(unit)),
        1 => (Some(1.0), bound(0)),
        2 => (bound(0), bound(1)),
        _ => return fail("ERR wrong number of arguments"),
    };
    match (low, high) {
        (Some(low), Some(high)) if low <= high => {
            Ok(Value::Number((unit * (high - low + 1.0)).floor() + low))
        }
        _ => fail(&format!("ERR bad argument #{} to 'random' (interval is empty)", args.len())),
    }
}

fn randomseed(args: &MultiValue, state: &AtomicU64) -> mlua::Result<Value> {
    let Some(seed) = args.front().and_then(number) else {
        return fail("ERR bad argument #1 to 'randomseed' (number expected)");
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "C's cast to int, then its bits"
    )]
    let seed = seed as i64 as u32;
    state.store(seeded(seed), Ordering::Relaxed);
    Ok(Value::Nil)
}
