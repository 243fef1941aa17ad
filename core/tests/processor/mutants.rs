//! Every planted bug breaks the promise it is meant to break, in a scenario that is clean without it.

use std::time::Duration;

use squall_core::bus::Gap;
use squall_core::bus::memory::PublishFault;
use squall_core::keys::MemoryKeys;
use squall_core::mutant;
use squall_core::processor::{Authority, CatchUp};

use crate::world::{Step, World};

/// A mutant, the promise it breaks, and how to provoke it.
struct Case {
    mutant: &'static str,
    breaks: &'static str,
    provoke: fn(&mut World),
}

const CASES: &[Case] = &[
    Case {
        mutant: "commit-before-processing",
        breaks: "no-acked-loss",
        provoke: |world| world.crash_at("processor.before-effect", 1),
    },
    Case {
        mutant: "dedup-after-effect",
        breaks: "idempotent",
        provoke: |world| world.crash_at("processor.after-effect", 1),
    },
    Case {
        mutant: "dedup-after-effect",
        breaks: "idempotent",
        provoke: |world| {
            redis_authority(world);
            world.crash_at("processor.after-effect", 1);
        },
    },
    Case {
        mutant: "dedup-not-cleared",
        breaks: "no-acked-loss",
        provoke: |world| world.script("o-1", [Step::FailBeforeEffect]),
    },
    Case {
        mutant: "dedup-not-cleared",
        breaks: "no-acked-loss",
        provoke: |world| {
            redis_authority(world);
            world.script("o-1", [Step::FailBeforeEffect]);
        },
    },
    Case {
        mutant: "dedup-by-offset",
        breaks: "idempotent",
        provoke: |world| world.bus.fail_publishes([PublishFault::LoseAnswer]),
    },
    Case {
        mutant: "dedup-get-then-set",
        breaks: "idempotent",
        provoke: |world| world.groups.push("overlap".to_owned()),
    },
    Case {
        mutant: "dedup-get-then-set",
        breaks: "idempotent",
        provoke: |world| {
            redis_authority(world);
            world.groups.push("overlap".to_owned());
        },
    },
    Case {
        mutant: "dedup-after-effect",
        breaks: "idempotent",
        provoke: |world| {
            redis_authority(world);
            world.options.dedup.authority = Authority::Inbox;
            world.crash_at("processor.after-effect", 1);
        },
    },
    Case {
        mutant: "dedup-get-then-set",
        breaks: "idempotent",
        provoke: |world| {
            redis_authority(world);
            world.options.dedup.authority = Authority::Inbox;
            world.groups.push("overlap".to_owned());
        },
    },
    Case {
        mutant: "publish-before-append",
        breaks: "no-phantom",
        provoke: |world| world.crash_at("processor.after-effect", 1),
    },
    Case {
        mutant: "retry-under-new-id",
        breaks: "idempotent",
        provoke: |world| world.bus.fail_publishes([PublishFault::LoseAnswer]),
    },
    Case { mutant: "gap-skipped", breaks: "no-acked-loss", provoke: |world| gap(world, Gap::Deleted) },
    Case {
        mutant: "new-leader-trusted",
        breaks: "no-acked-loss",
        provoke: |world| gap(world, Gap::Truncated),
    },
    Case {
        mutant: "poison-retried-forever",
        breaks: "recovered",
        provoke: |world| world.poison.lock().unwrap().extend(["o-1".to_owned()]),
    },
];

fn redis_authority(world: &mut World) {
    world.keys = Some(MemoryKeys::new().latency(Duration::from_millis(1)));
    world.options.dedup.authority = Authority::Redis;
}

fn gap(world: &mut World, gap: Gap) {
    world.gap = Some(gap);
    world.options.catch_up = Some(CatchUp { types: vec!["order.placed".to_owned()] });
}

async fn broken(case: &Case, mutant: Option<&'static str>) -> Vec<&'static str> {
    mutant::enable(mutant);
    let mut world = World::new();
    (case.provoke)(&mut world);
    if let Some(gap) = world.gap {
        world.lose("o-0", "k", gap).await;
    }
    world.emit("o-1", "k").await;
    world.emit("o-2", "k").await;
    let settled = world.run().await;
    world.kill().await;
    mutant::enable(None);
    let mut broken: Vec<_> = world.violations().into_iter().collect();
    if !settled {
        broken.push("recovered");
    }
    broken
}

#[tokio::test(start_paused = true)]
async fn each_mutant_breaks_its_promise_and_only_the_mutant_does() {
    for case in CASES {
        assert_eq!(broken(case, None).await, [""; 0], "clean run for {}", case.mutant);
        let broken = broken(case, Some(case.mutant)).await;
        assert!(broken.contains(&case.breaks), "{} broke {broken:?}, not {}", case.mutant, case.breaks);
    }
}

/// Mutants that a processor alone cannot show: they need a server's clock, its failures, or a redelivery after an
/// outage. The simulation kills them.
const ELSEWHERE: &[&str] = &[
    "counter-expires-apart",
    "deadline-by-own-clock",
    "dedup-ttl-too-short",
    "fence-from-redis",
    "lock-without-fence",
    "start-unchecked",
    "stream-entry-is-new",
    "zombie-not-fenced",
];

#[test]
fn every_mutant_has_a_case() {
    for mutant in mutant::ALL {
        let here = CASES.iter().any(|case| case.mutant == mutant.name);
        assert!(here != ELSEWHERE.contains(&mutant.name), "{}", mutant.name);
    }
}

#[tokio::test(start_paused = true)]
async fn undecodable_bytes_are_retried_forever_by_the_poison_mutant() {
    mutant::enable(Some("poison-retried-forever"));
    let mut world = World::new();
    world.publish_raw(Some("k"), b"not an event").await;
    assert!(!world.run().await);
    mutant::enable(None);
}
