//! The IDs of stream entries: a time in milliseconds and a number within it, in that order.
//!
//! How clients spell IDs, and the errors for what is none, belong to the commands.

use std::fmt;

/// The ID of a stream entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    /// Unix milliseconds, or whatever number the client chose.
    pub ms: u64,
    /// The number among entries of the same milliseconds.
    pub seq: u64,
}

impl StreamId {
    /// `0-0`, which no entry has.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The last ID there is.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The ID after this one, if there is one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The ID before this one, if there is one.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// The ID as the 16 bytes whose order is the order of IDs.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.ms) << 64) | u128::from(self.seq)).to_be_bytes()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_id_has_no_next_and_the_first_no_previous() {
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.previous(), None);
        let carried = StreamId { ms: 7, seq: u64::MAX };
        assert_eq!(carried.next(), Some(StreamId { ms: 8, seq: 0 }));
        assert_eq!(StreamId { ms: 8, seq: 0 }.previous(), Some(carried));
    }

    proptest! {
        #[test]
        fn the_order_of_the_bytes_is_the_order_of_the_ids(
            left in any::<(u64, u64)>(), right in any::<(u64, u64)>(),
        ) {
            let [left, right] = [left, right].map(|(ms, seq)| StreamId { ms, seq });
            prop_assert_eq!(left.cmp(&right), left.to_bytes().cmp(&right.to_bytes()));
            prop_assert_eq!(left.next().and_then(StreamId::previous), left.next().map(|_| left));
        }
    }
}
