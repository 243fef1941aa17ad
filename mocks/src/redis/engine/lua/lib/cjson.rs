//! `cjson`: encodes tables as JSON, and the settings of both directions (lua-cjson 2.1.0).
//!
//! A table is an array if all its keys are positive integers, else an object; an empty table is an object.
//! Strings are bytes: no encoding is checked. Each `cjson.new()` has settings of its own.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Lua, MultiValue, Table, Value};

use super::{STACK_SLOTS, cjson_decode};
use crate::redis::engine::lua::args::{Args, number, throw, type_name};
use crate::redis::engine::lua::floats;

/// What the configuration functions set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    sparse_to_object: bool,
    /// 0: any array may be sparse; else how many times longer than its count of items one may be.
    sparse_ratio: i32,
    /// Arrays up to this length may always be sparse.
    sparse_safe: i32,
    encode_depth: i32,
    precision: i32,
    keep_buffer: bool,
    encode_invalid: Invalid,
    pub(super) decode_depth: i32,
    pub(super) decode_invalid: bool,
}

/// What becomes of infinities and what is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invalid {
    Refused,
    Written,
    Null,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse_to_object: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: Invalid::Refused,
            decode_depth: 1000,
            decode_invalid: true,
        }
    }
}

type Shared = Arc<Mutex<Settings>>;

/// Bytes of JSON one call may make.
const ENCODED_BYTES: usize = 256 * 1024 * 1024;

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let settings = Shared::default();
    let library = lua.create_table()?;
    type Run = fn(&Args<'_>, &mut Settings) -> mlua::Result<MultiValue>;
    // In the order of the C library, which decides the order of `pairs`.
    let functions: [(&str, Run); 9] = [
        ("encode", encode),
        ("decode", cjson_decode::decode),
        ("encode_sparse_array", encode_sparse_array),
        ("encode_max_depth", |args, set| integer_setting(args, &mut set.encode_depth, 1, i32::MAX)),
        ("decode_max_depth", |args, set| integer_setting(args, &mut set.decode_depth, 1, i32::MAX)),
        ("encode_number_precision", |args, set| integer_setting(args, &mut set.precision, 1, 14)),
        ("encode_keep_buffer", |args, set| bool_setting(args, &mut set.keep_buffer)),
        ("encode_invalid_numbers", encode_invalid_numbers),
        ("decode_invalid_numbers", |args, set| bool_setting(args, &mut set.decode_invalid)),
    ];
    for (name, run) in functions {
        let settings = Arc::clone(&settings);
        let function = lua.create_function(move |lua, args: MultiValue| {
            let mut settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
            run(&Args::new(lua, args), &mut settings)
        })?;
        library.raw_set(name, function)?;
    }
    library.raw_set("new", lua.create_function(|lua, _: MultiValue| self::library(lua))?)?;
    library.raw_set("null", Value::NULL)?;
    library.raw_set("_NAME", "cjson")?;
    library.raw_set("_VERSION", "2.1.0")?;
    Ok(library)
}

/// Work left to be done, the next thing last. A nested table is named by its place in the outer one, since the
/// binding can hold only some thousands of tables at a time.
enum Work {
    Text(Vec<u8>),
    Table { outer: Rc<Table>, key: Key, depth: usize, slots: usize },
}

/// Where a table is in another.
enum Key {
    Number(f64),
    Text(Vec<u8>),
}

fn encode(args: &Args<'_>, settings: &mut Settings) -> mlua::Result<MultiValue> {
    if args.len() != 1 {
        return args.refuse(1, "expected 1 argument");
    }
    let lua = args.lua();
    let encoder = Encoder { lua, settings };
    let (mut out, mut work) = (Vec::new(), Vec::new());
    match args.get_or_nil(1) {
        Value::Table(table) => encoder.table(&Rc::new(table.clone()), 1, 1, &mut work)?,
        other => encoder.scalar(other, text_of(&mut work))?,
    }
    work.reverse();
    while let Some(next) = work.pop() {
        match next {
            Work::Text(text) => out.extend(text),
            Work::Table { outer, key, depth, slots } => {
                let inner: Table = match key {
                    Key::Number(key) => outer.raw_get(key)?,
                    Key::Text(key) => outer.raw_get(lua.create_string(key)?)?,
                };
                drop(outer);
                let mut parts = Vec::new();
                encoder.table(&Rc::new(inner), depth, slots, &mut parts)?;
                work.extend(parts.into_iter().rev());
            }
        }
        if out.len() > ENCODED_BYTES {
            return throw(lua, "not enough memory");
        }
    }
    Ok(MultiValue::from_vec(vec![Value::String(lua.create_string(out)?)]))
}

