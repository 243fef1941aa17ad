//! Numbers as C reads, writes and converts them: `strtod`, `%.Ng`, casts on x86-64.

/// A number at the start of a text as `strtod` reads it, and how many bytes it takes: decimal, hexadecimal,
/// infinite or not a number, after spaces. `None` if there is none.
pub(super) fn parse_prefix(text: &[u8]) -> Option<(f64, usize)> {
    let spaces = text.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b).count();
    let signed = &text[spaces..];
    let sign = usize::from(matches!(signed.first(), Some(b'+' | b'-')));
    let negative = signed.first() == Some(&b'-');
    let (value, length) = unsigned(&signed[sign..])?;
    Some((if negative { -value } else { value }, spaces + sign + length))
}

/// A whole text as a number, by the rule of Lua's coercions: spaces around it are allowed.
pub(super) fn parse_all(text: &[u8]) -> Option<f64> {
    let (value, length) = parse_prefix(text)?;
    let rest = &text[length..];
    rest.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0x0b).then_some(value)
}

fn unsigned(text: &[u8]) -> Option<(f64, usize)> {
    let starts = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if starts(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if starts(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if starts(b"nan") {
        return Some((f64::NAN, 3 + nan_payload(&text[3..])));
    }
    if starts(b"0x")
        && let Some((value, length)) = hexadecimal(&text[2..])
    {
        return Some((value, length + 2));
    }
    decimal(text)
}

/// The bytes of `(letters)` after `nan`.
fn nan_payload(text: &[u8]) -> usize {
    let [b'(', rest @ ..] = text else { return 0 };
    let inner = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    if rest.get(inner) == Some(&b')') { inner + 2 } else { 0 }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The bytes of an exponent after its letter, if it has digits.
fn exponent(text: &[u8]) -> Option<(i32, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let count = digits(&text[sign..]);
    let number = std::str::from_utf8(&text[sign..sign + count]).ok().filter(|digits| !digits.is_empty())?;
    // Beyond this everything is zero or infinite.
    let size = number.parse::<i32>().unwrap_or(i32::MAX).min(100_000_000);
    Some((if text[0] == b'-' { -size } else { size }, sign + count))
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(text);
    let mut end = whole;
    let mut count = whole;
    if text.get(whole) == Some(&b'.') {
        let fraction = digits(&text[whole + 1..]);
        count += fraction;
        if count > 0 {
            end = whole + 1 + fraction;
        }
    }
    if count == 0 {
        return None;
    }
    if matches!(text.get(end), Some(b'e' | b'E'))
        && let Some((_, length)) = exponent(&text[end + 1..])
    {
        end += 1 + length;
    }
    let value = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((value, end))
}

/// A number after `0x`.
fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let (mut mantissa, mut scale, mut count, mut at) = (0_u64, 0_i32, 0_usize, 0_usize);
    let mut point = None;
    while let Some(byte) = text.get(at) {
        if *byte == b'.' && point.is_none() {
            point = Some(at);
            at += 1;
            continue;
        }
        let Some(digit) = char::from(*byte).to_digit(16) else { break };
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
        } else {
            // What no longer fits only decides how the last bit is rounded.
            mantissa |= u64::from(digit != 0);
            scale = scale.saturating_add(4);
        }
        if point.is_some() {
            scale = scale.saturating_sub(4);
        }
        count += 1;
        at += 1;
    }
    if count == 0 {
        return None;
    }
    if matches!(text.get(at), Some(b'p' | b'P'))
        && let Some((power, length)) = exponent(&text[at + 1..])
    {
        scale = scale.saturating_add(power);
        at += 1 + length;
    }
    #[expect(clippy::cast_precision_loss, reason = "rounds to nearest, as strtod does")]
    let mut value = mantissa as f64;
    // In steps, since a power of two alone may not be a double.
    let mut left = scale.clamp(-3000, 3000);
    while left != 0 {
        let step = left.clamp(-500, 500);
        value *= 2_f64.powi(step);
        left -= step;
    }
    Some((value, at))
}

/// A number as C's `%.{precision}g` writes it. A precision of 0 is one of 1.
pub(super) fn general(value: f64, precision: usize) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_nan() {
        return format!("{sign}nan");
    }
    if value.is_infinite() {
        return format!("{sign}inf");
    }
    let last = precision.max(1) - 1;
    let scientific = format!("{value:.last$e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let digits = i32::try_from(last).unwrap_or(i32::MAX);
    if (-4..=digits).contains(&exponent) {
        let decimals = usize::try_from(digits - exponent).unwrap_or(0);
        return trim(&format!("{value:.decimals$}"));
    }
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{exponent_sign}{:02}", trim(mantissa), exponent.abs())
}

/// As a C compiler for x86-64 converts: what does not fit is the smallest integer.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "checked")]
pub(super) fn to_i64(number: f64) -> i64 {
    const LIMIT: f64 = -(i64::MIN as f64);
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

/// As a C compiler for x86-64 converts to `unsigned long`.
pub(super) fn to_u64(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    let bits = |number: f64| to_i64(number).cast_unsigned();
    if number >= HALF { bits(number - HALF) ^ 1 << 63 } else { bits(number) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_read_up_to_where_it_ends() {
        for (text, value, length) in [
            ("12abc", 12.0, 2),
            ("  -1.5e3,", -1500.0, 8),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("1.", 1.0, 2),
            (".5", 0.5, 2),
            ("0x1F]", 31.0, 4),
            ("0x.8p1", 1.0, 6),
            ("0x", 0.0, 1),
            ("-infinit", f64::NEG_INFINITY, 4),
            ("1e999", f64::INFINITY, 5),
        ] {
            assert_eq!(parse_prefix(text.as_bytes()), Some((value, length)), "{text}");
        }
        for text in ["", "-", ".", "e5", "abc", "+-1"] {
            assert_eq!(parse_prefix(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn digits_beyond_the_precision_are_rounded() {
        for (value, precision, text) in [
            (0.1, 14, "0.1"),
            (1e14, 14, "1e+14"),
            (123_456_789_012_345.0, 14, "1.2345678901234e+14"),
            (1e-5, 14, "1e-05"),
            (12.5, 1, "1e+01"),
            (-0.0, 14, "-0"),
            (99.99, 3, "100"),
        ] {
            assert_eq!(general(value, precision), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_with_17_digits_is_read_back(value in proptest::num::f64::NORMAL) {
            let text = general(value, 17);
            prop_assert_eq!(parse_all(text.as_bytes()), Some(value));
        }
    }
}
