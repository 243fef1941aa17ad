//! A batch in a log: where it is, and its bytes.
//!
//! The header is read from the bytes when it is asked for: nothing is kept twice.

use std::borrow::Cow;

use bytes::Bytes;

use crate::kafka::wire::batch::{BatchHeader, HEADER, PREFIX};
use crate::kafka::wire::records::{self, RawRecord};

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub base: i64,
    pub epoch: i32,
    last_delta: i32,
    /// The batch without its first [`PREFIX`] bytes, at least a header's.
    pub body: Bytes,
}

impl Batch {
    /// A batch whose bytes behind the prefix were checked.
    pub fn new(base: i64, epoch: i32, body: Bytes) -> Self {
        Self { base, epoch, last_delta: BatchHeader::read(&body).last_offset_delta, body }
    }

    pub fn header(&self) -> BatchHeader {
        BatchHeader::read(&self.body)
    }

    /// The offset behind it.
    pub fn next(&self) -> i64 {
        self.base + i64::from(self.last_delta) + 1
    }

    /// Its size on the wire.
    pub fn size(&self) -> usize {
        PREFIX + self.body.len()
    }

    /// Its records; none if they cannot be read.
    pub fn records(&self) -> Option<Vec<RawRecord>> {
        let header = self.header();
        let plain = match self.plain()? {
            Cow::Borrowed(part) => self.body.slice_ref(part),
            Cow::Owned(whole) => whole.into(),
        };
        records::read(&plain, header.count)
    }

    /// Its records as one run of bytes; none if they cannot be read.
    pub fn plain(&self) -> Option<Cow<'_, [u8]>> {
        let header = self.header();
        if header.count == 0 {
            return Some(Cow::Borrowed(&self.body[..0]));
        }
        header.codec()?.decompress(&self.body[HEADER - PREFIX..]).ok()
    }
}
