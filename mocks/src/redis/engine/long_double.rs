//! The 80-bit floats that `INCRBYFLOAT` counts with, in software.
//!
//! Redis adds with C's `long double`, which on x86-64 has a mantissa of 64 bits, and writes 17 decimals. The
//! results show it: 150.1 may come back as 150.09999999999999999. A double, or exact decimals, would not agree
//! with the real server. Rounding is to nearest, ties to even, as the hardware does; numbers too large or too
//! small for the format's exponent are infinite or zero.

use std::cmp::Ordering;

/// `mantissa` × 2^`exponent`; the mantissa has its highest bit set unless the number is zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongDouble {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// Longest text read as a number, and largest power of ten in it.
const TEXT_BYTES: usize = 512;
const POWER: i32 = 5000;
/// The format's largest exponent of a 64-bit mantissa, and its smallest.
const EXPONENTS: std::ops::RangeInclusive<i32> = -16_445..=16_320;
const DECIMALS: u32 = 17;

impl LongDouble {
    /// Reads a decimal number. `None` if it is none, or is infinite.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= TEXT_BYTES)?;
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (digits, power) = match text.split_once(['e', 'E']) {
            Some((digits, power)) => (digits, power.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut digits = whole.bytes().chain(fraction.bytes());
        if whole.len() + fraction.len() == 0 || !digits.all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = whole.bytes().chain(fraction.bytes()).fold(Natural::default(), |mut number, digit| {
            number.mul_add(10, u32::from(digit - b'0'));
            number
        });
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let power = power.saturating_sub(places);
        if number.is_zero() || power < -POWER {
            return Some(Self { negative, mantissa: 0, exponent: 0 });
        }
        if power > POWER {
            return None;
        }
        let ten = Natural::power_of_ten(power.unsigned_abs());
        let one = Natural::from(1);
        let (number, divisor) = if power >= 0 { (number.times(&ten), one) } else { (number, ten) };
        Self::rounded(negative, &number, &divisor, 0)
    }

    /// A number of seconds as whole milliseconds, rounded up; the smallest integer if there are too many, which
    /// is what a conversion in C gives.
    pub(crate) fn seconds_to_ms(self) -> i64 {
        // The product is rounded to the format's 64 bits, ties to even: 0.1 s are 100 ms and not a bit more.
        let exact = u128::from(self.mantissa) * 1000;
        let surplus = 64_u32.saturating_sub(exact.leading_zeros());
        let (kept, rest) = (exact >> surplus, exact & ((1 << surplus) - 1));
        let half = (1_u128 << surplus) >> 1;
        let up = surplus > 0 && (rest > half || rest == half && kept & 1 == 1);
        let scaled = (kept + u128::from(up)) << surplus;
        let whole = match u32::try_from(self.exponent) {
            Ok(shift) if shift <= scaled.leading_zeros() => Some(scaled << shift),
            Ok(_) => (scaled == 0).then_some(0),
            Err(_) => {
                let shift = self.exponent.unsigned_abs();
                let whole = scaled.checked_shr(shift).unwrap_or(0);
                let rounds_up = !self.negative && whole.checked_shl(shift) != Some(scaled);
                Some(whole + u128::from(rounds_up))
            }
        };
        let whole = whole.and_then(|whole| i64::try_from(whole).ok());
        whole.map_or(i64::MIN, |whole| if self.negative { -whole } else { whole })
    }

    /// The sum; `None` if it is infinite.
    pub(crate) fn add(self, other: Self) -> Option<Self> {
        if self.mantissa == 0 || other.mantissa == 0 {
            return Some(if self.mantissa == 0 { other } else { self });
        }
        let lowest = self.exponent.min(other.exponent);
        let aligned = |of: Self| Natural::from(of.mantissa).shifted((of.exponent - lowest).unsigned_abs());
        let (left, right) = (aligned(self), aligned(other));
        let (negative, magnitude) = if self.negative == other.negative {
            (self.negative, left.plus(&right))
        } else {
            match left.cmp(&right) {
                Ordering::Less => (other.negative, right.minus(&left)),
                _ => (self.negative, left.minus(&right)),
            }
        };
        if magnitude.is_zero() {
            return Some(Self { negative: false, mantissa: 0, exponent: 0 });
        }
        Self::rounded(negative, &magnitude, &Natural::from(1), lowest)
    }

    /// `number` ÷ `divisor` × 2^`scale`, rounded. Neither is zero.
    fn rounded(negative: bool, number: &Natural, divisor: &Natural, scale: i32) -> Option<Self> {
        // Shifted so that the quotient has 64 or 65 bits.
        let shift = 64 - number.bits() + divisor.bits();
        let (number, divisor) = if shift >= 0 {
            (number.shifted(shift.unsigned_abs()), divisor.clone())
        } else {
            (number.clone(), divisor.shifted(shift.unsigned_abs()))
        };
        let (quotient, rest) = number.divided(&divisor);
        let exact = rest.is_zero();
        let half = rest.shifted(1).cmp(&divisor);
        let (kept, dropped) =
            if quotient >> 64 != 0 { (quotient >> 1, Some(quotient & 1)) } else { (quotient, None) };
        let up = match dropped {
            // The dropped bit is the half; what is beyond it decides.
            Some(bit) => bit == 1 && (!exact || kept & 1 == 1),
            None => half == Ordering::Greater || half == Ordering::Equal && kept & 1 == 1,
        };
        let mut kept = kept + u128::from(up);
        let mut exponent = scale - shift + i32::from(dropped.is_some());
        if kept >> 64 != 0 {
            kept >>= 1;
            exponent += 1;
        }
        if exponent > *EXPONENTS.end() {
            return None;
        }
        if exponent < *EXPONENTS.start() {
            return Some(Self { negative, mantissa: 0, exponent: 0 });
        }
        Some(Self { negative, mantissa: u64::try_from(kept).unwrap_or(u64::MAX), exponent })
    }
}

/// As `%.17Lf` with trailing zeros cut.
impl std::fmt::Display for LongDouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scaled = Natural::from(self.mantissa).times(&Natural::power_of_ten(DECIMALS));
        let digits = if self.exponent >= 0 {
            scaled.shifted(self.exponent.unsigned_abs()).to_string()
        } else {
            scaled.shifted_down(self.exponent.unsigned_abs()).to_string()
        };
        let decimals = DECIMALS as usize;
        let digits = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.negative && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// A natural number of any size, lowest digit first, without leading zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Natural(Vec<u32>);

impl Natural {
    fn power_of_ten(power: u32) -> Self {
        (0..power).fold(Self::from(1), |mut number, _| {
            number.mul_add(10, 0);
            number
        })
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> i32 {
        let top = self.0.last().map_or(0, |digit| 32 - digit.leading_zeros());
        let below = u32::try_from(self.0.len().saturating_sub(1)).unwrap_or(u32::MAX).saturating_mul(32);
        i32::try_from(top + below).unwrap_or(i32::MAX)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    fn mul_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for digit in &mut self.0 {
            let product = u64::from(*digit) * u64::from(factor) + carry;
            *digit = product as u32;
            carry = product >> 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn times(&self, other: &Self) -> Self {
        let mut sum = Self::default();
        for (at, digit) in other.0.iter().enumerate() {
            let mut part = self.clone();
            part.mul_add(*digit, 0);
            sum = sum.plus(&part.trimmed().shifted(u32::try_from(at * 32).unwrap_or(u32::MAX)));
        }
        sum
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    fn plus(&self, other: &Self) -> Self {
        let mut carry = 0_u64;
        let mut digits = Vec::with_capacity(self.0.len().max(other.0.len()) + 1);
        for at in 0..self.0.len().max(other.0.len()) {
            let digit = |number: &Self| u64::from(number.0.get(at).copied().unwrap_or(0));
            let sum = digit(self) + digit(other) + carry;
            digits.push(sum as u32);
            carry = sum >> 32;
        }
        digits.push(carry as u32);
        Self(digits).trimmed()
    }

    /// The difference to a number that is not larger.
    fn minus(&self, other: &Self) -> Self {
        let mut borrow = false;
        let mut digits = self.0.clone();
        for (at, digit) in digits.iter_mut().enumerate() {
            let (less, first) = digit.overflowing_sub(other.0.get(at).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            *digit = less;
            borrow = first || second;
        }
        Self(digits).trimmed()
    }

    fn shifted(&self, by: u32) -> Self {
        if self.is_zero() {
            return self.clone();
        }
        let mut digits = vec![0; (by / 32) as usize];
        let by = by % 32;
        let mut carry = 0;
        for digit in &self.0 {
            digits.push(digit << by | carry);
            carry = if by == 0 { 0 } else { digit >> (32 - by) };
        }
        digits.push(carry);
        Self(digits).trimmed()
    }

    /// Divided by 2^`by`, rounded to nearest, ties to even.
    fn shifted_down(&self, by: u32) -> Self {
        let bit = |at: u32| self.0.get((at / 32) as usize).is_some_and(|digit| digit >> (at % 32) & 1 == 1);
        let count = self.bits().unsigned_abs();
        let mut kept = (by..count).rev().fold(Self::default(), |mut kept, at| {
            kept.mul_add(2, u32::from(bit(at)));
            kept.trimmed()
        });
        let half = by > 0 && bit(by - 1);
        let beyond = (0..by.saturating_sub(1).min(count)).any(bit);
        if half && (beyond || bit(by)) {
            kept = kept.plus(&Self::from(1));
        }
        kept
    }

    /// Quotient and rest; the quotient must fit into 66 bits.
    fn divided(&self, divisor: &Self) -> (u128, Self) {
        let mut rest = self.clone();
        let mut quotient = 0_u128;
        for at in (0..66).rev() {
            let part = divisor.shifted(at);
            if rest.cmp(&part) != Ordering::Less {
                rest = rest.minus(&part);
                quotient |= 1 << at;
            }
        }
        (quotient, rest)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let digits = |number: &Self| number.0.iter().rev().copied().collect::<Vec<_>>();
        self.0.len().cmp(&other.0.len()).then_with(|| digits(self).cmp(&digits(other)))
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }
}

impl From<u64> for Natural {
    #[expect(clippy::cast_possible_truncation, reason = "split into halves")]
    fn from(number: u64) -> Self {
        Self(vec![number as u32, (number >> 32) as u32]).trimmed()
    }
}

impl std::fmt::Display for Natural {
    #[expect(clippy::cast_possible_truncation, reason = "the rest of a division by a smaller number")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const CHUNK: u64 = 1_000_000_000;
        let mut number = self.clone();
        let mut chunks = Vec::new();
        while !number.is_zero() {
            let mut rest = 0_u64;
            for digit in number.0.iter_mut().rev() {
                let part = rest << 32 | u64::from(*digit);
                *digit = (part / CHUNK) as u32;
                rest = part % CHUNK;
            }
            number = number.trimmed();
            chunks.push(rest);
        }
        write!(f, "{}", chunks.pop().unwrap_or(0))?;
        chunks.iter().rev().try_for_each(|chunk| write!(f, "{chunk:09}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(left: &str, right: &str) -> Option<String> {
        let sum = LongDouble::parse(left.as_bytes())?.add(LongDouble::parse(right.as_bytes())?)?;
        Some(sum.to_string())
    }

    #[test]
    fn seconds_round_up_to_milliseconds_as_on_the_real_server() {
        let ms = |text: &str| LongDouble::parse(text.as_bytes()).map(LongDouble::seconds_to_ms);
        let given = ["0", "0.1", "0.0001", "-0.0001", "-1", "1.0005", "3", "1e30"].map(ms);
        assert_eq!(given, [0, 100, 1, 0, -1000, 1001, 3000, i64::MIN].map(Some));
    }

    #[test]
    fn sums_are_those_of_the_real_server() {
        // Each was computed by redis-server 7.0.15.
        let cases = [
            ("0.1", "0.2", "0.3"),
            ("10.1", "5.0e3", "5010.10000000000000009"),
            ("9223372036854775807", "-1.5", "9223372036854775805.5"),
            ("9223372036854775807", "0.1", "9223372036854775807"),
            ("1e2", "0.1", "100.1"),
            ("1", "-1.0", "0"),
        ];
        for (left, right, expected) in cases {
            assert_eq!(sum(left, right).as_deref(), Some(expected), "{left} + {right}");
        }
        assert_eq!(sum("1e4999", "1"), None);
    }

    proptest! {
        #[test]
        fn integers_add_exactly(left in -(1_i64 << 61)..1 << 61, right in -(1_i64 << 61)..1 << 61) {
            prop_assert_eq!(sum(&left.to_string(), &right.to_string()), Some((left + right).to_string()));
        }

        #[test]
        fn a_double_survives_reading_and_writing(value in -1e6_f64..1e6) {
            let text = LongDouble::parse(format!("{value:.20}").as_bytes()).map(|number| number.to_string());
            let read: f64 = text.as_deref().unwrap_or_default().parse().unwrap_or(f64::NAN);
            prop_assert!((read - value).abs() < 1e-10, "{value} became {text:?}");
        }
    }
}
