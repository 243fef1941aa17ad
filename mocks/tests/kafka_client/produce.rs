//! Producing: where records lie, what a lost acknowledgement becomes, what is certain and what is not.

use squall_mocks::kafka::KafkaMatch;
use squall_mocks::kafka::client::{Acks, ClientError, ProduceError, StartAt};
use squall_mocks::rule::{Act, Rule};
use tokio::time::Instant;

use super::*;

fn not_idempotent() -> ProducerOptions {
    ProducerOptions { idempotent: false, max_in_flight: 1, ..ProducerOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn records_lie_where_send_says_they_do() {
    let world = World::start(3, 3);
    let producer = world.producer(ProducerOptions::default());
    let client = world.client("reader");
    let mut sent = Vec::new();
    for n in 0..30 {
        let record = NewRecord::new("t", n.to_string()).key(format!("key-{}", n % 7));
        sent.push((producer.send(record).await.expect("acknowledged"), n.to_string()));
    }
    for number in 0..3 {
        let read = client.read_all(&partition(number)).await.expect("readable");
        let here = sent.iter().filter(|((p, _), _)| p.partition == number);
        let expected: Vec<(i64, String)> =
            here.map(|((_, offset), value)| (*offset, value.clone())).collect();
        let found = read.iter().map(|record| record.offset).zip(values(&read)).collect::<Vec<_>>();
        assert_eq!(found, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn headers_keep_their_order_and_repeated_names() {
    let world = World::start(1, 1);
    let headers = vec![("a".to_owned(), Some("1".into())), ("a".to_owned(), None), ("".to_owned(), None)];
    let record = NewRecord { headers: headers.clone(), key: None, value: None, ..record(0, "") };
    world.producer(ProducerOptions::default()).send(record).await.expect("acknowledged");
    let read = world.client("reader").read_all(&partition(0)).await.expect("readable");
    assert_eq!((read[0].headers.clone(), read[0].key.clone(), read[0].value.clone()), (headers, None, None));
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_a_duplicate_without_idempotence() {
    let world = World::start(1, 1);
    world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), Act::DropAfter).times(1));
    let sent = world.producer(not_idempotent()).send(record(0, "a")).await;
    assert_eq!(sent, Ok((partition(0), 1)));
    assert_eq!(world.log(0), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_no_duplicate_with_idempotence() {
    let world = World::start(1, 1);
    world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), Act::DropAfter).times(3));
    let sent = world.producer(ProducerOptions::default()).send(record(0, "a")).await;
    assert_eq!(sent, Ok((partition(0), 0)));
    assert_eq!(world.log(0), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_producer_with_five_batches_under_way_loses_repeats_and_reorders_nothing() {
    for seed in 0..8 {
        let world = World::start_with(KafkaOptions { seed, ..KafkaOptions::brokers(3) }, 1);
        for act in [Act::DropAfter, Act::DropBefore, Act::Error("NOT_LEADER_OR_FOLLOWER".to_owned())] {
            world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), act).with_probability(0.15));
        }
        let options = ProducerOptions { batch_bytes: 100, ..ProducerOptions::default() };
        let producer = world.producer(options);
        let sends = (0..200).map(|n| producer.send(record(0, n)));
        let acknowledged = futures::future::try_join_all(sends).await.expect("all acknowledged");
        let offsets: Vec<i64> = acknowledged.into_iter().map(|(_, offset)| offset).collect();
        assert_eq!(offsets, (0..200).collect::<Vec<i64>>(), "seed {seed}");
        assert_eq!(world.log(0), (0..200).map(|n| n.to_string()).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_refused_every_time_is_certainly_not_in_the_log() {
    let world = World::start(1, 1);
    let refuse = Act::Error("NOT_ENOUGH_REPLICAS".to_owned());
    let rule = world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), refuse));
    let options = ProducerOptions { delivery_timeout: Duration::from_secs(5), ..ProducerOptions::default() };
    let producer = world.producer(options);
    let start = Instant::now();
    let refused = producer.send(record(0, "a")).await;
    assert!(matches!(refused, Err(ProduceError::Refused(ClientError::Refused { .. }))), "{refused:?}");
    assert!(rule.hits() > 3 && start.elapsed() <= Duration::from_secs(5));
    rule.remove();
    // The producer goes on under a new identity, although its sequence was broken.
    assert_eq!(producer.send(record(0, "b")).await, Ok((partition(0), 0)));
    assert_eq!(world.log(0), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_acknowledgements_are_all_lost_is_unknown() {
    let world = World::start(1, 1);
    world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), Act::DropAfter));
    let options = ProducerOptions { delivery_timeout: Duration::from_secs(3), ..ProducerOptions::default() };
    let unknown = world.producer(options).send(record(0, "a")).await;
    assert!(matches!(unknown, Err(ProduceError::Unknown(_))), "{unknown:?}");
    assert_eq!(world.log(0), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn one_unknown_attempt_makes_later_refusals_uncertain() {
    let world = World::start(1, 1);
    world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), Act::DropAfter).times(1));
    let refuse = Act::Error("MESSAGE_TOO_LARGE".to_owned());
    world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), refuse));
    let sent = world.producer(not_idempotent()).send(record(0, "a")).await;
    assert!(matches!(sent, Err(ProduceError::Unknown(ClientError::Refused { .. }))), "{sent:?}");
    assert_eq!(world.log(0), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_costs_one_request_timeout() {
    let world = World::start(1, 1);
    world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), Act::Silence).times(1));
    let options = ProducerOptions { request_timeout: Duration::from_secs(2), ..ProducerOptions::default() };
    let start = Instant::now();
    let sent = world.producer(options).send(record(0, "a")).await;
    assert_eq!(sent, Ok((partition(0), 0)));
    assert!((2..4).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn producing_follows_the_leader_when_it_moves() {
    let world = World::start(3, 1);
    let producer = world.producer(ProducerOptions::default());
    let mut expected = Vec::new();
    for n in 0..9 {
        let leader = 1 + n % 3;
        world.cluster.move_leader("t", 0, Some(leader)).expect("moved");
        producer.send(record(0, n)).await.expect("acknowledged");
        expected.push(n.to_string());
    }
    assert_eq!(world.log(0), expected);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_lags_does_not_bring_back_an_old_leader() {
    let world = World::start(3, 1);
    world.cluster.move_leader("t", 0, Some(2)).expect("moved");
    let options = ClientOptions {
        metadata_max_age: Duration::from_millis(50),
        ..world.client("producer").options().clone()
    };
    let client = KafkaClient::new(options, Arc::new(world.net.clone()));
    let producer = client.producer(not_idempotent()).expect("valid options");
    producer.send(record(0, "a")).await.expect("acknowledged");
    world.cluster.set_metadata_lag(3, Some(Duration::from_secs(3600))).expect("a node");
    world.cluster.move_leader("t", 0, Some(1)).expect("moved");
    let refused = Rule::new(KafkaMatch::api("produce").node(2), Act::Delay(Duration::ZERO));
    let refused = world.cluster.rules().add(refused);
    for n in 0..20 {
        producer.send(record(0, n)).await.expect("acknowledged");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The metadata was asked for again and again, every third time of the broker that lags.
    assert!(refused.hits() <= 1, "{} requests went to the old leader", refused.hits());
}

#[tokio::test(start_paused = true)]
async fn producing_survives_the_death_of_the_leader() {
    let world = World::start(3, 1);
    let producer = world.producer(ProducerOptions::default());
    world.cluster.move_leader("t", 0, Some(3)).expect("moved");
    producer.send(record(0, "a")).await.expect("acknowledged");
    world.cluster.node_down(3).expect("a node");
    producer.send(record(0, "b")).await.expect("acknowledged by another leader");
    assert_eq!(world.log(0), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn records_that_wait_together_travel_in_one_batch() {
    let world = World::start(1, 1);
    let rule = world.cluster.rules().add(Rule::new(KafkaMatch::api("produce"), Act::Delay(Duration::ZERO)));
    let options = ProducerOptions { linger: Duration::from_millis(5), ..ProducerOptions::default() };
    let producer = world.producer(options);
    let sends = (0..50).map(|n| producer.send(record(0, n)));
    futures::future::try_join_all(sends).await.expect("all acknowledged");
    assert_eq!(rule.hits(), 1);
    assert_eq!(world.log(0).len(), 50);
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgements_the_offset_is_unknown_and_the_record_arrives() {
    let world = World::start(1, 1);
    let options = ProducerOptions { acks: Acks::None, ..not_idempotent() };
    let sent = world.producer(options).send(record(0, "a")).await;
    assert_eq!(sent, Ok((partition(0), -1)));
    let mut reader = world.client("reader").reader(partition(0), StartAt::Earliest);
    assert_eq!(values(&reader.next().await.expect("readable")), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_exist_is_refused_when_time_is_out() {
    let world = World::start(1, 1);
    let options = ProducerOptions { delivery_timeout: Duration::from_secs(2), ..ProducerOptions::default() };
    let sent = world.producer(options).send(NewRecord::new("typo", "a")).await;
    let Err(ProduceError::Refused(error)) = sent else { panic!("{sent:?}") };
    assert!(error.to_string().contains("UNKNOWN_TOPIC_OR_PARTITION"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn options_that_contradict_each_other_are_refused() {
    let client = World::start(1, 1).client("producer");
    let options = ProducerOptions { acks: Acks::Leader, ..ProducerOptions::default() };
    assert!(matches!(client.producer(options), Err(ClientError::Usage(_))));
    let options = ProducerOptions { max_in_flight: 6, ..ProducerOptions::default() };
    assert!(matches!(client.producer(options), Err(ClientError::Usage(_))));
}
