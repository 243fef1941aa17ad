//! The APIs this cluster serves, as data: name in rules, versions served, versions advertised.
//!
//! The served range of an API lies within what the codec knows or `beyond` adds (a test checks it); the advertised range may
//! begin below the served one where Kafka's does.

use kafka_protocol::messages::ApiKey;

/// One API.
#[derive(Debug)]
pub(crate) struct Api {
    pub key: ApiKey,
    /// Its name in fault rules.
    pub name: &'static str,
    /// Oldest version served.
    pub min: i16,
    /// Newest version served and advertised.
    pub max: i16,
    /// Oldest version advertised.
    pub advertised_min: i16,
}

const fn api(key: ApiKey, name: &'static str, min: i16, max: i16) -> Api {
    Api { key, name, min, max, advertised_min: min }
}

/// Every API served, by key.
pub(crate) const APIS: &[Api] = &[
    // Kafka 4 serves Produce from version 3 and advertises 0, because older librdkafka take a missing 0 for a
    // broker without compression (KAFKA-18659).
    Api { key: ApiKey::Produce, name: "produce", min: 3, max: 13, advertised_min: 0 },
    api(ApiKey::Fetch, "fetch", 4, 18),
    api(ApiKey::ListOffsets, "list-offsets", 1, 11),
    api(ApiKey::Metadata, "metadata", 0, 13),
    api(ApiKey::OffsetCommit, "offset-commit", 2, 10),
    api(ApiKey::OffsetFetch, "offset-fetch", 1, 10),
    api(ApiKey::FindCoordinator, "find-coordinator", 0, 6),
    api(ApiKey::JoinGroup, "join-group", 0, 9),
    api(ApiKey::Heartbeat, "heartbeat", 0, 4),
    api(ApiKey::LeaveGroup, "leave-group", 0, 5),
    api(ApiKey::SyncGroup, "sync-group", 0, 5),
    api(ApiKey::DescribeGroups, "describe-groups", 0, 6),
    api(ApiKey::ListGroups, "list-groups", 0, 5),
    api(ApiKey::SaslHandshake, "sasl-handshake", 0, 1),
    api(ApiKey::ApiVersions, "api-versions", 0, 4),
    api(ApiKey::CreateTopics, "create-topics", 2, 7),
    api(ApiKey::DeleteTopics, "delete-topics", 1, 6),
    api(ApiKey::DeleteRecords, "delete-records", 0, 2),
    api(ApiKey::InitProducerId, "init-producer-id", 0, 5),
    api(ApiKey::OffsetForLeaderEpoch, "offset-for-leader-epoch", 2, 4),
    api(ApiKey::AddPartitionsToTxn, "add-partitions-to-txn", 0, 5),
    api(ApiKey::AddOffsetsToTxn, "add-offsets-to-txn", 0, 4),
    api(ApiKey::EndTxn, "end-txn", 0, 5),
    api(ApiKey::WriteTxnMarkers, "write-txn-markers", 1, 2),
    api(ApiKey::TxnOffsetCommit, "txn-offset-commit", 0, 5),
    api(ApiKey::DescribeAcls, "describe-acls", 1, 3),
    api(ApiKey::CreateAcls, "create-acls", 1, 3),
    api(ApiKey::DeleteAcls, "delete-acls", 1, 3),
    api(ApiKey::DescribeConfigs, "describe-configs", 1, 4),
    api(ApiKey::AlterConfigs, "alter-configs", 0, 2),
    api(ApiKey::AlterReplicaLogDirs, "alter-replica-log-dirs", 1, 2),
    api(ApiKey::DescribeLogDirs, "describe-log-dirs", 1, 5),
    api(ApiKey::SaslAuthenticate, "sasl-authenticate", 0, 2),
    api(ApiKey::CreatePartitions, "create-partitions", 0, 3),
    api(ApiKey::CreateDelegationToken, "create-delegation-token", 1, 3),
    api(ApiKey::RenewDelegationToken, "renew-delegation-token", 1, 2),
    api(ApiKey::ExpireDelegationToken, "expire-delegation-token", 1, 2),
    api(ApiKey::DescribeDelegationToken, "describe-delegation-token", 1, 3),
    api(ApiKey::DeleteGroups, "delete-groups", 0, 2),
    api(ApiKey::ElectLeaders, "elect-leaders", 0, 2),
    api(ApiKey::IncrementalAlterConfigs, "incremental-alter-configs", 0, 1),
    api(ApiKey::AlterPartitionReassignments, "alter-partition-reassignments", 0, 1),
    api(ApiKey::ListPartitionReassignments, "list-partition-reassignments", 0, 0),
    api(ApiKey::OffsetDelete, "offset-delete", 0, 0),
    api(ApiKey::DescribeClientQuotas, "describe-client-quotas", 0, 1),
    api(ApiKey::AlterClientQuotas, "alter-client-quotas", 0, 1),
    api(ApiKey::DescribeUserScramCredentials, "describe-user-scram-credentials", 0, 0),
    api(ApiKey::AlterUserScramCredentials, "alter-user-scram-credentials", 0, 0),
    api(ApiKey::DescribeQuorum, "describe-quorum", 0, 2),
    api(ApiKey::DescribeCluster, "describe-cluster", 0, 2),
    api(ApiKey::DescribeProducers, "describe-producers", 0, 0),
    api(ApiKey::UnregisterBroker, "unregister-broker", 0, 0),
    api(ApiKey::DescribeTransactions, "describe-transactions", 0, 0),
    api(ApiKey::ListTransactions, "list-transactions", 0, 2),
    api(ApiKey::ConsumerGroupHeartbeat, "consumer-group-heartbeat", 0, 1),
    api(ApiKey::ConsumerGroupDescribe, "consumer-group-describe", 0, 1),
    api(ApiKey::ListConfigResources, "list-config-resources", 0, 1),
    api(ApiKey::DescribeTopicPartitions, "describe-topic-partitions", 0, 0),
    api(ApiKey::ShareGroupHeartbeat, "share-group-heartbeat", 1, 1),
    api(ApiKey::ShareGroupDescribe, "share-group-describe", 1, 1),
    api(ApiKey::ShareFetch, "share-fetch", 1, 1),
    api(ApiKey::ShareAcknowledge, "share-acknowledge", 1, 1),
    api(ApiKey::AddRaftVoter, "add-raft-voter", 0, 0),
    api(ApiKey::RemoveRaftVoter, "remove-raft-voter", 0, 0),
    api(ApiKey::DescribeShareGroupOffsets, "describe-share-group-offsets", 0, 0),
    api(ApiKey::AlterShareGroupOffsets, "alter-share-group-offsets", 0, 0),
    api(ApiKey::DeleteShareGroupOffsets, "delete-share-group-offsets", 0, 0),
];

/// The API with this number on the wire.
pub(crate) fn find(key: i16) -> Option<&'static Api> {
    APIS.iter().find(|api| api.key as i16 == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::wire::beyond;

    #[test]
    fn every_version_served_is_known_to_the_codec() {
        for api in APIS {
            let known = api.key.valid_versions();
            assert!(
                known.min <= api.min && beyond::of_codec(api.key, api.max) <= known.max,
                "{}: {known}",
                api.name
            );
        }
    }

    #[test]
    fn keys_are_in_order_and_once() {
        assert!(APIS.windows(2).all(|pair| (pair[0].key as i16) < (pair[1].key as i16)));
    }
}
