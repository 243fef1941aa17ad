//! What `HRANDFIELD`, `SRANDMEMBER` and `ZRANDMEMBER` have in common: how many, which, and in what shape.

use bytes::Bytes;
use rand::RngExt;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::redis::engine::call::is;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

/// Most answers to a request for elements that may repeat: one reply must fit into memory.
const REPEATS: i64 = 10_000_000;

const OUT_OF_RANGE: CmdError = CmdError::fixed("ERR value is out of range");

/// A count between the bounds that its negation fits into.
pub(super) fn count(text: &[u8]) -> Result<i64, CmdError> {
    const RANGE: CmdError = CmdError::fixed(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    let count = strict_i64(text).ok_or(CmdError::NOT_INTEGER)?;
    if count == i64::MIN { Err(RANGE) } else { Ok(count) }
}

/// A count, and whether one `word` follows it, which doubles the reply.
pub(super) fn count_and_word(text: &[u8], rest: &[Bytes], word: &str) -> Result<(i64, bool), CmdError> {
    let count = count(text)?;
    let with = match rest {
        [] => false,
        [found] if is(found, word) => true,
        _ => return Err(CmdError::SYNTAX),
    };
    if with && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(OUT_OF_RANGE);
    }
    Ok((count, with))
}

/// A position among `length`.
pub(super) fn one(rng: &mut ChaCha8Rng, length: usize) -> usize {
    rng.random_range(0..length.max(1))
}

/// Positions among `length`: different ones if `count` is positive, any if it is negative.
pub(super) fn several(rng: &mut ChaCha8Rng, length: usize, count: i64) -> Result<Vec<usize>, CmdError> {
    if count < -REPEATS {
        return Err(OUT_OF_RANGE);
    }
    if count < 0 {
        return Ok((count..0).map(|_| one(rng, length)).collect());
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(length);
    Ok(if count == length { (0..count).collect() } else { index::sample(rng, length, count).into_vec() })
}

/// Names, or names and values: flat, or nested as version 3 of the protocol has them.
pub(super) fn pairs(pairs: impl Iterator<Item = (Reply, Reply)>, with_values: bool, nest: bool) -> Reply {
    Reply::Array(match (with_values, nest) {
        (false, _) => pairs.map(|(name, _)| name).collect(),
        (true, true) => pairs.map(|(name, value)| Reply::Array(vec![name, value])).collect(),
        (true, false) => pairs.flat_map(|(name, value)| [name, value]).collect(),
    })
}
