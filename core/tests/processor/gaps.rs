//! Gaps of the log: what the event store has is worked on, before anything after the gap.

use squall_core::bus::Gap;
use squall_core::processor::CatchUp;

use crate::world::{ORDERS, World};

fn world() -> World {
    let mut world = World::new();
    world.options.catch_up = Some(CatchUp { types: vec!["order.placed".to_owned()] });
    world
}

#[tokio::test(start_paused = true)]
async fn what_the_log_lost_is_handled_in_the_order_of_the_store_and_once() {
    let mut world = world();
    for name in ["o-1", "o-2", "o-3"] {
        world.lose(name, "k", Gap::Deleted).await;
    }
    world.emit("o-4", "k").await;
    assert!(world.run().await);
    assert_eq!(world.violations().into_iter().collect::<Vec<_>>(), [""; 0]);
    assert!(world.saw("caught-up") >= 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_to_look_into_the_processor_reads_on() {
    let mut world = World::new();
    world.bus.tell_gap(ORDERS, 0, Gap::Deleted);
    world.emit("o-1", "k").await;
    assert!(world.run().await);
    assert_eq!((world.saw("gap"), world.saw("caught-up")), (1, 0));
    assert_eq!(world.charges("o-1"), 1);
}
