//! Groups of the consumer protocol over the wire (KIP-848), and groups that change their protocol.
//!
//! Errors, texts and epochs are those that Kafka 4.3 gave to the same requests.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    incremental_alter_configs_request as alter, offset_commit_request as commit,
    offset_delete_request as forget, offset_fetch_request as committed, *,
};
use squall_mocks::kafka::{GroupKind, GroupState, KafkaOptions};
use uuid::Uuid;

use crate::wire::{Bench, Wire, text};

type Beat = ConsumerGroupHeartbeatRequest;

fn group_id() -> GroupId {
    GroupId(text("workers"))
}

fn beat(member: &str, epoch: i32) -> Beat {
    Beat::default()
        .with_group_id(group_id())
        .with_member_id(text(member))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(-1)
        .with_subscribed_topic_names(None)
        .with_topic_partitions(None)
}

fn join(member: &str) -> Beat {
    beat(member, 0)
        .with_rebalance_timeout_ms(30_000)
        .with_topic_partitions(Some(Vec::new()))
        .with_subscribed_topic_names(Some(vec![TopicName(text("orders"))]))
}

fn owns(topic: Uuid, partitions: &[i32]) -> Option<Vec<TopicPartitions>> {
    Some(vec![TopicPartitions::default().with_topic_id(topic).with_partitions(partitions.to_vec())])
}

/// A cluster with a topic of four partitions, a connection to the group's coordinator, the topic's id.
async fn bench(options: KafkaOptions) -> (Bench, Wire, Uuid) {
    let bench = Bench::new(options);
    bench.cluster.create_topic("orders", 4).expect("created");
    let mut wire = coordinator(&bench).await;
    let id = wire.call(12, MetadataRequest::default().with_topics(None)).await;
    let id = id.topics.iter().find(|topic| topic.name.as_ref().is_some_and(|name| name.as_str() == "orders"));
    let id = id.expect("it is there").topic_id;
    (bench, wire, id)
}

async fn coordinator(bench: &Bench) -> Wire {
    let mut wire = bench.connect(1).await;
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("workers")]);
    let node = wire.call(4, request).await.coordinators[0].node_id;
    bench.connect(node.0).await
}

/// The numbers a member was told of the only topic; none if it was told nothing.
fn told(answer: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let assignment = answer.assignment.as_ref()?;
    Some(assignment.topic_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

fn commit_at(generation: i32, member: &str, partition: i32) -> OffsetCommitRequest {
    let partition = commit::OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(5);
    let topic = commit::OffsetCommitRequestTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group_id())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member))
        .with_topics(vec![topic])
}

async fn committed(wire: &mut Wire, version: i16, generation: i32, member: &str, partition: i32) -> i16 {
    let answer = wire.call(version, commit_at(generation, member, partition)).await;
    answer.topics[0].partitions[0].error_code
}

async fn fetched(wire: &mut Wire, member: Option<&str>, epoch: i32) -> i16 {
    let group = committed::OffsetFetchRequestGroup::default()
        .with_group_id(group_id())
        .with_member_id(member.map(text))
        .with_member_epoch(epoch)
        .with_topics(None);
    wire.call(9, OffsetFetchRequest::default().with_groups(vec![group])).await.groups[0].error_code
}

async fn deleted(wire: &mut Wire) -> i16 {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id()]);
    wire.call(2, request).await.results[0].error_code
}

