//! Consuming in a group: nothing lost, nothing skipped, whatever moves or dies.

use std::collections::BTreeMap;

use squall_mocks::kafka::KafkaMatch;
use squall_mocks::kafka::client::{ClientError, Gap};
use squall_mocks::rule::{Act, Rule};

use super::*;

async fn produce(world: &World, partitions: i32, numbers: std::ops::Range<i32>) {
    let producer = world.producer(ProducerOptions::default());
    let sends = numbers.map(|n| producer.send(record(n % partitions, n)));
    futures::future::try_join_all(sends).await.expect("all acknowledged");
}

/// Consumes until `count` records have come; commits what it has handled after every event.
async fn consume(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        if let Event::Records(partition, records) = next(consumer).await {
            seen.extend(values(&records));
            let behind = records.last().map_or(0, |record| record.offset + 1);
            consumer.commit(&[(partition, behind)]).await.expect("committed");
        }
    }
    seen
}

fn sorted(mut numbers: Vec<String>) -> Vec<i32> {
    numbers.sort_by_key(|number| number.parse::<i32>().expect("a number"));
    numbers.iter().map(|number| number.parse().expect("a number")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_member_is_assigned_everything_and_reads_each_partition_in_order() {
    let world = World::start(3, 3);
    produce(&world, 3, 0..30).await;
    let mut consumer = world.consumer("one");
    let all: Vec<TopicPartition> = (0..3).map(partition).collect();
    assert_eq!(next(&mut consumer).await, Event::Assigned(all));
    let mut seen: BTreeMap<TopicPartition, Vec<i64>> = BTreeMap::new();
    while seen.values().map(Vec::len).sum::<usize>() < 30 {
        let Event::Records(partition, records) = next(&mut consumer).await else { panic!("only records") };
        seen.entry(partition).or_default().extend(records.iter().map(|record| record.offset));
    }
    assert!(seen.values().all(|offsets| offsets.iter().copied().eq(0..10)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_record_does_not_wait_for_a_fetch_of_other_partitions() {
    let world = World::start(1, 3);
    produce(&world, 3, 2..3).await;
    let mut consumer = world.consumer("one");
    assert!(matches!(next(&mut consumer).await, Event::Assigned(_)));
    let assigned = tokio::time::Instant::now();
    assert!(matches!(next(&mut consumer).await, Event::Records(..)));
    // A fetch of nothing takes 500 ms.
    assert!(assigned.elapsed() < Duration::from_millis(250), "{:?}", assigned.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_group_goes_on_where_it_has_committed() {
    let world = World::start(1, 1);
    produce(&world, 1, 0..10).await;
    let mut first = world.consumer("one");
    assert!(matches!(next(&mut first).await, Event::Assigned(_)));
    let Event::Records(..) = next(&mut first).await else { panic!("records") };
    first.commit(&[(partition(0), 4)]).await.expect("committed");
    first.close().await.expect("left");
    let mut second = world.consumer("two");
    assert_eq!(sorted(consume(&mut second, 6).await), (4..10).collect::<Vec<_>>());
    let group = world.cluster.group("g").expect("a group");
    assert_eq!(group.members.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_next_loses_no_event() {
    let world = World::start(1, 1);
    produce(&world, 1, 0..50).await;
    let mut consumer = world
        .client("one")
        .consumer(ConsumerOptions { max_poll_records: 1, ..consumer_options() })
        .expect("valid options");
    let mut seen = Vec::new();
    while seen.len() < 50 {
        match tokio::time::timeout(Duration::from_micros(10), consumer.next()).await {
            Ok(Ok(Event::Records(_, records))) => seen.extend(values(&records)),
            Ok(other) => drop(other.expect("no final error")),
            Err(_) => {}
        }
    }
    assert_eq!(seen, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// A member that runs by itself: handles, commits, hands over at revocation.
fn member(
    world: &World,
    name: &str,
    sink: tokio::sync::mpsc::UnboundedSender<String>,
) -> tokio::task::JoinHandle<()> {
    let mut consumer = world.consumer(name);
    tokio::spawn(async move {
        let mut handled: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        while let Ok(event) = consumer.next().await {
            match event {
                Event::Records(partition, records) => {
                    for record in records {
                        let _ = sink.send(text(record.value.as_deref()));
                        handled.insert(partition.clone(), record.offset + 1);
                    }
                }
                Event::Revoked(_) => {
                    let offsets: Vec<_> = std::mem::take(&mut handled).into_iter().collect();
                    consumer.commit(&offsets).await.expect("still a member");
                }
                Event::Assigned(_) => {}
                Event::Lost(lost) => panic!("nothing is lost here: {lost:?}"),
                Event::Gap(..) => {}
            }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn members_that_come_and_go_lose_and_repeat_nothing() {
    let world = World::start(3, 4);
    let (sink, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let _first = member(&world, "one", sink.clone());
    let mut total = Vec::new();
    for (round, name) in ["two", "three"].into_iter().enumerate() {
        let start = i32::try_from(round).expect("small") * 100;
        produce(&world, 4, start..start + 50).await;
        // The newcomer joins while the others are at work.
        drop(member(&world, name, sink.clone()));
        produce(&world, 4, start + 50..start + 100).await;
        while total.len() < (round + 1) * 100 {
            total.push(seen.recv().await.expect("a record"));
        }
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    while let Ok(more) = seen.try_recv() {
        total.push(more);
    }
    assert_eq!(sorted(total), (0..200).collect::<Vec<_>>());
    let group = world.cluster.group("g").expect("a group");
    let mut shares: Vec<usize> =
        group.members.values().map(|member| member.assigned.values().map(Vec::len).sum()).collect();
    shares.sort_unstable();
    assert_eq!(shares, [1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_waits_for_the_next_call_and_commits_before_it_are_kept() {
    let world = World::start(1, 2);
    produce(&world, 2, 0..10).await;
    let mut first = world.consumer("one");
    consume(&mut first, 10).await;
    let mut second = world.consumer("two");
    let both = vec![partition(0), partition(1)];
    let waiting = tokio::time::timeout(Duration::from_secs(3600), async {
        assert_eq!(first.next().await, Ok(Event::Revoked(both)));
        // Work is finished at leisure: heartbeats go on, and nothing moves before the next call.
        tokio::time::sleep(Duration::from_secs(8)).await;
        first.commit(&[(partition(0), 3), (partition(1), 3)]).await.expect("still a member");
        next(&mut first).await
    });
    let (mine, theirs) = tokio::join!(waiting, next(&mut second));
    let Ok(Event::Assigned(mine)) = mine else { panic!("{mine:?}") };
    let Event::Assigned(theirs) = theirs else { panic!("{theirs:?}") };
    assert_eq!(mine.len() + theirs.len(), 2);
    assert_ne!(mine, theirs);
    assert_eq!(sorted(consume(&mut second, 2).await).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_member_that_handles_records_for_long() {
    let world = World::start(1, 1);
    produce(&world, 1, 0..2).await;
    let mut consumer = world.consumer("slow");
    consume(&mut consumer, 2).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    consumer.commit(&[(partition(0), 1)]).await.expect("still a member");
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_session_has_expired_is_told_that_it_lost_its_partitions() {
    let world = World::start(1, 1);
    produce(&world, 1, 0..3).await;
    let mut consumer = world.consumer("one");
    consume(&mut consumer, 3).await;
    let heartbeats = world.cluster.rules().add(Rule::new(KafkaMatch::api("heartbeat"), Act::Silence));
    tokio::time::sleep(Duration::from_secs(7)).await;
    let fenced = consumer.commit(&[(partition(0), 1)]).await;
    assert!(matches!(fenced, Err(ClientError::Fenced { .. })), "{fenced:?}");
    heartbeats.remove();
    assert_eq!(next(&mut consumer).await, Event::Lost(vec![partition(0)]));
    assert_eq!(next(&mut consumer).await, Event::Assigned(vec![partition(0)]));
    consumer.commit(&[(partition(0), 3)]).await.expect("a member again");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_give_up_in_time_loses_its_partitions() {
    let world = World::start(1, 1);
    let mut first = world.consumer("one");
    assert!(matches!(next(&mut first).await, Event::Assigned(_)));
    let mut second = world.consumer("two");
    let wait = async {
        assert!(matches!(next(&mut first).await, Event::Revoked(_)));
        // Beyond the rebalance timeout.
        tokio::time::sleep(Duration::from_secs(15)).await;
    };
    let (theirs, ()) = tokio::join!(next(&mut second), wait);
    assert_eq!(theirs, Event::Assigned(vec![partition(0)]));
    assert_eq!(next(&mut first).await, Event::Lost(vec![partition(0)]));
}

#[tokio::test(start_paused = true)]
async fn a_member_survives_the_move_of_its_coordinator() {
    let world = World::start(3, 1);
    produce(&world, 1, 0..3).await;
    let mut consumer = world.consumer("one");
    consume(&mut consumer, 3).await;
    let before = world.cluster.group("g").expect("a group").coordinator;
    let after = world.cluster.move_coordinator("g");
    assert_ne!(before, after);
    consumer.commit(&[(partition(0), 2)]).await.expect("found the new coordinator");
    tokio::time::sleep(Duration::from_secs(30)).await;
    produce(&world, 1, 3..6).await;
    assert_eq!(sorted(consume(&mut consumer, 3).await), [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_group_survives_the_death_of_its_coordinator() {
    let world = World::start(3, 1);
    produce(&world, 1, 0..3).await;
    // Longer than the cluster takes to notice, so that the commit is tried for long enough.
    let options = ConsumerOptions { session_timeout: Duration::from_secs(20), ..consumer_options() };
    let mut consumer = world.client("one").consumer(options).expect("valid options");
    let mut seen = consume(&mut consumer, 3).await;
    let coordinator = world.cluster.group("g").expect("a group").coordinator;
    world.cluster.node_down(coordinator).expect("a node");
    produce(&world, 1, 3..6).await;
    // Whether the member is kept is the group's to say; the records come either way, and the commit holds.
    seen.extend(consume(&mut consumer, 3).await);
    assert_eq!(sorted(seen), (0..6).collect::<Vec<_>>());
    let group = world.cluster.group("g").expect("a group");
    assert_ne!(group.coordinator, coordinator);
    assert_eq!(group.offsets[&("t".to_owned(), 0)].offset, 6);
}

#[tokio::test(start_paused = true)]
async fn consuming_follows_leaders_and_survives_a_dead_broker() {
    let world = World::start(3, 3);
    produce(&world, 3, 0..30).await;
    let mut consumer = world.consumer("one");
    let mut seen = consume(&mut consumer, 30).await;
    for number in 0..3 {
        world.cluster.move_leader("t", number, Some(2)).expect("moved");
    }
    produce(&world, 3, 30..60).await;
    seen.extend(consume(&mut consumer, 30).await);
    world.cluster.node_down(2).expect("a node");
    produce(&world, 3, 60..90).await;
    seen.extend(consume(&mut consumer, 30).await);
    assert_eq!(sorted(seen), (0..90).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_the_group_protocol_are_survived() {
    let world = World::start(1, 2);
    produce(&world, 2, 0..10).await;
    for api in ["find-coordinator", "join-group", "sync-group", "offset-fetch", "heartbeat", "offset-commit"]
    {
        for act in [Act::DropBefore, Act::DropAfter] {
            world.cluster.rules().add(Rule::new(KafkaMatch::api(api), act).times(1));
        }
    }
    let mut consumer = world.consumer("one");
    assert_eq!(sorted(consume(&mut consumer, 10).await), (0..10).collect::<Vec<_>>());
    let group = world.cluster.group("g").expect("a group");
    let committed = |number| group.offsets.get(&("t".to_owned(), number)).map(|offset| offset.offset);
    assert_eq!((committed(0), committed(1)), (Some(5), Some(5)));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_refuses_for_good_ends_the_consumer_with_the_reason() {
    let world = World::start(1, 1);
    let options = ConsumerOptions {
        session_timeout: Duration::from_secs(4),
        heartbeat_interval: Duration::from_secs(1),
        ..consumer_options()
    };
    let mut consumer = world.client("one").consumer(options).expect("valid options");
    let error = consumer.next().await.expect_err("below the broker's shortest session");
    assert!(error.to_string().contains("INVALID_SESSION_TIMEOUT"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_appears_later_is_assigned_then() {
    let world = World::start(1, 1);
    let options = ConsumerOptions { topics: vec!["later".to_owned()], ..consumer_options() };
    let mut consumer = world.client("one").consumer(options).expect("valid options");
    let early = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
    assert!(early.is_err(), "{early:?}");
    world.cluster.create_topic("later", 1).expect("a topic");
    assert_eq!(next(&mut consumer).await, Event::Assigned(vec![TopicPartition::new("later", 0)]));
}

#[tokio::test(start_paused = true)]
async fn an_offset_that_is_gone_is_reset_as_configured() {
    let world = World::start(1, 1);
    produce(&world, 1, 0..3).await;
    let mut first = world.consumer("one");
    assert!(matches!(next(&mut first).await, Event::Assigned(_)));
    first.commit(&[(partition(0), 99)]).await.expect("brokers take any offset");
    first.close().await.expect("left");
    let mut second = world.consumer("two");
    assert_eq!(sorted(consume(&mut second, 3).await), [0, 1, 2]);
}

/// A member that commits only what it has handled, and checks that no partition's records are out of order
/// or left out while it has them.
async fn careful_member(mut consumer: Consumer, sink: tokio::sync::mpsc::UnboundedSender<String>) {
    let mut handled: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    while let Ok(event) = consumer.next().await {
        match event {
            Event::Assigned(_) => handled.clear(),
            Event::Records(partition, records) => {
                for record in records {
                    let before = handled.insert(partition.clone(), record.offset);
                    assert!(before.is_none_or(|before| before + 1 == record.offset), "{partition} jumps");
                    let _ = sink.send(text(record.value.as_deref()));
                }
                // A commit that is refused leaves the records to whoever has the partition now.
                let _ = consumer.commit(&[(partition.clone(), handled[&partition] + 1)]).await;
            }
            Event::Revoked(_) | Event::Lost(_) => handled.clear(),
            Event::Gap(..) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_connections_break_every_record_is_seen() {
    for seed in 0..10 {
        let world = World::start_with(KafkaOptions { seed, ..KafkaOptions::brokers(3) }, 4);
        for act in [Act::DropBefore, Act::DropAfter, Act::Delay(Duration::from_millis(700))] {
            world.cluster.rules().add(Rule::new(KafkaMatch::default(), act).with_probability(0.04));
        }
        let (sink, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let mut tasks = tokio::task::JoinSet::new();
        for (round, name) in ["one", "two", "three"].into_iter().enumerate() {
            tasks.spawn(careful_member(world.consumer(name), sink.clone()));
            let start = i32::try_from(round).expect("small") * 40;
            produce(&world, 4, start..start + 40).await;
            world.cluster.move_leader("t", 1, Some(1 + i32::try_from(round).expect("small"))).expect("moved");
            world.cluster.move_coordinator("g");
        }
        let mut distinct = std::collections::BTreeSet::new();
        let all = async {
            while distinct.len() < 120 {
                distinct.insert(seen.recv().await.expect("members run"));
            }
        };
        tokio::time::timeout(Duration::from_secs(3600), all).await.unwrap_or_else(|_| {
            panic!("seed {seed}: {} of 120 records seen", distinct.len());
        });
        while let Some(ended) = tasks.try_join_next() {
            ended.expect("no member panics");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_while_it_joins_holds_nobody_up() {
    let world = World::start(1, 1);
    let mut first = world.consumer("one");
    assert!(matches!(next(&mut first).await, Event::Assigned(_)));
    let second = world.consumer("two");
    // The second waits in its join for the first, which is busy.
    tokio::time::sleep(Duration::from_secs(3)).await;
    second.close().await.expect("left");
    assert_eq!(next(&mut first).await, Event::Revoked(vec![partition(0)]));
    let start = tokio::time::Instant::now();
    assert_eq!(next(&mut first).await, Event::Assigned(vec![partition(0)]));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(world.cluster.group("g").expect("a group").members.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_hears_of_every_new_leader_also_of_one_elected_while_it_was_away() {
    let world = World::start(3, 1);
    produce(&world, 1, 0..1).await;
    let mut first = world.consumer("first");
    assert_eq!(next(&mut first).await, Event::Assigned(vec![partition(0)]));
    assert!(matches!(next(&mut first).await, Event::Records(..)));
    world.cluster.move_leader_on("t", 0).expect("a replica");
    assert_eq!(next(&mut first).await, Event::Gap(partition(0), Gap::NewLeader { epoch: 1 }));
    first.commit(&[(partition(0), 1)]).await.expect("commits");
    first.close().await.expect("leaves");

    world.cluster.move_leader_on("t", 0).expect("a replica");
    let mut second = world.consumer("second");
    assert_eq!(next(&mut second).await, Event::Assigned(vec![partition(0)]));
    assert_eq!(next(&mut second).await, Event::Gap(partition(0), Gap::NewLeader { epoch: 2 }));
    produce(&world, 1, 1..2).await;
    assert!(matches!(next(&mut second).await, Event::Records(..)));
}
