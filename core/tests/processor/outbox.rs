//! The outbox relay and the emitter.

use squall_core::bus::memory::PublishFault;
use squall_core::emitter::{EmitError, Emitter, EmitterOptions};
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_core::outbox::{OutboxRelay, outbox_row};
use squall_core::store::{EventStore as _, Transaction};

use crate::world::{ORDERS, RESULTS, World};

async fn promise(world: &World, n: usize) -> Vec<EventEnvelope> {
    let events: Vec<EventEnvelope> = (0..n)
        .map(|n| {
            World::order(&format!("o-{n}"), &format!("k-{}", n % 3))
                .occurrence(Occurrence::Business(n.to_string()))
                .build()
                .expect("an event")
        })
        .collect();
    for event in &events {
        let outbox = vec![outbox_row(ORDERS, event)];
        world.store.commit(Transaction { outbox, ..Transaction::default() }).await.expect("committed");
    }
    events
}

fn published(world: &World, key: &str) -> Vec<EventEnvelope> {
    let events = world.bus.records(ORDERS).into_iter();
    let events = events.map(|record| EventEnvelope::from_bytes(&record.value).expect("an event"));
    events.filter(|event| event.partition_key() == Some(key)).collect()
}

async fn drain(world: &mut World, relays: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..relays {
        let env = world.env(&format!("relay-{n}"));
        tasks.spawn(OutboxRelay::new(env).run());
    }
    while !world.store.outbox_pending(1).await.expect("the outbox").is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    world.stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic").expect("a good end");
    }
}

#[tokio::test(start_paused = true)]
async fn promises_are_kept_in_order_for_each_key_by_one_relay_of_several() {
    let mut world = World::new();
    let events = promise(&world, 30).await;
    drain(&mut world, 3).await;
    assert_eq!(world.bus.records(ORDERS).len(), 30);
    for key in ["k-0", "k-1", "k-2"] {
        let expected: Vec<_> =
            events.iter().filter(|event| event.partition_key() == Some(key)).cloned().collect();
        assert_eq!(published(&world, key), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_publication_is_repeated_before_the_next_of_its_key() {
    let mut world = World::new();
    let events = promise(&world, 6).await;
    let faults = [PublishFault::LoseAnswer, PublishFault::LoseRequest, PublishFault::Refuse];
    world.bus.fail_publishes(faults);
    drain(&mut world, 1).await;
    for key in ["k-0", "k-1", "k-2"] {
        let mut ids: Vec<_> = published(&world, key).iter().map(EventEnvelope::id).collect();
        ids.dedup();
        let expected: Vec<_> =
            events.iter().filter(|event| event.partition_key() == Some(key)).map(EventEnvelope::id).collect();
        assert_eq!(ids, expected);
    }
    assert_eq!(world.bus.records(ORDERS).len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_dies_is_replaced_when_its_lease_ends() {
    let mut world = World::new();
    promise(&world, 1).await;
    let dead = world.env("dead");
    let relay = tokio::spawn(OutboxRelay::new(dead).run());
    while !world.store.outbox_pending(1).await.expect("the outbox").is_empty() {
        tokio::task::yield_now().await;
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
    }
    relay.abort();
    promise(&world, 2).await;
    drain(&mut world, 1).await;
    assert_eq!(world.bus.records(ORDERS).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_the_same_process_wakes_the_relay() {
    let mut world = World::new();
    world.relay.poll_interval = std::time::Duration::from_secs(3600);
    world.start();
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    world.emit("o-1", "k").await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    assert_eq!(world.bus.records(RESULTS).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_emitter_repeats_the_same_event() {
    let mut world = World::new();
    world.bus.fail_publishes([PublishFault::LoseAnswer, PublishFault::LoseRequest]);
    let event = world.emit("o-1", "k").await;
    let ids: Vec<_> = published(&world, "k").iter().map(EventEnvelope::id).collect();
    assert_eq!(ids, [event.id(); 2]);
}

#[tokio::test(start_paused = true)]
async fn an_emitter_says_whether_the_event_can_be_in_the_log() {
    let mut world = World::new();
    let options = EmitterOptions { max_tries: 2, ..EmitterOptions::default() };
    let emitter = Emitter::new(world.env("shop"), options).await.expect("an emitter");
    world.bus.fail_publishes([PublishFault::Refuse]);
    let refused = emitter.emit(ORDERS, World::order("o-1", "k")).await;
    assert!(matches!(refused, Err(EmitError::Refused { tries: 1, .. })));
    world.bus.fail_publishes([PublishFault::LoseRequest, PublishFault::Refuse]);
    let unknown = emitter.emit(ORDERS, World::order("o-1", "k")).await;
    assert!(matches!(unknown, Err(EmitError::Unknown { tries: 2, .. })));
}
