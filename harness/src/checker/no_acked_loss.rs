//! `no-acked-loss`: what was acknowledged is not lost.
//!
//! Every event whose production was acknowledged has, in the end, a result on an output topic, a committed
//! effect of its business key, or a dead letter. When it should have come is not judged here; see `recovered`.

use super::finding::{Findings, name};
use super::{Checker, Judgement, NOT_SETTLED, NOTHING_ACCEPTED, Params};
use crate::history::{At, Count, History};
use crate::verdict::Class;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAckedLoss;

impl Checker for NoAckedLoss {
    fn name(&self) -> &str {
        "no-acked-loss"
    }

    fn about(&self) -> &str {
        "Every acknowledged event is processed or dead-lettered in the end."
    }

    fn judge(&self, history: &History, _: &Params) -> Judgement {
        let index = history.index();
        let accepted = index.accepted().count();
        if accepted == 0 {
            return Judgement::Unknown(NOTHING_ACCEPTED.into());
        }
        if !history.is_settled() {
            return Judgement::Unknown(NOT_SETTLED.into());
        }
        if !index.saw_outcomes() {
            return Judgement::Unknown("neither an effect, a result nor a dead letter was observed".into());
        }
        let mut findings = Findings::new("no-acked-loss", history);
        for (id, event, at) in index.accepted().filter(|(_, event, _)| event.resolved.is_none()) {
            let key = &event.operation.business_key;
            findings.missing(Class::Safety, key, || {
                let at = history.entries().get(at).map(|entry| entry.at).unwrap_or_default();
                format!("{} was acknowledged at {} and came to nothing", name(id, key), At(at))
            });
        }
        findings.judge(|| {
            Judgement::Holds(format!("{} came to something", Count(accepted as u64, "acknowledged event")))
        })
    }
}
