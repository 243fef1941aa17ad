//! Consumer groups over the wire: members on several connections, coordinators that move.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{offset_commit_request as commit, offset_fetch_request as committed, *};
use squall_mocks::kafka::{GroupState, KafkaOptions};

use crate::wire::{Bench, Wire, text};

fn group_id() -> GroupId {
    GroupId(text("workers"))
}

/// The node that any node names as the coordinator.
async fn coordinator(bench: &Bench) -> i32 {
    let mut wire = bench.connect(1).await;
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("workers")]);
    let found = wire.call(4, request).await.coordinators.remove(0);
    assert_eq!(found.error_code, 0);
    found.node_id.0
}

fn join(member_id: &str) -> JoinGroupRequest {
    let protocol =
        JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"t"));
    JoinGroupRequest::default()
        .with_group_id(group_id())
        .with_member_id(text(member_id))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(30_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn sync(joined: &JoinGroupResponse) -> SyncGroupRequest {
    let assign = |member: &join_group_response::JoinGroupResponseMember| {
        SyncGroupRequestAssignment::default()
            .with_member_id(member.member_id.clone())
            .with_assignment(member.member_id.clone().into_bytes())
    };
    SyncGroupRequest::default()
        .with_group_id(group_id())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(joined.members.iter().map(assign).collect())
}

async fn heartbeat(wire: &mut Wire, joined: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group_id())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    wire.call(3, request).await.error_code
}

fn commit_at(offset: i64, generation: i32, member_id: &str) -> OffsetCommitRequest {
    let partition = commit::OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("note")));
    let topic = commit::OffsetCommitRequestTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group_id())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member_id))
        .with_topics(vec![topic])
}

/// A new member, joined and with its assignment, alone in the group.
async fn alone(wire: &mut Wire) -> JoinGroupResponse {
    let given = wire.call(5, join("")).await;
    assert_eq!(given.error_code, 79);
    let joined = wire.call(5, join(&given.member_id)).await;
    assert_eq!((joined.error_code, &joined.leader), (0, &joined.member_id));
    let synced = wire.call(3, sync(&joined)).await;
    assert_eq!(synced.assignment, joined.member_id.clone().into_bytes());
    joined
}

