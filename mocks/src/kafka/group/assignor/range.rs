//! The `range` assignor: each topic's partitions are cut into ranges, in the order of the members.
//!
//! Static members come first, by instance, so that a restarted one keeps its place.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Partitions, Spec, Subscriber};

/// What is left of a topic.
struct Topic {
    partitions: i32,
    next: i32,
    quota: i32,
    /// Members that still get one more.
    extra: i32,
}

pub(super) fn assign(spec: &Spec) -> BTreeMap<String, Partitions> {
    let mut subscribers: BTreeMap<Uuid, i32> = BTreeMap::new();
    for topic in spec.members.values().flat_map(|member| &member.topics) {
        *subscribers.entry(*topic).or_default() += 1;
    }
    let topic = |(id, readers): (Uuid, i32)| {
        let partitions = spec.count(id);
        (id, Topic { partitions, next: 0, quota: partitions / readers, extra: partitions % readers })
    };
    let mut topics: BTreeMap<Uuid, Topic> = subscribers.into_iter().map(topic).collect();
    let mut members: Vec<(&String, &Subscriber)> = spec.members.iter().collect();
    members.sort_by_key(|(id, member)| (member.instance_id.is_none(), member.instance_id.clone(), *id));
    let mut assigned = BTreeMap::new();
    for (id, member) in members {
        let mut mine = Partitions::new();
        for topic_id in &member.topics {
            let Some(topic) = topics.get_mut(topic_id) else { continue };
            let size = topic.quota + i32::from(topic.extra > 0);
            topic.extra -= i32::from(topic.extra > 0);
            let end = topic.partitions.min(topic.next + size);
            if topic.next < end {
                mine.insert(*topic_id, (topic.next..end).collect());
            }
            topic.next = end;
        }
        assigned.insert(id.clone(), mine);
    }
    assigned
}
