//! APIs of features that are switched off here, answered as a broker of Kafka 4.3 without the feature does.
//!
//! Behaviour: access rules (DescribeAcls 29, CreateAcls 30, DeleteAcls 31) on a broker without an authorizer;
//! delegation tokens (38-41) on a connection that may not ask for them; share groups (76-79, 90-92) with
//! `share.version` 0; changes of the controllers' quorum (80, 81) with `kraft.version` 0.
//! Versions: those of the codec, which lacks ShareFetch 2, ShareAcknowledge 2, DescribeShareGroupOffsets 1 and
//! AddRaftVoter 1.
//! Not supported: the features.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::describe_share_group_offsets_response::DescribeShareGroupOffsetsResponseGroup;
use kafka_protocol::messages::share_group_describe_response::DescribedGroup;
use kafka_protocol::messages::*;

use super::first_error;
use crate::kafka::cluster::Cluster;
use crate::kafka::wire::text;

const NO_AUTHORIZER: &str = "No Authorizer is configured.";
const NOT_SUPPORTED: &str = "The version of API is not supported.";
const USER: &str = "User";
const ANONYMOUS: &str = "ANONYMOUS";

/// What a rule or the request's version change in an answer.
#[derive(Clone, Copy)]
struct Asked {
    version: i16,
    fault: Option<i16>,
}

/// Makes a module for an API: which answer it gives, and the error in it.
macro_rules! switched_off {
    ($module:ident, $request:ident => $response:ident, $answer:expr, $outcome:expr) => {
        pub(super) mod $module {
            use super::super::{Answer, Described};
            use super::*;
            use crate::kafka::cluster::Call;

            pub(in super::super) fn describe(_: &$request, _: &Cluster, _: i32) -> Described {
                Described::default()
            }

            pub(in super::super) fn handle(
                cluster: &mut Cluster,
                call: &Call<'_>,
                request: $request,
            ) -> Answer<$response> {
                let answer: fn(&Cluster, $request, Asked) -> $response = $answer;
                let asked = Asked { version: call.version(), fault: call.faults.either("", None) };
                Answer::Now(answer(cluster, request, asked))
            }

            pub(in super::super) fn outcome(answer: &$response) -> i16 {
                let outcome: fn(&$response) -> i16 = $outcome;
                outcome(answer)
            }
        }
    };
}

fn disabled(asked: Asked) -> i16 {
    asked.fault.unwrap_or(ResponseError::SecurityDisabled.code())
}

fn no_tokens(asked: Asked) -> i16 {
    asked.fault.unwrap_or(ResponseError::DelegationTokenRequestNotAllowed.code())
}

fn unsupported(asked: Asked) -> i16 {
    asked.fault.unwrap_or(ResponseError::UnsupportedVersion.code())
}

switched_off!(
    describe_acls,
    DescribeAclsRequest => DescribeAclsResponse,
    |_, _, asked| DescribeAclsResponse::default()
        .with_error_code(disabled(asked))
        .with_error_message(Some(text("No Authorizer is configured on the broker"))),
    |answer| answer.error_code
);

switched_off!(
    create_acls,
    CreateAclsRequest => CreateAclsResponse,
    |_, request, asked| {
        let result = AclCreationResult::default()
            .with_error_code(disabled(asked))
            .with_error_message(Some(text(NO_AUTHORIZER)));
        CreateAclsResponse::default().with_results(vec![result; request.creations.len()])
    },
    |answer| first_error(answer.results.iter().map(|result| result.error_code))
);

switched_off!(
    delete_acls,
    DeleteAclsRequest => DeleteAclsResponse,
    |_, request, asked| {
        let result = DeleteAclsFilterResult::default()
            .with_error_code(disabled(asked))
            .with_error_message(Some(text(NO_AUTHORIZER)));
        DeleteAclsResponse::default().with_filter_results(vec![result; request.filters.len()])
    },
    |answer| first_error(answer.filter_results.iter().map(|result| result.error_code))
);

switched_off!(
    create_delegation_token,
    CreateDelegationTokenRequest => CreateDelegationTokenResponse,
    |_, request, asked| {
        let owner = request.owner_principal_name.filter(|name| !name.is_empty());
        let kind = owner.as_ref().and(request.owner_principal_type).unwrap_or(text(USER));
        let answer = CreateDelegationTokenResponse::default()
            .with_error_code(no_tokens(asked))
            .with_principal_type(kind)
            .with_principal_name(owner.unwrap_or(text(ANONYMOUS)))
            .with_issue_timestamp_ms(-1)
            .with_expiry_timestamp_ms(-1)
            .with_max_timestamp_ms(-1);
        if asked.version < 3 {
            return answer;
        }
        answer
            .with_token_requester_principal_type(text(USER))
            .with_token_requester_principal_name(text(ANONYMOUS))
    },
    |answer| answer.error_code
);

