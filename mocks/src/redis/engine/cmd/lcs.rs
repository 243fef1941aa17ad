//! `LCS`: the longest common subsequence of two strings.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;

/// Cells of the table of lengths, at most: the real server refuses what does not fit its memory.
const CELLS: usize = 64 * 1024 * 1024;

/// A run of bytes both strings share: inclusive ends in the first and in the second.
type Range = ((usize, usize), (usize, usize));

pub(crate) fn lcs(call: &mut Call<'_>) -> Outcome {
    const NOT_STRINGS: CmdError = CmdError::fixed("ERR The specified keys must contain string values");
    const BOTH: CmdError =
        CmdError::fixed("ERR If you want both the length and indexes, please just use IDX.");
    let read = |call: &mut Call<'_>, at: usize| {
        let key = &call.args[at];
        call.read_str(key).map(Option::unwrap_or_default).map_err(|_| NOT_STRINGS)
    };
    let (left, right) = (read(call, 1)?, read(call, 2)?);
    let (mut length_only, mut index, mut with_length, mut least) = (false, false, false, 0);
    let mut rest = call.rest(3).iter();
    while let Some(word) = rest.next() {
        if is(word, "idx") {
            index = true;
        } else if is(word, "len") {
            length_only = true;
        } else if is(word, "withmatchlen") {
            with_length = true;
        } else if is(word, "minmatchlen") {
            let text = rest.next().ok_or(CmdError::SYNTAX)?;
            least = strict_i64(text).ok_or(CmdError::NOT_INTEGER)?.max(0);
        } else {
            return Err(CmdError::SYNTAX);
        }
    }
    if index && length_only {
        return Err(BOTH);
    }
    if (left.len() + 1).saturating_mul(right.len() + 1) > CELLS {
        return Err(CmdError::fixed(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let lengths = Lengths::new(&left, &right);
    let total = lengths.at(left.len(), right.len());
    if length_only {
        return Ok(Reply::Int(i64::from(total)));
    }
    let (text, ranges) = lengths.walk(&left, &right);
    if !index {
        return Ok(Reply::Bulk(text));
    }
    let long_enough = |range: &&Range| i64::try_from(range.0.1 - range.0.0 + 1).unwrap_or(i64::MAX) >= least;
    let matches = ranges.iter().filter(long_enough).map(|range| describe(range, with_length)).collect();
    Ok(Reply::Map(vec![
        (Reply::bulk("matches"), Reply::Array(matches)),
        (Reply::bulk("len"), Reply::Int(i64::from(total))),
    ]))
}

fn describe(range: &Range, with_length: bool) -> Reply {
    let ends = |(start, end): (usize, usize)| Reply::Array(vec![Reply::count(start), Reply::count(end)]);
    let mut items = vec![ends(range.0), ends(range.1)];
    if with_length {
        items.push(Reply::count(range.0.1 - range.0.0 + 1));
    }
    Reply::Array(items)
}

/// Lengths of the longest common subsequences of all prefixes.
struct Lengths {
    cells: Vec<u32>,
    width: usize,
}

impl Lengths {
    fn new(left: &[u8], right: &[u8]) -> Self {
        let width = right.len() + 1;
        let mut lengths = Self { cells: vec![0; (left.len() + 1) * width], width };
        for (i, a) in left.iter().enumerate() {
            for (j, b) in right.iter().enumerate() {
                let best = if a == b {
                    lengths.at(i, j) + 1
                } else {
                    lengths.at(i, j + 1).max(lengths.at(i + 1, j))
                };
                lengths.cells[(i + 1) * width + j + 1] = best;
            }
        }
        lengths
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// The subsequence, and its runs from the last to the first.
    fn walk(&self, left: &[u8], right: &[u8]) -> (Bytes, Vec<Range>) {
        let (mut i, mut j) = (left.len(), right.len());
        let mut text = Vec::new();
        let mut ranges: Vec<Range> = Vec::new();
        while i > 0 && j > 0 {
            if left[i - 1] == right[j - 1] {
                text.push(left[i - 1]);
                match ranges.last_mut() {
                    Some(range) if range.0.0 == i && range.1.0 == j => {
                        range.0.0 = i - 1;
                        range.1.0 = j - 1;
                    }
                    _ => ranges.push(((i - 1, i - 1), (j - 1, j - 1))),
                }
                i -= 1;
                j -= 1;
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        text.reverse();
        (Bytes::from(text), ranges)
    }
}
