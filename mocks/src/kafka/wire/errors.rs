//! Kafka's error codes by name, as fault rules write them: `NOT_COORDINATOR`.
//!
//! The codec's enum is the only table; names are its variants in Kafka's spelling.

use std::fmt::Write as _;

use kafka_protocol::error::ResponseError;

/// No error.
pub(crate) const NONE: i16 = 0;

/// The code of the error named `name`.
pub(crate) fn code_of(name: &str) -> Option<i16> {
    // The last code of Kafka 4.1 is 133.
    (-1..=200).find(|code| *code != NONE && name_of(*code) == name)
}

/// Kafka's name of `code`.
pub(crate) fn name_of(code: i16) -> String {
    let Some(error) = ResponseError::try_from_code(code) else { return "NONE".to_owned() };
    if let ResponseError::Unknown(code) = error {
        return format!("UNKNOWN_{code}");
    }
    let mut name = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        let _ = name.write_char(letter.to_ascii_uppercase());
    }
    name
}

/// Kafka's words for an error, where an answer has no better ones.
pub(crate) fn message_of(error: ResponseError) -> &'static str {
    match error {
        ResponseError::UnknownServerError => {
            "The server experienced an unexpected error when processing the request."
        }
        ResponseError::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ResponseError::UnknownTopicId => "This server does not host this topic ID.",
        ResponseError::CoordinatorLoadInProgress => {
            "The coordinator is loading and hence can't process requests."
        }
        ResponseError::CoordinatorNotAvailable => "The coordinator is not available.",
        ResponseError::NotCoordinator => "This is not the correct coordinator.",
        ResponseError::InvalidRequest => {
            "This most likely occurs because of a request being malformed by the client library or the message \
             was sent to an incompatible broker. See the broker logs for more details."
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        for (code, name) in [
            (-1, "UNKNOWN_SERVER_ERROR"),
            (3, "UNKNOWN_TOPIC_OR_PARTITION"),
            (16, "NOT_COORDINATOR"),
            (17, "INVALID_TOPIC_EXCEPTION"),
            (45, "OUT_OF_ORDER_SEQUENCE_NUMBER"),
            (106, "FETCH_SESSION_TOPIC_ID_ERROR"),
        ] {
            assert_eq!(name_of(code), name);
            assert_eq!(code_of(name), Some(code));
        }
        assert_eq!(code_of("NONE"), None);
        assert_eq!(code_of("not-coordinator"), None);
    }
}
