//! Which version of each API is spoken: the newest that both sides know.
//!
//! The codec's range is narrowed where a newer version changes the shape of a request and an older one, which
//! every broker from 2.8 to 4.x still serves, does the same work. What a broker offers is kept as it said it.

use std::collections::BTreeMap;

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::api_versions_response::ApiVersionsResponse;
use kafka_protocol::protocol::{Request, VersionRange};

use super::error::ClientError;

/// Narrower ranges than the codec's, and why.
const NARROWED: &[(ApiKey, VersionRange)] = &[
    // 13 brings topic ids instead of names. From 12 on a transactional producer's transaction is of version 2.
    (ApiKey::Produce, range(3, 12)),
    // 13 brings topic ids instead of names.
    (ApiKey::Fetch, range(4, 12)),
    // 8 asks for several groups at once.
    (ApiKey::OffsetFetch, range(1, 7)),
    // 4 asks for several keys at once.
    (ApiKey::FindCoordinator, range(1, 3)),
    // From 4 on it is spoken between brokers.
    (ApiKey::AddPartitionsToTxn, range(0, 3)),
    // 5 repeats the protocol's type and name.
    (ApiKey::SyncGroup, range(0, 4)),
    // Below 3 there is one member in another field.
    (ApiKey::LeaveGroup, range(3, 5)),
    // Below 6 topics are named in another field and cannot be named by id.
    (ApiKey::DeleteTopics, range(6, 6)),
];

const fn range(min: i16, max: i16) -> VersionRange {
    VersionRange { min, max }
}

/// What one broker offers.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions {
    offered: BTreeMap<i16, VersionRange>,
    /// The level of the feature `transaction.version` the cluster is at.
    pub(super) transactions: i16,
}

impl Versions {
    /// Reads a broker's answer.
    pub(super) fn offered_by(response: &ApiVersionsResponse) -> Self {
        let offered =
            response.api_keys.iter().map(|key| (key.api_key, range(key.min_version, key.max_version)));
        let features = &response.finalized_features;
        let transactions = features.iter().find(|feature| feature.name.as_str() == "transaction.version");
        let transactions = transactions.map_or(0, |feature| feature.max_version_level);
        Self { offered: offered.collect(), transactions }
    }

    /// The newest version of `R` up to `max` that both sides know.
    pub(super) fn pick<R: Request>(&self, max: i16, address: &str) -> Result<i16, ClientError> {
        let ours = ours::<R>();
        let ours = range(ours.min, ours.max.min(max));
        let theirs = self.offered.get(&R::KEY);
        let shared = theirs.map(|theirs| ours.intersect(theirs)).filter(|shared| !shared.is_empty());
        shared.map(|shared| shared.max).ok_or_else(|| ClientError::Unsupported {
            what: name(R::KEY),
            address: address.to_owned(),
            ours: ours.to_string(),
            theirs: theirs.map_or_else(|| "none".to_owned(), ToString::to_string),
        })
    }
}

/// The range of `R` this client speaks.
fn ours<R: Request>() -> VersionRange {
    let narrowed = NARROWED.iter().find(|(key, _)| *key as i16 == R::KEY);
    narrowed.map_or(R::VERSIONS, |(_, range)| *range)
}

/// An API's name, `Produce`.
pub(super) fn name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("API {key}"), |key| format!("{key:?}"))
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::api_versions_response::ApiVersion;
    use kafka_protocol::messages::{FetchRequest, HeartbeatRequest, ProduceRequest};
    use proptest::prelude::*;

    use super::*;

    fn broker(key: ApiKey, min: i16, max: i16) -> Versions {
        let api = ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max);
        Versions::offered_by(&ApiVersionsResponse::default().with_api_keys(vec![api]))
    }

    proptest! {
        #[test]
        fn the_picked_version_is_known_to_both_and_the_newest(min in 0_i16..20, len in 0_i16..20) {
            match broker(ApiKey::Fetch, min, min + len).pick::<FetchRequest>(i16::MAX, "b:1") {
                Ok(version) => {
                    prop_assert!((4..=12).contains(&version) && (min..=min + len).contains(&version));
                    prop_assert!(version == 12 || version == min + len);
                }
                Err(_) => prop_assert!(min > 12 || min + len < 4),
            }
        }
    }

    #[test]
    fn an_api_without_a_shared_version_is_an_error_that_names_both_ranges() {
        let error =
            broker(ApiKey::Produce, 12, 20).pick::<ProduceRequest>(11, "b:1").expect_err("no overlap");
        assert_eq!(error.to_string(), "Produce: this client speaks versions 3..11, b:1 speaks 12..20");
        assert!(broker(ApiKey::Produce, 0, 9).pick::<HeartbeatRequest>(i16::MAX, "b:1").is_err());
    }
}
