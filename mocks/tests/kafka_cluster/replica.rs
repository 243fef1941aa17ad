//! Replicas that lag, die and lie: what clients see of it. The rules and codes are those of a broker of 4.3.1.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{offset_for_leader_epoch_request as epochs, *};
use squall_mocks::kafka::{KafkaOptions, ReplicaLag};
use squall_mocks::observe::What;
use tokio::time::Instant;

use crate::log::{batch, fetch_from, produce_one, produce_to, read};
use crate::wire::{Bench, Wire, text};

const UNCLEAN: &[(&str, &str)] = &[("unclean.leader.election.enable", "true")];

/// Three nodes and a partition with a replica on each, led by node 1.
async fn led_by_1(configs: &[(&str, &str)]) -> (Bench, Wire) {
    let bench = Bench::new(KafkaOptions { auto_leader_rebalance: false, ..KafkaOptions::brokers(3) });
    bench.cluster.create_topic_with("orders", 1, 3, configs).expect("created");
    bench.cluster.move_leader("orders", 0, Some(1)).expect("moved");
    let wire = bench.connect(1).await;
    (bench, wire)
}

fn hold(bench: &Bench, node: i32) {
    bench.cluster.set_replica_lag("orders", 0, node, Some(ReplicaLag::Held)).expect("a replica");
}