#[tokio::test(start_paused = true)]
async fn requests_that_no_group_could_take_are_refused_with_kafkas_words() {
    let (_bench, mut wire, id) = bench(KafkaOptions::brokers(1)).await;
    let named = |request: Beat| request.with_instance_id(Some(text("")));
    let expression = |regex: &str| {
        join("m").with_subscribed_topic_names(None).with_subscribed_topic_regex(Some(text(regex)))
    };
    let cases = [
        (join(""), 42, "MemberId can't be empty."),
        (join("m").with_group_id(GroupId(text(""))), 42, "GroupId can't be empty."),
        (named(join("m")), 42, "InstanceId can't be empty."),
        (join("m").with_rack_id(Some(text(""))), 42, "RackId can't be empty."),
        (
            join("m").with_rebalance_timeout_ms(-1),
            42,
            "RebalanceTimeoutMs must be provided in first request.",
        ),
        (
            join("m").with_topic_partitions(owns(id, &[0])),
            42,
            "TopicPartitions must be empty when (re-)joining.",
        ),
        (
            join("m").with_subscribed_topic_names(None),
            42,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        (beat("m", -2), 42, "InstanceId can't be null."),
        (beat("m", -3), 42, "MemberEpoch is invalid."),
        (
            join("m").with_server_assignor(Some(text("sticky"))),
            112,
            "ServerAssignor sticky is not supported. Supported assignors: uniform, range.",
        ),
        (beat("m", 3), 69, "Consumer group workers not found."),
        (beat("m", -1), 69, "Group workers not found."),
        (
            expression("a("),
            128,
            "SubscribedTopicRegex `a(` is not a valid regular expression: missing closing ).",
        ),
    ];
    for (request, error, words) in cases {
        let answer = wire.call(1, request).await;
        assert_eq!((answer.error_code, answer.error_message.as_deref()), (error, Some(words)));
    }
    let groups = wire.call(5, ListGroupsRequest::default()).await.groups;
    assert!(groups.is_empty(), "nothing was made by it");
}

#[tokio::test(start_paused = true)]
async fn members_are_told_their_partitions_step_by_step() {
    let (bench, mut wire, id) = bench(KafkaOptions::brokers(3)).await;
    let first = wire.call(0, join("")).await;
    let one = first.member_id.clone().expect("an id").to_string();
    assert_eq!(one.len(), 22);
    assert_eq!((first.member_epoch, first.heartbeat_interval_ms), (2, 5000));
    assert_eq!(told(&first), Some(vec![0, 1, 2, 3]));
    let early = wire.call(1, join("two")).await;
    assert_eq!((early.member_epoch, told(&early)), (2, Some(vec![])), "the last target is too young");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(wire.call(1, beat("two", 2)).await.member_epoch, 3);
    let keeps = wire.call(1, beat(&one, 2)).await;
    assert_eq!((keeps.member_epoch, told(&keeps)), (2, Some(vec![0, 1])));
    let group = bench.cluster.group("workers").expect("a group");
    assert_eq!(
        (group.kind, group.state, group.generation),
        (GroupKind::Consumer, GroupState::Reconciling, 3)
    );
    assert_eq!(group.members[&one].assigned["orders"], [0, 1, 2, 3], "until it gave them back");
    assert_eq!(group.members[&one].target["orders"], [0, 1]);
    let gave = wire.call(1, beat(&one, 2).with_topic_partitions(owns(id, &[0, 1]))).await;
    assert_eq!((gave.member_epoch, told(&gave)), (3, None));
    assert_eq!(told(&wire.call(1, beat("two", 3)).await), Some(vec![2, 3]));
    // The answer with the new epoch was lost: the member comes with the old one and what it holds.
    let again = wire.call(1, beat(&one, 2).with_topic_partitions(owns(id, &[0, 1]))).await;
    assert_eq!((again.error_code, again.member_epoch), (0, 3));
    for (epoch, which) in [(2, "smaller"), (9, "greater")] {
        let fenced = wire.call(1, beat(&one, epoch)).await;
        let words = format!(
            "The consumer group member has a {which} member epoch ({epoch}) than the one known by the group \
             coordinator (3). The member must abandon all its partitions and rejoin."
        );
        assert_eq!((fenced.error_code, fenced.error_message.as_deref()), (110, Some(words.as_str())));
    }
    let left = wire.call(1, beat(&one, -1)).await;
    assert_eq!((left.member_epoch, left.heartbeat_interval_ms), (-1, 0));
}

#[tokio::test(start_paused = true)]
async fn groups_are_described_and_listed_by_their_protocol() {
    let (_bench, mut wire, _) = bench(KafkaOptions::brokers(1)).await;
    wire.call(1, join("one").with_rack_id(Some(text("r")))).await;
    for version in wire.versions(ApiKey::ConsumerGroupDescribe).await {
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(vec![group_id()])
            .with_include_authorized_operations(true);
        let group = wire.call(version, request).await.groups.remove(0);
        assert_eq!((group.group_state.as_str(), group.group_epoch, group.assignment_epoch), ("Stable", 2, 2));
        assert_eq!((group.assignor_name.as_str(), group.authorized_operations), ("uniform", 3400));
        let member = &group.members[0];
        assert_eq!((member.member_epoch, member.rack_id.as_deref()), (2, Some("r")));
        assert_eq!(member.assignment, member.target_assignment);
        assert_eq!(member.member_type, if version >= 1 { 1 } else { -1 });
    }
    let classic = wire.call(6, DescribeGroupsRequest::default().with_groups(vec![group_id()])).await;
    assert_eq!((classic.groups[0].error_code, classic.groups[0].group_state.as_str()), (69, "Dead"));
    assert_eq!(classic.groups[0].error_message.as_deref(), Some("Group workers is not a classic group."));
    for (kind, count) in [("Consumer", 1), ("classic", 0), ("nonsense", 0)] {
        let listed = wire.call(5, ListGroupsRequest::default().with_types_filter(vec![text(kind)])).await;
        assert_eq!(listed.groups.len(), count, "{kind}");
    }
    for (state, count) in [(" stable ", 1), ("Empty", 0)] {
        let listed = wire.call(5, ListGroupsRequest::default().with_states_filter(vec![text(state)])).await;
        assert_eq!(listed.groups.len(), count, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_are_kept_for_members_at_their_epoch_and_for_what_they_were_given_before() {
    let (_bench, mut wire, id) = bench(KafkaOptions::brokers(1)).await;
    wire.call(1, join("one")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    wire.call(1, join("two")).await;
    wire.call(1, beat("one", 2)).await;
    wire.call(1, beat("one", 2).with_topic_partitions(owns(id, &[0, 1]))).await;
    wire.call(1, beat("two", 3)).await;
    for (version, epoch, member, partition, error) in [
        (9, 3, "one", 0, 0),
        (9, 2, "one", 0, 0),
        (9, 2, "one", 2, 113),
        (9, 2, "two", 2, 113),
        (9, 7, "one", 0, 113),
        (8, 3, "one", 0, 35),
        (9, 3, "nobody", 0, 25),
        (9, -1, "", 0, 25),
        (9, 3, "one", 9, 3),
    ] {
        let found = committed(&mut wire, version, epoch, member, partition).await;
        assert_eq!(found, error, "{member} at {epoch} for {partition} by version {version}");
    }
    for (member, epoch, error) in [
        (None, -1, 0),
        (Some("one"), 3, 0),
        (Some("one"), 2, 113),
        (Some("nobody"), 3, 25),
        (Some(""), -1, 25),
    ] {
        assert_eq!(fetched(&mut wire, member, epoch).await, error, "{member:?} at {epoch}");
    }
    assert_eq!(deleted(&mut wire).await, 68);
    for member in ["one", "two"] {
        wire.call(1, beat(member, -1)).await;
    }
    assert_eq!(committed(&mut wire, 9, -1, "", 0).await, 0, "an empty group takes anybody's");
    assert_eq!(deleted(&mut wire).await, 0);
    assert_eq!(deleted(&mut wire).await, 69);
    assert_eq!(committed(&mut wire, 9, 1, "one", 0).await, 69);
    assert_eq!(committed(&mut wire, 8, 1, "one", 0).await, 22);
}

#[tokio::test(start_paused = true)]
async fn offsets_of_topics_that_are_read_are_not_deleted() {
    let (bench, mut wire, _) = bench(KafkaOptions::brokers(1)).await;
    bench.cluster.create_topic("other", 1).expect("created");
    wire.call(1, join("one")).await;
    let delete = |group: &str, topic: &str| {
        let partitions =
            [7, 0].map(|n| forget::OffsetDeleteRequestPartition::default().with_partition_index(n));
        let topic = forget::OffsetDeleteRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(partitions.to_vec());
        OffsetDeleteRequest::default().with_group_id(GroupId(text(group))).with_topics(vec![topic])
    };
    for (topic, error) in [("orders", 86), ("other", 0)] {
        let answer = wire.call(0, delete("workers", topic)).await;
        let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|told| told.error_code).collect();
        assert_eq!((answer.error_code, codes), (0, vec![3, error]));
    }
    let nowhere = wire.call(0, delete("nobody", "orders")).await;
    assert_eq!((nowhere.error_code, nowhere.topics.len()), (69, 0));
}

#[tokio::test(start_paused = true)]
async fn a_moved_coordinator_knows_epochs_and_assignments_and_grown_topics_make_new_ones() {
    let (bench, mut wire, _) = bench(KafkaOptions::brokers(3)).await;
    wire.call(1, join("one")).await;
    bench.cluster.move_coordinator("workers");
    assert_eq!(wire.call(1, beat("one", 2)).await.error_code, 16);
    let mut wire = coordinator(&bench).await;
    let alive = wire.call(1, beat("one", 2)).await;
    assert_eq!((alive.error_code, alive.member_epoch, told(&alive)), (0, 2, None));
    bench.cluster.delete_topic("orders").expect("deleted");
    bench.cluster.create_topic("orders", 6).expect("created");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = wire.call(1, beat("one", 2)).await;
    assert_eq!((told.member_epoch, told.assignment.map(|a| a.topic_partitions.len())), (2, Some(0)));
    let new = wire.call(1, beat("one", 2).with_topic_partitions(Some(Vec::new()))).await;
    let partitions = new.assignment.expect("told").topic_partitions.remove(0).partitions;
    assert_eq!((new.member_epoch, partitions.len()), (3, 6));
}

#[tokio::test(start_paused = true)]
async fn a_groups_own_settings_come_before_those_of_the_brokers() {
    let mut options = KafkaOptions::brokers(1);
    options.set_broker_config("group.consumer.heartbeat.interval.ms", "7000").expect("a setting");
    let (bench, mut wire, _) = bench(options).await;
    assert_eq!(wire.call(1, join("one")).await.heartbeat_interval_ms, 7000);
    let set = |name: &str, value: &str| {
        alter::AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    let group = alter::AlterConfigsResource::default()
        .with_resource_type(32)
        .with_resource_name(text("workers"))
        .with_configs(vec![
            set("consumer.heartbeat.interval.ms", "6000"),
            set("consumer.session.timeout.ms", "50000"),
        ]);
    let answer = wire.call(1, IncrementalAlterConfigsRequest::default().with_resources(vec![group])).await;
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    assert_eq!(wire.call(1, beat("one", 2)).await.heartbeat_interval_ms, 6000);
    let members = || bench.cluster.group("workers").expect("a group").members.len();
    tokio::time::sleep(Duration::from_secs(49)).await;
    assert_eq!(members(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(members(), 0);
}

/// A subscription of the classic protocol to the topic, version 1, owning nothing.
fn subscription() -> Bytes {
    Bytes::from_static(b"\x00\x01\x00\x00\x00\x01\x00\x06orders\xff\xff\xff\xff\x00\x00\x00\x00")
}

fn classic_join(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription());
    JoinGroupRequest::default()
        .with_group_id(group_id())
        .with_member_id(text(member))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn classic_sync(member: &str, generation: i32, assignment: &'static [u8]) -> SyncGroupRequest {
    let assigned = SyncGroupRequestAssignment::default()
        .with_member_id(text(member))
        .with_assignment(Bytes::from_static(assignment));
    SyncGroupRequest::default()
        .with_group_id(group_id())
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(vec![assigned])
}

/// Partitions 0 to 3 of the topic, in version 1.
const ALL: &[u8] = b"\x00\x01\x00\x00\x00\x01\x00\x06orders\x00\x00\x00\x04\
    \x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\xff\xff\xff\xff";
const FIRST_TWO: &[u8] = b"\x00\x01\x00\x00\x00\x01\x00\x06orders\x00\x00\x00\x02\
    \x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff";

async fn classic_beat(wire: &mut Wire, member: &str, generation: i32) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group_id())
        .with_member_id(text(member))
        .with_generation_id(generation);
    wire.call(4, request).await.error_code
}

#[tokio::test(start_paused = true)]
async fn a_classic_group_is_upgraded_by_its_first_new_member_and_downgraded_without_its_last() {
    let (bench, mut wire, _) = bench(KafkaOptions::brokers(1)).await;
    let old = wire.call(9, classic_join("")).await.member_id.to_string();
    assert_eq!(wire.call(9, classic_join(&old)).await.generation_id, 1);
    wire.call(5, classic_sync(&old, 1, ALL)).await;
    let new = wire.call(1, join("new")).await;
    assert_eq!((new.member_epoch, told(&new)), (2, Some(vec![])), "the generation became the epoch");
    assert_eq!(classic_beat(&mut wire, &old, 1).await, 27);
    assert_eq!(wire.call(5, classic_sync(&old, 1, b"")).await.error_code, 27);
    // It says that it owns nothing any more, so it has nothing to give back.
    let joined = wire.call(9, classic_join(&old)).await;
    assert_eq!((joined.error_code, joined.generation_id, joined.members.len()), (0, 2, 0));
    let synced = wire.call(5, classic_sync(&old, 2, b"")).await;
    assert_eq!(synced.assignment, FIRST_TWO);
    assert_eq!(classic_beat(&mut wire, &old, 2).await, 0);
    assert_eq!(told(&wire.call(1, beat("new", 2)).await), Some(vec![2, 3]));
    let group = bench.cluster.group("workers").expect("a group");
    assert_eq!((group.kind, group.state, group.members.len()), (GroupKind::Consumer, GroupState::Stable, 2));
    wire.call(1, beat("new", -1)).await;
    let group = bench.cluster.group("workers").expect("a group");
    assert_eq!((group.kind, group.state), (GroupKind::Classic, GroupState::PreparingRebalance));
    assert_eq!(group.members[&old].assigned["orders"], [0, 1]);
    assert_eq!(classic_beat(&mut wire, &old, 2).await, 27);
    let joined = wire.call(9, classic_join(&old)).await;
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn an_assignment_with_an_assignors_own_data_cannot_be_upgraded() {
    let (_bench, mut wire, _) = bench(KafkaOptions::brokers(1)).await;
    let old = wire.call(3, classic_join("")).await.member_id.to_string();
    wire.call(5, classic_sync(&old, 1, b"\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01x")).await;
    let refused = wire.call(1, join("new")).await;
    assert_eq!(refused.error_code, 69);
    let words = "Cannot upgrade classic group workers to consumer group because an unsupported custom assignor is \
                 in use. Please refer to the documentation or switch to a default assignor before re-attempting \
                 the upgrade.";
    assert_eq!(refused.error_message.as_deref(), Some(words));
    assert_eq!(classic_beat(&mut wire, &old, 1).await, 0, "the group is as it was");
}

#[tokio::test(start_paused = true)]
async fn offsets_expire_a_week_after_the_group_became_empty_and_the_group_goes_with_them() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let (bench, mut wire, _) = bench(KafkaOptions::brokers(1)).await;
    let old = wire.call(3, classic_join("")).await.member_id.to_string();
    wire.call(5, classic_sync(&old, 1, ALL)).await;
    assert_eq!(committed(&mut wire, 8, 1, &old, 0).await, 0);
    let leave = LeaveGroupRequest::default().with_group_id(group_id()).with_member_id(text(&old));
    tokio::time::sleep(Duration::from_secs(9)).await;
    wire.call(1, leave).await;
    tokio::time::sleep(DAY * 7 - Duration::from_secs(600)).await;
    assert_eq!(bench.cluster.group("workers").map(|group| group.offsets.len()), Some(1));
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(bench.cluster.group("workers"), None);
    // Without members from the start the commit itself counts; an old client says how long.
    let mut wire = coordinator(&bench).await; // the broker closed the idle connection
    assert_eq!(committed(&mut wire, 8, -1, "", 0).await, 0);
    tokio::time::sleep(DAY * 6).await;
    let mut wire = coordinator(&bench).await;
    assert_eq!(committed(&mut wire, 8, -1, "", 1).await, 0);
    let short = commit_at(-1, "", 2).with_retention_time_ms(1000);
    wire.call(4, short).await;
    tokio::time::sleep(DAY + Duration::from_secs(600)).await;
    let offsets = bench.cluster.group("workers").expect("a group").offsets;
    assert_eq!(offsets.keys().collect::<Vec<_>>(), [&("orders".to_owned(), 1)]);
}
