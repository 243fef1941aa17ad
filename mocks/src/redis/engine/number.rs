//! Numbers as Redis reads and writes them.
//!
//! Integers are strict (`string2ll`): no plus sign, no spaces, no leading zeros. Floats take what C's
//! `strtold` takes, but for hexadecimal ones, and are added as its 80-bit floats are.

use super::long_double::LongDouble;

/// An integer in its one canonical spelling.
#[must_use]
pub fn strict_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // Collected below zero, where there is room for `i64::MIN`.
    let mut value = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// An integer in its canonical spelling, written into `buffer`.
#[must_use]
pub fn decimal(number: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    &buffer[start..]
}

/// A float as `strtold` reads it, all of the text, without leading spaces and not NaN.
#[must_use]
pub fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let value = if matches!(lower.as_str(), "inf" | "infinity") {
        if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }
    } else {
        if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        text.parse::<f64>().ok()?
    };
    (!value.is_nan()).then_some(value)
}

/// A score of a sorted set: unlike [`float`], nothing that is too large or too small for a double.
#[must_use]
pub fn score(text: &[u8]) -> Option<f64> {
    let value = float(text)?;
    let mantissa = text.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or_default();
    let is_word = text.iter().any(|byte| matches!(byte, b'n' | b'N'));
    let overflows = value.is_infinite() && !is_word;
    let underflows = value == 0.0 && mantissa.iter().any(|byte| matches!(byte, b'1'..=b'9'));
    (!overflows && !underflows).then_some(value)
}

/// The sum of two floats as `INCRBYFLOAT` writes it: 17 decimals, trailing zeros cut. `None` if not finite.
#[must_use]
pub fn add_floats(left: &[u8], right: &[u8]) -> Option<String> {
    let sum = LongDouble::parse(left)?.add(LongDouble::parse(right)?)?;
    Some(sum.to_string())
}

/// A float as C's `%.17Lf` writes it, trailing zeros cut.
#[must_use]
pub fn human(value: f64) -> String {
    let text = format!("{value:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A float as C's `%.17g` writes it.
#[must_use]
pub fn general(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    if value.is_nan() {
        return "nan".to_owned();
    }
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        let decimals = usize::try_from(16 - exponent).unwrap_or(0);
        trim(&format!("{value:.decimals$}"))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
    }
}

/// A score as a listpack holds it: whole numbers that half the integers reach as integers.
#[must_use]
pub fn packed_score(score: f64) -> String {
    const HALF: f64 = 4_611_686_018_427_387_904.0;
    if score.abs() <= HALF && score.fract() == 0.0 { format!("{score:.0}") } else { general(score) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for (text, value) in
            [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(strict_i64(text.as_bytes()), Some(value));
        }
        for text in ["", "-", "+1", " 1", "01", "-0", "1.0", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(strict_i64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_score_is_neither_too_large_nor_too_small_for_a_double() {
        for (text, value) in [("-inf", f64::NEG_INFINITY), ("+5", 5.0), (".5", 0.5), ("0e9", 0.0)] {
            assert_eq!(score(text.as_bytes()), Some(value));
        }
        for text in ["1e400", "-1e400", "1e-400", "nan", "", " 1"] {
            assert_eq!(score(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_written_with_17_digits() {
        for (value, text) in [
            (0.1, "0.10000000000000001"),
            (1.5, "1.5"),
            (3.0, "3"),
            (1e17, "1e+17"),
            (1e-5, "1.0000000000000001e-05"),
        ] {
            assert_eq!(general(value), text);
        }
    }
}
