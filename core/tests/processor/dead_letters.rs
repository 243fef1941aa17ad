//! Dead letters: when, in what order, and that nothing of the original is lost.

use squall_core::keys::MemoryKeys;
use squall_core::processor::Authority;

use crate::world::{DEAD, Step, World};

fn header(record: &squall_core::bus::Record, name: &str) -> Option<String> {
    let value = record.headers.iter().find(|(of, _)| of == name)?;
    Some(String::from_utf8(value.1.to_vec()).expect("text"))
}

#[tokio::test(start_paused = true)]
async fn an_event_that_always_fails_is_buried_after_its_attempts() {
    let mut world = World::new();
    let event = world.emit("o-1", "k").await;
    world.poison.lock().unwrap().insert("o-1".to_owned());
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    let letters = world.bus.records(DEAD);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value, event.to_bytes());
    assert_eq!(header(&letters[0], "squall-dlq-reason").as_deref(), Some("poison"));
    assert_eq!(header(&letters[0], "squall-dlq-attempts").as_deref(), Some("5"));
    assert_eq!(header(&letters[0], "squall-dlq-topic").as_deref(), Some("orders"));
    assert_eq!(header(&letters[0], "squall-dlq-handler").as_deref(), Some("charge"));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_event_is_buried_at_once() {
    let mut world = World::new();
    world.emit("o-1", "k").await;
    world.script("o-1", [Step::Reject]);
    assert!(world.run().await);
    let letters = world.bus.records(DEAD);
    assert_eq!(header(&letters[0], "squall-dlq-reason").as_deref(), Some("declined"));
    assert_eq!(header(&letters[0], "squall-dlq-attempts").as_deref(), Some("1"));
    assert_eq!(world.saw("retry"), 0);
}

#[tokio::test(start_paused = true)]
async fn later_events_of_a_buried_key_follow_in_order_and_other_keys_go_on() {
    let mut world = World::new();
    for n in 0..9 {
        world.emit(&format!("o-{n}"), &format!("k-{}", n % 3)).await;
    }
    world.poison.lock().unwrap().insert("o-3".to_owned());
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert_eq!(world.dead(), ["o-3", "o-6"]);
    assert_eq!(world.saw("parked"), 1);
    assert_eq!(world.seen.lock().unwrap().effects.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn undecodable_bytes_are_buried_as_they_are_even_after_a_crash() {
    let mut world = World::new();
    world.publish_raw(Some("k"), b"\xff{not an event").await;
    world.publish_raw(None, b"").await;
    world.emit("o-1", "other").await;
    world.crash_at("outbox.published", 1);
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    let mut letters = world.bus.records(DEAD);
    // The crash between acknowledgement and mark publishes one letter twice: at least once is the promise.
    letters.dedup_by(|a, b| a.value == b.value);
    letters.sort_by(|a, b| a.value.cmp(&b.value));
    letters.dedup_by(|a, b| a.value == b.value);
    assert_eq!(letters.len(), 2);
    assert_eq!((letters[0].value.as_ref(), letters[0].key.as_deref()), (&b""[..], None));
    assert_eq!(letters[1].value.as_ref(), b"\xff{not an event");
    assert_eq!(letters[1].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(header(&letters[1], "trace").as_deref(), Some("t-1"));
    assert_eq!(header(&letters[1], "squall-dlq-reason").as_deref(), Some("undecodable"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_kills_the_process_is_buried_without_running_again() {
    let mut world = World::new();
    world.emit("o-1", "k").await;
    world.options.retry.max_deliveries = 3;
    for _ in 0..3 {
        world.crash_at("processor.before-effect", 1);
    }
    assert!(world.run().await);
    assert_eq!(world.dead(), ["o-1"]);
    let letters = world.bus.records(DEAD);
    assert_eq!(header(&letters[0], "squall-dlq-reason").as_deref(), Some("too-many-deliveries"));
    assert_eq!(world.charges("o-1"), 0);
}

#[tokio::test(start_paused = true)]
async fn two_events_with_one_id_are_never_taken_for_duplicates() {
    for authority in [None, Some(Authority::Inbox), Some(Authority::Redis)] {
        let mut world = World::new();
        if let Some(authority) = authority {
            world.keys = Some(MemoryKeys::new());
            world.options.dedup.authority = authority;
        }
        let event = world.emit("o-1", "k").await;
        assert!(world.run().await);
        let digest = event.digest().to_string();
        // Only the tail of the digest differs, so the id stays the same.
        let tail = if digest.ends_with("0000") { "1111" } else { "0000" };
        let forged = format!("{}{tail}", &digest[..60]);
        let bytes = String::from_utf8(event.to_bytes()).expect("JSON").replace(&digest, &forged);
        world.publish_raw(Some("k"), bytes.as_bytes()).await;
        assert!(world.run().await);
        let letters = world.bus.records(DEAD);
        assert_eq!(letters.len(), 1, "{authority:?}");
        assert_eq!(letters[0].value.as_ref(), bytes.as_bytes());
        assert_eq!(header(&letters[0], "squall-dlq-reason").as_deref(), Some("id-collision"));
        assert_eq!(world.charges("o-1"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_altered_event_is_buried_if_ids_are_verified() {
    let mut world = World::new();
    world.options.verify = Some(squall_core::event_id::IdPolicy::default());
    let event = World::order("o-1", "k").build().expect("an event");
    let altered = String::from_utf8(event.to_bytes()).expect("JSON").replace("100", "999");
    world.publish_raw(Some("k"), altered.as_bytes()).await;
    world.emit("o-2", "other").await;
    assert!(world.run().await);
    assert!(world.violations().is_empty());
    assert_eq!(world.bus.records(DEAD)[0].value.as_ref(), altered.as_bytes());
    assert_eq!((world.charges("o-1"), world.charges("o-2")), (0, 1));
}
