//! One Lua state and its sandbox: scripts have one, functions another.
//!
//! Compiled code, the sandbox and what bounds a run (instructions and memory) live here; what a run does to the
//! server is in `run`.

use std::sync::Arc;

use bytes::Bytes;
use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Value, VmState};

use super::args::Thrown;
use super::guard::{self, Guard, Watcher};
use super::{host, lib};

/// Memory all code in a state together may hold.
const MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// A Lua state. Clones are the same state.
#[derive(Clone)]
pub(super) struct Interpreter {
    pub(super) lua: Lua,
    /// What code sees as its globals.
    environment: Table,
    /// Runs a function and says where it failed.
    pub(super) run: Function,
    /// Changes what globals a library sees while it is loaded; `nil` gives back the usual ones.
    set_globals: Function,
    /// Bounds the code under way.
    pub(super) guard: Arc<Guard>,
}

/// Which of the two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scripts,
    Functions,
}

impl Interpreter {
    pub(super) fn new(kind: Kind, watcher: Option<Arc<dyn Watcher>>) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
        let guard = Arc::new(Guard::new(watcher));
        let host = host::functions(&lua, &guard)?;
        let redis = host::constants(&lua)?;
        let sandbox = lua.load(include_str!("sandbox.lua")).set_name("@sandbox");
        let globals_hold_arguments = kind == Kind::Scripts;
        let (environment, run, set_globals): (Table, Function, Function) =
            sandbox.call((host, redis, lib::all(&lua)?, globals_hold_arguments))?;
        let hooked = Arc::clone(&guard);
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(guard::STEP), move |_, _| {
            if hooked.step() {
                return Ok(VmState::Continue);
            }
            Err(mlua::Error::external(host::Raised::new(host::STOPPED)))
        })?;
        lua.set_memory_limit(MEMORY_BYTES)?;
        Ok(Self { lua, environment, run, set_globals, guard })
    }

    /// Compiles code; the text says why it cannot be compiled.
    pub(super) fn compile(&self, code: &Bytes, name: &str) -> Result<Function, String> {
        let chunk = self.lua.load(&code[..]).set_name(name).set_mode(ChunkMode::Text);
        chunk.set_environment(self.environment.clone()).into_function().map_err(|error| match error {
            mlua::Error::SyntaxError { message, .. } => message,
            other => other.to_string(),
        })
    }

    /// Runs the code of a library with the globals of a library that is loaded: `redis` with these fields and
    /// nothing else. The text says what failed.
    pub(super) fn load_library(
        &self,
        code: &Function,
        redis: &Table,
        instructions: u64,
    ) -> Result<(), String> {
        self.guard.begin(instructions, None);
        self.set_globals.call::<()>(redis).map_err(|error| error.to_string())?;
        let outcome = code.call::<()>(());
        let restored = self.set_globals.call::<()>(Value::Nil);
        if outcome.is_err() && self.guard.is_stopped() {
            return Err("ERR FUNCTION LOAD timeout".to_owned());
        }
        outcome.map_err(|error| load_failure(&error))?;
        restored.map_err(|error| error.to_string())
    }
}

/// What a library raised while it was loaded, as the server words it.
fn load_failure(error: &mlua::Error) -> String {
    if let Some(raised) = error.downcast_ref::<host::Raised>() {
        return raised.line.clone();
    }
    if let Some(thrown) = error.downcast_ref::<Thrown>() {
        return format!("ERR {}", thrown.0);
    }
    format!("ERR {}", host::first_line(error))
}
