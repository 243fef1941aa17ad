//! Values as `DUMP` writes and `RESTORE` reads them: the object format of RDB version 10 (`rdb.c` of Redis 7.0).
//!
//! What is written is what a real server writes for the same value, compression included; a list's nodes are cut
//! as appending its elements one by one cuts them. What is read is everything a real server of version 7.0
//! writes, and the plain forms of older ones; of later ones, hashes whose fields have deadlines.
//!
//! Payloads come from clients: no length in them is believed before the bytes are there, and whatever is wrong
//! is an error.

mod blob;
mod crc64;
mod hash;
mod listpack;
mod lzf;
mod read;
mod stream;
mod value;

use super::Value;
use read::Reader;

/// Bytes of version and checksum behind a value.
const FOOTER: usize = 10;

/// The settings that decide how values are laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The version of the format that is written, and the newest that is read.
    pub version: u16,
    /// Most fields of a hash in a listpack, and their longest text.
    pub hash: (usize, usize),
    /// Most members of a sorted set in a listpack, and the longest.
    pub zset: (usize, usize),
    /// Most members of a set of integers.
    pub set_integers: usize,
    /// `list-max-listpack-size`: elements in a node of a list, or from -1 to -5 a limit on its bytes.
    pub list_node: i64,
    /// Whether strings are compressed.
    pub compress: bool,
}

/// Why a payload is not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RdbError {
    /// The version is newer, or the checksum is another.
    #[error("DUMP payload version or checksum are wrong")]
    Footer,
    /// The bytes are no value.
    #[error("Bad data format")]
    Format,
}

/// A value as a payload of its own.
#[must_use]
pub fn dump(value: &Value, layout: &Layout) -> Vec<u8> {
    let mut out = Vec::new();
    value::write(value, layout, &mut out);
    out.extend_from_slice(&layout.version.to_le_bytes());
    let checksum = crc64::checksum(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The value in a payload.
///
/// # Errors
/// [`RdbError`], in the order in which the real server finds out.
pub fn restore(payload: &[u8], layout: &Layout) -> Result<Value, RdbError> {
    let (value, footer) =
        payload.len().checked_sub(FOOTER).map(|at| payload.split_at(at)).ok_or(RdbError::Footer)?;
    let (version, checksum) = footer.split_at(2);
    if u16::from_le_bytes([version[0], version[1]]) > layout.version {
        return Err(RdbError::Footer);
    }
    if crc64::checksum(&payload[..payload.len() - 8]).to_le_bytes() != checksum {
        return Err(RdbError::Footer);
    }
    // What follows the value is not looked at.
    value::read(&mut Reader::new(value), layout).ok_or(RdbError::Format)
}

#[cfg(test)]
mod tests;
