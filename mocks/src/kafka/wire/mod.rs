//! Bytes on the wire: frames and headers, record batches, the table of APIs, error names.
//!
//! Everything here is free of state. The messages themselves are encoded and decoded by `kafka-protocol`,
//! except record batches and the Fetch response, which would be copied on the way.

pub(crate) mod batch;
pub(crate) mod beyond;
pub(crate) mod compression;
pub(crate) mod edit;
pub(crate) mod errors;
pub(crate) mod frame;
pub(crate) mod keys;
pub(crate) mod marker;
pub(crate) mod rebuild;
pub(crate) mod records;
pub(crate) mod shape;

use kafka_protocol::protocol::StrBytes;

/// A text as the codec wants it.
pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// Milliseconds of a request as a duration; negative ones are zero.
pub(crate) fn millis(value: i32) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(value).unwrap_or(0))
}
