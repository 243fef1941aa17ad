//! What brokers tell, and how they can be made to lag or lie.

use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::*;
use squall_mocks::kafka::KafkaOptions;
use uuid::Uuid;

use crate::log::{fetch_from, produce_one, read};
use crate::wire::{Bench, Wire, text};

async fn told(wire: &mut Wire, version: i16, topic: &str) -> MetadataResponseTopic {
    let asked = MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
    let request =
        MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(true);
    wire.call(version, request).await.topics.remove(0)
}

async fn told_by_id(wire: &mut Wire, id: Uuid) -> MetadataResponseTopic {
    let asked = MetadataRequestTopic::default().with_name(None).with_topic_id(id);
    wire.call(12, MetadataRequest::default().with_topics(Some(vec![asked]))).await.topics.remove(0)
}

#[tokio::test(start_paused = true)]
async fn topics_are_told_by_name_in_every_version_and_by_id() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 3).expect("created");
    let mut wire = bench.connect(2).await;
    for version in wire.versions(ApiKey::Metadata).await {
        let topic = told(&mut wire, version, "orders").await;
        assert_eq!((topic.error_code, topic.partitions.len()), (0, 3));
        let leader = Some(topic.partitions[0].leader_id.0);
        assert_eq!(leader, bench.cluster.leader("orders", 0));
        assert_eq!(told(&mut wire, version, "nothing").await.error_code, 3);
        assert_eq!(told(&mut wire, version, "no/thing").await.error_code, 17);
    }
    let id = told(&mut wire, 12, "orders").await.topic_id;
    assert_eq!(told_by_id(&mut wire, id).await.name, Some(TopicName(text("orders"))));
    assert_eq!(told_by_id(&mut wire, Uuid::from_u128(9)).await.error_code, 100);
}

