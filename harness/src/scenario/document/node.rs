//! The tree: a TOML value and its place.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::scenario::diagnostic::{Diagnostic, Diagnostics, Place, Severity};

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// A mistake in it was reported: readers pass over it.
    pub(crate) faulty: bool,
}

/// A TOML value. Dates are refused when a file is read: no key takes one.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(BTreeMap<String, Entry>),
}

/// A key of a table, where it was written, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Place,
    pub(crate) node: Node,
}

/// A step from a value into one it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl Node {
    pub(crate) fn new(value: Value, place: Place) -> Self {
        Self { value, place, faulty: false }
    }

    pub(crate) fn table(&self) -> Option<&BTreeMap<String, Entry>> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn table_mut(&mut self) -> Option<&mut BTreeMap<String, Entry>> {
        match &mut self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(crate) fn array(&self) -> &[Self] {
        match &self.value {
            Value::Array(array) => array,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value under `key`, if this is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        Some(&self.table()?.get(key)?.node)
    }

    /// The value one step further in.
    pub(crate) fn child(&self, step: &Step) -> Option<&Self> {
        match step {
            Step::Key(key) => self.get(key),
            Step::Index(index) => self.array().get(*index),
        }
    }

    pub(crate) fn child_mut(&mut self, step: &Step) -> Option<&mut Self> {
        match (step, &mut self.value) {
            (Step::Key(key), Value::Table(table)) => table.get_mut(key).map(|entry| &mut entry.node),
            (Step::Index(index), Value::Array(array)) => array.get_mut(*index),
            _ => None,
        }
    }

    /// The place of the value at `path`, or of the innermost value on the way there.
    pub(crate) fn place_of(&self, path: &[Step]) -> Place {
        let mut node = self;
        for step in path {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.place.clone()
    }

    /// The place of the key `path` ends in, or else that of its value.
    pub(crate) fn key_place_of(&self, path: &[Step]) -> Place {
        let key = path.split_last().and_then(|(last, parent)| {
            let parent = parent.iter().try_fold(self, |node, step| node.child(step))?;
            match last {
                Step::Key(key) => Some(parent.table()?.get(key)?.key.clone()),
                Step::Index(_) => None,
            }
        });
        key.unwrap_or_else(|| self.place_of(path))
    }

    /// Whether no mistake was reported in it or in anything it holds.
    pub(crate) fn is_sound(&self) -> bool {
        let inside = match &self.value {
            Value::Array(array) => array.iter().all(Self::is_sound),
            Value::Table(table) => table.values().all(|entry| entry.node.is_sound()),
            _ => true,
        };
        inside && !self.faulty
    }

    /// What it is, for a person.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.value {
            Value::String(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "a boolean",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Reads the text of `source`; every syntax error is reported. `None` if there was one.
pub(crate) fn parse(source: usize, diagnostics: &mut Diagnostics) -> Option<Node> {
    let text = diagnostics.text(source);
    let (table, errors) = DeTable::parse_recoverable(&text);
    let mut last_line = None;
    for error in &errors {
        let place = Place::new(source, error.span().unwrap_or(0..0));
        // What follows on the same line is mostly the parser finding its feet again.
        let line = text.as_bytes().iter().take(place.start).filter(|byte| **byte == b'\n').count();
        if last_line.replace(line) == Some(line) {
            continue;
        }
        if diagnostics.is_full(Severity::Error) {
            break;
        }
        diagnostics.push(Diagnostic::error(place, format!("this is not TOML: {}", error.message())));
    }
    if !errors.is_empty() {
        return None;
    }
    let place = Place::new(source, 0..0);
    let mut converter = Converter { source, diagnostics };
    let table = converter.table(table.into_inner());
    Some(Node::new(table, place))
}

/// Takes over the values of `toml`'s tree. What cannot be taken over is reported and marked.
struct Converter<'d> {
    source: usize,
    diagnostics: &'d mut Diagnostics,
}

impl Converter<'_> {
    fn table(&mut self, table: DeTable<'_>) -> Value {
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            let place = Place::new(self.source, key.span());
            let span = value.span();
            let node = self.node(value.into_inner(), Place::new(self.source, span));
            entries.insert(key.into_inner().into_owned(), Entry { key: place, node });
        }
        Value::Table(entries)
    }

    fn node(&mut self, value: DeValue<'_>, place: Place) -> Node {
        let value = match value {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(truth) => Value::Boolean(truth),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => {
                    return self.refuse(
                        place,
                        "this number is too large",
                        "at most 63 bits; a larger seed is written as text: \"0xffffffffffffffff\"",
                    );
                }
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                _ => {
                    return self.refuse(
                        place,
                        "expected a finite number",
                        "neither `nan` nor infinity is allowed anywhere",
                    );
                }
            },
            DeValue::Datetime(_) => {
                return self.refuse(place, "no key takes a date", "write it as text: \"2026-01-01\"");
            }
            DeValue::Array(array) => {
                let nodes = array.into_iter().map(|item| {
                    let place = Place::new(self.source, item.span());
                    self.node(item.into_inner(), place)
                });
                Value::Array(nodes.collect())
            }
            DeValue::Table(table) => self.table(table),
        };
        Node::new(value, place)
    }

    fn refuse(&mut self, place: Place, message: &str, hint: &str) -> Node {
        self.diagnostics.push(Diagnostic::error(place.clone(), message).hint(hint));
        Node { faulty: true, ..Node::new(Value::Boolean(false), place) }
    }
}
