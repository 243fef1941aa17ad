//! More partitions, other replicas, elections, and what is told of them.

use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::*;

use crate::log::produce_one;
use crate::wire::{Bench, Wire, text};

/// The topic, how many partitions it is to have, the replicas of the new ones; the error and its message.
type Case<'a> = (&'a str, i32, Option<&'a [&'a [i32]]>, (i16, &'a str));

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

fn ids(nodes: &[i32]) -> Vec<BrokerId> {
    nodes.iter().copied().map(BrokerId).collect()
}

/// Replicas and replicas in sync of a partition, as a node tells them.
async fn replicas(wire: &mut Wire, partition: usize) -> (Vec<i32>, Vec<i32>) {
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![TopicRequest::default().with_name(topic("orders"))])
        .with_response_partition_limit(100);
    let told = wire.call(0, request).await.topics.remove(0).partitions.remove(partition);
    let numbers = |nodes: Vec<BrokerId>| nodes.into_iter().map(|node| node.0).collect();
    (numbers(told.replica_nodes), numbers(told.isr_nodes))
}

async fn reassign(wire: &mut Wire, target: Option<&[i32]>, other_factor: bool) -> (i16, String) {
    let partition = ReassignablePartition::default().with_partition_index(0).with_replicas(target.map(ids));
    let topic = ReassignableTopic::default().with_name(topic("orders")).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default()
        .with_topics(vec![topic])
        .with_allow_replication_factor_change(other_factor);
    let told = wire.call(1, request).await.responses.remove(0).partitions.remove(0);
    (told.error_code, told.error_message.map(|message| message.to_string()).unwrap_or_default())
}

async fn under_way(wire: &mut Wire) -> usize {
    let all = ListPartitionReassignmentsRequest::default().with_topics(None);
    wire.call(0, all).await.topics.len()
}

#[tokio::test(start_paused = true)]
async fn partitions_are_added_and_refused_with_kafkas_words() {
    let bench = Bench::three();
    bench.cluster.create_topic_with("orders", 2, 2, &[]).expect("created");
    let mut wire = bench.connect(1).await;
    let already = (37, "Topic already has 2 partition(s).");
    let fewer = (37, "The topic orders currently has 2 partition(s); 1 would not be an increase.");
    let lists = (39, "Attempted to add 1 additional partition(s), but only 2 assignment(s) were specified.");
    let factor = "The manual partition assignment includes a partition with 1 replica(s), but this is not \
                  consistent with previous partitions, which have 2 replica(s).";
    let unknown = "The manual partition assignment includes broker 9, but no such broker is registered.";
    let twice = "The manual partition assignment includes the broker 1 more than once.";
    let cases: [Case<'_>; 8] = [
        ("nothing", 3, None, (3, "")),
        ("orders", 2, None, already),
        ("orders", 1, None, fewer),
        ("orders", 3, Some(&[&[1, 2], &[1, 2]]), lists),
        ("orders", 3, Some(&[&[1]]), (39, factor)),
        ("orders", 3, Some(&[&[1, 9]]), (39, unknown)),
        ("orders", 3, Some(&[&[1, 1]]), (39, twice)),
        ("orders", 3, Some(&[&[3, 1]]), (0, "")),
    ];
    for (name, count, assignments, (code, message)) in cases {
        let lists = assignments.map(|lists| {
            let list = |nodes: &&[i32]| CreatePartitionsAssignment::default().with_broker_ids(ids(nodes));
            lists.iter().map(list).collect()
        });
        let asked =
            CreatePartitionsTopic::default().with_name(topic(name)).with_count(count).with_assignments(lists);
        let request = CreatePartitionsRequest::default().with_topics(vec![asked]);
        let dry = wire.call(3, request.clone().with_validate_only(true)).await;
        assert_eq!(dry.results[0].error_code, code);
        assert_eq!(bench.cluster.leader("orders", 2), None);
        let told = wire.call(3, request).await.results.remove(0);
        let found = told.error_message.map(|message| message.to_string()).unwrap_or_default();
        assert_eq!((told.error_code, found.as_str()), (code, message));
    }
    assert_eq!(bench.cluster.leader("orders", 2), Some(3));
    let request = |version| {
        let topic = CreatePartitionsTopic::default().with_name(topic("orders")).with_assignments(None);
        CreatePartitionsRequest::default().with_topics(vec![topic.with_count(4 + i32::from(version))])
    };
    for version in wire.versions(ApiKey::CreatePartitions).await {
        assert_eq!(wire.call(version, request(version)).await.results[0].error_code, 0);
        assert_eq!(bench.cluster.end_offset("orders", 3 + i32::from(version)), Some(0));
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_are_told_in_pages_that_join_up() {
    let bench = Bench::three();
    for name in ["b", "a", "c"] {
        bench.cluster.create_topic(name, 3).expect("created");
    }
    let mut wire = bench.connect(2).await;
    for limit in 0..12 {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let asked = ["c", "a", "b", "nothing"].map(|name| TopicRequest::default().with_name(topic(name)));
            let request = DescribeTopicPartitionsRequest::default()
                .with_topics(asked.to_vec())
                .with_response_partition_limit(limit)
                .with_cursor(cursor);
            let answer = wire.call(0, request).await;
            for topic in answer.topics {
                let name = topic.name.expect("a name").to_string();
                assert!(topic.partitions.len() <= usize::try_from(limit.max(1)).expect("small"));
                assert_eq!(topic.error_code, if name == "nothing" { 3 } else { 0 });
                seen.extend(topic.partitions.iter().map(|p| (name.clone(), p.partition_index)));
            }
            let Some(next) = answer.next_cursor else { break };
            cursor = Some(
                Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index),
            );
        }
        let all = ["a", "b", "c"].into_iter().flat_map(|name| (0..3).map(move |p| (name.to_owned(), p)));
        assert_eq!(seen, all.collect::<Vec<_>>(), "limit {limit}");
    }
    let astray = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![TopicRequest::default().with_name(topic("a"))])
        .with_cursor(Some(Cursor::default().with_topic_name(topic("b"))));
    assert_eq!(wire.call(0, astray).await.topics[0].error_code, 42);
}

