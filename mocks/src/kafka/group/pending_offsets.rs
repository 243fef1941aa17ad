//! Offsets committed within transactions: held until the transaction's marker is in the group's partition.
//!
//! An offset that is held is not stable: who asks for stable offsets hears UNSTABLE_OFFSET_COMMIT. When its
//! transaction is committed it counts, unless an offset that was committed after it counts already. A partition
//! whose offset is deleted is held by nobody any more.

use std::collections::BTreeMap;

use super::{Committed, Group};

/// What producers hold in a group.
#[derive(Debug, Default)]
pub(crate) struct PendingOffsets {
    by_producer: BTreeMap<i64, BTreeMap<(String, i32), Held>>,
    /// How many were held so far.
    count: u64,
}

#[derive(Debug)]
struct Held {
    committed: Committed,
    /// Counts up with every offset that is held.
    number: u64,
    /// One that was committed after it counts.
    superseded: bool,
}

impl PendingOffsets {
    /// Holds an offset for a producer's transaction.
    pub fn hold(&mut self, producer_id: i64, topic: &str, partition: i32, committed: Committed) {
        self.count += 1;
        let held = Held { committed, number: self.count, superseded: false };
        self.by_producer.entry(producer_id).or_default().insert((topic.to_owned(), partition), held);
    }

    /// The partition's offset was committed plainly.
    pub fn supersede(&mut self, key: &(String, i32)) {
        self.supersede_before(key, u64::MAX);
    }

    fn supersede_before(&mut self, key: &(String, i32), number: u64) {
        let held = self.by_producer.values_mut().filter_map(|held| held.get_mut(key));
        held.filter(|held| held.number < number).for_each(|held| held.superseded = true);
    }

    /// Whether some transaction that is not ended holds an offset of the partition.
    pub fn is_open(&self, key: &(String, i32)) -> bool {
        self.by_producer.values().any(|held| held.contains_key(key))
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.by_producer.is_empty()
    }

    /// The partition's offset was deleted.
    pub fn forget(&mut self, key: &(String, i32)) {
        self.by_producer.values_mut().for_each(|held| drop(held.remove(key)));
        self.by_producer.retain(|_, held| !held.is_empty());
    }

    /// The topic was deleted.
    pub fn forget_topic(&mut self, name: &str) {
        self.by_producer.values_mut().for_each(|held| held.retain(|(topic, _), _| topic != name));
        self.by_producer.retain(|_, held| !held.is_empty());
    }
}

impl<W: Copy> Group<W> {
    /// The producer's transaction ended: what it holds counts now, or is dropped.
    pub fn end_pending_offsets(&mut self, producer_id: i64, commit: bool) {
        let held = self.pending_offsets.by_producer.remove(&producer_id).unwrap_or_default();
        for (key, held) in held.into_iter().filter(|(_, held)| commit && !held.superseded) {
            self.pending_offsets.supersede_before(&key, held.number);
            self.offsets.insert(key, held.committed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64) -> Committed {
        Committed { offset, leader_epoch: -1, metadata: String::new(), at_ms: 0, expires_ms: None }
    }

    fn group() -> Group<u32> {
        let mut group = Group::new("workers");
        group.pending_offsets.hold(7, "orders", 0, committed(5));
        group
    }

    fn key() -> (String, i32) {
        ("orders".to_owned(), 0)
    }

    #[test]
    fn a_held_offset_counts_once_its_transaction_is_committed() {
        let mut group = group();
        assert!(group.pending_offsets.is_open(&key()));
        assert!(group.offsets.is_empty());
        group.end_pending_offsets(7, true);
        assert_eq!(group.offsets.get(&key()), Some(&committed(5)));
        assert!(!group.pending_offsets.is_open(&key()));
    }

    #[test]
    fn a_held_offset_is_dropped_with_its_transaction() {
        let mut group = group();
        group.end_pending_offsets(8, true);
        assert!(group.pending_offsets.is_open(&key()), "that was another producer's");
        group.end_pending_offsets(7, false);
        assert!(group.offsets.is_empty());
        assert!(!group.pending_offsets.is_open(&key()));
    }

    #[test]
    fn the_newer_of_a_held_and_a_plain_offset_counts() {
        let mut group = group();
        group.pending_offsets.supersede(&key());
        group.offsets.insert(key(), committed(9));
        assert!(group.pending_offsets.is_open(&key()));
        group.end_pending_offsets(7, true);
        assert_eq!(group.offsets.get(&key()), Some(&committed(9)));
    }

    #[test]
    fn of_two_transactions_the_offset_that_was_held_later_counts_whichever_ends_first() {
        for [first, second] in [[7, 8], [8, 7]] {
            let mut group = group();
            group.pending_offsets.hold(8, "orders", 0, committed(6));
            group.end_pending_offsets(first, true);
            group.end_pending_offsets(second, true);
            assert_eq!(group.offsets.get(&key()), Some(&committed(6)));
        }
    }

    #[test]
    fn a_deleted_offset_is_held_by_nobody() {
        let mut group = group();
        group.pending_offsets.forget(&key());
        assert!(group.pending_offsets.is_empty());
        group.end_pending_offsets(7, true);
        assert!(group.offsets.is_empty());
    }
}
