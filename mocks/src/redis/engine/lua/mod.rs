//! Lua scripts: the cache, the interpreter and one run.
//!
//! The interpreter is PUC-Lua 5.1, as in Redis, so iteration order and number formatting agree with the real
//! server. Scripts share one interpreter but cannot leave anything in it: what they see is read-only
//! (`sandbox.lua`). A script that runs on for too many instructions is stopped, where the real server would
//! answer `BUSY` until someone kills it.
//!
//! Not supported: the libraries `cjson`, `cmsgpack`, `bit` and `struct`, and the debugger.

mod convert;
mod host;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};
use sha1::{Digest, Sha1};

use super::Engine;
use super::call::Outcome;
use super::client::ClientId;
use super::error::CmdError;
use super::table::flags::{NOSCRIPT, WRITE};
use crate::redis::resp::Reply;

/// How the script under way may call commands, and in which version of the protocol it sees replies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) read_only: bool,
    pub(crate) protocol: u8,
}

/// The cache of scripts, and the interpreter, made when the first script is loaded.
pub(crate) struct Scripts {
    cache: BTreeMap<String, Script>,
    interpreter: Option<Interpreter>,
    budget: u64,
}

struct Script {
    run: Function,
    /// The script declared that it does not write; `None` if it declared nothing.
    declared_read_only: Option<bool>,
}

#[derive(Clone)]
struct Interpreter {
    lua: Lua,
    environment: Table,
    run: Function,
    /// Instructions the script under way may still run, in units of [`HOOK_EVERY`].
    left: Arc<AtomicU64>,
}

/// Instructions between two looks at the budget.
const HOOK_EVERY: u32 = 1000;
/// Memory all scripts together may hold.
const MEMORY_BYTES: usize = 256 * 1024 * 1024;
const STOPPED: &str = "Script killed by user with SCRIPT KILL.";

impl Scripts {
    pub(crate) fn new(budget: u64) -> Self {
        Self { cache: BTreeMap::new(), interpreter: None, budget: budget / u64::from(HOOK_EVERY) }
    }

    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }

    pub(crate) fn contains(&self, sha: &str) -> bool {
        self.cache.contains_key(sha)
    }

    pub(crate) fn flush(&mut self) {
        self.cache.clear();
        self.interpreter = None;
    }

    /// Compiles a script, unless it is in the cache already; its digest.
    pub(crate) fn load(&mut self, body: &Bytes) -> Result<String, CmdError> {
        let sha = sha1_hex(body);
        if self.contains(&sha) {
            return Ok(sha);
        }
        let (declared_read_only, code) = read_shebang(body)?;
        let interpreter = self.interpreter()?;
        let chunk =
            interpreter.lua.load(&code[..]).set_name("@user_script").set_mode(mlua::chunk::ChunkMode::Text);
        let run = chunk.set_environment(interpreter.environment).into_function().map_err(|error| {
            let why = match error {
                mlua::Error::SyntaxError { message, .. } => message,
                other => other.to_string(),
            };
            CmdError::new(format!("ERR Error compiling script (new function): {why}"))
        })?;
        self.cache.insert(sha.clone(), Script { run, declared_read_only });
        Ok(sha)
    }

    fn interpreter(&mut self) -> Result<Interpreter, CmdError> {
        if let Some(interpreter) = &self.interpreter {
            return Ok(interpreter.clone());
        }
        let interpreter = Interpreter::new().map_err(broken)?;
        Ok(self.interpreter.insert(interpreter).clone())
    }
}

impl Interpreter {
    fn new() -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
        let left = Arc::new(AtomicU64::new(0));
        let host = host::functions(&lua, &left)?;
        let redis = host::constants(&lua)?;
        let sandbox = lua.load(include_str!("sandbox.lua")).set_name("@sandbox");
        let (environment, run): (Table, Function) = sandbox.call((host, redis))?;
        let budget = Arc::clone(&left);
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(HOOK_EVERY), move |_, _| {
            let spend = |left: u64| left.checked_sub(1);
            match budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
                Ok(_) => Ok(VmState::Continue),
                Err(_) => Err(mlua::Error::runtime(STOPPED)),
            }
        })?;
        lua.set_memory_limit(MEMORY_BYTES)?;
        Ok(Self { lua, environment, run, left })
    }
}

/// Runs a cached script.
pub(crate) fn run(
    engine: &mut Engine,
    id: ClientId,
    sha: &str,
    keys: &[Bytes],
    args: &[Bytes],
    read_only: bool,
) -> Outcome {
    let Some(script) = engine.scripts.cache.get(sha) else { return Err(CmdError::NO_SCRIPT) };
    if read_only && script.declared_read_only == Some(false) {
        return Err(CmdError::fixed("ERR Can not execute a script with write flag using *_ro command."));
    }
    let read_only = read_only || script.declared_read_only == Some(true);
    if script.declared_read_only == Some(false) && engine.read_only {
        return Err(CmdError::fixed("READONLY Can not run script with write flag on readonly replica."));
    }
    let function = script.run.clone();
    let interpreter = engine.scripts.interpreter()?;
    interpreter.left.store(engine.scripts.budget.max(1), Ordering::Relaxed);
    let db = engine.clients.get(&id).map_or(0, |client| client.db);
    engine.script = Some(Mode { read_only, protocol: 2 });
    let outcome = run_function(engine, id, &interpreter, &function, keys, args);
    engine.script = None;
    // A script's SELECT ends with the script.
    if let Some(client) = engine.clients.get_mut(&id) {
        client.db = db;
    }
    match outcome {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(failure)) => {
            let line = failure.line.map_or_else(|| "?".to_owned(), |line| line.to_string());
            Err(CmdError::new(format!("{} script: {sha}, on @user_script:{line}.", failure.text)))
        }
        Err(error) => Err(broken(error)),
    }
}

