//! Classic groups: joining, syncing, heartbeats and leaving, in every version and in every wrong way.

use kafka_protocol::messages::*;

use crate::build::{commit, committed, describe_groups, heartbeat, join, leave, leave_all, sync, text};
use crate::pair::{Both, Pair};

/// Groups and members have no order; members are told apart by what they have.
fn sorted(answer: &mut DescribeGroupsResponse) {
    answer.groups.sort_by(|left, right| left.group_id.cmp(&right.group_id));
    for group in &mut answer.groups {
        let key = |member: &describe_groups_response::DescribedGroupMember| {
            (member.member_metadata.clone(), member.member_assignment.clone())
        };
        group.members.sort_by_key(key);
    }
}

pub fn lone_member(pair: &mut Pair) -> Result<(), String> {
    for version in 0..=9 {
        let group = pair.name(&format!("group{version}"));
        let first = pair.ask(version, join(&group, "", &["range", "roundrobin"]))?;
        let member = first.map(|answer| answer.member_id.to_string());
        if version >= 4 {
            // It was only given an id to join with, and the group is there soon.
            settled(pair, &group, "Empty", 0)?;
            pair.ask(4, member.map(|member| heartbeat(&group, member, 0)))?;
            pair.ask(version, member.map(|member| join(&group, member, &["range", "roundrobin"])))?;
        }
        round(pair, &group, &member, 1)?;
        // Nothing changed: the generation stays, for one who is not the leader; the leader rebalances.
        pair.ask(version, member.map(|member| join(&group, member, &["range", "roundrobin"])))?;
        round(pair, &group, &member, 2)?;
        pair.ask(version, member.map(|member| join(&group, member, &["roundrobin"])))?;
        pair.ask(1, member.map(|member| leave(&group, member)))?;
        pair.ask(1, member.map(|member| leave(&group, member)))?;
        pair.ask(5, describe_groups(&[&group]))?;
        pair.ask(version, member.map(|member| join(&group, member, &["range"])))?;
    }
    Ok(())
}

/// Everything a member of one can do in a generation.
fn round(pair: &mut Pair, group: &str, member: &Both<String>, generation: i32) -> Result<(), String> {
    let states = |pair: &mut Pair| -> Result<(), String> {
        for version in 0..=6 {
            pair.ask_but(version, describe_groups(&[group, group]), sorted)?;
        }
        Ok(())
    };
    let beats = |pair: &mut Pair| -> Result<(), String> {
        for version in 0..=4 {
            pair.ask(version, member.map(|member| heartbeat(group, member, generation)))?;
            pair.ask(version, member.map(|member| heartbeat(group, member, generation + 1)))?;
            pair.ask(version, heartbeat(group, "ghost", generation))?;
            pair.ask(version, heartbeat(group, "", generation))?;
        }
        Ok(())
    };
    states(pair)?;
    beats(pair)?;
    for version in 0..=5 {
        // What is not told in a version cannot be wrong there.
        let of = |request: SyncGroupRequest| match version {
            ..5 => request.with_protocol_type(None).with_protocol_name(None),
            _ => request,
        };
        pair.ask(version, member.map(|member| of(sync(group, member, generation + 1, &[]))))?;
        pair.ask(version, of(sync(group, "ghost", generation, &[])))?;
        if version == 5 {
            let wrong = |member: &String| sync(group, member, generation, &[]);
            pair.ask(5, member.map(|member| wrong(member).with_protocol_type(Some(text("connect")))))?;
            pair.ask(5, member.map(|member| wrong(member).with_protocol_name(Some(text("sticky")))))?;
        }
        pair.ask(
            version,
            member.map(|member| of(sync(group, member, generation, &[(member, "all"), ("ghost", "x")]))),
        )?;
    }
    states(pair)?;
    beats(pair)
}

