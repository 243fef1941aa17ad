//! Reports: what a set of runs found, for people and for machines.
//!
//! Results of single seeds are folded into one [`ScenarioResult`] per scenario and case, in memory that does
//! not grow with the number of seeds and with an outcome that does not depend on the order in which seeds
//! finish. Renderers turn results into text and do no I/O. Texts that stem from the system under test are
//! escaped by each renderer for its own medium.

mod aggregate;
pub mod annotate;
pub mod json;
pub mod junit;
pub mod text;

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::expect::Judged;
use crate::scenario::schema::Claim;
use crate::seed::Seed;
use crate::trace::TraceHash;
use crate::verdict::{Verdict, Violation, nanos};

pub use self::aggregate::{Aggregate, FAILURES_MAX};

/// What one run of one seed found.
#[derive(Clone, Debug)]
pub struct SeedResult {
    /// Which of the case's seeds this is, from 0: decides what is shown first, whoever finishes first.
    pub index: u64,
    /// The seed.
    pub seed: Seed,
    /// Virtual time simulated.
    pub virtual_time: Duration,
    /// The expectations, judged, in the order of the scenario.
    pub judged: Vec<Judged>,
    /// A crash or a lack of determinism, which no expectation speaks of.
    pub broken: Option<Violation>,
    /// The hash of the run's trace.
    pub trace_hash: Option<TraceHash>,
    /// Where the plan was written, if it was.
    pub plan_path: Option<String>,
    /// The command that runs exactly this again.
    pub replay_command: Option<String>,
}

impl SeedResult {
    /// The verdict on this run alone.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let broken = self.broken.iter().cloned().map(Verdict::Failed);
        Verdict::all(broken.chain(self.judged.iter().map(|judged| judged.verdict.clone())))
    }
}

/// What all runs of one case of a scenario found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScenarioResult {
    /// The scenario's name.
    pub name: String,
    /// The values of its matrix, like `workers=3`; empty if it has none.
    pub case: String,
    /// The scenario's file.
    pub file: String,
    /// The verdict over all runs.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Seeds that were run.
    pub seeds_run: u64,
    /// Seeds that violated something.
    pub seeds_failed: u64,
    /// Virtual time simulated, over all seeds, nanoseconds.
    #[serde(rename = "virtual_time_ns", serialize_with = "nanos::serialize")]
    pub virtual_time: Duration,
    /// Time it took, nanoseconds.
    #[serde(rename = "wall_time_ns", serialize_with = "nanos::serialize")]
    pub wall_time: Duration,
    /// The expectations, in the order of the scenario.
    pub expectations: Vec<ExpectationResult>,
    /// The failures of the first seeds that failed, at most [`FAILURES_MAX`].
    pub failures: Vec<Failure>,
}

impl ScenarioResult {
    /// The result of a case that was not run.
    #[must_use]
    pub fn skipped(name: &str, case: &str, file: &str, reason: &str) -> Self {
        let mut result = Aggregate::new(name, case, file).finish(Duration::ZERO);
        result.verdict = Verdict::Skipped(reason.to_owned());
        result
    }

    /// Name and case, as reports write them.
    #[must_use]
    pub fn title(&self) -> String {
        match self.case.as_str() {
            "" => self.name.clone(),
            case => format!("{} [{case}]", self.name),
        }
    }
}

/// What all runs say of one expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectationResult {
    /// What is claimed; for `sometimes`, over all seeds together. In JSON its name is the `modality`.
    #[serde(flatten, serialize_with = "modality")]
    pub claim: Claim,
    /// About what.
    pub subject: String,
    /// Seeds in which it held; for `sometimes`, in which it was seen.
    pub seeds_passed: u64,
    /// Seeds in which it was violated.
    pub seeds_failed: u64,
    /// Seeds in which it could not be told.
    pub seeds_inconclusive: u64,
    /// For `sometimes`: how often it was seen, over all seeds.
    pub count: u64,
    /// What was seen in the first seed, in a few words.
    pub seen: String,
    /// The verdict over all runs.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// The name of a claim, and how often what must happen `sometimes` must happen.
fn modality<S: Serializer>(claim: &Claim, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("modality", claim.name())?;
    if let Claim::Sometimes { at_least } = claim {
        map.serialize_entry("at_least", at_least)?;
    }
    map.end()
}

/// One seed that violated something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which of the case's seeds.
    pub index: u64,
    /// The seed.
    pub seed: Seed,
    /// The violation that decides the verdict.
    pub violation: Violation,
    /// Further checkers that found a violation in the same run.
    pub also: Vec<String>,
    /// Where the plan was written.
    pub plan_path: Option<String>,
    /// The hash of the run's trace.
    pub trace_hash: Option<TraceHash>,
    /// The command that runs exactly this again.
    pub replay_command: Option<String>,
}

/// How many cases came to which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Passed.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Inconclusive.
    pub inconclusive: u64,
    /// Skipped.
    pub skipped: u64,
    /// Not run.
    pub not_run: u64,
    /// Seeds run, over all cases.
    pub seeds: u64,
}

impl Totals {
    /// Counts the verdicts of `results`.
    #[must_use]
    pub fn of(results: &[ScenarioResult]) -> Self {
        let mut totals = Self::default();
        for result in results {
            totals.seeds += result.seeds_run;
            *match result.verdict {
                Verdict::Passed => &mut totals.passed,
                Verdict::Failed(_) => &mut totals.failed,
                Verdict::Inconclusive(_) => &mut totals.inconclusive,
                Verdict::Skipped(_) => &mut totals.skipped,
                Verdict::NotRun => &mut totals.not_run,
            } += 1;
        }
        totals
    }
}

#[cfg(test)]
mod tests;
