//! Whatever happens to a partition's replicas, Kafka's promises hold. Requests go straight into the state machine.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable};
use proptest::prelude::*;

use super::ReplicaLag;
use crate::Clock;
use crate::kafka::api::{Outcome, Request};
use crate::kafka::cluster::{Call, Cluster, Faults, Ticket};
use crate::kafka::controller::NewTopic;
use crate::kafka::options::KafkaOptions;
use crate::kafka::wire::batch::tests::batch;
use crate::kafka::wire::frame::Frame;
use crate::kafka::wire::keys;
use crate::kafka::wire::text;

const VERSION: i16 = 9;

/// What may happen to a partition.
#[derive(Clone, Copy, Debug)]
enum Act {
    Produce {
        acks: i16,
    },
    Lag(i32, ReplicaLag),
    Down(i32),
    Up(i32),
    Wait(u64),
    /// Gives the lead to the first replica, if that is in sync.
    Preferred,
    Unclean,
    Wipe(i32),
}

/// One partition on three nodes that wants two of them in sync, and what its clients know of it.
struct Bench {
    cluster: Cluster,
    now: Duration,
    next: u64,
    /// Requests that wait, and the value each wrote.
    waiting: Vec<(u64, String)>,
    /// Values acknowledged by all in sync, with their offsets.
    acknowledged: Vec<(i64, String)>,
    /// What a consumer has read, from offset 0 on.
    seen: Vec<String>,
    high_watermark: i64,
}

impl Bench {
    fn new() -> Self {
        let clock = Clock::from_source(0, || Duration::ZERO);
        let options = KafkaOptions { clock, offsets_topic_at_start: false, ..KafkaOptions::brokers(3) };
        let mut cluster = Cluster::new(options);
        let configs = [("min.insync.replicas".to_owned(), "2".to_owned())].into();
        let assignments = [(0, vec![1, 2, 3])].into();
        let new = NewTopic { name: "t".to_owned(), assignments, configs, ..NewTopic::default() };
        let topic = cluster.plan_topic(&new).expect("a good topic");
        cluster.create_topic("t", topic);
        let (waiting, acknowledged, seen) = (Vec::new(), Vec::new(), Vec::new());
        Self { cluster, now: Duration::ZERO, next: 0, waiting, acknowledged, seen, high_watermark: 0 }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Produce { acks } => self.produce(acks),
            Act::Lag(node, lag) => self.cluster.set_replica_lag("t", 0, node, Some(lag)),
            Act::Down(node) => self.cluster.node_down(node),
            Act::Up(node) => self.cluster.node_up(node),
            Act::Wait(seconds) => self.now += Duration::from_secs(seconds),
            Act::Preferred => drop(self.cluster.elect("t", 0, false)),
            Act::Unclean => drop(self.cluster.elect("t", 0, true)),
            Act::Wipe(node) => self.cluster.wipe(node),
        }
        self.cluster.advance(self.now, 0);
        for (conn, frame) in std::mem::take(&mut self.cluster.done) {
            let at = self.waiting.iter().position(|(waiting, _)| *waiting == conn).expect("it waited");
            let (_, value) = self.waiting.remove(at);
            self.answered(frame, value);
        }
    }

    fn produce(&mut self, acks: i16) {
        let Some(node) = self.cluster.truth.partition("t", 0).and_then(|partition| partition.leader) else {
            return;
        };
        self.next += 1;
        let (conn, value) = (self.next, format!("{}", self.next));
        let data = PartitionProduceData::default().with_records(Some(batch(&[&value], 0, (-1, -1, -1))));
        let topic =
            TopicProduceData::default().with_name(TopicName(text("t"))).with_partition_data(vec![data]);
        let request =
            ProduceRequest::default().with_acks(acks).with_timeout_ms(20_000).with_topic_data(vec![topic]);
        let mut frame = BytesMut::new();
        let header = RequestHeader::default().with_request_api_key(0).with_request_api_version(VERSION);
        header.encode(&mut frame, 2).expect("a header");
        request.encode(&mut frame, VERSION).expect("a request");
        let api = keys::find(0).expect("produce");
        let ticket = Ticket { conn, node, api, version: VERSION, correlation: 0, error_after: None };
        let call =
            Call { ticket, node, client_id: "", client_host: "", frame_bytes: 0, faults: &Faults::default() };
        let request = Request::decode(frame.freeze()).expect("a request");
        match self.cluster.handle(&call, request) {
            Outcome::Reply(frame) if acks == -1 => self.answered(frame, value),
            Outcome::Parked => self.waiting.push((conn, value)),
            _ => {}
        }
    }

    fn answered(&mut self, mut frame: Frame, value: String) {
        let mut bytes = frame.copy_to_bytes(frame.remaining()).slice(4..);
        ResponseHeader::decode(&mut bytes, 1).expect("a header");
        let answer = ProduceResponse::decode(&mut bytes, VERSION).expect("an answer");
        let partition = &answer.responses[0].partition_responses[0];
        if partition.error_code == 0 {
            self.acknowledged.push((partition.base_offset, value));
        }
    }

    fn values(&self) -> Vec<String> {
        let records = self.cluster.log_of("t", 0).expect("a log").from(0).expect("readable");
        records.into_iter().map(|record| text_of(record.value)).collect()
    }

    /// Checks what must hold after every act without an unclean election or an empty disk.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let log = self.cluster.log_of("t", 0).expect("a log");
        let (start, stable, mark, end) = (log.start(), log.last_stable(), log.high_watermark(), log.end());
        prop_assert!(start <= stable && stable <= mark && mark <= end);
        prop_assert!(mark >= self.high_watermark, "the high watermark went back to {mark}");
        self.high_watermark = mark;
        let values = self.values();
        for (offset, value) in &self.acknowledged {
            let at = usize::try_from(*offset).expect("a good offset");
            prop_assert_eq!(values.get(at), Some(value), "an acknowledged record is lost");
            prop_assert!(*offset < mark, "acknowledged behind the high watermark");
        }
        let visible = &values[..usize::try_from(mark).expect("a good offset")];
        prop_assert!(
            visible.starts_with(&self.seen),
            "{:?} had been read, now there is {visible:?}",
            self.seen
        );
        self.seen = visible.to_vec();
        Ok(())
    }

    fn partition(&self) -> crate::kafka::image::Partition {
        self.cluster.truth.partition("t", 0).expect("a partition").clone()
    }
}

