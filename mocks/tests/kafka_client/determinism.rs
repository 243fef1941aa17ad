//! The same seeds give the same run, request by request; and real time and real sockets work as well.

use std::sync::Mutex;

use squall_mocks::Clock;
use squall_mocks::kafka::KafkaMatch;
use squall_mocks::net::TcpDial;
use squall_mocks::rule::{Act, Rule};
use tokio::time::Instant;

use super::*;

/// A run with a group of two, five batches under way and broken connections; answers all the brokers saw and
/// when.
async fn run(client_seed: u64) -> Vec<String> {
    let clock = Clock::default();
    let world = World::start_with(KafkaOptions { clock: clock.clone(), ..KafkaOptions::brokers(3) }, 4);
    for act in [Act::DropBefore, Act::DropAfter] {
        world.cluster.rules().add(Rule::new(KafkaMatch::default(), act).with_probability(0.05));
    }
    let (start, trace) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&trace);
    world.cluster.observe(Arc::new(move |sighting| {
        seen.lock().expect("unpoisoned").push(format!("{:?} {sighting:?}", start.elapsed()));
    }));
    let client = |name: &str| {
        let options =
            ClientOptions { seed: client_seed, clock: clock.clone(), ..world.client(name).options().clone() };
        KafkaClient::new(options, Arc::new(world.net.clone()))
    };
    let producer = client("p").producer(ProducerOptions::default()).expect("valid options");
    let sends = (0..100).map(|n| producer.send(record(n % 4, n)));
    futures::future::try_join_all(sends).await.expect("all acknowledged");
    let mut one = client("one").consumer(consumer_options()).expect("valid options");
    let mut two = client("two").consumer(consumer_options()).expect("valid options");
    let read = async {
        for _ in 0..20 {
            tokio::select! {
                biased;
                event = one.next() => drop(event.expect("no final error")),
                event = two.next() => drop(event.expect("no final error")),
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(120), read).await;
    Arc::try_unwrap(trace).map_or_else(
        |trace| trace.lock().expect("unpoisoned").clone(),
        |trace| trace.into_inner().expect("unpoisoned"),
    )
}

#[tokio::test(start_paused = true)]
async fn the_same_seeds_give_the_same_requests_at_the_same_times() {
    let first = run(7).await;
    assert!(first.len() > 100, "{} requests", first.len());
    for (n, (one, two)) in first.iter().zip(&run(7).await).enumerate() {
        assert_eq!(one, two, "sighting {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_seed_gives_other_delays() {
    assert_ne!(run(7).await, run(8).await);
}

#[tokio::test]
async fn a_group_works_over_tcp_in_real_time() {
    let running = KafkaCluster::start_tcp(KafkaOptions::brokers(2)).await.expect("free ports");
    running.cluster.create_topic("t", 2).expect("a topic");
    let options = ClientOptions::new(running.bootstrap.split(','));
    let client = KafkaClient::new(options, Arc::new(TcpDial));
    let producer = client.producer(ProducerOptions::default()).expect("valid options");
    let sends = (0..20).map(|n| producer.send(record(n % 2, n)));
    futures::future::try_join_all(sends).await.expect("all acknowledged");
    let mut consumer = client.consumer(consumer_options()).expect("valid options");
    let mut count = 0;
    while count < 20 {
        if let Event::Records(_, records) = next(&mut consumer).await {
            count += records.len();
        }
    }
    consumer.close().await.expect("left");
}
