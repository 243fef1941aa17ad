//! Requests: one file per API, and the table that sends each to its file.
//!
//! Every file opens with what the API does here, which versions, and what of Kafka's behaviour is missing. It
//! has `describe` (what fault rules see), `handle` (what is done) and `outcome` (the first error of an answer,
//! for traces).

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
pub(crate) mod fetch;
mod fetch_read;
mod fetch_response;
pub(crate) mod fetch_session;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
pub(crate) mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
pub(crate) mod produce;
mod produce_wait;
pub(crate) mod replica_wait;
mod sasl_authenticate;
mod sasl_handshake;
mod switched_off;
pub(crate) mod sync_group;
mod txn_offset_commit;
mod unregister_broker;
mod write_txn_markers;

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;
use uuid::Uuid;

use switched_off::{
    add_raft_voter, alter_share_group_offsets, create_acls, create_delegation_token, delete_acls,
    delete_share_group_offsets, describe_acls, describe_delegation_token, describe_share_group_offsets,
    expire_delegation_token, remove_raft_voter, renew_delegation_token, share_acknowledge, share_fetch,
    share_group_describe, share_group_heartbeat,
};

use super::cluster::{Call, Cluster, Ticket};
use super::image::Node;
use super::matcher::Target;
use super::sasl::Admission;
use super::wire::beyond;
use super::wire::errors;
use super::wire::frame::{Frame, FrameError, Head};
use super::wire::text;
use crate::observe::What;

/// What anybody may do without an authorizer, as the bits that answers tell it in.
const ALL_OF_CLUSTER: i32 = 0x1fa0;
const ALL_OF_TOPIC: i32 = 0x0df8;
const ALL_OF_GROUP: i32 = 0x0d48;

/// What fault rules see of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Described {
    pub groups: Vec<String>,
    pub transactional_ids: Vec<String>,
    pub targets: Vec<Target>,
}

impl Described {
    /// A request about one group.
    fn group(id: &str) -> Self {
        Self { groups: vec![id.to_owned()], ..Self::default() }
    }

