//! What an expectation is about: the text in a scenario, understood.

use std::fmt;
use std::sync::Arc;

use super::{Expectation, Metric, Modality};
use crate::checker::{Checker, Registry};

/// The subject of an expectation.
#[derive(Clone)]
pub enum Subject {
    /// A checker judges the whole run.
    Checker(Arc<dyn Checker>),
    /// Samples of a gauge, or a counter's final value, are compared with a number.
    Metric(Metric),
    /// A counter must have counted.
    Counter(String),
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checker(checker) => f.debug_tuple("Checker").field(&checker.name()).finish(),
            Self::Metric(metric) => f.debug_tuple("Metric").field(metric).finish(),
            Self::Counter(name) => f.debug_tuple("Counter").field(name).finish(),
        }
    }
}

/// Why an expectation cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpectationError {
    /// The subject names no checker.
    #[error("expected one of the checkers {known}, or \"metric <name> <op> <number>\", found {found:?}")]
    UnknownChecker {
        /// What was written.
        found: String,
        /// The checkers there are.
        known: String,
    },
    /// `never` was given a subject it cannot forbid.
    #[error(
        "never forbids a metric or a mishap ({known}), found {found:?}; a promise is written with always"
    )]
    NotAMishap {
        /// What was written.
        found: String,
        /// The mishaps there are checkers against.
        known: String,
    },
    /// A metric is not written as one.
    #[error("expected \"metric <name> <op> <number>\" with <, <=, >, >=, == or !=, found {0:?}")]
    MalformedMetric(String),
    /// A parameter the checker does not know.
    #[error("{checker} takes {known}, found with.{found}; remove it or correct its name")]
    UnknownParameter {
        /// The checker.
        checker: String,
        /// What was written.
        found: String,
        /// The parameters there are.
        known: String,
    },
    /// A bound that does not go with the modality.
    #[error("{bound} belongs to {belongs}, found it under {found}; remove it or change the modality")]
    Misplaced {
        /// `within`, `at-least` or `with`.
        bound: &'static str,
        /// What it belongs to.
        belongs: &'static str,
        /// The modality or subject it was found with.
        found: String,
    },
    /// `at-least = 0` holds of every run.
    #[error("expected at-least of 1 or more, found 0, which every run satisfies")]
    AtLeastZero,
    /// The subject is empty.
    #[error("expected the name of a counter, found an empty text")]
    Empty,
}

impl Subject {
    /// Understands the subject of `expectation`.
    ///
    /// # Errors
    /// [`ExpectationError`] names the first mistake.
    pub fn of(expectation: &Expectation, registry: &Registry) -> Result<Self, ExpectationError> {
        bounds(expectation)?;
        let text = expectation.subject.trim();
        if text.split_whitespace().next() == Some("metric") {
            let metric =
                Metric::parse(text).ok_or_else(|| ExpectationError::MalformedMetric(text.to_owned()))?;
            return without_parameters(expectation).map(|()| Self::Metric(metric));
        }
        if expectation.modality == Modality::Sometimes {
            if text.is_empty() {
                return Err(ExpectationError::Empty);
            }
            return without_parameters(expectation).map(|()| Self::Counter(text.to_owned()));
        }
        let checker = checker(expectation.modality, text, registry)?;
        let known = || checker.parameters().iter().map(|parameter| parameter.name);
        match expectation.with.keys().find(|key| known().all(|name| name != key.as_str())) {
            None => Ok(Self::Checker(checker)),
            Some(found) => Err(ExpectationError::UnknownParameter {
                checker: checker.name().to_owned(),
                found: found.clone(),
                known: list(known(), "no parameters"),
            }),
        }
    }
}

fn checker(
    modality: Modality,
    text: &str,
    registry: &Registry,
) -> Result<Arc<dyn Checker>, ExpectationError> {
    if modality != Modality::Never {
        let known = || list(registry.names(), "(none)");
        let unknown = || ExpectationError::UnknownChecker { found: text.to_owned(), known: known() };
        return registry.get(text).cloned().ok_or_else(unknown);
    }
    let mishaps = || registry.names().filter_map(|name| name.strip_prefix("no-"));
    let not_a_mishap =
        || ExpectationError::NotAMishap { found: text.to_owned(), known: list(mishaps(), "none") };
    registry.get(&format!("no-{text}")).cloned().ok_or_else(not_a_mishap)
}

fn bounds(expectation: &Expectation) -> Result<(), ExpectationError> {
    let modality = expectation.modality;
    let misplaced = |bound, belongs| {
        Err(ExpectationError::Misplaced { bound, belongs, found: modality.word().to_owned() })
    };
    if expectation.within.is_some() && modality != Modality::Eventually {
        return misplaced("within", "eventually");
    }
    match expectation.at_least {
        Some(_) if modality != Modality::Sometimes => misplaced("at-least", "sometimes"),
        Some(0) => Err(ExpectationError::AtLeastZero),
        _ => Ok(()),
    }
}

fn without_parameters(expectation: &Expectation) -> Result<(), ExpectationError> {
    if expectation.with.is_empty() {
        return Ok(());
    }
    let found = format!("{} = {:?}", expectation.modality.word(), expectation.subject);
    Err(ExpectationError::Misplaced { bound: "with", belongs: "a checker", found })
}

fn list<'a>(names: impl Iterator<Item = &'a str>, none: &str) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { none.to_owned() } else { names.join(", ") }
}
