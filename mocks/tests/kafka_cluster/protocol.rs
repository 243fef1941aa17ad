//! Frames, versions, and bytes that are no Kafka.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::Decodable;
use squall_mocks::kafka::KafkaOptions;
use tokio::io::AsyncWriteExt;

use crate::wire::{Bench, Wire, text};

#[tokio::test(start_paused = true)]
async fn every_version_that_is_advertised_is_answered() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    macro_rules! each {
        ($($key:ident => $request:expr;)*) => {
            let mut tried = 0;
            $(for version in wire.versions(ApiKey::$key).await {
                wire.call(version, $request).await;
                tried += 1;
            })*
            tried
        };
    }
    let tried = {
        each! {
            Produce => ProduceRequest::default().with_acks(1);
            Fetch => FetchRequest::default();
            ListOffsets => ListOffsetsRequest::default();
            Metadata => MetadataRequest::default();
            OffsetCommit => OffsetCommitRequest::default();
            OffsetFetch => OffsetFetchRequest::default();
            FindCoordinator => FindCoordinatorRequest::default();
            JoinGroup => JoinGroupRequest::default();
            Heartbeat => HeartbeatRequest::default();
            LeaveGroup => LeaveGroupRequest::default();
            SyncGroup => SyncGroupRequest::default();
            DescribeGroups => DescribeGroupsRequest::default();
            ListGroups => ListGroupsRequest::default();
            SaslHandshake => SaslHandshakeRequest::default();
            SaslAuthenticate => SaslAuthenticateRequest::default();
            ApiVersions => ApiVersionsRequest::default();
            CreateTopics => CreateTopicsRequest::default();
            DeleteTopics => DeleteTopicsRequest::default();
            DeleteRecords => DeleteRecordsRequest::default();
            InitProducerId => InitProducerIdRequest::default();
            AddPartitionsToTxn => AddPartitionsToTxnRequest::default();
            AddOffsetsToTxn => AddOffsetsToTxnRequest::default();
            EndTxn => EndTxnRequest::default();
            WriteTxnMarkers => WriteTxnMarkersRequest::default();
            TxnOffsetCommit => TxnOffsetCommitRequest::default();
            DescribeProducers => DescribeProducersRequest::default();
            DescribeTransactions => DescribeTransactionsRequest::default();
            ListTransactions => ListTransactionsRequest::default();
            OffsetForLeaderEpoch => OffsetForLeaderEpochRequest::default();
            DescribeConfigs => DescribeConfigsRequest::default();
            AlterConfigs => AlterConfigsRequest::default();
            IncrementalAlterConfigs => IncrementalAlterConfigsRequest::default();
            AlterPartitionReassignments => AlterPartitionReassignmentsRequest::default();
            AlterReplicaLogDirs => AlterReplicaLogDirsRequest::default();
            CreatePartitions => CreatePartitionsRequest::default();
            DescribeLogDirs => DescribeLogDirsRequest::default();
            DescribeQuorum => DescribeQuorumRequest::default();
            DescribeTopicPartitions => DescribeTopicPartitionsRequest::default();
            ElectLeaders => ElectLeadersRequest::default();
            ListPartitionReassignments => ListPartitionReassignmentsRequest::default();
            UnregisterBroker => UnregisterBrokerRequest::default();
            DescribeAcls => DescribeAclsRequest::default();
            CreateAcls => CreateAclsRequest::default();
            DeleteAcls => DeleteAclsRequest::default();
            CreateDelegationToken => CreateDelegationTokenRequest::default();
            RenewDelegationToken => RenewDelegationTokenRequest::default();
            ExpireDelegationToken => ExpireDelegationTokenRequest::default();
            DescribeDelegationToken => DescribeDelegationTokenRequest::default();
            ShareGroupHeartbeat => ShareGroupHeartbeatRequest::default();
            ShareGroupDescribe => ShareGroupDescribeRequest::default();
            ShareFetch => ShareFetchRequest::default();
            ShareAcknowledge => ShareAcknowledgeRequest::default();
            DescribeShareGroupOffsets => DescribeShareGroupOffsetsRequest::default();
            AlterShareGroupOffsets => AlterShareGroupOffsetsRequest::default();
            DeleteShareGroupOffsets => DeleteShareGroupOffsetsRequest::default();
            AddRaftVoter => AddRaftVoterRequest::default();
            RemoveRaftVoter => RemoveRaftVoterRequest::default();
            AlterClientQuotas => AlterClientQuotasRequest::default();
            AlterUserScramCredentials => AlterUserScramCredentialsRequest::default();
            DescribeClientQuotas => DescribeClientQuotasRequest::default();
            DescribeUserScramCredentials => DescribeUserScramCredentialsRequest::default();
            ListConfigResources => ListConfigResourcesRequest::default();
            DeleteGroups => DeleteGroupsRequest::default();
            OffsetDelete => OffsetDeleteRequest::default();
            DescribeCluster => DescribeClusterRequest::default();
            ConsumerGroupHeartbeat => ConsumerGroupHeartbeatRequest::default();
            ConsumerGroupDescribe => ConsumerGroupDescribeRequest::default();
        }
    };
    let advertised = wire.call(4, named()).await.api_keys;
    let all: i16 = advertised.iter().map(|api| api.max_version - api.min_version + 1).sum();
    // Produce is advertised from 0 and served from 3, and five APIs have a version that the codec has not.
    assert_eq!(tried, all - 3 - 5);
}

