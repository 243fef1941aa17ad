//! Versions of messages that are newer than the codec: rewritten to the newest it knows, and back.
//!
//! A field that the codec lacks travels through it as a tagged field of its struct, [`FIELD`], which is on no wire.
//! Source of the versions: Kafka 4.3's message definitions. Here is nothing of what the fields mean.
//!
//! A shape is as in `shape.rs`, without versions, with two letters more: `U` is a topic id where the codec has the
//! topic's name, `B` a byte where the codec has nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;

/// The number of the tagged field that holds what the codec has no field for.
const FIELD: i32 = 0x5_0000;

/// What a version beyond the codec has in requests and in answers; nothing where it is as the one before.
struct Newer {
    key: ApiKey,
    version: i16,
    request: &'static str,
    answer: &'static str,
}

const fn newer(key: ApiKey, version: i16, request: &'static str, answer: &'static str) -> Newer {
    Newer { key, version, request, answer }
}

const NEWER: &[Newer] = &[
    newer(ApiKey::ListOffsets, 11, "", ""),
    newer(ApiKey::OffsetCommit, 10, "s i s s [ U [ i l i s ] ]", "i [ U [ i h ] ]"),
    newer(ApiKey::OffsetFetch, 10, "[ s s i [ U i* ] ] b", "i [ s [ U [ i l i s h ] ] h ]"),
    newer(ApiKey::WriteTxnMarkers, 2, "[ l h b [ s i* ] i B ]", ""),
    newer(ApiKey::DescribeLogDirs, 5, "", "i h [ h s [ s [ i l l b ] ] l l B ]"),
];

fn find(key: ApiKey, version: i16) -> Option<&'static Newer> {
    NEWER.iter().find(|newer| newer.key == key && newer.version == version)
}

/// The version that the codec writes and reads a version as.
pub(crate) fn of_codec(key: ApiKey, version: i16) -> i16 {
    find(key, version).map_or(version, |newer| newer.version - 1)
}

/// The body of a request as the codec reads it in [`of_codec`].
pub(crate) fn to_codec(key: ApiKey, version: i16, body: &Bytes) -> Result<Bytes, String> {
    match find(key, version).map(|newer| newer.request) {
        None | Some("") => Ok(body.clone()),
        Some(shape) => rewrite(shape, body, true)
            .ok_or_else(|| format!("bytes that do not have the shape of version {version}")),
    }
}

/// Rewrites what the codec wrote in [`of_codec`] from `begun` on, the body of an answer, to what is on the wire.
pub(crate) fn from_codec(key: ApiKey, version: i16, frame: &mut BytesMut, begun: usize) -> Option<()> {
    let Some(newer) = find(key, version).filter(|newer| !newer.answer.is_empty()) else { return Some(()) };
    let body = frame.split_off(begun).freeze();
    frame.put(rewrite(newer.answer, &body, false)?);
    Some(())
}

/// What a struct holds that the codec has no field for.
pub(crate) fn field(tags: &BTreeMap<i32, Bytes>) -> Option<&Bytes> {
    tags.get(&FIELD)
}

/// A field that the codec has not, for its struct.
pub(crate) fn tagged(value: &[u8]) -> BTreeMap<i32, Bytes> {
    BTreeMap::from([(FIELD, Bytes::copy_from_slice(value))])
}

fn rewrite(shape: &str, body: &Bytes, to_codec: bool) -> Option<Bytes> {
    let fields: Vec<&str> = shape.split_ascii_whitespace().collect();
    let mut rewriter =
        Rewriter { left: body.clone(), out: BytesMut::with_capacity(body.len() + 64), to_codec };
    rewriter.fields(&fields)?;
    // Kafka takes no notice of bytes behind the end of a request.
    (to_codec || rewriter.left.is_empty()).then(|| rewriter.out.freeze())
}

/// All of these versions are flexible: lengths are compact, and every struct ends with tagged fields.
struct Rewriter {
    left: Bytes,
    out: BytesMut,
    to_codec: bool,
}

impl Rewriter {
    /// Rewrites one struct.
    fn fields(&mut self, fields: &[&str]) -> Option<()> {
        // What the codec has no field for, and where it goes on the wire.
        let (mut value, mut place) = (Bytes::new(), 0..0);
        let mut at = 0;
        while let Some(field) = fields.get(at) {
            match *field {
                "[" => {
                    let end = at + super::shape::matching(&fields[at..])?;
                    self.elements(|rewriter| rewriter.fields(&fields[at + 1..end]))?;
                    at = end;
                }
                "U" | "B" => {
                    let size = if *field == "U" { 16 } else { 1 };
                    if self.to_codec {
                        value = self.take(size)?;
                        // A name is there, but nothing is in it.
                        self.out.put_bytes(1, size / 16);
                    } else {
                        if *field == "U" {
                            let length = self.length()?;
                            self.take(length)?;
                        }
                        place = self.out.len()..self.out.len() + size;
                        self.out.put_bytes(0, size);
                    }
                }
                "i*" => self.elements(|rewriter| rewriter.copy(4))?,
                "s" => {
                    let length = self.copy_length()?;
                    self.copy(length)?;
                }
                "b" => self.copy(1)?,
                "h" => self.copy(2)?,
                "i" => self.copy(4)?,
                "l" => self.copy(8)?,
                _ => return None,
            }
            at += 1;
        }
        self.tags(&value, place)
    }