#[tokio::test(start_paused = true)]
async fn a_reassignment_to_live_brokers_is_complete_at_once_and_keeps_the_records() {
    let bench = Bench::three();
    bench.cluster.create_topic_with("orders", 1, 1, &[]).expect("created");
    let first = bench.cluster.leader("orders", 0).expect("a leader");
    produce_one(&mut bench.connect(first).await, "orders", "a").await;
    let second = first % 3 + 1;
    let mut wire = bench.connect(second).await;
    assert_eq!(reassign(&mut wire, Some(&[second]), false).await, (0, String::new()));
    assert_eq!(under_way(&mut wire).await, 0);
    assert_eq!(replicas(&mut wire, 0).await, (vec![second], vec![second]));
    assert_eq!(bench.cluster.leader("orders", 0), Some(second));
    assert_eq!(produce_one(&mut wire, "orders", "b").await, (0, 1));
    let changed = "The replication factor is changed from 1 to 2".to_owned();
    assert_eq!(reassign(&mut wire, Some(&[1, 2]), false).await, (38, changed));
    assert_eq!(reassign(&mut wire, Some(&[1, 2]), true).await.0, 0);
    assert_eq!(replicas(&mut wire, 0).await.0, [1, 2]);
    assert_eq!(reassign(&mut wire, None, true).await, (85, String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_reassignment_to_a_dead_broker_waits_for_it_or_is_cancelled() {
    let bench = Bench::three();
    bench.cluster.create_topic_with("orders", 1, 3, &[]).expect("created");
    let mut wire = bench.connect(1).await;
    assert_eq!(reassign(&mut wire, Some(&[1]), true).await.0, 0);
    bench.cluster.node_down(3).expect("a node");
    for cancel in [true, false] {
        assert_eq!(reassign(&mut wire, Some(&[2, 3]), true).await.0, 0);
        assert_eq!(under_way(&mut wire).await, 1);
        // The one that lives has joined already.
        assert_eq!(replicas(&mut wire, 0).await, (vec![2, 3, 1], vec![1, 2]));
        if cancel {
            assert_eq!(reassign(&mut wire, None, true).await.0, 0);
            assert_eq!((under_way(&mut wire).await, replicas(&mut wire, 0).await.0), (0, vec![1]));
        }
    }
    bench.cluster.node_up(3).expect("a node");
    assert_eq!(under_way(&mut wire).await, 0);
    let (replicas, mut isr) = replicas(&mut wire, 0).await;
    isr.sort_unstable();
    assert_eq!((replicas, isr), (vec![2, 3], vec![2, 3]));
    assert_eq!(bench.cluster.leader("orders", 0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn the_preferred_leader_is_elected_only_if_it_is_not_the_leader() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let preferred = bench.cluster.leader("orders", 0).expect("a leader");
    let mut wire = bench.connect(1).await;
    for version in wire.versions(ApiKey::ElectLeaders).await {
        let elect = |topics| ElectLeadersRequest::default().with_topic_partitions(topics);
        let one =
            || Some(vec![TopicPartitions::default().with_topic(topic("orders")).with_partitions(vec![0, 9])]);
        let told = wire.call(version, elect(one())).await.replica_election_results.remove(0);
        let codes: Vec<i16> = told.partition_result.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [84, 3]);
        bench.cluster.move_leader_on("orders", 0).expect("a partition");
        let told = wire.call(version, elect(None)).await.replica_election_results;
        let changed = told.iter().flat_map(|topic| &topic.partition_result).map(|result| result.error_code);
        assert_eq!(changed.collect::<Vec<_>>(), [0]);
        assert_eq!(bench.cluster.leader("orders", 0), Some(preferred));
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_tells_the_sizes_of_its_own_replicas() {
    let bench = Bench::three();
    bench.cluster.create_topic_with("orders", 1, 1, &[]).expect("created");
    let leader = bench.cluster.leader("orders", 0).expect("a leader");
    let mut sizes = Vec::new();
    for _ in 0..2 {
        produce_one(&mut bench.connect(leader).await, "orders", "a").await;
        let mut of_node = Vec::new();
        for node in 1..=3 {
            let all = DescribeLogDirsRequest::default().with_topics(None);
            let told = bench.connect(node).await.call(4, all).await.results.remove(0);
            let orders = told.topics.into_iter().find(|found| found.name == topic("orders"));
            of_node.push(orders.map(|orders| orders.partitions[0].partition_size));
        }
        let index = usize::try_from(leader - 1).expect("a node");
        let size = of_node.remove(index).expect("the leader has it");
        assert_eq!(of_node, [None, None]);
        sizes.push(size);
    }
    assert!(sizes[0] > 0 && sizes[1] == 2 * sizes[0], "{sizes:?}");
}
