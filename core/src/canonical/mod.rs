//! Canonical JSON: one byte sequence per JSON value, as RFC 8785 (JCS) writes it.
//!
//! Invariant: equal values give equal bytes on every machine and through every codec, or an error; never two
//! texts for one value, and never one text for two values that were told apart before. Therefore numbers that
//! some JSON reader would round are refused rather than rounded. Strings are written as they are: Unicode is
//! never normalised here, because a silent change of data is worse than two spellings of a name.

mod error;
mod strict;
mod typed;
mod writer;

pub use error::CanonicalError;
pub use strict::{Strict, parse};
pub use typed::value_of;
pub(crate) use writer::write_within;
pub use writer::{to_vec, write, write_number, write_string};

/// Levels of arrays and objects a value may have.
pub const MAX_DEPTH: usize = 64;

/// 2^53 − 1: up to here, either sign, every integer is exact in every JSON reader (RFC 8785 §3.2.2.3).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Whether an integer survives a reader that keeps numbers as doubles.
fn is_safe_integer(integer: i128) -> bool {
    integer.unsigned_abs() <= u128::from(MAX_SAFE_INTEGER)
}

/// Whether a double keeps its kind. From 2^53 up to 10^21 its canonical text is that of an integer that is
/// not safe, so a round trip through another writer would come back as something we refuse.
fn is_stable_double(number: f64) -> bool {
    !(9_007_199_254_740_992.0..1e21).contains(&number.abs())
}
