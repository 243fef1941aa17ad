//! Writes replies as bytes, in version 2 or 3 of the protocol.
//!
//! Status and error lines cannot break the framing: line breaks in them become spaces, as in Redis.

use bytes::{BufMut, Bytes, BytesMut};

use super::Reply;
use crate::redis::engine::number::{decimal, general};

impl Reply {
    /// Appends the reply to `out` in `version` 2 or 3.
    pub fn write(&self, version: u8, out: &mut BytesMut) {
        let v3 = version >= 3;
        match self {
            Self::Status(text) => write_line(b'+', text.as_bytes(), out),
            Self::Error(line) => write_line(b'-', line.as_bytes(), out),
            Self::Int(value) => write_number(b':', *value, out),
            Self::Bulk(bytes) => write_bulk(b'$', bytes, out),
            Self::Null | Self::NullArray if v3 => out.put_slice(b"_\r\n"),
            Self::Null => out.put_slice(b"$-1\r\n"),
            Self::NullArray => out.put_slice(b"*-1\r\n"),
            Self::Array(items) => write_items(b'*', items, version, out),
            Self::Set(items) => write_items(if v3 { b'~' } else { b'*' }, items, version, out),
            Self::Map(pairs) => {
                let (mark, size) = if v3 { (b'%', pairs.len()) } else { (b'*', pairs.len() * 2) };
                write_length(mark, size, out);
                write_pairs(pairs, version, out);
            }
            Self::Attributes(pairs) if v3 => {
                write_length(b'|', pairs.len(), out);
                write_pairs(pairs, version, out);
            }
            Self::Double(value) if v3 => write_line(b',', general(*value).as_bytes(), out),
            Self::Double(value) => write_bulk(b'$', general(*value).as_bytes(), out),
            Self::Decimal(digits) if v3 => write_line(b',', digits, out),
            Self::Decimal(digits) => write_bulk(b'$', digits, out),
            Self::Bool(value) if v3 => out.put_slice(if *value { b"#t\r\n" } else { b"#f\r\n" }),
            Self::Bool(value) => write_number(b':', i64::from(*value), out),
            Self::BigNumber(digits) if v3 => write_line(b'(', digits, out),
            Self::BigNumber(digits) => write_bulk(b'$', digits, out),
            Self::Verbatim(format, text) if v3 => {
                write_length(b'=', text.len() + 4, out);
                out.put_slice(format);
                out.put_u8(b':');
                out.put_slice(text);
                out.put_slice(b"\r\n");
            }
            Self::Verbatim(_, text) => write_bulk(b'$', text, out),
            Self::Push(items) => write_items(if v3 { b'>' } else { b'*' }, items, version, out),
            Self::Several(replies) => replies.iter().for_each(|reply| reply.write(version, out)),
            Self::Attributes(_) | Self::None => {}
        }
    }

    /// The reply's bytes in `version` 2 or 3.
    #[must_use]
    pub fn to_bytes(&self, version: u8) -> Bytes {
        let mut out = BytesMut::new();
        self.write(version, &mut out);
        out.freeze()
    }
}

fn write_items(mark: u8, items: &[Reply], version: u8, out: &mut BytesMut) {
    write_length(mark, items.len(), out);
    for item in items {
        item.write(version, out);
    }
}

fn write_pairs(pairs: &[(Reply, Reply)], version: u8, out: &mut BytesMut) {
    for (key, value) in pairs {
        key.write(version, out);
        value.write(version, out);
    }
}

fn write_bulk(mark: u8, bytes: &[u8], out: &mut BytesMut) {
    write_length(mark, bytes.len(), out);
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
}

fn write_length(mark: u8, length: usize, out: &mut BytesMut) {
    write_number(mark, i64::try_from(length).unwrap_or(i64::MAX), out);
}

fn write_number(mark: u8, number: i64, out: &mut BytesMut) {
    out.put_u8(mark);
    out.put_slice(decimal(number, &mut [0; 20]));
    out.put_slice(b"\r\n");
}

fn write_line(mark: u8, text: &[u8], out: &mut BytesMut) {
    out.put_u8(mark);
    out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: &Reply, version: u8) -> String {
        String::from_utf8_lossy(&reply.to_bytes(version)).into_owned()
    }

    #[test]
    fn a_map_is_flat_in_version_2_and_keeps_its_shape_in_version_3() {
        let map = Reply::Map(vec![(Reply::bulk("a"), Reply::Int(i64::MIN))]);
        assert_eq!(text(&map, 2), "*2\r\n$1\r\na\r\n:-9223372036854775808\r\n");
        assert_eq!(text(&map, 3), "%1\r\n$1\r\na\r\n:-9223372036854775808\r\n");
    }

    #[test]
    fn attributes_are_left_out_in_version_2() {
        let reply =
            Reply::Several(vec![Reply::Attributes(vec![(Reply::bulk("a"), Reply::Int(1))]), Reply::Int(2)]);
        assert_eq!(
            (text(&reply, 2), text(&reply, 3)),
            (":2\r\n".into(), "|1\r\n$1\r\na\r\n:1\r\n:2\r\n".into())
        );
    }

    #[test]
    fn an_error_line_cannot_break_the_framing() {
        assert_eq!(text(&Reply::Error("ERR a\r\nb".into()), 2), "-ERR a  b\r\n");
    }

    #[test]
    fn no_value_and_no_array_are_one_thing_in_version_3_only() {
        assert_eq!((text(&Reply::Null, 2), text(&Reply::NullArray, 2)), ("$-1\r\n".into(), "*-1\r\n".into()));
        assert_eq!((text(&Reply::Null, 3), text(&Reply::NullArray, 3)), ("_\r\n".into(), "_\r\n".into()));
    }
}
