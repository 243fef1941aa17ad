//! One run of a script or a function: what it may do, the commands it calls, what it answers.
//!
//! The checks and their order are those of `script.c`. An error a command answered was counted when it
//! happened, so it is not counted again when the script passes it on.

use std::cell::RefCell;

use bytes::Bytes;
use mlua::{Function, Lua, MultiValue, Table, Value};

use super::flags::Flags;
use super::interpreter::Interpreter;
use super::{broken, convert, host};
use crate::redis::engine::Engine;
use crate::redis::engine::admit::NO_REPLICAS;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::client::ClientId;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::slots::slot_of;
use crate::redis::engine::table;
use crate::redis::engine::table::flags::{DENYOOM, MAY_REPLICATE, NOSCRIPT, WRITE};
use crate::redis::resp::{Limits, Reply};

/// A script or function, ready to be run.
pub(crate) struct Program {
    /// The digest of a script, the name of a function.
    pub(super) name: String,
    pub(super) run: Function,
    pub(super) flags: Flags,
    pub(super) is_function: bool,
    pub(super) interpreter: Interpreter,
    /// Instructions it may take.
    pub(super) budget: u64,
}

/// How the run under way may call commands, and in which version of the protocol it sees replies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) read_only: bool,
    pub(crate) protocol: u8,
    /// Whether replicas are to have what it writes.
    pub(crate) replicate: bool,
    /// Whether it called a command that writes: from then on nothing stops it from going on.
    pub(crate) wrote: bool,
    allow_oom: bool,
    /// On a node of a cluster, whether it may use keys of several slots, and the slot it used keys of.
    pub(crate) crosses_slots: bool,
    pub(crate) slot: Option<u16>,
}

/// Runs a script or function for a client.
pub(crate) fn run(
    call: &mut Call<'_>,
    program: &Program,
    keys: &[Bytes],
    args: &[Bytes],
    read_only: bool,
) -> Outcome {
    let (id, engine) = (call.client, &mut *call.engine);
    prepare(engine, program.flags, read_only)?;
    begin(engine, program, call.args);
    let db = engine.clients.get(&id).map_or(0, |client| client.db);
    engine.script = Some(Mode {
        read_only: read_only || program.flags.has(Flags::NO_WRITES),
        protocol: 2,
        replicate: true,
        wrote: false,
        allow_oom: program.flags.has(Flags::ALLOW_OOM),
        crosses_slots: program.flags.has(Flags::CROSS_SLOT) || program.flags.has(Flags::UNDECLARED),
        slot: keys.first().map(|key| slot_of(key)),
    });
    let outcome = run_function(engine, id, program, keys, args);
    engine.script = None;
    program.interpreter.guard.end();
    // A script's SELECT ends with the script.
    if let Some(client) = engine.clients.get_mut(&id) {
        client.db = db;
    }
    match outcome {
        Ok(outcome) => outcome,
        Err(error) => Err(broken(error)),
    }
}

impl Engine {
    /// The flags of a command; of one that runs a script or a function, what that declared.
    pub(crate) fn flags_of_call(&self, spec: &'static table::Spec, args: &[Bytes]) -> u32 {
        let sha = |body: &[u8]| String::from_utf8_lossy(body).to_ascii_lowercase();
        let declared = match (spec.name, args.get(1)) {
            ("eval" | "eval_ro", Some(body)) if body.starts_with(b"#!") => {
                self.scripts.flags_of(&super::sha1_hex(body), Some(body))
            }
            ("evalsha" | "evalsha_ro", Some(name)) => self.scripts.flags_of(&sha(name), None),
            ("fcall" | "fcall_ro", Some(name)) => self.functions.flags_of(name),
            _ => return spec.flags,
        };
        let Some(declared) = declared.filter(|flags| !flags.has(Flags::UNDECLARED)) else {
            return spec.flags;
        };
        let writes = if declared.has(Flags::NO_WRITES) { 0 } else { WRITE };
        let needs_memory = if writes == 0 || declared.has(Flags::ALLOW_OOM) { 0 } else { DENYOOM };
        spec.flags & !(WRITE | DENYOOM | MAY_REPLICATE) | writes | needs_memory
    }
}

