//! Libraries of functions: loaded, listed, replaced and deleted whole.
//!
//! The name of a function is unique across libraries, in any case. A library that cannot be loaded leaves
//! everything as it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mlua::{Function, Lua, MultiValue, Table, Value};

use super::args::{self, Args};
use super::flags::{self, Flags};
use super::guard::Watcher;
use super::host::Raised;
use super::interpreter::{Interpreter, Kind};
use super::run::Program;
use super::{broken, host};
use crate::redis::engine::error::CmdError;

/// All libraries, and their interpreter, made when the first is loaded.
pub(crate) struct Functions {
    libraries: BTreeMap<Bytes, Library>,
    /// The library of each function, by the function's name in lower case.
    owners: BTreeMap<String, Bytes>,
    interpreter: Option<Interpreter>,
    budget: u64,
    watcher: Option<Arc<dyn Watcher>>,
}

/// A library.
#[derive(Clone)]
pub(crate) struct Library {
    pub(crate) name: Bytes,
    /// Its text, the first line included.
    pub(crate) code: Bytes,
    /// Its functions by name.
    pub(crate) functions: BTreeMap<String, Registered>,
}

/// A function of a library.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) description: Option<Bytes>,
    pub(crate) flags: Flags,
    run: Function,
}

/// What becomes of the libraries there are when others are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// They stay; one of the same name is an error.
    Append,
    /// They stay unless there is a new one of the same name.
    Replace,
    /// They go.
    Flush,
}

/// Instructions a library may take to register its functions.
const LOAD_INSTRUCTIONS: u64 = 50_000_000;
const BAD_NAME: &str = "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";
/// Functions one library may register.
const MOST_FUNCTIONS: usize = 100_000;

impl Functions {
    pub(crate) fn new(budget: u64) -> Self {
        Self { libraries: BTreeMap::new(), owners: BTreeMap::new(), interpreter: None, budget, watcher: None }
    }

    /// Has programs watched from now on. Before the first is loaded.
    pub(crate) fn watch(&mut self, watcher: Arc<dyn Watcher>) {
        self.watcher = Some(watcher);
    }

