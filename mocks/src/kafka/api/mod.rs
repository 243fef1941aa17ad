//! Requests: one file per API, and the table that sends each to its file.
//!
//! Every file opens with what the API does here, which versions, and what of Kafka's behaviour is missing. It
//! has `describe` (what fault rules see), `handle` (what is done) and `outcome` (the first error of an answer,
//! for traces).

mod api_versions;
mod create_topics;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
pub(crate) mod fetch;
mod fetch_response;
mod find_coordinator;
mod heartbeat;
mod init_producer_id;
pub(crate) mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
pub(crate) mod sync_group;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;

use super::cluster::{Call, Cluster, Ticket};
use super::matcher::Target;
use super::wire::errors;
use super::wire::frame::{Frame, FrameError, Head};
use crate::observe::What;

/// What anybody may do without an authorizer, as the bits that answers tell it in.
const ALL_OF_CLUSTER: i32 = 0x1fa0;
const ALL_OF_TOPIC: i32 = 0x0df8;
const ALL_OF_GROUP: i32 = 0x0d48;

/// What fault rules see of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Described {
    pub groups: Vec<String>,
    pub targets: Vec<Target>,
}

impl Described {
    /// A request about one group.
    fn group(id: &str) -> Self {
        Self { groups: vec![id.to_owned()], targets: Vec::new() }
    }

    /// A request about partitions.
    fn partitions(targets: impl IntoIterator<Item = (String, i32)>) -> Self {
        let target = |(topic, partition)| Target { topic, partition: Some(partition) };
        Self { groups: Vec::new(), targets: targets.into_iter().map(target).collect() }
    }

    /// A request about topics.
    fn topics(topics: impl IntoIterator<Item = String>) -> Self {
        let target = |topic| Target { topic, partition: None };
        Self { groups: Vec::new(), targets: topics.into_iter().map(target).collect() }
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
    /// The connection is to be closed.
    Close,
}

/// A request whose body was read.
#[derive(Debug)]
pub(crate) struct Request {
    pub head: Head,
    body: Body,
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
                super::wire::shape::check(head.api.key, head.version, bytes)?;
                match head.api.key {
                    $(ApiKey::$key => $request::decode(bytes, head.version)
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
    ApiVersions => ApiVersionsRequest, api_versions;
    CreateTopics => CreateTopicsRequest, create_topics;
    DeleteTopics => DeleteTopicsRequest, delete_topics;
    InitProducerId => InitProducerIdRequest, init_producer_id;
    OffsetForLeaderEpoch => OffsetForLeaderEpochRequest, offset_for_leader_epoch;
    DescribeConfigs => DescribeConfigsRequest, describe_configs;
    DescribeCluster => DescribeClusterRequest, describe_cluster;
}

impl Request {
    /// Reads a frame, its length cut off.
    pub fn decode(mut frame: Bytes) -> Result<Self, FrameError> {
        let head = super::wire::frame::head(&mut frame)?;
        let body = Body::decode(&head, &mut frame).map_err(|found| FrameError::Malformed {
            what: "request body of its API and version",
            found: format!("{} v{}: {found}", head.api.name, head.version),
        })?;
        Ok(Self { head, body })
    }

    /// What fault rules see of it.
    pub fn describe(&self, cluster: &Cluster, node: i32) -> Described {
        self.body.describe(cluster, node)
    }
}

impl Cluster {
    /// Handles a request at a node.
    pub fn handle(&mut self, call: &Call<'_>, request: Request) -> Outcome {
        if !self.nodes.get(&call.node).is_some_and(|node| node.up) {
            return Outcome::Close;
        }
        match request.body.handle(self, call) {
            Ok(Answer::Now(frame)) => Outcome::Reply(frame),
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
        self.done.push((ticket.conn, frame));
    }

    /// Tells whoever watches that a request was answered.
    pub fn sight_request(&mut self, ticket: Ticket, error: i16) {
        if self.observed {
            let text = format!("{} v{} {}", ticket.api.name, ticket.version, errors::name_of(error));
            self.sight(&format!("kafka-{}", ticket.node), What::Request(text));
        }
    }
}

/// The code of a result.
fn code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(errors::NONE, ResponseError::code)
}

/// The first code that is an error.
fn first_error(codes: impl IntoIterator<Item = i16>) -> i16 {
    codes.into_iter().find(|code| *code != errors::NONE).unwrap_or(errors::NONE)
}
