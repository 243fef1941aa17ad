//! Reads JSON values strictly: what has two meanings, or would lose some of its meaning, is refused.
//!
//! [`Strict`] works with any serde codec, so a value that came as MessagePack or CBOR obeys the same rules as
//! one that came as text. Only JSON text needs a second look at its integers, because the reader turns those
//! above 64 bits into doubles without a word.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{CanonicalError, MAX_DEPTH, MAX_SAFE_INTEGER, is_safe_integer, is_stable_double};

/// A JSON value that was read strictly: no duplicate member, no number that some reader would round, no
/// single-precision float, no byte string, at most [`MAX_DEPTH`] levels.
#[derive(Clone, Debug, PartialEq)]
pub struct Strict(pub Value);

/// Reads one JSON value from text, strictly.
///
/// # Errors
/// [`CanonicalError::NotJson`] or [`CanonicalError::UnsafeInteger`], which name line and column or the number.
pub fn parse(text: &[u8]) -> Result<Value, CanonicalError> {
    let Strict(value) = serde_json::from_slice(text)
        .map_err(|error| CanonicalError::NotJson { problem: error.to_string() })?;
    match unsafe_literal(text) {
        None => Ok(value),
        Some(literal) => {
            Err(CanonicalError::NotJson { problem: unsafe_integer(String::from_utf8_lossy(literal)) })
        }
    }
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Reader { levels: MAX_DEPTH }.deserialize(deserializer).map(Self)
    }
}

/// Finds an integer literal beyond ±(2^53−1) in text that is known to be JSON.
fn unsafe_literal(text: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = text[at..].iter().take_while(is_part).count();
                let literal = &text[at..at + length];
                if is_unsafe_literal(literal) {
                    return Some(literal);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

fn end_of_string(text: &[u8], opening_quote: usize) -> usize {
    let mut at = opening_quote + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn is_unsafe_literal(literal: &[u8]) -> bool {
    let digits = literal.strip_prefix(b"-").unwrap_or(literal);
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let magnitude = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    magnitude.is_none_or(|magnitude| magnitude > MAX_SAFE_INTEGER)
}

fn unsafe_integer(found: impl fmt::Display) -> String {
    format!("the number {found} is outside ±(2^53−1), where JSON readers round; send it as a string")
}

/// Reads one value that may have this many levels below it.
#[derive(Clone, Copy)]
struct Reader {
    levels: usize,
}

impl Reader {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let too_deep = || E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"));
        Ok(Self { levels: self.levels.checked_sub(1).ok_or_else(too_deep)? })
    }
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        safe(i128::from(value), value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        safe(i128::from(value), value)
    }

    fn visit_f32<E: Error>(self, value: f32) -> Result<Value, E> {
        // Widened, 0.1f32 reads 0.10000000149011612; as JSON text it reads 0.1. One value, two identities.
        Err(E::custom(format_args!("{value} is a single-precision number; send a double or a string")))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() && !is_stable_double(value) {
            return Err(E::custom(unsafe_integer(value)));
        }
        let not_finite = || E::custom(format_args!("{value} is not a finite number"));
        Number::from_f64(value).map(Value::Number).ok_or_else(not_finite)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member {name:?} occurs twice in one object")));
            }
            members.insert(name, map.next_value_seed(inner)?);
        }
        Ok(Value::Object(members))
    }
}

fn safe<E: Error>(integer: i128, number: impl Into<Number>) -> Result<Value, E> {
    if is_safe_integer(integer) {
        Ok(Value::Number(number.into()))
    } else {
        Err(E::custom(unsafe_integer(integer)))
    }
}
