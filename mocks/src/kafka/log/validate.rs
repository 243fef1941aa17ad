//! What a batch must be to be appended, and how it is kept: the rules of Kafka's `LogValidator`.
//!
//! A batch is kept as it was received where Kafka keeps it: a wrong largest timestamp, the broker's time and
//! another codec make it write the batch anew. Nothing of a log is touched here.
//! Texts are Kafka's.

use std::fmt;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::config::LogConfig;
use crate::kafka::wire::batch::{self, BatchHeader, HEADER, PREFIX};
use crate::kafka::wire::compression::Codec;
use crate::kafka::wire::rebuild::Rebuild;
use crate::kafka::wire::records::{Record, Records};

/// Where and when a batch is appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// The leader's epoch.
    pub epoch: i32,
    pub now_ms: i64,
    /// Size of the memory the batch is part of.
    pub room: usize,
    pub config: &'a LogConfig,
}

/// The partition, as Kafka writes it.
impl fmt::Display for Append<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Why a batch was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub error: ResponseError,
    /// What the client is told besides: of a batch that is wrong as a whole, nothing.
    pub message: Option<String>,
    /// Records that are wrong by themselves: their number in the batch, and why.
    pub records: Vec<(i32, String)>,
}

impl From<ResponseError> for Rejected {
    fn from(error: ResponseError) -> Self {
        Self { error, message: None, records: Vec::new() }
    }
}

impl Rejected {
    /// An error with words of its own.
    pub fn with(error: ResponseError, message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..error.into() }
    }
}

/// A batch that is wrong as a whole. The client hears only of the error, the text is for the log.
fn refused(error: ResponseError, text: String) -> Rejected {
    tracing::debug!(?error, text, "a batch is refused");
    error.into()
}

fn invalid(text: String) -> Rejected {
    refused(ResponseError::InvalidRecord, text)
}

