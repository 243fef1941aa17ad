//! Which checker an expectation asks, and why none can answer.
//!
//! Scenario files are checked when they are loaded. Plans are not: they outlive the checkers they name, and are
//! edited by hand. What is refused here makes the expectation inconclusive.

use std::sync::Arc;

use crate::checker::{Checker, Registry};
use crate::scenario::schema::{Claim, Expectation, mishap};

/// Why an expectation cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpectationError {
    /// The subject names no checker.
    #[error(
        "expected one of the checkers {known}, or a comparison like \"dead-lettered > 0\", found {found:?}"
    )]
    UnknownChecker {
        /// What was written.
        found: String,
        /// The checkers there are.
        known: String,
    },
    /// `never` was given a subject it cannot forbid.
    #[error(
        "never forbids a comparison or a mishap ({known}), found {found:?}; a promise is written with always"
    )]
    NotAMishap {
        /// What was written.
        found: String,
        /// The mishaps there are checkers against.
        known: String,
    },
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
    /// Parameters, but nobody who takes them.
    #[error("with belongs to a checker, found it under {claim} = {subject:?}; remove it")]
    NoChecker {
        /// What is claimed.
        claim: &'static str,
        /// About what.
        subject: String,
    },
    /// `at-least = 0` holds of every run.
    #[error("expected at-least of 1 or more, found 0, which every run satisfies")]
    AtLeastZero,
}

/// The checker that `claim` about `name` asks.
///
/// # Errors
/// There is none, or it does not take a parameter of `with`.
pub(super) fn find(
    claim: Claim,
    name: &str,
    with: &toml::Table,
    registry: &Registry,
) -> Result<Arc<dyn Checker>, ExpectationError> {
    let checker =
        registry.get(&claim.checker(name)).cloned().ok_or_else(|| unknown(claim, name, registry))?;
    let known = || checker.parameters().iter().map(|parameter| parameter.name);
    match with.keys().find(|key| known().all(|name| name != key.as_str())) {
        None => Ok(checker),
        Some(found) => Err(ExpectationError::UnknownParameter {
            checker: checker.name().to_owned(),
            found: found.clone(),
            known: list(known(), "no parameters"),
        }),
    }
}

/// Refuses what makes no sense without a checker.
///
/// # Errors
/// Parameters, and a count that every run reaches.
pub(super) fn none(expectation: &Expectation) -> Result<(), ExpectationError> {
    if expectation.claim == (Claim::Sometimes { at_least: 0 }) {
        return Err(ExpectationError::AtLeastZero);
    }
    match expectation.with.is_empty() {
        true => Ok(()),
        false => Err(ExpectationError::NoChecker {
            claim: expectation.claim.name(),
            subject: expectation.subject.to_string(),
        }),
    }
}

fn unknown(claim: Claim, name: &str, registry: &Registry) -> ExpectationError {
    let found = name.to_owned();
    if claim == Claim::Never {
        let known = list(registry.names().filter_map(mishap), "none");
        return ExpectationError::NotAMishap { found, known };
    }
    ExpectationError::UnknownChecker { found, known: list(registry.names(), "(none)") }
}

fn list<'a>(names: impl Iterator<Item = &'a str>, none: &str) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { none.to_owned() } else { names.join(", ") }
}
