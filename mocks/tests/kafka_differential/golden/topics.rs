//! Topics: metadata, creation with every kind of wrong input, deletion, settings.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;
use uuid::Uuid;

use crate::build::{self, configured, create, text, topic};
use crate::pair::{Both, Pair};

/// Any broker may be called the controller; brokers and topics have no order.
fn unordered(answer: &mut MetadataResponse) {
    answer.controller_id = BrokerId(answer.controller_id.0.min(1));
    answer.brokers.sort_by_key(|broker| broker.node_id.0);
    answer.topics.sort_by(|left, right| (&left.name, left.topic_id).cmp(&(&right.name, right.topic_id)));
    for topic in &mut answer.topics {
        topic.partitions.sort_by_key(|partition| partition.partition_index);
    }
}

/// Topics are answered in any order.
fn sorted(answer: &mut CreateTopicsResponse) {
    answer.topics.sort_by(|left, right| left.name.cmp(&right.name));
    for configs in answer.topics.iter_mut().filter_map(|topic| topic.configs.as_mut()) {
        // Set for the whole cluster from its first start on; described_settings tells of it.
        configs
            .iter_mut()
            .filter(|one| &*one.name == "min.insync.replicas")
            .for_each(|one| one.config_source = 0);
        configs.sort_by(|left, right| left.name.cmp(&right.name));
    }
}

pub fn metadata(pair: &mut Pair) -> Result<(), String> {
    let (a, b) = (pair.topic("a", 1)?, pair.topic("b", 3)?);
    let prefix = pair.name("");
    let mine = |answer: &mut MetadataResponse| {
        unordered(answer);
        let is_mine = |name: &TopicName| name.starts_with(&prefix);
        answer.topics.retain(|topic| topic.name.as_ref().is_some_and(is_mine));
    };
    let long = "x".repeat(250);
    for version in 0..=13 {
        let create = |request: MetadataRequest| request.with_allow_auto_topic_creation(version < 4);
        pair.ask_but(version, create(build::metadata(&[&b, &a])), unordered)?;
        pair.ask_but(version, create(build::metadata(&[&a, &a])), unordered)?;
        pair.ask_but(version, create(build::metadata(&[&pair.name("unknown")])), unordered)?;
        for name in ["", ".", "..", "a b", "a/b", &long] {
            pair.ask_but(version, create(build::metadata(&[name])), unordered)?;
        }
        if version > 0 {
            pair.ask_but(version, create(build::metadata(&[])), unordered)?;
            pair.ask_but(version, create(MetadataRequest::default().with_topics(None)), mine)?;
        } else {
            pair.ask_but(version, create(build::metadata(&[])), mine)?;
        }
        if (8..=10).contains(&version) {
            let request = build::metadata(&[&a]).with_include_cluster_authorized_operations(true);
            pair.ask_but(version, request, unordered)?;
        }
        if version >= 8 {
            let request = build::metadata(&[&a, &pair.name("unknown")]);
            pair.ask_but(version, request.with_include_topic_authorized_operations(true), unordered)?;
        }
    }
    by_id(pair, &a)
}

fn by_id(pair: &mut Pair, name: &str) -> Result<(), String> {
    let id = pair.id_of(name)?;
    let with = |id: Uuid, name: Option<&str>| {
        MetadataRequestTopic::default().with_topic_id(id).with_name(name.map(|name| TopicName(text(name))))
    };
    let of = |topics: Vec<MetadataRequestTopic>| {
        MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(false)
    };
    for version in 10..=13 {
        pair.ask_but(version, id.map(|id| of(vec![with(*id, Some(""))])), unordered)?;
        pair.ask_but(version, of(vec![with(Uuid::from_u128(7), Some(""))]), unordered)?;
        if version >= 12 {
            pair.ask_but(version, id.map(|id| of(vec![with(*id, None)])), unordered)?;
            pair.ask_but(version, of(vec![with(Uuid::from_u128(7), None)]), unordered)?;
            pair.ask_but(version, of(vec![with(Uuid::nil(), None)]), unordered)?;
            pair.ask_but(version, id.map(|id| of(vec![with(*id, Some(name))])), unordered)?;
            let both = |id: &Uuid| of(vec![with(*id, None), with(Uuid::nil(), Some(name))]);
            pair.ask_but(version, id.map(both), unordered)?;
        }
    }
    Ok(())
}

