//! A member of a consumer group, and how it gets from what it holds to what it should hold.
//!
//! Between the two a member first gives back what it must, with its epoch standing still; then it takes its new
//! epoch, and what is free of what it is to get. So a partition never has two holders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::super::assignor::Partitions;

/// Partitions by topic, each with the epoch it was assigned in.
pub(crate) type Held = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// Where a member is on its way to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has what it should have at its epoch.
    Stable,
    /// It must give partitions back before it goes on.
    Unrevoked,
    /// It waits for partitions that others still hold.
    Unreleased,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub client_id: String,
    pub client_host: String,
    pub instance_id: Option<String>,
    pub rack: Option<String>,
    pub rebalance: Duration,
    pub topics: BTreeSet<String>,
    /// Empty if there is none.
    pub regex: String,
    /// The assignor it asks for.
    pub assignor: Option<String>,
    /// -2 while a static member is away for a moment.
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Held,
    pub revoking: Held,
    /// It speaks the classic protocol.
    pub classic: Option<ClassicSide>,
}

/// What a member that speaks the classic protocol said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassicSide {
    pub session: Duration,
    pub protocols: Vec<(String, Bytes)>,
}

/// What a member is to be brought to.
pub(super) struct Goal<'a> {
    pub epoch: i32,
    pub target: &'a Partitions,
    /// Topics that exist and that the member subscribed to.
    pub subscribed: &'a BTreeSet<Uuid>,
    /// Whether that is new: then what it holds is checked at once.
    pub is_new: bool,
    /// What the member says it holds; none if it did not say.
    pub owned: Option<&'a Partitions>,
}

impl Goal<'_> {
    fn still_owns(&self, revoking: &Held) -> bool {
        self.owned
            .is_none_or(|owned| owned.iter().any(|(topic, numbers)| holds_any(revoking, *topic, numbers)))
    }
}

impl Member {
    pub fn new() -> Self {
        Self {
            client_id: String::new(),
            client_host: String::new(),
            instance_id: None,
            rack: None,
            rebalance: Duration::ZERO,
            topics: BTreeSet::new(),
            regex: String::new(),
            assignor: None,
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Held::new(),
            revoking: Held::new(),
            classic: None,
        }
    }

    /// Whether it has nothing to do to be at `epoch`.
    pub fn is_at(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    /// The epoch in which it was given a partition that it holds or gives back.
    pub fn assigned_in(&self, topic: Uuid, number: i32) -> Option<i32> {
        let find = |held: &Held| held.get(&topic).and_then(|numbers| numbers.get(&number)).copied();
        find(&self.assigned).or_else(|| find(&self.revoking))
    }

    /// Every partition it holds or gives back.
    pub fn held(&self) -> impl Iterator<Item = (Uuid, i32)> + '_ {
        let all = self.assigned.iter().chain(&self.revoking);
        all.flat_map(|(topic, numbers)| numbers.keys().map(|number| (*topic, *number)))
    }

    /// Takes the next step towards the goal. `is_held` tells whether anybody holds a partition.
    pub(super) fn reconcile(&mut self, goal: &Goal<'_>, is_held: impl Fn(Uuid, i32) -> bool) {
        match self.state {
            MemberState::Stable if self.epoch == goal.epoch => self.drop_unsubscribed(goal),
            MemberState::Unrevoked if goal.still_owns(&self.revoking) => self.drop_unsubscribed(goal),
            MemberState::Stable | MemberState::Unrevoked | MemberState::Unreleased => {
                self.approach(goal, is_held);
            }
        }
    }

    fn take_epoch(&mut self, epoch: i32) {
        self.previous_epoch = std::mem::replace(&mut self.epoch, epoch);
    }

    /// Takes away topics it does not subscribe to any more, and nothing else.
    fn drop_unsubscribed(&mut self, goal: &Goal<'_>) {
        let unwanted = |topic: &Uuid| !goal.subscribed.contains(topic);
        if !goal.is_new || !self.assigned.keys().any(unwanted) {
            return;
        }
        let (dropped, kept): (Held, Held) =
            std::mem::take(&mut self.assigned).into_iter().partition(|(topic, _)| unwanted(topic));
        self.assigned = kept;
        let mut revoking = self.revoking.clone();
        for (topic, numbers) in dropped {
            revoking.entry(topic).or_default().extend(numbers);
        }
        if goal.still_owns(&revoking) {
            self.state = MemberState::Unrevoked;
            self.revoking = revoking;
        }
        self.take_epoch(self.epoch);
    }

    fn approach(&mut self, goal: &Goal<'_>, is_held: impl Fn(Uuid, i32) -> bool) {
        let is_target = |topic: &Uuid, number: &i32| {
            let numbers = goal.target.get(topic).filter(|_| goal.subscribed.contains(topic));
            numbers.is_some_and(|numbers| numbers.contains(number))
        };
        let (mut kept, mut revoking) = (Held::new(), Held::new());
        for (topic, numbers) in &self.assigned {
            for (number, epoch) in numbers {
                let side = if is_target(topic, number) { &mut kept } else { &mut revoking };
                side.entry(*topic).or_default().insert(*number, *epoch);
            }
        }
        if !revoking.is_empty() && goal.still_owns(&revoking) {
            self.state = MemberState::Unrevoked;
            self.assigned = kept;
            self.revoking = revoking;
            self.take_epoch(self.epoch);
            return;
        }
        let mut all_free = true;
        for (topic, numbers) in goal.target.iter().filter(|(topic, _)| goal.subscribed.contains(*topic)) {
            for number in numbers {
                if contains(&kept, *topic, *number) {
                    continue;
                }
                if is_held(*topic, *number) && !contains(&self.revoking, *topic, *number) {
                    all_free = false;
                } else {
                    kept.entry(*topic).or_default().insert(*number, goal.epoch);
                }
            }
        }
        self.state = if all_free { MemberState::Stable } else { MemberState::Unreleased };
        self.assigned = kept;
        self.revoking = Held::new();
        self.take_epoch(goal.epoch);
    }
}

pub(super) fn contains(held: &Held, topic: Uuid, number: i32) -> bool {
    held.get(&topic).is_some_and(|numbers| numbers.contains_key(&number))
}

fn holds_any(held: &Held, topic: Uuid, numbers: &BTreeSet<i32>) -> bool {
    numbers.iter().any(|number| contains(held, topic, *number))
}
