//! What `SCAN` and its kin have in common: cursor, `MATCH`, `COUNT` and `TYPE`.

use bytes::Bytes;

use crate::redis::engine::call::{Call, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::glob;
use crate::redis::resp::Reply;
use crate::redis::store::cursor_of;

/// The options of a scan.
pub(super) struct Options<'a> {
    pub(super) cursor: u64,
    pub(super) pattern: Option<&'a Bytes>,
    pub(super) count: usize,
    pub(super) kind: Option<&'a Bytes>,
}

/// Most elements one step visits, whatever `COUNT` says: a step is one reply.
const STEP: usize = 1_000_000;

impl<'a> Options<'a> {
    /// Reads the cursor at `at` and what follows it. `TYPE` belongs to the scan of keys only.
    pub(super) fn parse(call: &Call<'a>, at: usize, of_keys: bool) -> Result<Self, CmdError> {
        let cursor = cursor(&call.args[at])?;
        let mut options = Self { cursor, pattern: None, count: 10, kind: None };
        let mut rest = call.rest(at + 1).iter();
        while let Some(word) = rest.next() {
            let value = rest.next().ok_or(CmdError::SYNTAX)?;
            if is(word, "count") {
                let count = strict_i64(value).ok_or(CmdError::NOT_INTEGER)?;
                options.count =
                    usize::try_from(count).ok().filter(|count| *count > 0).ok_or(CmdError::SYNTAX)?.min(STEP);
            } else if is(word, "match") {
                options.pattern = Some(value);
            } else if is(word, "type") && of_keys {
                options.kind = Some(value);
            } else {
                return Err(CmdError::SYNTAX);
            }
        }
        Ok(options)
    }

    /// The elements from the cursor on, in the order of their names' hashes, and the cursor of the first that
    /// is left out.
    pub(super) fn step<T>(
        &self,
        elements: impl Iterator<Item = T>,
        name: impl Fn(&T) -> &Bytes,
    ) -> (u64, Vec<T>) {
        let placed = elements.map(|element| (cursor_of(name(&element)), element));
        let mut ahead: Vec<(u64, T)> = placed.filter(|(at, _)| *at >= self.cursor).collect();
        ahead.sort_unstable_by(|left, right| (left.0, name(&left.1)).cmp(&(right.0, name(&right.1))));
        let mut end = self.count.min(ahead.len());
        // Elements that share a cursor are visited together.
        while end > 0 && end < ahead.len() && ahead[end].0 == ahead[end - 1].0 {
            end += 1;
        }
        let next = ahead.get(end).map_or(0, |(at, _)| *at);
        (next, ahead.into_iter().take(end).map(|(_, element)| element).collect())
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }
}

/// A cursor is what `strtoul` reads, all of it: a negative number counts from the end of the range, and no
/// text at all is 0.
pub(super) fn cursor(text: &[u8]) -> Result<u64, CmdError> {
    let text = std::str::from_utf8(text).map_err(|_| CmdError::INVALID_CURSOR)?;
    if text.is_empty() {
        return Ok(0);
    }
    let number = match text.strip_prefix('-') {
        Some(digits) => digits.parse().map(u64::wrapping_neg),
        None => text.parse(),
    };
    number.map_err(|_| CmdError::INVALID_CURSOR)
}

/// The reply of one step of a scan.
pub(super) fn page(cursor: u64, items: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::bulk(cursor.to_string()), Reply::Array(items)])
}
