//! What must hold: an `[[expect]]`, in the shape of the file and as the checkers want it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::fault::unit;

/// An `[[expect]]` as written: exactly one of the first four is filled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ExpectEntry {
    /// Holds at every moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub always: Option<String>,
    /// Holds at no moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never: Option<String>,
    /// Holds from some moment to the end, `within` a time after the last heal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eventually: Option<String>,
    /// Happens `at-least` this often: guards against runs that prove nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sometimes: Option<String>,
    /// For `eventually`: how long it may take; the whole settling time if absent.
    #[serde(with = "unit::optional_duration", skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// For `eventually`: from when `within` counts. Whether it is written makes no difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<LastHeal>,
    /// For `sometimes`: how often; once if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// What the checker needs to know.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub with: toml::Table,
}

/// `"last-heal"`, the one moment from which the time of an `eventually` counts: faults end with the load at the
/// latest, so nothing is broken any more and nothing new comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastHeal;

impl LastHeal {
    const TEXT: &'static str = "last-heal";
}

impl Serialize for LastHeal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Self::TEXT)
    }
}

impl<'de> Deserialize<'de> for LastHeal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == Self::TEXT { Ok(Self) } else { Err(de::Error::unknown_variant(&text, &[Self::TEXT])) }
    }
}

/// An expectation with its parts told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ExpectEntry", into = "ExpectEntry")]
pub struct Expectation {
    /// What is claimed.
    pub claim: Claim,
    /// About what.
    pub subject: Subject,
    /// What the checker needs to know.
    pub with: toml::Table,
}

/// What an expectation claims about its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It holds at every moment.
    Always,
    /// It holds at no moment.
    Never,
    /// It holds from some moment to the end of the run.
    Eventually {
        /// The latest such moment, counted from the last heal; the end of the run if absent.
        within: Option<Duration>,
    },
    /// It happens.
    Sometimes {
        /// How often at least.
        at_least: u64,
    },
}

impl Claim {
    /// The key in the file: `always`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Eventually { .. } => "eventually",
            Self::Sometimes { .. } => "sometimes",
        }
    }

    /// The checker that is asked if the claim is about `name`: `never = "phantom"` is another way to write
    /// `always = "no-phantom"`.
    #[must_use]
    pub fn checker(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Never => format!("{NO}{name}").into(),
            _ => name.into(),
        }
    }
}

/// What the names of checkers against a mishap begin with.
const NO: &str = "no-";

/// The mishap that the checker of this name is against: `phantom` of `no-phantom`.
pub(crate) fn mishap(checker: &str) -> Option<&str> {
    checker.strip_prefix(NO)
}

/// What an expectation is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A name: of a checker; for `never`, of a mishap; for `sometimes`, of whatever is counted.
    Named(String),
    /// A metric compared with a number.
    Metric(Metric),
}

/// A metric compared with a number: `dead-lettered <= 3`.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The name of a gauge or a counter.
    pub name: String,
    /// How they are compared.
    pub operator: Operator,
    /// The number.
    pub value: f64,
}

/// How a metric is compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

impl Operator {
    /// Longer ones first, so that `<=` is not read as `<`.
    const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    /// Whether the comparison holds.
    #[must_use]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}

/// Why an [`ExpectEntry`] is no [`Expectation`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidExpectation {
    /// None of the four claims is made.
    #[error("expected one of `always`, `never`, `eventually`, `sometimes`, found none")]
    NoClaim,
    /// More than one claim is made.
    #[error("expected only one of `always`, `never`, `eventually`, `sometimes`, found `{0}` and `{1}`")]
    TwoClaims(&'static str, &'static str),
    /// A key belongs to another claim.
    #[error("`{key}` goes with `{with}`, not with `{claim}`")]
    ForeignKey {
        /// The key.
        key: &'static str,
        /// The claim it goes with.
        with: &'static str,
        /// The claim made.
        claim: &'static str,
    },
    /// A comparison without a name or a number.
    #[error("expected a comparison like \"dead-lettered <= 3\", found {0:?}")]
    Comparison(String),
}

impl TryFrom<ExpectEntry> for Expectation {
    type Error = InvalidExpectation;

