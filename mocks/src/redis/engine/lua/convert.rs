//! Replies as Lua values and Lua values as replies, by the rules of `script_lua.c`.
//!
//! Numbers lose their fraction, `nil` ends an array, `false` is no value, tables with the one field `ok`,
//! `err`, `double`, `map`, `set`, `big_number` or `verbatim_string` are that kind of reply.

use bytes::Bytes;
use mlua::{Lua, MultiValue, Table, Value};

use super::{args, floats, host};
use crate::redis::engine::number::general;
use crate::redis::resp::Reply;

/// Tables nested deeper than this are not converted: they may contain themselves.
const DEPTH: usize = 200;

/// A reply as a script sees it in `protocol` 2 or 3.
pub(super) fn to_lua(lua: &Lua, reply: &Reply, protocol: u8) -> mlua::Result<Value> {
    let v3 = protocol >= 3;
    let text = |bytes: &[u8]| lua.create_string(bytes).map(Value::String);
    let field = |name: &str, value: Value| -> mlua::Result<Value> {
        let table = lua.create_table()?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    };
    match reply {
        Reply::Status(line) => field("ok", text(line.as_bytes())?),
        Reply::Error(line) => host::error_table(lua, &host::error_line(line), true).map(Value::Table),
        #[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
        Reply::Int(value) => Ok(Value::Number(*value as f64)),
        Reply::Bulk(bytes) => text(bytes),
        Reply::Null | Reply::NullArray if v3 => Ok(Value::Nil),
        Reply::Null | Reply::NullArray => Ok(Value::Boolean(false)),
        Reply::Array(items) | Reply::Push(items) | Reply::Several(items) => sequence(lua, items, protocol),
        Reply::Attributes(_) | Reply::None => Ok(Value::Nil),
        Reply::Set(items) if v3 => {
            let set = lua.create_table()?;
            for item in items {
                set.raw_set(to_lua(lua, item, protocol)?, true)?;
            }
            field("set", Value::Table(set))
        }
        Reply::Set(items) => sequence(lua, items, protocol),
        Reply::Map(pairs) if v3 => {
            let map = lua.create_table()?;
            for (key, value) in pairs {
                map.raw_set(to_lua(lua, key, protocol)?, to_lua(lua, value, protocol)?)?;
            }
            field("map", Value::Table(map))
        }
        Reply::Map(pairs) => {
            let flat = lua.create_table()?;
            for (key, value) in pairs {
                flat.raw_push(to_lua(lua, key, protocol)?)?;
                flat.raw_push(to_lua(lua, value, protocol)?)?;
            }
            Ok(Value::Table(flat))
        }
        Reply::Double(value) if v3 => field("double", Value::Number(*value)),
        Reply::Double(value) => text(general(*value).as_bytes()),
        Reply::Decimal(digits) if v3 => {
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            field("double", Value::Number(number.unwrap_or(0.0)))
        }
        Reply::Decimal(digits) => text(digits),
        Reply::Bool(value) if v3 => Ok(Value::Boolean(*value)),
        Reply::Bool(value) => Ok(Value::Number(f64::from(u8::from(*value)))),
        Reply::BigNumber(digits) if v3 => field("big_number", text(digits)?),
        Reply::BigNumber(digits) => text(digits),
        Reply::Verbatim(format, body) if v3 => {
            let table = lua.create_table()?;
            table.raw_set("format", text(format)?)?;
            table.raw_set("string", text(body)?)?;
            field("verbatim_string", Value::Table(table))
        }
        Reply::Verbatim(_, body) => text(body),
    }
}

fn sequence(lua: &Lua, items: &[Reply], protocol: u8) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    for (at, item) in items.iter().enumerate() {
        // Set by index, since a `nil` would not be pushed.
        table.raw_set(at + 1, to_lua(lua, item, protocol)?)?;
    }
    Ok(Value::Table(table))
}

/// What a script returned, as a reply; `protocol` is the one the script chose. `errors` gets the errors in it
/// that have not been counted.
pub(super) fn to_reply(value: &Value, protocol: u8, errors: &mut Vec<String>) -> mlua::Result<Reply> {
    reply_at(value, protocol, DEPTH, errors)
}

