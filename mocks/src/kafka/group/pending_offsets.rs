//! Offsets committed within transactions: held until the transaction's marker is in the group's partition.
//!
//! An offset that is held is not stable: who asks for stable offsets hears UNSTABLE_OFFSET_COMMIT. When its
//! transaction is committed it counts, unless a plain commit of the same partition came after it.

use std::collections::BTreeMap;

use super::{Committed, Group};

/// What producers hold in a group, by producer id.
#[derive(Debug, Default)]
pub(crate) struct PendingOffsets(BTreeMap<i64, BTreeMap<(String, i32), Held>>);

#[derive(Debug)]
struct Held {
    committed: Committed,
    /// A plain commit came after it.
    superseded: bool,
}

impl PendingOffsets {
    /// Holds an offset for a producer's transaction.
    pub fn hold(&mut self, producer_id: i64, topic: &str, partition: i32, committed: Committed) {
        let held = Held { committed, superseded: false };
        self.0.entry(producer_id).or_default().insert((topic.to_owned(), partition), held);
    }

    /// The partition's offset was committed plainly.
    pub fn supersede(&mut self, key: &(String, i32)) {
        for held in self.0.values_mut().filter_map(|held| held.get_mut(key)) {
            held.superseded = true;
        }
    }

    /// Whether some transaction that is not ended holds an offset of the partition.
    pub fn is_open(&self, key: &(String, i32)) -> bool {
        self.0.values().any(|held| held.contains_key(key))
    }

    /// The topic was deleted.
    pub fn forget_topic(&mut self, name: &str) {
        self.0.values_mut().for_each(|held| held.retain(|(topic, _), _| topic != name));
        self.0.retain(|_, held| !held.is_empty());
    }
}

impl<W: Copy> Group<W> {
    /// The producer's transaction ended: what it holds counts now, or is dropped.
    pub fn end_pending_offsets(&mut self, producer_id: i64, commit: bool) {
        let held = self.pending_offsets.0.remove(&producer_id).unwrap_or_default();
        let counting = held.into_iter().filter(|(_, held)| commit && !held.superseded);
        self.offsets.extend(counting.map(|(key, held)| (key, held.committed)));
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
}