    /// All libraries, sorted by name.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Library> {
        self.libraries.values()
    }

    /// How many libraries there are, and functions.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.libraries.len(), self.owners.len())
    }

    /// A function, ready to be run.
    pub(crate) fn program(&self, name: &[u8]) -> Option<Program> {
        let (name, function) = self.find(name)?;
        Some(Program {
            name: name.clone(),
            run: function.run.clone(),
            flags: function.flags,
            is_function: true,
            interpreter: self.interpreter.clone()?,
            budget: self.budget,
        })
    }

    /// What a function declared.
    pub(crate) fn flags_of(&self, name: &[u8]) -> Option<Flags> {
        self.find(name).map(|(_, function)| function.flags)
    }

    fn find(&self, name: &[u8]) -> Option<(&String, &Registered)> {
        let lower = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        let library = self.libraries.get(self.owners.get(&lower)?)?;
        library.functions.iter().find(|(name, _)| name.eq_ignore_ascii_case(&lower))
    }

    /// Loads a library; its name.
    pub(crate) fn load(&mut self, code: &Bytes, replace: bool) -> Result<Bytes, CmdError> {
        let library = self.compile(code, replace)?;
        let name = library.name.clone();
        let replaced = self.remove(&name);
        if let Err(error) = self.check_names(&library) {
            replaced.into_iter().for_each(|old| self.insert(old));
            return Err(error);
        }
        self.insert(library);
        Ok(name)
    }

    /// Deletes a library; whether there was one.
    pub(crate) fn delete(&mut self, name: &[u8]) -> bool {
        self.remove(name).is_some()
    }

    pub(crate) fn flush(&mut self) {
        self.libraries.clear();
        self.owners.clear();
        self.interpreter = None;
    }

    /// Loads the libraries that another server has in place of these, unless they are the same.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let codes = |functions: &Self| -> Vec<Bytes> {
            functions.libraries().map(|library| library.code.clone()).collect()
        };
        let wanted = codes(other);
        if codes(self) == wanted {
            return;
        }
        self.flush();
        for code in &wanted {
            // What was loaded there loads here: a library sees nothing of the server while it is loaded.
            let _ = self.load(code, false);
        }
    }

    /// Adds libraries whose texts were dumped: all or none.
    pub(crate) fn restore(&mut self, codes: &[Bytes], policy: Policy) -> Result<(), CmdError> {
        let mut new = Self::new(self.budget);
        new.watcher = self.watcher.clone();
        // In the same interpreter, since their functions are to be run there.
        new.interpreter = self.interpreter.clone();
        for code in codes {
            new.load(code, false)?;
        }
        self.interpreter = new.interpreter.take();
        if policy == Policy::Flush {
            (self.libraries, self.owners) = (new.libraries, new.owners);
            return Ok(());
        }
        let before = (self.libraries.clone(), self.owners.clone());
        let outcome = self.join(new, policy == Policy::Replace);
        if outcome.is_err() {
            (self.libraries, self.owners) = before;
        }
        outcome
    }

    fn join(&mut self, new: Self, replace: bool) -> Result<(), CmdError> {
        for name in new.libraries.keys() {
            if !replace && self.libraries.contains_key(name) {
                let name = String::from_utf8_lossy(name);
                return Err(CmdError::new(format!("ERR Library {name} already exists")));
            }
            self.remove(name);
        }
        for library in new.libraries.into_values() {
            self.check_names(&library)?;
            self.insert(library);
        }
        Ok(())
    }

    /// Refuses a library that has a function of the name of another's.
    fn check_names(&self, library: &Library) -> Result<(), CmdError> {
        let taken = |name: &&String| self.owners.contains_key(&name.to_ascii_lowercase());
        match library.functions.keys().find(taken) {
            Some(name) => Err(CmdError::new(format!("ERR Function {name} already exists"))),
            None => Ok(()),
        }
    }

    fn insert(&mut self, library: Library) {
        for name in library.functions.keys() {
            self.owners.insert(name.to_ascii_lowercase(), library.name.clone());
        }
        self.libraries.insert(library.name.clone(), library);
    }

    fn remove(&mut self, name: &[u8]) -> Option<Library> {
        let library = self.libraries.remove(name)?;
        for name in library.functions.keys() {
            self.owners.remove(&name.to_ascii_lowercase());
        }
        Some(library)
    }

    /// Runs the text of a library and takes the functions it registers.
    fn compile(&mut self, code: &Bytes, replace: bool) -> Result<Library, CmdError> {
        let (engine, name, body) = flags::read_library(code)?;
        if !is_name(&name) {
            return Err(CmdError::fixed(BAD_NAME));
        }
        if !engine.eq_ignore_ascii_case(b"lua") {
            let engine = String::from_utf8_lossy(&engine);
            return Err(CmdError::new(format!("ERR Engine '{engine}' not found")));
        }
        if !replace && self.libraries.contains_key(&name) {
            let name = String::from_utf8_lossy(&name);
            return Err(CmdError::new(format!("ERR Library '{name}' already exists")));
        }
        let interpreter = match &self.interpreter {
            Some(interpreter) => interpreter.clone(),
            None => self
                .interpreter
                .insert(Interpreter::new(Kind::Functions, self.watcher.clone()).map_err(broken)?)
                .clone(),
        };
        let run = interpreter.compile(&body, "@user_function");
        let run = run.map_err(|why| CmdError::new(format!("ERR Error compiling function: {why}")))?;
        let registry = Registry::default();
        let redis = registry.library_globals(&interpreter.lua).map_err(broken)?;
        let loaded = interpreter.load_library(&run, &redis, LOAD_INSTRUCTIONS.min(self.budget));
        let functions = registry.close();
        loaded.map_err(|why| CmdError::new(format!("ERR Error registering functions: {why}")))?;
        if functions.is_empty() {
            return Err(CmdError::fixed("ERR No functions registered"));
        }
        Ok(Library { name, code: code.clone(), functions })
    }
}

/// The functions a library registers while it is loaded, and no longer.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    functions: BTreeMap<String, Registered>,
    closed: bool,
}

