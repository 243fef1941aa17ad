//! Timestamps on the wire: RFC 3339 text, Unix milliseconds within.
//!
//! Milliseconds are what the platform keeps; finer digits of a foreign event are dropped. A leap second reads
//! as the second after it, as Unix time has it. Nothing here reads a clock.

use std::ops::RangeInclusive;

/// The Unix milliseconds of the years 0000 to 9999, which RFC 3339 can write.
pub(super) const RANGE_MS: RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

const DAY_MS: i64 = 86_400_000;

/// Writes `2026-01-01T00:00:00.000Z`. Times outside the years 0000 to 9999 are clamped to them.
#[must_use]
pub fn format_rfc3339(unix_ms: i64) -> String {
    let unix_ms = unix_ms.clamp(*RANGE_MS.start(), *RANGE_MS.end());
    let (days, of_day) = (unix_ms.div_euclid(DAY_MS), unix_ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Reads an RFC 3339 timestamp with any offset; `None` if it is not one, or lies outside the years 0000 to
/// 9999 in UTC.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let separators = [(4, "-"), (7, "-"), (10, "Tt"), (13, ":"), (16, ":")];
    let is_separated =
        separators.iter().all(|(at, any)| bytes.get(*at).is_some_and(|byte| any.as_bytes().contains(byte)));
    if !is_separated {
        return None;
    }
    let (year, month, day) = (digits(bytes, 0..4)?, digits(bytes, 5..7)?, digits(bytes, 8..10)?);
    let (hour, minute, second) = (digits(bytes, 11..13)?, digits(bytes, 14..16)?, digits(bytes, 17..19)?);
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (ms, rest) = fraction_ms(bytes.get(19..)?)?;
    let offset_s = offset_s(rest)?;
    let seconds = (hour * 60 + minute) * 60 + second - offset_s;
    let unix_ms = days_from_civil(year, month, day) * DAY_MS + seconds * 1000 + ms;
    RANGE_MS.contains(&unix_ms).then_some(unix_ms)
}

fn digits(bytes: &[u8], range: std::ops::Range<usize>) -> Option<i64> {
    let digits = bytes.get(range)?;
    digits
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// The milliseconds of `.123456…`, and what follows it.
fn fraction_ms(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(fraction) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, rest) = fraction.split_at(length);
    let ms = [100, 10, 1].iter().zip(fraction).map(|(weight, digit)| weight * i64::from(digit - b'0')).sum();
    (length > 0).then_some((ms, rest))
}

fn offset_s(bytes: &[u8]) -> Option<i64> {
    let sign = match bytes {
        b"Z" | b"z" => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    let (hours, minutes) = (digits(bytes, 1..3)?, digits(bytes, 4..6)?);
    let well_formed = bytes.len() == 6 && bytes[3] == b':' && hours <= 23 && minutes <= 59;
    well_formed.then_some(sign * (hours * 60 + minutes) * 60)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that the leap day
/// is a year's last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