fn begin(engine: &Engine, program: &Program, command: &[Bytes]) {
    let threshold = engine.config.get("busy-reply-threshold").and_then(|text| text.parse().ok());
    let threshold_ms = threshold.filter(|threshold| *threshold > 0);
    let mut describe = || super::Running {
        is_function: program.is_function,
        name: program.name.clone(),
        command: command.to_vec(),
        counts: engine.functions.counts(),
        threshold_ms: threshold_ms.unwrap_or(u64::MAX),
        limits: Limits { bulk_bytes: engine.config.bulk_bytes, authenticated: engine.acl.is_open() },
    };
    program.interpreter.guard.begin(program.budget, threshold_ms.map(|_| &mut describe as _));
}

/// Refuses programs that declared what cannot be done now. Without a declaration their commands are refused.
fn prepare(engine: &Engine, flags: Flags, read_only: bool) -> Result<(), CmdError> {
    if flags.has(Flags::UNDECLARED) {
        return Ok(());
    }
    if flags.has(Flags::NO_CLUSTER) && engine.cluster.is_some() {
        return Err(CmdError::fixed("ERR Can not run script on cluster, 'no-cluster' flag is set."));
    }
    if !flags.has(Flags::NO_WRITES) {
        if engine.read_only {
            return Err(CmdError::fixed("READONLY Can not run script with write flag on readonly replica"));
        }
        if read_only {
            return Err(CmdError::fixed("ERR Can not execute a script with write flag using *_ro command."));
        }
        if engine.lacks_replicas() {
            return Err(NO_REPLICAS);
        }
    }
    if engine.is_out_of_memory() && !flags.has(Flags::ALLOW_OOM) && !flags.has(Flags::NO_WRITES) {
        return Err(CmdError::fixed(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
        ));
    }
    Ok(())
}

fn run_function(
    engine: &mut Engine,
    id: ClientId,
    program: &Program,
    keys: &[Bytes],
    args: &[Bytes],
) -> mlua::Result<Outcome> {
    let lua = &program.interpreter.lua;
    // One by one: the binding can hold only some thousands of strings at a time.
    let strings = |items: &[Bytes]| -> mlua::Result<Table> {
        let table = lua.create_table_with_capacity(items.len(), 0)?;
        for (at, item) in (1..).zip(items) {
            table.raw_seti(at, lua.create_string(item)?)?;
        }
        Ok(table)
    };
    let (keys, args) = (strings(keys)?, strings(args)?);
    host::begin_run(lua);
    let engine = RefCell::new(engine);
    let command = |lua: &Lua, args: &MultiValue| {
        let chosen = host::chosen(lua);
        let mut engine = engine.borrow_mut();
        if let Some(mode) = engine.script.as_mut() {
            (mode.protocol, mode.replicate) = (chosen.protocol, chosen.replicate);
        }
        let called = call_command(&mut engine, id, args);
        if engine.script.is_some_and(|mode| mode.wrote) {
            program.interpreter.guard.wrote();
        }
        (called, chosen.protocol)
    };
    let result: (bool, Value) = lua.scope(|scope| {
        let call = scope.create_function(|lua, args: MultiValue| match command(lua, &args) {
            (Called::Refused(line), _) => Err(mlua::Error::external(host::Raised::new(line))),
            (Called::Answered(Reply::Error(line)), _) => {
                let line = host::error_line(&line);
                Err(mlua::Error::external(host::Raised { line, counted: true }))
            }
            (Called::Answered(reply), protocol) => convert::to_lua(lua, &reply, protocol),
        })?;
        let call_protected = scope.create_function(|lua, args: MultiValue| match command(lua, &args) {
            (Called::Refused(line), _) => host::error_table(lua, line, false).map(Value::Table),
            (Called::Answered(reply), protocol) => convert::to_lua(lua, &reply, protocol),
        })?;
        let may_call = scope.create_function(|_, args: MultiValue| {
            may_call(&engine.borrow(), id, &args)
                .map_err(|line| mlua::Error::external(host::Raised::new(line)))
        })?;
        program.interpreter.run.call((&program.run, keys, args, call, call_protected, may_call))
    })?;
    let engine = engine.into_inner();
    match result {
        (true, value) => answer(engine, &value, host::chosen(lua).protocol),
        (false, Value::Table(failure)) => Ok(Err(failed(&failure, &program.name))),
        (false, other) => {
            let why: String = other.to_string()?.chars().take(100).collect();
            Ok(Err(CmdError::new(format!("ERR Error running script {}, {why}", program.name))))
        }
    }
}

