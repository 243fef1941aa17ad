//! The `uniform` assignor for members whose subscriptions differ.
//!
//! Members keep what they have; free partitions go to the subscriber with the fewest; then, topic by topic,
//! partitions move from the fullest subscriber to the emptiest until they differ by no more than one. That is
//! repeated, because a later topic can unbalance an earlier one, for a bounded number of rounds.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Partitions, Spec};

/// Rounds over all topics (Kafka's own bound).
const ROUNDS_MAX: usize = 16;

pub(super) fn assign(spec: Spec) -> BTreeMap<String, Partitions> {
    let ids: Vec<String> = spec.members.keys().cloned().collect();
    let mut readers: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
    for (index, member) in spec.members.values().enumerate() {
        for topic in &member.topics {
            readers.entry(*topic).or_default().push(index);
        }
    }
    let mut topics: Vec<(Uuid, i32)> = readers.keys().map(|topic| (*topic, spec.count(*topic))).collect();
    topics.sort_by(|one, other| order(&readers, *one, *other));
    let mut board = Board::new(spec, &topics);
    for (topic, _) in &topics {
        for number in board.free(*topic) {
            if let Some(to) = board.emptiest(&readers[topic]) {
                board.give(*topic, number, to);
            }
        }
    }
    for _ in 0..ROUNDS_MAX {
        let shared = topics.iter().filter(|(topic, _)| readers[topic].len() > 1);
        let moved = shared.map(|(topic, _)| board.balance(*topic, &readers[topic])).sum::<usize>();
        if moved == 0 {
            break;
        }
    }
    ids.into_iter().zip(board.into_assignments()).collect()
}

/// Most partitions per reader first, then fewest readers, then by id.
fn order(readers: &BTreeMap<Uuid, Vec<usize>>, one: (Uuid, i32), other: (Uuid, i32)) -> Ordering {
    let count = |topic: (Uuid, i32)| i64::try_from(readers[&topic.0].len()).unwrap_or(i64::MAX);
    let share = |topic: (Uuid, i32), by: (Uuid, i32)| i64::from(topic.1).saturating_mul(count(by));
    let by_share = share(other, one).cmp(&share(one, other));
    by_share.then(count(one).cmp(&count(other))).then(one.0.cmp(&other.0))
}

/// Who has which partition, members by their index.
struct Board {
    /// Each topic's partitions and their owners.
    owners: BTreeMap<Uuid, Vec<Option<usize>>>,
    /// How many partitions each member has.
    loads: Vec<usize>,
}

impl Board {
    fn new(spec: Spec, topics: &[(Uuid, i32)]) -> Self {
        let size = |count: i32| usize::try_from(count).unwrap_or(0);
        let owners = topics.iter().map(|(topic, count)| (*topic, vec![None; size(*count)])).collect();
        let mut board = Self { owners, loads: vec![0; spec.members.len()] };
        for (index, member) in spec.members.into_values().enumerate() {
            let kept = member.assigned.into_iter().filter(|(topic, _)| member.topics.contains(topic));
            for (topic, number) in kept.flat_map(|(topic, set)| set.into_iter().map(move |n| (topic, n))) {
                board.give(topic, number, index);
            }
        }
        board
    }

    fn give(&mut self, topic: Uuid, number: i32, to: usize) {
        let owners = self.owners.get_mut(&topic);
        let place = owners.and_then(|owners| owners.get_mut(usize::try_from(number).ok()?));
        let Some(place) = place else { return };
        if let Some(from) = place.replace(to) {
            self.loads[from] -= 1;
        }
        self.loads[to] += 1;
    }

    fn free(&self, topic: Uuid) -> Vec<i32> {
        let owners = (0..).zip(&self.owners[&topic]);
        owners.filter(|(_, owner)| owner.is_none()).map(|(number, _)| number).collect()
    }

    fn emptiest(&self, members: &[usize]) -> Option<usize> {
        members.iter().copied().min_by_key(|member| (self.loads[*member], *member))
    }

    /// Evens out one topic; returns how many partitions moved.
    fn balance(&mut self, topic: Uuid, members: &[usize]) -> usize {
        let mut held: BTreeMap<usize, BTreeSet<i32>> = BTreeMap::new();
        for (number, owner) in (0..).zip(&self.owners[&topic]) {
            if let Some(owner) = owner {
                held.entry(*owner).or_default().insert(number);
            }
        }
        let mut moved = 0;
        loop {
            held.retain(|_, numbers| !numbers.is_empty());
            let fullest = held.keys().copied().max_by_key(|member| (self.loads[*member], *member));
            let (Some(from), Some(to)) = (fullest, self.emptiest(members)) else { return moved };
            if self.loads[from] <= self.loads[to] + 1 {
                return moved;
            }
            let Some(number) = held.get_mut(&from).and_then(BTreeSet::pop_last) else { return moved };
            held.entry(to).or_default().insert(number);
            self.give(topic, number, to);
            moved += 1;
        }
    }

    fn into_assignments(self) -> Vec<Partitions> {
        let mut assignments = vec![Partitions::new(); self.loads.len()];
        for (topic, owners) in self.owners {
            for (number, owner) in (0..).zip(owners) {
                if let Some(owner) = owner {
                    assignments[owner].entry(topic).or_default().insert(number);
                }
            }
        }
        assignments
    }
}
