//! Arguments of library functions, checked as `lauxlib` of Lua 5.1 checks them, with its error texts.
//!
//! Numbers in strings are numbers. An error begins with the script's position, as `luaL_error` has it, and
//! names the function as the script called it.

use bytes::Bytes;
use mlua::{Lua, MultiValue, Value};

use super::floats;

/// A string raised as an error, which a script sees as that string.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Thrown(pub(super) String);

/// Raises a string, preceded by where the script called the function under way.
pub(super) fn throw<T>(lua: &Lua, text: &str) -> mlua::Result<T> {
    let place = lua.inspect_stack(1, |frame| {
        let line = frame.current_line()?;
        Some(format!("{}:{line}: ", frame.source().short_src?))
    });
    Err(mlua::Error::external(Thrown(format!("{}{text}", place.flatten().unwrap_or_default()))))
}

/// Raises a string as it is.
pub(super) fn throw_bare<T>(text: &str) -> mlua::Result<T> {
    Err(mlua::Error::external(Thrown(text.to_owned())))
}

/// The arguments of a call; positions count from 1.
pub(super) struct Args<'a> {
    lua: &'a Lua,
    values: MultiValue,
}

impl<'a> Args<'a> {
    pub(super) fn new(lua: &'a Lua, values: MultiValue) -> Self {
        Self { lua, values }
    }

    pub(super) fn lua(&self) -> &'a Lua {
        self.lua
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// An argument; `None` if there are fewer.
    pub(super) fn get(&self, at: usize) -> Option<&Value> {
        self.values.get(at.checked_sub(1)?)
    }

    /// An argument, or `nil`.
    pub(super) fn get_or_nil(&self, at: usize) -> &Value {
        self.get(at).unwrap_or(&Value::Nil)
    }

    /// Refuses an argument.
    pub(super) fn refuse<T>(&self, at: usize, why: &str) -> mlua::Result<T> {
        let called = |frame: &mlua::debug::Debug| {
            let names = frame.names();
            (names.name.map(|name| name.into_owned()), names.name_what == Some("method"))
        };
        let (name, is_method) = self.lua.inspect_stack(0, called).unwrap_or_default();
        let name = name.unwrap_or_else(|| "?".to_owned());
        match at.checked_sub(usize::from(is_method)) {
            Some(0) if is_method => throw(self.lua, &format!("calling '{name}' on bad self ({why})")),
            at => throw(self.lua, &format!("bad argument #{} to '{name}' ({why})", at.unwrap_or(0))),
        }
    }

    /// Refuses an argument of the wrong type.
    pub(super) fn refuse_type<T>(&self, at: usize, expected: &str) -> mlua::Result<T> {
        let found = self.get(at).map_or("no value", type_name);
        self.refuse(at, &format!("{expected} expected, got {found}"))
    }

    /// A number, or a string that is one.
    pub(super) fn number(&self, at: usize) -> mlua::Result<f64> {
        match number(self.get_or_nil(at)) {
            Some(number) => Ok(number),
            None => self.refuse_type(at, "number"),
        }
    }

    /// A number as a C integer.
    pub(super) fn integer(&self, at: usize) -> mlua::Result<i64> {
        self.number(at).map(floats::to_i64)
    }

    /// A number as a C integer; `default` for `nil` and none.
    pub(super) fn integer_or(&self, at: usize, default: i64) -> mlua::Result<i64> {
        if self.get_or_nil(at).is_nil() { Ok(default) } else { self.integer(at) }
    }

    /// A string, or a number as one.
    pub(super) fn bytes(&self, at: usize) -> mlua::Result<Bytes> {
        match bytes(self.get_or_nil(at)) {
            Some(bytes) => Ok(bytes),
            None => self.refuse_type(at, "string"),
        }
    }
}

/// The number a value is, as `lua_tonumber` has it.
#[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::String(text) => floats::parse_all(&text.as_bytes()),
        _ => None,
    }
}

/// The bytes of a value, as `lua_tolstring` has them.
pub(super) fn bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(_) | Value::Number(_) => {
            number(value).map(|number| floats::general(number, 14).into())
        }
        _ => None,
    }
}

/// The name of a value's type as `lua_typename` has it.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}
