//! The shape of each request, walked before the codec reads it.
//!
//! The codec makes room for as many elements as an array claims to have, so four bytes could ask for hundreds
//! of gigabytes. A request that passed [`check`] has the elements it claims, and not too many.
//!
//! A shape is a list of fields: `b h i l u` are 1, 2, 4, 8 and 16 bytes, `s` a string, `y` bytes, `[ ... ]` an
//! array of structs, `( ... )` a struct that may be null, and `*` behind a letter makes an array of it. Behind each
//! the versions that have the field: nothing for all, `3+`, or `0-12`. `1=l` is a tagged field that the codec reads,
//! number 1, and `1=il#` one that is a struct with tags of its own.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;

/// Most elements of arrays in one request.
const MAX_ELEMENTS: usize = 1_000_000;

fn shape_of(key: ApiKey) -> &'static str {
    match key {
        ApiKey::Produce => "s h i [ s0-12 u13+ [ i y ] ]",
        ApiKey::Fetch => {
            "i0-14 i i i b i7+ i7+ [ s0-12 u13+ [ i i9+ l i12+ l5+ i 0=u17+ 1=l18+ ] ] [7+ s0-12 u13+ i* ] s11+ \
             0=s 1=il#15+"
        }
        ApiKey::ListOffsets => "i b2+ [ s [ i i4+ l ] ] i10+",
        ApiKey::Metadata => "[ u10+ s ] b4+ b8-10 b8+",
        ApiKey::OffsetCommit => "s i s s7+ l0-4 [ s [ i l i6+ s ] ]",
        ApiKey::OffsetFetch => "s0-7 [0-7 s i* ] [8+ s s9+ i9+ [ s i* ] ] b7+",
        ApiKey::FindCoordinator => "s0-3 b1+ s*4+",
        ApiKey::JoinGroup => "s i i1+ s s5+ s [ s y ] s8+",
        ApiKey::Heartbeat => "s i s s3+",
        ApiKey::LeaveGroup => "s s0-2 [3+ s s s5+ ]",
        ApiKey::SyncGroup => "s i s s3+ s5+ s5+ [ s y ]",
        ApiKey::DescribeGroups => "s* b3+",
        ApiKey::ListGroups => "s*4+ s*5+",
        ApiKey::SaslHandshake => "s",
        ApiKey::ApiVersions => "s3+ s3+",
        ApiKey::SaslAuthenticate => "y",
        ApiKey::CreateTopics => "[ s i h [ i i* ] [ s s ] ] i b",
        ApiKey::DeleteTopics => "[6+ s u ] s*0-5 i",
        ApiKey::DeleteRecords => "[ s [ i l ] ] i",
        ApiKey::InitProducerId => "s i l3+ h3+",
        ApiKey::OffsetForLeaderEpoch => "i3+ [ s [ i i i ] ]",
        ApiKey::AddPartitionsToTxn => "[4+ s l h b [ s i* ] ] s0-3 l0-3 h0-3 [0-3 s i* ]",
        ApiKey::AddOffsetsToTxn => "s l h s",
        ApiKey::EndTxn => "s l h b",
        ApiKey::WriteTxnMarkers => "[ l h b [ s i* ] i ]",
        ApiKey::TxnOffsetCommit => "s s l h i3+ s3+ s3+ [ s [ i l i2+ s ] ]",
        ApiKey::DescribeProducers => "[ s i* ]",
        ApiKey::DescribeTransactions => "s*",
        ApiKey::ListTransactions => "s* l* l1+ s2+",
        ApiKey::DescribeConfigs => "[ b s s* ] b b3+",
        ApiKey::AlterConfigs => "[ b s [ s s ] ] b",
        ApiKey::IncrementalAlterConfigs => "[ b s [ s b s ] ] b",
        ApiKey::ListConfigResources => "b*1+",
        ApiKey::DeleteGroups => "s*",
        ApiKey::OffsetDelete => "s [ s [ i ] ]",
        ApiKey::DescribeCluster => "b b1+ b2+",
        ApiKey::ConsumerGroupHeartbeat => "s s i s s i s* s1+ s [ u i* ]",
        ApiKey::ConsumerGroupDescribe => "s* b",
        ApiKey::DescribeAcls => "b s b s s b b",
        ApiKey::CreateAcls => "[ b s b s s b b ]",
        ApiKey::DeleteAcls => "[ b s b s s b b ]",
        ApiKey::AlterReplicaLogDirs => "[ s [ s i* ] ]",
        ApiKey::DescribeLogDirs => "[ s i* ]",
        ApiKey::CreatePartitions => "[ s i [ i* ] ] i b",
        ApiKey::CreateDelegationToken => "s3+ s3+ [ s s ] l",
        ApiKey::RenewDelegationToken => "y l",
        ApiKey::ExpireDelegationToken => "y l",
        ApiKey::DescribeDelegationToken => "[ s s ]",
        ApiKey::ElectLeaders => "b1+ [ s i* ] i",
        ApiKey::AlterPartitionReassignments => "i b1+ [ s [ i i* ] ]",
        ApiKey::ListPartitionReassignments => "i [ s i* ]",
        ApiKey::DescribeQuorum => "[ s [ i ] ]",
        ApiKey::UnregisterBroker => "i",
        ApiKey::DescribeTopicPartitions => "[ s ] i ( s i )",
        ApiKey::ShareGroupHeartbeat => "s s i s s*",
        ApiKey::ShareGroupDescribe => "s* b",
        ApiKey::ShareFetch => "s s i i i i i i [ u [ i [ l l b* ] ] ] [ u i* ]",
        ApiKey::ShareAcknowledge => "s s i [ u [ i [ l l b* ] ] ]",
        ApiKey::AddRaftVoter => "s i i u [ s s h ]",
        ApiKey::RemoveRaftVoter => "s i u",
        ApiKey::DescribeShareGroupOffsets => "[ s [ s i* ] ]",
        ApiKey::AlterShareGroupOffsets => "s [ s [ i l ] ]",
        ApiKey::DeleteShareGroupOffsets => "s [ s ]",
        ApiKey::DescribeClientQuotas => "[ s b s ] b",
        ApiKey::AlterClientQuotas => "[ [ s s ] [ s l b ] ] b",
        ApiKey::DescribeUserScramCredentials => "[ s ]",
        ApiKey::AlterUserScramCredentials => "[ s b ] [ s b i y y ]",
        _ => "",
    }
}

