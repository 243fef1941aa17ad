//! Transactions of our own client, with brokers of either version of them.

use squall_mocks::kafka::client::{
    ClientError, GroupMetadata, Isolation, ProduceError, TransactionalOptions, TransactionalProducer,
};
use squall_mocks::kafka::{KafkaMatch, TransactionState};
use squall_mocks::rule::{Act, Rule};

use super::*;

/// A cluster of three nodes whose brokers tell of this version of transactions.
fn world(version: i16) -> World {
    let options = KafkaOptions { transaction_version: version, ..KafkaOptions::brokers(3) };
    World::start_with(options, 2)
}

async fn transactional(world: &World, client_id: &str) -> TransactionalProducer {
    let options = TransactionalOptions::new("payments");
    world.client(client_id).transactional_producer(options).await.expect("initialised")
}

/// What a consumer of committed records finds in both partitions, each in order.
async fn committed(world: &World) -> Vec<String> {
    read(world, Isolation::Committed).await
}

async fn read(world: &World, isolation: Isolation) -> Vec<String> {
    let group = format!("readers-{isolation:?}");
    let options = ConsumerOptions { group, isolation, ..consumer_options() };
    let mut consumer = world.client("reader").consumer(options).expect("valid options");
    let mut found = Vec::new();
    while let Ok(event) = tokio::time::timeout(Duration::from_secs(60), consumer.next()).await {
        if let Event::Records(partition, records) = event.expect("no final error") {
            found
                .extend(values(&records).into_iter().map(|value| format!("{}:{value}", partition.partition)));
        }
    }
    found.sort();
    found
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_is_read_and_what_is_aborted_is_not() {
    for version in [1, 2] {
        let world = world(version);
        let mut producer = transactional(&world, "producer").await;
        for n in 0..6 {
            let transaction = producer.begin().await.expect("begins");
            for number in 0..2 {
                transaction.send(record(number, n)).await.expect("acknowledged");
            }
            if n % 2 == 0 {
                transaction.commit().await.expect("commits");
            } else {
                transaction.abort().await.expect("aborts");
            }
        }
        let expected = ["0:0", "0:2", "0:4", "1:0", "1:2", "1:4"];
        assert_eq!(committed(&world).await, expected, "version {version}");
        assert_eq!(read(&world, Isolation::Uncommitted).await.len(), 12, "version {version}");
        let epoch = world.cluster.transaction("payments").expect("known").producer_epoch;
        assert_eq!(epoch, if version == 2 { 6 } else { 0 }, "version {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_transaction_hides_what_comes_behind_it() {
    for version in [1, 2] {
        let world = world(version);
        let mut producer = transactional(&world, "producer").await;
        let transaction = producer.begin().await.expect("begins");
        transaction.send(record(0, "open")).await.expect("acknowledged");
        world.producer(ProducerOptions::default()).send(record(0, "plain")).await.expect("acknowledged");
        // Read within the time the coordinator allows the transaction.
        let options = ConsumerOptions { isolation: Isolation::Committed, ..consumer_options() };
        let mut consumer = world.client("reader").consumer(options).expect("valid options");
        assert!(matches!(next(&mut consumer).await, Event::Assigned(_)));
        let nothing = tokio::time::timeout(Duration::from_secs(10), consumer.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        transaction.commit().await.expect("commits");
        let Event::Records(_, records) = next(&mut consumer).await else { panic!("records") };
        assert_eq!(values(&records), ["open", "plain"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_producer_of_the_id_fences_the_first_and_aborts_what_it_left_open() {
    for version in [1, 2] {
        let world = world(version);
        let mut first = transactional(&world, "first").await;
        let transaction = first.begin().await.expect("begins");
        transaction.send(record(0, "lost")).await.expect("acknowledged");
        let mut second = transactional(&world, "second").await;
        let refused = transaction.send(record(0, "late")).await;
        assert!(
            matches!(&refused, Err(ProduceError::Refused(ClientError::ProducerFenced { .. }))),
            "version {version}: {refused:?}"
        );
        let refused = transaction.commit().await;
        assert!(matches!(refused, Err(ClientError::ProducerFenced { .. })), "version {version}: {refused:?}");
        assert!(matches!(first.begin().await.map(|_| ()), Err(ClientError::ProducerFenced { .. })));
        let transaction = second.begin().await.expect("begins");
        transaction.send(record(0, "kept")).await.expect("acknowledged");
        transaction.commit().await.expect("commits");
        assert_eq!(committed(&world).await, ["0:kept"], "version {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_transaction_is_aborted_and_the_producer_goes_on() {
    for version in [1, 2] {
        let world = world(version);
        let mut producer = transactional(&world, "producer").await;
        for value in ["dropped", "kept"] {
            let transaction = producer.begin().await.expect("begins");
            transaction.send(record(0, value)).await.expect("acknowledged");
            if value == "kept" {
                transaction.commit().await.expect("commits");
            }
        }
        assert_eq!(committed(&world).await, ["0:kept"], "version {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_something_of_which_failed_cannot_be_committed() {
    for version in [1, 2] {
        let world = world(version);
        let mut producer = transactional(&world, "producer").await;
        let transaction = producer.begin().await.expect("begins");
        transaction.send(record(0, "a")).await.expect("acknowledged");
        let rule = Rule::new(KafkaMatch::api("produce"), Act::Error("MESSAGE_TOO_LARGE".to_owned())).times(1);
        world.cluster.rules().add(rule);
        transaction.send(record(0, "b")).await.expect_err("refused");
        transaction.commit().await.expect_err("not as a whole");
        let transaction = producer.begin().await.expect("begins");
        transaction.send(record(0, "c")).await.expect("acknowledged");
        transaction.commit().await.expect("commits");
        assert_eq!(committed(&world).await, ["0:c"], "version {version}");
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_count_with_the_records_they_were_read_for() {
    for version in [1, 2] {
        let world = world(version);
        let mut producer = transactional(&world, "producer").await;
        let group = GroupMetadata::of_group("workers");
        let client = world.client("reader");
        let offset = async || {
            let (node, _) = client.find_coordinator(&Broker::Any, "workers").await.expect("a coordinator");
            let asked = client.offset_fetch(&Broker::Node(node), "workers", &[partition(0)]).await;
            asked.expect("answered")[&partition(0)]
        };
        for (n, commit) in [(1, true), (2, false), (3, true)] {
            let transaction = producer.begin().await.expect("begins");
            transaction.send(record(1, n)).await.expect("acknowledged");
            transaction.send_offsets(&group, &[(partition(0), n)]).await.expect("held");
            let before = offset().await;
            assert_eq!(before, [None, Some(1), Some(1)][usize::try_from(n - 1).expect("small")]);
            if commit {
                transaction.commit().await.expect("commits");
            } else {
                transaction.abort().await.expect("aborts");
            }
        }
        assert_eq!(offset().await, Some(3), "version {version}");
        let late = GroupMetadata { generation: 7, member: "gone".to_owned(), ..group.clone() };
        let transaction = producer.begin().await.expect("begins");
        let refused = transaction.send_offsets(&late, &[(partition(0), 9)]).await;
        assert!(matches!(refused, Err(ClientError::Fenced { .. })), "version {version}: {refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_survives_lost_answers_moved_coordinators_and_leaders() {
    for version in [1, 2] {
        for seed in 0..6 {
            let options = KafkaOptions { seed, transaction_version: version, ..KafkaOptions::brokers(3) };
            let delay = Duration::from_millis(30 * seed);
            let world = World::start_with(KafkaOptions { transaction_marker_delay: delay, ..options }, 2);
            let apis =
                ["end-txn", "produce", "init-producer-id", "add-partitions-to-txn", "txn-offset-commit"];
            for api in apis {
                for act in
                    [Act::DropAfter, Act::DropBefore, Act::Error("COORDINATOR_LOAD_IN_PROGRESS".to_owned())]
                {
                    world.cluster.rules().add(Rule::new(KafkaMatch::api(api), act).with_probability(0.1));
                }
            }
            let mut producer = transactional(&world, "producer").await;
            let mut expected = Vec::new();
            for n in 0..12 {
                let transaction = producer.begin().await.expect("begins");
                let mut sent = true;
                for number in 0..2 {
                    sent &= transaction.send(record(number, format!("{n:02}"))).await.is_ok();
                    match n % 4 {
                        0 => drop(world.cluster.move_transaction_coordinator("payments")),
                        1 => drop(world.cluster.move_leader_on("t", number)),
                        _ => {}
                    }
                }
                match sent && n % 3 != 2 {
                    true => {
                        transaction.commit().await.expect("commits");
                        expected.extend([format!("0:{n:02}"), format!("1:{n:02}")]);
                    }
                    false => transaction.abort().await.expect("aborts"),
                }
            }
            expected.sort();
            assert_eq!(committed(&world).await, expected, "version {version} seed {seed}");
            let state = world.cluster.transaction("payments").expect("known").state;
            assert!(matches!(state, TransactionState::CompleteCommit | TransactionState::CompleteAbort));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_transactional_producer_works_from_a_task_of_its_own() {
    let world = world(2);
    let client = world.client("producer");
    let task = tokio::spawn(async move {
        let mut producer = client.transactional_producer(TransactionalOptions::new("payments")).await?;
        let transaction = producer.begin().await?;
        transaction.send_offsets(&GroupMetadata::of_group("workers"), &[(partition(0), 1)]).await?;
        transaction.commit().await
    });
    task.await.expect("no panic").expect("commits");
}
