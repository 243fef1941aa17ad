//! Expectations: what a scenario demands of every run, judged by checkers, metrics and counters.
//!
//! An expectation has one modality and one subject. The subject is the name of a checker, or
//! `metric <name> <op> <number>`, or, for `sometimes`, the name of a counter. `never = "phantom"` is another
//! way to write `always = "no-phantom"`. A run in which `sometimes` was missed is inconclusive: nothing is
//! wrong, but the run proved nothing. Whether other runs made up for it is the report's to say.

mod metric;
mod subject;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checker::{Judgement, Params, Registry};
use crate::history::{Count, History};
use crate::verdict::Verdict;

pub use self::metric::{Metric, Operator};
pub use self::subject::{ExpectationError, Subject};

/// What a scenario demands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expectation {
    /// When it must be so.
    pub modality: Modality,
    /// What must be so.
    pub subject: String,
    /// For `eventually`: how long after the last heal, at most. Without it, by the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration")]
    pub within: Option<Duration>,
    /// For `sometimes`: how often, at least. Without it, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// The checker's parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Value>,
    /// The line of the scenario file it stands on, from 1; for annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// When an expectation must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modality {
    /// At every moment.
    Always,
    /// At no moment.
    Never,
    /// From some moment after the last heal until the end.
    Eventually,
    /// In some run, at some moment: guards against runs that prove nothing.
    Sometimes,
}

impl Modality {
    /// The modality as scenarios write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Eventually => "eventually",
            Self::Sometimes => "sometimes",
        }
    }
}

/// An expectation, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The expectation's modality.
    pub modality: Modality,
    /// Its subject, as it was written.
    pub subject: String,
    /// The verdict on one run.
    pub verdict: Verdict,
    /// What was seen, in a few words.
    pub seen: String,
    /// For `sometimes`: how often it was seen in this run.
    pub count: u64,
    /// For `sometimes`: how often it must be seen, over all runs.
    pub at_least: u64,
    /// The expectation's line.
    pub line: Option<u32>,
}

impl Expectation {
    /// An expectation without bounds and parameters.
    #[must_use]
    pub fn new(modality: Modality, subject: impl Into<String>) -> Self {
        let (within, at_least, line) = (None, None, None);
        Self { modality, subject: subject.into(), within, at_least, with: BTreeMap::new(), line }
    }

    /// Checks the expectation against the checkers there are.
    ///
    /// # Errors
    /// [`ExpectationError`] names the first mistake.
    pub fn validate(&self, registry: &Registry) -> Result<(), ExpectationError> {
        Subject::of(self, registry).map(|_| ())
    }

    /// Judges one run. An expectation that is not valid is inconclusive.
    #[must_use]
    pub fn judge(&self, history: &History, registry: &Registry) -> Judged {
        let (mut count, at_least) = (0, self.at_least.unwrap_or(1));
        let judgement = match Subject::of(self, registry) {
            Err(wrong) => Judgement::Unknown(wrong.to_string()),
            Ok(Subject::Checker(checker)) => {
                let params = Params::of(self.with.clone()).bounded(self.within);
                checker.judge(history, &params)
            }
            Ok(Subject::Metric(metric)) if self.modality == Modality::Sometimes => {
                count = metric.count(history);
                enough(count, at_least)
            }
            Ok(Subject::Metric(metric)) => metric.judge(history, self.modality, self.within),
            Ok(Subject::Counter(name)) => {
                count = history.counter(&name);
                enough(count, at_least)
            }
        };
        let (verdict, seen) = match judgement {
            Judgement::Holds(seen) => (Verdict::Passed, seen),
            Judgement::Violated(violation) => {
                let seen = violation.summary.clone();
                (Verdict::Failed(violation), seen)
            }
            Judgement::Unknown(reason) => (Verdict::Inconclusive(reason.clone()), reason),
        };
        let (modality, subject, line) = (self.modality, self.subject.clone(), self.line);
        Judged { modality, subject, verdict, seen, count, at_least, line }
    }
}

/// Judges every expectation of a run.
#[must_use]
pub fn judge_all(expectations: &[Expectation], history: &History, registry: &Registry) -> Vec<Judged> {
    expectations.iter().map(|expectation| expectation.judge(history, registry)).collect()
}

fn enough(count: u64, at_least: u64) -> Judgement {
    let seen = format!("seen {}", Count(count, "time"));
    match count >= at_least {
        true => Judgement::Holds(seen),
        false => Judgement::Unknown(format!("{seen}, expected at least {at_least}")),
    }
}

/// Optional durations as text with a unit.
mod duration {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use squall_mocks::rule::duration_text;

    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&duration_text::format(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| duration_text::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests;