/// Checks that the body of a request has its shape.
pub(crate) fn check(key: ApiKey, version: i16, body: &Bytes) -> Result<(), String> {
    let fields: Vec<&str> = shape_of(key).split_ascii_whitespace().collect();
    let flexible = key.request_header_version(version) >= 2;
    let mut walk = Walk { bytes: body.clone(), version, flexible, elements: 0 };
    walk.fields(&fields).ok_or_else(|| {
        let at = body.len() - walk.bytes.len();
        format!("bytes that do not have its shape, or more than {MAX_ELEMENTS} elements, at byte {at}")
    })
}

struct Walk {
    bytes: Bytes,
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk {
    /// Walks one struct.
    fn fields(&mut self, fields: &[&str]) -> Option<()> {
        let mut at = 0;
        while let Some(field) = fields.get(at) {
            if let Some(versions) = field.strip_prefix(['[', '(']) {
                let end = matching(&fields[at..])? + at;
                let inner = &fields[at + 1..end];
                match self.has(versions) {
                    true if field.starts_with('[') => self.structs(inner)?,
                    true if self.bytes.try_get_i8().ok()? >= 0 => self.fields(inner)?,
                    _ => {}
                }
                at = end;
            } else if !field.contains('=') {
                let (kind, rest) = field.split_at(1);
                match rest.strip_prefix('*') {
                    Some(versions) if self.has(versions) => self.elements(|walk| walk.field(kind))?,
                    None if self.has(rest) => self.field(kind)?,
                    _ => {}
                }
            }
            at += 1;
        }
        if self.flexible { self.tags(fields) } else { Some(()) }
    }

    fn structs(&mut self, fields: &[&str]) -> Option<()> {
        self.elements(|walk| walk.fields(fields))
    }

    fn elements(&mut self, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let count = self.length(4)?;
        self.elements = self.elements.checked_add(count).filter(|sum| *sum <= MAX_ELEMENTS)?;
        for _ in 0..count {
            one(self)?;
        }
        Some(())
    }

    fn field(&mut self, kind: &str) -> Option<()> {
        match kind {
            "b" => self.skip(1),
            "h" => self.skip(2),
            "i" => self.skip(4),
            "l" => self.skip(8),
            "u" => self.skip(16),
            "s" => self.length(2).and_then(|length| self.skip(length)),
            "y" => self.length(4).and_then(|length| self.skip(length)),
            _ => None,
        }
    }

    /// A length, written in `width` bytes or compactly; null counts as 0.
    fn length(&mut self, width: usize) -> Option<usize> {
        if self.flexible {
            return Some(usize::try_from(self.varint()?).ok()?.saturating_sub(1));
        }
        let length = match width {
            2 => i64::from(self.bytes.try_get_i16().ok()?),
            _ => i64::from(self.bytes.try_get_i32().ok()?),
        };
        if length == -1 { Some(0) } else { usize::try_from(length).ok() }
    }

    /// Walks tagged fields. The codec takes its word of those it knows from what they hold, not from the size they
    /// are given, so the two must agree.
    fn tags(&mut self, fields: &[&str]) -> Option<()> {
        let count = self.varint()?;
        let known = if count == 0 { Vec::new() } else { tagged(fields) };
        for _ in 0..count {
            let tag = self.varint()?;
            let size = usize::try_from(self.varint()?).ok()?;
            let rest = self.bytes.len().checked_sub(size)?;
            let shape = known.iter().find(|(number, _)| *number == tag).map(|(_, shape)| *shape);
            match shape {
                Some(shape) => {
                    let kinds = shape.trim_end_matches(|c: char| c.is_ascii_digit() || c == '+');
                    for at in 0..kinds.len() {
                        match &kinds[at..=at] {
                            "#" => self.tags(&[])?,
                            kind => self.field(kind)?,
                        }
                    }
                }
                None => self.skip(size)?,
            }
            (self.bytes.len() == rest).then_some(())?;
        }
        Some(())
    }

    fn varint(&mut self) -> Option<u32> {
        varint(&mut self.bytes)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        (self.bytes.len() >= count).then(|| self.bytes.advance(count))
    }

    fn has(&self, versions: &str) -> bool {
        let number = |text: &str| text.parse::<i16>().ok();
        let (min, max) = match (versions.strip_suffix('+'), versions.split_once('-')) {
            (Some(min), _) => (number(min), None),
            (None, Some((min, max))) => (number(min), number(max)),
            (None, None) => (None, None),
        };
        min.is_none_or(|min| self.version >= min) && max.is_none_or(|max| self.version <= max)
    }
}

/// Takes a number of one to five bytes off the front.
pub(super) fn varint(bytes: &mut Bytes) -> Option<u32> {
    let mut value = 0_u32;
    for shift in (0..35).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The tagged fields of a struct, nested ones left out.
fn tagged<'a>(fields: &[&'a str]) -> Vec<(u32, &'a str)> {
    let mut depth = 0_i32;
    let mut found = Vec::new();
    for field in fields {
        depth += i32::from(field.starts_with('[')) - i32::from(*field == "]");
        if let Some((number, shape)) = field.split_once('=').filter(|_| depth == 0) {
            found.extend(number.parse().ok().map(|number| (number, shape)));
        }
    }
    found
}