impl Append<'_> {
    /// The body of the batch in `bytes` as it is to be kept.
    pub fn check(&self, bytes: &Bytes) -> Result<Bytes, Rejected> {
        let bytes = BatchHeader::whole(bytes)
            .map_err(|(error, message)| Rejected { message, ..Rejected::from(error) })?;
        self.check_bytes(&bytes)?;
        let body = bytes.slice(PREFIX..);
        let header = BatchHeader::read(&body);
        let source = header.codec().ok_or(ResponseError::UnknownServerError)?;
        self.check_header(&header)?;
        let packed = &body[HEADER - PREFIX..];
        let server_error = |found| refused(ResponseError::UnknownServerError, found);
        let plain = source.decompress(packed).map_err(server_error)?;
        let seen = self.check_records(&header, &plain)?;
        let target = self.config.compression.unwrap_or(source);
        let body = if target != source {
            self.rebuild(&header, &plain, target).map_err(server_error)?
        } else if source == Codec::None || seen.in_sequence {
            self.restamp(&header, body, seen.max_timestamp)
        } else {
            // Kafka wants to write such a batch anew, and fails to.
            return Err(server_error("offsets in a compressed batch are not 0, 1, 2 and so on".to_owned()));
        };
        self.check_size_of(&body)?;
        Ok(body)
    }

    fn check_bytes(&self, bytes: &Bytes) -> Result<(), Rejected> {
        let base = batch::base_offset(bytes);
        if base != 0 {
            return Err(invalid(format!(
                "The baseOffset of the record batch in the append to {self} should be 0, but it is {base}"
            )));
        }
        let (size, largest) = (bytes.len(), self.config.max_message_bytes);
        if i64::try_from(size).unwrap_or(i64::MAX) > largest {
            let text = format!(
                "The record batch size in the append to {self} is {size} bytes which exceeds the maximum \
                 configured value of {largest})."
            );
            return Err(refused(ResponseError::MessageTooLarge, text));
        }
        if !BatchHeader::is_sound(bytes) {
            let stored = batch::checksum(bytes);
            let text = format!("Record is corrupt (stored crc = {stored}) in topic partition {self}.");
            return Err(refused(ResponseError::CorruptMessage, text));
        }
        Ok(())
    }

    fn check_header(&self, header: &BatchHeader) -> Result<(), Rejected> {
        let (last, count) = (header.last_offset_delta, header.count);
        if last < 0 {
            return Err(invalid(format!(
                "Batch has an invalid offset range: [0, {last}] in topic partition {self}"
            )));
        }
        if count <= 0 {
            return Err(invalid(format!(
                "Invalid reported count for record batch: {count} in topic partition {self}"
            )));
        }
        if i64::from(last) + 1 != i64::from(count) {
            return Err(invalid(format!(
                "Inconsistent batch offset range [0, {last}] and count of records {count} in topic partition \
                 {self}"
            )));
        }
        if header.is_control() {
            let text = format!("Clients are not allowed to write control records in topic partition {self}");
            return Err(invalid(text));
        }
        if header.producer_id >= 0 && header.base_sequence < 0 {
            return Err(invalid(format!(
                "Invalid sequence number {} in record batch with producerId {} in topic partition {self}",
                header.base_sequence, header.producer_id
            )));
        }
        Ok(())
    }

    fn check_records(&self, header: &BatchHeader, plain: &[u8]) -> Result<Seen, Rejected> {
        let mut seen = Seen { max_timestamp: -1, in_sequence: true };
        let (mut errors, mut of_time) = (Vec::new(), false);
        for (number, record) in (0..).zip(Records::new(plain, header.count)) {
            let record = record.map_err(invalid)?;
            let timestamp = header.timestamp(record.timestamp_delta);
            if self.config.compact && record.key.is_none() {
                let text =
                    format!("Compacted topic cannot accept message without key in topic partition {self}");
                errors.push((number, text));
            } else if let Some(text) = self.wrong_time(header, &record, timestamp) {
                of_time = true;
                errors.push((number, text));
            }
            seen.max_timestamp = seen.max_timestamp.max(timestamp);
            seen.in_sequence &= record.offset_delta == i64::from(number);
        }
        if errors.is_empty() { Ok(seen) } else { Err(rejected(errors, of_time)) }
    }

    fn wrong_time(&self, header: &BatchHeader, record: &Record<'_>, timestamp: i64) -> Option<String> {
        let (now, config) = (self.now_ms, self.config);
        if !config.append_time && timestamp != -1 {
            let age = now.saturating_sub(timestamp);
            let (before, after) = (config.timestamp_before_max_ms, config.timestamp_after_max_ms);
            let wrong = age > before || age.saturating_neg() > after;
            // Kafka's sums wrap around.
            let (first, last) = (now.wrapping_sub(before), now.wrapping_add(after));
            return wrong.then(|| {
                format!(
                    "Timestamp {timestamp} of message with offset {} is out of range. The timestamp should be \
                     within [{first}, {last}]",
                    record.offset_delta
                )
            });
        }
        header.is_log_append_time().then(|| {
            let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
            format!(
                "Invalid timestamp type in message DefaultRecord(offset={}, timestamp={timestamp}, key={} \
                 bytes, value={} bytes). Producer should not set timestamp type to LogAppendTime.",
                record.offset_delta,
                length(record.key),
                length(record.value)
            )
        })
    }

    /// Sets the times of a batch that is kept otherwise.
    fn restamp(&self, header: &BatchHeader, body: Bytes, max_timestamp: i64) -> Bytes {
        let of_broker = self.config.append_time;
        let time = if of_broker { self.now_ms } else { max_timestamp };
        if header.max_timestamp == time && header.is_log_append_time() == of_broker {
            return body;
        }
        batch::with_max_timestamp(&body, time, of_broker)
    }

    fn rebuild(&self, header: &BatchHeader, plain: &[u8], codec: Codec) -> Result<Bytes, String> {
        let append_time_ms = self.config.append_time.then_some(self.now_ms);
        let mut kept = Vec::new();
        for (number, record) in (0..).zip(Records::new(plain, header.count)) {
            let record = record?;
            let time = append_time_ms.unwrap_or_else(|| header.timestamp(record.timestamp_delta));
            kept.push((time, Record { offset_delta: number, ..record }));
        }
        let how = Rebuild {
            codec,
            append_time_ms,
            delete_horizon_ms: None,
            last_offset_delta: header.last_offset_delta,
        };
        how.write(header, &kept)
    }

    /// Another codec may have made the batch larger.
    fn check_size_of(&self, body: &Bytes) -> Result<(), Rejected> {
        let size = i64::try_from(PREFIX + body.len()).unwrap_or(i64::MAX);
        let (largest, segment) = (self.config.max_message_bytes, self.config.segment_bytes);
        if size > largest {
            let text = format!(
                "Message batch size is {size} bytes in append topartition {self} which exceeds the maximum \
                 configured size of {largest}."
            );
            return Err(refused(ResponseError::MessageTooLarge, text));
        }
        if size > segment {
            let text = format!(
                "Message batch size is {size} bytes in append to partition {self}, which exceeds the maximum \
                 configured segment size of {segment}."
            );
            return Err(refused(ResponseError::RecordListTooLarge, text));
        }
        Ok(())
    }
}

/// What the records of a batch say together.
struct Seen {
    max_timestamp: i64,
    /// Their offsets are 0, 1, 2 and so on.
    in_sequence: bool,
}

fn rejected(records: Vec<(i32, String)>, of_time: bool) -> Rejected {
    if of_time {
        let message = Some("One or more records have been rejected due to invalid timestamp".to_owned());
        return Rejected { error: ResponseError::InvalidTimestamp, message, records };
    }
    let told: Vec<String> = records
        .iter()
        .take(3)
        .map(|(index, text)| format!("RecordError(batchIndex={index}, message='{text}')"))
        .collect();
    let message = format!(
        "One or more records have been rejected due to {} record errors in total, and only showing the first \
         three errors at most: [{}]",
        records.len(),
        told.join(", ")
    );
    Rejected { error: ResponseError::InvalidRecord, message: Some(message), records }
}