pub fn created(pair: &mut Pair) -> Result<(), String> {
    for version in 2..=7 {
        let prefix = pair.name("");
        let name = |what: &str| format!("{prefix}{what}{version}");
        let (plain, two, tried) = (name("plain"), name("two"), name("tried"));
        pair.ask_but(version, create(vec![topic(&plain, 2, 1)]), sorted)?;
        pair.ask_but(version, create(vec![topic(&two, 1, 1), topic(&plain, 1, 1)]), sorted)?;
        pair.ask_but(version, create(vec![topic(&tried, 1, 1)]).with_validate_only(true), sorted)?;
        pair.ask_but(version, create(vec![topic(&tried, 1, 1)]), sorted)?;
        pair.ask_but(version, create(vec![topic(&tried, 1, 1)]).with_validate_only(true), sorted)?;
        if version >= 4 {
            pair.ask_but(version, create(vec![topic(&name("default"), -1, -1)]), sorted)?;
        }
        let assigned = build::assigned(&name("assigned"), &[(1, &[1]), (0, &[1])]);
        pair.ask_but(version, create(vec![assigned]), sorted)?;
    }
    pair.ask(7, create(Vec::new())).map(|_| ())
}

pub fn refused(pair: &mut Pair) -> Result<(), String> {
    let name = pair.name("refused");
    for version in [2, 4, 5, 7] {
        for (partitions, replicas) in [
            (0, 1),
            (-2, 1),
            (1, 0),
            (1, -2),
            (1, 2),
            (1, 4),
            (0, 0),
            (-1, 5),
            (-1, 1),
            (10_001, 1),
            (100_000, 1),
        ] {
            let request = create(vec![topic(&name, partitions, replicas)]).with_validate_only(true);
            pair.ask_but(version, request, sorted)?;
        }
        // The same name twice, and one that is fine beside it.
        let twice = create(vec![topic(&name, 1, 1), topic(&name, 2, 1), topic(&pair.name("fine"), 1, 1)]);
        pair.ask_but(version, twice.with_validate_only(true), sorted)?;
        let assignments: [&[(i32, &[i32])]; 9] = [
            &[(0, &[])],
            &[(0, &[1, 1])],
            &[(0, &[2])],
            &[(0, &[1, 2])],
            &[(0, &[-1])],
            &[(1, &[1])],
            &[(-1, &[1])],
            &[(0, &[1]), (2, &[1])],
            &[(0, &[1]), (0, &[1])],
        ];
        for assignment in assignments {
            let request = create(vec![build::assigned(&name, assignment)]).with_validate_only(true);
            pair.ask_but(version, request, sorted)?;
        }
        for (partitions, replicas) in [(1, -1), (-1, 1), (1, 1)] {
            let both = build::assigned(&name, &[(0, &[1])]);
            let both = both.with_num_partitions(partitions).with_replication_factor(replicas);
            pair.ask_but(version, create(vec![both]).with_validate_only(true), sorted)?;
        }
    }
    Ok(())
}

pub fn names(pair: &mut Pair) -> Result<(), String> {
    let (good, long) = ("x".repeat(249), "x".repeat(250));
    for name in ["", ".", "..", "...", "a b", "a/b", "ä", "a:b", "a\0b", "a,b", &good, &long] {
        pair.ask_but(7, create(vec![topic(name, 1, 1)]).with_validate_only(true), sorted)?;
    }
    // Names whose metrics would have one name.
    pair.topic("a.b_c", 1)?;
    for name in ["a_b_c", "a.b.c", "a.b_c", "a_b.c", "a-b-c"] {
        let name = pair.name(name);
        pair.ask_but(7, create(vec![topic(&name, 1, 1)]).with_validate_only(true), sorted)?;
    }
    for name in ["__consumer_offsets", "__transaction_state"] {
        pair.ask_but(7, create(vec![topic(name, 1, 1)]).with_validate_only(true), |answer| {
            // Whether it is there depends on what other trials did.
            answer.topics.iter_mut().for_each(|topic| *topic = Default::default());
        })?;
    }
    Ok(())
}

