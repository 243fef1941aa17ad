//! Which versions are served, and what becomes of a request of another.

use kafka_protocol::messages::*;

use crate::build::{metadata, text};
use crate::pair::{Both, Pair};

fn named() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text("diff"))
        .with_client_software_version(text("1"))
}

/// Ranges of the APIs that the mock has.
pub fn api_versions(pair: &mut Pair) -> Result<(), String> {
    let keys = pair.fetch(0, ApiVersionsRequest::default())?.mock.api_keys;
    let keys: Vec<i16> = keys.iter().map(|api| api.api_key).collect();
    // The codec does not know the last version of these.
    let unknown = [
        ApiKey::ShareFetch,
        ApiKey::ShareAcknowledge,
        ApiKey::AddRaftVoter,
        ApiKey::DescribeShareGroupOffsets,
    ];
    let unknown = unknown.map(|key| key as i16);
    for version in 0..=4 {
        pair.ask_but(version, if version < 3 { ApiVersionsRequest::default() } else { named() }, |answer| {
            answer.api_keys.retain(|api| keys.contains(&api.api_key) && !unknown.contains(&api.api_key));
            // Levels of features have trials of their own.
            answer.supported_features.clear();
            answer.finalized_features.clear();
            answer.finalized_features_epoch = -1;
        })?;
    }
    for (name, version) in
        [("", "1"), ("diff", ""), ("a b", "1"), ("-a", "1"), ("a-", "1"), ("a.b-c", "1/2"), ("ä", "1")]
    {
        let request = ApiVersionsRequest::default();
        let request =
            request.with_client_software_name(text(name)).with_client_software_version(text(version));
        let asked = pair.fetch(3, request)?;
        let codes = Both { real: asked.real.error_code, mock: asked.mock.error_code };
        pair.compare(&format!("client software {name:?} {version:?}"), &codes);
    }
    // Version 99, with a header of version 1 or 2 behind it: answered in version 0.
    pair.ask_frame(&[0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff])?;
    pair.ask_frame(&[0, 18, 0, 99, 0, 0, 0, 7, 0, 1, b'x', 0, 1, 2, 3])?;
    pair.ask_frame(&[0, 18, 0xff, 0xff, 0, 0, 0, 7, 0xff, 0xff])
}

/// Versions and APIs nobody serves, and bodies that are none.
pub fn unserved(pair: &mut Pair) -> Result<(), String> {
    for (key, version) in
        [(0, 14), (0, 2), (1, 3), (1, 99), (3, 14), (3, -1), (11, 10), (19, 1), (99, 0), (-1, 0), (4, 0)]
    {
        let [a, b] = i16::to_be_bytes(key);
        let [c, d] = i16::to_be_bytes(version);
        pair.ask_frame(&[a, b, c, d, 0, 0, 0, 7, 0xff, 0xff])?;
    }
    // Metadata of version 0 that ends early, names two billion topics, has a byte too much.
    pair.ask_frame(&[0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff])?;
    pair.ask_frame(&[0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff])?;
    pair.ask_frame(&[0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 1, 2])?;
    pair.ask_frame(&[])?;
    pair.ask_frame(&[0])?;
    // Still there for others.
    pair.ask(9, metadata(&[])).map(|_| ())
}
