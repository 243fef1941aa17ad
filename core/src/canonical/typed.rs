//! Turns typed values into JSON values, strictly: the producer's side of [`Strict`](super::Strict).
//!
//! `serde_json::to_value` widens single-precision numbers, keeps the last of two equal members and spells
//! bytes as lists of numbers. Each of these would give one value two identities, so they are refused here.

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Map, Number, Value};

use super::{CanonicalError, MAX_DEPTH, is_safe_integer, is_stable_double};

/// The JSON value of `typed`, which is certain to have a canonical form.
///
/// # Errors
/// [`CanonicalError`], with a pointer to the field that has none.
pub fn value_of<T: Serialize + ?Sized>(typed: &T) -> Result<Value, CanonicalError> {
    typed.serialize(Writer { levels: MAX_DEPTH })
}

/// Writes one value that may have this many levels below it.
#[derive(Clone, Copy)]
struct Writer {
    levels: usize,
}

impl Writer {
    fn inner(self) -> Result<Self, CanonicalError> {
        let too_deep = || CanonicalError::TooDeep { at: String::new() };
        Ok(Self { levels: self.levels.checked_sub(1).ok_or_else(too_deep)? })
    }

    fn items(self, variant: Option<&'static str>) -> Result<Items, CanonicalError> {
        let inner = if variant.is_some() { self.inner()? } else { self };
        Ok(Items { items: Vec::new(), variant, inner: inner.inner()? })
    }

    fn members(self, variant: Option<&'static str>) -> Result<Members, CanonicalError> {
        let inner = if variant.is_some() { self.inner()? } else { self };
        Ok(Members { members: Map::new(), name: None, variant, inner: inner.inner()? })
    }
}

/// An array in the making, inside its enum variant if it has one.
struct Items {
    items: Vec<Value>,
    variant: Option<&'static str>,
    inner: Writer,
}

/// An object in the making, inside its enum variant if it has one.
struct Members {
    members: Map<String, Value>,
    name: Option<String>,
    variant: Option<&'static str>,
    inner: Writer,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), CanonicalError> {
        let index = self.items.len();
        self.items.push(item.serialize(self.inner).map_err(|error| error.inside(index))?);
        Ok(())
    }

    fn finish(self) -> Value {
        in_variant(self.variant, Value::Array(self.items))
    }
}

impl Members {
    fn insert<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), CanonicalError> {
        let value = value.serialize(self.inner).map_err(|error| error.inside(name))?;
        match self.members.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(refused(format_args!("the member {name:?} occurs twice in one object"))),
        }
    }

    fn finish(self) -> Value {
        in_variant(self.variant, Value::Object(self.members))
    }
}

fn in_variant(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(name) => Value::Object(Map::from_iter([(name.to_owned(), value)])),
        None => value,
    }
}

fn refused(problem: impl std::fmt::Display) -> CanonicalError {
    CanonicalError::NotJson { problem: problem.to_string() }
}

fn integer(found: i128) -> Result<Value, CanonicalError> {
    match i64::try_from(found) {
        Ok(exact) if is_safe_integer(found) => Ok(Value::from(exact)),
        _ => Err(CanonicalError::UnsafeInteger { at: String::new(), found: found.to_string() }),
    }
}

impl serde::ser::Error for CanonicalError {
    fn custom<T: std::fmt::Display>(problem: T) -> Self {
        refused(problem)
    }
}

impl Serializer for Writer {
    type Ok = Value;
    type Error = CanonicalError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    fn serialize_bool(self, value: bool) -> Result<Value, CanonicalError> {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Value, CanonicalError> {
        integer(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<Value, CanonicalError> {
        integer(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<Value, CanonicalError> {
        integer(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<Value, CanonicalError> {
        integer(value.into())
    }

    fn serialize_i128(self, value: i128) -> Result<Value, CanonicalError> {
        integer(value)
    }

    fn serialize_u8(self, value: u8) -> Result<Value, CanonicalError> {
        integer(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<Value, CanonicalError> {
        integer(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<Value, CanonicalError> {
        integer(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<Value, CanonicalError> {
        integer(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result<Value, CanonicalError> {
        // Beyond i128 it is certainly not safe, and the error should show it whole.
        let too_large = |_| CanonicalError::UnsafeInteger { at: String::new(), found: value.to_string() };
        integer(i128::try_from(value).map_err(too_large)?)
    }

    fn serialize_f32(self, value: f32) -> Result<Value, CanonicalError> {
        Err(CanonicalError::SinglePrecision { at: String::new(), found: value.to_string() })
    }

    fn serialize_f64(self, value: f64) -> Result<Value, CanonicalError> {
        let (at, found) = (String::new(), value.to_string());
        match Number::from_f64(value) {
            None => Err(CanonicalError::NotFinite { at, found }),
            Some(_) if !is_stable_double(value) => Err(CanonicalError::UnsafeInteger { at, found }),
            Some(number) => Ok(Value::Number(number)),
        }
    }

    fn serialize_char(self, value: char) -> Result<Value, CanonicalError> {
        Ok(Value::from(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result<Value, CanonicalError> {
        Ok(Value::from(value))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Value, CanonicalError> {
        Err(CanonicalError::custom("bytes have no JSON form of their own; encode them as base64 text"))
    }

    fn serialize_none(self) -> Result<Value, CanonicalError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, CanonicalError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, CanonicalError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, CanonicalError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, CanonicalError> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, CanonicalError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, CanonicalError> {
        let value = value.serialize(self.inner()?).map_err(|error| error.inside(variant))?;
        Ok(in_variant(Some(variant), value))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, CanonicalError> {
        self.items(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, CanonicalError> {
        self.items(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items, CanonicalError> {
        self.items(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items, CanonicalError> {
        self.items(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members, CanonicalError> {
        self.members(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members, CanonicalError> {
        self.members(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members, CanonicalError> {
        self.members(Some(variant))
    }
}

impl SerializeSeq for Items {
    type Ok = Value;
    type Error = CanonicalError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), CanonicalError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, CanonicalError> {
        Ok(self.finish())
    }
}

impl SerializeTuple for Items {
    type Ok = Value;
    type Error = CanonicalError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), CanonicalError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, CanonicalError> {
        Ok(self.finish())
    }
}

impl SerializeTupleStruct for Items {
    type Ok = Value;
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), CanonicalError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, CanonicalError> {
        Ok(self.finish())
    }
}

impl SerializeTupleVariant for Items {
    type Ok = Value;
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), CanonicalError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, CanonicalError> {
        Ok(self.finish())
    }
}

impl SerializeMap for Members {
    type Ok = Value;
    type Error = CanonicalError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), CanonicalError> {
        self.name = match name.serialize(self.inner)? {
            Value::String(name) => Some(name),
            // Integers have one spelling, so they may name members; as JSON libraries have it.
            Value::Number(name) if !name.is_f64() => Some(name.to_string()),
            other => return Err(refused(format_args!("{other} cannot be the name of a member; use a text"))),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        let name = self.name.take().ok_or_else(|| refused("a map gave a value without its key"))?;
        self.insert(&name, value)
    }

    fn end(self) -> Result<Value, CanonicalError> {
        Ok(self.finish())
    }
}

impl SerializeStruct for Members {
    type Ok = Value;
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.insert(name, value)
    }

    fn end(self) -> Result<Value, CanonicalError> {
        Ok(self.finish())
    }
}

impl SerializeStructVariant for Members {
    type Ok = Value;
    type Error = CanonicalError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.insert(name, value)
    }

    fn end(self) -> Result<Value, CanonicalError> {
        Ok(self.finish())
    }
}
