//! FindCoordinator (10): which broker coordinates a group or a transactional id.
//!
//! Behaviour: the leader, by the asked broker's image, of the key's partition of the offsets or transactions
//! topic. If that topic does not exist it is created and the answer is COORDINATOR_NOT_AVAILABLE; the same
//! without a leader.
//! Versions: 0-6; several keys at once since version 4.
//! Not supported: coordinators of share groups (INVALID_REQUEST).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, OFFSETS_TOPIC};
use crate::kafka::txn::TRANSACTIONS_TOPIC;
use crate::kafka::view::BrokerView;
use crate::kafka::wire::errors::message_of;
use crate::kafka::wire::text;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(super) fn describe(request: &FindCoordinatorRequest, _: &Cluster, _: i32) -> Described {
    let keys = request.coordinator_keys.iter().chain(std::iter::once(&request.key));
    let keys = keys.filter(|key| !key.is_empty()).map(|key| key.to_string()).collect();
    match request.key_type {
        TRANSACTION => Described { transactional_ids: keys, ..Described::default() },
        _ => Described { groups: keys, ..Described::default() },
    }
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: FindCoordinatorRequest,
) -> Answer<FindCoordinatorResponse> {
    let answer = FindCoordinatorResponse::default();
    if call.version() >= 4 {
        let one = |key: kafka_protocol::protocol::StrBytes| {
            let (node, broker, error) = search(cluster, call, &key, request.key_type);
            // A kind that there is not fails the request as a whole, which has a message.
            let unknown = !(GROUP..=SHARE).contains(&request.key_type);
            let message = ResponseError::try_from_code(error).filter(|_| unknown);
            Coordinator::default()
                .with_error_message(Some(text(message.map_or("", message_of))))
                .with_key(key)
                .with_node_id(BrokerId(node))
                .with_host(text(&broker.host))
                .with_port(broker.port)
                .with_error_code(error)
        };
        return Answer::Now(
            answer.with_coordinators(request.coordinator_keys.into_iter().map(one).collect()),
        );
    }
    let (node, broker, error) = search(cluster, call, &request.key, request.key_type);
    let message = ResponseError::try_from_code(error).map_or("NONE", message_of);
    Answer::Now(
        answer
            .with_error_message(Some(text(message)).filter(|_| call.version() >= 1))
            .with_node_id(BrokerId(node))
            .with_host(text(&broker.host))
            .with_port(broker.port)
            .with_error_code(error),
    )
}

pub(super) fn outcome(answer: &FindCoordinatorResponse) -> i16 {
    first_error(answer.coordinators.iter().map(|c| c.error_code).chain([answer.error_code]))
}

fn search(cluster: &mut Cluster, call: &Call<'_>, key: &str, kind: i8) -> (i32, BrokerView, i16) {
    let found = match call.faults.either("", None) {
        Some(code) => Err(code),
        None => find(cluster, call, key, kind).map_err(|error| error.code()),
    };
    match found {
        Ok((node, broker)) => (node, broker, 0),
        Err(code) => (-1, BrokerView { host: String::new(), port: -1 }, code),
    }
}

fn find(
    cluster: &mut Cluster,
    call: &Call<'_>,
    key: &str,
    kind: i8,
) -> Result<(i32, BrokerView), ResponseError> {
    let unavailable = ResponseError::CoordinatorNotAvailable;
    let node = match kind {
        GROUP if !cluster.truth.topics.contains_key(OFFSETS_TOPIC) => {
            cluster.create_offsets_topic();
            return Err(unavailable);
        }
        GROUP => cluster.coordinator_by(call.node, key),
        TRANSACTION if !cluster.truth.topics.contains_key(TRANSACTIONS_TOPIC) => {
            cluster.create_transactions_topic();
            return Err(unavailable);
        }
        TRANSACTION => cluster.transaction_coordinator_by(call.node, key),
        _ => {
            tracing::warn!(key, kind, "coordinators of share groups are not supported");
            return Err(ResponseError::InvalidRequest);
        }
    };
    let node = node.ok_or(unavailable)?;
    let view = cluster.view_of(call.node);
    let broker = view.brokers.get(&node).cloned().ok_or(unavailable)?;
    Ok((node, broker))
}