pub fn refused(pair: &mut Pair) -> Result<(), String> {
    let group = pair.name("group");
    for version in [0, 1, 3, 4, 5, 8, 9] {
        for (least, most) in [(5999, 60_000), (0, 1), (-1, 1), (1_800_001, 60_000)] {
            let request = join(&group, "", &["range"]).with_session_timeout_ms(least);
            let request = if version > 0 { request.with_rebalance_timeout_ms(most) } else { request };
            pair.ask(version, request)?;
        }
        pair.ask(version, join("", "", &["range"]))?;
        pair.ask(version, join(&group, "ghost", &["range"]))?;
        pair.ask(version, join(&group, "", &[]))?;
        pair.ask(version, join(&group, "", &["range"]).with_protocol_type(text("")))?;
        pair.ask(version, join(&group, "ghost", &[]))?;
        if version >= 5 {
            let instance = join(&group, "ghost", &["range"]).with_group_instance_id(Some(text("i")));
            pair.ask(version, instance)?;
            for id in ["", "a b", "."] {
                // Another group for each, or the second would wait for the first.
                let group = pair.name(&format!("instance{version}{}", id.len()));
                let request = join(&group, "", &["range"]).with_group_instance_id(Some(text(id)));
                let answered = pair.fetch(version, request);
                let code = answered.map(|both| both.map(|answer| answer.error_code))?;
                pair.compare(&format!("JoinGroup v{version} of instance {id:?}"), &code);
            }
        }
    }
    for version in 0..=4 {
        for name in [&group[..], ""] {
            pair.ask(version, heartbeat(name, "ghost", 1))?;
        }
    }
    for version in 0..=2 {
        pair.ask(version, leave(&group, "ghost"))?;
        pair.ask(version, leave("", "ghost"))?;
        pair.ask(version, leave(&group, ""))?;
    }
    for version in 3..=5 {
        pair.ask(version, leave_all(&group, &[("ghost", None), ("", Some("i")), ("ghost", Some("i"))]))?;
        pair.ask(version, leave_all(&group, &[]))?;
        pair.ask(version, leave_all("", &[("ghost", None)]))?;
    }
    for version in 0..=4 {
        let request =
            |name: &str| sync(name, "ghost", 1, &[]).with_protocol_type(None).with_protocol_name(None);
        pair.ask(version, request(&group))?;
        pair.ask(version, request(""))?;
    }
    pair.ask(5, sync(&group, "ghost", 1, &[]))?;
    pair.ask(5, sync(&group, "ghost", 1, &[]).with_protocol_type(None).with_protocol_name(None))?;
    for version in 0..=6 {
        pair.ask_but(version, describe_groups(&[&group, "", &pair.name("none")]), sorted)?;
        pair.ask(version, describe_groups(&[]))?;
        if version >= 3 {
            pair.ask(version, describe_groups(&[&group]).with_include_authorized_operations(true))?;
        }
    }
    Ok(())
}

/// Waits until a group has this state and so many members.
fn settled(pair: &mut Pair, group: &str, state: &str, members: usize) -> Result<(), String> {
    pair.until(0, &describe_groups(&[group]), |answer| {
        answer.groups.iter().all(|group| group.group_state == *state && group.members.len() == members)
    })?;
    pair.ask_but(5, describe_groups(&[group]), sorted).map(|_| ())
}