#[tokio::test(start_paused = true)]
async fn every_version_of_the_group_requests_makes_a_generation() {
    for version in 0..=9 {
        let bench = Bench::three();
        let mut wire = bench.connect(coordinator(&bench).await).await;
        let mut joined = wire.call(version, join("")).await;
        if version >= 4 {
            assert_eq!(joined.error_code, 79);
            joined = wire.call(version, join(&joined.member_id)).await;
        }
        assert_eq!((joined.error_code, joined.generation_id), (0, 1), "version {version}");
        let member = joined.member_id.clone();
        let synced = wire.call(version.min(5), sync(&joined)).await;
        assert_eq!((synced.error_code, synced.assignment), (0, member.clone().into_bytes()));
        let beat = HeartbeatRequest::default().with_group_id(group_id()).with_generation_id(1);
        assert_eq!(wire.call(version.min(4), beat.with_member_id(member.clone())).await.error_code, 0);
        let leave = LeaveGroupRequest::default().with_group_id(group_id());
        let leave = match version {
            ..3 => leave.with_member_id(member),
            _ => leave.with_members(vec![MemberIdentity::default().with_member_id(member)]),
        };
        let left = wire.call(version.min(5), leave).await;
        assert!(left.error_code == 0 && left.members.iter().all(|member| member.error_code == 0));
        assert_eq!(bench.cluster.group("workers").expect("a group").state, GroupState::Empty);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_member_makes_the_first_rejoin_and_both_get_their_assignment() {
    let bench = Bench::three();
    let node = coordinator(&bench).await;
    let (mut one, mut two) = (bench.connect(node).await, bench.connect(node).await);
    let first = alone(&mut one).await;
    let given = two.call(5, join("")).await;
    two.send(5, &join(&given.member_id)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(heartbeat(&mut one, &first).await, 27);
    let leader = one.call(5, join(&first.member_id)).await;
    let follower = two.receive::<JoinGroupRequest>(5).await.expect("an answer");
    assert_eq!((leader.generation_id, follower.generation_id, leader.members.len()), (2, 2, 2));
    two.send(3, &sync(&follower)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    one.call(3, sync(&leader)).await;
    let assigned = two.receive::<SyncGroupRequest>(3).await.expect("an answer");
    assert_eq!(assigned.assignment, follower.member_id.into_bytes());
    assert_eq!(bench.cluster.group("workers").expect("a group").members.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_connection_broke_is_dropped_when_its_session_ends() {
    let bench = Bench::three();
    let mut wire = bench.connect(coordinator(&bench).await).await;
    alone(&mut wire).await;
    drop(wire);
    let members = || bench.cluster.group("workers").expect("a group").members.len();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(members(), 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(members(), 0);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_committed_and_fetched_in_every_version() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(coordinator(&bench).await).await;
    for version in wire.versions(ApiKey::OffsetCommit).await {
        let answer = wire.call(version, commit_at(i64::from(version), -1, "")).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    }
    for version in wire.versions(ApiKey::OffsetFetch).await {
        let name = TopicName(text("orders"));
        let request = OffsetFetchRequest::default();
        let (offset, unknown) = if version < 8 {
            let topic = committed::OffsetFetchRequestTopic::default()
                .with_name(name)
                .with_partition_indexes(vec![0, 1]);
            let answer =
                wire.call(version, request.with_group_id(group_id()).with_topics(Some(vec![topic]))).await;
            let found = &answer.topics[0].partitions;
            (found[0].committed_offset, found[1].committed_offset)
        } else {
            let topic = committed::OffsetFetchRequestTopics::default()
                .with_name(name)
                .with_partition_indexes(vec![0, 1]);
            let group = committed::OffsetFetchRequestGroup::default()
                .with_group_id(group_id())
                .with_topics(Some(vec![topic]));
            let answer = wire.call(version, request.with_groups(vec![group])).await;
            let found = &answer.groups[0].topics[0].partitions;
            (found[0].committed_offset, found[1].committed_offset)
        };
        assert_eq!((offset, unknown), (9, -1), "version {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_members_of_the_generation_commit_while_there_are_members() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(coordinator(&bench).await).await;
    let joined = alone(&mut wire).await;
    let member = joined.member_id.to_string();
    let cases = [
        (-1, "", 25),
        (-1, &member, 22),
        (1, "nobody", 25),
        (0, &member, 22),
        (2, &member, 22),
        (1, &member, 0),
    ];
    for (generation, member, error) in cases {
        let answer = wire.call(6, commit_at(5, generation, member)).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, error, "{generation} {member}");
    }
    bench.cluster.delete_topic("orders").expect("deleted");
    assert!(bench.cluster.group("workers").expect("a group").offsets.is_empty());
    let answer = wire.call(6, commit_at(5, 1, &member)).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 3);
}

#[tokio::test(start_paused = true)]
async fn a_moved_coordinator_knows_members_and_offsets_and_the_old_one_sends_everybody_away() {
    let bench = Bench::three();
    bench.cluster.create_topic("orders", 1).expect("created");
    let old = coordinator(&bench).await;
    let (mut one, mut two) = (bench.connect(old).await, bench.connect(old).await);
    let joined = alone(&mut one).await;
    one.call(6, commit_at(5, 1, &joined.member_id)).await;
    // A second member waits for a rebalance that will be lost.
    let given = two.call(5, join("")).await;
    two.send(5, &join(&given.member_id)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let new = bench.cluster.move_coordinator("workers");
    assert_ne!(new, old);
    assert_eq!(two.receive::<JoinGroupRequest>(5).await.expect("an answer").error_code, 16);
    assert_eq!(heartbeat(&mut one, &joined).await, 16);
    assert_eq!(coordinator(&bench).await, new);
    let mut one = bench.connect(new).await;
    assert_eq!(heartbeat(&mut one, &joined).await, 0);
    let group = bench.cluster.group("workers").expect("a group");
    assert_eq!((group.state, group.generation, group.coordinator), (GroupState::Stable, 1, new));
    assert_eq!(group.offsets[&("orders".to_owned(), 0)].offset, 5);
}

#[tokio::test(start_paused = true)]
async fn the_first_search_for_a_coordinator_creates_the_offsets_topic() {
    let bench = Bench::new(KafkaOptions { offsets_topic_at_start: false, ..KafkaOptions::brokers(3) });
    let mut wire = bench.connect(1).await;
    for version in wire.versions(ApiKey::FindCoordinator).await {
        let several = version >= 4;
        let request = FindCoordinatorRequest::default();
        let request = if several {
            request.with_coordinator_keys(vec![text("workers")])
        } else {
            request.with_key(text("workers"))
        };
        let answer = wire.call(version, request).await;
        let error = if several { answer.coordinators[0].error_code } else { answer.error_code };
        assert_eq!(error, if version == 0 { 15 } else { 0 }, "version {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn groups_are_listed_by_their_coordinator_and_described_in_every_version() {
    let bench = Bench::three();
    let node = coordinator(&bench).await;
    let mut wire = bench.connect(node).await;
    let joined = alone(&mut wire).await;
    for version in wire.versions(ApiKey::DescribeGroups).await {
        let request = DescribeGroupsRequest::default().with_groups(vec![group_id()]);
        let group = wire.call(version, request).await.groups.remove(0);
        assert_eq!((group.error_code, group.group_state.as_str()), (0, "Stable"));
        assert_eq!(group.members[0].member_id, joined.member_id);
    }
    for version in wire.versions(ApiKey::ListGroups).await {
        let listed = wire.call(version, ListGroupsRequest::default()).await.groups;
        assert_eq!(listed.iter().map(|group| group.group_id.clone()).collect::<Vec<_>>(), [group_id()]);
    }
    let mut elsewhere = bench.connect(node % 3 + 1).await;
    assert!(elsewhere.call(4, ListGroupsRequest::default()).await.groups.is_empty());
}
