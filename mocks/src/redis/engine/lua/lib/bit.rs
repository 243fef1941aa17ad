//! `bit`: operations on numbers as 32 bits (LuaBitOp 1.0.2).
//!
//! A number is reduced modulo 2^32, fractions rounded to even; a result is signed.

use mlua::{Lua, MultiValue, Table, Value};

use crate::redis::engine::lua::args::{Args, number};

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let bit = lua.create_table()?;
    one(lua, &bit, "tobit", |bits| bits)?;
    one(lua, &bit, "bnot", |bits| !bits)?;
    one(lua, &bit, "bswap", u32::swap_bytes)?;
    fold(lua, &bit, "band", |left, right| left & right)?;
    fold(lua, &bit, "bor", |left, right| left | right)?;
    fold(lua, &bit, "bxor", |left, right| left ^ right)?;
    shift(lua, &bit, "lshift", |bits, by| bits << by)?;
    shift(lua, &bit, "rshift", |bits, by| bits >> by)?;
    shift(lua, &bit, "arshift", |bits, by| (bits.cast_signed() >> by).cast_unsigned())?;
    shift(lua, &bit, "rol", u32::rotate_left)?;
    shift(lua, &bit, "ror", u32::rotate_right)?;
    bit.raw_set("tohex", lua.create_function(tohex)?)?;
    Ok(bit)
}

fn one(lua: &Lua, bit: &Table, name: &str, apply: fn(u32) -> u32) -> mlua::Result<()> {
    let run = move |lua: &Lua, args: MultiValue| Ok(signed(apply(bits(&Args::new(lua, args), 1)?)));
    bit.raw_set(name, lua.create_function(run)?)
}

fn fold(lua: &Lua, bit: &Table, name: &str, apply: fn(u32, u32) -> u32) -> mlua::Result<()> {
    let run = move |lua: &Lua, args: MultiValue| {
        let args = Args::new(lua, args);
        // From the last on, which decides what argument an error is about.
        let first = bits(&args, 1)?;
        (2..=args.len()).rev().try_fold(first, |left, at| Ok(apply(left, bits(&args, at)?))).map(signed)
    };
    bit.raw_set(name, lua.create_function(run)?)
}

fn shift(lua: &Lua, bit: &Table, name: &str, apply: fn(u32, u32) -> u32) -> mlua::Result<()> {
    let run = move |lua: &Lua, args: MultiValue| {
        let args = Args::new(lua, args);
        Ok(signed(apply(bits(&args, 1)?, bits(&args, 2)? & 31)))
    };
    bit.raw_set(name, lua.create_function(run)?)
}

/// The lowest digits in hexadecimal; a negative count gives capital letters.
fn tohex(lua: &Lua, args: MultiValue) -> mlua::Result<String> {
    let args = Args::new(lua, args);
    let value = bits(&args, 1)?;
    let count = if args.len() < 2 { 8 } else { bits(&args, 2)?.cast_signed() };
    let digits = usize::try_from(count.unsigned_abs().min(8)).unwrap_or(8);
    let all = if count < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    Ok(all[8 - digits..].to_owned())
}

fn bits(args: &Args<'_>, at: usize) -> mlua::Result<u32> {
    // Adding this leaves the number's integer part in the lowest bits of the double.
    const SHIFTER: f64 = 6_755_399_441_055_744.0;
    let value = number(args.get_or_nil(at));
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let bits = (value.unwrap_or(0.0) + SHIFTER).to_bits() as u32;
    if value.is_none() { args.refuse_type(at, "number") } else { Ok(bits) }
}

fn signed(bits: u32) -> Value {
    Value::Number(f64::from(bits.cast_signed()))
}
