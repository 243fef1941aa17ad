//! What happens to transactions by themselves: timeouts, markers that wait, coordinators that move.

use std::time::Duration;

use kafka_protocol::messages::*;
use squall_mocks::kafka::{KafkaMatch, KafkaOptions, ReplicaLag, TransactionState};
use squall_mocks::rule::{Act, Rule};
use tokio::time::sleep;

use super::client::{Client, one_node};
use crate::wire::{Bench, text};

fn state(bench: &Bench) -> TransactionState {
    bench.cluster.transaction("payments").expect("it is known").state
}

/// Three nodes, the topic "orders", and a connection to the coordinator of "payments", which also leads both
/// partitions.
async fn three_nodes(options: KafkaOptions) -> (Bench, Client) {
    let bench = Bench::new(options);
    bench.cluster.create_topic("orders", 2).expect("created");
    let coordinator = Client::over(bench.connect(1).await, "payments").coordinator().await;
    for partition in 0..2 {
        bench.cluster.move_leader("orders", partition, Some(coordinator)).expect("moved");
    }
    let client = Client::over(bench.connect(coordinator).await, "payments");
    (bench, client)
}

/// Another connection for the same id, to whoever coordinates it now.
async fn moved(bench: &Bench) -> Client {
    let node = bench.cluster.transaction("payments").expect("it is known").coordinator;
    Client::over(bench.connect(node).await, "payments")
}

#[tokio::test(start_paused = true)]
async fn the_first_search_for_a_coordinator_creates_its_topic() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    let search = FindCoordinatorRequest::default().with_key_type(1).with_coordinator_keys(vec![text("a")]);
    assert_eq!(wire.call(4, search.clone()).await.coordinators[0].error_code, 15);
    assert_eq!(wire.call(4, search).await.coordinators[0].error_code, 0);
    assert!(bench.cluster.leader("__transaction_state", 49).is_some());
    let answer = wire.call(12, MetadataRequest::default().with_topics(None)).await;
    assert_eq!(answer.topics.len(), 2, "that of groups, too");
    assert!(answer.topics.iter().all(|topic| topic.is_internal));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_takes_too_long_is_aborted_at_the_next_look_and_its_producer_fenced() {
    let (bench, mut client) = one_node(KafkaOptions::brokers(1)).await;
    let (_, who) = client.init_as(5, 15_000, (-1, -1)).await;
    client.produce(12, 0, who, 0).await;
    sleep(Duration::from_secs(16)).await;
    assert_eq!(state(&bench), TransactionState::Ongoing, "looks are 10 s apart");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(state(&bench), TransactionState::CompleteAbort);
    assert_eq!(client.produce(12, 0, who, 1).await.0, 47);
    assert_eq!(client.end(5, who, true).await.0, 48);
    let seen = client.read(0, 0, true).await;
    assert_eq!((seen.last_stable, seen.aborted), (2, Some(vec![(who.0, 0)])));
}

#[tokio::test(start_paused = true)]
async fn a_partition_without_a_leader_holds_up_the_end_of_its_transaction() {
    let (bench, mut client) = three_nodes(KafkaOptions::brokers(3)).await;
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    client.produce(12, 1, who, 0).await;
    bench.cluster.move_leader("orders", 1, None).expect("moved");
    let (error, next) = client.end(5, who, true).await;
    assert_eq!((error, next), (0, (who.0, who.1 + 1)), "the outcome is decided all the same");
    assert_eq!(state(&bench), TransactionState::PrepareCommit);
    let left = bench.cluster.transaction("payments").expect("it is known").partitions;
    assert_eq!(left, [("orders".to_owned(), 1)].into());
    assert_eq!(client.read(0, 0, true).await.last_stable, 2);
    // The next transaction has to wait, in all words for that.
    assert_eq!(client.init_as(5, 60_000, (-1, -1)).await.0, 51);
    assert_eq!(client.add_one(3, next, 0).await, 51);
    assert_eq!(client.produce(12, 0, next, 0).await.0, 51);
    assert_eq!(client.produce(11, 0, next, 0).await.0, 19);
    assert_eq!(client.end(5, who, true).await.0, 51);
    let replica = bench.cluster.transaction("payments").expect("it is known").coordinator;
    bench.cluster.move_leader("orders", 1, Some(replica)).expect("moved");
    assert_eq!(state(&bench), TransactionState::CompleteCommit);
    assert_eq!(client.read(1, 0, true).await.last_stable, 2);
    assert_eq!(client.produce(12, 0, next, 0).await.0, 0);
}