async fn produce(wire: &mut Wire, acks: i16, timeout_ms: i32, records: Bytes) -> (i16, i64) {
    let answer = wire.call(9, produce_to("orders", 0, acks, records).with_timeout_ms(timeout_ms)).await;
    let partition = &answer.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

fn one(value: &str) -> Bytes {
    batch(value, -1, -1, -1)
}

#[tokio::test(start_paused = true)]
async fn acks_all_times_out_behind_a_follower_that_copies_nothing_but_the_record_stays() {
    let (bench, mut wire) = led_by_1(&[]).await;
    hold(&bench, 3);
    let start = Instant::now();
    assert_eq!(produce(&mut wire, -1, 500, one("a")).await, (7, 0));
    assert!((500..510).contains(&start.elapsed().as_millis()));
    assert_eq!(produce(&mut wire, -1, 0, one("b")).await, (7, 1));
    assert_eq!(produce(&mut wire, 1, 500, one("c")).await, (0, 2));
    let replicas = bench.cluster.replicas("orders", 0).expect("a partition");
    assert_eq!((replicas.high_watermark, replicas.ends[&1], replicas.ends[&3]), (0, 3, 0));
    bench.cluster.set_replica_lag("orders", 0, 3, None).expect("a replica");
    assert_eq!(
        read(&wire.call(11, fetch_from("orders", 0, 0)).await),
        (0, ["a", "b", "c"].map(str::to_owned).to_vec())
    );
}

#[tokio::test(start_paused = true)]
async fn acks_all_is_answered_when_the_slowest_in_sync_has_the_record_or_is_no_longer_in_sync() {
    let (bench, mut wire) = led_by_1(&[]).await;
    let lag = ReplicaLag::By(Duration::from_secs(3));
    bench.cluster.set_node_replica_lag(2, lag).expect("a node");
    let start = Instant::now();
    assert_eq!(produce(&mut wire, -1, 60_000, one("a")).await, (0, 0));
    assert_eq!(start.elapsed().as_secs(), 3);
    bench.cluster.set_node_replica_lag(2, ReplicaLag::None).expect("a node");
    bench.cluster.node_down(3).expect("a node");
    assert_eq!(produce(&mut wire, -1, 60_000, one("b")).await, (0, 1));
    assert_eq!(start.elapsed().as_secs(), 3 + 9);
    assert_eq!(bench.cluster.replicas("orders", 0).expect("a partition").isr, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_waits_at_the_high_watermark_and_is_answered_when_it_moves() {
    let (bench, mut wire) = led_by_1(&[]).await;
    hold(&bench, 2);
    assert_eq!(produce(&mut wire, 1, 0, one("a")).await, (0, 0));
    let mut reader = bench.connect(1).await;
    // Behind the high watermark and in the log there is nothing yet; there is no error either, nor a wait.
    let start = Instant::now();
    assert_eq!(read(&reader.call(11, fetch_from("orders", 1, 60_000)).await), (0, vec![]));
    assert_eq!(start.elapsed().as_secs(), 0);
    assert_eq!(read(&reader.call(11, fetch_from("orders", 2, 60_000)).await).0, 1);
    reader.send(11, &fetch_from("orders", 0, 60_000)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench.cluster.set_replica_lag("orders", 0, 2, None).expect("a replica");
    let answer = reader.receive::<FetchRequest>(11).await.expect("an answer");
    assert_eq!((read(&answer), start.elapsed().as_secs()), ((0, vec!["a".to_owned()]), 2));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_leader_fails_who_waits_for_replicas_and_tells_the_new_one() {
    let (bench, mut wire) = led_by_1(&[]).await;
    hold(&bench, 3);
    wire.send(10, &produce_to("orders", 0, -1, one("a")).with_timeout_ms(60_000)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.cluster.move_leader("orders", 0, Some(2)).expect("moved");
    let answer = wire.receive::<ProduceRequest>(10).await.expect("an answer");
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.current_leader.leader_id.0), (6, 2));
    assert_eq!(answer.node_endpoints[0].host.as_str(), "kafka-2");
}

#[tokio::test(start_paused = true)]
async fn too_few_in_sync_refuse_new_records_and_hide_the_others_until_enough_are_back() {
    let (bench, mut wire) = led_by_1(&[("min.insync.replicas", "3")]).await;
    hold(&bench, 3);
    let mut waiting = bench.connect(1).await;
    waiting.send(9, &produce_to("orders", 0, -1, one("a")).with_timeout_ms(120_000)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let replicas = bench.cluster.replicas("orders", 0).expect("a partition");
    assert_eq!((replicas.isr, replicas.elr, replicas.high_watermark), (vec![1, 2], vec![3], 0));
    assert_eq!(produce(&mut wire, -1, 500, one("b")).await, (19, -1));
    assert_eq!(produce(&mut wire, 1, 500, one("c")).await, (0, 1));
    bench.cluster.set_replica_lag("orders", 0, 3, None).expect("a replica");
    let answer = waiting.receive::<ProduceRequest>(9).await.expect("an answer");
    assert_eq!(
        answer.responses[0].partition_responses[0].error_code, 0,
        "no NOT_ENOUGH_REPLICAS_AFTER_APPEND"
    );
    assert_eq!(bench.cluster.replicas("orders", 0).expect("a partition").high_watermark, 2);
}

#[tokio::test(start_paused = true)]
async fn a_topic_never_wants_more_replicas_in_sync_than_it_has() {
    let bench = Bench::three();
    bench.cluster.create_topic_with("orders", 1, 1, &[("min.insync.replicas", "2")]).expect("created");
    assert_eq!(produce_one(&mut bench.leader("orders", 0).await, "orders", "a").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn followers_are_read_from_since_version_11_as_far_as_they_have_come() {
    let (bench, mut leader) = led_by_1(&[]).await;
    produce_one(&mut leader, "orders", "a").await;
    bench.cluster.set_isr("orders", 0, &[1, 2]).expect("set");
    produce_one(&mut leader, "orders", "b").await;
    let mut follower = bench.connect(3).await;
    assert_eq!(read(&follower.call(10, fetch_from("orders", 0, 0)).await).0, 6);
    let answer = follower.call(11, fetch_from("orders", 0, 0)).await;
    assert_eq!(
        (read(&answer).1, answer.responses[0].partitions[0].high_watermark),
        (vec!["a".to_owned()], 1)
    );
    assert_eq!(read(&follower.call(11, fetch_from("orders", 2, 0)).await).0, 1);
    let mut future = fetch_from("orders", 0, 0);
    future.topics[0].partitions[0].current_leader_epoch = 9;
    assert_eq!(read(&follower.call(11, future).await).0, 75, "the epoch is looked at before the role");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_sent_to_the_replica_of_its_rack_while_that_is_in_sync() {
    let racks = ["a", "b", "c"].map(str::to_owned).to_vec();
    let bench = Bench::new(KafkaOptions { racks, ..KafkaOptions::brokers(3) });
    bench.cluster.create_topic("orders", 1).expect("created");
    bench.cluster.move_leader("orders", 0, Some(1)).expect("moved");
    let mut wire = bench.connect(1).await;
    for (rack, expected) in [("b", 2), ("c", 3), ("a", -1), ("z", -1), ("", -1)] {
        let answer = wire.call(12, fetch_from("orders", 0, 0).with_rack_id(text(rack))).await;
        assert_eq!(answer.responses[0].partitions[0].preferred_read_replica.0, expected, "rack {rack:?}");
    }
    bench.cluster.set_isr("orders", 0, &[1, 3]).expect("set");
    let answer = wire.call(12, fetch_from("orders", 0, 0).with_rack_id(text("b"))).await;
    assert_eq!(answer.responses[0].partitions[0].preferred_read_replica.0, -1);
}

#[tokio::test(start_paused = true)]
async fn after_an_unclean_election_clients_learn_where_their_log_and_the_new_one_part() {
    let (bench, mut old) = led_by_1(UNCLEAN).await;
    assert_eq!(produce_one(&mut old, "orders", "kept").await, (0, 0));
    bench.cluster.set_isr("orders", 0, &[1]).expect("set");
    assert_eq!(produce_one(&mut old, "orders", "lost").await, (0, 1));
    assert_eq!(produce_one(&mut old, "orders", "lost too").await, (0, 2));
    bench.cluster.node_down(1).expect("a node");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let now = bench.cluster.replicas("orders", 0).expect("a partition");
    assert_eq!((now.leader, now.leader_epoch, now.high_watermark), (Some(2), 2, 1));
    let mut new = bench.connect(2).await;
    assert_eq!(produce_one(&mut new, "orders", "new").await, (0, 1));
    let mut stale = fetch_from("orders", 3, 60_000);
    stale.topics[0].partitions[0].last_fetched_epoch = 1;
    let answer = new.call(12, stale).await;
    let diverging = &answer.responses[0].partitions[0].diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (1, 1));
    assert_eq!(read(&new.call(11, fetch_from("orders", 3, 0)).await).0, 1);
    let partition =
        epochs::OffsetForLeaderPartition::default().with_current_leader_epoch(2).with_leader_epoch(1);
    let topic = epochs::OffsetForLeaderTopic::default()
        .with_topic(TopicName(text("orders")))
        .with_partitions(vec![partition]);
    let answer = new.call(4, OffsetForLeaderEpochRequest::default().with_topics(vec![topic])).await;
    let end = &answer.topics[0].partitions[0];
    assert_eq!((end.error_code, end.leader_epoch, end.end_offset), (0, 1, 1));
    // The old leader takes over the new one's log.
    bench.cluster.node_up(1).expect("a node");
    let values = |bench: &Bench| bench.cluster.log("orders", 0).expect("readable").len();
    assert_eq!((values(&bench), bench.cluster.replicas("orders", 0).expect("a partition").ends[&1]), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_node_with_an_empty_disk_copies_from_others_and_alone_has_lost_everything() {
    let bench = Bench::three();
    bench.cluster.create_topic_with("orders", 1, 3, &[]).expect("created");
    bench.cluster.create_topic_with("alone", 1, 1, &[]).expect("created");
    for topic in ["orders", "alone"] {
        assert_eq!(produce_one(&mut bench.leader(topic, 0).await, topic, "a").await, (0, 0));
    }
    let node = bench.cluster.leader("alone", 0).expect("a leader");
    bench.cluster.wipe(node).expect("a node");
    assert_eq!(bench.cluster.replicas("orders", 0).expect("a partition").ends[&node], 0);
    bench.cluster.node_up(node).expect("a node");
    let orders = bench.cluster.replicas("orders", 0).expect("a partition");
    assert_eq!((orders.ends[&node], orders.isr), (1, vec![1, 2, 3]));
    assert_eq!(bench.cluster.leader("alone", 0), Some(node));
    assert_eq!(produce_one(&mut bench.connect(node).await, "alone", "b").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_sees_what_becomes_of_replicas() {
    let (bench, mut wire) = led_by_1(&[]).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    bench.cluster.observe(Arc::new(move |sighting| {
        if let What::Event(text) = sighting.what {
            sink.lock().expect("no panic").push(text);
        }
    }));
    hold(&bench, 2);
    produce(&mut wire, 1, 0, one("a")).await;
    bench.cluster.wipe(1).expect("a node");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let expected = [
        "the replica of orders-0 on node 2 lags: until told otherwise",
        "node 1 is down",
        "node 1 has an empty disk",
        "node 1 is fenced",
        "orders-0 is led by 2",
        "orders-0 has [2, 3] in sync",
        "orders-0 is cut from 1 to 0, which its leader had",
    ];
    let seen = seen.lock().expect("no panic").clone();
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_a_lagging_follower_is_answered_when_its_records_arrive() {
    let (bench, mut leader) = led_by_1(&[]).await;
    bench.cluster.set_isr("orders", 0, &[1, 2]).expect("set");
    produce_one(&mut leader, "orders", "a").await;
    let mut reader = bench.connect(3).await;
    let start = Instant::now();
    reader.send(11, &fetch_from("orders", 0, 60_000)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lag = ReplicaLag::By(Duration::from_secs(4));
    bench.cluster.set_replica_lag("orders", 0, 3, Some(lag)).expect("a replica");
    let answer = reader.receive::<FetchRequest>(11).await.expect("an answer");
    assert_eq!((read(&answer).1, start.elapsed().as_secs()), (vec!["a".to_owned()], 5));
}

#[tokio::test(start_paused = true)]
async fn produce_checks_in_kafkas_order() {
    let (bench, mut leader) = led_by_1(&[]).await;
    let mut follower = bench.connect(2).await;
    let cut = one("abcdef").slice(..60);
    let mut noise = BytesMut::from(&one("a")[..]);
    noise[68] ^= 1;
    let noise = noise.freeze();
    let two = Bytes::from([one("a"), one("b")].concat());
    let and_a_part = Bytes::from([&one("a")[..], &one("b")[..30]].concat());
    let cases = [
        (1, Bytes::new(), 87, 87),
        (1, cut, 87, 87),
        (1, two, 87, 87),
        (5, one("a"), 21, 21),
        (5, Bytes::new(), 87, 87),
        (1, noise, 2, 6),
        (1, and_a_part, 0, 6),
    ];
    for (acks, records, at_leader, at_follower) in cases {
        assert_eq!(produce(&mut leader, acks, 500, records.clone()).await.0, at_leader, "{records:?}");
        assert_eq!(produce(&mut follower, acks, 500, records.clone()).await.0, at_follower, "{records:?}");
    }
    // Bytes that are no batch of any format spoil the whole request.
    let mut strange = BytesMut::from(&one("a")[..]);
    strange[16] = 3;
    let answer = leader.call(9, produce_to("nothing", 0, 1, strange.freeze())).await;
    let partition = &answer.responses[0].partition_responses[0];
    let message = partition.error_message.as_ref().map(|message| message.as_str());
    assert_eq!((partition.error_code, message), (2, Some("Invalid magic found in record: 3")));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_gives_bytes_up_to_its_limit_and_at_least_one_batch() {
    let (_bench, mut wire) = led_by_1(&[]).await;
    let size = i32::try_from(one("a").len()).expect("short");
    for value in ["a", "b", "c"] {
        produce_one(&mut wire, "orders", value).await;
    }
    for (limit, expected) in
        [(size + 31, size + 31), (10, size), (0, size), (2 * size, 2 * size), (10 * size, 3 * size)]
    {
        let mut request = fetch_from("orders", 0, 0);
        request.topics[0].partitions[0].partition_max_bytes = limit;
        let answer = wire.call(11, request).await;
        let records = answer.responses[0].partitions[0].records.as_ref().map_or(0, Bytes::len);
        assert_eq!(i32::try_from(records).expect("short"), expected, "limit {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_nobody_knows_is_told_with_the_others_and_ends_no_wait() {
    let (_bench, mut wire) = led_by_1(&[]).await;
    let mut request = fetch_from("orders", 0, 700);
    let mut unknown = request.topics[0].partitions[0].clone();
    unknown.partition = 5;
    request.topics[0].partitions.insert(0, unknown.clone());
    let start = Instant::now();
    let answer = wire.call(11, request.clone()).await;
    let told: Vec<_> =
        answer.responses[0].partitions.iter().map(|p| (p.partition_index, p.error_code)).collect();
    assert_eq!(told, [(0, 0), (5, 3)]);
    assert!((700..710).contains(&start.elapsed().as_millis()));
    request.topics[0].partitions = vec![unknown];
    assert_eq!(read(&wire.call(11, request).await).0, 3);
    assert!(start.elapsed().as_millis() < 710, "alone it is told at once");
}

/// Deletes to an offset; what it is answered, and after how many seconds.
async fn delete(wire: &mut Wire, offset: i64, timeout_ms: i32) -> (i16, i64, u64) {
    let start = Instant::now();
    let answer = wire.call(2, delete_to(offset, timeout_ms)).await;
    let partition = &answer.topics[0].partitions[0];
    (partition.error_code, partition.low_watermark, start.elapsed().as_secs())
}

fn delete_to(offset: i64, timeout_ms: i32) -> DeleteRecordsRequest {
    let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(offset);
    let topic = delete_records_request::DeleteRecordsTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(timeout_ms)
}

#[tokio::test(start_paused = true)]
async fn records_are_deleted_once_every_live_replica_knows_in_sync_or_not() {
    let (bench, mut wire) = led_by_1(&[]).await;
    for value in ["a", "b", "c", "d", "e"] {
        produce_one(&mut wire, "orders", value).await;
    }
    assert_eq!(delete(&mut wire, 1, 10_000).await, (0, 1, 0));
    hold(&bench, 3);
    // The low watermark is told as it was.
    assert_eq!(delete(&mut wire, 2, 2_000).await, (7, 1, 2));
    assert_eq!(delete(&mut wire, 2, 0).await, (7, 1, 0));
    assert_eq!(read(&wire.call(11, fetch_from("orders", 1, 0)).await).0, 1, "deleted all the same");
    bench.cluster.set_isr("orders", 0, &[1, 2]).expect("set");
    assert_eq!(delete(&mut wire, 3, 2_000).await, (7, 1, 2));
    let lag = ReplicaLag::By(Duration::from_secs(3));
    bench.cluster.set_replica_lag("orders", 0, 3, Some(lag)).expect("a replica");
    assert_eq!(delete(&mut wire, 4, 10_000).await, (0, 4, 3));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_dead_replica_to_delete_records_learns_of_it_when_another_moves() {
    let (bench, mut wire) = led_by_1(&[]).await;
    for value in ["a", "b"] {
        produce_one(&mut wire, "orders", value).await;
    }
    bench.cluster.node_down(3).expect("a node");
    assert_eq!(delete(&mut wire, 1, 60_000).await, (7, 0, 60), "although it is fenced after 9 seconds");
    bench.cluster.node_up(3).expect("a node");
    bench.cluster.node_down(3).expect("a node");
    let mut waiting = bench.connect(1).await;
    waiting.send(2, &delete_to(2, 60_000)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    produce_one(&mut wire, "orders", "c").await;
    let answer = waiting.receive::<DeleteRecordsRequest>(2).await.expect("an answer");
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.low_watermark), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_leader_fails_who_waits_to_delete_records() {
    let (bench, mut wire) = led_by_1(&[]).await;
    produce_one(&mut wire, "orders", "a").await;
    hold(&bench, 3);
    wire.send(2, &delete_to(1, 60_000)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.cluster.move_leader("orders", 0, Some(2)).expect("moved");
    let answer = wire.receive::<DeleteRecordsRequest>(2).await.expect("an answer");
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.low_watermark), (6, -1));
}

/// Ends a transaction of nobody; the error code, and after how many seconds it came.
async fn mark(wire: &mut Wire) -> (i16, u64) {
    let topic = write_txn_markers_request::WritableTxnMarkerTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partition_indexes(vec![0]);
    let marker = write_txn_markers_request::WritableTxnMarker::default()
        .with_producer_id(ProducerId(77))
        .with_coordinator_epoch(5)
        .with_topics(vec![topic]);
    let start = Instant::now();
    let answer = wire.call(1, WriteTxnMarkersRequest::default().with_markers(vec![marker])).await;
    (answer.markers[0].topics[0].partitions[0].error_code, start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_marker_is_written_once_the_replicas_in_sync_have_it() {
    let (bench, mut wire) = led_by_1(&[]).await;
    assert_eq!(mark(&mut wire).await, (0, 0));
    assert_eq!(mark(&mut bench.connect(2).await).await, (6, 0));
    hold(&bench, 3);
    assert_eq!(mark(&mut wire).await, (7, 30), "request.timeout.ms");
    bench.cluster.set_replica_lag("orders", 0, 3, None).expect("a replica");
    bench.cluster.node_down(3).expect("a node");
    assert_eq!(mark(&mut wire).await, (0, 9), "until the dead broker is fenced");
}

#[tokio::test(start_paused = true)]
async fn partitions_are_told_with_who_may_lead_them_and_who_led_last() {
    let bench = Bench::new(KafkaOptions { auto_leader_rebalance: false, ..KafkaOptions::brokers(2) });
    bench.cluster.create_topic_with("orders", 1, 1, &[]).expect("created");
    let leader = bench.cluster.replicas("orders", 0).expect("a partition").leader.expect("a leader");
    let mut wire = bench.connect(3 - leader).await;
    bench.cluster.node_down(leader).expect("a node");
    tokio::time::sleep(Duration::from_secs(20)).await;
    let topic =
        describe_topic_partitions_request::TopicRequest::default().with_name(TopicName(text("orders")));
    let request =
        DescribeTopicPartitionsRequest::default().with_topics(vec![topic]).with_response_partition_limit(100);
    let answer = wire.call(0, request).await;
    let told = &answer.topics[0].partitions[0];
    assert_eq!((told.error_code, told.leader_id.0, told.leader_epoch), (0, -1, 1));
    let dead = vec![BrokerId(leader)];
    assert_eq!((told.isr_nodes.as_slice(), &told.offline_replicas), ([].as_slice(), &dead));
    assert_eq!(told.eligible_leader_replicas.as_ref(), Some(&dead));
    assert_eq!(told.last_known_elr.as_ref(), Some(&dead));
}
