//! Offsets that an open transaction holds: they do not expire, and go when they are deleted.

use std::time::Duration;

use kafka_protocol::messages::{offset_commit_request as plain, offset_delete_request as delete, *};
use squall_mocks::kafka::KafkaOptions;
use tokio::time::sleep;

use super::client::{Client, Who, one_node};
use crate::wire::{Bench, text};

const MINUTE: Duration = Duration::from_secs(60);

/// A group "workers" that has committed 5 and holds 7 in an open transaction.
async fn holding() -> (Bench, Client, Who) {
    let options = KafkaOptions {
        offsets_retention: 3 * MINUTE,
        offsets_retention_check_interval: MINUTE,
        ..KafkaOptions::brokers(1)
    };
    let (bench, mut client) = one_node(options).await;
    let search = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("workers")]);
    while client.wire.call(4, search.clone()).await.coordinators[0].error_code != 0 {
        sleep(Duration::from_millis(20)).await;
    }
    let (_, who) = client.init_as(5, 900_000, (-1, -1)).await;
    let partition = plain::OffsetCommitRequestPartition::default().with_committed_offset(5);
    let topic = plain::OffsetCommitRequestTopic::default().with_name(TopicName(text("orders")));
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("workers")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic.with_partitions(vec![partition])]);
    assert_eq!(client.wire.call(8, request).await.topics[0].partitions[0].error_code, 0);
    let request = client.offsets(who, "workers", 7);
    assert_eq!(client.commit_offsets(5, request).await, 0);
    (bench, client, who)
}

#[tokio::test(start_paused = true)]
async fn an_offset_does_not_expire_while_an_open_transaction_holds_one_of_its_partition() {
    let (bench, mut client, who) = holding().await;
    sleep(6 * MINUTE).await;
    assert_eq!(client.committed("workers", false).await, (0, 5));
    assert_eq!(client.end(5, who, false).await.0, 0);
    sleep(2 * MINUTE).await;
    assert_eq!(client.committed("workers", false).await, (0, -1));
    assert!(bench.cluster.group("workers").is_none(), "nothing is left of the group");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_offset_does_not_come_back_with_the_transaction_that_held_it() {
    let (_bench, mut client, who) = holding().await;
    let partition = delete::OffsetDeleteRequestPartition::default().with_partition_index(0);
    let topic = delete::OffsetDeleteRequestTopic::default().with_name(TopicName(text("orders")));
    let request = OffsetDeleteRequest::default()
        .with_group_id(GroupId(text("workers")))
        .with_topics(vec![topic.with_partitions(vec![partition])]);
    assert_eq!(client.wire.call(0, request).await.topics[0].partitions[0].error_code, 0);
    assert_eq!(client.committed("workers", true).await, (0, -1), "nothing is unstable any more");
    assert_eq!(client.end(5, who, true).await.0, 0);
    assert_eq!(client.committed("workers", true).await, (0, -1));
}
