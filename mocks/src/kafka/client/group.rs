//! The requests of the classic group protocol, each one attempt, with answers read into plain values.
//!
//! What follows from an answer is decided in `membership.rs`; nothing is retried and no state is kept here.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest,
    TopicName,
};

use super::admin::{millis, offset_fetch_request, read_committed, text};
use super::assignor;
use super::consumer::ConsumerOptions;
use super::coordinator::Coordinator;
use super::error::{ClientError, ErrorCode};
use super::isolation::Isolation;
use super::types::TopicPartition;

const PROTOCOL_TYPE: &str = "consumer";
/// Time an answer to a join may take beyond the rebalance itself, as in Kafka's own client.
const JOIN_MARGIN: Duration = Duration::from_secs(5);

/// What a member speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    pub(super) id: i32,
    pub(super) member: String,
}

/// The answer to a join.
pub(super) enum Joined {
    /// The join is complete. The leader also learns every member's topics.
    Member { generation: Generation, leading: Option<BTreeMap<String, Vec<String>>> },
    /// The coordinator has given a member id to join again with (KIP-394).
    Again(String),
}

/// Joins, or joins again; waits for the other members.
pub(super) async fn join(
    coordinator: &Coordinator,
    options: &ConsumerOptions,
    member: &str,
) -> Result<Joined, ClientError> {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text(assignor::NAME))
        .with_metadata(assignor::write_subscription(&options.topics)?);
    let request = JoinGroupRequest::default()
        .with_group_id(GroupId(text(&options.group)))
        .with_session_timeout_ms(millis(options.session_timeout))
        .with_rebalance_timeout_ms(millis(options.rebalance_timeout))
        .with_member_id(text(member))
        .with_protocol_type(text(PROTOCOL_TYPE))
        .with_protocols(vec![protocol]);
    let response = coordinator.call(&request, options.rebalance_timeout + JOIN_MARGIN).await?;
    if ErrorCode::of(response.error_code) == Some(ErrorCode(ResponseError::MemberIdRequired)) {
        return Ok(Joined::Again(response.member_id.to_string()));
    }
    check(coordinator, response.error_code, "join")?;
    let generation = Generation { id: response.generation_id, member: response.member_id.to_string() };
    if response.leader != response.member_id {
        return Ok(Joined::Member { generation, leading: None });
    }
    let mut members = BTreeMap::new();
    for member in response.members {
        members.insert(member.member_id.to_string(), assignor::read_subscription(member.metadata)?);
    }
    Ok(Joined::Member { generation, leading: Some(members) })
}

/// Hands in the leader's assignments, if there are any, and waits for this member's.
pub(super) async fn sync(
    coordinator: &Coordinator,
    options: &ConsumerOptions,
    generation: &Generation,
    assignments: &BTreeMap<String, Vec<TopicPartition>>,
) -> Result<Vec<TopicPartition>, ClientError> {
    let mut written = Vec::new();
    for (member, partitions) in assignments {
        let assignment = assignor::write_assignment(partitions)?;
        let member = text(member);
        written
            .push(SyncGroupRequestAssignment::default().with_member_id(member).with_assignment(assignment));
    }
    let request = SyncGroupRequest::default()
        .with_group_id(GroupId(text(&options.group)))
        .with_generation_id(generation.id)
        .with_member_id(text(&generation.member))
        .with_assignments(written);
    let response = coordinator.call(&request, options.rebalance_timeout + JOIN_MARGIN).await?;
    check(coordinator, response.error_code, "sync")?;
    assignor::read_assignment(response.assignment)
}

/// Tells the coordinator that this member lives.
pub(super) async fn heartbeat(
    coordinator: &Coordinator,
    options: &ConsumerOptions,
    generation: &Generation,
) -> Result<(), ClientError> {
    let request = HeartbeatRequest::default()
        .with_group_id(GroupId(text(&options.group)))
        .with_generation_id(generation.id)
        .with_member_id(text(&generation.member));
    let response = coordinator.call(&request, options.session_timeout / 2).await?;
    check(coordinator, response.error_code, "heartbeat")
}

/// Commits offsets, each with the epoch of the leader it was read from, under a generation.
pub(super) async fn commit(
    coordinator: &Coordinator,
    generation: &Generation,
    offsets: &[(TopicPartition, i64, i32)],
) -> Result<(), ClientError> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (partition, offset, epoch) in offsets {
        let committed = OffsetCommitRequestPartition::default()
            .with_partition_index(partition.partition)
            .with_committed_offset(*offset)
            .with_committed_leader_epoch(*epoch)
            .with_committed_metadata(Some(text("")));
        topics.entry(&partition.topic).or_default().push(committed);
    }
    let topic = |(name, partitions)| {
        OffsetCommitRequestTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
    };
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&coordinator.group)))
        .with_generation_id_or_member_epoch(generation.id)
        .with_member_id(text(&generation.member))
        .with_topics(topics.into_iter().map(topic).collect());
    let timeout = coordinator.client.options().request_timeout;
    let response = coordinator.call(&request, timeout).await?;
    let mut codes = response.topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error_code);
    codes.try_for_each(|code| check(coordinator, code, "commit"))
}

/// The group's committed offsets, each with its leader's epoch; none where it has committed none.
pub(super) async fn committed(
    coordinator: &Coordinator,
    partitions: &[TopicPartition],
    isolation: Isolation,
) -> Result<BTreeMap<TopicPartition, Option<(i64, i32)>>, ClientError> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let request = offset_fetch_request(&coordinator.group, partitions, isolation);
    let response = coordinator.call(&request, coordinator.client.options().request_timeout).await?;
    read_committed(&coordinator.group, response).inspect_err(|error| coordinator.note(error))
}

/// Leaves the group.
pub(super) async fn leave(coordinator: &Coordinator, member: &str) -> Result<(), ClientError> {
    let request = LeaveGroupRequest::default()
        .with_group_id(GroupId(text(&coordinator.group)))
        .with_members(vec![MemberIdentity::default().with_member_id(text(member))]);
    let response = coordinator.call_aside(&request, coordinator.client.options().request_timeout).await?;
    check(coordinator, response.error_code, "leave")?;
    response.members.iter().try_for_each(|member| check(coordinator, member.error_code, "leave"))
}

fn check(coordinator: &Coordinator, code: i16, what: &str) -> Result<(), ClientError> {
    let checked = ErrorCode::check(code, || format!("{what} group {}", coordinator.group));
    checked.inspect_err(|error| coordinator.note(error))
}
