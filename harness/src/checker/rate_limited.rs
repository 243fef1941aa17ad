//! `rate-limited`: no resource is served more often than a limit allows.
//!
//! In any stretch of time as long as `window` at most `most` effects on one resource are committed. A limiter with
//! fixed windows allows up to twice its limit in such a stretch, and whoever forgets its counters adds another: the
//! scenario says what it takes as the limit.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use squall_mocks::rule::duration_text;

use super::finding::{Finding, Findings};
use super::{Checker, Judgement, Parameter, Params};
use crate::history::{At, Count, History, Plain, Record, Text};
use crate::verdict::Class;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimited;

const PARAMETERS: &[Parameter] = &[
    Parameter { name: "most", about: "how many effects on one resource; must be given" },
    Parameter { name: "window", about: "in which time, like \"2s\"; must be given" },
    Parameter { name: "effect", about: "judge only the effect of this name; without it, all" },
];

/// What is allowed.
struct Limit<'a> {
    most: usize,
    window: Duration,
    effect: Option<&'a str>,
}

impl<'a> Limit<'a> {
    fn of(with: &'a Params) -> Result<Self, String> {
        let most = with.value("most").and_then(serde_json::Value::as_u64).filter(|most| *most > 0);
        let most = most.ok_or("expected a number above 0 for with.most")?;
        let window = with.text("window")?.ok_or("expected a duration like \"2s\" for with.window")?;
        let window = duration_text::parse(window)?;
        Ok(Self { most: usize::try_from(most).unwrap_or(usize::MAX), window, effect: with.text("effect")? })
    }
}

impl Checker for RateLimited {
    fn name(&self) -> &str {
        "rate-limited"
    }

    fn about(&self) -> &str {
        "No resource is served more often than the limit allows."
    }

    fn parameters(&self) -> &[Parameter] {
        PARAMETERS
    }

    fn judge(&self, history: &History, with: &Params) -> Judgement {
        let limit = match Limit::of(with) {
            Ok(limit) => limit,
            Err(wrong) => return Judgement::Unknown(wrong),
        };
        let mut findings = Findings::new("rate-limited", history);
        let mut recent: BTreeMap<&Text, VecDeque<(usize, Duration)>> = BTreeMap::new();
        let mut peak = 0;
        for (at, entry) in history.entries().iter().enumerate() {
            let Record::Effect(effect) = &entry.what else { continue };
            let asked_about = limit.effect.is_none_or(|wanted| wanted == &*effect.name);
            if !effect.committed || effect.resource.is_empty() || !asked_about {
                continue;
            }
            let window = recent.entry(&effect.resource).or_default();
            window.push_back((at, entry.at));
            while window.front().is_some_and(|(_, since)| *since + limit.window <= entry.at) {
                window.pop_front();
            }
            peak = peak.max(window.len());
            if window.len() > limit.most {
                findings.add(at, || exceeded(&limit, &effect.resource, at, window));
            }
        }
        findings.judge(|| match recent.len() {
            0 => Judgement::Unknown("no effect on a resource was committed".into()),
            many => {
                let on = Count(many as u64, "resource");
                Judgement::Holds(format!(
                    "at most {peak} in {}, on {on}",
                    duration_text::format(limit.window)
                ))
            }
        })
    }
}

fn exceeded<'a>(
    limit: &Limit<'_>,
    resource: &'a Text,
    at: usize,
    window: &VecDeque<(usize, Duration)>,
) -> Finding<'a> {
    let since = At(window.front().map(|(_, since)| *since).unwrap_or_default());
    let summary = format!(
        "{} was served {} times in {} from {since} on, {} are allowed",
        Plain(resource),
        window.len(),
        duration_text::format(limit.window),
        limit.most,
    );
    let shown = window.iter().map(|(entry, _)| *entry).collect();
    Finding { at, class: Class::Safety, keys: Vec::new(), shown, summary }
}
