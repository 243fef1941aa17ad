//! The platform's ports to the log, over `KafkaClient`: what services in the simulation use.
//!
//! A thin translation of types and errors. Retries, rebalances and fencing are the client's.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use squall_core::bus::{
    Bus, BusError, Consumer, ConsumerOptions, Delivery, Gap, OutgoingRecord, Publisher, PublisherOptions,
    Record, TopicPartition,
};
use squall_mocks::kafka::client::{
    self, ClientError, Event, KafkaClient, NewRecord, OffsetReset, ProduceError,
};

/// A [`Bus`] over a Kafka client.
#[derive(Clone)]
pub struct KafkaBus {
    client: KafkaClient,
}

impl KafkaBus {
    /// The bus behind `client`.
    #[must_use]
    pub fn new(client: KafkaClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn publisher(&self, options: PublisherOptions) -> Result<Arc<dyn Publisher>, BusError> {
        let producer = client::ProducerOptions {
            idempotent: options.idempotent,
            delivery_timeout: options.delivery_timeout,
            ..client::ProducerOptions::default()
        };
        Ok(Arc::new(KafkaPublisher { producer: self.client.producer(producer).map_err(refused)? }))
    }

    async fn consumer(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>, BusError> {
        let mut consumer = client::ConsumerOptions::new(options.group, options.topics);
        // A group without a committed offset begins at the beginning: what was published before it came is not
        // to be lost.
        consumer.auto_offset_reset = OffsetReset::Earliest;
        // How long a rebalance waits for a member that is busy; processors wind down within seconds.
        consumer.rebalance_timeout = 5 * options.session_timeout;
        consumer.session_timeout = options.session_timeout;
        consumer.heartbeat_interval = options.session_timeout / 3;
        Ok(Box::new(KafkaConsumer { consumer: self.client.consumer(consumer).map_err(refused)? }))
    }
}

struct KafkaPublisher {
    producer: client::Producer,
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&self, record: OutgoingRecord) -> Result<(TopicPartition, i64), BusError> {
        let headers = record.headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
        let record = NewRecord {
            topic: record.topic,
            partition: None,
            key: record.key,
            headers,
            value: Some(record.value),
        };
        match self.producer.send(record).await {
            Ok((partition, offset)) => Ok((ours(partition), offset)),
            Err(ProduceError::Refused(error)) => Err(BusError::Refused(error.to_string())),
            Err(error) => Err(BusError::Unknown(error.to_string())),
        }
    }
}

struct KafkaConsumer {
    consumer: client::Consumer,
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn next(&mut self) -> Result<Delivery, BusError> {
        Ok(match self.consumer.next().await.map_err(translated)? {
            Event::Records(partition, records) => {
                let partition = ours(partition);
                Delivery::Records(records.into_iter().map(|record| received(&partition, record)).collect())
            }
            Event::Assigned(partitions) => Delivery::Assigned(partitions.into_iter().map(ours).collect()),
            Event::Revoked(partitions) => Delivery::Revoked(partitions.into_iter().map(ours).collect()),
            Event::Lost(partitions) => Delivery::Lost(partitions.into_iter().map(ours).collect()),
            Event::Gap(partition, client::Gap::Deleted { .. }) => {
                Delivery::Gap(ours(partition), Gap::Deleted)
            }
            Event::Gap(partition, client::Gap::Truncated { .. } | client::Gap::NewLeader { .. }) => {
                Delivery::Gap(ours(partition), Gap::Truncated)
            }
        })
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, i64)]) -> Result<(), BusError> {
        let theirs: Vec<_> = offsets
            .iter()
            .map(|(at, next)| (client::TopicPartition::new(Arc::clone(&at.topic), at.partition), *next))
            .collect();
        self.consumer.commit(&theirs).await.map_err(translated)
    }

    async fn close(self: Box<Self>) -> Result<(), BusError> {
        self.consumer.close().await.map_err(translated)
    }
}

fn ours(partition: client::TopicPartition) -> TopicPartition {
    TopicPartition { topic: partition.topic, partition: partition.partition }
}

fn received(partition: &TopicPartition, record: client::Record) -> Record {
    // The port has no null values: to a consumer of events a tombstone and an empty value are the same mistake.
    let present = |value: Option<Bytes>| value.unwrap_or_default();
    Record {
        partition: partition.clone(),
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: record.key,
        headers: record.headers.into_iter().map(|(name, value)| (name, present(value))).collect(),
        value: present(record.value),
    }
}

fn refused(error: ClientError) -> BusError {
    BusError::Refused(error.to_string())
}

fn translated(error: ClientError) -> BusError {
    let text = error.to_string();
    match error {
        ClientError::Fenced { .. } => BusError::Fenced(text),
        error if error.may_have_applied() => BusError::Unknown(text),
        error if error.is_retryable() => BusError::Unreachable(text),
        _ => BusError::Refused(text),
    }
}
