//! Credentials of users for SCRAM (RFC 5802), as administrators set them.
//!
//! Kept is what clients send: the salt, the rounds, and the password salted with both; never a password. Who
//! wants to log in is checked in `sasl/`.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::controller::Refused;

/// Most rounds that are taken.
const MAX_ITERATIONS: i32 = 16_384;
const MIN_ITERATIONS: i32 = 4_096;

/// The mechanisms, numbered as on the wire.
pub(crate) const SHA_256: i8 = 1;
pub(crate) const SHA_512: i8 = 2;

/// A user's credential for one mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScramCredential {
    pub iterations: i32,
    pub salt: Bytes,
    /// `SaltedPassword` of the RFC; the stored key and the server's key follow from it.
    pub salted_password: Bytes,
}

/// Credentials by user and mechanism.
pub(crate) type ScramCredentials = BTreeMap<(String, i8), ScramCredential>;

/// Checks whose credential is to be changed.
pub(crate) fn check(user: &str, mechanism: i8) -> Result<(), Refused> {
    if user.is_empty() {
        return Err((ResponseError::UnacceptableCredential, "Username must not be empty".to_owned()));
    }
    if ![SHA_256, SHA_512].contains(&mechanism) {
        return Err((ResponseError::UnsupportedSaslMechanism, "Unknown SCRAM mechanism".to_owned()));
    }
    Ok(())
}

/// Checks how often a password was salted.
pub(crate) fn check_iterations(iterations: i32) -> Result<(), Refused> {
    let why = match iterations {
        ..MIN_ITERATIONS => "Too few iterations",
        MIN_ITERATIONS..=MAX_ITERATIONS => return Ok(()),
        _ => "Too many iterations",
    };
    Err((ResponseError::UnacceptableCredential, why.to_owned()))
}