pub fn settings(pair: &mut Pair) -> Result<(), String> {
    let good = [
        [("cleanup.policy", Some("compact")), ("retention.ms", Some("-1"))],
        [("cleanup.policy", Some("compact,delete")), ("min.insync.replicas", Some("2"))],
        [("message.timestamp.type", Some("LogAppendTime")), ("max.message.bytes", Some("1000"))],
    ];
    for (number, configs) in good.iter().enumerate() {
        let name = pair.name(&format!("good{number}"));
        pair.ask_but(7, create(vec![configured(&name, configs)]), sorted)?;
    }
    let name = pair.name("bad");
    for config in [
        ("unknown", Some("1")),
        ("retention.ms", None),
        ("retention.ms", Some("")),
        ("retention.ms", Some("1d")),
        ("retention.ms", Some("-2")),
        ("retention.ms", Some(" 5 ")),
        ("retention.bytes", Some("-2")),
        ("segment.bytes", Some("13")),
        ("segment.bytes", Some("1.5")),
        ("segment.bytes", Some("99999999999")),
        ("segment.ms", Some("0")),
        ("cleanup.policy", Some("other")),
        ("cleanup.policy", Some("")),
        ("cleanup.policy", Some("delete,other")),
        ("compression.type", Some("other")),
        ("compression.gzip.level", Some("10")),
        ("message.timestamp.type", Some("Other")),
        ("min.insync.replicas", Some("0")),
        ("min.cleanable.dirty.ratio", Some("1.5")),
        ("min.cleanable.dirty.ratio", Some("x")),
        ("preallocate", Some("yes")),
        ("unclean.leader.election.enable", Some("TRUE")),
        ("max.message.bytes", Some("-1")),
        ("message.format.version", Some("2.0")),
        ("delete.retention.ms", Some("-1")),
        ("leader.replication.throttled.replicas", Some("x")),
    ] {
        let request = create(vec![configured(&name, &[config])]).with_validate_only(true);
        pair.ask_but(7, request, sorted)?;
    }
    // The same setting twice.
    let twice = [("retention.ms", Some("1")), ("retention.ms", Some("2"))];
    pair.ask_but(7, create(vec![configured(&name, &twice)]).with_validate_only(true), sorted)?;
    Ok(())
}

pub fn described_settings(pair: &mut Pair) -> Result<(), String> {
    use describe_configs_request::DescribeConfigsResource as Resource;
    let name = pair.name("set");
    pair.topic_with(configured(&name, &[("retention.ms", Some("77")), ("cleanup.policy", Some("compact"))]))?;
    let blur = |answer: &mut DescribeConfigsResponse| {
        for result in &mut answer.results {
            result.configs.sort_by(|left, right| left.name.cmp(&right.name));
        }
    };
    let ask = |name: &str, keys: Option<&[&str]>, synonyms: bool| {
        let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect());
        let resource = Resource::default().with_resource_type(2).with_resource_name(text(name));
        let request = DescribeConfigsRequest::default().with_include_synonyms(synonyms);
        request.with_resources(vec![resource.with_configuration_keys(keys)])
    };
    for version in 1..=4 {
        pair.ask_but(version, ask(&name, None, false), blur)?;
        pair.ask_but(version, ask(&name, Some(&["retention.ms", "unknown"]), false), blur)?;
        pair.ask_but(version, ask(&name, Some(&[]), false), blur)?;
        pair.ask_but(version, ask(&pair.name("nosuch"), None, false), blur)?;
        pair.ask_but(version, ask("a b", None, false), blur)?;
        pair.ask_but(version, ask("", None, false), blur)?;
        pair.ask_but(version, ask(&name, Some(&["retention.ms", "min.insync.replicas"]), true), blur)?;
    }
    Ok(())
}

