//! The answer to Fetch, encoded by hand: record batches are passed on as chunks and never copied.
//!
//! Layout of versions 4-18: <https://kafka.apache.org/protocol#The_Messages_Fetch>. Versions from 12 on are
//! flexible (compact lengths, tagged fields).

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::fetch_session::Wanted;
use crate::kafka::cluster::Ticket;
use crate::kafka::wire::frame::{Frame, FrameError};

/// What an answer says besides its partitions.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub error: i16,
    pub session: i32,
}

/// Where a leader is found.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub node: i32,
    pub host: String,
    pub port: i32,
    pub rack: Option<String>,
}

/// A partition of the answer.
#[derive(Debug)]
pub(super) struct PartitionAnswer {
    /// Which of the partitions asked for it is.
    pub asked: usize,
    pub name: Option<Arc<str>>,
    pub id: Uuid,
    pub number: i32,
    pub error: i16,
    /// Leader and epoch, if the client should hear of them.
    pub leader: Option<(i32, i32)>,
    pub data: Data,
}

/// What there is to read.
#[derive(Debug)]
pub(super) struct Data {
    pub chunks: VecDeque<Bytes>,
    pub high_watermark: i64,
    pub last_stable: i64,
    pub log_start: i64,
    /// Producer and first offset of the aborted transactions within the records; none if nobody asked.
    pub aborted: Option<Vec<(i64, i64)>>,
    pub diverging: Option<Diverging>,
    /// The replica to read from instead.
    pub preferred: Option<i32>,
}

impl Data {
    /// Bytes of records.
    pub fn size(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// Where the client's log and this one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Diverging {
    pub epoch: i32,
    pub end_offset: i64,
}

impl PartitionAnswer {
    /// An error, without records.
    pub fn error(asked: usize, wanted: &Wanted, error: i16) -> Self {
        let data = Data {
            chunks: VecDeque::new(),
            high_watermark: -1,
            last_stable: -1,
            log_start: -1,
            aborted: None,
            diverging: None,
            preferred: None,
        };
        let (name, id, number) = (wanted.name.clone(), wanted.id, wanted.number);
        Self { asked, name, id, number, error, leader: None, data }
    }
}

/// Encodes the answer to `ticket`. Partitions of one topic that follow each other share its entry.
pub(super) fn encode(
    ticket: Ticket,
    head: &Head,
    mut partitions: Vec<PartitionAnswer>,
    endpoints: &[Endpoint],
) -> Result<Frame, FrameError> {
    let version = ticket.version;
    let start = Frame::begin(ticket.api, version, ticket.correlation)?;
    let mut out = Writer { buffer: start, chunks: VecDeque::new(), flexible: version >= 12 };
    out.buffer.put_i32(0); // throttle time
    if version >= 7 {
        out.buffer.put_i16(head.error);
        out.buffer.put_i32(head.session);
    }
    out.length(partitions.chunk_by(same_topic).count());
    for topic in partitions.chunk_by_mut(same_topic) {
        let Some(first) = topic.first() else { continue };
        if version >= 13 {
            out.buffer.put_slice(first.id.as_bytes());
        } else {
            out.text(first.name.as_deref().unwrap_or_default());
        }
        out.length(topic.len());
        for partition in topic {
            out.partition(version, partition);
        }
        out.no_tags();
    }
    if out.flexible {
        out.endpoints(if version >= 16 { endpoints } else { &[] });
    }
    out.flush();
    Ok(Frame::finish(out.chunks))
}

fn same_topic(one: &PartitionAnswer, other: &PartitionAnswer) -> bool {
    one.id == other.id && (!one.id.is_nil() || one.name == other.name)
}

struct Writer {
    buffer: BytesMut,
    chunks: VecDeque<Bytes>,
    flexible: bool,
}

impl Writer {
    fn partition(&mut self, version: i16, partition: &mut PartitionAnswer) {
        let data = &mut partition.data;
        self.buffer.put_i32(partition.number);
        self.buffer.put_i16(partition.error);
        self.buffer.put_i64(data.high_watermark);
        self.buffer.put_i64(data.last_stable);
        if version >= 5 {
            self.buffer.put_i64(data.log_start);
        }
        self.aborted(data.aborted.as_deref());
        if version >= 11 {
            self.buffer.put_i32(data.preferred.unwrap_or(-1));
        }
        self.length(data.size());
        if !data.chunks.is_empty() {
            self.flush();
            self.chunks.append(&mut data.chunks);
        }
        if version >= 12 {
            self.tags(data.diverging, partition.leader);
        }
    }

    /// Tag 0: diverging epoch and end offset. Tag 1: leader and epoch.
    fn tags(&mut self, diverging: Option<Diverging>, leader: Option<(i32, i32)>) {
        self.varint(u32::from(diverging.is_some()) + u32::from(leader.is_some()));
        if let Some(diverging) = diverging {
            self.varint(0);
            self.varint(13);
            self.buffer.put_i32(diverging.epoch);
            self.buffer.put_i64(diverging.end_offset);
            self.varint(0);
        }
        if let Some((node, epoch)) = leader {
            self.varint(1);
            self.varint(9);
            self.buffer.put_i32(node);
            self.buffer.put_i32(epoch);
            self.varint(0);
        }
    }

