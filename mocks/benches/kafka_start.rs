//! How long a `KafkaCluster` takes from nothing to its first record produced and consumed over TCP by `KafkaClient`.
//!
//! Prints medians, for one broker and for three; asserts nothing. `cargo bench -p squall-mocks --bench kafka_start`
//! takes a second.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_mocks::Clock;
use squall_mocks::kafka::client::{
    ClientOptions, KafkaClient, NewRecord, ProducerOptions, StartAt, TopicPartition,
};
use squall_mocks::kafka::{KafkaCluster, KafkaOptions};
use squall_mocks::net::TcpDial;

const ROUNDS: usize = 101;

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` runs benches too, to see that they work: one round will do.
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for brokers in [1, 3] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            times.push(runtime.block_on(start(brokers))?);
        }
        times.sort();
        let median_ms = times[times.len() / 2].as_secs_f64() * 1e3;
        println!("{brokers} brokers, to the first record produced and consumed: {median_ms:>8.3} ms");
    }
    Ok(())
}

async fn start(brokers: usize) -> anyhow::Result<Duration> {
    let begun = now();
    let options = KafkaOptions { clock: Clock::system(), ..KafkaOptions::brokers(brokers) };
    let running = KafkaCluster::start_tcp(options).await?;
    running.cluster.create_topic("orders", 1)?;
    let client = KafkaClient::new(ClientOptions::new(running.bootstrap.split(',')), Arc::new(TcpDial));
    let producer = client.producer(ProducerOptions::default())?;
    producer.send(NewRecord::new("orders", "hello")).await?;
    let records = client.reader(TopicPartition::new("orders", 0), StartAt::Earliest).next().await?;
    let value = records.first().and_then(|record| record.value.as_deref());
    anyhow::ensure!(value == Some(b"hello"), "expected the record produced before, found {value:?}");
    Ok(begun.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}
