//! Deterministic event ids: the same business fact has the same id, whoever computes it, however often.
//!
//! Scheme `sq1`: `digest = SHA-256(namespace ‖ JCS(preimage))`, and the id is the UUIDv8 of the digest's first
//! 128 bits (RFC 9562 §5.8, appendix B.2). The digest travels with the id, so that an equal id with another
//! digest is an error and never passes as a duplicate. What the preimage holds is in `preimage`, what is kept
//! out of it because it is sensitive is in `sensitive`. Nothing here draws random numbers or reads a clock.

mod occurrence;
mod preimage;
mod sensitive;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::canonical::CanonicalError;

pub use occurrence::Occurrence;
pub use preimage::Preimage;
pub use sensitive::{Class, IdKey, IdPolicy};

/// The name of the scheme; part of every preimage and of every envelope.
pub const SCHEME: &str = "sq1";

/// The namespace of scheme `sq1`: the UUIDv8 of the name `squall.events.sq1` in RFC 9562's DNS namespace.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x41c6_0c6c_4de8_8717_8c38_459a_c3c2_7537);

/// The id of an event: a UUIDv8 drawn from its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(Uuid);

/// The SHA-256 an id is the beginning of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// What goes wrong with ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A member of the preimage is empty or spelled in a way that is not stable.
    #[error("{member}: {problem}")]
    Member {
        /// Which member.
        member: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The data has no canonical form.
    #[error("data: {0}")]
    Data(#[from] CanonicalError),
    /// A field's class or pointer does not fit.
    #[error("sensitive field {pointer}: {problem}")]
    Sensitive {
        /// The JSON pointer as it was declared.
        pointer: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Two different events with one id. It must never be taken for a duplicate.
    #[error("two events have the id {id}: digests {known} and {found}; one of them is forged or corrupt")]
    Collision {
        /// The id.
        id: EventId,
        /// The digest that was there first.
        known: Digest,
        /// The other digest.
        found: Digest,
    },
    /// A text that is no id or digest.
    #[error("expected {expected}, found {found:?}")]
    Malformed {
        /// What should have been there.
        expected: &'static str,
        /// The text.
        found: String,
    },
}

impl EventId {
    /// The id that a digest stands for.
    #[must_use]
    pub fn from_digest(digest: &Digest) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&digest.0[..16]);
        Self(uuid::Builder::from_custom_bytes(first).into_uuid())
    }

    /// The id as a UUID.
    #[must_use]
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl Digest {
    /// SHA-256 of a name in a namespace.
    #[must_use]
    pub fn of_name(namespace: &Uuid, name: &[u8]) -> Self {
        Self(Sha256::new().chain_update(namespace.as_bytes()).chain_update(name).finalize().into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether two events with the id `id` are the same event.
    ///
    /// # Errors
    /// [`IdentityError::Collision`] if the digests differ.
    pub fn expect_same(&self, found: &Self, id: EventId) -> Result<(), IdentityError> {
        if self == found {
            return Ok(());
        }
        Err(IdentityError::Collision { id, known: *self, found: *found })
    }
}

impl FromStr for EventId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let malformed = || IdentityError::Malformed {
            expected: "an event id: a UUID of version 8, lower case with hyphens",
            found: text.to_owned(),
        };
        let uuid = Uuid::parse_str(text).map_err(|_| malformed())?;
        // One spelling only: ids are compared as text by clients in other languages.
        let is_ours = uuid.get_version_num() == 8
            && uuid.get_variant() == uuid::Variant::RFC4122
            && uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
        if is_ours { Ok(Self(uuid)) } else { Err(malformed()) }
    }
}

impl FromStr for Digest {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let mut bytes = [0; 32];
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_lower && hex::decode_to_slice(text, &mut bytes).is_ok() {
            return Ok(Self(bytes));
        }
        Err(IdentityError::Malformed {
            expected: "a digest: 64 lower-case hexadecimal digits",
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for EventId {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl TryFrom<String> for Digest {
    type Error = IdentityError;

    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}
