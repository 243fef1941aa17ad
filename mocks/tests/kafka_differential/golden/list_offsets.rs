//! ListOffsets: the special times, and by time.

use kafka_protocol::messages::*;

use crate::build::{TIME, batch, list_offsets, produce_to, zstd};
use crate::pair::Pair;

/// Partitions have no order.
pub fn sorted(answer: &mut ListOffsetsResponse) {
    let topics = answer.topics.iter_mut();
    topics.for_each(|topic| topic.partitions.sort_by_key(|one| one.partition_index));
}

pub fn of_times(pair: &mut Pair) -> Result<(), String> {
    let name = pair.topic("a", 2)?;
    let none = (-1, -1, -1);
    for records in [
        batch(&["a", "b", "c"], TIME, none),
        // Later, then earlier again.
        batch(&["d"], TIME + 100, none),
        batch(&["e"], TIME + 50, none),
        zstd(&["f", "g", "h"], TIME + 200),
    ] {
        pair.ask(9, produce_to(&name, 0, -1, records))?;
    }
    let times = [0, 1, TIME, TIME + 1, TIME + 2, TIME + 3, TIME + 50, TIME + 60, TIME + 100, TIME + 101];
    let times = times.into_iter().chain([TIME + 200, TIME + 201, TIME + 202, TIME + 203, i64::MAX]);
    let times: Vec<i64> = times.chain(-8..0).collect();
    for version in 1..=10 {
        for time in &times {
            pair.ask(version, list_offsets(&name, &[(0, *time)]))?;
        }
        pair.ask_but(version, list_offsets(&name, &[(1, -1), (1, -2), (0, -1), (7, -1)]), sorted)?;
        pair.ask(version, list_offsets(&name, &[(1, TIME)]))?;
        pair.ask(version, list_offsets(&name, &[(0, -1), (0, -1)]))?;
        pair.ask(version, list_offsets(&pair.name("unknown"), &[(0, -1)]))?;
        pair.ask(version, ListOffsetsRequest::default().with_replica_id(BrokerId(-1)))?;
        if version >= 2 {
            pair.ask_but(version, list_offsets(&name, &[(0, -1), (1, -1)]).with_isolation_level(1), sorted)?;
        }
        if version >= 4 {
            for epoch in [0, 1] {
                let mut request = list_offsets(&name, &[(0, -1)]);
                request.topics[0].partitions[0].current_leader_epoch = epoch;
                pair.ask(version, request)?;
            }
        }
    }
    for version in 2..=4 {
        use offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
        for (current, epoch, partition) in
            [(-1, 0, 0), (0, 0, 0), (1, 0, 0), (-1, 1, 0), (-1, -1, 0), (-1, 0, 1), (-1, 0, 7), (0, 5, 0)]
        {
            let partition = OffsetForLeaderPartition::default()
                .with_partition(partition)
                .with_leader_epoch(epoch)
                .with_current_leader_epoch(current);
            let topic = OffsetForLeaderTopic::default().with_topic(TopicName(crate::build::text(&name)));
            let mut request = OffsetForLeaderEpochRequest::default();
            request.topics = vec![topic.with_partitions(vec![partition])];
            if version >= 3 {
                request.replica_id = BrokerId(-1);
            }
            pair.ask(version, request)?;
        }
    }
    Ok(())
}
