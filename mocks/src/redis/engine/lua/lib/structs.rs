//! `struct`: packs numbers and strings as C lays them out on x86-64.
//!
//! Formats: `>` `<` byte order, `!n` alignment, `b` `h` `i[n]` `l` signed and `B` `H` `I[n]` `L` `T` unsigned
//! integers, `f` `d` floats, `cn` characters, `s` a string that ends in a zero, `x` padding.

use bytes::Bytes;
use mlua::{Lua, MultiValue, Table, Value};

use super::STACK_SLOTS;
use crate::redis::engine::lua::args::{Args, throw};
use crate::redis::engine::lua::floats;

/// Largest integer, in bytes, and alignment, that formats may ask for.
const INTEGER_BYTES: usize = 32;
const NATURAL_ALIGNMENT: usize = 8;
/// Bytes one `pack` may make: beyond it Lua has no string either.
const PACKED_BYTES: usize = 256 * 1024 * 1024;

pub(super) fn library(lua: &Lua) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("pack", lua.create_function(pack)?)?;
    library.raw_set("unpack", lua.create_function(unpack)?)?;
    library.raw_set("size", lua.create_function(size)?)?;
    Ok(library)
}

/// Reads a format, option by option.
struct Format<'a> {
    args: &'a Args<'a>,
    text: Bytes,
    at: usize,
    little: bool,
    align: usize,
}

/// An option and the bytes of its value.
struct Step {
    option: u8,
    size: usize,
}

impl<'a> Format<'a> {
    fn new(args: &'a Args<'a>) -> mlua::Result<Self> {
        let text = args.bytes(1)?;
        Ok(Self { args, text, at: 0, little: true, align: 1 })
    }

    fn next(&mut self) -> mlua::Result<Option<Step>> {
        // As in C, a zero ends the format.
        let Some(option) = self.text.get(self.at).copied().filter(|byte| *byte != 0) else { return Ok(None) };
        self.at += 1;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > INTEGER_BYTES {
                    let text = format!("integral size {size} is larger than limit of {INTEGER_BYTES}");
                    return throw(self.args.lua(), &text);
                }
                size
            }
            _ => 0,
        };
        Ok(Some(Step { option, size }))
    }

    fn number(&mut self, default: usize) -> mlua::Result<usize> {
        let digit = |at: usize| self.text.get(at).filter(|byte| byte.is_ascii_digit()).copied();
        let mut number: Option<i32> = None;
        while let Some(byte) = digit(self.at) {
            let next =
                number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(i32::from(byte - b'0')));
            let Some(next) = next else { return throw(self.args.lua(), "integral size overflow") };
            number = Some(next);
            self.at += 1;
        }
        Ok(number.and_then(|number| usize::try_from(number).ok()).unwrap_or(default))
    }

    /// Bytes of padding before a value at `position`.
    fn padding(&self, position: usize, step: &Step) -> usize {
        if step.size == 0 || step.option == b'c' {
            return 0;
        }
        let size = step.size.min(self.align);
        size.wrapping_sub(position & (size - 1)) & (size - 1)
    }

    /// An option that has no value.
    fn control(&mut self, option: u8) -> mlua::Result<()> {
        match option {
            b' ' => {}
            b'>' => self.little = false,
            b'<' => self.little = true,
            b'!' => {
                let align = self.number(NATURAL_ALIGNMENT)?;
                if !align.is_power_of_two() {
                    return throw(self.args.lua(), &format!("alignment {align} is not a power of 2"));
                }
                self.align = align;
            }
            other => {
                let shown = char::from(other);
                return self.args.refuse(1, &format!("invalid format option '{shown}'"));
            }
        }
        Ok(())
    }
}

fn pack(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let args = Args::new(lua, args);
    let mut format = Format::new(&args)?;
    let mut out = Vec::new();
    let mut argument = 2;
    while let Some(step) = format.next()? {
        out.resize(out.len() + format.padding(out.len(), &step), 0);
        match step.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let value = number(&args, argument)?;
                argument += 1;
                put_integer(&mut out, value, step.size, format.little);
            }
            b'x' => out.push(0),
            b'f' => {
                #[expect(clippy::cast_possible_truncation, reason = "C's cast to float")]
                let value = number(&args, argument)? as f32;
                argument += 1;
                out.extend(if format.little { value.to_le_bytes() } else { value.to_be_bytes() });
            }
            b'd' => {
                let value = number(&args, argument)?;
                argument += 1;
                out.extend(if format.little { value.to_le_bytes() } else { value.to_be_bytes() });
            }
            b'c' | b's' => {
                let text = string(&args, argument)?;
                argument += 1;
                let size = if step.size == 0 { text.len() } else { step.size };
                let Some(text) = text.get(..size) else { return args.refuse(argument, "string too short") };
                out.extend_from_slice(text);
                if step.option == b's' {
                    out.push(0);
                }
            }
            option => format.control(option)?,
        }
        if out.len() > PACKED_BYTES {
            return throw(lua, "not enough memory");
        }
    }
    lua.create_string(out).map(Value::String)
}