    fn try_from(entry: ExpectEntry) -> Result<Self, InvalidExpectation> {
        let claims = [
            (entry.always, Claim::Always),
            (entry.never, Claim::Never),
            (entry.eventually, Claim::Eventually { within: entry.within }),
            (entry.sometimes, Claim::Sometimes { at_least: entry.at_least.unwrap_or(1) }),
        ];
        let mut made = claims.into_iter().filter_map(|(subject, claim)| Some((subject?, claim)));
        let (subject, claim) = made.next().ok_or(InvalidExpectation::NoClaim)?;
        if let Some((_, second)) = made.next() {
            return Err(InvalidExpectation::TwoClaims(claim.name(), second.name()));
        }
        let keys = [
            ("within", entry.within.is_some(), "eventually"),
            ("after", entry.after.is_some(), "eventually"),
            ("at-least", entry.at_least.is_some(), "sometimes"),
        ];
        if let Some((key, _, with)) =
            keys.into_iter().find(|(_, given, with)| *given && *with != claim.name())
        {
            return Err(InvalidExpectation::ForeignKey { key, with, claim: claim.name() });
        }
        Ok(Self { claim, subject: subject.parse()?, with: entry.with })
    }
}

impl From<Expectation> for ExpectEntry {
    fn from(expectation: Expectation) -> Self {
        let subject = Some(expectation.subject.to_string());
        let entry = Self { with: expectation.with, ..Self::default() };
        match expectation.claim {
            Claim::Always => Self { always: subject, ..entry },
            Claim::Never => Self { never: subject, ..entry },
            Claim::Eventually { within } => Self { eventually: subject, within, ..entry },
            Claim::Sometimes { at_least } => Self { sometimes: subject, at_least: Some(at_least), ..entry },
        }
    }
}

impl std::str::FromStr for Subject {
    type Err = InvalidExpectation;

    fn from_str(text: &str) -> Result<Self, InvalidExpectation> {
        if !text.contains(['<', '>', '=', '!']) {
            return Ok(Self::Named(text.to_owned()));
        }
        let invalid = || InvalidExpectation::Comparison(text.to_owned());
        let split = |(sign, operator)| Some((text.split_once(sign)?, operator));
        let ((name, value), operator) = Operator::ALL.into_iter().find_map(split).ok_or_else(invalid)?;
        let value: f64 = value.trim().parse().map_err(|_| invalid())?;
        let name = name.trim();
        if name.is_empty() || name.contains(['<', '>', '=', '!', ' ']) || !value.is_finite() {
            return Err(invalid());
        }
        Ok(Self::Metric(Metric { name: name.to_owned(), operator, value }))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Metric(metric) => metric.fmt(f),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Operator::ALL.iter().find(|(_, other)| *other == self.operator);
        write!(f, "{} {} {}", self.name, sign.map_or("==", |(sign, _)| sign), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_survives_a_round_trip() {
        for text in ["idempotent", "consumer.lag < 1000", "consumer.lag <= 0.5", "errors == 0", "x != -1"] {
            let subject: Subject = text.parse().expect("a subject");
            assert_eq!(subject.to_string(), text);
        }
        for wrong in ["< 3", "lag <", "lag < many", "lag = 3", "a < b < 3", "lag < inf", "lag =< 3"] {
            assert!(wrong.parse::<Subject>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn last_heal_may_be_written_and_changes_nothing() {
        let read = |text: &str| toml::from_str::<Expectation>(text);
        let written =
            read("eventually = \"drained\"\nwithin = \"3s\"\nafter = \"last-heal\"").expect("valid");
        assert_eq!(written, read("eventually = \"drained\"\nwithin = \"3s\"").expect("valid"));
        assert_eq!(toml::to_string(&written).expect("TOML"), "eventually = \"drained\"\nwithin = \"3s\"\n");
        let other = read("eventually = \"drained\"\nafter = \"load-end\"").expect_err("no such moment");
        assert!(other.to_string().contains("expected `last-heal`"), "{other}");
        assert!(read("always = \"drained\"\nafter = \"last-heal\"").is_err());
    }

    #[test]
    fn keys_of_another_claim_are_refused() {
        let always = ExpectEntry { always: Some("idempotent".into()), ..ExpectEntry::default() };
        let within = ExpectEntry { within: Some(Duration::from_secs(1)), ..always.clone() };
        assert!(matches!(Expectation::try_from(within), Err(InvalidExpectation::ForeignKey { .. })));
        let both = ExpectEntry { never: Some("phantom".into()), ..always.clone() };
        assert_eq!(Expectation::try_from(both), Err(InvalidExpectation::TwoClaims("always", "never")));
        let none = ExpectEntry::default();
        assert_eq!(Expectation::try_from(none), Err(InvalidExpectation::NoClaim));
        assert!(Expectation::try_from(always).is_ok());
    }
}
