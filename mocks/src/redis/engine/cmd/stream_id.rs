//! How clients spell the IDs of stream entries, and how entries are answered.

use bytes::Bytes;

use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{StreamEntry, StreamId};

const INVALID: CmdError = CmdError::fixed("ERR Invalid stream ID specified as stream command argument");

/// Longest ID that is looked at.
const ID_BYTES: usize = 127;

/// An ID, whose number is 0 if left out; not `-` or `+`.
pub(super) fn strict(text: &[u8]) -> Result<StreamId, CmdError> {
    parse(text, 0).filter(|_| !is_edge(text)).ok_or(INVALID)
}

/// An ID, whose number is 0 if left out; `-` and `+` are the first and the last.
pub(super) fn any(text: &[u8]) -> Result<StreamId, CmdError> {
    parse(text, 0).ok_or(INVALID)
}

/// Where an interval starts: at an ID, or after it if it is written with `(`.
pub(super) fn start(text: &[u8]) -> Result<StreamId, CmdError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            strict(id)?.next().ok_or(CmdError::fixed("ERR invalid start ID for the interval"))
        }
        id => any(id),
    }
}

/// Where an interval ends: at an ID, whose number is the last if left out, or before it if it is written
/// with `(`.
pub(super) fn end(text: &[u8]) -> Result<StreamId, CmdError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            let id = parse(id, u64::MAX).filter(|_| !is_edge(id)).ok_or(INVALID)?;
            id.previous().ok_or(CmdError::fixed("ERR invalid end ID for the interval"))
        }
        id => parse(id, u64::MAX).ok_or(INVALID),
    }
}

/// What ID an entry that is added should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// The time, or the one after the last.
    Auto,
    /// These milliseconds, and the next number.
    AutoSeq(u64),
    /// This one.
    Exact(StreamId),
}

impl NewId {
    /// The ID as written; `*` alone is not looked for.
    pub(super) fn parse(text: &[u8]) -> Result<Self, CmdError> {
        match text.strip_suffix(b"-*") {
            Some(ms) if text.len() <= ID_BYTES && !ms.contains(&b'-') && !ms.contains(&0) => {
                number(ms).map(Self::AutoSeq).ok_or(INVALID)
            }
            _ => strict(text).map(Self::Exact),
        }
    }

    /// The ID for an entry after `last`.
    pub(super) fn after(self, last: StreamId, now_ms: i64) -> Result<StreamId, CmdError> {
        const NOT_GREATER: CmdError = CmdError::fixed(
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        );
        // What 7.0.15 answers when the numbers of these milliseconds are used up.
        const TOO_LARGE: CmdError = CmdError::fixed("ERR Elements are too large to be stored");
        let id = match self {
            Self::Auto => {
                let ms = u64::try_from(now_ms).unwrap_or(0);
                if ms > last.ms { Some(StreamId { ms, seq: 0 }) } else { last.next() }.ok_or(NOT_GREATER)?
            }
            Self::AutoSeq(ms) if ms == last.ms => {
                StreamId { ms, seq: last.seq.checked_add(1).ok_or(TOO_LARGE)? }
            }
            Self::AutoSeq(ms) => StreamId { ms, seq: 0 },
            Self::Exact(id) => id,
        };
        if id > last { Ok(id) } else { Err(NOT_GREATER) }
    }
}

fn is_edge(text: &[u8]) -> bool {
    matches!(c_string(text), b"-" | b"+")
}

fn parse(text: &[u8], missing: u64) -> Option<StreamId> {
    if text.len() > ID_BYTES {
        return None;
    }
    let text = c_string(text);
    match text {
        b"-" => return Some(StreamId::MIN),
        b"+" => return Some(StreamId::MAX),
        _ => {}
    }
    let Some(dash) = text.iter().position(|byte| *byte == b'-') else {
        return Some(StreamId { ms: number(text)?, seq: missing });
    };
    Some(StreamId { ms: number(&text[..dash])?, seq: number(&text[dash + 1..])? })
}

/// The bytes before the first zero: IDs are read as strings of C.
fn c_string(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number as `string2ull` reads it: in its canonical spelling not negative, in others as `strtoull` has it.
fn number(text: &[u8]) -> Option<u64> {
    if let Some(value) = strict_i64(text) {
        return u64::try_from(value).ok();
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// An ID as replies and replicated commands have it.
pub(super) fn text(id: StreamId) -> Bytes {
    Bytes::from(id.to_string())
}

/// An ID as a reply.
pub(super) fn reply(id: StreamId) -> Reply {
    Reply::Bulk(text(id))
}

/// An entry as a reply: its ID, and its names and values in turns.
pub(super) fn entry(entry: &StreamEntry) -> Reply {
    Reply::Array(vec![reply(entry.id), Reply::bulks(entry.fields.copies())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    #[test]
    fn ids_are_read_as_loosely_as_c_reads_numbers() {
        for (text, expected) in [
            ("5", id(5, 0)),
            ("5-3", id(5, 3)),
            (" 05-+3", id(5, 3)),
            ("5--03", id(5, u64::MAX - 2)),
            ("18446744073709551615-0", id(u64::MAX, 0)),
            ("5\u{0}junk", id(5, 0)),
        ] {
            assert_eq!(strict(text.as_bytes()), Ok(expected), "{text}");
        }
        for text in ["", "-", "+", "-5", "5-", "5--3", "5-3-1", "x", "18446744073709551616", "5 "] {
            assert_eq!(strict(text.as_bytes()), Err(INVALID), "{text}");
        }
    }

    #[test]
    fn an_open_interval_leaves_its_edge_out() {
        assert_eq!(start(b"(5-3"), Ok(id(5, 4)));
        assert_eq!(end(b"(5"), Ok(id(5, u64::MAX - 1)));
        assert_eq!(end(b"(5-0"), Ok(id(4, u64::MAX)));
        assert!(start(b"(+").is_err() && end(b"(0-0").is_err() && start(b"(").is_err());
    }

    #[test]
    fn a_generated_id_is_greater_than_the_last_even_if_time_went_back() {
        assert_eq!(NewId::Auto.after(id(9, 1), 8), Ok(id(9, 2)));
        assert_eq!(NewId::Auto.after(id(9, 1), 10), Ok(id(10, 0)));
        assert_eq!(NewId::parse(b"9-*").and_then(|new| new.after(id(9, 1), 0)), Ok(id(9, 2)));
        assert!(NewId::AutoSeq(9).after(id(9, u64::MAX), 0).is_err());
        assert!(NewId::AutoSeq(8).after(id(9, 0), 0).is_err());
    }
}
