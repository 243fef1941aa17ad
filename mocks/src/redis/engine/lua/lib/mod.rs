//! The libraries Redis adds to Lua: `bit`, `cjson`, `cmsgpack` and `struct`.
//!
//! They behave as the versions in Redis 7.0 (LuaBitOp 1.0.2, lua-cjson 2.1.0, lua-cmsgpack 0.4.0 and the
//! `struct` of 2018), error texts included. None recurses over data of a script, so no data can exhaust the
//! stack; depths end where those of the C libraries do.

mod bit;
mod cjson;
mod cjson_decode;
mod cmsgpack;
mod cmsgpack_decode;
mod structs;

use mlua::{Lua, Table};

/// All libraries by name.
pub(super) fn all(lua: &Lua) -> mlua::Result<Table> {
    let libraries = lua.create_table()?;
    libraries.raw_set("bit", bit::library(lua)?)?;
    libraries.raw_set("cjson", cjson::library(lua)?)?;
    libraries.raw_set("cmsgpack", cmsgpack::library(lua)?)?;
    libraries.raw_set("struct", structs::library(lua)?)?;
    Ok(libraries)
}

/// Slots of Lua's stack that a C function may use (`LUAI_MAXCSTACK`); it bounds depths and counts of results.
const STACK_SLOTS: usize = 8000;