pub fn two_members(pair: &mut Pair) -> Result<(), String> {
    let group = pair.name("group");
    let v = 3;
    let first = pair.ask(v, join(&group, "", &["range", "roundrobin"]))?;
    let one = first.map(|answer| answer.member_id.to_string());
    pair.ask(2, one.map(|id| sync(&group, id, 1, &[(id, "everything")])))?;
    settled(pair, &group, "Stable", 1)?;
    // The second waits for the first, which learns of it by its heartbeat.
    pair.on("two");
    let joins = pair.send(v, join(&group, "", &["roundrobin", "sticky"]))?;
    pair.on("");
    settled(pair, &group, "PreparingRebalance", 2)?;
    pair.ask(2, one.map(|id| heartbeat(&group, id, 1)))?;
    pair.ask(2, one.map(|id| heartbeat(&group, id, 2)))?;
    pair.ask(2, one.map(|id| sync(&group, id, 1, &[])))?;
    pair.ask(
        2,
        one.map(|id| {
            commit(&group, "any", &[]).with_member_id(text(id)).with_generation_id_or_member_epoch(1)
        }),
    )?;
    pair.ask(v, join(&group, "", &["range"]))?;
    pair.ask(v, join(&group, "", &["roundrobin"]).with_protocol_type(text("connect")))?;
    let again = |answer: &mut JoinGroupResponse| {
        answer.members.iter_mut().for_each(|member| member.member_id = text("one of them"));
    };
    pair.ask_but(v, one.map(|id| join(&group, id, &["range", "roundrobin"])), again)?;
    pair.on("two");
    let joined = pair.receive::<JoinGroupRequest>(v, &joins)?;
    let two = joined.map(|answer| answer.member_id.to_string());
    pair.on("");
    settled(pair, &group, "CompletingRebalance", 2)?;
    pair.ask(2, one.map(|id| heartbeat(&group, id, 2)))?;
    pair.ask(2, two.map(|id| heartbeat(&group, id, 2)))?;
    // The follower waits for what the leader brings.
    pair.on("two");
    let syncs = pair.send(2, two.map(|id| sync(&group, id, 2, &[])))?;
    pair.on("");
    let shares = Both { real: (&one.real, &two.real), mock: (&one.mock, &two.mock) };
    pair.ask(2, shares.map(|(one, two)| sync(&group, one, 2, &[(one, "left"), (two, "right")])))?;
    pair.on("two");
    pair.receive::<SyncGroupRequest>(2, &syncs)?;
    pair.on("");
    settled(pair, &group, "Stable", 2)?;
    // A follower that joins again as it is gets what it has; a changed one rebalances.
    pair.ask(v, two.map(|id| join(&group, id, &["roundrobin", "sticky"])))?;
    settled(pair, &group, "Stable", 2)?;
    // The leader leaves: the other is asked to join.
    pair.ask(2, one.map(|id| leave(&group, id)))?;
    settled(pair, &group, "PreparingRebalance", 1)?;
    pair.ask(2, two.map(|id| heartbeat(&group, id, 2)))?;
    pair.ask(v, two.map(|id| join(&group, id, &["sticky"])))?;
    pair.ask(2, two.map(|id| sync(&group, id, 3, &[])))?;
    settled(pair, &group, "Stable", 1)?;
    pair.ask(2, two.map(|id| leave(&group, id)))?;
    settled(pair, &group, "Empty", 0)
}

pub fn static_members(pair: &mut Pair) -> Result<(), String> {
    let topic = pair.topic("a", 1)?;
    let group = pair.name("group");
    let named = |member: &str, instance: &str| {
        join(&group, member, &["range"]).with_group_instance_id(Some(text(instance)))
    };
    for version in [5, 6, 7, 9] {
        // A static member needs no second try.
        let first = pair.ask(version, named("", "i"))?;
        let one = first.map(|answer| answer.member_id.to_string());
        let generation = first.real.generation_id;
        let beat = |id: &str, instance: Option<&str>| {
            heartbeat(&group, id, generation).with_group_instance_id(instance.map(text))
        };
        let put = |id: &str, instance: Option<&str>| {
            let request =
                sync(&group, id, generation, &[(id, "all")]).with_group_instance_id(instance.map(text));
            request.with_protocol_type(None).with_protocol_name(None)
        };
        for instance in [None, Some("i"), Some("other")] {
            pair.ask(3, one.map(|id| beat(id, instance)))?;
            pair.ask(3, beat("ghost", instance))?;
            pair.ask(3, put("ghost", instance))?;
        }
        pair.ask(3, one.map(|id| put(id, Some("i"))))?;
        pair.ask(5, describe_groups(&[&group]))?;
        // It comes back without its id, and the old id is fenced.
        let again = pair.ask(version, named("", "i"))?;
        let two = again.map(|answer| answer.member_id.to_string());
        pair.ask(5, describe_groups(&[&group]))?;
        pair.ask(3, one.map(|id| beat(id, Some("i"))))?;
        pair.ask(3, one.map(|id| beat(id, None)))?;
        pair.ask(3, two.map(|id| beat(id, Some("i"))))?;
        pair.ask(version, one.map(|id| named(id, "i")))?;
        pair.ask(version, one.map(|id| named(id, "other")))?;
        let by = |id: &String| {
            let request = commit(&group, &topic, &[(0, 1)]).with_member_id(text(id));
            request.with_generation_id_or_member_epoch(generation).with_group_instance_id(Some(text("i")))
        };
        pair.ask(7, one.map(by))?;
        pair.ask(7, two.map(by))?;
        pair.ask(3, one.map(|id| leave_all(&group, &[(id, Some("i")), ("", Some("other")), ("", None)])))?;
        pair.ask(3, leave_all(&group, &[("", Some("i"))]))?;
        pair.ask(5, describe_groups(&[&group]))?;
    }
    Ok(())
}

