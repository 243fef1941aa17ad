//! From a run to a verdict: the plan's expectations over the history, or the crash that cut it short.

use std::collections::BTreeMap;

use crate::checker::Registry;
use crate::expect::{Expectation, Judged, Modality, judge_all};
use crate::plan::Plan;
use crate::scenario::schema::{self, Claim};
use crate::verdict::{Class, Violation};
use crate::world::{End, Run};

/// Judges every expectation of the plan.
pub(super) fn judge(plan: &Plan, run: &Run, registry: &Registry) -> Vec<Judged> {
    let expectations: Vec<Expectation> = plan.expectations.iter().map(expectation).collect();
    judge_all(&expectations, &run.history, registry)
}

/// What cut the run short, if anything did.
pub(super) fn crash(run: &Run) -> Option<Violation> {
    let named = |host: &Option<String>| host.clone().unwrap_or_else(|| "a host".to_owned());
    let (checker, summary, evidence) = match &run.end {
        End::Settled => return None,
        End::Exited { host, reason } => ("service-runs", format!("{host}: {reason}"), Vec::new()),
        End::Panicked { host, text } => {
            ("service-runs", format!("{} panicked", named(host)), text.lines().map(str::to_owned).collect())
        }
        End::Stalled { host, bound } => {
            let summary = format!("{} did not yield for {} s", named(host), bound.as_secs());
            let hint = "a loop without an await that waits, or a blocking call, stops its whole process";
            ("service-yields", summary, vec![hint.to_owned()])
        }
    };
    Some(Violation { checker: checker.to_owned(), class: Class::Crash, at: run.elapsed, summary, evidence })
}

fn expectation(written: &schema::Expectation) -> Expectation {
    let (modality, within, at_least) = match written.claim {
        Claim::Always => (Modality::Always, None, None),
        Claim::Never => (Modality::Never, None, None),
        Claim::Eventually { within, .. } => (Modality::Eventually, within, None),
        Claim::Sometimes { at_least } => (Modality::Sometimes, None, Some(at_least)),
    };
    let with: BTreeMap<_, _> = written
        .with
        .iter()
        .map(|(key, value)| (key.clone(), serde_json::to_value(value).unwrap_or_default()))
        .collect();
    let subject = match &written.subject {
        schema::Subject::Named(name) => name.clone(),
        metric @ schema::Subject::Metric { .. } => format!("metric {metric}"),
    };
    Expectation { modality, subject, within, at_least, with, line: None }
}
