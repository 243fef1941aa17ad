//! What is known after judging: a verdict is three-valued, and what was not judged is not a pass.
//!
//! Combining keeps the gravest: failed, then inconclusive, then skipped, then not run, then passed. So false
//! beats unknown beats true, and one skipped part keeps the whole from counting as passed. Nothing here reads
//! a history.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The outcome of an expectation, a run or a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "detail", rename_all = "kebab-case")]
pub enum Verdict {
    /// Judged and found true.
    Passed,
    /// Judged and found false.
    Failed(Violation),
    /// Judged, but too little was observed to tell; the text says what was missing.
    Inconclusive(String),
    /// Deliberately not judged; the text says why.
    Skipped(String),
    /// Not judged, because the run ended earlier.
    NotRun,
}

impl Verdict {
    /// The graver of the two; the first, if both are as grave.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if other.gravity() > self.gravity() { other } else { self }
    }

    /// All of these together. Nothing at all is [`Verdict::NotRun`].
    #[must_use]
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().reduce(Self::and).unwrap_or(Self::NotRun)
    }

    /// Whether everything was judged and found true.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        matches!(self, Self::Passed)
    }

    /// The violation of a failed verdict.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        match self {
            Self::Failed(violation) => Some(violation),
            _ => None,
        }
    }

    /// The verdict in one word, as reports write it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Inconclusive(_) => "inconclusive",
            Self::Skipped(_) => "skipped",
            Self::NotRun => "not-run",
        }
    }

    fn gravity(&self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::NotRun => 1,
            Self::Skipped(_) => 2,
            Self::Inconclusive(_) => 3,
            Self::Failed(_) => 4,
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The checker that found it.
    pub checker: String,
    /// What kind of promise.
    pub class: Class,
    /// The virtual time at which the promise was first broken, nanoseconds since the start of the run.
    #[serde(rename = "at_ns", with = "nanos")]
    pub at: Duration,
    /// What happened, in one sentence.
    pub summary: String,
    /// The records that show it, oldest first.
    pub evidence: Vec<String>,
}

/// Kinds of promises. Shrinking holds on to checker and class, so that it ends at the same bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Something happened that must never happen.
    Safety,
    /// Something did not happen in time.
    Liveness,
    /// A host ended by itself.
    Crash,
    /// The same plan had two outcomes.
    Nondeterminism,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safety => "safety",
            Self::Liveness => "liveness",
            Self::Crash => "crash",
            Self::Nondeterminism => "nondeterminism",
        })
    }
}

/// Durations as whole nanoseconds, for machine-readable output.
pub(crate) mod nanos {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// A virtual time in nanoseconds; beyond 584 years it stays at the largest number.
    pub fn of(duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
    }

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(of(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict() -> impl Strategy<Value = Verdict> {
        let violation = Violation {
            checker: "idempotent".into(),
            class: Class::Safety,
            at: Duration::from_millis(5),
            summary: "twice".into(),
            evidence: vec!["a".into()],
        };
        prop_oneof![
            Just(Verdict::Passed),
            Just(Verdict::Failed(violation)),
            Just(Verdict::Inconclusive("nothing seen".into())),
            Just(Verdict::Skipped("no docker".into())),
            Just(Verdict::NotRun),
        ]
    }

    proptest! {
        #[test]
        fn combining_is_associative_commutative_and_idempotent(a in verdict(), b in verdict(), c in verdict()) {
            let and = |x: &Verdict, y: &Verdict| x.clone().and(y.clone());
            prop_assert_eq!(and(&a, &b), and(&b, &a));
            prop_assert_eq!(and(&and(&a, &b), &c), and(&a, &and(&b, &c)));
            prop_assert_eq!(and(&a, &a), a);
        }

        #[test]
        fn the_whole_passes_only_if_every_part_does(parts in prop::collection::vec(verdict(), 1..6)) {
            let expected = parts.iter().all(Verdict::is_passed);
            prop_assert_eq!(Verdict::all(parts).is_passed(), expected);
        }

        #[test]
        fn a_verdict_survives_json(verdict in verdict()) {
            let json = serde_json::to_string(&verdict).expect("json");
            prop_assert_eq!(serde_json::from_str::<Verdict>(&json).expect("a verdict"), verdict);
        }
    }

    #[test]
    fn nothing_judged_is_not_a_pass() {
        assert_eq!(Verdict::all([]), Verdict::NotRun);
        let skipped = || Verdict::Skipped("no docker".into());
        assert_eq!(Verdict::Passed.and(skipped()), skipped());
        let unknown = || Verdict::Inconclusive("nothing seen".into());
        assert_eq!(unknown().and(skipped()).and(Verdict::Passed), unknown());
    }
}
