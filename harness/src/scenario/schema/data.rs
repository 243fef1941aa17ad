//! The fields of an event's payload and how each gets its value.

use std::fmt;

use serde::de::{self, MapAccess};
use serde::{Deserialize, Deserializer, Serialize};

/// How a field gets its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// `{ range = [1, 100] }`: an integer between the two, both included.
    Range([i64; 2]),
    /// `{ fake = "email" }`: made up.
    Fake(Fake),
    /// `{ one-of = ["EUR", "USD"] }`: one of these.
    OneOf(Vec<toml::Value>),
    /// Anything else that is no table: always this.
    #[serde(untagged)]
    Literal(toml::Value),
}

/// What can be made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fake {
    /// An address at a domain reserved for examples.
    Email,
    /// A person's name.
    Name,
    /// A word.
    Word,
    /// A city.
    City,
    /// A telephone number from a range reserved for fiction.
    Phone,
    /// A UUID in the form of version 4.
    Uuid,
}

const KEYS: &[&str] = &["range", "fake", "one-of"];

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> de::Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "{ range = [1, 100] }, { fake = \"email\" }, { one-of = [\"a\", \"b\"] } or a plain value",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Literal(text.into()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Field, E> {
        Ok(Field::Literal(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Field, E> {
        Ok(Field::Literal(number.into()))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Field, E> {
        Ok(Field::Literal(truth.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(de::Error::custom(format_args!("expected {}", Expected(&self))));
        };
        let field = match key.as_str() {
            "range" => Field::Range(map.next_value()?),
            "fake" => Field::Fake(map.next_value()?),
            "one-of" => Field::OneOf(map.next_value()?),
            _ => return Err(de::Error::unknown_field(&key, KEYS)),
        };
        match map.next_key::<String>()? {
            None => Ok(field),
            Some(more) => {
                Err(de::Error::custom(format_args!("expected only `{key}`, found `{more}` as well")))
            }
        }
    }
}

struct Expected<'a>(&'a FieldVisitor);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        de::Visitor::expecting(self.0, f)
    }
}