#[tokio::test(start_paused = true)]
async fn topics_are_created_validated_and_deleted_in_every_version() {
    let bench = Bench::three();
    let mut wire = bench.connect(3).await;
    let orders = || {
        CreatableTopic::default()
            .with_name(TopicName(text("orders")))
            .with_num_partitions(2)
            .with_replication_factor(2)
    };
    for version in wire.versions(ApiKey::CreateTopics).await {
        let request = CreateTopicsRequest::default().with_topics(vec![orders()]);
        let dry = wire.call(version, request.clone().with_validate_only(true)).await;
        assert_eq!(dry.topics[0].error_code, 0);
        assert_eq!(wire.call(version, request.clone()).await.topics[0].error_code, 0);
        assert_eq!(wire.call(version, request).await.topics[0].error_code, 36);
        bench.cluster.delete_topic("orders").expect("it was created");
    }
    for version in wire.versions(ApiKey::DeleteTopics).await {
        bench.cluster.create_topic("orders", 1).expect("created");
        let by_name = DeleteTopicsRequest::default();
        let state = delete_topics_request::DeleteTopicState::default();
        let name = TopicName(text("orders"));
        let request = match version {
            ..6 => by_name.with_topic_names(vec![name]),
            _ => by_name.with_topics(vec![state.with_name(Some(name))]),
        };
        assert_eq!(wire.call(version, request.clone()).await.responses[0].error_code, 0);
        assert_eq!(wire.call(version, request).await.responses[0].error_code, 3);
    }
    let wrong = [
        (orders().with_num_partitions(0), 37),
        (orders().with_replication_factor(4), 38),
        (orders().with_name(TopicName(text("a b"))), 17),
        (orders().with_configs(vec![CreatableTopicConfig::default().with_name(text("no.such"))]), 40),
    ];
    for (topic, error) in wrong {
        let answer = wire.call(7, CreateTopicsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(answer.topics[0].error_code, error);
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_again_has_another_id_and_no_records() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    let before = told(&mut wire, 12, "orders").await.topic_id;
    produce_one(&mut bench.leader("orders", 0).await, "orders", "a").await;
    bench.cluster.delete_topic("orders").expect("deleted");
    assert_eq!(told_by_id(&mut wire, before).await.error_code, 100);
    bench.cluster.create_topic("orders", 1).expect("created");
    assert_ne!(told(&mut wire, 12, "orders").await.topic_id, before);
    assert_eq!(bench.cluster.end_offset("orders", 0), Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_topic_is_created_on_demand_only_if_that_is_on() {
    for (on, expected) in [(false, None), (true, Some(0))] {
        let bench = Bench::new(KafkaOptions { auto_create_topics: on, ..KafkaOptions::brokers(1) });
        let mut wire = bench.connect(1).await;
        // Twice in one go: the controller has not created it yet.
        assert_eq!(told(&mut wire, 12, "orders").await.error_code, 3);
        assert_eq!(told(&mut wire, 12, "orders").await.error_code, 3);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(bench.cluster.end_offset("orders", 0), expected);
        assert_eq!(told(&mut wire, 12, "orders").await.error_code, if on { 0 } else { 3 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_lagging_broker_neither_tells_of_a_topic_nor_leads_it_until_it_has_caught_up() {
    let bench = Bench::three();
    for node in 1..=3 {
        bench.cluster.set_metadata_lag(node, Some(Duration::from_secs(6))).expect("a node");
    }
    bench.cluster.set_metadata_lag(1, None).expect("a node");
    bench.cluster.create_topic("orders", 3).expect("created");
    let led_by_2 = (0..3).find(|p| bench.cluster.leader("orders", *p) == Some(2)).expect("striped");
    let (mut first, mut second) = (bench.connect(1).await, bench.connect(2).await);
    let mut fetch = fetch_from("orders", 0, 0);
    fetch.topics[0].partitions[0].partition = led_by_2;
    assert_eq!(told(&mut first, 12, "orders").await.error_code, 0);
    assert_eq!(told(&mut second, 12, "orders").await.error_code, 3);
    assert_eq!(read(&second.call(11, fetch.clone()).await).0, 3);
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(told(&mut second, 12, "orders").await.error_code, 0);
    assert_eq!(read(&second.call(11, fetch).await).0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_is_still_told_by_a_lagging_broker_which_does_not_serve_it() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let leader = bench.cluster.leader("orders", 0).expect("a leader");
    bench.cluster.set_metadata_lag(leader, Some(Duration::from_secs(6))).expect("a node");
    let mut wire = bench.connect(leader).await;
    bench.cluster.delete_topic("orders").expect("deleted");
    assert_eq!(told(&mut wire, 12, "orders").await.error_code, 0);
    assert_eq!(produce_one(&mut wire, "orders", "a").await.0, 6);
    bench.cluster.set_metadata_lag(leader, None).expect("a node");
    assert_eq!(told(&mut wire, 12, "orders").await.error_code, 3);
}

#[tokio::test(start_paused = true)]
async fn one_broker_can_be_made_to_lie_about_anything() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 2).expect("created");
    let honest = told(&mut bench.connect(1).await, 12, "orders").await;
    bench
        .cluster
        .distort_metadata(2, |view| {
            view.controller = -1;
            view.brokers.remove(&3);
            if let Some(broker) = view.brokers.get_mut(&1) {
                broker.port = 1;
            }
            if let Some(topic) = view.topics.get_mut("orders") {
                topic.id = Uuid::from_u128(7);
                topic.partitions.remove(&1);
                topic.configs.insert("retention.ms".to_owned(), "5".to_owned());
                if let Some(partition) = topic.partitions.get_mut(&0) {
                    partition.leader = -1;
                    partition.isr.truncate(1);
                }
            }
        })
        .expect("a node");
    let mut wire = bench.connect(2).await;
    let all = wire.call(12, MetadataRequest::default().with_topics(None)).await;
    assert_eq!(all.controller_id.0, -1);
    assert_eq!(all.brokers.iter().map(|b| (b.node_id.0, b.port)).collect::<Vec<_>>(), [(1, 1), (2, 9092)]);
    let topic = told(&mut wire, 12, "orders").await;
    assert_eq!((topic.topic_id, topic.partitions.len()), (Uuid::from_u128(7), 1));
    let partition = &topic.partitions[0];
    assert_eq!((partition.error_code, partition.leader_id.0, partition.isr_nodes.len()), (5, -1, 1));
    let resource =
        DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("orders"));
    let configs = wire.call(4, DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    let told_value = configs.results[0].configs.iter().find(|c| c.name.as_str() == "retention.ms");
    assert_eq!(told_value.and_then(|config| config.value.as_deref()), Some("5"));
    assert_eq!(told(&mut bench.connect(1).await, 12, "orders").await, honest);
    bench.cluster.restore_metadata(2).expect("a node");
    assert_eq!(told(&mut wire, 12, "orders").await, honest);
}

#[tokio::test(start_paused = true)]
async fn a_partition_can_be_without_a_leader_for_a_while() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let leader = bench.cluster.leader("orders", 0).expect("a leader");
    bench.cluster.move_leader("orders", 0, None).expect("moved");
    let mut wire = bench.connect(leader).await;
    let topic = told(&mut wire, 12, "orders").await;
    assert_eq!((topic.partitions[0].error_code, topic.partitions[0].leader_id.0), (5, -1));
    assert_eq!(produce_one(&mut wire, "orders", "a").await.0, 6);
    bench.cluster.move_leader("orders", 0, Some(leader)).expect("moved");
    assert_eq!(produce_one(&mut wire, "orders", "a").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_ids_and_another_seed_others() {
    let mut ids = Vec::new();
    for seed in [1, 1, 2] {
        let bench = Bench::new(KafkaOptions { seed, ..KafkaOptions::brokers(3) });
        bench.cluster.create_topic("orders", 1).expect("created");
        ids.push(told(&mut bench.connect(1).await, 12, "orders").await.topic_id);
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_named_by_a_uuid_in_22_characters() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let described = wire.call(0, DescribeClusterRequest::default()).await.cluster_id.to_string();
    assert_eq!(described.len(), 22);
    assert!(described.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character)));
    let told = wire.call(12, MetadataRequest::default()).await.cluster_id.map(|id| id.to_string());
    assert_eq!(told, Some(described));
}
