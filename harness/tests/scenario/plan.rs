//! Plans: drawn the same way each time, each draw independent of the others, and kept in files.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use squall::fault::{Fault, Hosts, KafkaFault, NetFault, World};
use squall::plan::{Emission, Origin, Outcome, Plan, PlannedFault, Spoil, Trigger};
use squall::scenario::Case;
use squall::scenario::schema::{ChaosEntry, Field, Keys};
use squall::seed::Seed;

use crate::support::{VALID, load};

/// The valid scenario's case of three workers, with room for all of its chaos.
fn case() -> Case {
    static CASE: LazyLock<Case> = LazyLock::new(|| {
        let text = VALID.replace("max-concurrent = 2", "max-concurrent = 64");
        load(&text).unwrap_or_else(|diagnostics| panic!("{diagnostics}")).cases.remove(1)
    });
    CASE.clone()
}

fn by_name(faults: &[PlannedFault]) -> BTreeMap<&str, &PlannedFault> {
    faults.iter().map(|fault| (fault.name.as_str(), fault)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_seed_draws_the_same_plan(seed: u64) {
        let case = case();
        prop_assert_eq!(Plan::draw(&case, Seed(seed)), Plan::draw(&case, Seed(seed)));
    }

    #[test]
    fn a_plan_survives_a_round_trip_through_its_file(seed: u64, failed: bool) {
        let mut plan = Plan::draw(&case(), Seed(seed));
        if failed {
            plan.mutant = Some("dedup-by-offset".to_owned());
            plan.outcome = Some(Outcome {
                verdict: "failed".to_owned(),
                checker: Some("idempotent".to_owned()),
                at: Some(Duration::from_millis(seed % 60_000)),
                trace: "c0ffee".to_owned(),
            });
        }
        let text = plan.to_toml();
        let read = Plan::parse("x.plan.toml", &text).map_err(|found| TestCaseError::fail(found.to_string()))?;
        prop_assert_eq!(read, plan);
    }

    #[test]
    fn removing_a_fault_changes_no_other_draw(seed: u64, explicit in 0..5usize, random in 0..2usize) {
        let full = case();
        let before = Plan::draw(&full, Seed(seed));
        let mut less = full.clone();
        less.scenario.faults.remove(explicit);
        less.scenario.chaos.as_mut().expect("chaos").any.remove(random);
        let after = Plan::draw(&less, Seed(seed));
        let known = by_name(&before.faults);
        for fault in &after.faults {
            prop_assert_eq!(Some(&fault), known.get(fault.name.as_str()));
        }
        let kind = full.scenario.chaos.as_ref().and_then(|chaos| chaos.any[random].fault()).map(|fault| fault.kind());
        let stayed = |fault: &&PlannedFault| fault.origin == Origin::Chaos && Some(fault.fault.kind()) != kind;
        prop_assert_eq!(
            before.faults.iter().filter(stayed).count(),
            after.faults.iter().filter(|fault| fault.origin == Origin::Chaos).count()
        );
        let events = |plan: &Plan| plan.emissions(&plan.workloads[0]).take(50).collect::<Vec<_>>();
        prop_assert_eq!(events(&before), events(&after));
    }

    #[test]
    fn chaos_keeps_its_bounds(seed: u64, most in 1..4u32) {
        let mut case = case();
        let chaos = case.scenario.chaos.as_mut().expect("chaos");
        chaos.max_concurrent = most;
        let anywhere = || Hosts::new(["*"]);
        let reset = NetFault::Reset { link: [anywhere(), anywhere()] };
        chaos.any.push(ChaosEntry { weight: 1, net: Some(reset), ..ChaosEntry::default() });
        chaos.any.iter_mut().for_each(|entry| entry.gap.mean = Duration::from_secs(2));
        let plan = Plan::draw(&case, Seed(seed));
        let hosts: Vec<&str> = plan.hosts().map(|(host, _)| host).collect();
        let chaos: Vec<&PlannedFault> = plan.faults.iter().filter(|fault| fault.origin == Origin::Chaos).collect();
        let span = |fault: &PlannedFault| match fault.trigger {
            Trigger::At(at) => (at, at + fault.lasts.unwrap_or(Duration::from_millis(1))),
            Trigger::Point(_) => panic!("chaos happens at times"),
        };
        for fault in &chaos {
            let (start, end) = span(fault);
            prop_assert!(start < plan.duration);
            prop_assert!(fault.lasts.is_none() || end <= plan.duration);
            let active = chaos.iter().filter(|other| span(other).0 <= start && start < span(other).1).count();
            prop_assert!(active <= most as usize, "{} at once", active);
            for (_, named) in fault.fault.clone().hosts_mut() {
                prop_assert!(!named.names().is_empty());
                prop_assert!(named.names().iter().all(|name| hosts.contains(&name.as_str())));
            }
            if let [(_, left), (_, right)] = fault.fault.clone().hosts_mut().as_slice() {
                prop_assert!(!left.names().iter().any(|name| right.contains(name)), "a link needs two ends");
            }
        }
    }

    #[test]
    fn mutilated_plans_are_refused_and_never_panic(
        cut in 0..6000usize,
        length in 0..40usize,
        junk in "[ -~\n]{0,12}",
    ) {
        let mut text: Vec<char> = Plan::draw(&case(), Seed(7)).to_toml().chars().collect();
        let cut = cut.min(text.len());
        let end = (cut + length).min(text.len());
        text.splice(cut..end, junk.chars());
        let text: String = text.into_iter().collect();
        match Plan::parse("x.plan.toml", &text) {
            Ok(plan) => prop_assert!(plan.emissions(&plan.workloads[0]).take(3).count() <= 3),
            Err(diagnostics) => prop_assert!(!diagnostics.render(true).is_empty()),
        }
    }
}

#[test]
fn a_swarm_enables_different_subsets() {
    let case = case();
    let mut subsets: Vec<Vec<&str>> = (0..40)
        .map(|seed| {
            let plan = Plan::draw(&case, Seed(seed));
            let chaos = plan.faults.iter().filter(|fault| fault.origin == Origin::Chaos);
            let mut kinds: Vec<&str> = chaos.map(|fault| fault.fault.kind()).collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds
        })
        .collect();
    subsets.sort();
    subsets.dedup();
    assert_eq!(subsets.len(), 4, "none, either, both: {subsets:?}");
}

#[test]
fn weight_decides_who_gets_the_last_place() {
    let mut case = case();
    let chaos = case.scenario.chaos.as_mut().expect("chaos");
    (chaos.swarm, chaos.max_concurrent) = (false, 1);
    let mut heavy = chaos.any[0].clone();
    heavy.gap.mean = Duration::from_secs(1);
    let light = ChaosEntry { name: Some("light".to_owned()), weight: 1, ..heavy.clone() };
    chaos.any = vec![light, ChaosEntry { name: Some("heavy".to_owned()), weight: 50, ..heavy }];
    let plans = (0..20).map(|seed| Plan::draw(&case, Seed(seed)));
    let names: Vec<String> = plans.flat_map(|plan| plan.faults).map(|fault| fault.name).collect();
    let count = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count();
    let (light, heavy) = (count("chaos.light."), count("chaos.heavy."));
    assert!(light > 0 && heavy > 2 * light, "light {light}, heavy {heavy}");
}

#[test]
fn patterns_become_hosts_and_a_rule_gets_its_faults_name() {
    let plan = Plan::draw(&case(), Seed(1));
    let hosts: Vec<&str> = plan.hosts().map(|(host, _)| host).collect();
    assert_eq!(hosts, ["kafka-1", "kafka-2", "kafka-3", "redis", "worker-1", "worker-2", "worker-3"]);
    let Trigger::Point(point) = &plan.faults[0].trigger else { panic!("a point") };
    assert_eq!(point.host.as_ref().map(|hosts| hosts.names().len()), Some(3));
    let Fault::Kafka(KafkaFault::Rule(rule)) = &plan.faults[3].fault else { panic!("a rule") };
    assert_eq!(rule.name.as_ref(), Some(&plan.faults[3].name));
    let unsupported: Vec<&str> = plan.unsupported(World::Local).map(|fault| fault.name.as_str()).collect();
    assert_eq!(unsupported, ["crash-in-the-gap"], "only the simulation sees points");
}

#[test]
fn events_are_due_at_the_rate_under_few_keys_and_spoiled_in_their_shares() {
    let plan = Plan::draw(&case(), Seed(1));
    let events: Vec<Emission> = plan.emissions(&plan.workloads[0]).collect();
    assert_eq!(events.len(), 2000);
    assert_eq!(events[200].at, Duration::from_secs(1));
    let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
    events.iter().for_each(|event| *keys.entry(&event.key).or_default() += 1);
    assert!(keys.len() < 500 && keys["key-0"] > 200, "Zipf prefers the first: {}", keys["key-0"]);
    let spoiled =
        |test: fn(&Spoil) -> bool| events.iter().filter(|event| event.spoil.iter().any(test)).count();
    let duplicates = spoiled(|spoil| matches!(spoil, Spoil::Duplicate { .. }));
    assert!((20..=60).contains(&duplicates), "2 % of 2000: {duplicates}");
    assert!(spoiled(|spoil| matches!(spoil, Spoil::Poison)) >= 1);
    for event in &events {
        for spoil in &event.spoil {
            if let Spoil::Late { by: delay } | Spoil::Duplicate { after: delay } = spoil {
                assert!(event.at + *delay <= plan.duration, "{event:?}");
            }
        }
        let amount = event.data["amount"].as_i64().expect("a number");
        assert!((1..=100_000).contains(&amount));
        assert!(event.data["email"].as_str().is_some_and(|email| email.ends_with("@example.com")));
        assert!(event.data["currency"] == "EUR" || event.data["currency"] == "USD");
        assert_eq!(event.data["test"], true);
    }
}

#[test]
fn earlier_events_and_other_fields_stay_when_a_workload_grows() {
    let plan = Plan::draw(&case(), Seed(3));
    let small = &plan.workloads[0];
    let mut large = small.clone();
    large.count = 3000;
    large.data.insert("aaa".to_owned(), Field::Range([0, 9]));
    let pairs = plan.emissions(small).zip(plan.emissions(&large));
    for (before, mut after) in pairs {
        after.data.remove("aaa");
        assert_eq!(before, after);
    }
}

#[test]
fn unique_keys_are_unique_and_uniform_ones_even() {
    let plan = Plan::draw(&case(), Seed(3));
    let mut workload = plan.workloads[0].clone();
    let count = |workload: &_| {
        let mut keys: BTreeMap<String, usize> = BTreeMap::new();
        plan.emissions(workload).for_each(|event| *keys.entry(event.key).or_default() += 1);
        keys
    };
    workload.keys = Keys::Unique;
    assert_eq!(count(&workload).len(), 2000);
    workload.keys = Keys::Uniform { n: 4 };
    assert!(count(&workload).values().all(|n| (400..600).contains(n)));
}

#[test]
fn a_plan_may_be_shortened_by_hand() {
    let mut plan = Plan::draw(&case(), Seed(7));
    plan.duration = Duration::from_secs(5);
    let read = Plan::parse("x.plan.toml", &plan.to_toml()).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(read, plan);
}

#[test]
fn a_mistake_in_a_plan_is_shown_where_it_is() {
    let text = Plan::draw(&case(), Seed(7)).to_toml();
    let change = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in:\n{text}");
        let wrong = text.replacen(from, to, 1);
        let found = Plan::parse("x.plan.toml", &wrong).expect_err("a mistake").records();
        assert_eq!(found.len(), 1, "{found:?}");
        let line = wrong.lines().nth(found[0].line.unwrap_or(0) - 1).unwrap_or_default().to_owned();
        (found[0].message.clone(), line)
    };
    let (message, line) = change("schema = 1", "schema = 9");
    assert!(message.contains("version 9") && line.contains("schema = 9"), "{message} at {line}");
    let (message, line) = change("settle = \"1m\"", "settle = 60");
    assert!(
        message.contains("a duration with a unit") && line.contains("settle = 60"),
        "{message} at {line}"
    );
    let (message, line) = change("n = 500", "n = 4000000000");
    assert!(message.contains("1 to 1000000 keys") && line.contains("4000000000"), "{message} at {line}");
    let (message, _) = change("between = [\"worker-1\"", "between = [\"worker-9\"");
    assert!(message.contains("no host is called `worker-9`"), "{message}");
    let (message, line) = change("between = [\"worker-1\"", "between = [\"worker-*\"");
    assert!(
        message.contains("no host is called `worker-*`") && line.contains("worker-*"),
        "{message} at {line}"
    );
    let (message, line) = change(
        "spec]\nkind = \"squall.redis\"\nreplicas = 1",
        "spec]\nkind = \"squall.redis\"\nreplicas = 4000000000",
    );
    assert!(message.contains("not the hosts of `redis`") && line.contains("hosts ="), "{message} at {line}");
    let (message, line) = change("net.partition-57a4", "crash-in-the-gap");
    assert!(message.contains("is taken") && line.contains("crash-in-the-gap"), "{message} at {line}");
}
