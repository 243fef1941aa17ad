//! One Lua state and its sandbox: scripts have one, functions another.
//!
//! Compiled code, the sandbox and what bounds a run (instructions and memory) live here; what a run does to the
//! server is in `run`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Value, VmState};

use super::args::Thrown;
use super::{host, lib};

/// Instructions between two looks at the budget.
pub(super) const HOOK_EVERY: u32 = 1000;
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
    /// Instructions the code under way may still run, in units of [`HOOK_EVERY`].
    pub(super) left: Arc<AtomicU64>,
}

/// Which of the two states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scripts,
    Functions,
}

impl Interpreter {
    pub(super) fn new(kind: Kind) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(false))?;
        let left = Arc::new(AtomicU64::new(0));
        let host = host::functions(&lua, &left)?;
        let redis = host::constants(&lua)?;
        let sandbox = lua.load(include_str!("sandbox.lua")).set_name("@sandbox");
        let globals_hold_arguments = kind == Kind::Scripts;
        let (environment, run, set_globals): (Table, Function, Function) =
            sandbox.call((host, redis, lib::all(&lua)?, globals_hold_arguments))?;
        let budget = Arc::clone(&left);
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(HOOK_EVERY), move |_, _| {
            let spend = |left: u64| left.checked_sub(1);
            match budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
                Ok(_) => Ok(VmState::Continue),
                Err(_) => Err(mlua::Error::external(host::Raised::new(host::STOPPED))),
            }
        })?;
        lua.set_memory_limit(MEMORY_BYTES)?;
        Ok(Self { lua, environment, run, set_globals, left })
    }

    /// Compiles code; the text says why it cannot be compiled.
    pub(super) fn compile(&self, code: &Bytes, name: &str) -> Result<Function, String> {
        let chunk = self.lua.load(&code[..]).set_name(name).set_mode(ChunkMode::Text);
        chunk.set_environment(self.environment.clone()).into_function().map_err(|error| match error {
            mlua::Error::SyntaxError { message, .. } => message,
            other => other.to_string(),
        })
    }

    /// Allows a run so many instructions.
    pub(super) fn allow(&self, instructions: u64) {
        self.left.store((instructions / u64::from(HOOK_EVERY)).max(1), Ordering::Relaxed);
    }

    /// Runs the code of a library with the globals of a library that is loaded: `redis` with these fields and
    /// nothing else. The text says what failed.
    pub(super) fn load_library(&self, code: &Function, redis: &Table) -> Result<(), String> {
        self.set_globals.call::<()>(redis).map_err(|error| error.to_string())?;
        let outcome = code.call::<()>(());
        let restored = self.set_globals.call::<()>(Value::Nil);
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
