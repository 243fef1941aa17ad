//! Reads requests: arrays of bulk strings, or one line of words ("inline commands").
//!
//! Behaviour and error texts are those of `processMultibulkBuffer` and `processInlineBuffer` of Redis 7.0.
//! Invariant: memory held is bounded by the bytes that arrived, never by a length a client announced.

use bytes::{Buf, Bytes, BytesMut};

use crate::redis::engine::number::strict_i64;

/// Longest line: an inline command, or a length (`PROTO_INLINE_MAX_SIZE`).
const LINE_BYTES: usize = 64 * 1024;
/// Announced arguments above this are refused outright.
const ARGUMENTS: i64 = i32::MAX as i64;
/// Arguments, and bytes of one argument, a client may send before it authenticated.
const UNAUTHENTICATED: (i64, i64) = (10, 16_384);
/// Arguments from this size on keep the buffer they arrived in; smaller ones are copied out of it.
const SHARE_BYTES: usize = 32 * 1024;

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one argument (`proto-max-bulk-len`).
    pub bulk_bytes: usize,
    /// Whether the client may send large requests at all: it has authenticated, or need not.
    pub authenticated: bool,
}

/// A request that is not RESP. The connection is closed after the text was sent as an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ERR Protocol error: {0}")]
pub struct ProtocolError(String);

/// Parses one connection's requests.
#[derive(Debug, Default)]
pub struct Parser {
    /// Arguments of the command under way that have not arrived.
    missing: i64,
    /// Announced length of the next argument.
    bulk: Option<usize>,
    args: Vec<Bytes>,
    args_bytes: usize,
}

impl Parser {
    /// A parser at the start of a request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held for a command that is not complete.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.args_bytes
    }

    /// Takes the next command off the front of `input`; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`ProtocolError`], after which the parser must not be used again.
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        limits: Limits,
    ) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        loop {
            if self.missing == 0 {
                match input.first() {
                    None => return Ok(None),
                    Some(b'*') => {
                        if !self.read_count(input, limits)? {
                            return Ok(None);
                        }
                        // An empty array is no request.
                        continue;
                    }
                    Some(_) => match read_inline(input)? {
                        None => return Ok(None),
                        Some(args) if args.is_empty() => continue,
                        Some(args) => return Ok(Some(args)),
                    },
                }
            }
            if !self.read_argument(input, limits)? {
                return Ok(None);
            }
            if self.missing == 0 {
                self.args_bytes = 0;
                return Ok(Some(std::mem::take(&mut self.args)));
            }
        }
    }

    fn read_count(&mut self, input: &mut BytesMut, limits: Limits) -> Result<bool, ProtocolError> {
        let Some(count) = take_number(input, "too big mbulk count string")? else { return Ok(false) };
        let count = count.filter(|count| *count <= ARGUMENTS);
        let count = count.ok_or_else(|| error("invalid multibulk length"))?;
        if count > UNAUTHENTICATED.0 && !limits.authenticated {
            return Err(error("unauthenticated multibulk length"));
        }
        self.missing = count.max(0);
        // Most commands are short; a count a client only announces earns no room.
        self.args.reserve(usize::try_from(self.missing.min(16)).unwrap_or(0));
        Ok(true)
    }

    fn read_argument(&mut self, input: &mut BytesMut, limits: Limits) -> Result<bool, ProtocolError> {
        let length = match self.bulk {
            Some(length) => length,
            None => {
                let Some(length) = read_bulk_length(input, limits)? else { return Ok(false) };
                self.bulk = Some(length);
                length
            }
        };
        if input.len() < length + 2 {
            return Ok(false);
        }
        // Redis does not look at the two bytes after it either.
        let argument = if length >= SHARE_BYTES {
            let argument = input.split_to(length).freeze();
            input.advance(2);
            argument
        } else {
            let copy = Bytes::copy_from_slice(&input[..length]);
            input.advance(length + 2);
            copy
        };
        self.bulk = None;
        self.missing -= 1;
        self.args_bytes += length;
        self.args.push(argument);
        Ok(true)
    }
}

fn read_bulk_length(input: &mut BytesMut, limits: Limits) -> Result<Option<usize>, ProtocolError> {
    if let Some(&mark) = input.first().filter(|mark| **mark != b'$')
        && find_line(input).is_some()
    {
        return Err(error(&format!("expected '$', got '{}'", char::from(mark))));
    }
    let Some(length) = take_number(input, "too big bulk count string")? else { return Ok(None) };
    let length = length.filter(|length| *length >= 0);
    let length = length.ok_or_else(|| error("invalid bulk length"))?;
    let fits = usize::try_from(length).ok().filter(|length| *length <= limits.bulk_bytes);
    let fits = fits.ok_or_else(|| error("invalid bulk length"))?;
    if length > UNAUTHENTICATED.1 && !limits.authenticated {
        return Err(error("unauthenticated bulk length"));
    }
    Ok(Some(fits))
}

/// Where the line's `\r` is, once the byte after it has arrived too.
fn find_line(input: &[u8]) -> Option<usize> {
    let end = input.iter().take(LINE_BYTES + 2).position(|byte| *byte == b'\r')?;
    (input.len() > end + 1).then_some(end)
}

/// Takes a line off the front of the input, and what number follows its first byte; `None` inside if none does.
fn take_number(input: &mut BytesMut, too_long: &str) -> Result<Option<Option<i64>>, ProtocolError> {
    // Nearly all of them: a number below ten.
    if let [_, digit @ b'0'..=b'9', b'\r', _, ..] = **input {
        input.advance(4);
        return Ok(Some(Some(i64::from(digit - b'0'))));
    }
    let Some(end) = find_line(input) else {
        return if input.len() > LINE_BYTES { Err(error(too_long)) } else { Ok(None) };
    };
    let number = strict_i64(input.get(1..end).unwrap_or_default());
    input.advance(end + 2);
    Ok(Some(number))
}

fn read_inline(input: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
    let Some(end) = input.iter().take(LINE_BYTES + 1).position(|byte| *byte == b'\n') else {
        return if input.len() > LINE_BYTES { Err(error("too big inline request")) } else { Ok(None) };
    };
    let line = input.split_to(end + 1);
    let line = &line[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    split_words(line).map(Some).ok_or_else(|| error("unbalanced quotes in request"))
}

/// Splits a line as a shell would (`sdssplitargs`): quotes, and escapes inside double quotes. `None` if a
/// quote is not closed, or is closed in the middle of a word.
pub(crate) fn split_words(line: &[u8]) -> Option<Vec<Bytes>> {
    // A zero byte ends the line, as it does in C.
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.iter().position(|byte| !is_space(*byte));
        let Some(start) = start else { return Some(words) };
        rest = &rest[start..];
        let mut word = Vec::new();
        while let Some(&byte) = rest.first().filter(|byte| !is_space(**byte)) {
            rest = &rest[1..];
            match byte {
                b'"' => rest = read_double_quoted(rest, &mut word)?,
                b'\'' => rest = read_single_quoted(rest, &mut word)?,
                other => word.push(other),
            }
        }
        words.push(Bytes::from(word));
    }
}

fn read_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'"', tail @ ..] => return at_word_end(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

fn read_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'\'', tail @ ..] => return at_word_end(tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

fn at_word_end(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|byte| is_space(*byte)).then_some(rest)
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

fn error(text: &str) -> ProtocolError {
    ProtocolError(text.to_owned())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
