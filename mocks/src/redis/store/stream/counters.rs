//! What a stream counts, and how far behind a group is by it.
//!
//! Redis does not know an entry's position, so it estimates how many entries were ever added up to an ID, where
//! deleted entries do not make that impossible (`streamEstimateDistanceFromFirstEverEntry`).

use super::{Group, StreamId};

/// What a stream counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries that are not deleted.
    pub length: u64,
    /// The greatest ID an entry ever had, or that was set.
    pub last_id: StreamId,
    /// The ID of the first entry; zero if there is none.
    pub first_id: StreamId,
    /// The greatest ID of an entry that was deleted by its ID.
    pub max_deleted_id: StreamId,
    /// Entries ever added.
    pub entries_added: u64,
}

impl Counters {
    /// How many entries were ever added up to this ID, if that can be told.
    #[must_use]
    pub fn distance_from_first(&self, id: StreamId) -> Option<i64> {
        let added = self.entries_added.cast_signed();
        if added == 0 {
            return Some(0);
        }
        if id == self.last_id || self.length == 0 && id < self.last_id {
            return Some(added);
        }
        let is_whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        if id > self.last_id || !is_whole || id > self.first_id {
            return None;
        }
        let before_first = added.wrapping_sub(self.length.cast_signed());
        Some(if id == self.first_id { before_first.wrapping_add(1) } else { before_first })
    }

    /// Whether an entry after this ID, itself included, was deleted by its ID.
    #[must_use]
    pub fn has_deleted_from(&self, id: StreamId) -> bool {
        let none = self.length == 0 || self.max_deleted_id == StreamId::MIN;
        !none && self.first_id <= self.max_deleted_id && id <= self.max_deleted_id
    }

    /// How many entries a group has yet to read, if that can be told.
    #[must_use]
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.entries_added.cast_signed();
        if added == 0 {
            return Some(0);
        }
        let counted = group.entries_read.filter(|_| !self.has_deleted_from(group.last_id));
        let read = counted.or_else(|| self.distance_from_first(group.last_id))?;
        Some(added.wrapping_sub(read))
    }
}
