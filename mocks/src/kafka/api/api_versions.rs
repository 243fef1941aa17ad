//! ApiVersions (18): which APIs and versions a broker serves.
//!
//! Behaviour: any node answers, before anything else. A version from the future is answered in the layout of
//! version 0 with UNSUPPORTED_VERSION and the range of ApiVersions alone, so that the client can ask again; the
//! header of the answer is always version 0.
//! Versions: 0-4.
//! Not supported: feature levels (none are finalised: neither KIP-848 nor transactions of version 2).

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::frame::{Frame, FrameError};
use crate::kafka::wire::keys::{APIS, Api};

pub(super) fn describe(_: &ApiVersionsRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    _: &mut Cluster,
    call: &Call<'_>,
    request: ApiVersionsRequest,
) -> Answer<ApiVersionsResponse> {
    let named = is_software(&request.client_software_name) && is_software(&request.client_software_version);
    let code = match call.faults.either("", None) {
        Some(code) => code,
        None if call.version() >= 3 && !named => ResponseError::InvalidRequest.code(),
        None => 0,
    };
    let api_keys = if code == 0 { APIS.iter().map(version).collect() } else { Vec::new() };
    Answer::Now(ApiVersionsResponse::default().with_error_code(code).with_api_keys(api_keys))
}

/// The answer to a version this cluster does not know.
pub(super) fn unknown_version(call: &Call<'_>) -> Result<Frame, FrameError> {
    let keys = vec![version(call.ticket.api)];
    let code = ResponseError::UnsupportedVersion.code();
    let answer = ApiVersionsResponse::default().with_error_code(code).with_api_keys(keys);
    Frame::encode(call.ticket.api, 0, call.ticket.correlation, &answer)
}

pub(super) fn outcome(answer: &ApiVersionsResponse) -> i16 {
    answer.error_code
}

/// Whether a text may name a client's software, or its version: words of letters and digits, and dots and dashes
/// between them.
fn is_software(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let inner = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    inner && is_end(bytes.first()) && is_end(bytes.last())
}

fn version(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key as i16)
        .with_min_version(api.advertised_min)
        .with_max_version(api.max)
}
