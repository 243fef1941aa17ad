//! Which offset may be committed: for each partition the lowest that is not finished.
//!
//! Finishing happens out of order, committing only up to the first gap. Offsets are compared within one
//! assignment: work begun under an earlier one is unknown here and counts for nothing. No I/O.

use std::collections::{BTreeMap, VecDeque};

use tokio_util::sync::CancellationToken;

use crate::bus::TopicPartition;

/// Progress of every partition assigned.
#[derive(Debug, Default)]
pub(super) struct Progress {
    partitions: BTreeMap<TopicPartition, Assignment>,
    last_epoch: u64,
}

#[derive(Debug)]
struct Assignment {
    epoch: u64,
    /// Offsets delivered, in order, and whether each is finished.
    delivered: VecDeque<(i64, bool)>,
    last: Option<i64>,
    /// The offset to commit, once something is finished.
    next: Option<i64>,
    committed: Option<i64>,
    /// Tells work under way to begin nothing new.
    over: CancellationToken,
}

impl Progress {
    /// Notes a delivered offset; answers the assignment it belongs to.
    ///
    /// An offset not above the last one means that the consumer has gone back: a new assignment begins, and
    /// everything from there on is delivered again.
    pub(super) fn delivered(&mut self, partition: &TopicPartition, offset: i64) -> (u64, CancellationToken) {
        let mut held = self.partitions.remove(partition).unwrap_or_else(|| self.new_assignment());
        if held.last.is_some_and(|last| offset <= last) {
            held.over.cancel();
            held = self.new_assignment();
        }
        held.delivered.push_back((offset, false));
        held.last = Some(offset);
        let ticket = (held.epoch, held.over.clone());
        self.partitions.insert(partition.clone(), held);
        ticket
    }

    /// Begins a new assignment of `partition`.
    pub(super) fn assigned(&mut self, partition: TopicPartition) {
        let assignment = self.new_assignment();
        if let Some(before) = self.partitions.insert(partition, assignment) {
            before.over.cancel();
        }
    }

    fn new_assignment(&mut self) -> Assignment {
        self.last_epoch += 1;
        Assignment {
            epoch: self.last_epoch,
            delivered: VecDeque::new(),
            last: None,
            next: None,
            committed: None,
            over: CancellationToken::new(),
        }
    }

    /// Notes that an offset is finished; ignored if its assignment is over.
    pub(super) fn finished(&mut self, partition: &TopicPartition, epoch: u64, offset: i64) {
        let Some(assignment) = self.partitions.get_mut(partition).filter(|held| held.epoch == epoch) else {
            return;
        };
        if let Ok(index) = assignment.delivered.binary_search_by_key(&offset, |(offset, _)| *offset) {
            assignment.delivered[index].1 = true;
        }
        while let Some((offset, true)) = assignment.delivered.front().copied() {
            assignment.delivered.pop_front();
            assignment.next = Some(offset + 1);
        }
    }

    /// What has become committable since the last [`Progress::committed`].
    pub(super) fn committable(&self) -> Vec<(TopicPartition, i64)> {
        let fresh = |(partition, held): (&TopicPartition, &Assignment)| {
            let next = held.next.filter(|next| held.committed != Some(*next))?;
            Some((partition.clone(), next))
        };
        self.partitions.iter().filter_map(fresh).collect()
    }

    /// Events delivered and not yet part of a finished prefix.
    pub(super) fn uncommitted(&self) -> usize {
        self.partitions.values().map(|held| held.delivered.len()).sum()
    }

    /// Notes what was committed.
    pub(super) fn committed(&mut self, offsets: &[(TopicPartition, i64)]) {
        for (partition, offset) in offsets {
            if let Some(held) = self.partitions.get_mut(partition) {
                held.committed = Some(*offset);
            }
        }
    }

    /// Tells the work of `partition` to begin nothing new.
    pub(super) fn wind_down(&self, partition: &TopicPartition) {
        if let Some(held) = self.partitions.get(partition) {
            held.over.cancel();
        }
    }

    /// Ends the assignment of `partition`.
    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        if let Some(held) = self.partitions.remove(partition) {
            held.over.cancel();
        }
    }

    /// Every partition assigned.
    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partition() -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: 0 }
    }

    fn deliver(progress: &mut Progress, offset: i64) -> u64 {
        progress.delivered(&partition(), offset).0
    }

    proptest! {
        #[test]
        fn only_the_contiguous_prefix_is_committable(
            gaps in prop::collection::vec(1_i64..4, 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let mut progress = Progress::default();
            let offsets: Vec<i64> =
                gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut epoch = 0;
            for offset in &offsets {
                epoch = deliver(&mut progress, *offset);
            }
            let mut open = offsets.clone();
            for index in order {
                if open.is_empty() { break }
                let offset = open.remove(index.index(open.len()));
                progress.finished(&partition(), epoch, offset);
                let prefix = offsets.iter().take_while(|offset| !open.contains(offset)).last();
                let expected: Vec<_> = prefix.map(|offset| (partition(), offset + 1)).into_iter().collect();
                prop_assert_eq!(progress.committable(), expected);
            }
        }
    }

    #[test]
    fn work_of_an_earlier_assignment_counts_for_nothing() {
        let mut progress = Progress::default();
        let before = deliver(&mut progress, 7);
        progress.forget(&partition());
        let now = deliver(&mut progress, 7);
        progress.finished(&partition(), before, 7);
        assert_eq!(progress.committable(), []);
        progress.finished(&partition(), now, 7);
        assert_eq!(progress.committable(), [(partition(), 8)]);
    }

    #[test]
    fn a_committed_offset_is_not_committed_again() {
        let mut progress = Progress::default();
        let epoch = deliver(&mut progress, 0);
        progress.finished(&partition(), epoch, 0);
        let offsets = progress.committable();
        progress.committed(&offsets);
        assert_eq!(progress.committable(), []);
    }

    #[test]
    fn a_consumer_that_goes_back_begins_a_new_assignment() {
        let mut progress = Progress::default();
        let (first, over) = progress.delivered(&partition(), 3);
        let again = deliver(&mut progress, 3);
        assert!(first != again && over.is_cancelled());
        progress.finished(&partition(), first, 3);
        assert_eq!(progress.committable(), []);
    }
}
