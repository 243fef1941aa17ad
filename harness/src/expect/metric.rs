//! Metrics: each sample of one is compared with the expectation's number.
//!
//! If the history has samples of a gauge of that name, each sample is compared; else the counter of that name
//! counts as one sample, taken at the end. Nothing sampled is unknown.

use std::time::Duration;

use crate::checker::Judgement;
use crate::history::{At, History, Plain, Record};
use crate::scenario::schema::{Claim, Metric};
use crate::verdict::{Class, Violation};

/// One sample: when, its value, and whether the condition held.
type Sample = (Duration, f64, bool);

/// The samples of a metric.
pub(super) struct Samples<'a> {
    metric: &'a Metric,
    history: &'a History,
    taken: Vec<Sample>,
}

impl<'a> Samples<'a> {
    pub(super) fn of(metric: &'a Metric, history: &'a History) -> Self {
        let sample = |at, value: f64| (at, value, metric.operator.holds(value, metric.value));
        let gauges = history.entries().iter().filter_map(|entry| match &entry.what {
            Record::Gauge { name, value } if **name == *metric.name => Some(sample(entry.at, *value)),
            _ => None,
        });
        let mut taken: Vec<Sample> = gauges.collect();
        if taken.is_empty() {
            let end = history.entries().last().map(|entry| entry.at).unwrap_or_default();
            // Counts stay far below 2^53, from where on a float skips whole numbers.
            taken.extend(history.counters().get(&metric.name).map(|count| sample(end, *count as f64)));
        }
        Self { metric, history, taken }
    }

    /// How many samples satisfy the condition.
    pub(super) fn count(&self) -> u64 {
        self.taken.iter().filter(|(_, _, holds)| *holds).count() as u64
    }

    /// Judges `always`, `never` or `eventually`; `sometimes` is judged by [`Self::count`].
    pub(super) fn judge(&self, claim: Claim) -> Judgement {
        let Some(last) = self.taken.last() else {
            return Judgement::Unknown(format!("metric {} was not measured", Plain(&self.metric.name)));
        };
        let wanted = claim != Claim::Never;
        match claim {
            Claim::Eventually { within } => self.settles(*last, within),
            _ => match self.taken.iter().find(|(_, _, holds)| *holds != wanted) {
                None if self.history.dropped() > 0 => Judgement::Unknown("the history is full".into()),
                None => Judgement::Holds(self.extremes()),
                Some((at, value, _)) => {
                    let never = if wanted { "" } else { "never " };
                    self.violated(Class::Safety, *at, never, format!("was {value}"))
                }
            },
        }
    }

    fn settles(&self, (end, last, _): Sample, within: Option<Duration>) -> Judgement {
        let Some(heal) = self.history.last_heal() else {
            return Judgement::Unknown("neither a heal nor the end of the load was recorded".into());
        };
        if !self.history.is_settled() {
            return Judgement::Unknown("the run did not reach the end of its time to settle".into());
        }
        let broken = self.taken.iter().rposition(|(_, _, holds)| !holds);
        // The condition holds from the first sample behind the last one that broke it.
        let stable = broken.map_or(Some(heal), |broken| self.taken.get(broken + 1).map(|(at, _, _)| *at));
        let deadline = within.map(|within| heal.saturating_add(within));
        let Some(stable) = stable else {
            let text = format!("was {last} at the end");
            return self.violated(Class::Liveness, deadline.unwrap_or(end), "", text);
        };
        let after = At(stable.saturating_sub(heal));
        match deadline {
            Some(deadline) if stable > deadline => {
                let text = format!("holds only from {after} after the last heal on");
                self.violated(Class::Liveness, deadline, "", text)
            }
            _ => Judgement::Holds(format!("holds from {after} after the last heal on")),
        }
    }

    fn violated(&self, class: Class, at: Duration, never: &str, what: String) -> Judgement {
        let checker = self.metric.to_string();
        let summary = format!("{never}{} expected, it {what}", Plain(&checker));
        let evidence = vec![format!("{:>9} {} {what}", At(at), Plain(&self.metric.name))];
        Judgement::Violated(Violation { checker, class, at, summary, evidence })
    }

    fn extremes(&self) -> String {
        let values = || self.taken.iter().map(|(_, value, _)| *value);
        let least = values().fold(f64::INFINITY, f64::min);
        let most = values().fold(f64::NEG_INFINITY, f64::max);
        format!("{} samples from {least} to {most}", self.taken.len())
    }
}