    /// The list of aborted transactions; null for readers that do not care.
    fn aborted(&mut self, aborted: Option<&[(i64, i64)]>) {
        match (aborted, self.flexible) {
            (None, true) => self.varint(0),
            (None, false) => self.buffer.put_i32(-1),
            (Some(aborted), _) => self.length(aborted.len()),
        }
        for (producer, first_offset) in aborted.unwrap_or_default() {
            self.buffer.put_i64(*producer);
            self.buffer.put_i64(*first_offset);
            self.no_tags();
        }
    }

    /// Tag 0 of the answer: where leaders are.
    fn endpoints(&mut self, endpoints: &[Endpoint]) {
        if endpoints.is_empty() {
            return self.varint(0);
        }
        let mut tag = Self { buffer: BytesMut::new(), chunks: VecDeque::new(), flexible: true };
        tag.length(endpoints.len());
        for endpoint in endpoints {
            tag.buffer.put_i32(endpoint.node);
            tag.text(&endpoint.host);
            tag.buffer.put_i32(endpoint.port);
            match &endpoint.rack {
                Some(rack) => tag.text(rack),
                None => tag.varint(0),
            }
            tag.no_tags();
        }
        self.varint(1);
        self.varint(0);
        self.varint(u32::try_from(tag.buffer.len()).unwrap_or(u32::MAX));
        self.buffer.put_slice(&tag.buffer);
    }

    fn no_tags(&mut self) {
        if self.flexible {
            self.varint(0);
        }
    }

    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX - 1);
        if self.flexible {
            self.varint(length + 1);
        } else {
            self.buffer.put_u32(length);
        }
    }

    fn text(&mut self, text: &str) {
        if self.flexible {
            self.length(text.len());
        } else {
            self.buffer.put_u16(u16::try_from(text.len()).unwrap_or(0));
        }
        self.buffer.put_slice(text.as_bytes());
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    fn flush(&mut self) {
        let chunk = self.buffer.split().freeze();
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::keys;
    use bytes::Buf;
    use kafka_protocol::messages::{ApiKey, FetchResponse, ResponseHeader};
    use kafka_protocol::protocol::Decodable;

    #[test]
    fn the_codec_reads_every_version_of_what_is_written_by_hand() {
        let api = keys::find(1).expect("fetch");
        for version in api.min..=api.max {
            let ticket = Ticket { conn: 1, node: 1, api, version, correlation: 77, error_after: None };
            let id = if version >= 13 { Uuid::from_u128(5) } else { Uuid::nil() };
            let wanted = |number| Wanted {
                name: Some(Arc::from("orders")),
                id,
                number,
                leader_epoch: -1,
                offset: 0,
                last_epoch: -1,
                max_bytes: Some(0),
            };
            let mut good = PartitionAnswer::error(0, &wanted(3), 0);
            good.data = Data {
                chunks: VecDeque::from([Bytes::from_static(b"abc"), Bytes::from_static(b"defg")]),
                high_watermark: 9,
                last_stable: 8,
                log_start: 7,
                aborted: Some(vec![(3, 4)]),
                diverging: None,
                preferred: Some(2),
            };
            let mut moved = PartitionAnswer::error(1, &wanted(4), 6);
            moved.leader = Some((2, 8));
            moved.data.diverging = Some(Diverging { epoch: 5, end_offset: 70 });
            let endpoint = Endpoint { node: 2, host: "b".to_owned(), port: 9, rack: Some("r".to_owned()) };
            let head = Head { error: 0, session: 66 };
            let mut frame = encode(ticket, &head, vec![good, moved], &[endpoint]).expect("encodes");
            let mut bytes = frame.copy_to_bytes(frame.remaining());
            assert_eq!(bytes.get_i32(), i32::try_from(bytes.len()).expect("short"));
            let header_version = ApiKey::Fetch.response_header_version(version);
            let header = ResponseHeader::decode(&mut bytes, header_version).expect("a header");
            assert_eq!(header.correlation_id, 77);
            let answer = FetchResponse::decode(&mut bytes, version).expect("an answer");
            assert!(!bytes.has_remaining(), "version {version}: bytes are left over");
            let topic = &answer.responses[0];
            let named = if version >= 13 { topic.topic_id == id } else { topic.topic.as_str() == "orders" };
            assert!(named);
            assert_eq!(topic.partitions[0].records.as_deref(), Some(&b"abcdefg"[..]));
            let read = &topic.partitions[0];
            assert_eq!((read.high_watermark, read.last_stable_offset), (9, 8));
            assert_eq!(read.log_start_offset, if version >= 5 { 7 } else { -1 });
            assert_eq!(
                read.aborted_transactions.as_ref().map(|aborted| aborted[0].first_offset.to_owned()),
                Some(4)
            );
            assert_eq!(topic.partitions[1].error_code, 6);
            assert_eq!(answer.session_id, if version >= 7 { 66 } else { 0 });
            assert_eq!(read.preferred_read_replica.0, if version >= 11 { 2 } else { -1 });
            assert_eq!(answer.node_endpoints.len(), usize::from(version >= 16));
            if version >= 12 {
                assert_eq!(topic.partitions[1].current_leader.leader_id.0, 2);
                assert_eq!(topic.partitions[1].diverging_epoch.end_offset, 70);
            }
        }
    }
}
