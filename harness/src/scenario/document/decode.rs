//! Serde over the tree. It fails at the first mistake, but knows exactly where that was.
//!
//! Values marked faulty are passed over as if they were not there, so that after a mistake was reported the
//! rest can be read. Unknown keys of structs are always mistakes.

use std::collections::btree_map;
use std::fmt;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Node, Step, Value};

/// A mistake and the way to it.
#[derive(Debug)]
pub(super) struct Mistake {
    /// From the innermost step outwards.
    pub(super) path: Vec<Step>,
    pub(super) kind: Kind,
}

/// What is wrong at the end of the way.
#[derive(Debug)]
pub(super) enum Kind {
    /// A required key is not there.
    Missing(&'static str),
    /// The last step's key is none of these.
    UnknownKey(&'static [&'static str]),
    /// The last step's key, or the value itself, is none of these names.
    UnknownName(String, &'static [&'static str]),
    /// Anything else, in words.
    Other(String),
}

impl Mistake {
    fn new(kind: Kind) -> Self {
        Self { path: Vec::new(), kind }
    }

    fn under(mut self, step: impl Into<Step>) -> Self {
        self.path.push(step.into());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}", self.kind, self.path)
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(Kind::Other(text.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Kind::Other(format!("expected {}, found {}", plain(expected), found_text(found))))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Kind::Other(format!("expected {}, found {length}", plain(expected))))
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownName(name.to_owned(), known))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownKey(known)).under(key)
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Kind::Missing(key))
    }
}

/// Serde's words for what it expected, in TOML's terms.
fn plain(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more and not too large".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number, not too large".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        _ if words.starts_with("struct ") || words.starts_with("enum ") => "a table".to_owned(),
        _ => words.replace("an array of length", "a list of length"),
    }
}

fn found_text(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(truth) => format!("`{truth}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Map | Unexpected::StructVariant => "a table".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        other => other.to_string(),
    }
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'n>(pub(super) &'n Node);

impl<'n> Reader<'n> {
    /// The entries of a table; the first key none of `fields` names is a mistake.
    fn fields(self, fields: &'static [&'static str]) -> Result<TableReader<'n>, Mistake> {
        let Value::Table(table) = &self.0.value else {
            let found = self.0.type_name();
            return Err(de::Error::custom(format_args!("expected a table, found {found}")));
        };
        let sound = || table.iter().filter(|(_, entry)| !entry.node.faulty);
        match sound().find(|(key, _)| !fields.contains(&key.as_str())) {
            Some((key, _)) => Err(de::Error::unknown_field(key, fields)),
            None => Ok(TableReader { entries: table.iter(), next: None }),
        }
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.0.value {
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::Array(array) => visit_list(array, visitor),
            Value::Table(table) => visitor.visit_map(TableReader { entries: table.iter(), next: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_map(self.fields(fields)?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let table = match &self.0.value {
            Value::String(name) => {
                return visitor.visit_enum(VariantReader { name, content: None, variants });
            }
            Value::Table(table) => table,
            _ => {
                let (known, found) = (variants.join(", "), self.0.type_name());
                return Err(de::Error::custom(format_args!("expected one of {known}, found {found}")));
            }
        };
        let mut sound = table.iter().filter(|(_, entry)| !entry.node.faulty);
        let Some((name, entry)) = sound.next() else {
            return Err(de::Error::custom(format_args!(
                "expected one of {}, found none",
                variants.join(", ")
            )));
        };
        if let Some((second, _)) = sound.next() {
            let only = format!("expected only one of these, found `{name}` and `{second}`");
            return Err(<Mistake as de::Error>::custom(only).under(second.as_str()));
        }
        visitor.visit_enum(VariantReader { name, content: Some(&entry.node), variants })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier
    }
}

fn visit_list<'de, V: Visitor<'de>>(array: &[Node], visitor: V) -> Result<V::Value, Mistake> {
    let mut list = ListReader { rest: array.iter().enumerate() };
    let value = visitor.visit_seq(&mut list)?;
    // A visitor that wanted fewer, like one of a fixed length, must not silently drop the rest.
    match list.next_sound() {
        None => Ok(value),
        Some((index, _)) => {
            let text = format!("expected no more than {index} here");
            Err(<Mistake as de::Error>::custom(text).under(index))
        }
    }
}

struct ListReader<'n> {
    rest: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

impl<'n> ListReader<'n> {
    fn next_sound(&mut self) -> Option<(usize, &'n Node)> {
        self.rest.find(|(_, node)| !node.faulty)
    }
}

impl<'de> de::SeqAccess<'de> for &mut ListReader<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some((index, node)) = self.next_sound() else { return Ok(None) };
        seed.deserialize(Reader(node)).map(Some).map_err(|mistake| mistake.under(index))
    }
}

struct TableReader<'n> {
    entries: btree_map::Iter<'n, String, Entry>,
    next: Option<(&'n str, &'n Node)>,
}

impl<'de> de::MapAccess<'de> for TableReader<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some((key, entry)) = self.entries.find(|(_, entry)| !entry.node.faulty) else { return Ok(None) };
        self.next = Some((key, &entry.node));
        let key: StrDeserializer<'_, Mistake> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let Some((key, node)) = self.next.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Reader(node)).map_err(|mistake| mistake.under(key))
    }
}

/// An enum: a name alone, or a table of one key that holds the content.
struct VariantReader<'n> {
    name: &'n str,
    content: Option<&'n Node>,
    variants: &'static [&'static str],
}

impl<'n, 'de> de::EnumAccess<'de> for VariantReader<'n> {
    type Error = Mistake;
    type Variant = ContentReader<'n>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, ContentReader<'n>), Mistake> {
        let Self { name, content, variants } = self;
        if !variants.contains(&name) {
            let mistake: Mistake = de::Error::unknown_variant(name, variants);
            return Err(if content.is_some() { mistake.under(name) } else { mistake });
        }
        let key: StringDeserializer<Mistake> = name.to_owned().into_deserializer();
        Ok((seed.deserialize(key)?, ContentReader { name, content }))
    }
}

struct ContentReader<'n> {
    name: &'n str,
    content: Option<&'n Node>,
}

impl<'n> ContentReader<'n> {
    fn content(&self) -> Result<Reader<'n>, Mistake> {
        let missing = || de::Error::custom(format_args!("`{0}` needs settings: {{ {0} = … }}", self.name));
        self.content.map(Reader).ok_or_else(missing)
    }

    fn inside<T>(&self, result: Result<T, Mistake>) -> Result<T, Mistake> {
        result.map_err(|mistake| if self.content.is_some() { mistake.under(self.name) } else { mistake })
    }
}

impl<'de> de::VariantAccess<'de> for ContentReader<'_> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(<Mistake as de::Error>::custom(format_args!(
                "`{0}` takes no settings: write \"{0}\"",
                self.name
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        let content = self.content()?;
        self.inside(seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Mistake> {
        let content = self.content()?;
        self.inside(de::Deserializer::deserialize_any(content, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let content = self.content()?;
        self.inside(content.fields(fields).and_then(|table| visitor.visit_map(table)))
    }
}
