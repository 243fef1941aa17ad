//! SaslHandshake (17): a client names the mechanism by which it authenticates.
//!
//! Behaviour: answers the mechanisms there are; one that is not among them is UNSUPPORTED_SASL_MECHANISM and the end
//! of the connection. A cluster without SASL, and a connection that has authenticated already and need not
//! again, answer ILLEGAL_SASL_STATE. After version 0, tokens are sent as frames without a header.
//! Versions: 0-1.
//! Not supported: mechanisms other than PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.

use kafka_protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

use super::{Answer, Described, code};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::text;

pub(super) fn describe(_: &SaslHandshakeRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: SaslHandshakeRequest,
) -> Answer<SaslHandshakeResponse> {
    if let Some(error) = call.faults.before("", None) {
        return Answer::Now(SaslHandshakeResponse::default().with_error_code(error));
    }
    let now = cluster.now;
    let (result, offered) = cluster.sasl.handshake(call.ticket.conn, &request.mechanism, call.version(), now);
    let mechanisms = offered.into_iter().map(|it| text(it.name())).collect();
    let error = call.faults.after("", None).unwrap_or(code(&result));
    Answer::Now(SaslHandshakeResponse::default().with_error_code(error).with_mechanisms(mechanisms))
}

pub(super) fn outcome(answer: &SaslHandshakeResponse) -> i16 {
    answer.error_code
}
