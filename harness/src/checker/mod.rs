//! Checkers: each judges one promise by the history alone.
//!
//! A judgement is three-valued. A checker that saw nothing to judge says so instead of passing, and what must
//! be there in the end is judged only if the run reached its end. Every checker here is linear in the length
//! of the history. Which checkers a scenario wants, and what its expectations make of a judgement, is
//! [`crate::expect`]'s.
//!
//! | class | means |
//! |---|---|
//! | safety | something is there that must not be, or an acknowledged event is gone |
//! | liveness | something that is due did not come by the end, or in time |

mod dlq_complete;
mod finding;
mod idempotent;
mod key_order;
mod mutual_exclusion;
mod no_acked_loss;
mod no_phantom;
mod one_result;
mod params;
mod rate_limited;
mod recovered;
mod registry;

use crate::history::History;
use crate::verdict::Violation;

pub use self::dlq_complete::DlqComplete;
pub use self::idempotent::Idempotent;
pub use self::key_order::KeyOrder;
pub use self::mutual_exclusion::MutualExclusion;
pub use self::no_acked_loss::NoAckedLoss;
pub use self::no_phantom::NoPhantom;
pub use self::one_result::OneResult;
pub use self::params::{Parameter, Params};
pub use self::rate_limited::RateLimited;
pub use self::recovered::{Drained, Recovered};
pub use self::registry::{Registry, RegistryError};

/// Judges one promise.
///
/// ```
/// use std::sync::Arc;
///
/// use squall::checker::{Checker, Judgement, Params, Registry};
/// use squall::history::{History, Record};
/// use squall::verdict::{Class, Violation};
///
/// struct NoRefunds;
///
/// impl Checker for NoRefunds {
///     fn name(&self) -> &str {
///         "no-refunds"
///     }
///
///     fn about(&self) -> &str {
///         "No card is ever refunded."
///     }
///
///     fn judge(&self, history: &History, _: &Params) -> Judgement {
///         let refund = |record: &Record| matches!(record, Record::Effect(e) if &*e.name == "card.refunded");
///         match history.entries().iter().find(|entry| refund(&entry.what)) {
///             None => Judgement::Holds("no refund".into()),
///             Some(entry) => Judgement::Violated(Violation {
///                 checker: self.name().into(),
///                 class: Class::Safety,
///                 at: entry.at,
///                 summary: "a card was refunded".into(),
///                 evidence: vec![entry.to_string()],
///             }),
///         }
///     }
/// }
///
/// let mut registry = Registry::standard();
/// registry.register(Arc::new(NoRefunds))?;
/// # Ok::<(), squall::checker::RegistryError>(())
/// ```
pub trait Checker: Send + Sync {
    /// The name scenarios use.
    fn name(&self) -> &str;

    /// The promise, in one sentence.
    fn about(&self) -> &str;

    /// What may be set in `with`.
    fn parameters(&self) -> &[Parameter] {
        &[]
    }

    /// Judges a history.
    fn judge(&self, history: &History, with: &Params) -> Judgement;
}

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The promise was kept; the text says over how much.
    Holds(String),
    /// The promise was broken.
    Violated(Violation),
    /// Too little was observed to tell; the text says what was missing.
    Unknown(String),
}

/// Why the end of a run that was cut short is not judged.
const NOT_SETTLED: &str = "the run did not reach the end of its time to settle";
/// Why nothing can be said about a workload of which nothing was accepted.
const NOTHING_ACCEPTED: &str = "no event was acknowledged";
