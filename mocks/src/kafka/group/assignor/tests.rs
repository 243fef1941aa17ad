//! What every assignor promises, for any group.

use proptest::prelude::*;

use super::*;

fn topic(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

/// A group of up to seven members over up to four topics, some static, with what an assignor gave before.
fn specs() -> impl Strategy<Value = (Spec, Assignor)> {
    let counts = proptest::collection::vec(0_i32..9, 1..5);
    let members =
        proptest::collection::vec((proptest::collection::btree_set(0_u8..4, 0..4), any::<bool>()), 1..8);
    let assignor = prop_oneof![Just(Assignor::Uniform), Just(Assignor::Range)];
    (counts, members, assignor, any::<bool>()).prop_map(|(counts, members, assignor, alike)| {
        let partitions: BTreeMap<Uuid, i32> =
            (0..).zip(counts).map(|(number, count)| (topic(number), count)).collect();
        let first = members[0].0.clone();
        let member = |(index, (topics, is_static)): (usize, (BTreeSet<u8>, bool))| {
            let topics = if alike { first.clone() } else { topics };
            let topics = topics.into_iter().map(topic).filter(|id| partitions.contains_key(id)).collect();
            let instance_id = is_static.then(|| format!("i{}", 9 - index));
            (format!("m{index}"), Subscriber { instance_id, topics, assigned: Partitions::new() })
        };
        let members: BTreeMap<String, Subscriber> = members.into_iter().enumerate().map(member).collect();
        let homogeneous = alike;
        (Spec { members, homogeneous, partitions }, assignor)
    })
}

/// Owners of each partition.
fn owners(target: &BTreeMap<String, Partitions>) -> BTreeMap<(Uuid, i32), Vec<String>> {
    let mut owners: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (id, partitions) in target {
        for (topic, numbers) in partitions {
            numbers.iter().for_each(|number| owners.entry((*topic, *number)).or_default().push(id.clone()));
        }
    }
    owners
}

fn check(spec: &Spec, target: &BTreeMap<String, Partitions>) -> Result<(), TestCaseError> {
    let owners = owners(target);
    for ((topic, _), of) in &owners {
        prop_assert_eq!(of.len(), 1, "one owner each");
        prop_assert!(spec.members[&of[0]].topics.contains(topic), "who subscribed to it");
    }
    let wanted: BTreeSet<Uuid> = spec.members.values().flat_map(|member| member.topics.clone()).collect();
    let all: i32 = wanted.iter().map(|topic| spec.count(*topic)).sum();
    prop_assert_eq!(i32::try_from(owners.len()).expect("few"), all, "no partition is left out");
    Ok(())
}

fn with_target(mut spec: Spec, target: &BTreeMap<String, Partitions>) -> Spec {
    for (id, member) in &mut spec.members {
        member.assigned = target.get(id).cloned().unwrap_or_default();
    }
    spec
}

fn sizes(target: &BTreeMap<String, Partitions>) -> Vec<usize> {
    target.values().map(|partitions| partitions.values().map(BTreeSet::len).sum()).collect()
}

proptest! {
    #[test]
    fn every_subscribed_partition_has_one_owner_who_subscribed((spec, assignor) in specs()) {
        check(&spec, &assignor.assign(spec.clone()))?;
    }

    #[test]
    fn a_second_run_moves_nothing((spec, assignor) in specs()) {
        let target = assignor.assign(spec.clone());
        prop_assert_eq!(&assignor.assign(with_target(spec, &target)), &target);
    }

    #[test]
    fn after_a_member_left_and_a_topic_grew_everything_is_assigned((spec, assignor) in specs()) {
        let mut next = with_target(spec.clone(), &assignor.assign(spec));
        if next.members.len() > 1 {
            next.members.pop_first();
        }
        next.partitions.values_mut().for_each(|count| *count += 2);
        check(&next, &assignor.assign(next.clone()))?;
    }

    #[test]
    fn uniform_gives_members_of_one_subscription_the_same_number_but_for_one((spec, _) in specs()) {
        let spec = Spec { members: alike(spec.members), homogeneous: true, ..spec };
        let sizes = sizes(&Assignor::Uniform.assign(spec));
        let (least, most) = (sizes.iter().min(), sizes.iter().max());
        prop_assert!(sizes.is_empty() || most.unwrap() - least.unwrap() <= 1, "{sizes:?}");
    }

    #[test]
    fn uniform_keeps_what_members_have_up_to_their_share((spec, _) in specs()) {
        let before = Spec { members: alike(spec.members), homogeneous: true, ..spec };
        let old = Assignor::Uniform.assign(before.clone());
        let mut next = with_target(before, &old);
        let topics = next.members.values().next().expect("a member").topics.clone();
        next.members.insert("new".to_owned(), Subscriber { topics, ..Subscriber::default() });
        let new = Assignor::Uniform.assign(next);
        for (id, partitions) in new.iter().filter(|(id, _)| *id != "new") {
            for (topic, numbers) in partitions {
                prop_assert!(numbers.is_subset(&old[id][topic]), "a member that stays gets nothing new");
            }
        }
    }
}

fn alike(members: BTreeMap<String, Subscriber>) -> BTreeMap<String, Subscriber> {
    let topics = members.values().next().expect("a member").topics.clone();
    members.into_iter().map(|(id, member)| (id, Subscriber { topics: topics.clone(), ..member })).collect()
}

#[test]
fn range_cuts_each_topic_in_the_order_of_instances_and_then_of_members() {
    let partitions = BTreeMap::from([(topic(0), 5), (topic(1), 3)]);
    let member = |instance: Option<&str>| Subscriber {
        instance_id: instance.map(str::to_owned),
        topics: partitions.keys().copied().collect(),
        assigned: Partitions::new(),
    };
    let members = BTreeMap::from([
        ("a".to_owned(), member(None)),
        ("b".to_owned(), member(Some("two"))),
        ("c".to_owned(), member(Some("one"))),
    ]);
    let target = Assignor::Range.assign(Spec { members, homogeneous: true, partitions: partitions.clone() });
    let share = |first: &[i32], second: &[i32]| {
        Partitions::from([
            (topic(0), first.iter().copied().collect()),
            (topic(1), second.iter().copied().collect()),
        ])
    };
    assert_eq!(target["c"], share(&[0, 1], &[0]));
    assert_eq!(target["b"], share(&[2, 3], &[1]));
    assert_eq!(target["a"], share(&[4], &[2]));
}

#[test]
fn uniform_evens_out_members_whose_subscriptions_overlap() {
    let partitions = BTreeMap::from([(topic(0), 6), (topic(1), 2)]);
    let member = |topics: &[u8]| Subscriber {
        topics: topics.iter().map(|number| topic(*number)).collect(),
        ..Subscriber::default()
    };
    let members = BTreeMap::from([("a".to_owned(), member(&[0])), ("b".to_owned(), member(&[0, 1]))]);
    let target = Assignor::Uniform.assign(Spec { members, homogeneous: false, partitions });
    assert_eq!(sizes(&target), [4, 4]);
}
