//! What a scenario hands to a checker: the `with` table and the time bound.
//!
//! Names are checked against [`super::Checker::parameters`] before a run; types when they are read.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// One thing that may be set in `with`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its key.
    pub name: &'static str,
    /// What it means, and what holds without it.
    pub about: &'static str,
}

/// The parameters of one judgement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    values: BTreeMap<String, Value>,
    within: Option<Duration>,
}

impl Params {
    /// No parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The parameters of a `with` table.
    #[must_use]
    pub fn of(values: BTreeMap<String, Value>) -> Self {
        Self { values, within: None }
    }

    /// Sets one value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// Sets how long after the last heal the promise must be kept.
    #[must_use]
    pub fn bounded(mut self, within: Option<Duration>) -> Self {
        self.within = within;
        self
    }

    /// How long after the last heal the promise must be kept; without it, by the end of the run.
    #[must_use]
    pub fn within(&self) -> Option<Duration> {
        self.within
    }

    /// A value, whatever its type.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// A text.
    ///
    /// # Errors
    /// The value is there and not a text; the error says so.
    pub fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("expected a text for with.{name}, found {other}")),
        }
    }
}
