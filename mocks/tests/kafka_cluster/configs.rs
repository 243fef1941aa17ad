//! Settings: what is told of them, how they are changed, and that a change acts.

use kafka_protocol::messages::alter_configs_request::{self as alter};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::*;
use squall_mocks::kafka::{KafkaError, KafkaOptions};

use crate::log::produce_one;
use crate::wire::{Bench, Wire, text};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;
const METRICS: i8 = 16;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn resource((kind, name): (i8, &str), changes: &[Change<'_>]) -> AlterConfigsResource {
    let config = |(name, op, value): &Change<'_>| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*op)
            .with_value(value.map(text))
    };
    AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(changes.iter().map(config).collect())
}

/// Changes one resource and says with which error and message.
async fn alter(wire: &mut Wire, of: (i8, &str), changes: &[Change<'_>]) -> (i16, String) {
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource(of, changes)]);
    let answer = wire.call(1, request).await.responses.remove(0);
    (answer.error_code, answer.error_message.map(|message| message.to_string()).unwrap_or_default())
}

/// What is told of one setting.
async fn described(wire: &mut Wire, (kind, of): (i8, &str), name: &str) -> DescribeConfigsResourceResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(of))
        .with_configuration_keys(Some(vec![text(name)]));
    let request =
        DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
    let mut result = wire.call(4, request).await.results.remove(0);
    assert_eq!((result.error_code, result.configs.len()), (0, 1), "{:?}", result.error_message);
    result.configs.remove(0)
}

async fn value(wire: &mut Wire, of: (i8, &str), name: &str) -> String {
    described(wire, of, name).await.value.expect("a value").to_string()
}

#[tokio::test(start_paused = true)]
async fn settings_of_a_topic_are_set_deleted_extended_and_shortened_in_every_version() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    let orders = (TOPIC, "orders");
    for version in wire.versions(ApiKey::IncrementalAlterConfigs).await {
        let changes = [("retention.ms", SET, Some(" 5 ")), ("cleanup.policy", APPEND, Some("compact"))];
        let request = |only| {
            let resources = vec![resource(orders, &changes)];
            IncrementalAlterConfigsRequest::default().with_resources(resources).with_validate_only(only)
        };
        assert_eq!(wire.call(version, request(true)).await.responses[0].error_code, 0);
        assert_eq!(value(&mut wire, orders, "retention.ms").await, "604800000");
        assert_eq!(wire.call(version, request(false)).await.responses[0].error_code, 0);
        assert_eq!(value(&mut wire, orders, "retention.ms").await, "5");
        assert_eq!(value(&mut wire, orders, "cleanup.policy").await, "delete,compact");
        let back = [("retention.ms", DELETE, None), ("cleanup.policy", SUBTRACT, Some("delete"))];
        assert_eq!(alter(&mut wire, orders, &back).await.0, 0);
        assert_eq!(value(&mut wire, orders, "cleanup.policy").await, "compact");
        assert_eq!(alter(&mut wire, orders, &[("cleanup.policy", DELETE, None)]).await.0, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn replacing_the_settings_of_a_topic_forgets_what_is_not_named_in_every_version() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    bench.cluster.create_topic_with("orders", 1, -1, &[("flush.ms", "7")]).expect("created");
    for version in wire.versions(ApiKey::AlterConfigs).await {
        assert_eq!(alter(&mut wire, (TOPIC, "orders"), &[("flush.ms", SET, Some("7"))]).await.0, 0);
        let config =
            alter::AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("3")));
        let resource = alter::AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text("orders"))
            .with_configs(vec![config]);
        let answer = wire.call(version, AlterConfigsRequest::default().with_resources(vec![resource])).await;
        assert_eq!(answer.responses[0].error_code, 0);
        assert_eq!(value(&mut wire, (TOPIC, "orders"), "retention.ms").await, "3");
        assert_eq!(described(&mut wire, (TOPIC, "orders"), "flush.ms").await.config_source, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_changes_are_refused_with_kafkas_errors_and_words() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    let (orders, one, all) = ((TOPIC, "orders"), (BROKER, "1"), (BROKER, ""));
    let group = (GROUP, "readers");
    let set = |name, value| [(name, SET, Some(value))];
    let no_list = "Can't APPEND to key retention.ms because its type is not LIST.";
    let threads = "Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update \
                   validation failed for num.io.threads=17, value should not be greater than double the \
                   current value 8 for configuration Invalid dynamic configuration";
    let own =
        "Cannot update these configs at default cluster level, broker id must be specified: [listeners]";
    for (of, changes, code, message) in [
        (orders, set("nope", "1"), 40, "Unknown topic config name: nope"),
        (orders, [("retention.ms", SET, None)], 42, "Null value not supported for : retention.ms"),
        (orders, [("retention.ms", APPEND, Some("1"))], 40, no_list),
        (orders, [("retention.ms", 9, Some("1"))], -1, ""),
        ((TOPIC, "nothing"), set("retention.ms", "1"), 3, "The topic 'nothing' does not exist."),
        ((TOPIC, ""), set("retention.ms", "1"), 42, "Default topic resources are not allowed."),
        ((3, "x"), set("retention.ms", "1"), 42, "Unknown resource type 3"),
        ((BROKER, "2"), set("log.retention.ms", "1"), 42, "Unexpected broker id, expected 1, but received 2"),
        ((BROKER, "x"), set("log.retention.ms", "1"), 42, "Node id must be an integer, but it is: x"),
        (one, set("node.id", "1"), 42, "Cannot update these configs dynamically: [node.id]"),
        (one, set("num.io.threads", "17"), 42, threads),
        (all, set("listeners", "PLAINTEXT://:1"), 42, own),
        (
            one,
            set("min.insync.replicas", "1"),
            40,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ),
        (
            all,
            [("min.insync.replicas", DELETE, None)],
            40,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ),
        ((LOGGER, "1"), set("kafka", "INFO"), 40, "Logger kafka does not exist!"),
        (
            (LOGGER, "1"),
            [("root", DELETE, None)],
            42,
            "Removing the log level of the root logger is not allowed",
        ),
        (group, set("nope", "1"), 40, "Unknown group config name: nope"),
        (
            group,
            set("consumer.session.timeout.ms", "44999"),
            40,
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            group,
            set("streams.num.standby.replicas", "3"),
            40,
            "streams.num.standby.replicas must be less than or equal to group.streams.max.standby.replicas",
        ),
        ((GROUP, ""), set("nope", "1"), 42, "Default group resources are not allowed."),
        ((METRICS, "m"), set("nope", "1"), 42, "Unknown client metrics configuration: nope"),
        ((METRICS, "m"), set("match", "who=x"), 40, "Illegal client matching pattern: who=x"),
        (
            (METRICS, "m"),
            set("interval.ms", "99"),
            42,
            "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
    ] {
        assert_eq!(alter(&mut wire, of, &changes).await, (code, message.to_owned()), "{of:?} {changes:?}");
    }
    let twice = [("flush.ms", SET, Some("1")), ("flush.ms", SET, Some("2"))];
    let refused = (42, "Error due to duplicate config keys".to_owned());
    assert_eq!(alter(&mut wire, orders, &twice).await, refused);
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource(orders, &[]), resource(orders, &[])]);
    for response in wire.call(1, request).await.responses {
        let message = response.error_message.map(|message| message.to_string());
        let once = Some("Each resource must appear at most once.".to_owned());
        assert_eq!((response.error_code, message), (42, once));
    }
}

