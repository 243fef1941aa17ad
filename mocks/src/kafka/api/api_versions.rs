//! ApiVersions (18): which APIs and versions a broker serves.
//!
//! Behaviour: any node answers, before anything else. A version from the future is answered in the layout of
//! version 0 with UNSUPPORTED_VERSION and the range of ApiVersions alone, so that the client can ask again; the
//! header of the answer is always version 0. Since version 3 features are told: what brokers support (before
//! version 4 without those that may be 0, which older clients misread) and what the cluster has decided on.
//! Versions: 0-4.
//! Not supported: features above the level the cluster is at, which is 0 for share groups, streams groups and changes of
//! the controllers' quorum: they are told as by a broker that has them switched off.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::{Answer, Described};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::wire::frame::{Frame, FrameError};
use crate::kafka::wire::keys::{APIS, Api};
use crate::kafka::wire::text;

pub(super) fn describe(_: &ApiVersionsRequest, _: &Cluster, _: i32) -> Described {
    Described::default()
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: ApiVersionsRequest,
) -> Answer<ApiVersionsResponse> {
    let named = is_software(&request.client_software_name) && is_software(&request.client_software_version);
    let code = match call.faults.either("", None) {
        Some(code) => code,
        None if call.version() >= 3 && !named => ResponseError::InvalidRequest.code(),
        None => 0,
    };
    let answer = ApiVersionsResponse::default().with_error_code(code);
    if code != 0 {
        return Answer::Now(answer);
    }
    let features = features(cluster);
    let told = |feature: &&Feature| call.version() >= 4 || feature.min > 0;
    Answer::Now(
        answer
            .with_api_keys(APIS.iter().map(version).collect())
            .with_supported_features(features.iter().filter(told).map(supported).collect())
            .with_finalized_features_epoch(1)
            .with_finalized_features(
                features.iter().filter(|feature| feature.level > 0).map(finalized).collect(),
            ),
    )
}

/// A feature: the levels brokers support, and the one the cluster is at.
struct Feature {
    name: &'static str,
    min: i16,
    max: i16,
    level: i16,
}

/// What Kafka 4.3 tells of its features. Those at level 0 are switched off: brokers support them, and the cluster has not
/// decided on them.
fn features(cluster: &Cluster) -> [Feature; 7] {
    let transactions = cluster.options.transaction_version.clamp(0, 2);
    [
        Feature { name: "eligible.leader.replicas.version", min: 0, max: 1, level: 1 },
        Feature { name: "group.version", min: 0, max: 1, level: 1 },
        Feature { name: "kraft.version", min: 0, max: 1, level: 0 },
        Feature { name: "metadata.version", min: 7, max: 30, level: 30 },
        Feature { name: "share.version", min: 0, max: 1, level: 0 },
        Feature { name: "streams.version", min: 0, max: 1, level: 0 },
        Feature { name: "transaction.version", min: 0, max: 2, level: transactions },
    ]
}

fn supported(feature: &Feature) -> SupportedFeatureKey {
    let key = SupportedFeatureKey::default().with_name(text(feature.name));
    key.with_min_version(feature.min).with_max_version(feature.max)
}

fn finalized(feature: &Feature) -> FinalizedFeatureKey {
    let key = FinalizedFeatureKey::default().with_name(text(feature.name));
    key.with_min_version_level(feature.level).with_max_version_level(feature.level)
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
