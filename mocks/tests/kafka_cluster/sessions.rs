//! Fetch sessions (KIP-227), as a broker keeps them.

use std::time::Duration;

use kafka_protocol::messages::{fetch_request as fetch, *};
use squall_mocks::kafka::KafkaOptions;

use crate::log::{batch, produce_to};
use crate::wire::{Bench, Wire, text};

const VERSION: i16 = 12;
const NOT_FOUND: i16 = 70;
const WRONG_EPOCH: i16 = 71;

/// A request of a session for the start of some partitions.
fn asks(session: i32, epoch: i32, partitions: &[i32]) -> FetchRequest {
    let partition = |number: &i32| {
        fetch::FetchPartition::default().with_partition(*number).with_partition_max_bytes(1 << 20)
    };
    let topic = fetch::FetchTopic::default()
        .with_topic(TopicName(text("orders")))
        .with_partitions(partitions.iter().map(partition).collect());
    FetchRequest::default()
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_id(session)
        .with_session_epoch(epoch)
        .with_topics(if partitions.is_empty() { vec![] } else { vec![topic] })
}

fn forgets(mut request: FetchRequest, partitions: &[i32]) -> FetchRequest {
    let topic = fetch::ForgottenTopic::default()
        .with_topic(TopicName(text("orders")))
        .with_partitions(partitions.to_vec());
    request.forgotten_topics_data = vec![topic];
    request
}

/// Partitions of an answer in their order.
fn told(answer: &FetchResponse) -> Vec<i32> {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.partition_index).collect()
}

/// One node, one topic with four partitions, one connection.
async fn four(options: KafkaOptions) -> (Bench, Wire) {
    let bench = Bench::new(KafkaOptions {
        advertised: vec!["kafka-1:9092".to_owned()],
        default_replication_factor: 1,
        ..options
    });
    bench.cluster.create_topic("orders", 4).expect("created");
    let wire = bench.connect(1).await;
    (bench, wire)
}

