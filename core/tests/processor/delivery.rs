//! Duplicates, crashes, retries, order, commits, rebalances, stopping.

use std::time::Duration;

use squall_core::bus::BusError;
use squall_core::bus::memory::{MemoryBus, PublishFault};
use squall_core::clock::Clock;
use tokio::time::Instant;

use crate::world::{GROUP, ORDERS, RESULTS, Step, World};

#[tokio::test(start_paused = true)]
async fn every_event_has_its_effect_once_and_its_result() {
    let mut world = World::new();
    for n in 0..40 {
        world.emit(&format!("o-{n}"), &format!("k-{}", n % 7)).await;
    }
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert_eq!(world.bus.records(RESULTS).len(), 40);
    assert_eq!(world.seen.lock().unwrap().effects.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn duplicate_delivery_is_ignored() {
    let mut world = World::new();
    world.bus.fail_publishes([PublishFault::LoseAnswer]);
    world.emit("o-1", "k").await;
    assert_eq!(world.bus.records(ORDERS).len(), 2);
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert_eq!(world.seen.lock().unwrap().effects.len(), 1);
    assert_eq!(world.saw("duplicate-suppressed"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_point_repeats_the_effect_under_the_same_key() {
    for place in squall_core::point::ALL.iter().filter(|point| point.stops) {
        let mut world = World::new();
        world.emit("o-1", "k").await;
        world.crash_at(place.name, 1);
        assert!(world.run().await, "{}", place.name);
        assert!(world.violations().is_empty(), "{}: {:?}", place.name, world.violations());
        assert_eq!(world.charges("o-1"), 1, "{}", place.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_effect_and_commit_is_resumed_under_the_claimed_key() {
    let mut world = World::new();
    world.emit("o-1", "k").await;
    world.crash_at("processor.after-effect", 1);
    assert!(world.run().await);
    let effects = world.seen.lock().unwrap().effects.clone();
    assert_eq!(effects.len(), 2);
    assert_eq!(effects[0].2, effects[1].2);
    assert_eq!(world.saw("claim-resumed"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_tried_again_after_a_pause() {
    let mut world = World::new();
    world.emit("o-1", "k").await;
    world.script("o-1", [Step::FailBeforeEffect, Step::FailAfterEffect, Step::Panic, Step::Hang]);
    let start = Instant::now();
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert_eq!(world.saw("retry"), 4);
    // The hanging attempt is given up after its time, which proves that the clock is the virtual one.
    assert!(start.elapsed() >= world.options.handler_timeout);
    assert_eq!(world.charges("o-1"), 1);
    assert!(world.dead().is_empty());
}

#[tokio::test(start_paused = true)]
async fn keys_are_handled_side_by_side_and_each_in_order() {
    let mut world = World::new();
    world.options.max_concurrency = 3;
    world.effort = Duration::from_millis(50);
    for n in 0..30 {
        world.emit(&format!("o-{n}"), &format!("k-{}", n % 6)).await;
    }
    world.script("o-0", [Step::FailBeforeEffect; 3]);
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    let seen = world.seen.lock().unwrap();
    assert_eq!((seen.concurrent, seen.concurrent_in_key), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn an_offset_is_not_committed_before_those_below_it_are_finished() {
    let mut world = World::new();
    world.bus = MemoryBus::new(Clock::default()).with_topic(ORDERS, 1).with_topic(RESULTS, 1);
    for n in 0..5 {
        world.emit(&format!("o-{n}"), &format!("k-{n}")).await;
    }
    world.script("o-2", [Step::Hang]);
    world.start();
    tokio::time::sleep(world.options.handler_timeout / 2).await;
    assert_eq!(world.bus.committed(GROUP, ORDERS, 0), Some(2));
    assert_eq!(world.seen.lock().unwrap().effects.len(), 4);
    assert!(world.run().await);
    assert!(world.violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_commit_is_made_up_for() {
    let mut world = World::new();
    world.emit("o-1", "k").await;
    world.bus.fail_commits([BusError::Unknown("lost".to_owned()), BusError::Fenced("old".to_owned())]);
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert_eq!(world.saw("offset-commit-failed"), 2);
    assert_eq!(world.seen.lock().unwrap().effects.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_lets_work_under_way_finish_and_commits_it() {
    let mut world = World::new();
    world.effort = Duration::from_secs(2);
    for n in 0..8 {
        world.emit(&format!("o-{n}"), &format!("k-{n}")).await;
    }
    world.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The second group member's arrival revokes everything from the first.
    world.start();
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert!(world.saw("revoked") >= 1);
    assert_eq!(world.seen.lock().unwrap().effects.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn work_that_outlasts_a_revocation_is_taken_over_under_the_same_key() {
    let mut world = World::new();
    world.effort = Duration::from_secs(20);
    world.options.drain_timeout = Duration::from_secs(1);
    world.emit("o-1", "k").await;
    world.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.start();
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert!(world.saw("claim-resumed") >= 1);
}

#[tokio::test(start_paused = true)]
async fn lost_partitions_are_not_committed_by_stale_work() {
    let mut world = World::new();
    world.effort = Duration::from_secs(2);
    for n in 0..8 {
        world.emit(&format!("o-{n}"), &format!("k-{}", n % 3)).await;
    }
    world.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.bus.expire_members(GROUP);
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert!(world.saw("lost") >= 1);
    assert_eq!(world.saw("offset-commit-failed"), 0);
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_what_is_under_way_and_commits_it() {
    let mut world = World::new();
    world.effort = Duration::from_secs(2);
    world.options.max_concurrency = 2;
    for n in 0..6 {
        world.emit(&format!("o-{n}"), &format!("k-{n}")).await;
    }
    world.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.stop().await;
    assert_eq!(world.seen.lock().unwrap().effects.len(), 2);
    let committed: i64 = (0..4).filter_map(|partition| world.bus.committed(GROUP, ORDERS, partition)).sum();
    assert_eq!(committed, 2);
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_longer_than_the_drain_timeout() {
    let mut world = World::new();
    world.emit("o-1", "k").await;
    world.script("o-1", [Step::Hang]);
    world.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = Instant::now();
    world.stop().await;
    assert!(asked.elapsed() <= world.options.drain_timeout + Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_slow_event_lets_the_rest_run_ahead_only_so_far() {
    let mut world = World::new();
    world.bus = MemoryBus::new(Clock::default()).with_topic(ORDERS, 1).with_topic(RESULTS, 1);
    world.options.max_uncommitted = 100;
    for n in 0..400 {
        world.emit(&format!("o-{n}"), &format!("k-{n}")).await;
    }
    world.script("o-0", [Step::Hang]);
    world.start();
    tokio::time::sleep(world.options.handler_timeout / 2).await;
    let ahead = world.seen.lock().unwrap().effects.len();
    assert!((100..200).contains(&ahead), "{ahead}");
    assert!(world.run().await);
    assert!(world.violations().is_empty());
}

/// The order of everything, with the keys drawn, of one eventful run.
async fn trail() -> (Vec<&'static str>, Vec<(String, String, String)>) {
    let mut world = World::new();
    world.workers = 2;
    for n in 0..12 {
        world.script(&format!("o-{n}"), [Step::FailAfterEffect, Step::FailBeforeEffect]);
        world.emit(&format!("o-{n}"), &format!("k-{}", n % 4)).await;
    }
    world.crash_at("processor.after-effect", 5);
    world.crash_at("outbox.published", 3);
    assert!(world.run().await);
    world.kill().await;
    let seen = world.seen.lock().unwrap();
    (seen.trail.clone(), seen.effects.clone())
}

#[test]
fn the_same_run_twice_is_the_same_to_the_last_draw() {
    let run = || {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().expect("a runtime").block_on(trail())
    };
    assert_eq!(run(), run());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_promises_hold_on_several_threads_in_real_time() {
    let mut world = World::new();
    world.options.commit_interval = Duration::from_millis(20);
    world.effort = Duration::from_millis(1);
    for n in 0..200 {
        world.emit(&format!("o-{n}"), &format!("k-{}", n % 20)).await;
    }
    world.script("o-3", [Step::FailBeforeEffect, Step::Panic]);
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert_eq!(world.seen.lock().unwrap().concurrent_in_key, 1);
}
