//! Frames: a length, a header, a body; and answers as chunks that are written without being joined.
//!
//! A frame has a largest size, by default [`MAX_FRAME`] bytes. Whatever does not begin like a request of Kafka's
//! is an error of the connection, never a panic.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};
use thiserror::Error;

use super::beyond;
use super::keys::{self, Api};

/// Largest request taken unless the options say otherwise, in bytes (`socket.request.max.bytes`).
pub(crate) const MAX_FRAME: usize = 100 * 1024 * 1024;

/// Why a connection's bytes are not Kafka.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum FrameError {
    #[error("expected a frame of 8 to {max} bytes, found a length of {found}: is the client speaking Kafka?")]
    Length { found: i32, max: usize },
    #[error("expected an API this cluster serves, found key {key} version {version}: see SUPPORT.md")]
    Api { key: i16, version: i16 },
    #[error("expected a {what}, found bytes that are none: {found}")]
    Malformed { what: &'static str, found: String },
}

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub api: &'static Api,
    pub version: i16,
    pub correlation: i32,
    pub client_id: String,
    /// Whether the version is one that is served; ApiVersions is answered all the same.
    pub served: bool,
}

/// The bytes of the frame that `buffer` begins with, its length included; nothing as long as that is not there.
pub(crate) fn size(buffer: &[u8], max: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<4>() else { return Ok(None) };
    let found = i32::from_be_bytes(*prefix);
    let size = usize::try_from(found).ok().filter(|size| (8..=max).contains(size));
    size.map(|size| Some(4 + size)).ok_or(FrameError::Length { found, max })
}

/// Takes the next whole frame, without its length, off the front of `buffer`.
pub(crate) fn split(buffer: &mut BytesMut, max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(size) = size(buffer, max)?.filter(|size| buffer.len() >= *size) else { return Ok(None) };
    let mut frame = buffer.split_to(size).freeze();
    frame.advance(4);
    Ok(Some(frame))
}

/// Reads the header off the front of `frame`.
pub(crate) fn head(frame: &mut Bytes) -> Result<Head, FrameError> {
    let short = || FrameError::Malformed { what: "request header", found: "fewer than 8 bytes".to_owned() };
    let start = frame.first_chunk::<8>().ok_or_else(short)?;
    let key = i16::from_be_bytes([start[0], start[1]]);
    let version = i16::from_be_bytes([start[2], start[3]]);
    let api = keys::find(key).ok_or(FrameError::Api { key, version })?;
    let served = (api.min..=api.max).contains(&version);
    if !served && api.name != "api-versions" {
        return Err(FrameError::Api { key, version });
    }
    // A version of ApiVersions from the future still begins like the ones we know.
    let header_version = match served {
        true => api.key.request_header_version(version),
        false if version > api.max => 2,
        false => 1,
    };
    let malformed =
        |error: &dyn ToString| FrameError::Malformed { what: "request header", found: error.to_string() };
    let header = RequestHeader::decode(frame, header_version).map_err(|error| malformed(&error))?;
    let client_id = header.client_id.map(|id| id.to_string()).unwrap_or_default();
    Ok(Head { api, version, correlation: header.correlation_id, client_id, served })
}

/// An answer ready to be written, its length included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    chunks: VecDeque<Bytes>,
    /// Bytes of all chunks: it is asked for after every write, and chunks may be very many.
    size: usize,
}

impl Frame {
    /// Encodes `body` as the answer of `version` to the request `correlation`.
    pub fn encode<R: Encodable>(
        api: &Api,
        version: i16,
        correlation: i32,
        body: &R,
    ) -> Result<Self, FrameError> {
        let mut bytes = Self::begin(api, version, correlation)?;
        let failed = |error: &dyn ToString| FrameError::Malformed {
            what: "answer that its version can hold",
            found: error.to_string(),
        };
        let begun = bytes.len();
        body.encode(&mut bytes, beyond::of_codec(api.key, version)).map_err(|error| failed(&error))?;
        beyond::from_codec(api.key, version, &mut bytes, begun).ok_or_else(|| failed(&"another shape"))?;
        Ok(Self::finish(VecDeque::from([bytes.freeze()])))
    }

