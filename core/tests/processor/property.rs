//! Whatever fails, crashes, repeats or overlaps: one effect for each event, nothing lost, order kept.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use squall_core::bus::memory::PublishFault;
use squall_core::keys::MemoryKeys;
use squall_core::point;
use squall_core::processor::Authority;

use crate::world::{Step, World};

#[derive(Clone, Debug)]
struct Scenario {
    /// For each order its key and what happens to its first attempts.
    orders: Vec<(u8, Vec<Step>)>,
    poison: Vec<bool>,
    crashes: Vec<(&'static str, usize)>,
    lost: Vec<Option<PublishFault>>,
    workers: usize,
    redis: Option<Authority>,
    expire_after_ms: Option<u64>,
    redis_down_ms: Option<(u64, u64)>,
}

impl Scenario {
    /// Orders that may die: those that fail for good, and what follows them under their key.
    fn may_die(&self) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        let mut orders = BTreeSet::new();
        for (n, (key, steps)) in self.orders.iter().enumerate() {
            if self.poison[n] || steps.contains(&Step::Reject) {
                keys.insert(key);
            }
            if keys.contains(key) {
                orders.insert(format!("o-{n}"));
            }
        }
        orders
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::FailBeforeEffect),
        Just(Step::FailAfterEffect),
        Just(Step::Panic),
        Just(Step::Hang),
        Just(Step::Reject),
    ]
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let places: Vec<&'static str> =
        point::ALL.iter().filter(|point| point.stops).map(|point| point.name).collect();
    let order = (0_u8..3, prop::collection::vec(step(), 0..3));
    let fault = prop_oneof![
        4 => Just(None),
        1 => Just(Some(PublishFault::LoseAnswer)),
        1 => Just(Some(PublishFault::LoseRequest)),
    ];
    let authority = prop_oneof![Just(None), Just(Some(Authority::Inbox)), Just(Some(Authority::Redis))];
    (
        prop::collection::vec(order, 1..12),
        prop::collection::vec(prop::bool::weighted(0.1), 12),
        prop::collection::vec((prop::sample::select(places), 1_usize..6), 0..5),
        prop::collection::vec(fault, 12),
        1_usize..3,
        authority,
        prop::option::of(0_u64..2000),
        prop::option::of((0_u64..500, 0_u64..20_000)),
    )
        .prop_map(|(orders, poison, crashes, lost, workers, redis, expire_after_ms, redis_down_ms)| {
            Scenario { orders, poison, crashes, lost, workers, redis, expire_after_ms, redis_down_ms }
        })
}

async fn play(scenario: Scenario) -> (bool, BTreeSet<&'static str>) {
    let may_die = scenario.may_die();
    let mut world = World::new();
    world.workers = scenario.workers;
    if let Some(authority) = scenario.redis {
        world.keys = Some(MemoryKeys::new().latency(Duration::from_millis(1)));
        world.options.dedup.authority = authority;
    }
    for (point, nth) in scenario.crashes {
        world.crash_at(point, nth);
    }
    for (n, (key, steps)) in scenario.orders.into_iter().enumerate() {
        let order = format!("o-{n}");
        world.script(&order, steps);
        if scenario.poison[n] {
            world.poison.lock().unwrap().insert(order.clone());
        }
        world.bus.fail_publishes(scenario.lost[n]);
        world.emit(&order, &format!("k-{key}")).await;
    }
    if let Some(after) = scenario.expire_after_ms {
        let bus = world.bus.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            bus.expire_members(crate::world::GROUP);
        });
    }
    if let (Some(keys), Some((after, outage))) = (world.keys.clone(), scenario.redis_down_ms) {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            keys.set_down(true);
            tokio::time::sleep(Duration::from_millis(outage)).await;
            if scenario.redis == Some(Authority::Inbox) {
                // What Redis knew is no loss: the inbox is the authority.
                keys.forget();
            }
            keys.set_down(false);
        });
    }
    let settled = world.run().await;
    world.kill().await;
    let mut violations = world.violations();
    if !world.dead().iter().all(|order| may_die.contains(order)) {
        violations.insert("needless-dead-letter");
    }
    (settled, violations)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_has_one_effect_or_a_dead_letter_and_keys_keep_their_order(scenario in scenario()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let (settled, violations) = runtime.block_on(play(scenario));
        prop_assert!(settled, "did not settle");
        prop_assert!(violations.is_empty(), "{:?}", violations);
    }
}