impl Registry {
    /// The fields of `redis` that a library sees while it is loaded.
    fn library_globals(&self, lua: &Lua) -> mlua::Result<Table> {
        let registry = self.clone();
        let redis = host::constants(lua)?;
        for name in ["REPL_NONE", "REPL_AOF", "REPL_SLAVE", "REPL_REPLICA", "REPL_ALL"] {
            redis.raw_set(name, Value::Nil)?;
        }
        let register =
            lua.create_function(move |lua, args: MultiValue| registry.register(&Args::new(lua, args)))?;
        redis.raw_set("register_function", register)?;
        Ok(redis)
    }

    fn close(&self) -> BTreeMap<String, Registered> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        std::mem::take(&mut state.functions)
    }

    fn register(&self, args: &Args<'_>) -> mlua::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = if state.closed {
            Err("redis.register_function can only be called on FUNCTION LOAD command")
        } else {
            read(args).and_then(|(name, function)| add(&mut state.functions, &name, function))
        };
        outcome.map_err(|why| {
            let why = why.strip_prefix("ERR ").unwrap_or(why);
            mlua::Error::external(Raised::new(format!("ERR {why}")))
        })
    }
}

fn add(
    functions: &mut BTreeMap<String, Registered>,
    name: &[u8],
    new: Registered,
) -> Result<(), &'static str> {
    let known = std::str::from_utf8(name).ok().filter(|_| is_name(name)).ok_or(BAD_NAME)?;
    if functions.contains_key(known) {
        return Err("Function already exists in the library");
    }
    if functions.len() >= MOST_FUNCTIONS {
        return Err("Too many functions in the library");
    }
    functions.insert(known.to_owned(), new);
    Ok(())
}

/// The arguments of `redis.register_function`: a name and a function, or a table of named arguments.
fn read(args: &Args<'_>) -> Result<(Bytes, Registered), &'static str> {
    match args.len() {
        1 => read_named(args),
        2 => {
            let name = args::bytes(args.get_or_nil(1));
            let name = name.ok_or("first argument to redis.register_function must be a string")?;
            let Some(Value::Function(run)) = args.get(2) else {
                return Err("second argument to redis.register_function must be a function");
            };
            Ok((name, Registered { description: None, flags: Flags::NONE, run: run.clone() }))
        }
        _ => Err("wrong number of arguments to redis.register_function"),
    }
}

fn read_named(args: &Args<'_>) -> Result<(Bytes, Registered), &'static str> {
    const NO_TABLE: &str = "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).";
    let Some(Value::Table(table)) = args.get(1) else { return Err(NO_TABLE) };
    let (mut name, mut description, mut run, mut flags) = (None, None, None, Flags::NONE);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|_| NO_TABLE)?;
        let key =
            args::bytes(&key).ok_or("named argument key given to redis.register_function is not a string")?;
        let text = |why| args::bytes(&value).ok_or(why);
        match &key.to_ascii_lowercase()[..] {
            b"function_name" => {
                name =
                    Some(text("function_name argument given to redis.register_function must be a string")?);
            }
            b"description" => {
                let why = "description argument given to redis.register_function must be a string";
                description = Some(text(why)?);
            }
            b"callback" => match value {
                Value::Function(function) => run = Some(function),
                _ => return Err("callback argument given to redis.register_function must be a function"),
            },
            b"flags" => flags = read_flags(&value)?,
            _ => return Err("unknown argument given to redis.register_function"),
        }
    }
    let name = name.ok_or("redis.register_function must get a function name argument")?;
    let run = run.ok_or("redis.register_function must get a callback argument")?;
    Ok((name, Registered { description, flags, run }))
}

fn read_flags(value: &Value) -> Result<Flags, &'static str> {
    let Value::Table(names) = value else {
        return Err("flags argument to redis.register_function must be a table representing function flags");
    };
    let mut flags = Flags::NONE;
    for name in names.sequence_values::<Value>() {
        let name = name.ok().as_ref().and_then(args::bytes);
        flags = name.and_then(|name| flags.with(&name, true)).ok_or("unknown flag given")?;
    }
    Ok(flags)
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}
