//! The range assignor and the bytes it travels in.
//!
//! Kafka's `RangeAssignor`: topic by topic, the members that subscribe to it, in the order of their ids, get
//! consecutive partitions, and the first ones get one more when the numbers do not divide.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition as WirePartitions;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::admin::text;
use super::error::ClientError;
use super::types::TopicPartition;

/// The assignor's name in the group protocol.
pub(super) const NAME: &str = "range";
/// The version we write; what we read may be newer.
const VERSION: i16 = 0;
/// The newest version the codec reads. Newer ones only append fields.
const VERSION_MAX: i16 = 3;

/// Partitions of every member: `subscriptions` are topics by member id, `partitions` their numbers by topic.
pub(super) fn range(
    subscriptions: &BTreeMap<String, Vec<String>>,
    partitions: &BTreeMap<String, i32>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let mut assigned: BTreeMap<String, Vec<TopicPartition>> =
        subscriptions.keys().map(|member| (member.clone(), Vec::new())).collect();
    for (topic, count) in partitions {
        let subscribed = || subscriptions.iter().filter(|(_, topics)| topics.contains(topic));
        let members = i32::try_from(subscribed().count()).unwrap_or(i32::MAX);
        if members == 0 {
            continue;
        }
        let (share, extra) = (count / members, count % members);
        let mut next = 0;
        for (index, (member, _)) in (0..).zip(subscribed()) {
            let end = next + share + i32::from(index < extra);
            let part = (next..end).map(|number| TopicPartition::new(topic.as_str(), number));
            assigned.entry(member.clone()).or_default().extend(part);
            next = end;
        }
    }
    assigned
}

/// A member's subscription.
pub(super) fn write_subscription(topics: &[String]) -> Result<Bytes, ClientError> {
    let subscription =
        ConsumerProtocolSubscription::default().with_topics(topics.iter().map(|topic| text(topic)).collect());
    versioned(&subscription)
}

/// The topics of a member's subscription.
pub(super) fn read_subscription(bytes: Bytes) -> Result<Vec<String>, ClientError> {
    let read: ConsumerProtocolSubscription = unversioned(bytes, "a member's subscription")?;
    Ok(read.topics.iter().map(ToString::to_string).collect())
}

/// A member's assignment.
pub(super) fn write_assignment(partitions: &[TopicPartition]) -> Result<Bytes, ClientError> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topic = |(name, numbers)| {
        WirePartitions::default().with_topic(TopicName(text(name))).with_partitions(numbers)
    };
    versioned(
        &ConsumerProtocolAssignment::default()
            .with_assigned_partitions(topics.into_iter().map(topic).collect()),
    )
}

/// The partitions of a member's assignment, in order.
pub(super) fn read_assignment(bytes: Bytes) -> Result<Vec<TopicPartition>, ClientError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let read: ConsumerProtocolAssignment = unversioned(bytes, "this member's assignment")?;
    let flat = read.assigned_partitions.iter().flat_map(|topic| {
        topic.partitions.iter().map(|number| TopicPartition::new(topic.topic.as_str(), *number))
    });
    let mut partitions: Vec<TopicPartition> = flat.collect();
    partitions.sort();
    partitions.dedup();
    Ok(partitions)
}

fn versioned(message: &impl Encodable) -> Result<Bytes, ClientError> {
    let mut out = BytesMut::new();
    out.put_i16(VERSION);
    message.encode(&mut out, VERSION).map_err(|error| ClientError::Usage(error.to_string()))?;
    Ok(out.freeze())
}

fn unversioned<M: Decodable>(mut bytes: Bytes, what: &str) -> Result<M, ClientError> {
    let malformed = |reason: String| ClientError::Malformed { what: what.to_owned(), reason };
    let version = bytes.try_get_i16().map_err(|error| malformed(error.to_string()))?;
    if version < 0 {
        return Err(malformed(format!("expected a version from 0, found {version}")));
    }
    M::decode(&mut bytes, version.min(VERSION_MAX)).map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_partition_goes_to_exactly_one_subscriber_and_shares_differ_by_one_at_most(
            subscriptions in btree_map("[a-z]{4}", vec("[xyz]", 1..3), 1..6),
            counts in btree_map("[xyz]", 0_i32..12, 3),
        ) {
            let assigned = range(&subscriptions, &counts);
            for (topic, count) in &counts {
                let subscribed: Vec<&String> = subscriptions.iter()
                    .filter(|(_, topics)| topics.contains(topic)).map(|(member, _)| member).collect();
                let of = |member: &String| -> Vec<i32> {
                    assigned[member].iter().filter(|p| *p.topic == **topic).map(|p| p.partition).collect()
                };
                let mut all: Vec<i32> = assigned.keys().flat_map(of).collect();
                all.sort_unstable();
                if subscribed.is_empty() {
                    prop_assert!(all.is_empty());
                } else {
                    prop_assert_eq!(all, (0..*count).collect::<Vec<_>>());
                    let shares: Vec<usize> = subscribed.into_iter().map(|m| of(m).len()).collect();
                    prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
                }
            }
        }

        #[test]
        fn an_assignment_survives_the_wire(counts in btree_map("[a-z]{3}", 1_i32..5, 0..4)) {
            let member = BTreeMap::from([("m".to_owned(), counts.keys().cloned().collect())]);
            let partitions = range(&member, &counts).remove("m").unwrap();
            prop_assert_eq!(read_assignment(write_assignment(&partitions).unwrap()).unwrap(), partitions);
        }

        #[test]
        fn garbage_is_refused_without_panic(bytes in vec(any::<u8>(), 1..3)) {
            prop_assert!(read_assignment(bytes.clone().into()).is_err());
            prop_assert!(read_subscription(bytes.into()).is_err());
        }
    }
}
