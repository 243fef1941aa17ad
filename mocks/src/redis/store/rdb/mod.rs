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
pub(crate) use read::{Reader, write_string};

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
    seal(&mut out, layout.version);
    out
}

/// The value in a payload.
///
/// # Errors
/// [`RdbError`], in the order in which the real server finds out.
pub fn restore(payload: &[u8], layout: &Layout) -> Result<Value, RdbError> {
    // What follows the value is not looked at.
    value::read(&mut Reader::new(unsealed(payload, layout.version)?), layout).ok_or(RdbError::Format)
}

/// Ends a payload with the version of its format and a checksum.
pub(crate) fn seal(out: &mut Vec<u8>, version: u16) {
    out.extend_from_slice(&version.to_le_bytes());
    let checksum = crc64::checksum(out);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// What is before the version and the checksum of a payload, if the one is not above `newest` and the other right.
pub(crate) fn unsealed(payload: &[u8], newest: u16) -> Result<&[u8], RdbError> {
    let (body, footer) =
        payload.len().checked_sub(FOOTER).map(|at| payload.split_at(at)).ok_or(RdbError::Footer)?;
    let (version, checksum) = footer.split_at(2);
    let is_readable = u16::from_le_bytes([version[0], version[1]]) <= newest;
    let is_intact = crc64::checksum(&payload[..payload.len() - 8]).to_le_bytes() == checksum;
    if is_readable && is_intact { Ok(body) } else { Err(RdbError::Footer) }
}

#[cfg(test)]
mod tests;