/// A follower of "orders" 0 copies nothing more.
fn hold(bench: &Bench) -> i32 {
    let leader = bench.cluster.leader("orders", 0).expect("led");
    let replicas = bench.cluster.replicas("orders", 0).expect("a partition").isr;
    let follower = replicas.into_iter().find(|node| *node != leader).expect("a follower");
    bench.cluster.set_replica_lag("orders", 0, follower, Some(ReplicaLag::Held)).expect("a replica");
    follower
}

fn release(bench: &Bench, follower: i32) {
    bench.cluster.set_replica_lag("orders", 0, follower, None).expect("a replica");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_complete_once_the_replicas_in_sync_have_its_markers() {
    let (bench, mut client) = three_nodes(KafkaOptions::brokers(3)).await;
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    client.produce(12, 1, who, 0).await;
    let held = hold(&bench);
    let (error, next) = client.end(5, who, true).await;
    assert_eq!((error, state(&bench)), (0, TransactionState::PrepareCommit));
    let left = bench.cluster.transaction("payments").expect("it is known").partitions;
    assert_eq!(left, [("orders".to_owned(), 0)].into());
    assert_eq!(client.produce(12, 1, next, 0).await.0, 51);
    assert_eq!(client.init_as(5, 60_000, (-1, -1)).await.0, 51);
    release(&bench, held);
    assert_eq!(state(&bench), TransactionState::CompleteCommit);
    let seen = client.read(0, 0, true).await;
    assert_eq!((seen.high_watermark, seen.last_stable), (2, 2), "one marker was enough");
}

#[tokio::test(start_paused = true)]
async fn a_marker_nobody_acknowledged_is_written_again_by_the_next_leader() {
    let (bench, mut client) = three_nodes(KafkaOptions::brokers(3)).await;
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    let held = hold(&bench);
    client.end(5, who, false).await;
    // The other follower has the marker, and leads next.
    let replicas = bench.cluster.replicas("orders", 0).expect("a partition");
    let leads = |node: &i32| bench.cluster.leader("orders", 0) == Some(*node);
    let new = replicas.isr.into_iter().find(|node| *node != held && !leads(node)).expect("another");
    assert_eq!(replicas.ends[&new], 2);
    bench.cluster.move_leader("orders", 0, Some(new)).expect("moved");
    assert_eq!(state(&bench), TransactionState::PrepareAbort);
    release(&bench, held);
    assert_eq!(state(&bench), TransactionState::CompleteAbort);
    let seen = Client::over(bench.connect(new).await, "payments").read(0, 0, true).await;
    assert_eq!((seen.last_stable, seen.aborted), (3, Some(vec![(who.0, 0)])), "two markers");
}

#[tokio::test(start_paused = true)]
async fn offsets_of_a_transaction_count_once_the_replicas_have_its_marker() {
    let (bench, mut client) = three_nodes(KafkaOptions::brokers(3)).await;
    let who = client.init().await;
    let groups = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("workers")]);
    let found = loop {
        match client.wire.call(4, groups.clone()).await.coordinators.remove(0) {
            found if found.error_code == 0 => break found.node_id.0,
            _ => sleep(Duration::from_millis(20)).await,
        }
    };
    let mut group = Client::over(bench.connect(found).await, "payments");
    let request = group.offsets(who, "workers", 7);
    assert_eq!(group.commit_offsets(5, request).await, 0);
    for node in 1..=3 {
        bench.cluster.set_node_replica_lag(node, ReplicaLag::By(Duration::from_secs(1))).expect("a node");
    }
    assert_eq!(client.end(5, who, true).await.0, 0);
    assert_eq!(group.committed("workers", true).await, (88, -1));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(group.committed("workers", true).await, (0, 7));
}

