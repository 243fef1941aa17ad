//! `recovered` and `drained`: in bounded time after the last heal all is well, and stays so.
//!
//! What counts is the first moment from which the promise holds to the end, not the first at which it holds.
//! `recovered`: every acknowledged event is resolved, by a result, a committed effect or a dead letter.
//! `drained`: the same, and every gauge `lag` or `lag.…` is zero. Time is counted from the last heal, or from
//! the end of the load if that is later; see [`History::last_heal`].

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::finding::{evidence_about, evidence_of_gauge, name};
use super::{Checker, Judgement, NOT_SETTLED, NOTHING_ACCEPTED, Params};
use crate::history::{At, History, Plain, Record, Text};
use crate::verdict::{Class, Violation};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovered;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drained;

impl Checker for Recovered {
    fn name(&self) -> &str {
        "recovered"
    }

    fn about(&self) -> &str {
        "After the last heal every acknowledged event is resolved in time."
    }

    fn judge(&self, history: &History, with: &Params) -> Judgement {
        if history.index().accepted().next().is_none() {
            return Judgement::Unknown(NOTHING_ACCEPTED.into());
        }
        judge("recovered", history, with, events(history))
    }
}

impl Checker for Drained {
    fn name(&self) -> &str {
        "drained"
    }

    fn about(&self) -> &str {
        "After the last heal every acknowledged event is resolved and every lag is zero, in time."
    }

    fn judge(&self, history: &History, with: &Params) -> Judgement {
        let lags = lags(history);
        if lags.is_empty() && history.index().accepted().next().is_none() {
            return Judgement::Unknown(format!("{NOTHING_ACCEPTED} and no lag was measured"));
        }
        judge("drained", history, with, events(history).chain(lags))
    }
}

/// Something that must come, and when it came to stay.
struct Due<'a> {
    stable: Option<Duration>,
    what: What<'a>,
}

enum What<'a> {
    Event { id: &'a Text, key: &'a Text },
    Gauge(&'a Text),
}

impl What<'_> {
    fn evidence(&self, history: &History) -> Vec<String> {
        match self {
            Self::Event { key, .. } => evidence_about(history, key),
            Self::Gauge(name) => evidence_of_gauge(history, name),
        }
    }
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { id, key } => f.write_str(&name(id, key)),
            Self::Gauge(name) => write!(f, "gauge {}", Plain(name)),
        }
    }
}

fn judge<'a>(
    checker: &str,
    history: &'a History,
    with: &Params,
    dues: impl Iterator<Item = Due<'a>>,
) -> Judgement {
    let Some(heal) = history.last_heal() else {
        return Judgement::Unknown("neither a heal nor the end of the load was recorded".into());
    };
    let end = history.entries().last().map(|entry| entry.at).unwrap_or_default();
    let deadline = with.within().map(|within| heal.saturating_add(within));
    let (mut count, mut late, mut last) = (0_usize, 0_usize, heal);
    let mut worst: Option<Due<'a>> = None;
    for due in dues {
        count += 1;
        let is_late = due.stable.is_none_or(|stable| deadline.is_some_and(|deadline| stable > deadline));
        last = last.max(due.stable.unwrap_or(heal));
        if !is_late {
            continue;
        }
        late += 1;
        // What never came is worse than what came late.
        let rank = |due: &Due<'_>| due.stable.unwrap_or(Duration::MAX);
        if worst.as_ref().is_none_or(|worst| rank(&due) > rank(worst)) {
            worst = Some(due);
        }
    }
    let over = history.is_settled() || deadline.is_some_and(|deadline| end > deadline);
    let Some(worst) = worst else {
        return match over {
            true => {
                let after = At(last.saturating_sub(heal));
                Judgement::Holds(format!("{count} resolved, the last {after} after the last heal"))
            }
            false => Judgement::Unknown(NOT_SETTLED.into()),
        };
    };
    if !over && worst.stable.is_none() {
        return Judgement::Unknown(NOT_SETTLED.into());
    }
    Judgement::Violated(violation(checker, history, &worst, Bounds { heal, deadline, end, late }))
}

struct Bounds {
    heal: Duration,
    deadline: Option<Duration>,
    end: Duration,
    late: usize,
}

fn violation(checker: &str, history: &History, worst: &Due<'_>, bounds: Bounds) -> Violation {
    let after = |at: Duration| At(at.saturating_sub(bounds.heal));
    let done = match worst.what {
        What::Event { .. } => "resolved",
        What::Gauge(_) => "back at zero",
    };
    let when = match worst.stable {
        Some(stable) => format!("was {done} {} after the last heal", after(stable)),
        None => format!("was not {done} {} after the last heal", after(bounds.end)),
    };
    let bound = bounds.deadline.map(|deadline| format!(", expected within {}", after(deadline)));
    let others = (bounds.late > 1).then(|| format!(" (and {} more)", bounds.late - 1));
    let (bound, others) = (bound.unwrap_or_default(), others.unwrap_or_default());
    Violation {
        checker: checker.to_owned(),
        class: Class::Liveness,
        at: bounds.deadline.unwrap_or(bounds.end),
        summary: format!("{} {when}{bound}{others}", worst.what),
        evidence: worst.what.evidence(history),
    }
}

/// Every acknowledged event.
fn events(history: &History) -> impl Iterator<Item = Due<'_>> {
    let time = |at: usize| history.entries().get(at).map(|entry| entry.at).unwrap_or_default();
    history.index().accepted().map(move |(id, event, accepted)| {
        let key = &event.operation.business_key;
        // An event may be resolved before its producer learns that it was accepted.
        let stable = event.resolved.map(|resolved| time(resolved.max(accepted)));
        Due { stable, what: What::Event { id, key } }
    })
}

/// Every gauge of lag.
fn lags(history: &History) -> Vec<Due<'_>> {
    let mut zero_since: BTreeMap<&Text, Option<Duration>> = BTreeMap::new();
    for entry in history.entries() {
        let Record::Gauge { name, value } = &entry.what else { continue };
        if &**name != "lag" && !name.starts_with("lag.") {
            continue;
        }
        let since = zero_since.entry(name).or_default();
        *since = if *value == 0.0 { since.or(Some(entry.at)) } else { None };
    }
    zero_since.into_iter().map(|(name, stable)| Due { stable, what: What::Gauge(name) }).collect()
}