fn reply_at(value: &Value, protocol: u8, depth: usize, errors: &mut Vec<String>) -> mlua::Result<Reply> {
    Ok(match value {
        Value::String(text) => Reply::Bulk(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(number) => Reply::Int(*number),
        Value::Number(number) => Reply::Int(floats::to_i64(*number)),
        Value::Boolean(yes) if protocol >= 3 => Reply::Bool(*yes),
        Value::Boolean(true) => Reply::Int(1),
        Value::Table(_) if depth == 0 => Reply::Error("ERR reached lua stack limit".to_owned()),
        Value::Table(table) => table_reply(table, protocol, depth - 1, errors)?,
        _ => Reply::Null,
    })
}

fn table_reply(table: &Table, protocol: u8, depth: usize, errors: &mut Vec<String>) -> mlua::Result<Reply> {
    if let Some(line) = error_text(table) {
        if !is_counted(table) {
            errors.push(line.clone());
        }
        return Ok(Reply::Error(line));
    }
    if let Value::String(text) = table.raw_get("ok")? {
        return Ok(Reply::Status(text.to_string_lossy().into()));
    }
    match table.raw_get("double")? {
        Value::Number(number) => return Ok(Reply::Double(number)),
        #[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
        Value::Integer(number) => return Ok(Reply::Double(number as f64)),
        _ => {}
    }
    if let Value::Table(map) = table.raw_get("map")? {
        let pairs = map.pairs::<Value, Value>().map(|pair| {
            let (key, value) = pair?;
            Ok((reply_at(&key, protocol, depth, errors)?, reply_at(&value, protocol, depth, errors)?))
        });
        return Ok(Reply::Map(pairs.collect::<mlua::Result<_>>()?));
    }
    if let Value::Table(set) = table.raw_get("set")? {
        let items = set.pairs::<Value, Value>().map(|pair| reply_at(&pair?.0, protocol, depth, errors));
        return Ok(Reply::Set(items.collect::<mlua::Result<_>>()?));
    }
    if let Value::String(digits) = table.raw_get("big_number")? {
        return Ok(Reply::BigNumber(Bytes::copy_from_slice(&digits.as_bytes())));
    }
    if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
        && let (Value::String(text), Value::String(format)) =
            (verbatim.raw_get("string")?, verbatim.raw_get("format")?)
    {
        let copy = |text: &mlua::LuaString| Bytes::copy_from_slice(&text.as_bytes());
        return Ok(Reply::Verbatim(copy(&format), copy(&text)));
    }
    let mut items = Vec::new();
    loop {
        match table.raw_get::<Value>(items.len() + 1)? {
            Value::Nil => return Ok(Reply::Array(items)),
            item => items.push(reply_at(&item, protocol, depth, errors)?),
        }
    }
}

/// The error line of a table that stands for an error.
pub(super) fn error_text(table: &Table) -> Option<String> {
    let Ok(Value::String(text)) = table.raw_get("err") else { return None };
    Some(text.to_string_lossy())
}

/// Whether an error says that it was counted when it happened.
pub(super) fn is_counted(table: &Table) -> bool {
    matches!(table.raw_get("ignore_error_stats_update"), Ok(Value::Boolean(true)))
}

/// A field as text, if it is a string or a number.
pub(super) fn text_field(table: &Table, name: &str) -> Option<String> {
    let value = table.raw_get::<Value>(name).ok()?;
    args::bytes(&value).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The words of a command; the error line says why there is none.
pub(super) fn to_arguments(values: &MultiValue) -> Result<Vec<Bytes>, &'static str> {
    if values.is_empty() {
        return Err("ERR Please specify at least one argument for this redis lib call");
    }
    let words: Option<Vec<Bytes>> = values.iter().map(to_argument).collect();
    words.ok_or("ERR Lua redis lib command arguments must be strings or integers")
}

fn to_argument(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => Some(Bytes::copy_from_slice(&text.as_bytes())),
        #[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
        Value::Integer(number) => Some(Bytes::from(floats::general(*number as f64, 17))),
        Value::Number(number) => Some(Bytes::from(floats::general(*number, 17))),
        _ => None,
    }
}
