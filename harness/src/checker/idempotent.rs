//! `idempotent`: every business event takes effect once.
//!
//! Per effect and business key at most one commit, at any time; and in the end exactly one, if an event of
//! that key was acknowledged and none was dead-lettered. Attempts may be more: a sink that recognises the
//! token of a repetition does not commit it. Effects are counted per business key, so two different events
//! about one key that should each take the same effect cannot be told from one event that took it twice.

use super::finding::{Finding, Findings};
use super::{Checker, Judgement, NOT_SETTLED, Parameter, Params};
use crate::history::{At, Count, History, Index, KeyFacts, Plain, Text};
use crate::verdict::Class;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idempotent;

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "effect",
        about: "judge only the effect of this name; without it, all, and any one of them is enough in the end",
    },
    Parameter { name: "key", about: "what the business key is called in reports, like \"order_id\"" },
];

impl Checker for Idempotent {
    fn name(&self) -> &str {
        "idempotent"
    }

    fn about(&self) -> &str {
        "Every accepted event takes effect exactly once, unless it is dead-lettered."
    }

    fn parameters(&self) -> &[Parameter] {
        PARAMETERS
    }

    fn judge(&self, history: &History, with: &Params) -> Judgement {
        let (effect, key) = match (with.text("effect"), with.text("key")) {
            (Ok(effect), Ok(key)) => (effect, key.unwrap_or("order")),
            (Err(wrong), _) | (_, Err(wrong)) => return Judgement::Unknown(wrong),
        };
        let index = history.index();
        if index.effects == 0 {
            return Judgement::Unknown("no request for an effect reached the sink".into());
        }
        let mut findings = Findings::new("idempotent", history);
        let settled = history.is_settled();
        let mut once = 0_u64;
        for (id, facts) in &index.keys {
            once += u64::from(facts.first_effect(effect).is_some());
            repeated(&mut findings, history, (key, id, facts), effect);
            if settled && is_due(index, facts) && facts.first_effect(effect).is_none() {
                findings.missing(Class::Liveness, id, || {
                    let wanted = effect.unwrap_or("any effect");
                    format!("{} was not committed for {key} {}", Plain(wanted), Plain(id))
                });
            }
        }
        findings.judge(|| match settled {
            true if once == 0 => Judgement::Unknown("no effect was committed and none was due".into()),
            true => Judgement::Holds(format!(
                "{} took effect once, in {}",
                Count(once, "key"),
                Count(index.effects, "attempt")
            )),
            false => Judgement::Unknown(NOT_SETTLED.into()),
        })
    }
}

/// Adds the effects of one key that were committed more than once.
fn repeated<'a>(
    findings: &mut Findings<'a>,
    history: &'a History,
    (key, id, facts): (&str, &'a Text, &'a KeyFacts),
    effect: Option<&str>,
) {
    for (name, commits) in &facts.effects {
        let (Some(first), Some(second)) = (commits.first(), commits.get(1)) else { continue };
        if effect.is_some_and(|wanted| wanted != &**name) {
            continue;
        }
        findings.add(*second, || {
            let at = |at: usize| At(history.entries().get(at).map(|entry| entry.at).unwrap_or_default());
            let (name, id_text, times) = (Plain(name), Plain(id), commits.len());
            let (a, b) = (at(*first), at(*second));
            let summary = format!("{name} was committed {times} times for {key} {id_text}, at {a} and {b}");
            let (keys, shown) = (vec![id], vec![*first, *second]);
            Finding { at: *second, class: Class::Safety, keys, shown, summary }
        });
    }
}

/// Whether a key must have taken effect by the end.
fn is_due(index: &Index, facts: &KeyFacts) -> bool {
    let events = || facts.events.iter().filter_map(|event| index.events.get_index(*event));
    events().any(|(_, event)| event.accepted.is_some()) && events().all(|(_, event)| event.dead.is_none())
}