fn named() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text("wire"))
        .with_client_software_version(text("1"))
}

#[tokio::test(start_paused = true)]
async fn api_versions_from_the_future_is_answered_in_version_0_and_the_connection_lives() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    // Key 18, version 99, correlation 7, no client id, no tags, and a body nobody knows.
    wire.send_frame(&[0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0, 1, 2, 3]).await;
    let mut bytes = wire.receive_frame().await.expect("an answer");
    let header = ResponseHeader::decode(&mut bytes, 0).expect("a header of version 0");
    assert_eq!(header.correlation_id, 7);
    let answer = ApiVersionsResponse::decode(&mut bytes, 0).expect("an answer of version 0");
    assert_eq!(answer.error_code, 35);
    assert_eq!(answer.api_keys[0].api_key, 18);
    assert_eq!(wire.call(3, named()).await.error_code, 0);
    // Its header is one of version 2, which has tags.
    wire.send_frame(&[0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff]).await;
    assert!(wire.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn software_is_named_by_words_of_letters_digits_dots_and_dashes() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    for (name, error) in [("a", 0), ("a.b-2", 0), ("", 42), ("-a", 42), ("a.", 42), ("a b", 42), ("a/b", 42)]
    {
        let answer = wire.call(3, named().with_client_software_name(text(name))).await;
        assert_eq!(answer.error_code, error, "{name:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn produce_is_advertised_from_version_0_as_kafka_4_does() {
    let bench = Bench::three();
    let answer = bench.connect(1).await.call(0, ApiVersionsRequest::default()).await;
    let produce = answer.api_keys.iter().find(|api| api.api_key == 0).expect("produce");
    assert_eq!(produce.min_version, 0);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_kafka_close_their_connection_and_no_other() {
    let bench = Bench::three();
    let mut healthy = bench.connect(1).await;
    let garbage: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[0, 0, 0, 0],
        // An API nobody serves, and a version of one that is.
        &[0, 0, 0, 8, 0, 99, 0, 0, 0, 0, 0, 1],
        &[0, 0, 0, 8, 0, 3, 0, 99, 0, 0, 0, 1],
        // Metadata that claims two billion topics.
        &[0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
        // A client id longer than the frame.
        &[0, 0, 0, 12, 0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 1, 2],
    ];
    for bytes in garbage {
        let mut wire: Wire = bench.connect(1).await;
        wire.stream.write_all(bytes).await.expect("written");
        assert!(wire.is_closed().await, "{bytes:?}");
    }
    assert_eq!(healthy.call(0, ApiVersionsRequest::default()).await.error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn requests_sent_ahead_are_answered_in_their_order() {
    let bench = Bench::new(KafkaOptions::brokers(1));
    bench.cluster.create_topic("orders", 1).expect("created");
    let mut wire = bench.connect(1).await;
    // The first waits for records that do not come.
    let fetch = FetchRequest::default().with_max_wait_ms(500).with_min_bytes(1).with_topics(vec![
        fetch_request::FetchTopic::default()
            .with_topic(TopicName(text("orders")))
            .with_partitions(vec![fetch_request::FetchPartition::default().with_partition_max_bytes(1000)]),
    ]);
    wire.send(4, &fetch).await;
    wire.send(0, &MetadataRequest::default()).await;
    let correlation = |bytes: &[u8]| i32::from_be_bytes(bytes[..4].try_into().expect("4 bytes"));
    let first = wire.receive_frame().await.expect("an answer");
    let second = wire.receive_frame().await.expect("an answer");
    assert_eq!((correlation(&first), correlation(&second)), (1, 2));
}
