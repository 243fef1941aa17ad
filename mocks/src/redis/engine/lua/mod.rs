//! Lua: scripts, functions and the interpreters they run in.
//!
//! The interpreter is PUC-Lua 5.1, as in Redis, so iteration order and number formatting agree with the real
//! server. Scripts share one interpreter, functions another; none can leave anything in it, since what they see
//! is read-only (`sandbox.lua`). `guard` bounds how long code runs.
//!
//! Not supported: the debugger (`SCRIPT DEBUG`), and `lua-enable-deprecated-api`.

mod args;
mod convert;
pub(crate) mod dump;
mod flags;
mod floats;
mod functions;
mod guard;
mod host;
mod interpreter;
mod lib;
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mlua::Function;
use sha1::{Digest, Sha1};

use super::error::CmdError;
use flags::Flags;
use interpreter::{Interpreter, Kind};

pub(crate) use functions::{Functions, Library, Policy};
pub use guard::{Running, Verdict, Watcher};
pub(crate) use run::{Mode, Program, run};

/// The cache of scripts, and their interpreter, made when the first is loaded.
pub(crate) struct Scripts {
    cache: BTreeMap<String, Script>,
    interpreter: Option<Interpreter>,
    /// Instructions a run may take.
    budget: u64,
    watcher: Option<Arc<dyn Watcher>>,
}

struct Script {
    run: Function,
    flags: Flags,
}

impl Scripts {
    pub(crate) fn new(budget: u64) -> Self {
        Self { cache: BTreeMap::new(), interpreter: None, budget, watcher: None }
    }

    /// Has scripts watched from now on. Before the first is loaded.
    pub(crate) fn watch(&mut self, watcher: Arc<dyn Watcher>) {
        self.watcher = Some(watcher);
    }

    /// What the wall clock says, if anybody watches.
    pub(crate) fn unix_us(&self) -> Option<i64> {
        self.watcher.as_ref().map(|watcher| watcher.unix_us())
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
        let (flags, code) = flags::read_script(body)?;
        let compiled = self.interpreter()?.compile(&code, "@user_script");
        let run = compiled
            .map_err(|why| CmdError::new(format!("ERR Error compiling script (new function): {why}")))?;
        self.cache.insert(sha.clone(), Script { run, flags });
        Ok(sha)
    }

    /// A cached script, ready to be run.
    pub(crate) fn program(&mut self, sha: &str) -> Result<Program, CmdError> {
        let interpreter = self.interpreter()?;
        let script = self.cache.get(sha).ok_or(CmdError::NO_SCRIPT)?;
        Ok(Program {
            name: sha.to_owned(),
            run: script.run.clone(),
            flags: script.flags,
            is_function: false,
            interpreter,
            budget: self.budget,
        })
    }

    /// What a cached script declared, or one whose text is given.
    pub(crate) fn flags_of(&self, sha: &str, body: Option<&Bytes>) -> Option<Flags> {
        match (self.cache.get(sha), body) {
            (Some(script), _) => Some(script.flags),
            (None, Some(body)) => flags::read_script(body).ok().map(|(flags, _)| flags),
            (None, None) => None,
        }
    }

    fn interpreter(&mut self) -> Result<Interpreter, CmdError> {
        if let Some(interpreter) = &self.interpreter {
            return Ok(interpreter.clone());
        }
        let interpreter = Interpreter::new(Kind::Scripts, self.watcher.clone()).map_err(broken)?;
        Ok(self.interpreter.insert(interpreter).clone())
    }
}

/// The digest that names a script.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn broken(error: mlua::Error) -> CmdError {
    CmdError::new(format!("ERR the Lua interpreter failed: {error}"))
}
