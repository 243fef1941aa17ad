//! What a dead letter looks like: the record as it was, and headers that say why it is here.
//!
//! Value, key and headers stay byte for byte, so that an event can be sent again as it came. The reason is in
//! headers whose names begin with `squall-dlq-`; such headers of an earlier death are replaced, not doubled.

use bytes::Bytes;

use super::Reason;
use crate::bus::{OutgoingRecord, Record};

/// What the names of our headers begin with.
pub const HEADER_PREFIX: &str = "squall-dlq-";

/// Longest text kept of a reason's detail, in bytes: brokers limit records, and the reason must not be what
/// makes a dead letter unpublishable.
const MAX_DETAIL_BYTES: usize = 1024;

/// The dead letter of `record`, for `topic`.
pub(super) fn dead_letter(
    topic: String,
    record: &Record,
    handler: &str,
    attempts: u32,
    reason: &Reason,
) -> OutgoingRecord {
    let ours = [
        ("reason", reason.code.to_string()),
        ("detail", shortened(&reason.detail).to_owned()),
        ("attempts", attempts.to_string()),
        ("handler", handler.to_owned()),
        ("topic", record.partition.topic.to_string()),
        ("partition", record.partition.partition.to_string()),
        ("offset", record.offset.to_string()),
    ];
    let kept = record.headers.iter().filter(|(name, _)| !name.starts_with(HEADER_PREFIX)).cloned();
    let added = ours.into_iter().map(|(name, value)| (format!("{HEADER_PREFIX}{name}"), Bytes::from(value)));
    OutgoingRecord {
        topic,
        key: record.key.clone(),
        headers: kept.chain(added).collect(),
        value: record.value.clone(),
    }
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MAX_DETAIL_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bus::TopicPartition;

    proptest! {
        #[test]
        fn a_dead_letter_keeps_every_byte_even_when_it_dies_twice(
            value: Vec<u8>, key: Option<Vec<u8>>, header: Vec<u8>, detail in ".{0,2000}",
        ) {
            let record = Record {
                partition: TopicPartition { topic: "orders".into(), partition: 3 },
                offset: 42,
                timestamp_ms: 0,
                key: key.map(Bytes::from),
                headers: vec![("trace".to_owned(), Bytes::from(header))],
                value: Bytes::from(value),
            };
            let reason = Reason::new("code", detail);
            let first = dead_letter("dlq".to_owned(), &record, "h", 5, &reason);
            let again = Record { headers: first.headers.clone(), ..record.clone() };
            let second = dead_letter("dlq".to_owned(), &again, "h", 5, &reason);
            prop_assert_eq!(&first, &second);
            prop_assert_eq!((&first.value, &first.key), (&record.value, &record.key));
            prop_assert_eq!(&first.headers[0], &record.headers[0]);
            prop_assert_eq!(first.headers.len(), 8);
        }
    }
}
