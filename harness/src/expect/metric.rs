//! `metric <name> <op> <number>`: a condition on samples of a gauge, or on a counter.
//!
//! If the history has samples of a gauge of that name, each sample is compared; else the counter of that name
//! counts as one sample, taken at the end. Nothing sampled is unknown.

use std::fmt;
use std::time::Duration;

use super::Modality;
use crate::checker::Judgement;
use crate::history::{At, History, Plain, Record};
use crate::verdict::{Class, Violation};

/// A condition on a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The gauge's or counter's name.
    pub name: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub number: f64,
}

/// How a metric is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Different,
}

impl Operator {
    const ALL: [(Self, &str); 6] = [
        (Self::Less, "<"),
        (Self::AtMost, "<="),
        (Self::Greater, ">"),
        (Self::AtLeast, ">="),
        (Self::Equal, "=="),
        (Self::Different, "!="),
    ];

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Different => left != right,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Operator::ALL.iter().find(|(operator, _)| *operator == self.operator);
        let sign = sign.map_or("?", |(_, sign)| sign);
        write!(f, "metric {} {sign} {}", Plain(&self.name), self.number)
    }
}

/// One sample: when, its value, and whether the condition held.
type Sample = (Duration, f64, bool);

impl Metric {
    /// Understands `metric lag <= 100`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let ("metric", name, sign, number) = (words.next()?, words.next()?, words.next()?, words.next()?)
        else {
            return None;
        };
        let (operator, _) = Operator::ALL.into_iter().find(|(_, known)| *known == sign)?;
        let number: f64 = number.parse().ok().filter(|number: &f64| number.is_finite())?;
        words.next().is_none().then(|| Self { name: name.to_owned(), operator, number })
    }

    /// How many samples satisfy the condition.
    #[must_use]
    pub fn count(&self, history: &History) -> u64 {
        self.samples(history).iter().filter(|(_, _, holds)| *holds).count() as u64
    }

    /// Judges the condition over a run; `sometimes` is judged by [`Metric::count`].
    #[must_use]
    pub fn judge(&self, history: &History, modality: Modality, within: Option<Duration>) -> Judgement {
        let samples = self.samples(history);
        if samples.is_empty() {
            return Judgement::Unknown(format!("metric {} was not measured", Plain(&self.name)));
        }
        let wanted = modality != Modality::Never;
        match modality {
            Modality::Eventually => self.settles(history, &samples, within),
            _ => match samples.iter().find(|(_, _, holds)| *holds != wanted) {
                None if history.dropped() > 0 => Judgement::Unknown("the history is full".into()),
                None => Judgement::Holds(extremes(&samples)),
                Some((at, value, _)) => self.violated(Class::Safety, *at, format!("was {value}")),
            },
        }
    }

    fn settles(&self, history: &History, samples: &[Sample], within: Option<Duration>) -> Judgement {
        let Some(heal) = history.last_heal() else {
            return Judgement::Unknown("neither a heal nor the end of the load was recorded".into());
        };
        if !history.is_settled() {
            return Judgement::Unknown("the run did not reach the end of its time to settle".into());
        }
        let broken = samples.iter().rposition(|(_, _, holds)| !holds);
        // The condition holds from the first sample behind the last one that broke it.
        let stable = broken.map_or(Some(heal), |broken| samples.get(broken + 1).map(|(at, _, _)| *at));
        let end = samples.last().map(|(at, _, _)| *at).unwrap_or_default();
        let deadline = within.map(|within| heal.saturating_add(within));
        let Some(stable) = stable else {
            let last = samples.last().map(|(_, value, _)| *value).unwrap_or_default();
            let text = format!("was {last} at the end");
            return self.violated(Class::Liveness, deadline.unwrap_or(end), text);
        };
        let after = At(stable.saturating_sub(heal));
        match deadline {
            Some(deadline) if stable > deadline => {
                let text = format!("holds only from {after} after the last heal on");
                self.violated(Class::Liveness, deadline, text)
            }
            _ => Judgement::Holds(format!("holds from {after} after the last heal on")),
        }
    }

    fn violated(&self, class: Class, at: Duration, what: String) -> Judgement {
        let summary = format!("{} expected, it {what}", self);
        let evidence = vec![format!("{:>9} {} {what}", At(at), Plain(&self.name))];
        Judgement::Violated(Violation { checker: self.to_string(), class, at, summary, evidence })
    }

    fn samples(&self, history: &History) -> Vec<Sample> {
        let sample = |at, value: f64| (at, value, self.operator.holds(value, self.number));
        let gauges = history.entries().iter().filter_map(|entry| match &entry.what {
            Record::Gauge { name, value } if **name == *self.name => Some(sample(entry.at, *value)),
            _ => None,
        });
        let gauges: Vec<Sample> = gauges.collect();
        if !gauges.is_empty() {
            return gauges;
        }
        let end = history.entries().last().map(|entry| entry.at).unwrap_or_default();
        // Counts stay far below 2^53, from where on a float skips whole numbers.
        history.counters().get(&self.name).map(|count| sample(end, *count as f64)).into_iter().collect()
    }
}

fn extremes(samples: &[Sample]) -> String {
    let values = || samples.iter().map(|(_, value, _)| *value);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    format!("{} samples from {least} to {most}", samples.len())
}
