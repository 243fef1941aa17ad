//! The functions the sandbox is built on.
//!
//! They raise [`Raised`], which the sandbox turns into the table Redis would have raised before a script sees
//! it. They are called by scripts directly: a Lua function in between would hide the script's line from
//! errors, since a tail call leaves no frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mlua::{Function, Lua, MultiValue, Table, Value};

use super::args::{self, Args, Thrown, throw};
use super::guard::Guard;
use super::{floats, sha1_hex};
use crate::redis::engine::VERSION;

/// What the run under way chose for itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    /// The version of the protocol in which it sees replies (`redis.setresp`).
    pub(super) protocol: u8,
    /// Whether replicas are to have its writes (`redis.set_repl`).
    pub(super) replicate: bool,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { protocol: 2, replicate: true }
    }
}

/// Forgets what an earlier run chose.
pub(super) fn begin_run(lua: &Lua) {
    lua.set_app_data(Chosen::default());
}

/// What this run chose so far.
pub(super) fn chosen(lua: &Lua) -> Chosen {
    lua.app_data_ref::<Chosen>().map(|chosen| *chosen).unwrap_or_default()
}

fn choose(lua: &Lua, change: impl FnOnce(&mut Chosen)) {
    let mut now = chosen(lua);
    change(&mut now);
    lua.set_app_data(now);
}

/// An error a host function raises.
#[derive(Debug, thiserror::Error)]
#[error("{line}")]
pub(super) struct Raised {
    /// The error line.
    pub(super) line: String,
    /// Whether it is among the counted errors already.
    pub(super) counted: bool,
}

impl Raised {
    pub(super) fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), counted: false }
    }
}

/// What a script that was stopped has raised.
pub(super) const STOPPED: &str = "ERR Script killed by user with SCRIPT KILL...";

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

/// The host functions. `guard` bounds the code under way.
pub(super) fn functions(lua: &Lua, guard: &Arc<Guard>) -> mlua::Result<Table> {
    let host = lua.create_table()?;
    let guard = Arc::clone(guard);
    host.raw_set("is_stopped", lua.create_function(move |_, ()| Ok(guard.is_stopped()))?)?;
    host.raw_set("place", lua.create_function(|lua, ()| Ok(script_place(lua).unzip()))?)?;
    host.raw_set("plain", lua.create_function(plain)?)?;
    host.raw_set("wrap", lua.create_function(wrap)?)?;
    host.raw_set("guard", lua.create_function(self::guard)?)?;
    host.raw_set("error_reply", lua.create_function(|lua, args| single_field(lua, "err", &args))?)?;
    host.raw_set("status_reply", lua.create_function(|lua, args| single_field(lua, "ok", &args))?)?;
    host.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    host.raw_set("log", lua.create_function(log)?)?;
    host.raw_set("setresp", lua.create_function(setresp)?)?;
    host.raw_set("set_repl", lua.create_function(set_repl)?)?;
    let state = Arc::new(AtomicU64::new(seeded(0)));
    let seed = Arc::clone(&state);
    host.raw_set("random", lua.create_function(move |lua, args| random(lua, args, &state))?)?;
    host.raw_set("randomseed", lua.create_function(move |lua, args| randomseed(lua, args, &seed))?)?;
    Ok(host)
}

/// Where the innermost frame is that is no part of the sandbox: its source and line.
fn script_place(lua: &Lua) -> Option<(String, usize)> {
    (0..64).find_map(|level| {
        let frame = lua.inspect_stack(level, |frame| {
            let source = frame.source().source?.into_owned();
            Some((source, frame.current_line()?)).filter(|(source, _)| source != "@sandbox")
        });
        frame.flatten()
    })
}

fn fail<T>(text: &str) -> mlua::Result<T> {
    Err(mlua::Error::external(Raised::new(text)))
}

/// A raised value as Redis would have raised it.
fn plain(lua: &Lua, failure: Value) -> mlua::Result<Value> {
    let Value::Error(error) = &failure else { return Ok(failure) };
    if let Some(thrown) = error.downcast_ref::<Thrown>() {
        return lua.create_string(&thrown.0).map(Value::String);
    }
    match error.downcast_ref::<Raised>() {
        Some(raised) => error_table(lua, &raised.line, raised.counted).map(Value::Table),
        None => lua.create_string(first_line(error)).map(Value::String),
    }
}

/// An error as scripts see it. One that was counted when it happened says so.
pub(super) fn error_table(lua: &Lua, line: &str, counted: bool) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("err", line)?;
    if counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(table)
}

/// The first line of an error's text, without the traceback.
pub(super) fn first_line(error: &mlua::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("runtime error: ").unwrap_or(first).to_owned()
}