/// Where the bracket that `fields` begins with is closed.
pub(super) fn matching(fields: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, field) in fields.iter().enumerate() {
        if field.starts_with(['[', '(']) {
            depth += 1;
        } else if matches!(*field, "]" | ")") {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::beyond;
    use crate::kafka::wire::keys::APIS;
    use bytes::BytesMut;
    use kafka_protocol::messages::*;
    use kafka_protocol::protocol::{Decodable, Encodable};
    use proptest::prelude::*;

    /// Walks what the codec writes for `request` and says which bytes are left.
    fn left<R: Encodable>(key: ApiKey, version: i16, request: &R) -> usize {
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes, version).expect("encodes");
        let fields: Vec<&str> = shape_of(key).split_ascii_whitespace().collect();
        let flexible = key.request_header_version(version) >= 2;
        let mut walk = Walk { bytes: bytes.freeze(), version, flexible, elements: 0 };
        walk.fields(&fields).unwrap_or_else(|| panic!("{key:?} v{version} does not have its shape"));
        walk.bytes.len()
    }

    macro_rules! every_version {
        ($($key:ident => $request:expr;)*) => {
            for api in APIS {
                for version in api.min..=api.max {
                    let version = beyond::of_codec(api.key, version);
                    let left = match api.key {
                        $(ApiKey::$key => left(api.key, version, &$request(version)),)*
                        other => panic!("{other:?} is not tried"),
                    };
                    assert_eq!(left, 0, "{} v{version}", api.name);
                }
            }
        };
    }

    #[test]
    fn every_version_of_every_request_has_its_shape_to_the_last_byte() {
        use kafka_protocol::messages::{
            alter_client_quotas_request as quotas, alter_configs_request as alter,
            alter_partition_reassignments_request as reassign, alter_replica_log_dirs_request as dirs,
            consumer_group_heartbeat_request as beat, create_partitions_request as partitions,
            create_topics_request as create, delete_records_request as delete,
            describe_configs_request as describe, describe_quorum_request as quorum,
            elect_leaders_request as elect, fetch_request as fetch,
            incremental_alter_configs_request as incremental, join_group_request as join,
            leave_group_request as leave, list_offsets_request as list, metadata_request as metadata,
            offset_commit_request as commit, offset_delete_request as forget,
            offset_fetch_request as committed, offset_for_leader_epoch_request as epoch,
            produce_request as produce, share_fetch_request as share, sync_group_request as sync,
        };
        let one = || Bytes::from_static(b"abc");
        every_version! {
            Produce => |_| ProduceRequest::default().with_topic_data(vec![produce::TopicProduceData::default()
                .with_partition_data(vec![produce::PartitionProduceData::default().with_records(Some(one()))])]);
            Fetch => |version| {
                let topic = fetch::FetchTopic::default().with_partitions(vec![fetch::FetchPartition::default()]);
                let forgotten = fetch::ForgottenTopic::default().with_partitions(vec![1, 2]);
                let request = FetchRequest::default().with_topics(vec![topic]);
                if version >= 7 { request.with_forgotten_topics_data(vec![forgotten]) } else { request }
            };
            ListOffsets => |_| ListOffsetsRequest::default().with_topics(vec![list::ListOffsetsTopic::default()
                .with_partitions(vec![list::ListOffsetsPartition::default()])]);
            Metadata => |_| MetadataRequest::default().with_topics(Some(vec![
                metadata::MetadataRequestTopic::default().with_name(Some(Default::default()))]));
            OffsetCommit => |_| OffsetCommitRequest::default().with_topics(vec![
                commit::OffsetCommitRequestTopic::default()
                    .with_partitions(vec![commit::OffsetCommitRequestPartition::default()])]);
            OffsetFetch => |version| if version < 8 {
                let topic = committed::OffsetFetchRequestTopic::default().with_partition_indexes(vec![1, 2]);
                OffsetFetchRequest::default().with_topics(Some(vec![topic]))
            } else {
                let topic = committed::OffsetFetchRequestTopics::default().with_partition_indexes(vec![1, 2]);
                let group = committed::OffsetFetchRequestGroup::default().with_topics(Some(vec![topic]));
                OffsetFetchRequest::default().with_groups(vec![group])
            };
            FindCoordinator => |version| match version {
                ..4 => FindCoordinatorRequest::default(),
                _ => FindCoordinatorRequest::default().with_coordinator_keys(vec![Default::default()]),
            };
            JoinGroup => |_| JoinGroupRequest::default().with_protocols(vec![
                join::JoinGroupRequestProtocol::default().with_metadata(one())]);
            Heartbeat => |_| HeartbeatRequest::default();
            LeaveGroup => |version| match version {
                ..3 => LeaveGroupRequest::default(),
                _ => LeaveGroupRequest::default().with_members(vec![leave::MemberIdentity::default()]),
            };
            SyncGroup => |_| SyncGroupRequest::default().with_assignments(vec![
                sync::SyncGroupRequestAssignment::default().with_assignment(one())]);
            DescribeGroups => |_| DescribeGroupsRequest::default().with_groups(vec![Default::default()]);
            ListGroups => |_| ListGroupsRequest::default();
            SaslHandshake => |_| SaslHandshakeRequest::default();
            ApiVersions => |_| ApiVersionsRequest::default();
            SaslAuthenticate => |_| SaslAuthenticateRequest::default().with_auth_bytes(one());
            CreateTopics => |_| CreateTopicsRequest::default().with_topics(vec![create::CreatableTopic::default()
                .with_assignments(vec![create::CreatableReplicaAssignment::default()
                    .with_broker_ids(vec![BrokerId(1)])])
                .with_configs(vec![create::CreatableTopicConfig::default()])]);
            DeleteTopics => |version| match version {
                ..6 => DeleteTopicsRequest::default().with_topic_names(vec![Default::default()]),
                _ => DeleteTopicsRequest::default().with_topics(vec![Default::default()]),
            };
            DeleteRecords => |_| DeleteRecordsRequest::default().with_topics(vec![
                delete::DeleteRecordsTopic::default()
                    .with_partitions(vec![delete::DeleteRecordsPartition::default()])]);
            InitProducerId => |_| InitProducerIdRequest::default();
            OffsetForLeaderEpoch => |_| OffsetForLeaderEpochRequest::default().with_topics(vec![
                epoch::OffsetForLeaderTopic::default()
                    .with_partitions(vec![epoch::OffsetForLeaderPartition::default()])]);
            AddPartitionsToTxn => |version| {
                use kafka_protocol::messages::add_partitions_to_txn_request as add;
                let topics = vec![add::AddPartitionsToTxnTopic::default().with_partitions(vec![1, 2])];
                match version {
                    ..4 => AddPartitionsToTxnRequest::default().with_v3_and_below_topics(topics),
                    _ => AddPartitionsToTxnRequest::default().with_transactions(vec![
                        add::AddPartitionsToTxnTransaction::default().with_topics(topics)]),
                }
            };
            AddOffsetsToTxn => |_| AddOffsetsToTxnRequest::default();
            EndTxn => |_| EndTxnRequest::default();
            WriteTxnMarkers => |_| {
                use kafka_protocol::messages::write_txn_markers_request as markers;
                let topic = markers::WritableTxnMarkerTopic::default().with_partition_indexes(vec![1, 2]);
                WriteTxnMarkersRequest::default().with_markers(vec![
                    markers::WritableTxnMarker::default().with_topics(vec![topic])])
            };
            TxnOffsetCommit => |_| {
                use kafka_protocol::messages::txn_offset_commit_request as commit;
                let partition = commit::TxnOffsetCommitRequestPartition::default();
                TxnOffsetCommitRequest::default().with_topics(vec![
                    commit::TxnOffsetCommitRequestTopic::default().with_partitions(vec![partition])])
            };
            DescribeProducers => |_| DescribeProducersRequest::default().with_topics(vec![
                describe_producers_request::TopicRequest::default()
                    .with_partition_indexes(vec![1, 2])]);
            DescribeTransactions => |_| DescribeTransactionsRequest::default()
                .with_transactional_ids(vec![Default::default()]);
            ListTransactions => |_| ListTransactionsRequest::default()
                .with_state_filters(vec![Default::default()])
                .with_producer_id_filters(vec![ProducerId(1)]);
            DescribeConfigs => |_| DescribeConfigsRequest::default().with_resources(vec![
                describe::DescribeConfigsResource::default()
                    .with_configuration_keys(Some(vec![Default::default()]))]);
            AlterConfigs => |_| AlterConfigsRequest::default().with_resources(vec![
                alter::AlterConfigsResource::default().with_configs(vec![alter::AlterableConfig::default()])]);
            IncrementalAlterConfigs => |_| IncrementalAlterConfigsRequest::default().with_resources(vec![
                incremental::AlterConfigsResource::default()
                    .with_configs(vec![incremental::AlterableConfig::default()])]);
            DescribeCluster => |_| DescribeClusterRequest::default();
            AlterPartitionReassignments => |_| AlterPartitionReassignmentsRequest::default().with_topics(vec![
                reassign::ReassignableTopic::default().with_partitions(vec![
                    reassign::ReassignablePartition::default().with_replicas(Some(vec![BrokerId(1)]))])]);
            AlterReplicaLogDirs => |_| AlterReplicaLogDirsRequest::default().with_dirs(vec![
                dirs::AlterReplicaLogDir::default().with_topics(vec![
                    dirs::AlterReplicaLogDirTopic::default().with_partitions(vec![1])])]);
            CreatePartitions => |_| CreatePartitionsRequest::default().with_topics(vec![
                partitions::CreatePartitionsTopic::default().with_assignments(Some(vec![
                    partitions::CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1)])]))]);
            DescribeLogDirs => |_| DescribeLogDirsRequest::default()
                .with_topics(Some(vec![Default::default()]));
            DescribeQuorum => |_| DescribeQuorumRequest::default().with_topics(vec![
                quorum::TopicData::default().with_partitions(vec![Default::default()])]);
            DescribeTopicPartitions => |_| DescribeTopicPartitionsRequest::default()
                .with_topics(vec![Default::default()])
                .with_cursor(Some(Default::default()));
            ElectLeaders => |_| ElectLeadersRequest::default().with_topic_partitions(Some(vec![
                elect::TopicPartitions::default().with_partitions(vec![1, 2])]));
            ListPartitionReassignments => |_| ListPartitionReassignmentsRequest::default();
            UnregisterBroker => |_| UnregisterBrokerRequest::default();
            DescribeAcls => |_| DescribeAclsRequest::default();
            CreateAcls => |_| CreateAclsRequest::default().with_creations(vec![Default::default()]);
            DeleteAcls => |_| DeleteAclsRequest::default().with_filters(vec![Default::default()]);
            CreateDelegationToken => |_| CreateDelegationTokenRequest::default();
            RenewDelegationToken => |_| RenewDelegationTokenRequest::default();
            ExpireDelegationToken => |_| ExpireDelegationTokenRequest::default();
            DescribeDelegationToken => |_| DescribeDelegationTokenRequest::default();
            ShareGroupHeartbeat => |_| ShareGroupHeartbeatRequest::default();
            ShareGroupDescribe => |_| ShareGroupDescribeRequest::default();
            ShareFetch => |_| ShareFetchRequest::default().with_topics(vec![share::FetchTopic::default()
                .with_partitions(vec![share::FetchPartition::default()
                    .with_acknowledgement_batches(vec![Default::default()])])]);
            ShareAcknowledge => |_| ShareAcknowledgeRequest::default();
            DescribeShareGroupOffsets => |_| DescribeShareGroupOffsetsRequest::default();
            AlterShareGroupOffsets => |_| AlterShareGroupOffsetsRequest::default();
            DeleteShareGroupOffsets => |_| DeleteShareGroupOffsetsRequest::default();
            AddRaftVoter => |_| AddRaftVoterRequest::default().with_listeners(vec![Default::default()]);
            RemoveRaftVoter => |_| RemoveRaftVoterRequest::default();
            AlterClientQuotas => |_| AlterClientQuotasRequest::default().with_entries(vec![
                quotas::EntryData::default()
                    .with_entity(vec![Default::default()])
                    .with_ops(vec![Default::default()])]);
            DescribeClientQuotas => |_| DescribeClientQuotasRequest::default()
                .with_components(vec![Default::default()]);
            AlterUserScramCredentials => |_| AlterUserScramCredentialsRequest::default()
                .with_deletions(vec![Default::default()])
                .with_upsertions(vec![Default::default()]);
            DescribeUserScramCredentials => |_| DescribeUserScramCredentialsRequest::default()
                .with_users(Some(vec![Default::default()]));
            ListConfigResources => |version| match version {
                0 => ListConfigResourcesRequest::default(),
                _ => ListConfigResourcesRequest::default().with_resource_types(vec![2, 4]),
            };
            DeleteGroups => |_| DeleteGroupsRequest::default().with_groups_names(vec![Default::default()]);
            OffsetDelete => |_| OffsetDeleteRequest::default().with_topics(vec![
                forget::OffsetDeleteRequestTopic::default()
                    .with_partitions(vec![forget::OffsetDeleteRequestPartition::default()])]);
            ConsumerGroupHeartbeat => |_| ConsumerGroupHeartbeatRequest::default()
                .with_subscribed_topic_names(Some(vec![Default::default()]))
                .with_topic_partitions(Some(vec![beat::TopicPartitions::default().with_partitions(vec![1])]));
            ConsumerGroupDescribe => |_| ConsumerGroupDescribeRequest::default()
                .with_group_ids(vec![Default::default()]);
        }
    }

    #[test]
    fn an_array_that_claims_more_than_there_is_is_refused() {
        let huge = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]);
        assert!(check(ApiKey::Metadata, 0, &huge).is_err());
        let compact = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0]);
        assert!(check(ApiKey::Metadata, 9, &compact).is_err());
    }

    #[test]
    fn a_tagged_field_that_is_longer_than_its_size_is_refused() {
        use fetch_request as fetch;
        let replica = fetch::ReplicaState::default().with_replica_id(BrokerId(3));
        let partition = fetch::FetchPartition::default().with_high_watermark(7);
        let topic = fetch::FetchTopic::default().with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_cluster_id(Some("c".to_owned().into()))
            .with_replica_state(replica)
            .with_topics(vec![topic]);
        let mut good = BytesMut::new();
        request.encode(&mut good, 18).expect("encodes");
        assert_eq!(check(ApiKey::Fetch, 18, &good.clone().freeze()), Ok(()));
        // Tag 1 says that it holds nothing; the codec would read on into what follows.
        let mut bad = BytesMut::new();
        FetchRequest::default().encode(&mut bad, 18).expect("encodes");
        bad.truncate(bad.len() - 1);
        bad.extend_from_slice(&[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(check(ApiKey::Fetch, 18, &bad.freeze()).is_err());
    }

    proptest! {
        #[test]
        fn whatever_passes_is_read_by_the_codec_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            version in 0_i16..=13,
        ) {
            let mut bytes = Bytes::from(bytes);
            if check(ApiKey::Metadata, version, &bytes).is_ok() {
                let _ = MetadataRequest::decode(&mut bytes.clone(), version);
            }
            let version = version.clamp(4, 13);
            if check(ApiKey::Fetch, version, &bytes).is_ok() {
                let _ = FetchRequest::decode(&mut bytes, version);
            }
        }
    }
}
