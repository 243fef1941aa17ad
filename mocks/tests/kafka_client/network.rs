//! The client's network: brokers that are away, raw requests to one broker, readers.

use kafka_protocol::messages::ApiVersionsRequest;
use squall_mocks::kafka::KafkaMatch;
use squall_mocks::kafka::client::{ClientError, OffsetSpec, StartAt};
use squall_mocks::rule::{Act, Rule};

use super::*;

#[tokio::test(start_paused = true)]
async fn without_any_broker_the_error_names_the_last_one_tried() {
    let options = ClientOptions::new(["nowhere:1"]);
    let client = KafkaClient::new(options, Arc::new(MemoryNet::new()));
    let error = client.metadata(&[]).await.expect_err("nobody listens");
    assert!(matches!(&error, ClientError::Unreachable(_)) && error.is_retryable());
    assert!(error.to_string().contains("nowhere:1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_living_bootstrap_broker_is_enough() {
    let world = World::start(2, 1);
    let options = ClientOptions::new(["nowhere:1", "kafka-2:9092"]);
    let client = KafkaClient::new(options, Arc::new(world.net.clone()));
    let image = client.metadata(&["t"]).await.expect("metadata");
    assert_eq!(image.brokers.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_raw_request_reaches_the_broker_it_names() {
    let world = World::start(3, 1);
    let client = world.client("raw");
    let rule = Rule::new(KafkaMatch::api("api-versions").node(2), Act::Delay(Duration::ZERO));
    let rule = world.cluster.rules().add(rule);
    let request = ApiVersionsRequest::default()
        .with_client_software_name("test".into())
        .with_client_software_version("1".into());
    let other = client.request_to(&Broker::Node(1), &request).await.expect("an answer");
    assert_eq!((rule.hits(), other.error_code), (0, 0));
    client.request_to(&Broker::Node(2), &request).await.expect("an answer");
    // Once for the handshake, once for the request.
    assert_eq!(rule.hits(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_dialled_again() {
    let world = World::start(1, 1);
    let client = world.client("redial");
    client.metadata(&["t"]).await.expect("metadata");
    world.cluster.rules().add(Rule::new(KafkaMatch::api("list-offsets"), Act::DropBefore).times(1));
    let first = client.list_offset(&partition(0), OffsetSpec::Latest).await;
    assert!(matches!(first, Err(ClientError::Disconnected { sent: true, .. })), "{first:?}");
    assert_eq!(client.list_offset(&partition(0), OffsetSpec::Latest).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_is_a_lost_connection() {
    let world = World::start(1, 1);
    let client = world.client("truncated");
    world.cluster.rules().add(Rule::new(KafkaMatch::api("list-offsets"), Act::Truncate(7)).times(1));
    let first = client.list_offset(&partition(0), OffsetSpec::Latest).await;
    assert!(matches!(first, Err(ClientError::Disconnected { .. })), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn offsets_are_found_by_time() {
    let world = World::start(1, 1);
    let clock = squall_mocks::Clock::system();
    let start = clock.unix_ms();
    let options = ClientOptions { clock, ..ClientOptions::new(["kafka-1:9092"]) };
    let client = KafkaClient::new(options, Arc::new(world.net.clone()));
    let producer = client.producer(ProducerOptions::default()).expect("valid options");
    for n in 0..5 {
        producer.send(record(0, n)).await.expect("acknowledged");
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let at = |ms| OffsetSpec::Timestamp(ms);
    assert_eq!(client.list_offset(&partition(0), at(start + 19_000)).await, Ok(2));
    assert_eq!(client.list_offset(&partition(0), at(start + 1_000_000)).await, Ok(-1));
}

#[tokio::test(start_paused = true)]
async fn a_reader_follows_the_partition_from_where_it_was_told() {
    let world = World::start(3, 1);
    let producer = world.producer(ProducerOptions::default());
    for n in 0..3 {
        producer.send(record(0, n)).await.expect("acknowledged");
    }
    let client = world.client("reader");
    let mut middle = client.reader(partition(0), StartAt::Offset(1));
    assert_eq!(values(&middle.next().await.expect("readable")), ["1", "2"]);
    assert_eq!(middle.position(), Some(3));
    let mut latest = client.reader(partition(0), StartAt::Latest);
    let wait = tokio::time::timeout(Duration::from_secs(60), latest.next()).await;
    assert!(wait.is_err(), "nothing is new yet");
    world.cluster.move_leader("t", 0, Some(2)).expect("moved");
    producer.send(record(0, 3)).await.expect("acknowledged");
    assert_eq!(values(&latest.next().await.expect("readable")), ["3"]);
    assert_eq!(values(&middle.next().await.expect("readable")), ["3"]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_whose_offset_does_not_exist_says_so() {
    let world = World::start(1, 1);
    let mut reader = world.client("reader").reader(partition(0), StartAt::Offset(17));
    let error = reader.next().await.expect_err("beyond the end");
    assert!(error.to_string().contains("OFFSET_OUT_OF_RANGE"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_whole_topic_is_read_while_brokers_drop_connections() {
    let world = World::start(3, 1);
    let producer = world.producer(ProducerOptions::default());
    for n in 0..100 {
        producer.send(record(0, n)).await.expect("acknowledged");
    }
    for act in [Act::DropBefore, Act::Truncate(50)] {
        world.cluster.rules().add(Rule::new(KafkaMatch::api("fetch"), act).times(3));
    }
    let read = world.client("reader").read_all(&partition(0)).await.expect("readable");
    assert_eq!(values(&read), world.log(0));
}
