//! One fetch request to one broker, and its answer read into records.
//!
//! Without a fetch session: every request names every partition, which is what brokers fall back to when
//! their session cache is full.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};

use super::KafkaClient;
use super::admin::{millis, text};
use super::batch;
use super::error::{ClientError, ErrorCode};
use super::fetcher::Brought;
use super::isolation::{Aborted, Isolation};
use super::network::Lane;
use super::types::TopicPartition;

/// How records are fetched.
#[derive(Clone, Debug)]
pub(super) struct FetchOptions {
    /// How long a broker waits for the first record.
    pub(super) max_wait: Duration,
    /// Bytes of one partition that are asked for, and up to which records are held.
    pub(super) partition_bytes: usize,
    /// Which records are wanted.
    pub(super) isolation: Isolation,
}

/// Where to fetch a partition from.
#[derive(Clone, Copy, Debug)]
pub(super) struct From {
    pub(super) offset: i64,
    /// Epoch of the leader that is asked.
    pub(super) leader_epoch: i32,
    /// Epoch of the batch before the offset, -1 if none was read: the broker sees by it whether the log that
    /// was read is still its own.
    pub(super) last_epoch: i32,
}

/// Fetches each partition from its offset. Every partition's outcome stands for itself.
pub(super) async fn fetch(
    client: &KafkaClient,
    lane: &Lane,
    options: &FetchOptions,
    address: &str,
    offsets: &BTreeMap<TopicPartition, From>,
) -> Result<BTreeMap<TopicPartition, Result<Brought, ClientError>>, ClientError> {
    let limit = i32::try_from(options.partition_bytes).unwrap_or(i32::MAX);
    let mut topics: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
    for (partition, from) in offsets {
        let asked = FetchPartition::default()
            .with_partition(partition.partition)
            .with_current_leader_epoch(from.leader_epoch)
            .with_last_fetched_epoch(from.last_epoch)
            .with_fetch_offset(from.offset)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(limit);
        topics.entry(&partition.topic).or_default().push(asked);
    }
    let topic = |(name, partitions)| {
        FetchTopic::default().with_topic(TopicName(text(name))).with_partitions(partitions)
    };
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(millis(options.max_wait))
        .with_min_bytes(1)
        .with_isolation_level(options.isolation.level())
        // Half of what a connection takes at most: one batch may come on top of it.
        .with_max_bytes(i32::try_from(client.options().response_bytes_max / 2).unwrap_or(i32::MAX))
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(topics.into_iter().map(topic).collect());
    let timeout = client.options().request_timeout + options.max_wait;
    let response = lane.call(address, &request, timeout).await?;
    ErrorCode::check(response.error_code, || format!("fetch from {address}"))?;
    let mut outcomes = BTreeMap::new();
    for topic in response.responses {
        for data in topic.partitions {
            let partition = TopicPartition::new(topic.topic.as_str(), data.partition_index);
            if let Some(from) = offsets.get(&partition) {
                let outcome = read(&partition, address, from.offset, data);
                outcomes.insert(partition, outcome);
            }
        }
    }
    Ok(outcomes)
}

fn read(
    partition: &TopicPartition,
    address: &str,
    from: i64,
    data: PartitionData,
) -> Result<Brought, ClientError> {
    let what = || format!("fetch of {partition} from {address}");
    ErrorCode::check(data.error_code, what)?;
    if data.diverging_epoch.epoch >= 0 {
        return Ok(Brought::Diverged(data.diverging_epoch.end_offset));
    }
    let bytes = data.records.unwrap_or_default();
    let any = !bytes.is_empty();
    let listed = data.aborted_transactions.unwrap_or_default();
    let listed = listed.iter().map(|aborted| (aborted.producer_id.0, aborted.first_offset));
    let mut decoded = batch::decode(bytes, &mut Aborted::new(listed))?;
    if any && decoded.next_offset.is_none() {
        // Brokers send the first batch whole whatever the limit: without it there would be no progress.
        let reason = "its first record batch is cut off".to_owned();
        return Err(ClientError::Malformed { what: what(), reason });
    }
    // A batch is sent whole, also if the offset asked for lies within it.
    decoded.records.retain(|record| record.offset >= from);
    Ok(Brought::Records(decoded))
}
