//! Quantities as people write them in scenario and plan files: `"250ms"`, `"64KiB/s"`, `"200/s"`, `0.02`.
//!
//! Every quantity with a unit is text with that unit, and survives a round trip exactly. A bare number is
//! refused: nobody should have to look up whether `30` was seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use squall_mocks::rule::duration_text;

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct InvalidQuantity {
    expected: &'static str,
    found: String,
}

/// Durations for `#[serde(with = "…")]`.
pub mod duration {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&duration_text::format(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let expected = "a duration with a unit like \"250ms\", \"30s\", \"5m\"";
        let text = deserializer.deserialize_str(Text { expected })?;
        duration_text::parse(&text).map_err(de::Error::custom)
    }
}

/// Durations that may be absent; goes with `#[serde(default)]`.
pub mod optional_duration {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        value.map(duration_text::format).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(d).map(Some)
    }
}

/// How often: a number per second, minute or hour, above zero. Written `"200/s"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    count: f64,
    per: Per,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Second,
    Minute,
    Hour,
}

/// The highest rate: one event each microsecond.
const RATE_MAX_PER_SECOND: f64 = 1e6;

impl Rate {
    const EXPECTED: &'static str =
        "a rate above zero and up to a million a second, like \"200/s\" or \"5/m\"";

    /// Events per second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        self.count / self.per.seconds()
    }

    /// When the `n`-th event is due, counted from 0, rounded to a microsecond.
    #[must_use]
    pub fn due(self, n: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "counts are limited to a million")]
        let micros = (n as f64 * self.per.seconds() * 1e6 / self.count).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
        Duration::from_micros(micros as u64)
    }
}

impl Per {
    const fn seconds(self) -> f64 {
        match self {
            Self::Second => 1.0,
            Self::Minute => 60.0,
            Self::Hour => 3600.0,
        }
    }
}

impl FromStr for Rate {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let invalid = || InvalidQuantity { expected: Self::EXPECTED, found: text.to_owned() };
        let (count, per) = text.split_once('/').ok_or_else(invalid)?;
        let count = count.trim().parse().map_err(|_| invalid())?;
        let per = match per.trim() {
            "s" => Per::Second,
            "m" => Per::Minute,
            "h" => Per::Hour,
            _ => return Err(invalid()),
        };
        let rate = Self { count, per };
        // Written so that NaN fails too. The lower bound keeps arithmetic on a million events finite.
        if rate.per_second() >= 1e-9 && rate.per_second() <= RATE_MAX_PER_SECOND {
            Ok(rate)
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Second => 's',
            Per::Minute => 'm',
            Per::Hour => 'h',
        };
        write!(f, "{}/{per}", self.count)
    }
}

/// Bytes per second, above zero. Written `"64KiB/s"`; units `B`, `kB`, `MB`, `KiB`, `MiB`, `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    bytes_per_second: u64,
}

/// Units of bytes, the largest binary ones first: those are tried for writing.
const BYTE_UNITS: [(&str, u64); 6] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("MB", 1_000_000), ("kB", 1000), ("B", 1)];
/// The most that can be written, a pebibyte per second: far above any link.
const BANDWIDTH_MAX: u64 = 1 << 50;

impl Bandwidth {
    const EXPECTED: &'static str = "a bandwidth above zero like \"64KiB/s\" or \"1MB/s\"";

    /// Bytes per second.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.bytes_per_second
    }
}

impl FromStr for Bandwidth {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let invalid = || InvalidQuantity { expected: Self::EXPECTED, found: text.to_owned() };
        let amount = text.trim().strip_suffix("/s").ok_or_else(invalid)?;
        let split = amount.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(invalid)?;
        let (number, unit) = amount.split_at(split);
        let (_, size) = BYTE_UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let number: u64 = number.trim().parse().map_err(|_| invalid())?;
        let bytes = number.checked_mul(size).filter(|bytes| (1..=BANDWIDTH_MAX).contains(bytes));
        Ok(Self { bytes_per_second: bytes.ok_or_else(invalid)? })
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = BYTE_UNITS.iter().find(|(_, size)| self.bytes_per_second.is_multiple_of(*size));
        let (unit, size) = exact.unwrap_or(&("B", 1));
        write!(f, "{}{unit}/s", self.bytes_per_second / size)
    }
}

/// A probability or a share, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// The number, 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Whether this never happens.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == 0.0
    }
}

impl TryFrom<f64> for Probability {
    type Error = InvalidQuantity;

    fn try_from(value: f64) -> Result<Self, InvalidQuantity> {
        if (0.0..=1.0).contains(&value) {
            // Zero has two spellings; one is kept.
            return Ok(Self(value.abs()));
        }
        Err(InvalidQuantity { expected: "a probability from 0 to 1", found: value.to_string() })
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

/// Quantities with a unit are read and written as text.
macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = deserializer.deserialize_str(Text { expected: Self::EXPECTED })?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text!(Rate, Bandwidth);

/// Reads a text; its point is to say which text was expected when something else is found.
struct Text {
    expected: &'static str,
}

impl de::Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_without_a_unit_or_at_zero_are_refused() {
        for wrong in ["200", "0/s", "-1/s", "nan/s", "inf/s", "1e-30/s", "200/fortnight", "/s", "2e6/s"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        for wrong in ["64", "0B/s", "64KiB", "64 bytes/s", "-1B/s", "99999999999GiB/s", "KiB/s"] {
            assert!(wrong.parse::<Bandwidth>().is_err(), "{wrong}");
        }
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Probability::try_from(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn events_are_due_evenly() {
        let rate: Rate = "200/s".parse().expect("a rate");
        assert_eq!(rate.due(0), Duration::ZERO);
        assert_eq!(rate.due(200), Duration::from_secs(1));
        let slow: Rate = "2/m".parse().expect("a rate");
        assert_eq!(slow.due(3), Duration::from_secs(90));
    }

    proptest! {
        #[test]
        fn a_rate_survives_a_round_trip(count in 1e-3..1e6, unit in "[smh]") {
            let text = format!("{count}/{unit}");
            let rate: Rate = text.parse().expect("a rate");
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }

        #[test]
        fn a_bandwidth_survives_a_round_trip(bytes_per_second in 1..BANDWIDTH_MAX) {
            let bandwidth = Bandwidth { bytes_per_second };
            prop_assert_eq!(bandwidth.to_string().parse(), Ok(bandwidth));
        }
    }
}