switched_off!(
    renew_delegation_token,
    RenewDelegationTokenRequest => RenewDelegationTokenResponse,
    |_, _, asked| RenewDelegationTokenResponse::default()
        .with_error_code(no_tokens(asked))
        .with_expiry_timestamp_ms(-1),
    |answer| answer.error_code
);

switched_off!(
    expire_delegation_token,
    ExpireDelegationTokenRequest => ExpireDelegationTokenResponse,
    |_, _, asked| ExpireDelegationTokenResponse::default()
        .with_error_code(no_tokens(asked))
        .with_expiry_timestamp_ms(-1),
    |answer| answer.error_code
);

switched_off!(
    describe_delegation_token,
    DescribeDelegationTokenRequest => DescribeDelegationTokenResponse,
    |_, _, asked| DescribeDelegationTokenResponse::default().with_error_code(no_tokens(asked)),
    |answer| answer.error_code
);

switched_off!(
    share_group_heartbeat,
    ShareGroupHeartbeatRequest => ShareGroupHeartbeatResponse,
    |_, _, asked| ShareGroupHeartbeatResponse::default()
        .with_error_code(unsupported(asked))
        .with_error_message(None),
    |answer| answer.error_code
);

switched_off!(
    share_group_describe,
    ShareGroupDescribeRequest => ShareGroupDescribeResponse,
    |_, request, asked| {
        let group = |id: GroupId| {
            DescribedGroup::default().with_group_id(id).with_error_code(unsupported(asked)).with_error_message(None)
        };
        ShareGroupDescribeResponse::default().with_groups(request.group_ids.into_iter().map(group).collect())
    },
    |answer| first_error(answer.groups.iter().map(|group| group.error_code))
);

switched_off!(
    share_fetch,
    ShareFetchRequest => ShareFetchResponse,
    |_, _, asked| ShareFetchResponse::default().with_error_code(unsupported(asked)).with_error_message(None),
    |answer| answer.error_code
);

switched_off!(
    share_acknowledge,
    ShareAcknowledgeRequest => ShareAcknowledgeResponse,
    |_, _, asked| ShareAcknowledgeResponse::default().with_error_code(unsupported(asked)).with_error_message(None),
    |answer| answer.error_code
);

switched_off!(
    describe_share_group_offsets,
    DescribeShareGroupOffsetsRequest => DescribeShareGroupOffsetsResponse,
    |_, request, asked| {
        let group = |group: describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup| {
            DescribeShareGroupOffsetsResponseGroup::default()
                .with_group_id(group.group_id)
                .with_error_code(unsupported(asked))
                .with_error_message(None)
        };
        DescribeShareGroupOffsetsResponse::default().with_groups(request.groups.into_iter().map(group).collect())
    },
    |answer| first_error(answer.groups.iter().map(|group| group.error_code))
);

switched_off!(
    alter_share_group_offsets,
    AlterShareGroupOffsetsRequest => AlterShareGroupOffsetsResponse,
    |_, _, asked| AlterShareGroupOffsetsResponse::default()
        .with_error_code(unsupported(asked))
        .with_error_message(Some(text(NOT_SUPPORTED))),
    |answer| answer.error_code
);

switched_off!(
    delete_share_group_offsets,
    DeleteShareGroupOffsetsRequest => DeleteShareGroupOffsetsResponse,
    |_, _, asked| DeleteShareGroupOffsetsResponse::default()
        .with_error_code(unsupported(asked))
        .with_error_message(Some(text(NOT_SUPPORTED))),
    |answer| answer.error_code
);

/// Why the quorum's voters do not change.
fn voters(cluster: &Cluster, named: Option<&str>, what: &str) -> (i16, String) {
    match named.filter(|id| *id != cluster.cluster_id) {
        Some(id) => {
            let own = &cluster.cluster_id;
            let why = format!("The given id \"{id}\" doesn't match the cluster id \"{own}\"");
            (ResponseError::InconsistentClusterId.code(), why)
        }
        None => {
            let why = format!("Cluster doesn't support {what} voter because the kraft.version feature is 0");
            (ResponseError::UnsupportedVersion.code(), why)
        }
    }
}

switched_off!(
    add_raft_voter,
    AddRaftVoterRequest => AddRaftVoterResponse,
    |cluster, request, asked| {
        let (code, why) = voters(cluster, request.cluster_id.as_deref(), "adding");
        let answer = AddRaftVoterResponse::default().with_error_code(asked.fault.unwrap_or(code));
        answer.with_error_message(Some(text(&why)))
    },
    |answer| answer.error_code
);

switched_off!(
    remove_raft_voter,
    RemoveRaftVoterRequest => RemoveRaftVoterResponse,
    |cluster, request, asked| {
        let (code, why) = voters(cluster, request.cluster_id.as_deref(), "removing");
        let answer = RemoveRaftVoterResponse::default().with_error_code(asked.fault.unwrap_or(code));
        answer.with_error_message(Some(text(&why)))
    },
    |answer| answer.error_code
);
