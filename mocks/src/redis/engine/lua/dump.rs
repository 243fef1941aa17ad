//! What `FUNCTION DUMP` writes and `FUNCTION RESTORE` reads: the texts of libraries as Redis keeps them in its
//! files (RDB version 10), with a checksum.
//!
//! Texts are written uncompressed; compressed ones (LZF) are read. A length in a payload is believed only up to
//! what the payload holds.

use bytes::Bytes;

/// The mark before each library.
const FUNCTION: u8 = 245;
const VERSION: u16 = 10;
/// Bytes of version and checksum at the end.
const FOOTER: usize = 10;
/// Bytes a compressed text may become.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Why a payload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DumpError {
    #[error("ERR DUMP payload version or checksum are wrong")]
    Footer,
    #[error("ERR given type is not a function")]
    NoFunction,
    #[error("ERR failed loading the given functions payload")]
    Broken,
}

/// The texts of libraries as a payload.
pub(crate) fn write<'a>(codes: impl Iterator<Item = &'a Bytes>) -> Bytes {
    let mut out = Vec::new();
    for code in codes {
        out.push(FUNCTION);
        write_length(code.len(), &mut out);
        out.extend_from_slice(code);
    }
    out.extend(VERSION.to_le_bytes());
    out.extend(crc64(&out).to_le_bytes());
    Bytes::from(out)
}

/// The texts of libraries in a payload.
pub(crate) fn read(payload: &[u8]) -> Result<Vec<Bytes>, DumpError> {
    let body = payload.len().checked_sub(FOOTER).ok_or(DumpError::Footer)?;
    let (body, footer) = payload.split_at(body);
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    let checksum = footer[2..].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    // A checksum of 0 says that there is none.
    let is_intact = checksum == 0 || checksum == crc64(&payload[..payload.len() - 8]);
    if version > VERSION || !is_intact {
        return Err(DumpError::Footer);
    }
    let mut rest = body;
    let mut codes = Vec::new();
    while let Some((mark, tail)) = rest.split_first() {
        if *mark != FUNCTION {
            return Err(DumpError::NoFunction);
        }
        rest = tail;
        codes.push(read_text(&mut rest).ok_or(DumpError::Broken)?);
    }
    Ok(codes)
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    match (u16::try_from(length), u32::try_from(length)) {
        (Ok(short), _) if short < 64 => out.extend(&short.to_be_bytes()[1..]),
        (Ok(medium), _) if medium < 1 << 14 => out.extend((medium | 1 << 14).to_be_bytes()),
        (_, Ok(long)) => {
            out.push(0x80);
            out.extend(long.to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend((length as u64).to_be_bytes());
        }
    }
}

/// A length, or the number of a special encoding.
enum Length {
    Plain(usize),
    Special(u8),
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(taken)
}

fn read_length(rest: &mut &[u8]) -> Option<Length> {
    let first = take(rest, 1)?[0];
    let number = |bytes: &[u8]| {
        let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).ok()
    };
    Some(match first >> 6 {
        0 => Length::Plain(usize::from(first)),
        1 => Length::Plain(usize::from(first & 0x3f) << 8 | number(take(rest, 1)?)?),
        2 if first == 0x80 => Length::Plain(number(take(rest, 4)?)?),
        2 if first == 0x81 => Length::Plain(number(take(rest, 8)?)?),
        2 => return None,
        _ => Length::Special(first & 0x3f),
    })
}

fn read_text(rest: &mut &[u8]) -> Option<Bytes> {
    const COMPRESSED: u8 = 3;
    let plain = |rest: &mut &[u8]| match read_length(rest)? {
        Length::Plain(length) => Some(length),
        Length::Special(_) => None,
    };
    match read_length(rest)? {
        Length::Plain(length) => take(rest, length).map(Bytes::copy_from_slice),
        Length::Special(COMPRESSED) => {
            let (packed, length) = (plain(rest)?, plain(rest)?);
            decompress(take(rest, packed)?, length)
        }
        Length::Special(size @ 0..=2) => {
            // A text that is an integer: no library, but a string all the same.
            let bytes = take(rest, 1 << size)?;
            let mut wide = if bytes.last()? & 0x80 == 0 { [0; 4] } else { [0xff; 4] };
            wide[..bytes.len()].copy_from_slice(bytes);
            Some(Bytes::from(i32::from_le_bytes(wide).to_string()))
        }
        Length::Special(_) => None,
    }
}

/// LZF: runs of bytes as they are, and references to what came before.
fn decompress(mut packed: &[u8], length: usize) -> Option<Bytes> {
    if length > MOST_BYTES {
        return None;
    }
    let mut out: Vec<u8> = Vec::new();
    while let Some(control) = take(&mut packed, 1) {
        let control = usize::from(control[0]);
        if control < 32 {
            out.extend_from_slice(take(&mut packed, control + 1)?);
        } else {
            let mut count = (control >> 5) + 2;
            if count == 9 {
                count += usize::from(take(&mut packed, 1)?[0]);
            }
            let back = (control & 0x1f) << 8 | usize::from(take(&mut packed, 1)?[0]);
            let start = out.len().checked_sub(back + 1)?;
            for at in start..start + count {
                let byte = *out.get(at)?;
                out.push(byte);
            }
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then(|| Bytes::from(out))
}

/// The checksum of Redis' files: CRC-64 with the polynomial of Jones, reflected, starting from 0.
fn crc64(bytes: &[u8]) -> u64 {
    const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn a_compressed_text_of_a_real_server_is_read() {
        // "aaaaaaaaaaaaaaaaaaaaaaaa" as LZF writes it: one `a`, then 20 more from one byte back, then 3.
        let packed = [1, b'a', b'a', 0xe0, 10, 0, 2, b'a', b'a', b'a'];
        assert_eq!(decompress(&packed, 24).as_deref(), Some(&[b'a'; 24][..]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in prop::collection::vec(".{0,200}", 0..5)) {
            let texts: Vec<Bytes> = texts.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(read(&write(texts.iter())), Ok(texts));
        }

        #[test]
        fn no_payload_does_harm(mut payload in prop::collection::vec(any::<u8>(), 0..80)) {
            payload.extend([10, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            // With no checksum every payload is looked into.
            let _ = read(&payload);
            payload.insert(0, FUNCTION);
            let _ = read(&payload);
        }
    }
}