/// What `coroutine.wrap` makes of a coroutine: resumed, and a string that it raises gets the caller's place in
/// front of it.
fn wrap(lua: &Lua, (resume, coroutine): (Function, Value)) -> mlua::Result<Function> {
    lua.create_function(move |lua, args: MultiValue| {
        let mut args = args;
        args.push_front(coroutine.clone());
        let mut results: MultiValue = resume.call(args)?;
        if let Some(Value::Boolean(true)) = results.pop_front() {
            return Ok(results);
        }
        match plain(lua, results.pop_front().unwrap_or(Value::Nil))? {
            Value::Table(failure) => {
                let line = super::convert::text_field(&failure, "err").unwrap_or_default();
                let counted = super::convert::is_counted(&failure);
                Err(mlua::Error::external(Raised { line, counted }))
            }
            failure => throw(lua, &failure.to_string()?),
        }
    })
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

/// `redis.error_reply` and `redis.status_reply`.
fn single_field(lua: &Lua, field: &str, args: &MultiValue) -> mlua::Result<Table> {
    let text = match args.front() {
        Some(Value::String(text)) if args.len() == 1 => text,
        _ => return error_table(lua, "ERR wrong number or type of arguments", false),
    };
    if field == "err" {
        return error_table(lua, &error_line(&text.to_string_lossy()), false);
    }
    let table = lua.create_table()?;
    table.raw_set(field, text)?;
    Ok(table)
}

/// The line of an error that names its code in the first word, after an optional `-`; one word is no code.
pub(super) fn error_line(text: &str) -> String {
    let text = text.strip_prefix('-').unwrap_or(text);
    let is_break = |c| matches!(c, '\r' | '\n');
    match text.split_once(' ') {
        Some((code, message)) => format!("{code} {}", message.trim_matches(is_break)),
        None => format!("ERR {}", text.trim_matches(is_break)),
    }
}

fn sha1hex(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    if args.len() != 1 {
        return fail("ERR wrong number of arguments");
    }
    let bytes = args.front().and_then(args::bytes).unwrap_or_default();
    Ok(Value::String(lua.create_string(sha1_hex(&bytes))?))
}

fn log(_: &Lua, args: MultiValue) -> mlua::Result<()> {
    let args: Vec<Value> = args.into_iter().collect();
    let [level, words @ ..] = &args[..] else {
        return fail("ERR redis.log() requires two arguments or more.");
    };
    if words.is_empty() {
        return fail("ERR redis.log() requires two arguments or more.");
    }
    match args::number(level).map(floats::to_i64) {
        None => return fail("ERR First argument must be a number (log level)."),
        Some(level) if !(0..=3).contains(&level) => return fail("ERR Invalid debug level."),
        Some(_) => {}
    }
    let words: Vec<Bytes> = words.iter().filter_map(args::bytes).collect();
    let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    tracing::debug!(target: "squall_mocks::redis::script", "{}", words.join(" "));
    Ok(())
}

/// An argument as a C integer; what is no number is 0.
fn integer(args: &MultiValue) -> i64 {
    args.front().and_then(args::number).map_or(0, floats::to_i64)
}

fn setresp(lua: &Lua, args: MultiValue) -> mlua::Result<()> {
    match integer(&args) {
        _ if args.len() != 1 => fail("ERR redis.setresp() requires one argument."),
        version @ (2 | 3) => {
            choose(lua, |chosen| chosen.protocol = if version == 3 { 3 } else { 2 });
            Ok(())
        }
        _ => fail("ERR RESP version must be 2 or 3."),
    }
}

fn set_repl(lua: &Lua, args: MultiValue) -> mlua::Result<()> {
    match integer(&args) {
        _ if args.len() != 1 => fail("ERR redis.set_repl() requires two arguments."),
        flags @ 0..=3 => {
            choose(lua, |chosen| chosen.replicate = flags & 2 != 0);
            Ok(())
        }
        _ => fail("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."),
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

fn random(lua: &Lua, args: MultiValue, state: &AtomicU64) -> mlua::Result<Value> {
    const MOST: u64 = i32::MAX as u64;
    #[expect(clippy::cast_precision_loss, reason = "31 bits")]
    let unit = (next_random(state) % MOST) as f64 / MOST as f64;
    let args = Args::new(lua, args);
    #[expect(clippy::cast_possible_truncation, reason = "C's cast to int")]
    let bound = |at: usize| args.integer(at).map(|bound| bound as i32);
    let (low, high) = match args.len() {
        0 => return Ok(Value::Number(unit)),
        1 => (1, bound(1)?),
        2 => (bound(1)?, bound(2)?),
        _ => return throw(lua, "wrong number of arguments"),
    };
    if low > high {
        return args.refuse(args.len(), "interval is empty");
    }
    // C counts the width in an int, which wraps.
    let width = f64::from(high.wrapping_sub(low).wrapping_add(1));
    let drawn = if args.len() == 1 { (unit * f64::from(high)).floor() + 1.0 } else { (unit * width).floor() };
    Ok(Value::Number(if args.len() == 1 { drawn } else { drawn + f64::from(low) }))
}

fn randomseed(lua: &Lua, args: MultiValue, state: &AtomicU64) -> mlua::Result<()> {
    let seed = Args::new(lua, args).integer(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "C's cast to int, then its bits"
    )]
    let seed = seed as u32;
    state.store(seeded(seed), Ordering::Relaxed);
    Ok(())
}
