//! UnregisterBroker (64): forgets a broker.
//!
//! Behaviour: a broker that lives would register again at once, so it stays; so does one that is down, for it
//! may come back.
//! Versions: 0.
//! Not supported: leaving a dead broker out of DescribeCluster.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(_: &UnregisterBrokerRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: UnregisterBrokerRequest,
) -> Answer<UnregisterBrokerResponse> {
    let id = request.broker_id.0;
    let (code, why) = match call.faults.either("", None) {
        Some(code) => (code, String::new()),
        None if cluster.nodes.contains_key(&id) => (0, String::new()),
        None => (
            ResponseError::BrokerIdNotRegistered.code(),
            format!("Broker ID {id} is not currently registered"),
        ),
    };
    let answer = UnregisterBrokerResponse::default().with_error_code(code);
    Answer::Now(answer.with_error_message(Some(text(&why))))
}

pub(super) fn outcome(answer: &UnregisterBrokerResponse) -> i16 {
    answer.error_code
}
