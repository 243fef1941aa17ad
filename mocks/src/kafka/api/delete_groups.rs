//! DeleteGroups (42): groups without members go, with their offsets.
//!
//! Behaviour: of either protocol; each group is answered for itself, one that is named twice once.
//! Versions: 0-2.

use std::collections::BTreeSet;

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::{Answer, Described, code, first_error};
use crate::kafka::cluster::{Call, Cluster};

pub(super) fn describe(request: &DeleteGroupsRequest, _: &Cluster, _: i32) -> Described {
    let groups = request.groups_names.iter().map(|group| group.to_string()).collect();
    Described { groups, ..Described::default() }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DeleteGroupsRequest,
) -> Answer<DeleteGroupsResponse> {
    let mut seen = BTreeSet::new();
    let mut results = Vec::new();
    for id in request.groups_names {
        if !seen.insert(id.clone()) {
            continue;
        }
        let result = call.faults.before("", None).unwrap_or_else(|| {
            let deleted = cluster.coordinates(call.node, &id).and_then(|()| cluster.delete_group(&id));
            code(&deleted)
        });
        let after = call.faults.after("", None).filter(|_| result == 0);
        let answer = DeletableGroupResult::default().with_group_id(id);
        results.push(answer.with_error_code(after.unwrap_or(result)));
    }
    Answer::Now(DeleteGroupsResponse::default().with_results(results))
}

pub(super) fn outcome(answer: &DeleteGroupsResponse) -> i16 {
    first_error(answer.results.iter().map(|result| result.error_code))
}