#[tokio::test(start_paused = true)]
async fn a_topics_value_is_told_with_every_level_it_could_come_from() {
    let mut options = KafkaOptions::brokers(3);
    options.set_broker_config("log.retention.hours", "2").expect("a setting");
    let bench = Bench::new(options);
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    let (orders, name) = ((TOPIC, "orders"), "retention.ms");
    let config = described(&mut wire, orders, name).await;
    assert_eq!((config.value.as_deref(), config.config_source), (Some("7200000"), 5));
    for (of, name, set) in [
        ((BROKER, ""), "log.retention.ms", "8"),
        ((BROKER, "1"), "log.retention.ms", "9"),
        (orders, name, "10"),
    ] {
        assert_eq!(alter(&mut wire, of, &[(name, SET, Some(set))]).await, (0, String::new()));
    }
    let config = described(&mut wire, orders, name).await;
    let synonyms: Vec<(String, String, i8)> = config
        .synonyms
        .iter()
        .map(|synonym| {
            (synonym.name.to_string(), synonym.value.as_deref().unwrap_or("").to_owned(), synonym.source)
        })
        .collect();
    let level = |name: &str, value: &str, source| (name.to_owned(), value.to_owned(), source);
    let expected = [
        level("retention.ms", "10", 1),
        level("log.retention.ms", "9", 2),
        level("log.retention.ms", "8", 3),
        level("log.retention.hours", "2", 4),
        level("log.retention.hours", "168", 5),
    ];
    assert_eq!((config.config_source, synonyms), (1, expected.to_vec()));
    // The second broker was not configured by itself.
    let mut second = bench.connect(2).await;
    assert_eq!(value(&mut second, (BROKER, "2"), "log.retention.ms").await, "8");
}