pub fn deleted(pair: &mut Pair) -> Result<(), String> {
    use delete_topics_request::DeleteTopicState as State;
    let sorted = |answer: &mut DeleteTopicsResponse| {
        answer
            .responses
            .sort_by(|left, right| (&left.name, left.topic_id).cmp(&(&right.name, right.topic_id)));
    };
    let named = |names: &[&str]| {
        let names = names.iter().map(|name| TopicName(text(name))).collect();
        DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topic_names(names)
    };
    for version in 1..=5 {
        let name = pair.topic(&format!("gone{version}"), 2)?;
        pair.ask_but(version, named(&[&name, &pair.name("nosuch")]), sorted)?;
        pair.ask_but(version, named(&[&name]), sorted)?;
        pair.ask_but(version, named(&["a b", ""]), sorted)?;
        pair.ask_but(version, named(&[]), sorted)?;
        let again = pair.topic(&format!("again{version}"), 1)?;
        pair.ask_but(version, named(&[&again, &again]), sorted)?;
        pair.ask_but(version, named(&[&again]), sorted)?;
    }
    let state = |name: Option<&str>, id: Uuid| {
        State::default().with_topic_id(id).with_name(name.map(|name| TopicName(text(name))))
    };
    let of = |topics: Vec<State>| DeleteTopicsRequest::default().with_timeout_ms(10_000).with_topics(topics);
    let (a, b, c) = (pair.topic("a", 1)?, pair.topic("b", 1)?, pair.topic("c", 1)?);
    let (id_a, id_b, id_c) = (pair.id_of(&a)?, pair.id_of(&b)?, pair.id_of(&c)?);
    pair.ask_but(6, of(Vec::new()), sorted)?;
    pair.ask_but(6, of(vec![state(None, Uuid::nil())]), sorted)?;
    pair.ask_but(6, of(vec![state(None, Uuid::from_u128(7)), state(Some("nosuch"), Uuid::nil())]), sorted)?;
    pair.ask_but(6, id_a.map(|id| of(vec![state(Some(&a), *id)])), sorted)?;
    pair.ask_but(6, id_a.map(|id| of(vec![state(Some(&a), Uuid::nil()), state(None, *id)])), sorted)?;
    pair.ask_but(6, id_b.map(|id| of(vec![state(None, *id), state(None, *id)])), sorted)?;
    pair.ask_but(6, id_b.map(|id| of(vec![state(None, *id)])), sorted)?;
    pair.ask_but(6, id_b.map(|id| of(vec![state(None, *id)])), sorted)?;
    let twice = of(vec![state(Some(&c), Uuid::nil()), state(Some(&c), Uuid::nil())]);
    pair.ask_but(6, twice, sorted)?;
    let ids = Both { real: vec![id_a.real, id_c.real], mock: vec![id_a.mock, id_c.mock] };
    pair.ask_but(6, ids.map(|ids| of(ids.iter().map(|id| state(None, *id)).collect())), sorted)?;
    Ok(())
}

/// Where partitions are is given, so that metadata must be the same on every broker.
pub fn assigned(pair: &mut Pair) -> Result<(), String> {
    let name = pair.name("placed");
    pair.topic_with(build::assigned(&name, &[(0, &[1, 2]), (1, &[3, 1]), (2, &[2, 3])]))?;
    for node in 1..=3 {
        pair.go(Both::same(node));
        for version in [0, 1, 5, 7, 9, 12, 13] {
            let request = build::metadata(&[&name]).with_allow_auto_topic_creation(version < 4);
            pair.ask_but(version, request, unordered)?;
        }
    }
    for (number, assignment) in
        [&[(0, &[1, 2][..]), (1, &[1][..])][..], &[(0, &[4])], &[(0, &[1, 4])], &[(0, &[3, 3, 1])]]
            .iter()
            .enumerate()
    {
        let name = pair.name(&format!("tried{number}"));
        let request = create(vec![build::assigned(&name, assignment)]);
        pair.ask_but(7, request.with_validate_only(true), sorted)?;
    }
    for replicas in [1, 2, 3, 4, -1] {
        let name = pair.name(&format!("copies{replicas}"));
        pair.ask_but(7, create(vec![topic(&name, 4, replicas)]), sorted)?;
    }
    Ok(())
}