/// What a run that came to its end answers.
fn answer(engine: &mut Engine, value: &Value, protocol: u8) -> mlua::Result<Outcome> {
    if let Value::Table(table) = value
        && let Some(line) = convert::error_text(table)
    {
        return Ok(Err(counted_if(CmdError::new(line), convert::is_counted(table))));
    }
    let mut errors = Vec::new();
    let reply = convert::to_reply(value, protocol, &mut errors)?;
    for line in errors {
        engine.stats.count_error(&line);
    }
    Ok(Ok(reply))
}

/// The error line for what a run raised.
fn failed(failure: &Table, name: &str) -> CmdError {
    let mut line = convert::text_field(failure, "err").unwrap_or_else(|| "ERR unknown error".to_owned());
    let place = (convert::text_field(failure, "source"), convert::text_field(failure, "line"));
    if let (Some(source), Some(at)) = place {
        line.push_str(&format!(" script: {name}, on {source}:{at}."));
    }
    counted_if(CmdError::new(line), convert::is_counted(failure))
}

fn counted_if(error: CmdError, counted: bool) -> CmdError {
    if counted { error.counted() } else { error }
}

/// What became of a command a script called.
enum Called {
    /// There was no command to look for.
    Refused(&'static str),
    /// It was run or refused; an error was counted.
    Answered(Reply),
}

/// A command called by a script.
fn call_command(engine: &mut Engine, id: ClientId, args: &MultiValue) -> Called {
    let args = match convert::to_arguments(args) {
        Ok(args) => args,
        Err(why) => return Called::Refused(why),
    };
    let found = engine.resolve(&args);
    let verdict = match &found {
        Ok(spec) => verify(engine, id, spec, &args),
        Err(_) => Err("ERR Unknown Redis command called from script".into()),
    };
    if let Err(line) = verdict {
        engine.stats.count_error(&line);
        if let Ok(spec) = found {
            engine.stats.count_rejected(spec.name);
        }
        return Called::Answered(Reply::Error(line.into_owned()));
    }
    match found {
        Ok(spec) => {
            if let Some(mode) = engine.script.as_mut().filter(|_| spec.has(WRITE)) {
                mode.wrote = true;
            }
            Called::Answered(engine.call(id, spec, &args))
        }
        Err(error) => Called::Answered(Reply::Error(error.to_string())),
    }
}

/// Whether the client that has a run under way may run a command: `redis.acl_check_cmd`.
fn may_call(engine: &Engine, id: ClientId, args: &MultiValue) -> Result<bool, &'static str> {
    let args = convert::to_arguments(args)?;
    let unknown = "ERR Invalid command passed to redis.acl_check_cmd()";
    let spec = engine.resolve(&args).map_err(|_| unknown)?;
    Ok(engine.clients.get(&id).is_none_or(|client| engine.acl.check(&client.user, spec, &args).is_ok()))
}

/// Whether a run may call a command now.
fn verify(
    engine: &mut Engine,
    id: ClientId,
    spec: &'static table::Spec,
    args: &[Bytes],
) -> Result<(), std::borrow::Cow<'static, str>> {
    if !spec.takes(args.len()) {
        return Err("ERR Wrong number of args calling Redis command from script".into());
    }
    if spec.has(NOSCRIPT) {
        return Err("ERR This Redis command is not allowed from script".into());
    }
    if let Err(refused) = engine.permit_in_script(id, spec, args) {
        return Err(refused.to_string().into());
    }
    let Some(mode) = engine.script else { return Ok(()) };
    if mode.read_only && spec.flags & (WRITE | MAY_REPLICATE) != 0 {
        return Err("ERR Write commands are not allowed from read-only scripts.".into());
    }
    // What has begun to write is not stopped halfway.
    if spec.has(WRITE) && !mode.wrote && engine.read_only {
        return Err(CmdError::READ_ONLY.to_string().into());
    }
    if spec.has(WRITE) && !mode.wrote && engine.lacks_replicas() {
        return Err(NO_REPLICAS.to_string().into());
    }
    if spec.has(DENYOOM) && !mode.wrote && !mode.allow_oom && engine.is_out_of_memory() {
        return Err(CmdError::OUT_OF_MEMORY.to_string().into());
    }
    Ok(())
}