/// What a script raised.
struct Failure {
    text: String,
    line: Option<i64>,
}

fn run_function(
    engine: &mut Engine,
    id: ClientId,
    interpreter: &Interpreter,
    function: &Function,
    keys: &[Bytes],
    args: &[Bytes],
) -> mlua::Result<Result<Reply, Failure>> {
    let lua = &interpreter.lua;
    let strings = |items: &[Bytes]| -> mlua::Result<Table> {
        let items: mlua::Result<Vec<_>> = items.iter().map(|item| lua.create_string(item)).collect();
        lua.create_sequence_from(items?)
    };
    let (keys, args) = (strings(keys)?, strings(args)?);
    let engine = RefCell::new(engine);
    let command = |lua: &Lua, args: MultiValue| {
        let mut engine = engine.borrow_mut();
        if let (Some(mode), Some(protocol)) = (engine.script.as_mut(), host::chosen_protocol(lua)) {
            mode.protocol = protocol;
        }
        let protocol = engine.script.map_or(2, |mode| mode.protocol);
        (call_command(&mut engine, id, args), protocol)
    };
    let (result, protocol) = lua.scope(|scope| {
        host::begin_run(lua);
        let call = scope.create_function(|lua, args: MultiValue| match command(lua, args) {
            (Reply::Error(line), _) => Err(mlua::Error::external(host::Raised(line))),
            (reply, protocol) => convert::to_lua(lua, &reply, protocol),
        })?;
        let call_protected = scope.create_function(|lua, args: MultiValue| {
            let (reply, protocol) = command(lua, args);
            convert::to_lua(lua, &reply, protocol)
        })?;
        let result: (bool, Value) = interpreter.run.call((function, keys, args, call, call_protected))?;
        Ok((result, host::chosen_protocol(lua).unwrap_or(2)))
    })?;
    match result {
        (true, value) => Ok(Ok(convert::to_reply(&value, protocol)?)),
        (false, Value::Table(failure)) => Ok(Err(Failure {
            text: convert::raised_text(&failure).unwrap_or_else(|| "ERR unknown error".to_owned()),
            line: failure.raw_get::<Option<i64>>("line").unwrap_or_default(),
        })),
        (false, other) => Ok(Err(Failure { text: format!("ERR {}", other.to_string()?), line: None })),
    }
}

/// A command called by a script.
fn call_command(engine: &mut Engine, id: ClientId, args: MultiValue) -> Reply {
    let refuse = |text: &str| Reply::Error(text.to_owned());
    if args.is_empty() {
        return refuse("ERR Please specify at least one argument for this redis lib call");
    }
    let args: Option<Vec<Bytes>> = args.iter().map(convert::to_argument).collect();
    let Some(args) = args else {
        return refuse("ERR Lua redis lib command arguments must be strings or integers");
    };
    let Ok(spec) = engine.resolve(&args) else {
        return refuse("ERR Unknown Redis command called from script");
    };
    if !spec.takes(args.len()) {
        return refuse("ERR Wrong number of args calling Redis command from script");
    }
    if spec.has(NOSCRIPT) {
        return refuse("ERR This Redis command is not allowed from script");
    }
    if let Err(refused) = engine.permit_in_script(id, spec, &args) {
        return Reply::Error(refused.to_string());
    }
    if spec.has(WRITE) {
        if engine.script.is_some_and(|mode| mode.read_only) {
            return refuse("ERR Write commands are not allowed from read-only scripts.");
        }
        if engine.read_only {
            return Reply::Error(CmdError::READ_ONLY.to_string());
        }
    }
    engine.call(id, spec, &args)
}

/// Reads `#!lua flags=no-writes` off the first line, which stays as an empty line, so that line numbers do.
/// Whether the script declared itself read-only, if it declared anything, and its code.
fn read_shebang(body: &Bytes) -> Result<(Option<bool>, Bytes), CmdError> {
    const KNOWN: [&str; 5] = ["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];
    if !body.starts_with(b"#!") {
        return Ok((None, body.clone()));
    }
    let end = body.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or(CmdError::fixed("ERR Invalid script shebang"))?;
    let line = String::from_utf8_lossy(&body[..end]).into_owned();
    let mut words = line.split_whitespace();
    let engine = words.next().unwrap_or_default();
    if engine != "#!lua" {
        return Err(CmdError::new(format!("ERR Unexpected engine in script shebang: {engine}")));
    }
    let mut read_only = false;
    for word in words {
        let Some(flags) = word.strip_prefix("flags=") else {
            return Err(CmdError::new(format!("ERR Unknown lua shebang option: {word}")));
        };
        for flag in flags.split(',').filter(|flag| !flag.is_empty()) {
            if !KNOWN.contains(&flag) {
                return Err(CmdError::new(format!("ERR Unexpected flag in script shebang: {flag}")));
            }
            read_only |= flag == "no-writes";
        }
    }
    Ok((Some(read_only), body.slice(end..)))
}

/// The digest that names a script.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn broken(error: mlua::Error) -> CmdError {
    CmdError::new(format!("ERR the Lua interpreter failed: {error}"))
}