    /// The header, with room for the length; answers made by hand go on from here.
    pub fn begin(api: &Api, version: i16, correlation: i32) -> Result<BytesMut, FrameError> {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_i32(0);
        let header = ResponseHeader::default().with_correlation_id(correlation);
        let header_version = api.key.response_header_version(version);
        header
            .encode(&mut bytes, header_version)
            .map_err(|error| FrameError::Malformed { what: "response header", found: error.to_string() })?;
        Ok(bytes)
    }

    /// A frame of `chunks`, the first of which comes from [`begin`](Self::begin).
    pub fn finish(mut chunks: VecDeque<Bytes>) -> Self {
        let size: usize = chunks.iter().map(Bytes::len).sum();
        if let Some(first) = chunks.pop_front() {
            let mut first = BytesMut::from(first);
            let length = i32::try_from(size.saturating_sub(4)).unwrap_or(i32::MAX);
            first[..4].copy_from_slice(&length.to_be_bytes());
            chunks.push_front(first.freeze());
        }
        Self { chunks, size }
    }

    /// Bytes that are no answer to a request, with their length in front: an authentication of old clients.
    pub fn raw(bytes: Bytes) -> Self {
        let mut chunks = VecDeque::from([Bytes::from_static(&[0; 4])]);
        chunks.push_back(bytes);
        Self::finish(chunks)
    }

    /// The answer after its header.
    pub fn body(&self, api: &Api, version: i16) -> Bytes {
        let header = if api.key.response_header_version(version) == 0 { 8 } else { 9 };
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied()).skip(header).collect()
    }

    /// Writes over the bytes from `at` on, which lie in the first chunk.
    pub fn patch(&mut self, at: usize, bytes: &[u8]) {
        let Some(first) = self.chunks.front_mut() else { return };
        let mut changed = BytesMut::from(std::mem::take(first));
        if let Some(place) = changed.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        *first = changed.freeze();
    }

    /// Puts another frame behind this one.
    pub fn append(&mut self, other: Self) {
        self.chunks.extend(other.chunks);
        self.size += other.size;
    }

    /// Keeps the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        let whole = self.chunks.iter().flat_map(|chunk| chunk.iter().copied());
        let kept: Bytes = whole.take(length).collect();
        self.size = kept.len();
        self.chunks = VecDeque::from([kept]);
    }
}

impl Buf for Frame {
    fn remaining(&self) -> usize {
        self.size
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.iter().find(|chunk| !chunk.is_empty()).map_or(&[], |chunk| &chunk[..])
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let chunks = self.chunks.iter().filter(|chunk| !chunk.is_empty());
        slices.iter_mut().zip(chunks).map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.size = self.size.saturating_sub(count);
        while let Some(front) = self.chunks.front_mut() {
            if front.len() > count {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_cap_or_below_a_header_is_refused_before_the_bytes_arrive() {
        for length in [-1, 0, 7, 100 * 1024 * 1024 + 1, i32::from_be_bytes(*b"GET ")] {
            let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
            let split = split(&mut buffer, MAX_FRAME);
            assert!(matches!(split, Err(FrameError::Length { found, .. }) if found == length));
        }
    }

    #[test]
    fn frames_come_out_whole_whatever_the_pieces_they_arrive_in() {
        let mut wire = Vec::new();
        for payload in [&b"12345678"[..], &b"abcdefghij"[..]] {
            wire.put_i32(i32::try_from(payload.len()).expect("short"));
            wire.put_slice(payload);
        }
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for byte in wire {
            buffer.put_u8(byte);
            frames.extend(split(&mut buffer, MAX_FRAME).expect("a good length"));
        }
        assert_eq!(frames, [&b"12345678"[..], &b"abcdefghij"[..]]);
    }

    #[test]
    fn a_frame_is_read_across_its_chunks() {
        let chunks = [&b"\0\0\0\0ab"[..], b"", b"cde", b"f"].map(Bytes::from_static);
        let mut frame = Frame::finish(VecDeque::from(chunks));
        assert_eq!(frame.remaining(), 10);
        let mut out = vec![0; 10];
        frame.copy_to_slice(&mut out);
        assert_eq!(out, b"\0\0\0\x06abcdef");
    }
}