fn text_of(value: Option<Bytes>) -> String {
    String::from_utf8(value.expect("a value").to_vec()).expect("text")
}

fn any_act() -> impl Strategy<Value = Act> {
    let lag = prop_oneof![
        Just(ReplicaLag::None),
        Just(ReplicaLag::Held),
        (1_u64..40).prop_map(|seconds| ReplicaLag::By(Duration::from_secs(seconds))),
    ];
    prop_oneof![
        6 => prop_oneof![Just(-1_i16), Just(1), Just(0)].prop_map(|acks| Act::Produce { acks }),
        3 => (1..4, lag).prop_map(|(node, lag)| Act::Lag(node, lag)),
        1 => (1..4).prop_map(Act::Down),
        2 => (1..4).prop_map(Act::Up),
        3 => (1_u64..60).prop_map(Act::Wait),
        1 => Just(Act::Preferred),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn clean_elections_lose_nothing_acknowledged_by_all_and_nothing_a_consumer_has_seen(
        acts in proptest::collection::vec(any_act(), 0..60),
    ) {
        let mut bench = Bench::new();
        for act in acts {
            bench.act(act);
            bench.check()?;
        }
        // Everybody is back and follows: the partition is whole, and takes records again.
        for node in 1..4 {
            bench.act(Act::Up(node));
            bench.act(Act::Lag(node, ReplicaLag::None));
        }
        bench.act(Act::Wait(100));
        let known = bench.acknowledged.len();
        bench.act(Act::Produce { acks: -1 });
        bench.check()?;
        prop_assert_eq!(bench.partition().isr, [1, 2, 3]);
        prop_assert_eq!(bench.acknowledged.len(), known + 1);
        prop_assert!(bench.waiting.is_empty());
    }

    #[test]
    fn unclean_elections_and_empty_disks_lose_records_but_never_the_order_of_things(
        acts in proptest::collection::vec(
            prop_oneof![6 => any_act(), 1 => Just(Act::Unclean), 1 => (1..4).prop_map(Act::Wipe)],
            0..60,
        ),
    ) {
        let mut bench = Bench::new();
        for act in acts {
            bench.act(act);
            let log = bench.cluster.log_of("t", 0).expect("a log");
            prop_assert!(log.start() <= log.high_watermark() && log.high_watermark() <= log.end());
            let id = bench.cluster.truth.topics["t"].id;
            let replicas = &bench.cluster.replicas[&(id, 0)];
            let partition = bench.partition();
            prop_assert!(partition.replicas.iter().all(|node| replicas.end_of(*node) <= log.end()));
            if let Some(leader) = partition.leader.filter(|leader| bench.cluster.nodes[leader].up) {
                prop_assert_eq!(replicas.end_of(leader), log.end());
                prop_assert!(partition.isr.contains(&leader));
            }
            prop_assert!(partition.isr.iter().all(|node| !partition.elr.contains(node)));
        }
    }
}

#[test]
fn a_replica_in_sync_that_dies_holds_back_acknowledgements_until_it_is_missed() {
    let mut bench = Bench::new();
    bench.act(Act::Down(3));
    bench.act(Act::Produce { acks: -1 });
    assert!(bench.acknowledged.is_empty());
    bench.act(Act::Wait(8));
    assert_eq!(bench.waiting.len(), 1);
    bench.act(Act::Wait(1));
    assert_eq!(bench.partition().isr, [1, 2]);
    assert_eq!(bench.acknowledged, [(0, "1".to_owned())]);
}

#[test]
fn a_follower_that_copies_nothing_leaves_at_the_first_check_after_the_longest_lag() {
    let mut bench = Bench::new();
    bench.act(Act::Wait(1));
    bench.act(Act::Lag(3, ReplicaLag::Held));
    bench.act(Act::Produce { acks: 1 });
    // Leaders look every 15 s, and 30 s behind are allowed.
    bench.act(Act::Wait(43));
    assert_eq!(bench.partition().isr, [1, 2, 3]);
    bench.act(Act::Wait(1));
    assert_eq!(bench.partition().isr, [1, 2]);
    assert_eq!(bench.cluster.log_of("t", 0).expect("a log").high_watermark(), 1);
    bench.act(Act::Lag(3, ReplicaLag::None));
    assert_eq!(bench.partition().isr, [1, 2, 3]);
    assert_eq!(bench.partition().epoch, 0, "no change of leader");
}

#[test]
fn below_the_least_number_in_sync_nothing_becomes_visible_and_who_left_stays_eligible() {
    let mut bench = Bench::new();
    bench.act(Act::Down(2));
    bench.act(Act::Down(3));
    bench.act(Act::Wait(10));
    let partition = bench.partition();
    assert_eq!((partition.isr, partition.elr), (vec![1], vec![3]));
    bench.act(Act::Produce { acks: 1 });
    let log = bench.cluster.log_of("t", 0).expect("a log");
    assert_eq!((log.high_watermark(), log.end()), (0, 1));
    bench.act(Act::Down(1));
    bench.act(Act::Wait(10));
    let partition = bench.partition();
    assert_eq!((partition.leader, partition.isr, partition.elr), (None, vec![], vec![1, 3]));
    assert_eq!(partition.last_known_leader, Some(1));
}

#[test]
fn a_new_leader_without_the_last_records_takes_them_from_everybody() {
    let mut bench = Bench::new();
    bench.act(Act::Lag(2, ReplicaLag::Held));
    bench.act(Act::Produce { acks: 1 });
    assert_eq!(bench.values(), ["1"]);
    bench.act(Act::Down(1));
    bench.act(Act::Wait(10));
    assert_eq!(bench.partition().leader, Some(2));
    assert!(bench.values().is_empty(), "acknowledged by the leader alone, and lost with it");
    bench.act(Act::Produce { acks: -1 });
    assert_eq!(bench.values(), ["2"]);
    bench.act(Act::Up(1));
    assert_eq!(bench.partition().isr, [1, 2, 3]);
}

#[test]
fn the_lead_goes_back_to_the_first_replica_at_a_check_every_five_minutes() {
    let mut bench = Bench::new();
    bench.act(Act::Down(1));
    bench.act(Act::Wait(10));
    bench.act(Act::Up(1));
    assert_eq!(bench.partition().leader, Some(2));
    bench.act(Act::Wait(289));
    assert_eq!(bench.partition().leader, Some(2));
    bench.act(Act::Wait(1));
    assert_eq!(bench.partition().leader, Some(1));
}

#[test]
fn images_share_the_topics_that_did_not_change() {
    let mut bench = Bench::new();
    let new =
        NewTopic { name: "other".to_owned(), assignments: [(0, vec![3])].into(), ..NewTopic::default() };
    let topic = bench.cluster.plan_topic(&new).expect("a good topic");
    bench.cluster.create_topic("other", topic);
    let before = Arc::clone(&bench.cluster.truth.topics["other"]);
    bench.act(Act::Down(2));
    bench.act(Act::Wait(10));
    assert!(Arc::ptr_eq(&before, &bench.cluster.truth.topics["other"]));
}
