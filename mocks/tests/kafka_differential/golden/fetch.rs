//! Fetch: what comes back byte for byte, limits, offsets and epochs.

use kafka_protocol::messages::*;
use uuid::Uuid;

use crate::build::{self, TIME, fetch_by, fetched, plain, produce_to, text, zstd};
use crate::pair::Pair;

pub fn reads(pair: &mut Pair) -> Result<(), String> {
    let name = pair.topic("a", 2)?;
    let id = pair.id_of(&name)?;
    for records in [plain(&["a", "b"]), plain(&["c"]), zstd(&["d", "e"], TIME)] {
        pair.ask(9, produce_to(&name, 0, -1, records))?;
    }
    for version in 4..=18 {
        let at = |id: &Uuid, partitions: Vec<fetch_request::FetchPartition>| {
            let name = if version < 13 { &name[..] } else { "" };
            fetch_by(name, *id, partitions)
        };
        for offset in [0, 1, 2, 3, 4, 5, 6, -1, -2] {
            pair.ask(version, id.map(|id| at(id, vec![fetched(0, offset)])))?;
        }
        pair.ask(version, id.map(|id| at(id, vec![fetched(1, 0), fetched(0, 3), fetched(7, 0)])))?;
        pair.ask(version, id.map(|id| at(id, vec![fetched(0, 0), fetched(0, 3)])))?;
        let unknown = if version < 13 { pair.name("unknown") } else { String::new() };
        pair.ask(version, fetch_by(&unknown, Uuid::from_u128(7), vec![fetched(0, 0)]))?;
        pair.ask(version, id.map(|id| at(id, vec![fetched(0, 0)]).with_isolation_level(1)))?;
        pair.ask(version, FetchRequest::default().with_max_wait_ms(0))?;
        if version >= 9 {
            for epoch in [0, 1, -2] {
                pair.ask(version, id.map(|id| at(id, vec![fetched(0, 0).with_current_leader_epoch(epoch)])))?;
            }
        }
        if version >= 12 {
            for (offset, epoch) in [(5, 0), (3, 0), (9, 0), (5, 1), (0, -1)] {
                let one = fetched(0, offset).with_last_fetched_epoch(epoch).with_current_leader_epoch(0);
                pair.ask(version, id.map(|id| at(id, vec![one.clone()])))?;
            }
        }
    }
    pair.ask(12, build::fetch(&name, Vec::new()))?;
    Ok(())
}

pub fn limits(pair: &mut Pair) -> Result<(), String> {
    let name = pair.topic("a", 2)?;
    for value in ["a", "bb", "ccc", "dddd"] {
        for partition in [0, 1] {
            pair.ask(9, produce_to(&name, partition, -1, plain(&[&value.repeat(100)])))?;
        }
    }
    let limited = |bytes: i32| vec![fetched(0, 0).with_partition_max_bytes(bytes)];
    for bytes in [-1, 0, 1, 100, 165, 170, 171, 172, 400, 1000, 5000] {
        pair.ask(11, build::fetch(&name, limited(bytes)))?;
        pair.ask(11, build::fetch(&name, vec![fetched(0, 0), fetched(1, 0)]).with_max_bytes(bytes))?;
        let both = vec![
            fetched(0, 1).with_partition_max_bytes(bytes),
            fetched(1, 1).with_partition_max_bytes(bytes),
        ];
        pair.ask(11, build::fetch(&name, both).with_max_bytes(300))?;
        // Data is there, so that nothing is waited for: or is at once, when there cannot be more.
        pair.ask(11, build::fetch(&name, vec![fetched(0, 0)]).with_min_bytes(bytes).with_max_wait_ms(10))?;
    }
    pair.ask(11, build::fetch(&name, vec![fetched(0, 4)]).with_min_bytes(1).with_max_wait_ms(10))?;
    // An error ends the wait.
    let request = build::fetch(&name, vec![fetched(0, 4), fetched(1, 9)]);
    pair.ask(11, request.with_min_bytes(1).with_max_wait_ms(8000))?;
    // So does a record.
    pair.on("waiting");
    let waits = build::fetch(&name, vec![fetched(0, 4)]).with_min_bytes(1).with_max_wait_ms(8000);
    let shown = pair.send(11, waits)?;
    pair.on("");
    pair.ask(9, produce_to(&name, 0, -1, plain(&["e"])))?;
    pair.on("waiting");
    pair.receive::<FetchRequest>(11, &shown)?;
    pair.on("");
    // Who calls itself a broker.
    let follower = build::fetch(&name, vec![fetched(0, 0)]).with_replica_id(BrokerId(9));
    pair.ask(11, follower)?;
    pair.ask(11, build::fetch(&name, vec![fetched(0, 0)]).with_rack_id(text("a rack")))?;
    Ok(())
}