pub fn listed(pair: &mut Pair) -> Result<(), String> {
    let (topic, prefix) = (pair.topic("a", 1)?, pair.name(""));
    let (live, offsets, empty) = (pair.name("live"), pair.name("offsets"), pair.name("empty"));
    pair.ask(3, join(&live, "", &["range"]))?;
    pair.ask(9, commit(&offsets, &topic, &[(0, 1)]))?;
    let left = pair.ask(3, join(&empty, "", &["range"]))?.map(|answer| answer.member_id.to_string());
    pair.ask(1, left.map(|id| leave(&empty, id)))?;
    let mine = |answer: &mut ListGroupsResponse| {
        answer.groups.retain(|group| group.group_id.starts_with(&prefix));
        answer.groups.sort_by(|left, right| left.group_id.cmp(&right.group_id));
    };
    for version in 0..=5 {
        pair.ask_but(version, ListGroupsRequest::default(), mine)?;
        for states in
            [&["Empty"][..], &["empty"], &["Stable", "CompletingRebalance"], &["nosuch"], &["Dead"], &[""]]
        {
            if version >= 4 {
                let states = states.iter().map(|state| text(state)).collect();
                pair.ask_but(version, ListGroupsRequest::default().with_states_filter(states), mine)?;
            }
        }
        for types in [&["classic"][..], &["Classic"], &["consumer"], &["nosuch"], &["consumer", "classic"]] {
            if version >= 5 {
                let types = types.iter().map(|name| text(name)).collect();
                pair.ask_but(version, ListGroupsRequest::default().with_types_filter(types), mine)?;
            }
        }
    }
    Ok(())
}

/// Every request of a group to a broker that does not coordinate it.
pub fn wrong_coordinator(pair: &mut Pair) -> Result<(), String> {
    let (topic, group) = (pair.topic("a", 1)?, pair.name("group"));
    let right = pair.coordinator(&group)?;
    pair.go(right.map(|node| node % 3 + 1));
    for version in 0..=9 {
        pair.ask(version, join(&group, "", &["range"]))?;
    }
    for version in 0..=4 {
        pair.ask(version, heartbeat(&group, "ghost", 1))?;
    }
    for version in 0..=6 {
        pair.ask(version, describe_groups(&[&group]))?;
    }
    for version in 0..=2 {
        pair.ask(version, leave(&group, "ghost"))?;
    }
    for version in 3..=5 {
        pair.ask(version, leave_all(&group, &[("ghost", None)]))?;
    }
    pair.ask(5, sync(&group, "ghost", 1, &[]))?;
    for version in 2..=9 {
        pair.ask(version, commit(&group, &topic, &[(0, 1)]))?;
    }
    for version in 1..=7 {
        let wanted: &[(&str, &[i32])] = &[("any", &[0])];
        pair.ask(version, committed(&group, Some(wanted)))?;
    }
    Ok(())
}
