//! `mutual-exclusion`: critical sections on one resource do not interleave.
//!
//! A section is what one holder of a lock does to a resource. Once another section has changed the resource, an
//! earlier one must not change it any more: its holder acts on what it has read before. Judged by committed effects
//! alone, so a lock may well have two holders, as long as the resource listens to one. Whether each section is
//! whole is another promise's.

use std::collections::BTreeMap;

use super::finding::{Finding, Findings};
use super::{Checker, Judgement, Params};
use crate::history::{At, Count, Effect, History, Plain, Record, Text};
use crate::verdict::Class;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct MutualExclusion;

/// Where each section changed its resource last, and which was the last to do so.
#[derive(Default)]
struct Sections<'a> {
    last_of: BTreeMap<&'a Text, usize>,
    current: Option<&'a Text>,
}

impl Checker for MutualExclusion {
    fn name(&self) -> &str {
        "mutual-exclusion"
    }

    fn about(&self) -> &str {
        "Critical sections on one resource do not interleave."
    }

    fn judge(&self, history: &History, _: &Params) -> Judgement {
        let mut findings = Findings::new("mutual-exclusion", history);
        let mut resources: BTreeMap<&Text, Sections<'_>> = BTreeMap::new();
        let mut sections = 0_u64;
        for (at, entry) in history.entries().iter().enumerate() {
            let Record::Effect(effect) = &entry.what else { continue };
            if !effect.committed || effect.section.is_empty() {
                continue;
            }
            let seen = resources.entry(&effect.resource).or_default();
            let before = seen.last_of.insert(&effect.section, at);
            let other = seen.current.replace(&effect.section).filter(|other| **other != effect.section);
            match (before, other) {
                (None, _) => sections += 1,
                (Some(before), Some(other)) => {
                    let between = seen.last_of.get(other).copied().unwrap_or(at);
                    findings.add(at, || interleaved(history, effect, [before, between, at]));
                }
                (Some(_), None) => {}
            }
        }
        findings.judge(|| match sections {
            0 => Judgement::Unknown("no effect was committed in a critical section".into()),
            _ => {
                let on = Count(resources.len() as u64, "resource");
                Judgement::Holds(format!("{} on {on} did not interleave", Count(sections, "section")))
            }
        })
    }
}

/// `shown` are the section's change before, the other section's, and the one that should not be.
fn interleaved<'a>(history: &'a History, effect: &'a Effect, shown: [usize; 3]) -> Finding<'a> {
    let time = |at: usize| At(history.entries().get(at).map(|entry| entry.at).unwrap_or_default());
    let [before, between, at] = shown;
    let summary = format!(
        "{} on {} was committed in a section that began before another changed it, at {}, {} and {}",
        Plain(&effect.name),
        Plain(&effect.resource),
        time(before),
        time(between),
        time(at),
    );
    Finding { at, class: Class::Safety, keys: Vec::new(), shown: shown.to_vec(), summary }
}
