//! `cmsgpack.pack`: Lua values as MessagePack (lua-cmsgpack 0.4.0).
//!
//! A table whose keys are 1 to n is an array, any other a map. Tables nested deeper than 16 levels, and values
//! of other types, are packed as nil. Numbers that are integers are packed as the smallest integer, others as
//! a float where that loses nothing, else as a double.

use mlua::{Lua, MultiValue, Table, Value};

use super::cmsgpack_decode;
use crate::redis::engine::lua::args::{Args, number, throw};
use crate::redis::engine::lua::floats;

/// Levels of tables that are packed.
const NESTING: usize = 16;
/// Bytes one call may make.
const PACKED_BYTES: usize = 256 * 1024 * 1024;

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("pack", lua.create_function(pack)?)?;
    library.raw_set("unpack", lua.create_function(cmsgpack_decode::unpack)?)?;
    library.raw_set("unpack_one", lua.create_function(cmsgpack_decode::unpack_one)?)?;
    library.raw_set("unpack_limit", lua.create_function(cmsgpack_decode::unpack_limit)?)?;
    library.raw_set("_NAME", "cmsgpack")?;
    library.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    library.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    library.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(library)
}

fn pack(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let args = Args::new(lua, args);
    if args.len() == 0 {
        return args.refuse(0, "MessagePack pack needs input.");
    }
    let mut out = Vec::new();
    for at in 1..=args.len() {
        value(lua, args.get_or_nil(at), 0, &mut out)?;
    }
    lua.create_string(out).map(Value::String)
}

fn value(lua: &Lua, value: &Value, level: usize, out: &mut Vec<u8>) -> mlua::Result<()> {
    if out.len() > PACKED_BYTES {
        return throw(lua, "not enough memory");
    }
    match value {
        Value::String(text) => string(&text.as_bytes(), out),
        Value::Boolean(yes) => out.push(if *yes { 0xc3 } else { 0xc2 }),
        Value::Integer(_) | Value::Number(_) => float_or_integer(number(value).unwrap_or_default(), out),
        Value::Table(found) if level < NESTING => table(lua, found, level + 1, out)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

fn table(lua: &Lua, table: &Table, level: usize, out: &mut Vec<u8>) -> mlua::Result<()> {
    let (mut count, mut largest, mut is_array) = (0_usize, 0.0_f64, true);
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        count += 1;
        let at = match key {
            Value::Integer(_) | Value::Number(_) => number(&key).filter(|at| is_index(*at)),
            _ => None,
        };
        match at {
            Some(at) => largest = largest.max(at),
            None => is_array = false,
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "no table has so many entries")]
    let is_array = is_array && largest == count as f64;
    if is_array {
        let length = table.raw_len();
        header(length, 15, [0x90, 0xdc, 0xdd], out);
        for at in 1..=length {
            value(lua, &table.raw_get(at)?, level, out)?;
        }
        return Ok(());
    }
    header(count, 15, [0x80, 0xde, 0xdf], out);
    for pair in table.pairs::<Value, Value>() {
        let (key, item) = pair?;
        value(lua, &key, level, out)?;
        value(lua, &item, level, out)?;
    }
    Ok(())
}

/// Whether a key can be an array's: a positive C `int`.
fn is_index(number: f64) -> bool {
    number > 0.0 && number.floor() == number && number <= f64::from(i32::MAX)
}

/// A count: in the mark itself up to `most`, else after the mark in 2 or 4 bytes.
fn header(count: usize, most: usize, [fixed, two, four]: [u8; 3], out: &mut Vec<u8>) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(small), _) if usize::from(small) <= most => out.push(fixed | small),
        (_, Ok(medium)) => {
            out.push(two);
            out.extend(medium.to_be_bytes());
        }
        _ => {
            out.push(four);
            out.extend(count.to_be_bytes());
        }
    }
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(text.len()) {
        Ok(length @ 32..) => out.extend([0xd9, length]),
        _ => header(text.len(), 31, [0xa0, 0xda, 0xdb], out),
    }
    out.extend_from_slice(text);
}

fn float_or_integer(number: f64, out: &mut Vec<u8>) {
    let as_integer = floats::to_i64(number);
    #[expect(clippy::cast_precision_loss, reason = "compared with what it was made of")]
    let is_integer = as_integer as f64 == number;
    if is_integer {
        return integer(as_integer, out);
    }
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it was made of")]
    let single = number as f32;
    if f64::from(single) == number {
        out.push(0xca);
        out.extend(single.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(number.to_be_bytes());
    }
}

fn integer(number: i64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    // How many of the last bytes hold it, and the marks of signed and unsigned integers of that size.
    let (size, mark) = match number {
        -32..=0x7f => (1, None),
        0x80..=0xff => (1, Some(0xcc)),
        0x100..=0xffff => (2, Some(0xcd)),
        0x1_0000..=0xffff_ffff => (4, Some(0xce)),
        0x1_0000_0000.. => (8, Some(0xcf)),
        -0x80.. => (1, Some(0xd0)),
        -0x8000.. => (2, Some(0xd1)),
        -0x8000_0000.. => (4, Some(0xd2)),
        _ => (8, Some(0xd3)),
    };
    out.extend(mark);
    out.extend_from_slice(&bytes[8 - size..]);
}