async fn produce(wire: &mut Wire, partition: i32) {
    let answer = wire.call(9, produce_to("orders", partition, 1, batch("a", -1, -1, -1))).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_tells_what_is_new_and_puts_who_had_records_last() {
    let (_bench, mut wire) = four(KafkaOptions::brokers(1)).await;
    let full = wire.call(VERSION, asks(0, 0, &[0, 1, 2, 3])).await;
    assert_eq!(told(&full), [0, 1, 2, 3]);
    let session = full.session_id;
    assert!(session > 0);
    assert_eq!(told(&wire.call(VERSION, asks(session, 1, &[])).await), [0; 0]);
    produce(&mut wire, 1).await;
    produce(&mut wire, 3).await;
    // Records are told until the offset moves on; the two take turns.
    let news = wire.call(VERSION, asks(session, 2, &[])).await;
    assert_eq!((news.session_id, told(&news)), (session, vec![1, 3]));
    produce(&mut wire, 0).await;
    let news = wire.call(VERSION, asks(session, 3, &[])).await;
    assert_eq!(told(&news), [0, 1, 3]);
    let news = wire.call(VERSION, asks(session, 4, &[])).await;
    assert_eq!(told(&news), [0, 1, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_last_partition_and_epochs_must_follow_each_other() {
    let (_bench, mut wire) = four(KafkaOptions::brokers(1)).await;
    let session = wire.call(VERSION, asks(0, 0, &[0, 1])).await.session_id;
    for (id, epoch, error) in
        [(session, 2, WRONG_EPOCH), (session + 1, 1, NOT_FOUND), (i32::MAX, 1, NOT_FOUND), (-1, 1, NOT_FOUND)]
    {
        let answer = wire.call(VERSION, asks(id, epoch, &[])).await;
        assert_eq!((answer.error_code, answer.session_id, told(&answer)), (error, 0, vec![]));
    }
    let answer = wire.call(VERSION, forgets(asks(session, 1, &[]), &[0])).await;
    assert_eq!((answer.error_code, answer.session_id), (0, session));
    let answer = wire.call(VERSION, forgets(asks(session, 2, &[]), &[1])).await;
    assert_eq!((answer.error_code, answer.session_id), (0, 0));
    assert_eq!(wire.call(VERSION, asks(session, 3, &[])).await.error_code, NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_full_fetch_ends_the_session_it_names() {
    let (_bench, mut wire) = four(KafkaOptions::brokers(1)).await;
    let session = wire.call(VERSION, asks(0, 0, &[0])).await.session_id;
    let answer = wire.call(VERSION, asks(session, -1, &[0])).await;
    assert_eq!((answer.session_id, told(&answer)), (0, vec![0]));
    assert_eq!(wire.call(VERSION, asks(session, 1, &[])).await.error_code, NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_each_time_and_the_partition_again_when_it_is_over() {
    let (bench, mut wire) = four(KafkaOptions::brokers(1)).await;
    let session = wire.call(VERSION, asks(0, 0, &[0, 1])).await.session_id;
    bench.cluster.move_leader("orders", 1, None).expect("moved");
    for epoch in 1..3 {
        // Only the leader serves those below version 11, and sessions do not change their version.
        let answer = wire.call(10, asks(session, epoch, &[])).await;
        assert_eq!(told(&answer), [1]);
        assert_eq!(answer.responses[0].partitions[0].error_code, 6);
    }
    bench.cluster.move_leader("orders", 1, Some(1)).expect("moved");
    assert_eq!(told(&wire.call(10, asks(session, 3, &[])).await), [1]);
    assert_eq!(told(&wire.call(10, asks(session, 4, &[])).await), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_full_cache_gives_no_session_until_one_was_not_used_for_two_minutes() {
    // Eight shards with one slot each.
    let (_bench, mut wire) = four(KafkaOptions { fetch_session_slots: 8, ..KafkaOptions::brokers(1) }).await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(wire.call(VERSION, asks(0, 0, &[0])).await.session_id);
    }
    assert!(sessions.iter().all(|session| *session > 0));
    assert_eq!(wire.call(VERSION, asks(0, 0, &[0, 1])).await.session_id, 0, "every session is new");
    tokio::time::sleep(Duration::from_secs(121)).await;
    // The second shard's turn: its session has been used lately but is old, and has fewer partitions.
    assert_eq!(wire.call(VERSION, asks(sessions[1], 1, &[])).await.error_code, 0);
    assert!(wire.call(VERSION, asks(0, 0, &[0, 1])).await.session_id > 0);
    assert_eq!(wire.call(VERSION, asks(sessions[1], 2, &[])).await.error_code, NOT_FOUND);
    // The third's has not been used.
    assert!(wire.call(VERSION, asks(0, 0, &[0])).await.session_id > 0);
    assert_eq!(wire.call(VERSION, asks(sessions[2], 1, &[])).await.error_code, NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_to_ids_or_names_and_notices_a_topic_made_anew() {
    let (bench, mut wire) = four(KafkaOptions::brokers(1)).await;
    let id = crate::log::topic_id(&mut wire, "orders").await;
    let mut by_id = asks(0, 0, &[0]);
    by_id.topics[0].topic_id = id;
    by_id.topics[0].topic = TopicName::default();
    let session = wire.call(13, by_id).await.session_id;
    assert_eq!(wire.call(VERSION, asks(session, 1, &[])).await.error_code, 106);
    bench.cluster.delete_topic("orders").expect("deleted");
    let code = |answer: &FetchResponse| answer.responses[0].partitions[0].error_code;
    assert_eq!(code(&wire.call(13, asks(session, 1, &[])).await), 3);
    bench.cluster.create_topic("orders", 4).expect("created");
    let answer = wire.call(13, asks(session, 2, &[])).await;
    assert_eq!((code(&answer), answer.responses[0].topic_id), (103, id));
}

#[tokio::test(start_paused = true)]
async fn sessions_die_with_their_node() {
    let (bench, mut wire) = four(KafkaOptions::brokers(1)).await;
    let session = wire.call(VERSION, asks(0, 0, &[0])).await.session_id;
    bench.cluster.node_down(1).expect("a node");
    bench.cluster.node_up(1).expect("a node");
    let mut wire = bench.connect(1).await;
    assert_eq!(wire.call(VERSION, asks(session, 1, &[])).await.error_code, NOT_FOUND);
}
