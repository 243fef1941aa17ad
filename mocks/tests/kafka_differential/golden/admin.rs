//! What administrators change: the beginnings of logs, numbers of partitions, settings, groups.

use kafka_protocol::messages::*;

use crate::build::{self, assigned, join, leave, list_offsets, plain, produce_to, text};
use crate::pair::Pair;

pub fn delete_records(pair: &mut Pair) -> Result<(), String> {
    use delete_records_request::{DeleteRecordsPartition as Partition, DeleteRecordsTopic as Topic};
    let name = pair.topic("a", 2)?;
    for _ in 0..4 {
        pair.ask(9, produce_to(&name, 0, -1, plain(&["a", "b", "c"])))?;
    }
    let before = |name: &str, number: i32, offset: i64| {
        let partition = Partition::default().with_partition_index(number).with_offset(offset);
        let topic = Topic::default().with_name(TopicName(text(name))).with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000)
    };
    for version in 0..=2 {
        for (number, offset) in
            [(0, 0), (0, 2 + 3 * i64::from(version)), (0, 1), (0, -2), (0, 13), (1, 0), (1, -1), (7, 0)]
        {
            pair.ask(version, before(&name, number, offset))?;
        }
        pair.ask(version, before(&pair.name("unknown"), 0, 0))?;
        pair.ask(7, list_offsets(&name, &[(0, -2)]))?;
        for offset in [0, 2 + 3 * i64::from(version)] {
            pair.ask(11, build::fetch(&name, vec![build::fetched(0, offset)]))?;
        }
        pair.ask(9, produce_to(&name, 0, -1, plain(&["a"])))?;
    }
    pair.ask(2, before(&name, 0, -1))?;
    pair.ask(7, list_offsets(&name, &[(0, -2)]))?;
    pair.ask(2, DeleteRecordsRequest::default().with_timeout_ms(10_000)).map(|_| ())
}

pub fn create_partitions(pair: &mut Pair) -> Result<(), String> {
    use create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic as Topic};
    let (name, unknown) = (pair.topic("a", 1)?, pair.name("unknown"));
    let to = |name: &str, count: i32, brokers: Option<&[i32]>| {
        let on =
            |broker: &i32| CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(*broker)]);
        let assignments = brokers.map(|brokers| brokers.iter().map(on).collect());
        Topic::default().with_name(TopicName(text(name))).with_count(count).with_assignments(assignments)
    };
    let request =
        |topics: Vec<Topic>| CreatePartitionsRequest::default().with_topics(topics).with_timeout_ms(10_000);
    let sorted = |answer: &mut CreatePartitionsResponse| {
        answer.results.sort_by(|left, right| left.name.cmp(&right.name));
    };
    for version in 0..=3 {
        let more = 2 + i32::from(version);
        pair.ask(version, request(vec![to(&name, more, None)]).with_validate_only(true))?;
        pair.ask_but(version, request(vec![to(&name, more, None), to(&unknown, 2, None)]), sorted)?;
        for (count, brokers) in [
            (more, None),
            (0, None),
            (-1, None),
            (more - 1, None),
            (more + 1, Some(&[][..])),
            (more + 1, Some(&[1, 1])),
            (more + 1, Some(&[9])),
        ] {
            pair.ask(version, request(vec![to(&name, count, brokers)]))?;
        }
        pair.ask_but(version, request(vec![to(&name, 9, None), to(&name, 8, None)]), sorted)?;
        pair.ask(version, request(Vec::new()))?;
    }
    let known = |answer: &MetadataResponse| answer.topics.iter().all(|topic| topic.partitions.len() == 5);
    pair.until(9, &build::metadata(&[&name]), known).map(|_| ())
}

