//! The platform's ports to the log, over `KafkaClient`: what services in the simulation use.
//!
//! A thin translation of types and errors. Retries, rebalances and fencing are the client's.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use squall_core::bus::{
    Bus, BusError, Consumer, ConsumerOptions, Delivery, Exchange, Gap, Membership, OutgoingRecord, Publisher,
    PublisherOptions, Record, TopicDescription, TopicPartition, TransactionalPublisher,
};
use squall_core::point;
use squall_mocks::kafka::client::{
    self, Broker, ClientError, Event, GroupMetadata, Isolation, KafkaClient, NewRecord, OffsetReset,
    ProduceError, TransactionalOptions,
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
        if options.committed_only {
            consumer.isolation = Isolation::Committed;
        }
        consumer.heartbeat_interval = options.session_timeout / 3;
        Ok(Box::new(KafkaConsumer { consumer: self.client.consumer(consumer).map_err(refused)? }))
    }

    async fn describe(&self, topic: &str) -> Result<Option<TopicDescription>, BusError> {
        let image = self.client.metadata_from(&Broker::Any, Some(&[topic.to_owned()])).await;
        let mut image = image.map_err(translated)?;
        let Some(described) = image.topics.remove(topic) else { return Ok(None) };
        match described.error {
            Some(error) if error.is_unknown_topic() => return Ok(None),
            Some(error) => return Err(BusError::Refused(format!("metadata of {topic}: {error}"))),
            None => {}
        }
        let leads = |node: Option<i32>| node.is_some_and(|node| image.brokers.contains_key(&node));
        let leaderless = described.partitions.iter().filter(|(_, partition)| !leads(partition.leader));
        Ok(Some(TopicDescription {
            partitions: described.partitions.len(),
            leaderless: leaderless.map(|(number, _)| *number).collect(),
        }))
    }

    async fn transactional(
        &self,
        transactional_id: &str,
    ) -> Result<Box<dyn TransactionalPublisher>, BusError> {
        let options = TransactionalOptions::new(transactional_id);
        let producer = self.client.transactional_producer(options).await.map_err(translated)?;
        Ok(Box::new(KafkaTransactions { producer }))
    }
}

/// Publishes in transactions.
struct KafkaTransactions {
    producer: client::TransactionalProducer,
}

#[async_trait]
impl TransactionalPublisher for KafkaTransactions {
    async fn exchange(&mut self, exchange: Exchange) -> Result<(), BusError> {
        let Exchange { records, offsets, consumer } = exchange;
        let transaction = self.producer.begin().await.map_err(uncommitted)?;
        let sends = records.into_iter().map(|record| transaction.send(outgoing(record)));
        futures::future::try_join_all(sends).await.map_err(|error| match error {
            ProduceError::Refused(error) | ProduceError::Unknown(error) => uncommitted(error),
            error => BusError::Refused(error.to_string()),
        })?;
        point!("transaction.records-sent");
        let Membership { group, generation, member } = consumer;
        let group = GroupMetadata { group, generation, member };
        transaction.send_offsets(&group, &theirs(&offsets)).await.map_err(uncommitted)?;
        transaction.commit().await.map_err(translated)
    }
}

struct KafkaPublisher {
    producer: client::Producer,
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&self, record: OutgoingRecord) -> Result<(TopicPartition, i64), BusError> {
        match self.producer.send(outgoing(record)).await {
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
        self.consumer.commit(&theirs(offsets)).await.map_err(translated)
    }

    fn membership(&self) -> Option<Membership> {
        let GroupMetadata { group, generation, member } = self.consumer.group_metadata()?;
        Some(Membership { group, generation, member })
    }

    async fn close(self: Box<Self>) -> Result<(), BusError> {
        self.consumer.close().await.map_err(translated)
    }
}

fn theirs(offsets: &[(TopicPartition, i64)]) -> Vec<(client::TopicPartition, i64)> {
    let one = |(at, next): &(TopicPartition, i64)| {
        (client::TopicPartition::new(Arc::clone(&at.topic), at.partition), *next)
    };
    offsets.iter().map(one).collect()
}

fn outgoing(record: OutgoingRecord) -> NewRecord {
    let OutgoingRecord { topic, key, headers, value } = record;
    let headers = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
    NewRecord { topic, partition: None, key, headers, value: Some(value) }
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
        ClientError::Fenced { .. } | ClientError::ProducerFenced { .. } => BusError::Fenced(text),
        error if error.may_have_applied() => BusError::Unknown(text),
        error if error.is_retryable() => BusError::Unreachable(text),
        _ => BusError::Refused(text),
    }
}

/// An error before a transaction's commit: nothing of it counts, whatever became of the request.
fn uncommitted(error: ClientError) -> BusError {
    match translated(error) {
        BusError::Unknown(text) => BusError::Unreachable(text),
        error => error,
    }
}
