//! SaslAuthenticate (36): a token of the mechanism that the handshake named.
//!
//! Behaviour: answers the mechanism's token, and with the last one how long the session is good for; a token that is
//! refused is SASL_AUTHENTICATION_FAILED with Kafka's text and, a moment later, the end of the connection. Whoever
//! has authenticated already, or need not, is answered ILLEGAL_SASL_STATE.
//! Versions: 0-2.
//! Not supported: tokens of delegation (`tokenauth`).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::sasl::Refused;
use crate::kafka::wire::text;

pub(super) fn describe(_: &SaslAuthenticateRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: SaslAuthenticateRequest,
) -> Answer<SaslAuthenticateResponse> {
    let failed = |error: i16, message: &str| {
        SaslAuthenticateResponse::default().with_error_code(error).with_error_message(Some(text(message)))
    };
    if let Some(error) = call.faults.before("", None) {
        return Answer::Now(failed(error, "injected by a fault rule"));
    }
    let answer = match cluster.sasl_token(call.node, call.ticket.conn, &request.auth_bytes) {
        Ok((bytes, lifetime)) => SaslAuthenticateResponse::default()
            .with_auth_bytes(bytes.into())
            .with_session_lifetime_ms(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)),
        Err(Refused::Failed(message)) => failed(ResponseError::SaslAuthenticationFailed.code(), &message),
        Err(Refused::OutOfOrder) => failed(
            ResponseError::IllegalSaslState.code(),
            "SaslAuthenticate request received after successful authentication",
        ),
    };
    let error = call.faults.after("", None).unwrap_or(answer.error_code);
    Answer::Now(answer.with_error_code(error))
}

pub(super) fn outcome(answer: &SaslAuthenticateResponse) -> i16 {
    answer.error_code
}
