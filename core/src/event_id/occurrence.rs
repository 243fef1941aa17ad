//! What tells two otherwise equal events apart: two deposits of the same sum are two events.

use std::fmt;
use std::str::FromStr;

use super::{EventId, IdentityError};

/// Which occurrence of a business fact an event is. Mandatory: an id from content alone would merge two
/// legitimate events that happen to be equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occurrence {
    /// A key the business knows: an order number, a payment's reference, a request's idempotency key.
    Business(String),
    /// The nth event a handler draws from the event that caused it.
    Caused {
        /// The event that was handled.
        causation: EventId,
        /// The handler's name.
        handler: String,
        /// Counts the handler's events of this type and subject, from 0.
        ordinal: u32,
    },
}

/// `business:<key>` or `caused:<event id>:<ordinal>:<handler>`. The free text stands last, so that no key can
/// be mistaken for another.
impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Business(key) => write!(f, "business:{key}"),
            Self::Caused { causation, handler, ordinal } => {
                write!(f, "caused:{causation}:{ordinal}:{handler}")
            }
        }
    }
}

impl FromStr for Occurrence {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let malformed = || IdentityError::Malformed {
            expected: "an occurrence: business:<key> or caused:<event id>:<ordinal>:<handler>",
            found: text.to_owned(),
        };
        match text.split_once(':') {
            Some(("business", key)) => Ok(Self::Business(key.to_owned())),
            Some(("caused", rest)) => {
                let mut parts = rest.splitn(3, ':');
                let mut part = || parts.next().ok_or_else(malformed);
                let causation = part()?.parse()?;
                let ordinal_text = part()?;
                let ordinal: u32 = ordinal_text.parse().map_err(|_| malformed())?;
                if ordinal.to_string() != ordinal_text {
                    return Err(malformed());
                }
                Ok(Self::Caused { causation, handler: part()?.to_owned(), ordinal })
            }
            _ => Err(malformed()),
        }
    }
}
