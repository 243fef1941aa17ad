//! The crash that cut a run short, as a violation: no expectation speaks of it.

use crate::verdict::{Class, Violation};
use crate::world::{End, Run};

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
