//! The bytes of a key or of a string: short ones in place, so that a lookup touches no other memory; long ones
//! on the heap, shared with whoever is sending them.
//!
//! Invariant: equality, order and hash are those of the bytes, wherever they lie.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

/// Most bytes kept in place: what fits beside the length in the size of a [`Bytes`].
const SHORT_BYTES: usize = 22;

/// Bytes that may be short.
#[derive(Clone)]
pub struct Blob(Repr);

#[derive(Clone)]
enum Repr {
    Short { length: u8, bytes: [u8; SHORT_BYTES] },
    Long(Bytes),
}

impl Blob {
    /// A copy of bytes that keeps nothing else alive.
    #[must_use]
    pub fn copied(bytes: &[u8]) -> Self {
        Self::short(bytes).unwrap_or_else(|| Self(Repr::Long(Bytes::copy_from_slice(bytes))))
    }

    /// The bytes as the rest of the crate passes them around: shared if they are long.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Short { .. } => Bytes::copy_from_slice(self),
            Repr::Long(bytes) => bytes.clone(),
        }
    }

    /// [`Blob::to_bytes`] without a copy of its own.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Short { length, bytes } => Bytes::copy_from_slice(&bytes[..usize::from(length)]),
            Repr::Long(bytes) => bytes,
        }
    }

    fn short(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; SHORT_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let length = u8::try_from(text.len()).ok()?;
        Some(Self(Repr::Short { length, bytes }))
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { length, bytes } => &bytes[..usize::from(*length)],
            Repr::Long(bytes) => bytes,
        }
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self::short(&bytes).unwrap_or(Self(Repr::Long(bytes)))
    }
}

impl Default for Blob {
    fn default() -> Self {
        Self(Repr::Short { length: 0, bytes: [0; SHORT_BYTES] })
    }
}

impl Borrow<[u8]> for Blob {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Blob {}

impl PartialOrd for Blob {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Blob {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_blob_is_as_large_as_the_bytes_it_stands_for() {
        assert_eq!(size_of::<Blob>(), size_of::<Bytes>());
    }

    proptest! {
        #[test]
        fn a_blob_is_its_bytes(
            left in prop::collection::vec(any::<u8>(), 0..40),
            right in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let (one, other) = (Blob::copied(&left), Blob::from(Bytes::from(right.clone())));
            prop_assert_eq!(&*one, &left[..]);
            prop_assert_eq!(other.to_bytes(), Bytes::from(right.clone()));
            prop_assert_eq!(one.cmp(&other), left.cmp(&right));
            prop_assert_eq!(one == other, left == right);
        }
    }
}
