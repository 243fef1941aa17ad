//! What `FUNCTION DUMP` writes and `FUNCTION RESTORE` reads: the texts of libraries as Redis keeps them in its
//! files (RDB version 10), with a checksum.
//!
//! A length in a payload is believed only up to what the payload holds.

use bytes::Bytes;

use crate::redis::store::rdb::{self, RdbError, Reader};

/// The version of the format.
const VERSION: u16 = 10;
/// The mark before each library.
const FUNCTION: u8 = 245;
/// Bytes a compressed text may become.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Why a payload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DumpError {
    #[error("ERR {0}")]
    Payload(#[from] RdbError),
    #[error("ERR given type is not a function")]
    NoFunction,
    #[error("ERR failed loading the given functions payload")]
    Broken,
}

/// The texts of libraries as a payload, compressed if that is asked for.
pub(crate) fn write<'a>(codes: impl Iterator<Item = &'a Bytes>, compress: bool) -> Bytes {
    let mut out = Vec::new();
    for code in codes {
        out.push(FUNCTION);
        rdb::write_string(code, compress, &mut out);
    }
    rdb::seal(&mut out, VERSION);
    Bytes::from(out)
}

/// The texts of libraries in a payload.
pub(crate) fn read(payload: &[u8]) -> Result<Vec<Bytes>, DumpError> {
    let mut rest = Reader::new(rdb::unsealed(payload, VERSION)?);
    let mut codes = Vec::new();
    while !rest.is_empty() {
        if rest.byte() != Some(FUNCTION) {
            return Err(DumpError::NoFunction);
        }
        codes.push(rest.string_within(MOST_BYTES).ok_or(DumpError::Broken)?);
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in prop::collection::vec("[ab]{0,200}|.{0,200}", 0..5), compress: bool) {
            let texts: Vec<Bytes> = texts.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(read(&write(texts.iter(), compress)), Ok(texts));
        }

        #[test]
        fn no_payload_does_harm(mut payload in prop::collection::vec(any::<u8>(), 0..80), is_function: bool) {
            if is_function {
                payload.insert(0, FUNCTION);
            }
            rdb::seal(&mut payload, VERSION);
            let found = read(&payload);
            prop_assert!(found != Err(DumpError::Payload(RdbError::Footer)));
            prop_assert!(is_function || payload.len() == 10 || payload[0] == FUNCTION || found.is_err());
        }
    }
}
