//! What goes wrong between this client and a cluster.
//!
//! Two questions decide what a caller may do next: may it be tried again, and may the request have taken
//! effect. Every error answers both ([`ClientError::is_retryable`], [`ClientError::may_have_applied`]).
//! Nothing here retries.

use std::fmt;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

/// An error code of the protocol other than 0; shown by the name Kafka gives it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub ResponseError);

impl ErrorCode {
    /// The error behind `code`; `None` for 0, which means success.
    #[must_use]
    pub fn of(code: i16) -> Option<Self> {
        ResponseError::try_from_code(code).map(Self)
    }

    /// Whether it says that there is no such topic or partition, as far as the broker knows.
    #[must_use]
    pub fn is_unknown_topic(self) -> bool {
        matches!(self.0, ResponseError::UnknownTopicOrPartition | ResponseError::UnknownTopicId)
    }

    /// `Ok` for 0, otherwise [`ClientError::Refused`] naming `what` was asked.
    pub(crate) fn check(code: i16, what: impl FnOnce() -> String) -> Result<(), ClientError> {
        match Self::of(code) {
            None => Ok(()),
            Some(code) => Err(ClientError::Refused { what: what(), code }),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ResponseError::Unknown(code) = self.0 {
            return write!(f, "error code {code}, which this client does not know");
        }
        // The codec spells the names in camel case; people search for Kafka's spelling.
        for (index, letter) in format!("{:?}", self.0).chars().enumerate() {
            if index > 0 && letter.is_ascii_uppercase() {
                f.write_str("_")?;
            }
            write!(f, "{}", letter.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a request failed, or why a consumer cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection came about; nothing was sent.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The broker, `host:port`.
        address: String,
        /// What the transport said.
        reason: String,
    },
    /// The connection ended before the answer came.
    #[error("the connection to {address} ended before the answer came: {reason}")]
    Disconnected {
        /// The broker, `host:port`.
        address: String,
        /// Whether any byte of the request may have reached the broker.
        sent: bool,
        /// What the transport said.
        reason: String,
    },
    /// The answer did not come in time.
    #[error("{address} did not answer {what} within {after:?}")]
    TimedOut {
        /// The broker, `host:port`.
        address: String,
        /// The request's name.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// The broker answered with an error.
    #[error("{what}: the broker answered {code}")]
    Refused {
        /// What was asked, and of whom.
        what: String,
        /// The broker's answer.
        code: ErrorCode,
    },
    /// Client and broker share no version of an API.
    #[error("{what}: this client speaks versions {ours}, {address} speaks {theirs}")]
    Unsupported {
        /// The API's name.
        what: String,
        /// The broker, `host:port`.
        address: String,
        /// Our range, `min..max`.
        ours: String,
        /// The broker's range, or `none`.
        theirs: String,
    },
    /// Bytes that are not what the protocol promises.
    #[error("{what} cannot be understood: {reason}")]
    Malformed {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No broker answered.
    #[error("no broker can be reached; last tried {0}")]
    Unreachable(Box<ClientError>),
    /// The metadata names no such broker, partition or leader (yet).
    #[error("{0} is not in the cluster's metadata (yet)")]
    NotFound(String),
    /// This consumer is not a member of the generation it speaks for.
    #[error("the group {group} has moved on: the broker answered {code}")]
    Fenced {
        /// The consumer group.
        group: String,
        /// The broker's answer.
        code: ErrorCode,
    },
    /// Another producer has taken over the transactional id, or the coordinator has aborted the transaction
    /// because it took too long. This producer can do nothing any more.
    #[error("the producer of {transactional_id} is fenced: the broker answered {code}")]
    ProducerFenced {
        /// The transactional id.
        transactional_id: String,
        /// The broker's answer.
        code: ErrorCode,
    },
    /// The caller asked for something that cannot be.
    #[error("{0}")]
    Usage(String),
}

impl ClientError {
    /// Whether the same request may succeed later, perhaps at another broker.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Disconnected { .. }
            | Self::TimedOut { .. }
            | Self::Unreachable(_)
            | Self::NotFound(_) => true,
            // The codec's table has the second as final, Kafka's clients do not.
            Self::Refused { code, .. } => {
                code.0.is_retriable() || code.0 == ResponseError::ConcurrentTransactions
            }
            Self::Unsupported { .. }
            | Self::Malformed { .. }
            | Self::Fenced { .. }
            | Self::ProducerFenced { .. }
            | Self::Usage(_) => false,
        }
    }

    /// Whether the request may have taken effect although it failed.
    #[must_use]
    pub fn may_have_applied(&self) -> bool {
        match self {
            Self::Disconnected { sent, .. } => *sent,
            Self::TimedOut { .. } | Self::Malformed { .. } => true,
            Self::Refused { code, .. } => matches!(
                code.0,
                // Brokers give these two after the append; the others were certain at some time, but a
                // server error says nothing.
                ResponseError::RequestTimedOut
                    | ResponseError::NotEnoughReplicasAfterAppend
                    | ResponseError::UnknownServerError
                    | ResponseError::Unknown(_)
                    | ResponseError::KafkaStorageError
            ),
            _ => false,
        }
    }

    /// The broker's error, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<ResponseError> {
        match self {
            Self::Refused { code, .. } | Self::Fenced { code, .. } | Self::ProducerFenced { code, .. } => {
                Some(code.0)
            }
            _ => None,
        }
    }
}

/// Why a record was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The record is certainly not in the log.
    #[error("the record is not in the log: {0}")]
    Refused(ClientError),
    /// The record may be in the log.
    #[error("the record may or may not be in the log: {0}")]
    Unknown(ClientError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_by_kafkas_names() {
        let name = |code| ErrorCode::of(code).map(|code| code.to_string());
        assert_eq!(name(6).as_deref(), Some("NOT_LEADER_OR_FOLLOWER"));
        assert_eq!(name(-1).as_deref(), Some("UNKNOWN_SERVER_ERROR"));
        assert_eq!(name(0), None);
        assert_eq!(name(9999).as_deref(), Some("error code 9999, which this client does not know"));
    }

    #[test]
    fn a_refusal_before_the_append_is_certain_and_one_after_it_is_not() {
        let refused = |code| ClientError::Refused { what: String::new(), code: ErrorCode(code) };
        assert!(!refused(ResponseError::NotEnoughReplicas).may_have_applied());
        assert!(refused(ResponseError::NotEnoughReplicasAfterAppend).may_have_applied());
    }
}