struct Encoder<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
}

impl Encoder<'_> {
    /// Writes a value that is no table.
    fn scalar(&self, value: &Value, out: &mut Vec<u8>) -> mlua::Result<()> {
        match value {
            Value::String(text) => string(&text.as_bytes(), out),
            Value::Integer(_) | Value::Number(_) => self.number(value, out)?,
            Value::Boolean(true) => out.extend(b"true"),
            Value::Boolean(false) => out.extend(b"false"),
            Value::Nil => out.extend(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => out.extend(b"null"),
            other => return self.refuse(other, "type not supported"),
        }
        Ok(())
    }

    fn table(&self, table: &Rc<Table>, depth: usize, slots: usize, out: &mut Vec<Work>) -> mlua::Result<()> {
        let deepest = usize::try_from(self.settings.encode_depth).unwrap_or(usize::MAX);
        // As the C library does, each level needs a few slots of Lua's stack.
        if depth > deepest || slots + 3 > STACK_SLOTS {
            return throw(self.lua, &format!("Cannot serialise, excessive nesting ({depth})"));
        }
        match self.array_length(table)? {
            Some(length) if length > 0 => {
                text_of(out).push(b'[');
                for at in 1..=length {
                    if at > 1 {
                        text_of(out).push(b',');
                    }
                    match table.raw_get(at)? {
                        Value::Table(_) => out.push(Work::Table {
                            outer: Rc::clone(table),
                            key: Key::Number(at.into()),
                            depth: depth + 1,
                            slots: slots + 1,
                        }),
                        value => self.scalar(&value, text_of(out))?,
                    }
                    if text_of(out).len() > ENCODED_BYTES {
                        return throw(self.lua, "not enough memory");
                    }
                }
                text_of(out).push(b']');
            }
            _ => self.object(table, depth, slots, out)?,
        }
        Ok(())
    }

    fn object(&self, table: &Rc<Table>, depth: usize, slots: usize, out: &mut Vec<Work>) -> mlua::Result<()> {
        text_of(out).push(b'{');
        let mut is_first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !std::mem::take(&mut is_first) {
                text_of(out).push(b',');
            }
            match &key {
                Value::String(text) => string(&text.as_bytes(), text_of(out)),
                Value::Integer(_) | Value::Number(_) => {
                    text_of(out).push(b'"');
                    self.number(&key, text_of(out))?;
                    text_of(out).push(b'"');
                }
                other => return self.refuse(other, "table key must be a number or string"),
            }
            text_of(out).push(b':');
            if value.is_table() {
                let key = match &key {
                    Value::String(text) => Key::Text(text.as_bytes().to_vec()),
                    key => Key::Number(number(key).unwrap_or_default()),
                };
                let outer = Rc::clone(table);
                out.push(Work::Table { outer, key, depth: depth + 1, slots: slots + 2 });
            } else {
                self.scalar(&value, text_of(out))?;
            }
        }
        text_of(out).push(b'}');
        Ok(())
    }

    /// The length of a table that is an array.
    fn array_length(&self, table: &Table) -> mlua::Result<Option<i32>> {
        let (mut longest, mut items) = (0_i32, 0_i32);
        for pair in table.pairs::<Value, Value>() {
            let (key, _) = pair?;
            let is_number = matches!(key, Value::Integer(_) | Value::Number(_));
            let at = number(&key).filter(|at| is_number && *at >= 1.0 && at.floor() == *at);
            let Some(at) = at else { return Ok(None) };
            if at > f64::from(longest) {
                #[expect(clippy::cast_possible_truncation, reason = "C's cast to int on x86-64")]
                let cast = if at < 2_147_483_648.0 { at as i32 } else { i32::MIN };
                longest = cast;
            }
            items = items.saturating_add(1);
        }
        let settings = self.settings;
        if settings.sparse_ratio > 0
            && longest > items.saturating_mul(settings.sparse_ratio)
            && longest > settings.sparse_safe
        {
            if !settings.sparse_to_object {
                return throw(self.lua, "Cannot serialise table: excessively sparse array");
            }
            return Ok(None);
        }
        Ok(Some(longest))
    }

    fn number(&self, value: &Value, out: &mut Vec<u8>) -> mlua::Result<()> {
        let number = number(value).unwrap_or_default();
        match self.settings.encode_invalid {
            Invalid::Refused if !number.is_finite() => {
                return self.refuse(value, "must not be NaN or Inf");
            }
            Invalid::Written if number.is_nan() => out.extend(b"nan"),
            Invalid::Null if !number.is_finite() => out.extend(b"null"),
            _ => {
                let precision = usize::try_from(self.settings.precision).unwrap_or(14);
                out.extend(floats::general(number, precision).bytes());
            }
        }
        Ok(())
    }

    fn refuse<T>(&self, value: &Value, why: &str) -> mlua::Result<T> {
        throw(self.lua, &format!("Cannot serialise {}: {why}", type_name(value)))
    }
}

