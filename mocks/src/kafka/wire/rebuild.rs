//! A batch written anew: with other records, another codec, or a delete horizon.
//!
//! What a producer is known by (id, epoch, first sequence, transaction) is kept. The new bytes are a body as a
//! log keeps it, checksum included, without the prefix that a log writes.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{BatchHeader, COMPRESSION, DELETE_HORIZON, HEADER, LOG_APPEND_TIME, PREFIX, seal};
use super::compression::Codec;
use super::records::{self, Record};

/// How a batch is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rebuild {
    pub codec: Codec,
    /// The broker's time, if every record is to have it.
    pub append_time_ms: Option<i64>,
    /// When tombstones in it may go.
    pub delete_horizon_ms: Option<i64>,
    /// Of the last record, or larger: the offsets the batch stands for are those up to it.
    pub last_offset_delta: i32,
}

impl Rebuild {
    /// The body of a batch as `like`, with `kept` records: each with its time instead of a difference.
    pub fn write<'a>(&self, like: &BatchHeader, kept: &[(i64, Record<'a>)]) -> Result<Bytes, String> {
        let first_time = kept.first().map_or(-1, |(time, _)| *time);
        let base = self.delete_horizon_ms.unwrap_or(first_time);
        let mut plain = Vec::new();
        for (time, record) in kept {
            records::put(&mut plain, &Record { timestamp_delta: time.wrapping_sub(base), ..*record });
        }
        let newest = kept.iter().map(|(time, _)| *time).max().unwrap_or(like.max_timestamp);
        let header = BatchHeader {
            attributes: self.attributes(like),
            last_offset_delta: self.last_offset_delta,
            first_timestamp: base,
            max_timestamp: self.append_time_ms.unwrap_or(newest),
            count: i32::try_from(kept.len()).map_err(|_| "too many records".to_owned())?,
            ..*like
        };
        let packed = if kept.is_empty() { Vec::new() } else { self.codec.compress(&plain)? };
        let mut body = BytesMut::with_capacity(HEADER - PREFIX + packed.len());
        header.put(&mut body);
        body.put_slice(&packed);
        seal(&mut body);
        Ok(body.freeze())
    }

    fn attributes(&self, like: &BatchHeader) -> i16 {
        let kept = like.attributes & !(COMPRESSION | LOG_APPEND_TIME | DELETE_HORIZON);
        let flag = |set: bool, bit| if set { bit } else { 0 };
        kept | self.codec as i16
            | flag(self.append_time_ms.is_some(), LOG_APPEND_TIME)
            | flag(self.delete_horizon_ms.is_some(), DELETE_HORIZON)
    }
}
