//! Requests about topics that ask for something wrong, or for the same thing twice.

use kafka_protocol::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use uuid::Uuid;

use crate::wire::{Bench, Wire, text};

/// Partitions and the brokers of each.
type Placed<'a> = &'a [(i32, &'a [i32])];

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn topic(called: &str, partitions: i32) -> CreatableTopic {
    let topic = CreatableTopic::default().with_name(name(called));
    topic.with_num_partitions(partitions).with_replication_factor(1)
}

/// Names, errors and messages of the answer to a creation that is only tried.
async fn tried(wire: &mut Wire, topics: Vec<CreatableTopic>) -> Vec<(String, i16, String)> {
    let answer =
        wire.call(7, CreateTopicsRequest::default().with_topics(topics).with_validate_only(true)).await;
    let one = |topic: create_topics_response::CreatableTopicResult| {
        (topic.name.to_string(), topic.error_code, topic.error_message.unwrap_or_default().to_string())
    };
    answer.topics.into_iter().map(one).collect()
}

async fn metadata(wire: &mut Wire, version: i16, topics: Vec<MetadataRequestTopic>) -> MetadataResponse {
    wire.call(version, MetadataRequest::default().with_topics(Some(topics))).await
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_named_twice_is_told_once() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    let orders = MetadataRequestTopic::default().with_name(Some(name("orders")));
    assert_eq!(metadata(&mut wire, 9, vec![orders.clone(), orders]).await.topics.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_id_in_a_version_that_knows_none_fails_the_whole_request() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let by_id = MetadataRequestTopic::default().with_name(Some(name(""))).with_topic_id(Uuid::from_u128(7));
    let answer = metadata(&mut wire, 10, vec![by_id]).await;
    assert_eq!((answer.topics[0].error_code, answer.brokers.len()), (42, 0));
}

#[tokio::test(start_paused = true)]
async fn names_that_differ_only_in_dots_and_underscores_collide() {
    let bench = Bench::three();
    bench.cluster.create_topic("a.b", 1).expect("created");
    let mut wire = bench.connect(1).await;
    let found = tried(&mut wire, vec![topic("a_b", 1), topic("a-b", 1)]).await;
    let reason = "Topic 'a_b' collides with existing topic: a.b".to_owned();
    assert_eq!(found[0], ("a_b".to_owned(), 17, reason));
    assert_eq!(found[1].1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_created_twice_in_a_request_is_refused_once_and_the_others_are_not() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let mut found = tried(&mut wire, vec![topic("a", 1), topic("b", 1), topic("a", 2)]).await;
    found.sort();
    let found: Vec<(&str, i16)> = found.iter().map(|(name, code, _)| (&**name, *code)).collect();
    assert_eq!(found, [("a", 42), ("b", 0)]);
}

#[tokio::test(start_paused = true)]
async fn too_many_partitions_in_a_request_refuse_all_its_topics() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let found = tried(&mut wire, vec![topic("a", 10_000), topic("b", 1)]).await;
    assert_eq!(found.iter().map(|(_, code, _)| *code).collect::<Vec<_>>(), [44, 44]);
    assert_eq!(tried(&mut wire, vec![topic("a", 9_999), topic("b", 1)]).await[0].1, 0);
}

#[tokio::test(start_paused = true)]
async fn replicas_that_cannot_be_are_refused_with_their_reason() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let placed = |partitions: Placed<'_>| {
        let one = |(number, brokers): &(i32, &[i32])| {
            let brokers = brokers.iter().copied().map(BrokerId).collect();
            CreatableReplicaAssignment::default().with_partition_index(*number).with_broker_ids(brokers)
        };
        let assignments = partitions.iter().map(one).collect();
        vec![topic("a", -1).with_replication_factor(-1).with_assignments(assignments)]
    };
    let cases: [(Placed<'_>, &str); 6] = [
        (&[(0, &[])], "empty replica list"),
        (&[(0, &[1, 1])], "the broker 1 more than once"),
        (&[(0, &[9])], "broker 9, but no such broker is registered"),
        (&[(0, &[1, 2]), (1, &[3])], "which have 2 replica(s)"),
        (&[(0, &[1]), (0, &[2])], "multiple manual partition assignments for partition 0"),
        (&[(1, &[1])], "consecutive 0-based"),
    ];
    for (assignment, reason) in cases {
        let found = tried(&mut wire, placed(assignment)).await;
        assert!(found[0].1 == 39 && found[0].2.contains(reason), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_deleted_twice_in_a_request_stays() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    let asked = MetadataRequestTopic::default().with_name(Some(name("orders")));
    let id = metadata(&mut wire, 12, vec![asked]).await.topics[0].topic_id;
    let by_name = DeleteTopicState::default().with_name(Some(name("orders")));
    let by_id = DeleteTopicState::default().with_name(None).with_topic_id(id);
    for topics in
        [vec![by_name.clone(), by_name.clone()], vec![by_id.clone(), by_id.clone()], vec![by_name, by_id]]
    {
        let answer = wire.call(6, DeleteTopicsRequest::default().with_topics(topics)).await;
        assert_eq!(answer.responses.iter().map(|one| one.error_code).collect::<Vec<_>>(), [42]);
        assert_eq!(bench.cluster.end_offset("orders", 0), Some(0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_for_unknown_partitions_makes_no_group() {
    use offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let partitions = vec![OffsetCommitRequestPartition::default().with_committed_offset(3)];
    let topic = OffsetCommitRequestTopic::default().with_name(name("nothing")).with_partitions(partitions);
    let request =
        OffsetCommitRequest::default().with_group_id(GroupId(text("group"))).with_topics(vec![topic]);
    let answer = wire.call(7, request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 3);
    assert!(bench.cluster.group("group").is_none());
}
