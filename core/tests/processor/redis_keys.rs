//! Leases, the accelerator, and Redis as authority.

use std::time::Duration;

use squall_core::bus::memory::PublishFault;
use squall_core::keys::{Keys as _, MemoryKeys};
use squall_core::processor::{Authority, OnRedisDown};
use tokio::time::Instant;

use crate::world::{DEAD, World};

fn world(authority: Authority) -> World {
    let mut world = World::new();
    world.keys = Some(MemoryKeys::new().latency(Duration::from_millis(1)));
    world.options.dedup.authority = authority;
    world
}

/// The same handler in two groups: both get every event, as two members would in a botched rebalance.
fn overlap(authority: Authority) -> World {
    let mut world = world(authority);
    world.groups.push("overlap".to_owned());
    world
}

#[tokio::test(start_paused = true)]
async fn two_workers_with_one_event_have_one_effect() {
    for authority in [Authority::Inbox, Authority::Redis] {
        let mut world = overlap(authority);
        for n in 0..6 {
            world.emit(&format!("o-{n}"), "k").await;
        }
        assert!(world.run().await);
        assert!(world.violations().is_empty(), "{authority:?}: {:?}", world.violations());
        // The lease spares the second worker the work, not only the effect.
        assert_eq!(world.seen.lock().unwrap().effects.len(), 6, "{authority:?}");
        assert!(world.saw("lease-contended") >= 1 && world.saw("duplicate-suppressed") == 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_point_leaves_one_effect_with_either_authority() {
    for authority in [Authority::Inbox, Authority::Redis] {
        for place in squall_core::point::ALL.iter().filter(|point| point.stops) {
            let mut world = world(authority);
            world.emit("o-1", "k").await;
            world.crash_at(place.name, 1);
            assert!(world.run().await, "{authority:?} {}", place.name);
            assert!(world.violations().is_empty(), "{authority:?} {}", place.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handled_while_redis_is_down() {
    let mut world = world(Authority::Inbox);
    let keys = world.keys.clone().expect("keys");
    world.emit("o-1", "k").await;
    keys.set_down(true);
    world.start();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.seen.lock().unwrap().effects.is_empty());
    assert!(world.saw("redis-unavailable") >= 1);
    keys.set_down(false);
    assert!(world.run().await);
    assert!(world.violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_rely_on_the_inbox_alone_while_redis_is_down() {
    let mut world = world(Authority::Inbox);
    world.options.dedup.on_redis_down = OnRedisDown::InboxOnly;
    world.keys.clone().expect("keys").set_down(true);
    world.bus.fail_publishes([PublishFault::LoseAnswer]);
    world.emit("o-1", "k").await;
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert_eq!(world.seen.lock().unwrap().effects.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_inbox_knows_duplicates_that_redis_has_forgotten() {
    let mut world = world(Authority::Inbox);
    let keys = world.keys.clone().expect("keys");
    world.emit("o-1", "k").await;
    assert!(world.run().await);
    keys.forget();
    let again = World::order("o-1", "k").build().expect("an event");
    world.publish_raw(Some("k"), &again.to_bytes()).await;
    assert!(world.run().await);
    assert_eq!(world.seen.lock().unwrap().effects.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_its_time_while_the_handler_works() {
    let mut world = overlap(Authority::Inbox);
    world.options.dedup.lease = Duration::from_secs(3);
    world.effort = Duration::from_secs(20);
    world.emit("o-1", "k").await;
    assert!(world.run().await);
    assert_eq!(world.seen.lock().unwrap().effects.len(), 1);
    assert_eq!(world.saw("lease-lost"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_workers_lease_is_waited_for_and_no_longer() {
    let mut world = world(Authority::Inbox);
    let event = world.emit("o-1", "k").await;
    let keys = world.keys.clone().expect("keys");
    let lease = format!("lease:charge:{}", event.id());
    keys.set(&lease, "somebody dead", Duration::from_secs(8)).await.expect("set");
    let start = Instant::now();
    assert!(world.run().await);
    assert!(start.elapsed() >= Duration::from_secs(8));
    assert!(world.violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_kills_the_process_is_buried_with_redis_as_authority_too() {
    let mut world = world(Authority::Redis);
    world.emit("o-1", "k").await;
    world.options.retry.max_deliveries = 2;
    for _ in 0..2 {
        world.crash_at("processor.before-effect", 1);
    }
    assert!(world.run().await);
    assert_eq!(world.dead(), ["o-1"]);
    assert_eq!(world.bus.records(DEAD).len(), 1);
    assert_eq!(world.charges("o-1"), 0);
}
