//! `cmsgpack.unpack` and its kin: MessagePack as Lua values (lua-cmsgpack 0.4.0).
//!
//! Unsigned integers of 64 bits come out as signed ones, as in the C library. Extension types and `bin` are
//! not known to it.

use bytes::Bytes;
use mlua::{Lua, MultiValue, Table, Value};

use super::STACK_SLOTS;
use crate::redis::engine::lua::args::{Args, throw, throw_bare};

pub(super) fn unpack(lua: &Lua, args: MultiValue) -> mlua::Result<MultiValue> {
    unpack_full(&Args::new(lua, args), 0, 0)
}

pub(super) fn unpack_one(lua: &Lua, args: MultiValue) -> mlua::Result<MultiValue> {
    let args = Args::new(lua, args);
    let offset = args.integer_or(2, 0)?;
    unpack_full(&args, 1, offset)
}

pub(super) fn unpack_limit(lua: &Lua, args: MultiValue) -> mlua::Result<MultiValue> {
    let args = Args::new(lua, args);
    let limit = args.integer(2)?;
    let offset = args.integer_or(3, 0)?;
    unpack_full(&args, limit, offset)
}

/// Unpacks up to `limit` values from `offset` on, preceded by where to go on; or all, if both are 0.
fn unpack_full(args: &Args<'_>, limit: i64, offset: i64) -> mlua::Result<MultiValue> {
    let lua = args.lua();
    let data = args.bytes(1)?;
    let length = data.len();
    #[expect(clippy::cast_possible_truncation, reason = "C's cast to int, for the text")]
    let shown = offset as i32;
    let (Ok(start), Ok(mut most)) = (usize::try_from(offset), usize::try_from(limit)) else {
        let text = format!("Invalid request to unpack with offset of {shown} and limit of {length}.");
        return throw(lua, &text);
    };
    if start > length {
        return throw(lua, &format!("Start offset {shown} greater than input length {length}."));
    }
    let all = limit == 0 && offset == 0;
    if all {
        most = usize::MAX;
    }
    let mut decoder = Decoder { lua, data: &data, at: start, open: lua.create_table()? };
    let mut values = Vec::new();
    while decoder.at < length && values.len() < most {
        values.push(decoder.value(values.len() + 1)?);
    }
    if !all {
        let end = if decoder.at == length { -1 } else { i64::try_from(decoder.at).unwrap_or(i64::MAX) };
        values.insert(0, Value::Integer(end));
    }
    Ok(MultiValue::from_vec(values))
}

struct Decoder<'a> {
    lua: &'a Lua,
    data: &'a Bytes,
    at: usize,
    /// Tables and keys of the containers under way, by depth, in a table: the binding can hold only some
    /// thousands of values.
    open: Table,
}

/// A container whose values are not all there yet.
struct Open {
    /// Values, or pairs of them, to come.
    left: usize,
    /// Values of an array so far; `None` in a map.
    index: Option<usize>,
    /// Whether the key of the value under way in a map is there.
    has_key: bool,
}

/// One thing in the input.
enum Item {
    Value(Value),
    Array(usize),
    Map(usize),
}

