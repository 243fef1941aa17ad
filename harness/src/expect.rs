//! Judging: what a run's history makes of each expectation of its plan.
//!
//! What an expectation can say is [`crate::scenario::schema`]'s; here a history is asked whether it is so. A run
//! in which `sometimes` was missed is inconclusive: nothing is wrong, but the run proved nothing. Whether other
//! runs made up for it is the report's to say. An expectation that cannot be judged is inconclusive as well,
//! never a pass.

mod checker;
mod metric;

use crate::checker::{Judgement, Params, Registry};
use crate::history::{Count, History};
use crate::scenario::schema::{Claim, Expectation, Subject};
use crate::verdict::Verdict;

pub use self::checker::ExpectationError;
use self::metric::Samples;

/// An expectation, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What is claimed.
    pub claim: Claim,
    /// About what, as scenarios write it.
    pub subject: String,
    /// The verdict on one run.
    pub verdict: Verdict,
    /// What was seen, in a few words.
    pub seen: String,
    /// For `sometimes`: how often it was seen in this run.
    pub count: u64,
}

/// Judges every expectation of a run, in their order.
#[must_use]
pub fn judge_all(expectations: &[Expectation], history: &History, registry: &Registry) -> Vec<Judged> {
    expectations.iter().map(|expectation| judge(expectation, history, registry)).collect()
}

/// Judges one expectation of a run.
#[must_use]
pub fn judge(expectation: &Expectation, history: &History, registry: &Registry) -> Judged {
    let mut count = 0;
    let judgement = match (expectation.claim, &expectation.subject) {
        (Claim::Sometimes { at_least }, subject) => {
            count = match subject {
                Subject::Named(name) => history.counter(name),
                Subject::Metric(metric) => Samples::of(metric, history).count(),
            };
            checker::none(expectation).map(|()| enough(count, at_least))
        }
        (claim, Subject::Metric(metric)) => {
            checker::none(expectation).map(|()| Samples::of(metric, history).judge(claim))
        }
        (claim, Subject::Named(name)) => checker::find(claim, name, &expectation.with, registry)
            .map(|checker| checker.judge(history, &parameters(expectation))),
    };
    let (verdict, seen) = match judgement.unwrap_or_else(|wrong| Judgement::Unknown(wrong.to_string())) {
        Judgement::Holds(seen) => (Verdict::Passed, seen),
        Judgement::Violated(violation) => {
            let seen = violation.summary.clone();
            (Verdict::Failed(violation), seen)
        }
        Judgement::Unknown(reason) => (Verdict::Inconclusive(reason.clone()), reason),
    };
    Judged { claim: expectation.claim, subject: expectation.subject.to_string(), verdict, seen, count }
}

/// What the checker is told.
fn parameters(expectation: &Expectation) -> Params {
    // Every value of a scenario is one of JSON too: it has no dates and no infinities.
    let json = |value| serde_json::to_value(value).unwrap_or_default();
    let with = expectation.with.iter().map(|(key, value)| (key.clone(), json(value)));
    let bound = if let Claim::Eventually { within } = expectation.claim { within } else { None };
    Params::of(with.collect()).bounded(bound)
}

fn enough(count: u64, at_least: u64) -> Judgement {
    let seen = format!("seen {}", Count(count, "time"));
    match count >= at_least {
        true => Judgement::Holds(seen),
        false => Judgement::Unknown(format!("{seen}, expected at least {at_least}")),
    }
}

#[cfg(test)]
mod tests;
