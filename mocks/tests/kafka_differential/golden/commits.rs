//! Committed offsets: kept and told in every version, and who may commit.

use kafka_protocol::messages::*;

use crate::build::{commit, committed, committed_of, describe_groups, join, leave, sync, text};
use crate::pair::{Both, Pair};

/// Topics have no order.
fn sorted(answer: &mut OffsetFetchResponse) {
    answer.topics.sort_by(|left, right| left.name.cmp(&right.name));
    for topic in &mut answer.topics {
        topic.partitions.sort_by_key(|partition| partition.partition_index);
    }
    for group in &mut answer.groups {
        group.topics.sort_by(|left, right| left.name.cmp(&right.name));
        for topic in &mut group.topics {
            topic.partitions.sort_by_key(|partition| partition.partition_index);
        }
    }
}

pub fn without_members(pair: &mut Pair) -> Result<(), String> {
    let (a, b, group, none) =
        (pair.topic("a", 2)?, pair.topic("b", 1)?, pair.name("group"), pair.name("none"));
    for version in 2..=9 {
        pair.ask(version, commit(&group, &a, &[(0, 10 * i64::from(version)), (1, 0)]))?;
        pair.ask(version, commit(&group, &a, &[(0, 5), (7, 1), (-1, 1)]))?;
        pair.ask(version, commit(&group, &pair.name("unknown"), &[(0, 5)]))?;
        pair.ask(version, commit(&group, &b, &[(0, -1)]))?;
        pair.ask(version, commit(&group, &b, &[(0, -7)]))?;
        pair.ask(version, commit("", &b, &[(0, 7)]))?;
        pair.ask(version, commit(&group, &b, &[]))?;
        pair.ask(version, commit(&group, &b, &[(0, 1)]).with_topics(Vec::new()))?;
        pair.ask(version, commit(&group, &b, &[(0, 1)]).with_member_id(text("ghost")))?;
        pair.ask(version, commit(&group, &b, &[(0, 1)]).with_generation_id_or_member_epoch(1))?;
        let ghost = commit(&group, &b, &[(0, 1)]).with_generation_id_or_member_epoch(1);
        pair.ask(version, ghost.with_member_id(text("ghost")))?;
        pair.ask(version, commit(&none, &b, &[(0, 1)]).with_generation_id_or_member_epoch(3))?;
        if version >= 7 {
            pair.ask(version, commit(&group, &b, &[(0, 1)]).with_group_instance_id(Some(text("i"))))?;
        }
        let mut long = commit(&group, &b, &[(0, 1)]);
        long.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(4097)));
        pair.ask(version, long)?;
        let mut null = commit(&group, &b, &[(0, 2)]);
        null.topics[0].partitions[0].committed_metadata = None;
        null.topics[0].partitions[0].committed_leader_epoch = if version >= 6 { 3 } else { -1 };
        pair.ask(version, null)?;
        for version in 1..=7 {
            let wanted: &[(&str, &[i32])] = &[(&a, &[0, 1, 7]), (&b, &[0]), ("unknown", &[0])];
            pair.ask_but(version, committed(&group, Some(wanted)), sorted)?;
            pair.ask_but(version, committed(&group, Some(&[])), sorted)?;
            pair.ask_but(version, committed(&none, Some(wanted)), sorted)?;
            pair.ask_but(version, committed("", Some(wanted)), sorted)?;
            if version >= 2 {
                pair.ask_but(version, committed(&group, None), sorted)?;
                pair.ask_but(version, committed(&none, None), sorted)?;
            }
            if version >= 7 {
                pair.ask_but(version, committed(&group, None).with_require_stable(true), sorted)?;
            }
        }
        for version in 8..=9 {
            let wanted: &[(&str, &[i32])] = &[(&a, &[0, 1, 7]), (&b, &[0]), ("unknown", &[0])];
            let groups = committed_of(&[(&group, Some(wanted)), (&none, None), (&group, None), ("", None)]);
            pair.ask_but(version, groups, sorted)?;
            pair.ask_but(version, committed_of(&[]), sorted)?;
            if version >= 9 {
                let mut request = committed_of(&[(&group, None)]);
                request.groups[0].member_id = Some(text("ghost"));
                pair.ask_but(version, request.clone(), sorted)?;
                request.groups[0].member_epoch = 3;
                pair.ask_but(version, request, sorted)?;
            }
        }
    }
    // A group that only has offsets.
    for version in 0..=6 {
        pair.ask(version, describe_groups(&[&group]))?;
    }
    Ok(())
}

pub fn of_members(pair: &mut Pair) -> Result<(), String> {
    let (topic, group) = (pair.topic("a", 1)?, pair.name("group"));
    let joined = pair.ask(3, join(&group, "", &["range"]))?;
    let member = joined.map(|answer| answer.member_id.to_string());
    let by = |member: &str, generation: i32| {
        let request = commit(&group, &topic, &[(0, 3)]).with_generation_id_or_member_epoch(generation);
        request.with_member_id(text(member))
    };
    let round = |pair: &mut Pair| -> Result<(), String> {
        for version in [2, 7, 9] {
            for generation in [1, 0, 2, -1] {
                pair.ask(version, member.map(|member| by(member, generation)))?;
                pair.ask(version, by("ghost", generation))?;
                pair.ask(version, by("", generation))?;
            }
        }
        Ok(())
    };
    // The leader has not assigned yet.
    round(pair)?;
    pair.ask(2, member.map(|member| sync(&group, member, 1, &[(member, "all")])))?;
    round(pair)?;
    let wanted: &[(&str, &[i32])] = &[(&topic, &[0])];
    pair.ask(5, committed(&group, Some(wanted)))?;
    pair.ask(1, member.map(|member| leave(&group, member)))?;
    round(pair)?;
    pair.ask(5, committed(&group, Some(wanted)))?;
    let names = Both::same(vec![group.clone()]);
    pair.ask(5, names.map(|names| describe_groups(&[&names[0]])))?;
    Ok(())
}