    /// A request about one transactional id, or none.
    fn transaction(id: Option<&str>) -> Self {
        Self { transactional_ids: id.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// A request about partitions.
    fn partitions(targets: impl IntoIterator<Item = (String, i32)>) -> Self {
        let target = |(topic, partition)| Target { topic, partition: Some(partition) };
        Self { targets: targets.into_iter().map(target).collect(), ..Self::default() }
    }

    /// A request about topics.
    fn topics(topics: impl IntoIterator<Item = String>) -> Self {
        let target = |topic| Target { topic, partition: None };
        Self { targets: topics.into_iter().map(target).collect(), ..Self::default() }
    }
}

/// What a handler says.
pub(crate) enum Answer<R> {
    /// The answer.
    Now(R),
    /// It comes through [`Cluster::finish`], perhaps it is there already.
    Later,
    /// None is wanted.
    Never,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(Frame),
    Parked,
    NoReply,
    /// The answer, after which the connection is to be closed.
    Last(Frame),
    /// The connection is to be closed.
    Close,
}

/// A request whose body was read.
#[derive(Debug)]
pub(crate) struct Request {
    pub head: Head,
    body: Body,
    /// Bytes of the whole frame.
    pub size: usize,
}

macro_rules! apis {
    ($($key:ident => $request:ident, $module:ident;)*) => {
        #[derive(Debug)]
        enum Body {
            /// ApiVersions of a version we do not know, which has its own answer.
            UnknownApiVersions,
            $($key($request),)*
        }

        impl Body {
            fn decode(head: &Head, bytes: &mut Bytes) -> Result<Self, String> {
                if !head.served {
                    return Ok(Self::UnknownApiVersions);
                }
                let version = beyond::of_codec(head.api.key, head.version);
                *bytes = beyond::to_codec(head.api.key, head.version, bytes)?;
                super::wire::shape::check(head.api.key, version, bytes)?;
                match head.api.key {
                    $(ApiKey::$key => $request::decode(bytes, version)
                        .map(Self::$key).map_err(|error| error.to_string()),)*
                    other => Err(format!("{other:?} is in the table of APIs but has no handler")),
                }
            }

            fn describe(&self, cluster: &Cluster, node: i32) -> Described {
                match self {
                    Self::UnknownApiVersions => Described::default(),
                    $(Self::$key(request) => $module::describe(request, cluster, node),)*
                }
            }

            fn handle(self, cluster: &mut Cluster, call: &Call<'_>) -> Result<Answer<Frame>, FrameError> {
                match self {
                    Self::UnknownApiVersions => api_versions::unknown_version(call).map(Answer::Now),
                    $(Self::$key(request) => match $module::handle(cluster, call, request) {
                        Answer::Now(answer) => {
                            cluster.sight_request(call.ticket, $module::outcome(&answer));
                            let ticket = call.ticket;
                            Frame::encode(ticket.api, ticket.version, ticket.correlation, &answer)
                                .map(Answer::Now)
                        }
                        Answer::Later => Ok(Answer::Later),
                        Answer::Never => Ok(Answer::Never),
                    },)*
                }
            }
        }
    };
}

apis! {
    Produce => ProduceRequest, produce;
    Fetch => FetchRequest, fetch;
    ListOffsets => ListOffsetsRequest, list_offsets;
    Metadata => MetadataRequest, metadata;
    OffsetCommit => OffsetCommitRequest, offset_commit;
    OffsetFetch => OffsetFetchRequest, offset_fetch;
    FindCoordinator => FindCoordinatorRequest, find_coordinator;
    JoinGroup => JoinGroupRequest, join_group;
    Heartbeat => HeartbeatRequest, heartbeat;
    LeaveGroup => LeaveGroupRequest, leave_group;
    SyncGroup => SyncGroupRequest, sync_group;
    DescribeGroups => DescribeGroupsRequest, describe_groups;
    ListGroups => ListGroupsRequest, list_groups;
    SaslHandshake => SaslHandshakeRequest, sasl_handshake;
    ApiVersions => ApiVersionsRequest, api_versions;
    CreateTopics => CreateTopicsRequest, create_topics;
    DeleteTopics => DeleteTopicsRequest, delete_topics;
    DeleteRecords => DeleteRecordsRequest, delete_records;
    InitProducerId => InitProducerIdRequest, init_producer_id;
    OffsetForLeaderEpoch => OffsetForLeaderEpochRequest, offset_for_leader_epoch;
    AddPartitionsToTxn => AddPartitionsToTxnRequest, add_partitions_to_txn;
    AddOffsetsToTxn => AddOffsetsToTxnRequest, add_offsets_to_txn;
    EndTxn => EndTxnRequest, end_txn;
    WriteTxnMarkers => WriteTxnMarkersRequest, write_txn_markers;
    TxnOffsetCommit => TxnOffsetCommitRequest, txn_offset_commit;
    DescribeAcls => DescribeAclsRequest, describe_acls;
    CreateAcls => CreateAclsRequest, create_acls;
    DeleteAcls => DeleteAclsRequest, delete_acls;
    DescribeConfigs => DescribeConfigsRequest, describe_configs;
    AlterConfigs => AlterConfigsRequest, alter_configs;
    AlterReplicaLogDirs => AlterReplicaLogDirsRequest, alter_replica_log_dirs;
    DescribeLogDirs => DescribeLogDirsRequest, describe_log_dirs;
    SaslAuthenticate => SaslAuthenticateRequest, sasl_authenticate;
    CreatePartitions => CreatePartitionsRequest, create_partitions;
    CreateDelegationToken => CreateDelegationTokenRequest, create_delegation_token;
    RenewDelegationToken => RenewDelegationTokenRequest, renew_delegation_token;
    ExpireDelegationToken => ExpireDelegationTokenRequest, expire_delegation_token;
    DescribeDelegationToken => DescribeDelegationTokenRequest, describe_delegation_token;
    DeleteGroups => DeleteGroupsRequest, delete_groups;
    ElectLeaders => ElectLeadersRequest, elect_leaders;
    IncrementalAlterConfigs => IncrementalAlterConfigsRequest, incremental_alter_configs;
    AlterPartitionReassignments => AlterPartitionReassignmentsRequest, alter_partition_reassignments;
    ListPartitionReassignments => ListPartitionReassignmentsRequest, list_partition_reassignments;
    OffsetDelete => OffsetDeleteRequest, offset_delete;
    DescribeClientQuotas => DescribeClientQuotasRequest, describe_client_quotas;
    AlterClientQuotas => AlterClientQuotasRequest, alter_client_quotas;
    DescribeUserScramCredentials => DescribeUserScramCredentialsRequest, describe_user_scram_credentials;
    AlterUserScramCredentials => AlterUserScramCredentialsRequest, alter_user_scram_credentials;
    DescribeQuorum => DescribeQuorumRequest, describe_quorum;
    DescribeCluster => DescribeClusterRequest, describe_cluster;
    DescribeProducers => DescribeProducersRequest, describe_producers;
    UnregisterBroker => UnregisterBrokerRequest, unregister_broker;
    DescribeTransactions => DescribeTransactionsRequest, describe_transactions;
    ListTransactions => ListTransactionsRequest, list_transactions;
    ConsumerGroupHeartbeat => ConsumerGroupHeartbeatRequest, consumer_group_heartbeat;
    ConsumerGroupDescribe => ConsumerGroupDescribeRequest, consumer_group_describe;
    ListConfigResources => ListConfigResourcesRequest, list_config_resources;
    DescribeTopicPartitions => DescribeTopicPartitionsRequest, describe_topic_partitions;
    ShareGroupHeartbeat => ShareGroupHeartbeatRequest, share_group_heartbeat;
    ShareGroupDescribe => ShareGroupDescribeRequest, share_group_describe;
    ShareFetch => ShareFetchRequest, share_fetch;
    ShareAcknowledge => ShareAcknowledgeRequest, share_acknowledge;
    AddRaftVoter => AddRaftVoterRequest, add_raft_voter;
    RemoveRaftVoter => RemoveRaftVoterRequest, remove_raft_voter;
    DescribeShareGroupOffsets => DescribeShareGroupOffsetsRequest, describe_share_group_offsets;
    AlterShareGroupOffsets => AlterShareGroupOffsetsRequest, alter_share_group_offsets;
    DeleteShareGroupOffsets => DeleteShareGroupOffsetsRequest, delete_share_group_offsets;
}

impl Request {
    /// Reads a frame, its length cut off.
    pub fn decode(mut frame: Bytes) -> Result<Self, FrameError> {
        let size = frame.len();
        let head = super::wire::frame::head(&mut frame)?;
        let body = Body::decode(&head, &mut frame).map_err(|found| FrameError::Malformed {
            what: "request body of its API and version",
            found: format!("{} v{}: {found}", head.api.name, head.version),
        })?;
        Ok(Self { head, body, size })
    }

    /// What fault rules see of it.
    pub fn describe(&self, cluster: &Cluster, node: i32) -> Described {
        self.body.describe(cluster, node)
    }
}

impl Cluster {
    /// Handles a request at a node.
    pub fn handle(&mut self, call: &Call<'_>, mut request: Request) -> Outcome {
        if !self.nodes.get(&call.node).is_some_and(|node| node.up) {
            return Outcome::Close;
        }
        match self.sasl.admit(call.ticket.conn, request.head.api.key, request.head.served, self.now) {
            Admission::Served => {}
            Admission::OutOfOrder => return out_of_order(call),
            Admission::Closed => return Outcome::Close,
        }
        let max_bytes = match &mut request.body {
            Body::Fetch(fetch) => Some(&mut fetch.max_bytes),
            _ => None,
        };
        self.meter_request(call, request.size, max_bytes);
        let newest = call.faults.stale.then(|| self.nodes.get_mut(&call.node).map(Node::go_back)).flatten();
        let answer = request.body.handle(self, call);
        if let (Some(newest), Some(node)) = (newest, self.nodes.get_mut(&call.node)) {
            node.go_forth(newest);
        }
        match answer {
            Ok(Answer::Now(frame)) if self.sasl.is_over(call.ticket.conn) => Outcome::Last(frame),
            Ok(Answer::Now(frame)) => Outcome::Reply(self.meter_answer(call.ticket, frame)),
            Ok(Answer::Never) => Outcome::NoReply,
            Ok(Answer::Later) => {
                let mine = self.done.iter().position(|(conn, _)| *conn == call.ticket.conn);
                mine.map_or(Outcome::Parked, |index| Outcome::Reply(self.done.swap_remove(index).1))
            }
            Err(error) => {
                tracing::error!(%error, api = call.ticket.api.name, "an answer could not be written");
                Outcome::Close
            }
        }
    }

    /// Hands over the answer to a parked request. An empty frame closes the connection.
    pub fn finish(&mut self, ticket: Ticket, frame: Result<Frame, FrameError>) {
        let frame = frame.unwrap_or_else(|error| {
            tracing::error!(%error, api = ticket.api.name, "an answer could not be written");
            Frame::default()
        });
        let frame = self.meter_answer(ticket, frame);
        self.done.push((ticket.conn, frame));
    }

    /// Tells whoever watches that a request was answered.
    pub fn sight_request(&mut self, ticket: Ticket, error: i16) {
        self.requests.answered(ticket.conn, error);
        if self.observed {
            let text = format!("{} v{} {}", ticket.api.name, ticket.version, errors::name_of(error));
            self.sight(&format!("kafka-{}", ticket.node), What::Request(text));
        }
    }
}

/// What a client is told that does not go on with its authentication.
fn out_of_order(call: &Call<'_>) -> Outcome {
    let Ticket { api, version, correlation, .. } = call.ticket;
    let error = ResponseError::IllegalSaslState.code();
    let encoded = match api.key {
        ApiKey::SaslHandshake => {
            let answer = SaslHandshakeResponse::default().with_error_code(error);
            Frame::encode(api, version, correlation, &answer)
        }
        _ => Frame::encode(api, version, correlation, &ApiVersionsResponse::default().with_error_code(error)),
    };
    encoded.map_or(Outcome::Close, Outcome::Last)
}

/// The code of a result.
fn code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(errors::NONE, ResponseError::code)
}

/// An error's message; none if it is empty.
fn message(why: &str) -> Option<kafka_protocol::protocol::StrBytes> {
    (!why.is_empty()).then(|| text(why))
}

/// The topic's id, where the codec knows its name only.
fn topic_id(tags: &BTreeMap<i32, Bytes>) -> Option<Uuid> {
    beyond::field(tags).and_then(|id| Uuid::from_slice(id).ok())
}

/// What tells the topic's id in an answer where the codec knows its name only.
fn tags_of(id: Option<Uuid>) -> BTreeMap<i32, Bytes> {
    id.map(|id| beyond::tagged(id.as_bytes())).unwrap_or_default()
}

/// The first code that is an error.
fn first_error(codes: impl IntoIterator<Item = i16>) -> i16 {
    codes.into_iter().find(|code| *code != errors::NONE).unwrap_or(errors::NONE)
}