/// The text at the end of the work.
fn text_of(work: &mut Vec<Work>) -> &mut Vec<u8> {
    if !matches!(work.last(), Some(Work::Text(_))) {
        work.push(Work::Text(Vec::new()));
    }
    match work.last_mut() {
        Some(Work::Text(text)) => text,
        _ => unreachable!("a text was pushed if there was none"),
    }
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in bytes {
        match byte {
            b'"' => out.extend(b"\\\""),
            b'\\' => out.extend(b"\\\\"),
            b'/' => out.extend(b"\\/"),
            0x08 => out.extend(b"\\b"),
            b'\t' => out.extend(b"\\t"),
            b'\n' => out.extend(b"\\n"),
            0x0c => out.extend(b"\\f"),
            b'\r' => out.extend(b"\\r"),
            0..0x20 | 0x7f => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

fn encode_sparse_array(args: &Args<'_>, settings: &mut Settings) -> mlua::Result<MultiValue> {
    refuse_more_than(args, 3)?;
    let convert = choice(args, 1, settings.sparse_to_object.into(), &["off", "on"])?;
    settings.sparse_to_object = convert == 1;
    integer(args, 2, &mut settings.sparse_ratio, 0, i32::MAX)?;
    integer(args, 3, &mut settings.sparse_safe, 0, i32::MAX)?;
    Ok(MultiValue::from_vec(vec![
        Value::Boolean(settings.sparse_to_object),
        Value::Integer(settings.sparse_ratio.into()),
        Value::Integer(settings.sparse_safe.into()),
    ]))
}

fn encode_invalid_numbers(args: &Args<'_>, settings: &mut Settings) -> mlua::Result<MultiValue> {
    refuse_more_than(args, 1)?;
    const CHOICES: [Invalid; 3] = [Invalid::Refused, Invalid::Written, Invalid::Null];
    let now = CHOICES.iter().position(|choice| *choice == settings.encode_invalid).unwrap_or(0);
    let chosen = choice(args, 1, now, &["off", "on", "null"])?;
    settings.encode_invalid = CHOICES[chosen];
    let shown = match settings.encode_invalid {
        Invalid::Null => Value::String(args.lua().create_string("null")?),
        other => Value::Boolean(other == Invalid::Written),
    };
    Ok(MultiValue::from_vec(vec![shown]))
}

fn integer_setting(args: &Args<'_>, setting: &mut i32, low: i32, high: i32) -> mlua::Result<MultiValue> {
    refuse_more_than(args, 1)?;
    integer(args, 1, setting, low, high)?;
    Ok(MultiValue::from_vec(vec![Value::Integer((*setting).into())]))
}

fn bool_setting(args: &Args<'_>, setting: &mut bool) -> mlua::Result<MultiValue> {
    refuse_more_than(args, 1)?;
    *setting = choice(args, 1, (*setting).into(), &["off", "on"])? == 1;
    Ok(MultiValue::from_vec(vec![Value::Boolean(*setting)]))
}

fn refuse_more_than(args: &Args<'_>, most: usize) -> mlua::Result<()> {
    if args.len() > most { args.refuse(most + 1, "found too many arguments") } else { Ok(()) }
}

fn integer(args: &Args<'_>, at: usize, setting: &mut i32, low: i32, high: i32) -> mlua::Result<()> {
    if args.get_or_nil(at).is_nil() {
        return Ok(());
    }
    #[expect(clippy::cast_possible_truncation, reason = "C's cast to int")]
    let value = args.integer(at)? as i32;
    if !(low..=high).contains(&value) {
        return args.refuse(1, &format!("expected integer between {low} and {high}"));
    }
    *setting = value;
    Ok(())
}

/// The position of the option an argument names; a truth value is the first or the second.
fn choice(args: &Args<'_>, at: usize, now: usize, options: &[&str]) -> mlua::Result<usize> {
    match args.get_or_nil(at) {
        Value::Nil => Ok(now),
        Value::Boolean(yes) => Ok((*yes).into()),
        _ => {
            let name = args.bytes(at)?;
            match options.iter().position(|option| option.as_bytes() == &name[..]) {
                Some(chosen) => Ok(chosen),
                None => args.refuse(at, &format!("invalid option '{}'", String::from_utf8_lossy(&name))),
            }
        }
    }
}