pub fn alter_settings(pair: &mut Pair) -> Result<(), String> {
    use incremental_alter_configs_request::{AlterConfigsResource as Resource, AlterableConfig};
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;
    let name = pair.name("a");
    pair.topic_with(assigned(&name, &[(0, &[1])]))?;
    let change = |kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]| {
        let one = |(name, operation, value): &(&str, i8, Option<&str>)| {
            let config = AlterableConfig::default().with_name(text(name));
            config.with_config_operation(*operation).with_value(value.map(text))
        };
        let resource = Resource::default().with_resource_type(kind).with_resource_name(text(name));
        let resources = vec![resource.with_configs(changes.iter().map(one).collect())];
        IncrementalAlterConfigsRequest::default().with_resources(resources)
    };
    let changes: &[&[(&str, i8, Option<&str>)]] = &[
        &[("retention.ms", SET, Some("77")), ("segment.ms", SET, Some("88"))],
        &[("retention.ms", DELETE, None)],
        &[("flush.ms", DELETE, None)],
        &[("cleanup.policy", APPEND, Some("compact"))],
        &[("cleanup.policy", SUBTRACT, Some("delete"))],
        &[("cleanup.policy", APPEND, Some("other"))],
        &[("retention.ms", APPEND, Some("1"))],
        &[("retention.ms", SUBTRACT, Some("1"))],
        &[("retention.ms", 7, Some("1"))],
        &[("retention.ms", SET, None)],
        &[("retention.ms", SET, Some("x"))],
        &[("nosuch", SET, Some("1"))],
        &[("nosuch", DELETE, None)],
        &[("segment.ms", SET, Some("1")), ("segment.ms", SET, Some("2"))],
        &[],
    ];
    for version in 0..=1 {
        for each in changes {
            pair.ask(version, change(2, &name, each).with_validate_only(true))?;
            pair.ask(version, change(2, &name, each))?;
        }
        let set: &[(&str, i8, Option<&str>)] = &[("retention.ms", SET, Some("1"))];
        pair.ask(version, change(2, &pair.name("unknown"), set))?;
        pair.ask(version, change(2, "", set))?;
        pair.ask(version, change(7, &name, set))?;
    }
    let resource = describe_configs_request::DescribeConfigsResource::default();
    let resource = resource.with_resource_type(2).with_resource_name(text(&name));
    let names = ["cleanup.policy", "retention.ms", "segment.ms"].map(text).to_vec();
    let request = DescribeConfigsRequest::default();
    let request = request.with_resources(vec![resource.with_configuration_keys(Some(names))]);
    pair.until(4, &request, |answer| {
        answer.results[0].configs.iter().any(|one| one.value == Some(text("88")))
    })?;
    pair.ask_but(4, request, |answer| {
        answer.results[0].configs.sort_by(|left, right| left.name.cmp(&right.name));
    })
    .map(|_| ())
}

pub fn delete_groups(pair: &mut Pair) -> Result<(), String> {
    let topic = pair.topic("a", 1)?;
    let sorted = |answer: &mut DeleteGroupsResponse| {
        answer.results.sort_by(|left, right| left.group_id.cmp(&right.group_id));
    };
    let request = |names: &[&str]| {
        let names = names.iter().map(|name| GroupId(text(name))).collect();
        DeleteGroupsRequest::default().with_groups_names(names)
    };
    for version in 0..=2 {
        let (kept, live, none) = (pair.name("kept"), pair.name("live"), pair.name("none"));
        pair.ask(9, build::commit(&kept, &topic, &[(0, 1)]))?;
        let member = pair.ask(3, join(&live, "", &["range"]))?.map(|answer| answer.member_id.to_string());
        pair.ask_but(version, request(&[&kept, &live, &none, ""]), sorted)?;
        pair.ask_but(version, request(&[&kept]), sorted)?;
        pair.ask(5, build::describe_groups(&[&kept]))?;
        pair.ask(1, member.map(|member| leave(&live, member)))?;
        pair.ask_but(version, request(&[&live, &live]), sorted)?;
        pair.ask(version, request(&[]))?;
    }
    Ok(())
}
