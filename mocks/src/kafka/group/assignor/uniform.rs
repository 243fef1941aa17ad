//! The `uniform` assignor for members of one subscription.
//!
//! Everybody has the same number of partitions, give or take one, and keeps what it had up to that number.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Partitions, Spec};

pub(super) fn assign(spec: Spec) -> BTreeMap<String, Partitions> {
    let Some(first) = spec.members.values().next() else { return BTreeMap::new() };
    let topics = first.topics.clone();
    if topics.is_empty() {
        return BTreeMap::new();
    }
    let mut free = free_partitions(&spec);
    let total: usize = topics.iter().map(|topic| usize::try_from(spec.count(*topic)).unwrap_or(0)).sum();
    let members = spec.members.len();
    let least = total / members;
    // Members that get one more than the least.
    let mut extra = total % members;
    let mut unfilled = Vec::new();
    let mut target = BTreeMap::new();
    for (index, (id, member)) in spec.members.into_iter().enumerate() {
        let mut has_extra = extra > 0;
        let mut quota = least + usize::from(has_extra);
        let mut kept = Partitions::new();
        for (topic, numbers) in member.assigned {
            if !topics.contains(&topic) {
                continue;
            }
            for number in numbers {
                if quota > 0 {
                    quota -= 1;
                    kept.entry(topic).or_default().insert(number);
                } else {
                    free.push((topic, number));
                }
            }
        }
        // One who did not have the extra partition before leaves it to somebody who may have, unless there
        // are only as many members left as extra partitions.
        if quota > 0 && has_extra && members - index > extra {
            quota -= 1;
            has_extra = false;
        }
        if quota > 0 {
            unfilled.push((id.clone(), quota));
        }
        extra -= usize::from(has_extra);
        target.insert(id, kept);
    }
    let mut free = free.into_iter();
    for (id, quota) in unfilled {
        let mine: &mut Partitions = target.entry(id).or_default();
        for (topic, number) in free.by_ref().take(quota) {
            mine.entry(topic).or_default().insert(number);
        }
    }
    target
}

/// Partitions of subscribed topics that nobody has, in order.
fn free_partitions(spec: &Spec) -> Vec<(Uuid, i32)> {
    let topics = spec.members.values().next().into_iter().flat_map(|member| &member.topics);
    let all = topics.flat_map(|topic| (0..spec.count(*topic)).map(|number| (*topic, number)));
    let taken: std::collections::BTreeSet<(Uuid, i32)> = spec
        .members
        .values()
        .flat_map(|member| &member.assigned)
        .flat_map(|(topic, numbers)| numbers.iter().map(|number| (*topic, *number)))
        .collect();
    all.filter(|partition| !taken.contains(partition)).collect()
}
