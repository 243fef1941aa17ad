//! What an entry of a stream holds, in one piece of memory: most names and values are short, and an allocation
//! for each would take many times their size.
//!
//! Invariant: every piece is its length, as groups of seven bits with the lowest first, and its bytes.

use std::sync::Arc;

use bytes::Bytes;

/// Names and values, in turns.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields(Arc<[u8]>);

impl Fields {
    /// A copy of names and values.
    #[must_use]
    pub fn new(pieces: &[Bytes]) -> Self {
        /// What the length of a short piece takes.
        const LENGTH_BYTES: usize = 1;
        let bytes = pieces.iter().map(|piece| piece.len() + LENGTH_BYTES).sum();
        let mut packed = Vec::with_capacity(bytes);
        for piece in pieces {
            let mut length = piece.len();
            while length >= 0x80 {
                packed.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            packed.push(length as u8);
            packed.extend_from_slice(piece);
        }
        Self(packed.into())
    }

    /// The names and values.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let end = rest.iter().position(|byte| *byte < 0x80)?;
            let (length, behind) = rest.split_at(end + 1);
            let length = length.iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
            let (piece, behind) = behind.split_at(length);
            rest = behind;
            Some(piece)
        })
    }

    /// [`Fields::iter`], as copies to be sent or kept.
    pub fn copies(&self) -> impl Iterator<Item = Bytes> {
        self.iter().map(Bytes::copy_from_slice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_there_again(lengths in prop::collection::vec(prop_oneof![0..200_usize, 16_000..17_000_usize], 0..6)) {
            let pieces: Vec<Bytes> = lengths.into_iter().map(|length| Bytes::from(vec![0xff; length])).collect();
            prop_assert_eq!(Fields::new(&pieces).copies().collect::<Vec<_>>(), pieces);
        }
    }
}
