//! `KafkaClient` against `KafkaCluster` over pipes in memory, in virtual time.

#![cfg(feature = "kafka")]

mod consume;
mod determinism;
mod network;
mod produce;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use squall_mocks::kafka::client::{
    Broker, ClientOptions, Consumer, ConsumerOptions, Event, KafkaClient, NewRecord, OffsetReset, Producer,
    ProducerOptions, Record, TopicPartition,
};
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use squall_mocks::net::MemoryNet;

/// A cluster that listens, and the network it listens on.
struct World {
    net: MemoryNet,
    cluster: KafkaCluster,
}

impl World {
    /// Starts `brokers` nodes with a topic `t`.
    fn start(brokers: usize, partitions: i32) -> Self {
        Self::start_with(KafkaOptions::brokers(brokers), partitions)
    }

    fn start_with(options: KafkaOptions, partitions: i32) -> Self {
        let net = MemoryNet::new();
        let addresses = options.advertised.clone();
        let cluster = KafkaCluster::new(options);
        for (node, address) in (1..).zip(addresses) {
            let (cluster, listener) = (cluster.clone(), net.listen(&address));
            tokio::spawn(async move { cluster.serve(node, listener).await });
        }
        cluster.create_topic("t", partitions).expect("a topic");
        Self { net, cluster }
    }

    fn client(&self, client_id: &str) -> KafkaClient {
        let options = ClientOptions {
            client_id: client_id.to_owned(),
            request_timeout: Duration::from_secs(2),
            ..ClientOptions::new(["kafka-1:9092"])
        };
        KafkaClient::new(options, Arc::new(self.net.clone()))
    }

    fn producer(&self, options: ProducerOptions) -> Producer {
        self.client("producer").producer(options).expect("valid options")
    }

    fn consumer(&self, client_id: &str) -> Consumer {
        self.client(client_id).consumer(consumer_options()).expect("valid options")
    }

    /// The values in a partition's log, as the cluster has them.
    fn log(&self, partition: i32) -> Vec<String> {
        let log = self.cluster.log("t", partition).expect("a log");
        log.into_iter().map(|record| text(record.value.as_deref())).collect()
    }
}

fn consumer_options() -> ConsumerOptions {
    ConsumerOptions {
        session_timeout: Duration::from_secs(6),
        rebalance_timeout: Duration::from_secs(10),
        heartbeat_interval: Duration::from_secs(1),
        auto_offset_reset: OffsetReset::Earliest,
        ..ConsumerOptions::new("g", ["t"])
    }
}

fn text(value: Option<&[u8]>) -> String {
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

fn record(number: i32, value: impl ToString) -> NewRecord {
    NewRecord::new("t", value.to_string()).partition(number)
}

fn values(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| text(record.value.as_deref())).collect()
}

/// Waits for the next event, an hour of virtual time at most: a test must fail rather than hang.
async fn next(consumer: &mut Consumer) -> Event {
    let next = tokio::time::timeout(Duration::from_secs(3600), consumer.next());
    next.await.expect("an event within the hour").expect("no final error")
}
