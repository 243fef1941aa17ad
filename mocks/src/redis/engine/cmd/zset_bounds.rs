//! The two ends of a range of scores or of names, as `ZRANGEBYSCORE` and `ZRANGEBYLEX` read them.

use bytes::Bytes;

use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::float;
use crate::redis::store::{Scored, Zset};

/// Scores between two numbers, each of which belongs to the range or not.
pub(super) struct Scores {
    min: (f64, bool),
    max: (f64, bool),
}

impl Scores {
    pub(super) fn parse(min: &[u8], max: &[u8]) -> Result<Self, CmdError> {
        const WRONG: CmdError = CmdError::fixed("ERR min or max is not a float");
        Ok(Self { min: number(min).ok_or(WRONG)?, max: number(max).ok_or(WRONG)? })
    }

    /// The first rank in the range, and the first behind it; nothing is in between if that is less.
    pub(super) fn span(&self, zset: &Zset) -> (usize, usize) {
        let ((min, without_min), (max, without_max)) = (self.min, self.max);
        let low = zset.partition_point(|item| item.score < min || without_min && item.score == min);
        let high = zset.partition_point(|item| item.score < max || !without_max && item.score == max);
        (low, high)
    }
}

/// A number as C's `strtod` reads it, and whether a `(` says that it is not part of the range.
fn number(text: &[u8]) -> Option<(f64, bool)> {
    let (text, excluded) = text.strip_prefix(b"(").map_or((text, false), |text| (text, true));
    if text.is_empty() {
        return Some((0.0, excluded));
    }
    Some((float(text.trim_ascii_start())?, excluded))
}

/// Names between two others, each of which belongs to the range or not.
pub(super) struct Names {
    min: Bound,
    max: Bound,
}

/// One end of a range of names, ordered by where it lies.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Lowest,
    Name(Bytes, bool),
    Highest,
}

impl Names {
    pub(super) fn parse(min: &[u8], max: &[u8]) -> Result<Self, CmdError> {
        const WRONG: CmdError = CmdError::fixed("ERR min or max not valid string range item");
        Ok(Self { min: name(min).ok_or(WRONG)?, max: name(max).ok_or(WRONG)? })
    }

    /// Whether no name can be in the range.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.min, &self.max) {
            (Bound::Name(min, without_min), Bound::Name(max, without_max)) => {
                min > max || min == max && (*without_min || *without_max)
            }
            (min, max) => min >= max,
        }
    }

    /// Whether a member is at or behind the low end.
    pub(super) fn starts_by(&self, item: &Scored) -> bool {
        match &self.min {
            Bound::Lowest => true,
            Bound::Name(name, excluded) => item.member > *name || !excluded && item.member == *name,
            Bound::Highest => false,
        }
    }

    /// Whether a member is at or before the high end.
    pub(super) fn ends_by(&self, item: &Scored) -> bool {
        match &self.max {
            Bound::Lowest => false,
            Bound::Name(name, excluded) => item.member < *name || !excluded && item.member == *name,
            Bound::Highest => true,
        }
    }

    /// As [`Scores::span`], of members of one score.
    pub(super) fn span(&self, zset: &Zset) -> (usize, usize) {
        if self.is_empty() {
            return (0, 0);
        }
        (zset.partition_point(|item| !self.starts_by(item)), zset.partition_point(|item| self.ends_by(item)))
    }
}

fn name(text: &[u8]) -> Option<Bound> {
    match text {
        b"-" => Some(Bound::Lowest),
        b"+" => Some(Bound::Highest),
        [b'(', name @ ..] => Some(Bound::Name(Bytes::copy_from_slice(name), true)),
        [b'[', name @ ..] => Some(Bound::Name(Bytes::copy_from_slice(name), false)),
        _ => None,
    }
}