/// A number to pack. The C library has a `nil` after the arguments, so a missing one is no absent value.
fn number(args: &Args<'_>, at: usize) -> mlua::Result<f64> {
    if at == args.len() + 1 { args.refuse(at, "number expected, got nil") } else { args.number(at) }
}

fn string(args: &Args<'_>, at: usize) -> mlua::Result<Bytes> {
    if at == args.len() + 1 { args.refuse(at, "string expected, got nil") } else { args.bytes(at) }
}

fn put_integer(out: &mut Vec<u8>, number: f64, size: usize, little: bool) {
    let value = if number < 0.0 { floats::to_i64(number).cast_unsigned() } else { floats::to_u64(number) };
    let mut bytes = [0_u8; INTEGER_BYTES];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    let bytes = &mut bytes[..size];
    if !little {
        bytes.reverse();
    }
    out.extend_from_slice(bytes);
}

fn unpack(lua: &Lua, args: MultiValue) -> mlua::Result<MultiValue> {
    let args = Args::new(lua, args);
    let mut format = Format::new(&args)?;
    let data = args.bytes(2)?;
    let start = args.integer_or(3, 1)?;
    let Some(mut at) = usize::try_from(start.cast_unsigned()).ok().and_then(|start| start.checked_sub(1))
    else {
        return args.refuse(3, "offset must be 1 or greater");
    };
    let mut results: Vec<Value> = Vec::new();
    while let Some(step) = format.next()? {
        at = at.wrapping_add(format.padding(at, &step));
        let Some(rest) = slice(&data, at, step.size) else { return args.refuse(2, "data string too short") };
        if results.len() + args.len() + 2 > STACK_SLOTS {
            return throw(lua, "stack overflow (too many results)");
        }
        let mut size = step.size;
        match step.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let signed = step.option.is_ascii_lowercase();
                results.push(Value::Number(take_integer(rest, format.little, signed)));
            }
            b'x' => {}
            b'f' => {
                results.push(Value::Number(f64::from(f32::from_bits(take_bits(rest, format.little) as u32))))
            }
            b'd' => results.push(Value::Number(f64::from_bits(take_bits(rest, format.little)))),
            b'c' => {
                let mut text = rest;
                if size == 0 {
                    let Some(length) =
                        results.pop().as_ref().and_then(crate::redis::engine::lua::args::number)
                    else {
                        return throw(lua, "format 'c0' needs a previous size");
                    };
                    size = usize::try_from(floats::to_u64(length)).unwrap_or(usize::MAX);
                    let Some(found) = slice(&data, at, size) else {
                        return args.refuse(2, "data string too short");
                    };
                    text = found;
                }
                results.push(Value::String(lua.create_string(text)?));
            }
            b's' => {
                let tail = &data[at..];
                let Some(length) = tail.iter().position(|byte| *byte == 0) else {
                    return throw(lua, "unfinished string in data");
                };
                results.push(Value::String(lua.create_string(&tail[..length])?));
                size = length + 1;
            }
            option => format.control(option)?,
        }
        at += size;
    }
    #[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
    results.push(Value::Number((at as u64).wrapping_add(1).cast_signed() as f64));
    Ok(MultiValue::from_vec(results))
}

fn slice(data: &Bytes, at: usize, size: usize) -> Option<&[u8]> {
    data.get(at..at.checked_add(size)?)
}

/// The lowest 64 bits of an integer.
fn take_bits(bytes: &[u8], little: bool) -> u64 {
    let join = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
    if little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
}

#[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
fn take_integer(bytes: &[u8], little: bool, signed: bool) -> f64 {
    let bits = take_bits(bytes, little);
    if !signed {
        return bits as f64;
    }
    // The shift C does, which x86-64 takes modulo 64.
    let by = u32::try_from(bytes.len()).unwrap_or(0).wrapping_mul(8).wrapping_sub(1);
    let mask = u64::MAX.wrapping_shl(by);
    (if bits & mask == 0 { bits } else { bits | mask }).cast_signed() as f64
}

fn size(lua: &Lua, args: MultiValue) -> mlua::Result<Value> {
    let args = Args::new(lua, args);
    let mut format = Format::new(&args)?;
    let mut at = 0_usize;
    while let Some(step) = format.next()? {
        at = at.wrapping_add(format.padding(at, &step));
        match step.option {
            b's' => return args.refuse(1, "option 's' has no fixed size"),
            b'c' if step.size == 0 => return args.refuse(1, "option 'c0' has no fixed size"),
            option if !option.is_ascii_alphanumeric() => format.control(option)?,
            _ => {}
        }
        at = at.wrapping_add(step.size);
    }
    #[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
    Ok(Value::Number(at as f64))
}