impl Decoder<'_> {
    /// The next value, `used` slots of Lua's stack being taken before it.
    fn value(&mut self, used: usize) -> mlua::Result<Value> {
        let mut open: Vec<Open> = Vec::new();
        let mut slots = used;
        loop {
            let item = self.item(slots)?;
            let mut value = match item {
                Item::Value(value) => value,
                Item::Array(0) | Item::Map(0) => Value::Table(self.lua.create_table()?),
                Item::Array(left) | Item::Map(left) => {
                    let index = matches!(item, Item::Array(_)).then_some(0);
                    open.push(Open { left, index, has_key: false });
                    self.open.raw_set(2 * open.len(), self.lua.create_table()?)?;
                    slots += if index.is_some() { 2 } else { 1 };
                    if index.is_some() && slots + 1 > STACK_SLOTS {
                        return throw(self.lua, "stack overflow (in function mp_decode_to_lua_array)");
                    }
                    continue;
                }
            };
            loop {
                let depth = open.len();
                let Some(outer) = open.last_mut() else { return Ok(value) };
                let table: Table = self.open.raw_get(2 * depth)?;
                if !self.place(outer, &table, depth, value, &mut slots)? {
                    break;
                }
                slots -= if outer.index.is_some() { 2 } else { 1 };
                open.pop();
                value = Value::Table(table);
            }
        }
    }

    /// Puts a value into its container; whether that was the last.
    fn place(
        &self,
        outer: &mut Open,
        table: &Table,
        depth: usize,
        value: Value,
        slots: &mut usize,
    ) -> mlua::Result<bool> {
        if let Some(index) = outer.index.as_mut() {
            *index += 1;
            table.raw_set(*index, value)?;
        } else if !outer.has_key {
            outer.has_key = true;
            self.open.raw_set(2 * depth + 1, value)?;
            *slots += 1;
            return Ok(false);
        } else {
            match self.open.raw_get::<Value>(2 * depth + 1)? {
                Value::Nil => return throw_bare("table index is nil"),
                Value::Number(key) if key.is_nan() => return throw_bare("table index is NaN"),
                key => table.raw_set(key, value)?,
            }
            outer.has_key = false;
            *slots -= 1;
        }
        outer.left -= 1;
        Ok(outer.left == 0)
    }

    fn item(&mut self, slots: usize) -> mlua::Result<Item> {
        let mark = self.take(1)?[0];
        if slots + 1 > STACK_SLOTS {
            let text =
                "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)";
            return throw(self.lua, text);
        }
        #[expect(clippy::cast_precision_loss, reason = "Lua 5.1 has no other numbers")]
        let integer = |value: i64| Ok(Item::Value(Value::Number(value as f64)));
        match mark {
            0..0x80 => integer(mark.into()),
            0x80..0x90 => Ok(Item::Map((mark & 0xf).into())),
            0x90..0xa0 => Ok(Item::Array((mark & 0xf).into())),
            0xa0..0xc0 => self.string((mark & 0x1f).into()),
            0xc0 => Ok(Item::Value(Value::Nil)),
            0xc2 | 0xc3 => Ok(Item::Value(Value::Boolean(mark == 0xc3))),
            0xca => {
                let value = f32::from_bits(self.bits(4)? as u32);
                Ok(Item::Value(Value::Number(value.into())))
            }
            0xcb => Ok(Item::Value(Value::Number(f64::from_bits(self.bits(8)?)))),
            0xcc => integer(self.bits(1)?.cast_signed()),
            0xcd => integer(self.bits(2)?.cast_signed()),
            0xce => integer(self.bits(4)?.cast_signed()),
            0xcf | 0xd3 => integer(self.bits(8)?.cast_signed()),
            0xd0 => integer((self.bits(1)? as u8).cast_signed().into()),
            0xd1 => integer((self.bits(2)? as u16).cast_signed().into()),
            0xd2 => integer((self.bits(4)? as u32).cast_signed().into()),
            0xd9..=0xdb => {
                let length = self.bits(1 << (mark - 0xd9))?;
                self.string(usize::try_from(length).unwrap_or(usize::MAX))
            }
            0xdc..=0xdf => {
                let count = self.bits(2 << (mark & 1))?;
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                Ok(if mark < 0xde { Item::Array(count) } else { Item::Map(count) })
            }
            0xe0.. => integer(mark.cast_signed().into()),
            _ => throw(self.lua, "Bad data format in input."),
        }
    }

    fn string(&mut self, length: usize) -> mlua::Result<Item> {
        let text = self.take(length)?;
        Ok(Item::Value(Value::String(self.lua.create_string(text)?)))
    }

    fn bits(&mut self, count: usize) -> mlua::Result<u64> {
        Ok(self.take(count)?.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }

    fn take(&mut self, count: usize) -> mlua::Result<Bytes> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.data.len());
        let Some(end) = end else { return throw(self.lua, "Missing bytes in input.") };
        let taken = self.data.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }
}