#[tokio::test(start_paused = true)]
async fn markers_take_the_time_of_the_options() {
    let delay = Duration::from_millis(300);
    let options = KafkaOptions { transaction_marker_delay: delay, ..KafkaOptions::brokers(1) };
    let (bench, mut client) = one_node(options).await;
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    assert_eq!(client.end(5, who, true).await.0, 0);
    assert_eq!(client.read(0, 0, true).await.last_stable, 0);
    assert_eq!(client.produce(12, 0, (who.0, who.1 + 1), 0).await.0, 51);
    sleep(delay).await;
    assert_eq!(state(&bench), TransactionState::CompleteCommit);
    assert_eq!(client.read(0, 0, true).await.last_stable, 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_coordinator_knows_the_transaction_and_the_old_one_says_so() {
    let (bench, mut client) = three_nodes(KafkaOptions::brokers(3)).await;
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    let old = bench.cluster.transaction("payments").expect("it is known").coordinator;
    let new = bench.cluster.move_transaction_coordinator("payments");
    assert_ne!(old, new);
    assert_eq!(client.end(5, who, true).await.0, 16);
    assert_eq!(client.described().await, Err(16));
    let mut client = moved(&bench).await;
    assert_eq!(client.described().await.expect("known").0, "Ongoing");
    assert_eq!(client.end(5, who, true).await.0, 0);
    assert_eq!(state(&bench), TransactionState::CompleteCommit);
}

#[tokio::test(start_paused = true)]
async fn a_decided_transaction_is_finished_by_the_next_coordinator() {
    let (bench, mut client) = three_nodes(KafkaOptions::brokers(3)).await;
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    bench.cluster.move_leader("orders", 0, None).expect("moved");
    client.end(5, who, false).await;
    let old = bench.cluster.transaction("payments").expect("it is known").coordinator;
    bench.cluster.node_down(old).expect("down");
    sleep(Duration::from_secs(10)).await;
    assert_eq!(state(&bench), TransactionState::PrepareAbort);
    let new = bench.cluster.transaction("payments").expect("it is known").coordinator;
    assert!(new > 0 && new != old);
    bench.cluster.move_leader("orders", 0, Some(new)).expect("moved");
    assert_eq!(state(&bench), TransactionState::CompleteAbort);
    let seen = moved(&bench).await.read(0, 0, true).await;
    assert_eq!((seen.last_stable, seen.aborted), (2, Some(vec![(who.0, 0)])));
}

#[tokio::test(start_paused = true)]
async fn a_fenced_producer_hears_of_it_in_the_words_of_its_request() {
    let (bench, mut client) = one_node(KafkaOptions::brokers(1)).await;
    assert!(bench.cluster.fence_producer("payments").is_err(), "nobody to fence");
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    bench.cluster.fence_producer("payments").expect("fenced");
    assert_eq!(client.produce(12, 0, who, 1).await.0, 47);
    assert_eq!(client.add_one(3, who, 0).await, 90);
    assert_eq!(client.init_as(5, 60_000, who).await.0, 90);
    assert_eq!(state(&bench), TransactionState::Empty);
    assert_eq!(client.read(0, 0, true).await.aborted, Some(vec![(who.0, 0)]));
}

#[tokio::test(start_paused = true)]
async fn an_unused_transactional_id_is_forgotten_and_so_are_silent_producers() {
    let mut options = KafkaOptions::brokers(1);
    options.limits.max_idle = Duration::MAX;
    let (bench, mut client) = one_node(options).await;
    let who = client.init().await;
    assert_eq!(client.produce(12, 0, who, 0).await.0, 0);
    assert_eq!(client.end(5, who, true).await.0, 0);
    sleep(Duration::from_secs(7 * 24 * 3600 + 3601)).await;
    assert_eq!(bench.cluster.transaction("payments"), None);
    assert_eq!(client.end(5, (who.0, who.1 + 1), true).await.0, 49);
    let topic = describe_producers_request::TopicRequest::default()
        .with_name(TopicName(text("orders")))
        .with_partition_indexes(vec![0]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let producers = client.wire.call(0, request).await.topics.remove(0).partitions.remove(0);
    assert!(producers.active_producers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_matches_requests_of_a_transactional_id() {
    let (bench, mut client) = one_node(KafkaOptions::brokers(1)).await;
    let wanted = KafkaMatch::api("end-txn").transactional_id("payments");
    let rule = Rule::new(wanted, Act::Error("COORDINATOR_LOAD_IN_PROGRESS".to_owned())).times(1);
    bench.cluster.rules().add(rule);
    let other = KafkaMatch::default().transactional_id("shipments");
    bench.cluster.rules().add(Rule::new(other, Act::DropBefore));
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    assert_eq!(client.end(5, who, true).await.0, 14);
    assert_eq!(state(&bench), TransactionState::Ongoing);
    assert_eq!(client.end(5, who, true).await.0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_an_end_is_given_again() {
    let (bench, mut client) = one_node(KafkaOptions::brokers(1)).await;
    let who = client.init().await;
    client.produce(12, 0, who, 0).await;
    let rule = Rule::new(KafkaMatch::api("end-txn"), Act::ErrorAfter("NOT_COORDINATOR".to_owned())).times(1);
    bench.cluster.rules().add(rule);
    assert_eq!(client.end(5, who, true).await.0, 16);
    assert_eq!(client.end(5, who, true).await, (0, (who.0, who.1 + 1)));
}

#[tokio::test(start_paused = true)]
async fn the_coordinator_needs_its_replicas() {
    let (bench, mut client) = three_nodes(KafkaOptions::brokers(3)).await;
    let who = client.init().await;
    let node = bench.cluster.transaction("payments").expect("it is known").coordinator;
    for partition in 0..50 {
        if bench.cluster.leader("__transaction_state", partition) == Some(node) {
            bench.cluster.set_isr("__transaction_state", partition, &[node]).expect("set");
        }
    }
    assert_eq!(client.add_one(3, who, 0).await, 15);
    assert_eq!(client.produce(12, 0, who, 0).await.0, 19);
    assert_eq!(client.init_as(5, 60_000, (-1, -1)).await.0, 15);
}

#[tokio::test(start_paused = true)]
async fn brokers_tell_which_version_of_transactions_they_have() {
    for level in [0, 1, 2] {
        let options = KafkaOptions { transaction_version: level, ..KafkaOptions::brokers(1) };
        let bench = Bench::new(options);
        let mut wire = bench.connect(1).await;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text("wire"))
            .with_client_software_version(text("1"));
        let answer = wire.call(3, request.clone()).await;
        let found = answer.finalized_features.iter().find(|f| f.name.as_str() == "transaction.version");
        assert_eq!(found.map_or(0, |feature| feature.max_version_level), level);
        // Older clients misread a supported range that begins at 0.
        assert!(answer.supported_features.iter().all(|feature| feature.min_version > 0));
        let answer = wire.call(4, request).await;
        assert!(answer.supported_features.iter().any(|f| f.name.as_str() == "transaction.version"));
    }
}

#[tokio::test(start_paused = true)]
async fn features_that_are_switched_off_are_supported_and_not_decided_on() {
    let bench = Bench::new(KafkaOptions::brokers(1));
    let request = ApiVersionsRequest::default()
        .with_client_software_name(text("wire"))
        .with_client_software_version(text("1"));
    let answer = bench.connect(1).await.call(4, request).await;
    for (name, level) in [
        ("eligible.leader.replicas.version", Some(1)),
        ("kraft.version", None),
        ("share.version", None),
        ("streams.version", None),
    ] {
        let supported = answer.supported_features.iter().find(|found| found.name.as_str() == name);
        assert_eq!(supported.map(|found| (found.min_version, found.max_version)), Some((0, 1)), "{name}");
        let decided = answer.finalized_features.iter().find(|found| found.name.as_str() == name);
        assert_eq!(decided.map(|found| found.max_version_level), level, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn transactional_ids_are_listed_by_an_expression_they_match_as_a_whole() {
    let (_bench, mut client) = one_node(KafkaOptions::brokers(1)).await;
    client.init().await;
    let list = ListTransactionsRequest::default().with_duration_filter(-1);
    for (pattern, error, found) in
        [("pay.*", 0, 1), ("pay", 0, 0), ("", 0, 1), ("x|payments", 0, 1), ("(", 128, 0)]
    {
        let request = list.clone().with_transactional_id_pattern(Some(text(pattern)));
        let answer = client.wire.call(2, request).await;
        assert_eq!((answer.error_code, answer.transaction_states.len()), (error, found), "{pattern}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_coordinators_refuse_is_told_to_producers_in_kafkas_words() {
    let bench = Bench::new(KafkaOptions::brokers(1));
    bench.cluster.create_topic("orders", 2).expect("created");
    let mut client = Client::over(bench.connect(1).await, "payments");
    let unable = "Unable to verify the partition has been added to the transaction. Underlying error: \
        COORDINATOR_NOT_AVAILABLE";
    for version in [9, 11, 12] {
        assert_eq!(client.refusal(version, &[(5, 0)]).await, (19, Some(unable.to_owned())));
    }
    client.coordinator().await;
    let who = client.init().await;
    let outside = "Partition was not added to the transaction".to_owned();
    assert_eq!(client.refusal(9, &[who]).await, (48, Some(outside)));
    assert_eq!(client.refusal(11, &[who]).await, (120, None));
    let several = "Transactional records contained more than one producer ID".to_owned();
    assert_eq!(client.refusal(12, &[who, (5, 0)]).await, (49, Some(several)));
    assert_eq!(client.refusal(12, &[(who.0, who.1 + 1)]).await, (47, None));
}
