//! Tests of the log in memory.

use std::time::Duration;

use bytes::Bytes;

use super::*;

const SESSION: Duration = Duration::from_secs(6);

fn bus() -> MemoryBus {
    MemoryBus::new(Clock::default()).with_topic("orders", 4)
}

fn record(key: &str, value: &str) -> OutgoingRecord {
    OutgoingRecord {
        topic: "orders".to_owned(),
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        headers: vec![("h".to_owned(), Bytes::from_static(b"1"))],
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

async fn consumer(bus: &MemoryBus) -> Box<dyn Consumer> {
    let options = ConsumerOptions {
        group: "g".to_owned(),
        topics: vec!["orders".to_owned()],
        session_timeout: SESSION,
        committed_only: false,
    };
    bus.consumer(options).await.expect("a consumer")
}

async fn publish(bus: &MemoryBus, n: usize) {
    let publisher = bus.publisher(PublisherOptions::default()).await.expect("a publisher");
    for i in 0..n {
        publisher.publish(record(&format!("k{i}"), &i.to_string())).await.expect("published");
    }
}

async fn assigned(consumer: &mut Box<dyn Consumer>) -> Vec<TopicPartition> {
    loop {
        if let Delivery::Assigned(partitions) = consumer.next().await.expect("a delivery") {
            return partitions;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_member_gets_every_record_in_offset_order() {
    let bus = bus();
    publish(&bus, 40).await;
    let mut consumer = consumer(&bus).await;
    assert_eq!(assigned(&mut consumer).await.len(), 4);
    let mut next = BTreeMap::<TopicPartition, i64>::new();
    let mut seen = 0;
    while seen < 40 {
        let Delivery::Records(records) = consumer.next().await.expect("a delivery") else {
            panic!("only records now")
        };
        for record in records {
            let expected = next.entry(record.partition.clone()).or_default();
            assert_eq!(record.offset, *expected);
            *expected += 1;
            seen += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_member_takes_over_after_a_revocation_and_resumes_from_the_commit() {
    let bus = bus();
    publish(&bus, 40).await;
    let mut first = consumer(&bus).await;
    let partitions = assigned(&mut first).await;
    let offsets: Vec<_> = partitions.iter().map(|partition| (partition.clone(), 1)).collect();
    first.commit(&offsets).await.expect("committed");

    let mut second = consumer(&bus).await;
    let (mine, theirs) = tokio::join!(assigned(&mut first), assigned(&mut second));
    assert_eq!((mine.len(), theirs.len()), (2, 2));
    assert!(mine.iter().all(|partition| !theirs.contains(partition)));
    let Delivery::Records(records) = second.next().await.expect("a delivery") else { panic!("records") };
    assert_eq!(records[0].offset, 1);
    let stolen = [(mine[0].clone(), 5)];
    assert!(matches!(second.commit(&stolen).await, Err(BusError::Fenced(_))));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_member_is_noticed_after_its_session_timeout() {
    let bus = bus();
    let mut first = consumer(&bus).await;
    let mut second = consumer(&bus).await;
    let _ = tokio::join!(assigned(&mut first), assigned(&mut second));
    let dropped_at = Instant::now();
    drop(first);
    assert_eq!(assigned(&mut second).await.len(), 4);
    assert!(dropped_at.elapsed() >= SESSION);
}

#[tokio::test(start_paused = true)]
async fn an_expired_member_learns_its_loss_and_cannot_commit() {
    let bus = bus();
    let mut member = consumer(&bus).await;
    let partitions = assigned(&mut member).await;
    bus.expire_members("g");
    let commit = member.commit(&[(partitions[0].clone(), 1)]).await;
    assert!(matches!(commit, Err(BusError::Fenced(_))));
    assert_eq!(member.next().await.expect("a delivery"), Delivery::Lost(partitions));
    assert_eq!(assigned(&mut member).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_the_record_a_lost_request_does_not() {
    let bus = bus();
    bus.fail_publishes([PublishFault::LoseAnswer, PublishFault::LoseRequest, PublishFault::Refuse]);
    let publisher = bus.publisher(PublisherOptions::default()).await.expect("a publisher");
    assert!(matches!(publisher.publish(record("k", "1")).await, Err(BusError::Unknown(_))));
    assert!(matches!(publisher.publish(record("k", "2")).await, Err(BusError::Unknown(_))));
    assert!(matches!(publisher.publish(record("k", "3")).await, Err(BusError::Refused(_))));
    publisher.publish(record("k", "4")).await.expect("published");
    let values: Vec<Bytes> = bus.records("orders").into_iter().map(|record| record.value).collect();
    assert_eq!(values, ["1", "4"].map(Bytes::from));
}