#[tokio::test(start_paused = true)]
async fn secrets_and_settings_kafka_does_not_know_are_told_without_their_value() {
    let mut options = KafkaOptions::brokers(1);
    options.set_broker_config("ssl.key.password", "hush").expect("a setting");
    let bench = Bench::new(options);
    let mut wire = bench.connect(1).await;
    assert_eq!(alter(&mut wire, (BROKER, ""), &[("plugin.key", SET, Some("hush"))]).await.0, 0);
    for name in ["ssl.key.password", "plugin.key"] {
        let config = described(&mut wire, (BROKER, "1"), name).await;
        assert!(config.is_sensitive && config.value.is_none(), "{name}");
        assert!(config.synonyms.iter().all(|synonym| synonym.value.is_none()), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_set_on_all_brokers_acts_on_topics_that_have_none_of_their_own() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    bench.cluster.create_topic_with("own", 1, -1, &[("max.message.bytes", "1000000")]).expect("created");
    let mut wire = bench.connect(2).await;
    assert_eq!(alter(&mut wire, (BROKER, ""), &[("message.max.bytes", SET, Some("10"))]).await.0, 0);
    assert_eq!(produce_one(&mut bench.leader("orders", 0).await, "orders", "a").await.0, 10);
    assert_eq!(produce_one(&mut bench.leader("own", 0).await, "own", "a").await.0, 0);
    // What a topic asks of its logs is kept, but never longer than it is true.
    for (value, expected) in [(Some("1000"), 0), (Some("20"), 10), (None, 10)] {
        let op = if value.is_some() { SET } else { DELETE };
        let changed = alter(&mut wire, (TOPIC, "orders"), &[("max.message.bytes", op, value)]).await;
        assert_eq!(changed.0, 0);
        assert_eq!(produce_one(&mut bench.leader("orders", 0).await, "orders", "a").await.0, expected);
    }
    assert_eq!(alter(&mut wire, (BROKER, ""), &[("message.max.bytes", DELETE, None)]).await.0, 0);
    assert_eq!(produce_one(&mut bench.leader("orders", 0).await, "orders", "a").await.0, 0);
}

#[tokio::test(start_paused = true)]
async fn what_has_settings_is_listed_in_every_version() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    for (of, name, value) in
        [(METRICS, "interval.ms", "500"), (GROUP, "consumer.session.timeout.ms", "50000")]
    {
        assert_eq!(alter(&mut wire, (of, "x"), &[(name, SET, Some(value))]).await.0, 0);
    }
    for (version, kinds, expected) in [
        (0, vec![], vec![(METRICS, "x")]),
        (1, vec![GROUP, METRICS], vec![(GROUP, "x"), (METRICS, "x")]),
        (1, vec![TOPIC], vec![(TOPIC, "__consumer_offsets"), (TOPIC, "orders")]),
        (1, vec![BROKER], vec![(BROKER, "1"), (BROKER, "2"), (BROKER, "3")]),
    ] {
        let request = ListConfigResourcesRequest::default().with_resource_types(kinds);
        let answer = wire.call(version, request).await;
        let listed: Vec<(i8, &str)> = answer
            .config_resources
            .iter()
            .map(|found| (found.resource_type, &*found.resource_name))
            .collect();
        assert_eq!(listed, expected);
    }
    let unknown = ListConfigResourcesRequest::default().with_resource_types(vec![3]);
    assert_eq!(wire.call(1, unknown).await.error_code, 35);
}

#[test]
fn options_take_kafkas_names_and_refuse_what_is_none() {
    let mut options = KafkaOptions::brokers(1);
    options.set_broker_config("num.partitions", " 7 ").expect("a setting");
    assert_eq!(options.broker_configs.get("num.partitions").map(String::as_str), Some("7"));
    for (name, value) in [("retention.ms", "1"), ("num.partitions", "0"), ("num.partitions", "x")] {
        let refused = options.set_broker_config(name, value);
        assert!(matches!(refused, Err(KafkaError::Config { .. })), "{name}={value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_of_the_options_and_kafkas_name_of_it_are_one_setting() {
    let mut options = KafkaOptions { default_replication_factor: 2, ..KafkaOptions::brokers(3) };
    options.set_broker_config("num.partitions", "7").expect("a setting");
    let bench = Bench::new(options);
    bench.cluster.create_topic("orders", -1).expect("created");
    assert!(bench.cluster.leader("orders", 6).is_some() && bench.cluster.leader("orders", 7).is_none());
    let mut wire = bench.connect(1).await;
    assert_eq!(value(&mut wire, (BROKER, "1"), "default.replication.factor").await, "2");
}
