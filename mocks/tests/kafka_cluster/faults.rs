//! Every act of a fault rule, and what it does to the log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_protocol::messages::*;
use squall_mocks::kafka::KafkaMatch;
use squall_mocks::observe::What;
use squall_mocks::rule::{Act, Rule};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use crate::log::{batch, fetch_from, produce_one, produce_to, read};
use crate::wire::{Bench, Wire, text};

/// A cluster with a topic, one rule on produce requests, and a connection to the leader.
async fn ruled(act: Act) -> (Bench, Wire) {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 2).expect("created");
    bench.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), act).times(1));
    let wire = bench.leader("orders", 0).await;
    (bench, wire)
}

#[tokio::test(start_paused = true)]
async fn an_error_before_keeps_the_records_out_and_one_after_lets_them_in() {
    let cases = [
        (Act::Error("NOT_ENOUGH_REPLICAS".to_owned()), 19, 0),
        (Act::ErrorAfter("NETWORK_EXCEPTION".to_owned()), 13, 1),
        // A broker gives these two only after the work.
        (Act::Error("REQUEST_TIMED_OUT".to_owned()), 7, 1),
        (Act::Error("NO_SUCH_ERROR".to_owned()), -1, 0),
    ];
    for (act, error, end) in cases {
        let (bench, mut wire) = ruled(act).await;
        assert_eq!(produce_one(&mut wire, "orders", "a").await.0, error);
        assert_eq!(bench.cluster.end_offset("orders", 0), Some(end));
        assert_eq!(produce_one(&mut wire, "orders", "b").await, (0, end));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_on_one_partition_leaves_the_others_of_the_request_alone() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 2).expect("created");
    // Both partitions on one node, so that one request can have them both.
    bench.cluster.move_leader("orders", 0, Some(1)).expect("moved");
    bench.cluster.move_leader("orders", 1, Some(1)).expect("moved");
    let matcher = KafkaMatch::api("produce").topic("orders").partition(1);
    bench.cluster.rules().add(Rule::new(matcher, Act::Error("NOT_LEADER_OR_FOLLOWER".to_owned())));
    let mut request = produce_to("orders", 0, -1, batch("a", -1, -1, -1));
    let second =
        produce_to("orders", 1, -1, batch("b", -1, -1, -1)).topic_data.remove(0).partition_data.remove(0);
    request.topic_data[0].partition_data.push(second);
    let answer = bench.connect(1).await.call(9, request).await;
    let errors: Vec<i16> = answer.responses[0].partition_responses.iter().map(|p| p.error_code).collect();
    assert_eq!(errors, [0, 6]);
    assert_eq!(bench.cluster.end_offset("orders", 0), Some(1));
    assert_eq!(bench.cluster.end_offset("orders", 1), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_dropped_before_keeps_the_records_out_and_one_dropped_after_loses_the_acknowledgement() {
    for (act, end) in [(Act::DropBefore, 0), (Act::DropAfter, 1)] {
        let (bench, mut wire) = ruled(act).await;
        wire.send(9, &produce_to("orders", 0, -1, batch("a", -1, -1, -1))).await;
        assert!(wire.is_closed().await);
        assert_eq!(bench.cluster.end_offset("orders", 0), Some(end));
    }
}

#[tokio::test(start_paused = true)]
async fn delays_come_before_or_after_the_work() {
    let wait = Duration::from_secs(5);
    for (act, end_meanwhile) in [(Act::Delay(wait), 0), (Act::DelayAfter(wait), 1)] {
        let (bench, mut wire) = ruled(act).await;
        let start = Instant::now();
        wire.send(9, &produce_to("orders", 0, -1, batch("a", -1, -1, -1))).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(bench.cluster.end_offset("orders", 0), Some(end_meanwhile));
        wire.receive::<ProduceRequest>(9).await.expect("an answer");
        assert_eq!(start.elapsed().as_secs(), 5);
        assert_eq!(bench.cluster.end_offset("orders", 0), Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silenced_request_is_neither_applied_nor_answered_and_the_next_one_is() {
    let (bench, mut wire) = ruled(Act::Silence).await;
    wire.send(9, &produce_to("orders", 0, -1, batch("a", -1, -1, -1))).await;
    assert!(timeout(Duration::from_secs(60), wire.receive_frame()).await.is_err());
    assert_eq!(bench.cluster.end_offset("orders", 0), Some(0));
    assert_eq!(produce_one(&mut wire, "orders", "b").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_ends_the_connection_after_its_bytes() {
    let (bench, mut wire) = ruled(Act::Truncate(5)).await;
    wire.send(9, &produce_to("orders", 0, -1, batch("a", -1, -1, -1))).await;
    let mut bytes = Vec::new();
    wire.stream.read_to_end(&mut bytes).await.expect("the end");
    assert_eq!(bytes.len(), 5);
    assert_eq!(bench.cluster.end_offset("orders", 0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_corrupted_batch_has_a_wrong_checksum_and_the_log_has_the_right_one() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.leader("orders", 0).await;
    produce_one(&mut wire, "orders", "a").await;
    let records = |answer: FetchResponse| answer.responses[0].partitions[0].records.clone().expect("records");
    let good = records(wire.call(12, fetch_from("orders", 0, 0)).await);
    let topics = wire.call(12, MetadataRequest::default().with_topics(None)).await.topics;
    let id =
        topics.iter().find(|it| it.name.as_ref().is_some_and(|it| &***it == "orders")).expect("it").topic_id;
    let matcher = || KafkaMatch::api("fetch").topic("orders").partition(0);
    for (version, partition, is_wrong) in [(12, 0, true), (17, 0, true), (17, 1, false)] {
        let rule = Rule::new(matcher().partition(partition), Act::CorruptCrc).times(1);
        let handle = bench.cluster.rules().add(rule);
        let mut fetch = fetch_from("orders", 0, 0);
        if version == 17 {
            fetch.topics[0] = std::mem::take(&mut fetch.topics[0]).with_topic_id(id);
        }
        let found = records(wire.call(version, fetch).await);
        handle.remove();
        let differing = good.iter().zip(&found).filter(|(a, b)| a != b).count();
        assert_eq!((found.len(), differing), (good.len(), usize::from(is_wrong)), "version {version}");
        let checksum = u32::from_be_bytes(found[17..21].try_into().expect("4 bytes"));
        assert_eq!(checksum != crc32c::crc32c(&found[21..]), is_wrong);
    }
    assert_eq!(records(wire.call(12, fetch_from("orders", 0, 0)).await), good);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_client_is_told_so_and_not_listened_to_for_that_time() {
    let (bench, mut wire) = ruled(Act::Throttle(Duration::from_secs(3))).await;
    let start = Instant::now();
    let answer = wire.call(9, produce_to("orders", 0, -1, batch("a", -1, -1, -1))).await;
    assert_eq!((answer.throttle_time_ms, start.elapsed().as_secs()), (3000, 0));
    assert_eq!(bench.cluster.end_offset("orders", 0), Some(1));
    assert_eq!(produce_one(&mut wire, "orders", "b").await, (0, 1));
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn stale_metadata_is_that_before_the_last_change() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    bench.cluster.create_topic("payments", 1).expect("created");
    bench.cluster.rules().add(Rule::new(KafkaMatch::api("metadata"), Act::StaleMetadata).times(1));
    let mut wire = bench.connect(1).await;
    for topics in [1, 2] {
        let answer = wire.call(12, MetadataRequest::default().with_topics(None)).await;
        let known =
            answer.topics.iter().filter(|it| it.name.as_ref().is_some_and(|it| !it.starts_with("__")));
        assert_eq!(known.count(), topics);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_waits_can_lose_its_answer_too() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let handle = bench.cluster.rules().add(Rule::new(KafkaMatch::api("fetch"), Act::DropAfter).times(1));
    let (mut reader, mut writer) = (bench.leader("orders", 0).await, bench.leader("orders", 0).await);
    reader.send(11, &fetch_from("orders", 0, 60_000)).await;
    handle.wait(1).await;
    produce_one(&mut writer, "orders", "a").await;
    assert!(reader.is_closed().await);
    let mut reader = bench.leader("orders", 0).await;
    assert_eq!(read(&reader.call(11, fetch_from("orders", 0, 0)).await).1, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn every_api_can_answer_any_error() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let rules = bench.cluster.rules();
    rules.add(Rule::new(
        KafkaMatch::default().client_id("wire"),
        Act::Error("KAFKA_STORAGE_ERROR".to_owned()),
    ));
    let mut wire = bench.leader("orders", 0).await;
    assert_eq!(produce_one(&mut wire, "orders", "a").await.0, 56);
    assert_eq!(read(&wire.call(11, fetch_from("orders", 0, 60_000)).await).0, 56);
    let group = || GroupId(text("g"));
    assert_eq!(wire.call(0, ApiVersionsRequest::default()).await.error_code, 56);
    assert_eq!(wire.call(12, MetadataRequest::default().with_topics(None)).await.topics[0].error_code, 56);
    assert_eq!(wire.call(2, FindCoordinatorRequest::default()).await.error_code, 56);
    assert_eq!(wire.call(5, JoinGroupRequest::default().with_group_id(group())).await.error_code, 56);
    assert_eq!(wire.call(3, SyncGroupRequest::default().with_group_id(group())).await.error_code, 56);
    assert_eq!(wire.call(3, HeartbeatRequest::default().with_group_id(group())).await.error_code, 56);
    assert_eq!(wire.call(3, LeaveGroupRequest::default().with_group_id(group())).await.error_code, 56);
    assert_eq!(wire.call(5, OffsetFetchRequest::default().with_group_id(group())).await.error_code, 56);
    assert_eq!(wire.call(4, InitProducerIdRequest::default()).await.error_code, 56);
    assert_eq!(wire.call(0, DescribeClusterRequest::default()).await.error_code, 56);
    assert_eq!(wire.call(4, ListGroupsRequest::default()).await.error_code, 56);
    let described = DescribeGroupsRequest::default().with_groups(vec![group()]);
    assert_eq!(wire.call(4, described).await.groups[0].error_code, 56);
    let orders = || TopicName(text("orders"));
    let topic = create_topics_request::CreatableTopic::default().with_name(TopicName(text("new")));
    let created = wire.call(5, CreateTopicsRequest::default().with_topics(vec![topic])).await;
    assert_eq!(created.topics[0].error_code, 56);
    let deleted = wire.call(5, DeleteTopicsRequest::default().with_topic_names(vec![orders()])).await;
    assert_eq!(deleted.responses[0].error_code, 56);
    let resource = describe_configs_request::DescribeConfigsResource::default().with_resource_type(2);
    let resources = vec![resource.with_resource_name(text("orders"))];
    let configs = wire.call(4, DescribeConfigsRequest::default().with_resources(resources)).await;
    assert_eq!(configs.results[0].error_code, 56);
    let topic = list_offsets_request::ListOffsetsTopic::default().with_name(orders());
    let topics = vec![topic.with_partitions(vec![Default::default()])];
    let listed = wire.call(7, ListOffsetsRequest::default().with_topics(topics)).await;
    assert_eq!(listed.topics[0].partitions[0].error_code, 56);
    let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(orders());
    let topics = vec![topic.with_partitions(vec![Default::default()])];
    let ends = wire.call(3, OffsetForLeaderEpochRequest::default().with_topics(topics)).await;
    assert_eq!(ends.topics[0].partitions[0].error_code, 56);
    let topic = offset_commit_request::OffsetCommitRequestTopic::default().with_name(orders());
    let topics = vec![topic.with_partitions(vec![Default::default()])];
    let commit = OffsetCommitRequest::default().with_group_id(group()).with_topics(topics);
    assert_eq!(wire.call(6, commit).await.topics[0].partitions[0].error_code, 56);
    assert_eq!(bench.cluster.end_offset("orders", 0), Some(0), "nothing was done");
}

#[tokio::test(start_paused = true)]
async fn rules_pick_their_node_group_and_client() {
    let bench = Bench::three();
    let error = || Act::Error("NOT_COORDINATOR".to_owned());
    let rules = bench.cluster.rules();
    rules.add(Rule::new(KafkaMatch::api("describe-cluster").node(2), error()));
    rules.add(Rule::new(KafkaMatch::api("find-coordinator").group("a"), error()));
    rules.add(Rule::new(KafkaMatch::api("metadata").client_id("somebody else"), error()));
    for (node, code) in [(1, 0), (2, 16)] {
        let mut wire = bench.connect(node).await;
        assert_eq!(wire.call(0, DescribeClusterRequest::default()).await.error_code, code);
    }
    let mut wire = bench.connect(1).await;
    for (group, code) in [("a", 16), ("b", 0)] {
        let request = FindCoordinatorRequest::default().with_key(text(group));
        assert_eq!(wire.call(2, request).await.error_code, code);
    }
    assert_eq!(wire.call(12, MetadataRequest::default().with_topics(None)).await.topics[0].error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn requests_and_rules_are_seen_by_an_observer() {
    let (bench, mut wire) = ruled(Act::Error("NOT_ENOUGH_REPLICAS".to_owned())).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    bench.cluster.observe(Arc::new(move |sighting| sink.lock().expect("no panic").push(sighting)));
    produce_one(&mut wire, "orders", "a").await;
    produce_one(&mut wire, "orders", "b").await;
    let seen: Vec<What> =
        seen.lock().expect("no panic").iter().map(|sighting| sighting.what.clone()).collect();
    let rule = What::Rule { name: "rule-1".to_owned(), request: "produce orders-0".to_owned() };
    let request = |text: &str| What::Request(text.to_owned());
    assert_eq!(seen, [rule, request("produce v9 NOT_ENOUGH_REPLICAS"), request("produce v9 NONE")]);
}
