//! Leader epochs of a log and the offset each began at, as Kafka's `LeaderEpochFileCache`.
//!
//! Invariant: epochs and offsets both rise. A leader that has appended nothing yet is not noted: every
//! question names the current epoch, which is then taken to begin at the log's end.

/// Which epoch began where.
#[derive(Debug, Default)]
pub(super) struct Epochs(Vec<(i32, i64)>);

impl Epochs {
    /// A leader of `epoch` appends at `offset`. Epochs that began there or later left no records.
    pub fn begin(&mut self, epoch: i32, offset: i64) {
        if self.0.last().is_none_or(|(last, _)| *last < epoch) {
            self.truncate(offset);
            self.0.push((epoch, offset));
        }
    }

    /// Forgets the epochs that began at `end` or later.
    pub fn truncate(&mut self, end: i64) {
        self.0.retain(|(_, start)| *start < end);
    }

    /// Forgets the epochs that ended at `start` or before; the one that goes on begins there.
    pub fn advance(&mut self, start: i64) {
        let kept = self.0.partition_point(|(_, began)| *began <= start).saturating_sub(1);
        self.0.drain(..kept);
        if let Some((_, began)) = self.0.first_mut() {
            *began = start.max(*began);
        }
    }

    /// The largest epoch up to `epoch` and the offset it ends at, in a log that ends at `end` and whose
    /// leader is of epoch `current`. Of an epoch older than all, the offset the oldest began at; none of one
    /// newer than all.
    pub fn end_of(&self, epoch: i32, current: i32, end: i64) -> Option<(i32, i64)> {
        if epoch < 0 {
            return None;
        }
        let mut found = epoch;
        for (known, start) in self.as_of(current, end) {
            if known > epoch {
                return Some((found, start));
            }
            found = known;
        }
        (found == epoch && self.as_of(current, end).any(|(known, _)| known == epoch)).then_some((epoch, end))
    }

    /// The epoch of the log's first offset.
    pub fn first(&self, current: i32, end: i64) -> Option<i32> {
        self.as_of(current, end).next().map(|(epoch, _)| epoch)
    }

    /// The offset the newest epoch, that of the leader, began at.
    pub fn start_of(&self, current: i32, end: i64) -> i64 {
        self.as_of(current, end).last().map_or(end, |(_, start)| start)
    }

    /// The epochs as a leader of epoch `current` has them, whose first record would be at `end`.
    fn as_of(&self, current: i32, end: i64) -> impl Iterator<Item = (i32, i64)> {
        let unnoted = self.0.last().is_none_or(|(last, _)| *last < current);
        let noted = self.0.iter().copied().take_while(move |(_, start)| !unnoted || *start < end);
        noted.chain(unnoted.then_some((current, end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(list: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, offset) in list {
            epochs.begin(*epoch, *offset);
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_began() {
        let known = epochs(&[(1, 0), (4, 2)]);
        let end_of = |epoch, current| known.end_of(epoch, current, 3);
        assert_eq!(end_of(0, 4), Some((0, 0)), "older than all");
        assert_eq!(end_of(1, 4), Some((1, 2)));
        assert_eq!(end_of(3, 4), Some((1, 2)));
        assert_eq!(end_of(4, 4), Some((4, 3)));
        assert_eq!(end_of(4, 6), Some((4, 3)));
        assert_eq!(end_of(6, 6), Some((6, 3)), "the leader has appended nothing yet");
        assert_eq!(end_of(9, 6), None, "newer than all");
        assert_eq!(end_of(-1, 6), None, "no epoch");
    }

    #[test]
    fn an_epoch_that_left_no_records_is_forgotten_when_the_next_begins() {
        assert_eq!(epochs(&[(0, 0), (1, 5), (2, 5)]).0, [(0, 0), (2, 5)]);
        assert_eq!(Epochs::default().end_of(0, 4, 0), Some((0, 0)));
        assert_eq!(Epochs::default().first(4, 0), Some(4));
    }

    #[test]
    fn truncation_forgets_the_epochs_behind_the_end_and_before_the_start() {
        let mut known = epochs(&[(0, 0), (1, 5), (2, 8)]);
        known.truncate(8);
        assert_eq!(known.0, [(0, 0), (1, 5)]);
        known.advance(3);
        assert_eq!(known.0, [(0, 3), (1, 5)]);
        known.advance(5);
        assert_eq!(known.0, [(1, 5)]);
        known.advance(9);
        assert_eq!(known.0, [(1, 9)]);
    }
}