    /// Copies tagged fields: with the value as one more for the codec, without it and in its place for the wire.
    fn tags(&mut self, value: &Bytes, place: Range<usize>) -> Option<()> {
        let number = u32::try_from(FIELD).ok()?;
        let mut others = BytesMut::new();
        let (there, mut count) = (self.varint()?, u32::from(!value.is_empty()));
        for _ in 0..there {
            let tag = self.varint()?;
            let size = usize::try_from(self.varint()?).ok()?;
            let content = self.take(size)?;
            if tag != number {
                put_varint(&mut others, tag);
                put_varint(&mut others, u32::try_from(size).ok()?);
                others.put(content);
                count += 1;
            } else if self.to_codec {
                return None; // it is ours alone
            } else {
                let place = self.out.get_mut(place.clone())?;
                (place.len() == content.len()).then(|| place.copy_from_slice(&content))?;
            }
        }
        put_varint(&mut self.out, count);
        self.out.put(others);
        if !value.is_empty() {
            put_varint(&mut self.out, number);
            put_varint(&mut self.out, u32::try_from(value.len()).ok()?);
            self.out.put_slice(value);
        }
        Some(())
    }

    fn elements(&mut self, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        (0..self.copy_length()?).try_for_each(|_| one(self))
    }

    fn copy_length(&mut self) -> Option<usize> {
        let length = self.varint()?;
        put_varint(&mut self.out, length);
        Some(usize::try_from(length).ok()?.saturating_sub(1))
    }

    /// A length of what the codec wrote.
    fn length(&mut self) -> Option<usize> {
        Some(usize::try_from(self.varint()?).ok()?.saturating_sub(1))
    }

    fn varint(&mut self) -> Option<u32> {
        super::shape::varint(&mut self.left)
    }

    fn take(&mut self, count: usize) -> Option<Bytes> {
        (self.left.len() >= count).then(|| self.left.split_to(count))
    }

    fn copy(&mut self, count: usize) -> Option<()> {
        let bytes = self.take(count)?;
        self.out.put(bytes);
        Some(())
    }
}

fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value.to_be_bytes()[3] | 0x80);
        value >>= 7;
    }
    out.put_u8(value.to_be_bytes()[3]);
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
    use kafka_protocol::messages::offset_commit_request::{
        OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    };
    use kafka_protocol::messages::{DescribeLogDirsResponse, OffsetCommitRequest};
    use kafka_protocol::protocol::{Decodable, Encodable};
    use proptest::prelude::*;

    use super::*;
    use crate::kafka::wire::text;

    /// What the codec wrote, on the wire of another shape, and what the codec reads of that.
    fn there_and_back(shape: &str, request: &OffsetCommitRequest) -> (Bytes, OffsetCommitRequest) {
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, 9).expect("it encodes");
        let wire = rewrite(shape, &bytes.freeze(), false).expect("it has the shape");
        let mut back = to_codec(ApiKey::OffsetCommit, 10, &wire).expect("it has the shape");
        let read = OffsetCommitRequest::decode(&mut back, 9).expect("it decodes");
        assert!(back.is_empty());
        (wire, read)
    }

    proptest! {
        #[test]
        fn what_the_codec_lacks_travels_through_it(
            ids in prop::collection::vec(any::<[u8; 16]>(), 0..4),
            partitions in 0..200_i32,
            tag in prop::option::of((0..100, prop::collection::vec(any::<u8>(), 0..300))),
        ) {
            let partition =
                |n| OffsetCommitRequestPartition::default().with_partition_index(n).with_committed_metadata(Some(text("x")));
            let topic = |id: &[u8; 16]| {
                let mut tags = tagged(id);
                tags.extend(tag.clone().map(|(number, bytes)| (number, bytes.into())));
                OffsetCommitRequestTopic::default()
                    .with_partitions((0..partitions).map(partition).collect())
                    .with_unknown_tagged_fields(tags)
            };
            let request = OffsetCommitRequest::default()
                .with_group_id(text("group").into())
                .with_topics(ids.iter().map(topic).collect());
            let (wire, read) = there_and_back(NEWER[1].request, &request);
            prop_assert_eq!(&read, &request);
            for id in &ids {
                prop_assert!(wire.windows(16).any(|bytes| bytes == id));
            }
        }

        #[test]
        fn any_bytes_are_rewritten_or_refused(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            for newer in NEWER {
                let _ = to_codec(newer.key, newer.version, &bytes);
                let _ = from_codec(newer.key, newer.version, &mut BytesMut::from(&bytes[..]), 0);
            }
        }
    }

    #[test]
    fn a_client_cannot_send_a_field_that_is_ours() {
        let topic = OffsetCommitRequestTopic::default().with_unknown_tagged_fields(tagged(&[1; 16]));
        let mut bytes = BytesMut::new();
        OffsetCommitRequest::default().with_topics(vec![topic]).encode(&mut bytes, 9).expect("it encodes");
        // As if the name were an id: its length and the tags behind it.
        let shape = NEWER[1].request.replace('U', "s");
        assert!(rewrite(&shape, &bytes.freeze(), true).is_none());
    }

    #[test]
    fn a_byte_that_is_not_told_is_0_on_the_wire() {
        let answer = DescribeLogDirsResponse::default().with_results(vec![DescribeLogDirsResult::default()]);
        let mut bytes = BytesMut::new();
        answer.encode(&mut bytes, 4).expect("it encodes");
        let length = bytes.len();
        from_codec(ApiKey::DescribeLogDirs, 5, &mut bytes, 0).expect("it has the shape");
        // The byte, the tags of the result and of the whole.
        assert_eq!((bytes.len(), &bytes[length - 2..]), (length + 1, &[0, 0, 0][..]));
    }
}
