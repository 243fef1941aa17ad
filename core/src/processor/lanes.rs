//! Serial lanes: one event of a key at a time, several keys at once.
//!
//! Invariant: items of one lane start in the order they were pushed, each after the one before it has ended.
//! Lanes with something to do take turns. No I/O, no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::bus::TopicPartition;

/// What must be handled one after another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LaneKey {
    /// Events of one key.
    Key(Bytes),
    /// A record without a key: nothing is promised about its order.
    Alone(TopicPartition, i64),
}

/// Items waiting in lanes.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    waiting: BTreeMap<LaneKey, VecDeque<T>>,
    running: BTreeSet<LaneKey>,
    /// Lanes with waiting items and none running.
    ready: VecDeque<LaneKey>,
    queued: usize,
}

impl<T> Lanes<T> {
    pub(super) fn new() -> Self {
        Self { waiting: BTreeMap::new(), running: BTreeSet::new(), ready: VecDeque::new(), queued: 0 }
    }

    /// Puts an item at the end of its lane.
    pub(super) fn push(&mut self, lane: LaneKey, item: T) {
        let queue = self.waiting.entry(lane.clone()).or_default();
        queue.push_back(item);
        self.queued += 1;
        if queue.len() == 1 && !self.running.contains(&lane) {
            self.ready.push_back(lane);
        }
    }

    /// The next item that may start; its lane is busy until [`Lanes::ended`].
    pub(super) fn start(&mut self) -> Option<(LaneKey, T)> {
        let lane = self.ready.pop_front()?;
        let queue = self.waiting.get_mut(&lane)?;
        let item = queue.pop_front()?;
        self.queued -= 1;
        if queue.is_empty() {
            self.waiting.remove(&lane);
        }
        self.running.insert(lane.clone());
        Some((lane, item))
    }

    /// The running item of `lane` has ended.
    pub(super) fn ended(&mut self, lane: &LaneKey) {
        if self.running.remove(lane) && self.waiting.contains_key(lane) {
            self.ready.push_back(lane.clone());
        }
    }

    /// Drops waiting items; running ones are not touched.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for queue in self.waiting.values_mut() {
            queue.retain(&keep);
        }
        self.waiting.retain(|_, queue| !queue.is_empty());
        self.ready.retain(|lane| self.waiting.contains_key(lane));
        self.queued = self.waiting.values().map(VecDeque::len).sum();
    }

    /// Items waiting.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lane(key: u8) -> LaneKey {
        LaneKey::Key(Bytes::copy_from_slice(&[key]))
    }

    #[derive(Debug, Clone)]
    enum Op {
        Push(u8),
        Start,
        End(prop::sample::Index),
        Drop(u8),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0_u8..4).prop_map(Op::Push),
            3 => Just(Op::Start),
            3 => any::<prop::sample::Index>().prop_map(Op::End),
            1 => (0_u8..4).prop_map(Op::Drop),
        ]
    }

    proptest! {
        #[test]
        fn a_lane_is_serial_ordered_and_never_forgotten(ops in prop::collection::vec(op(), 0..200)) {
            let mut lanes = Lanes::new();
            let mut model: BTreeMap<u8, VecDeque<u32>> = BTreeMap::new();
            let mut running: Vec<u8> = Vec::new();
            for (n, op) in (0_u32..).zip(ops) {
                match op {
                    Op::Push(key) => {
                        lanes.push(lane(key), (key, n));
                        model.entry(key).or_default().push_back(n);
                    }
                    Op::Start => {
                        let free = |(key, queue): (&u8, &VecDeque<u32>)| {
                            !queue.is_empty() && !running.contains(key)
                        };
                        let possible = model.iter().any(free);
                        let started = lanes.start();
                        prop_assert_eq!(started.is_some(), possible);
                        if let Some((_, (key, n))) = started {
                            prop_assert!(!running.contains(&key));
                            prop_assert_eq!(model.entry(key).or_default().pop_front(), Some(n));
                            running.push(key);
                        }
                    }
                    Op::End(index) if !running.is_empty() => {
                        let key = running.remove(index.index(running.len()));
                        lanes.ended(&lane(key));
                    }
                    Op::End(_) => {}
                    Op::Drop(key) => {
                        lanes.retain(|(of, _)| *of != key);
                        model.remove(&key);
                    }
                }
                prop_assert_eq!(lanes.queued(), model.values().map(VecDeque::len).sum::<usize>());
            }
        }
    }
}
