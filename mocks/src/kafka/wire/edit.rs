//! Changes to answers that are already encoded, for fault rules: a wrong bit, another throttle time.
//!
//! Only answers that a rule acts on come here, so what it costs to read and write them again does not matter. An
//! answer that has no place for the change stays as it is.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, FetchResponse, ProduceResponse, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable};
use uuid::Uuid;

use super::frame::Frame;
use super::keys::Api;

/// Which answer a frame is.
#[derive(Clone, Copy)]
pub(crate) struct Answered {
    pub api: &'static Api,
    pub version: i16,
    pub correlation: i32,
}

impl Answered {
    /// Tells the client that it is throttled for this many milliseconds.
    pub fn set_throttle(self, frame: Frame, ms: i32) -> Frame {
        let set = |at: usize| {
            let header = if self.api.key.response_header_version(self.version) == 0 { 8 } else { 9 };
            let mut frame = frame.clone();
            frame.patch(header + at, &ms.to_be_bytes());
            frame
        };
        match self.api.key {
            // The two that have it behind fields of changing length.
            ApiKey::Produce => self.edit(frame, |answer: &mut ProduceResponse| answer.throttle_time_ms = ms),
            ApiKey::ApiVersions => {
                self.edit(frame, |answer: &mut ApiVersionsResponse| answer.throttle_time_ms = ms)
            }
            ApiKey::OffsetDelete => set(2),
            key if throttled_from(key).is_some_and(|first| self.version >= first) => set(0),
            _ => frame,
        }
    }

    /// Turns a bit of the last byte of the first batch of every partition that `concerns` says.
    pub fn corrupt_batches(self, frame: Frame, concerns: impl Fn(&TopicName, Uuid, i32) -> bool) -> Frame {
        self.edit(frame, |answer: &mut FetchResponse| {
            for topic in &mut answer.responses {
                for partition in &mut topic.partitions {
                    if let Some(records) = &mut partition.records
                        && concerns(&topic.topic, topic.topic_id, partition.partition_index)
                    {
                        corrupt(records);
                    }
                }
            }
        })
    }

    /// Reads the answer, changes it and writes it again.
    fn edit<R: Encodable + Decodable>(self, frame: Frame, change: impl FnOnce(&mut R)) -> Frame {
        let Ok(mut answer) = R::decode(&mut frame.body(self.api, self.version), self.version) else {
            return frame;
        };
        change(&mut answer);
        Frame::encode(self.api, self.version, self.correlation, &answer).unwrap_or(frame)
    }
}

fn corrupt(records: &mut Bytes) {
    // Behind the base offset, the length of what follows: all of it but 9 bytes is under the checksum.
    let Some(length) = records.get(8..).and_then(|rest| rest.first_chunk::<4>()) else { return };
    let last = usize::try_from(i32::from_be_bytes(*length)).ok().map(|length| length + 11);
    let mut changed = BytesMut::from(&records[..]);
    if let Some(byte) = last.filter(|at| *at >= 21).and_then(|at| changed.get_mut(at)) {
        *byte ^= 1;
        *records = changed.freeze();
    }
}

/// The first version whose answer begins with the throttle time; nothing if it has none there.
fn throttled_from(key: ApiKey) -> Option<i16> {
    match key {
        ApiKey::SaslHandshake
        | ApiKey::SaslAuthenticate
        | ApiKey::WriteTxnMarkers
        | ApiKey::DescribeQuorum
        | ApiKey::CreateDelegationToken
        | ApiKey::RenewDelegationToken
        | ApiKey::ExpireDelegationToken
        | ApiKey::DescribeDelegationToken => None,
        ApiKey::Metadata | ApiKey::OffsetCommit | ApiKey::OffsetFetch => Some(3),
        ApiKey::ListOffsets | ApiKey::JoinGroup | ApiKey::OffsetForLeaderEpoch => Some(2),
        ApiKey::FindCoordinator
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups => Some(1),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use kafka_protocol::messages::*;

    use super::*;
    use crate::kafka::wire::keys::{self, APIS};

    fn read<R: Decodable>(answered: Answered, frame: &Frame) -> R {
        let mut body = frame.body(answered.api, answered.version);
        let answer = R::decode(&mut body, answered.version).expect("an answer of this version");
        assert!(!body.has_remaining(), "{} v{}", answered.api.name, answered.version);
        answer
    }

    #[test]
    fn the_throttle_time_lands_in_its_field_in_every_version() {
        let mut seen = 0;
        macro_rules! each {
            ($($key:ident => $answer:ident;)*) => {
                $(for api in APIS.iter().filter(|api| api.key == ApiKey::$key) {
                    for version in api.min..=api.max.min(api.key.valid_versions().max) {
                        let answered = Answered { api, version, correlation: 7 };
                        let whole = Frame::encode(api, version, 7, &$answer::default()).expect("an answer");
                        let told = read::<$answer>(answered, &answered.set_throttle(whole, 1234));
                        // Old versions without the field are told nothing.
                        let has_it = Frame::encode(api, version, 7, &told).expect("an answer");
                        let again = read::<$answer>(answered, &has_it).throttle_time_ms;
                        assert_eq!(told, $answer::default().with_throttle_time_ms(again), "{}", api.name);
                        assert!(again == 1234 || version < 3 && again == 0, "{} v{version}", api.name);
                        seen += 1;
                    }
                })*
            };
        }
        each! {
            Produce => ProduceResponse;
            Fetch => FetchResponse;
            ListOffsets => ListOffsetsResponse;
            Metadata => MetadataResponse;
            OffsetCommit => OffsetCommitResponse;
            OffsetFetch => OffsetFetchResponse;
            FindCoordinator => FindCoordinatorResponse;
            JoinGroup => JoinGroupResponse;
            Heartbeat => HeartbeatResponse;
            LeaveGroup => LeaveGroupResponse;
            SyncGroup => SyncGroupResponse;
            DescribeGroups => DescribeGroupsResponse;
            ListGroups => ListGroupsResponse;
            ApiVersions => ApiVersionsResponse;
            CreateTopics => CreateTopicsResponse;
            DeleteTopics => DeleteTopicsResponse;
            InitProducerId => InitProducerIdResponse;
            OffsetForLeaderEpoch => OffsetForLeaderEpochResponse;
            DescribeConfigs => DescribeConfigsResponse;
            DescribeCluster => DescribeClusterResponse;
        }
        assert!(seen > 90, "{seen}");
    }

    #[test]
    fn records_too_short_for_a_batch_are_left_alone() {
        let api = keys::find(ApiKey::Fetch as i16).expect("it is served");
        let answered = Answered { api, version: 12, correlation: 1 };
        for length in [0, 11, 12, 30] {
            let partition =
                fetch_response::PartitionData::default().with_records(Some(vec![0; length].into()));
            let topic = fetch_response::FetchableTopicResponse::default().with_partitions(vec![partition]);
            let answer = FetchResponse::default().with_responses(vec![topic]);
            let frame = Frame::encode(api, 12, 1, &answer).expect("an answer");
            let found = read::<FetchResponse>(answered, &answered.corrupt_batches(frame, |_, _, _| true));
            assert_eq!(found, answer);
        }
    }
}
