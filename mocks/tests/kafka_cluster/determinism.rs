//! The same seed, the same clock and the same calls give the same bytes.

use std::time::Duration;

use kafka_protocol::messages::*;
use proptest::prelude::*;
use squall_mocks::Clock;
use squall_mocks::kafka::{KafkaMatch, KafkaOptions};
use squall_mocks::rule::{Act, Rule};

use crate::log::{batch, fetch_from, produce_to};
use crate::wire::{Bench, text};

/// One thing a client or an operator does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Produce(u8),
    Fetch(u8),
    Metadata,
    Join(u8),
    MoveCoordinator,
    MoveLeader(u8),
    NodeDown(u8),
    NodeUp(u8),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u8>().prop_map(Step::Produce),
        any::<u8>().prop_map(Step::Fetch),
        Just(Step::Metadata),
        any::<u8>().prop_map(Step::Join),
        Just(Step::MoveCoordinator),
        any::<u8>().prop_map(Step::MoveLeader),
        any::<u8>().prop_map(Step::NodeDown),
        any::<u8>().prop_map(Step::NodeUp),
        any::<u8>().prop_map(Step::Wait),
    ]
}

/// Every answer of a run, in order; an empty one stands for a connection that closed.
async fn transcript(seed: u64, steps: &[Step]) -> Vec<Vec<u8>> {
    let bench = Bench::new(KafkaOptions { seed, clock: Clock::default(), ..KafkaOptions::brokers(3) });
    bench.cluster.create_topic("orders", 2).expect("created");
    let rule = Rule::new(KafkaMatch::api("produce"), Act::Error("REQUEST_TIMED_OUT".to_owned()));
    bench.cluster.rules().add(rule.with_probability(0.3));
    let node = |number: u8| i32::from(number % 3) + 1;
    let mut out = Vec::new();
    for step in steps {
        let frame = match *step {
            Step::Produce(n) => {
                let mut wire = bench.connect(node(n)).await;
                let request = produce_to("orders", i32::from(n % 2), -1, batch("v", -1, -1, -1));
                wire.exchange(9, &request).await
            }
            Step::Fetch(n) => bench.connect(node(n)).await.exchange(12, &fetch_from("orders", 0, 100)).await,
            Step::Metadata => {
                let request = MetadataRequest::default().with_topics(None);
                bench.connect(1).await.exchange(12, &request).await
            }
            Step::Join(n) => {
                let request = JoinGroupRequest::default()
                    .with_group_id(GroupId(text("workers")))
                    .with_session_timeout_ms(10_000)
                    .with_protocol_type(text("consumer"))
                    .with_protocols(vec![Default::default()]);
                bench.connect(node(n)).await.exchange(9, &request).await
            }
            Step::MoveCoordinator => bench.cluster.move_coordinator("workers").to_be_bytes().to_vec(),
            Step::MoveLeader(n) => {
                bench.cluster.move_leader("orders", 0, Some(node(n))).expect("a replica");
                Vec::new()
            }
            Step::NodeDown(n) => {
                bench.cluster.node_down(node(n)).expect("a node");
                Vec::new()
            }
            Step::NodeUp(n) => {
                bench.cluster.node_up(node(n)).expect("a node");
                Vec::new()
            }
            Step::Wait(n) => {
                tokio::time::sleep(Duration::from_millis(u64::from(n) * 100)).await;
                Vec::new()
            }
        };
        out.push(frame);
    }
    out
}

fn run(seed: u64, steps: &[Step]) -> Vec<Vec<u8>> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(transcript(seed, steps))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn two_runs_of_one_seed_answer_byte_for_byte_the_same(
        seed: u64,
        steps in proptest::collection::vec(step(), 1..25),
    ) {
        prop_assert_eq!(run(seed, &steps), run(seed, &steps));
    }

    #[test]
    fn no_frame_however_broken_hurts_the_next_connection(
        key in 0_i16..70,
        version in 0_i16..14,
        body in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let bench = Bench::new(KafkaOptions::brokers(1));
            let mut broken = bench.connect(1).await;
            let mut frame = [key.to_be_bytes(), version.to_be_bytes()].concat();
            // A correlation id and no client id; whatever comes then is the body.
            frame.extend([0, 0, 0, 1, 0xff, 0xff]);
            frame.extend(&body);
            broken.send_frame(&frame).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            let answer = bench.connect(1).await.call(0, ApiVersionsRequest::default()).await;
            assert_eq!(answer.error_code, 0);
        });
    }
}
