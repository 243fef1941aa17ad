//! Random requests of all areas, and at the end what they left: offsets of the logs, positions and groups.
//!
//! `SQUALL_KAFKA_OPS` says how many requests, `SQUALL_KAFKA_SEED` which. What differs is shrunk to a short sequence.
//! Two things are not drawn: a second member of a group, which would wait for the first, and a topic that is
//! created and deleted at once, for brokers learn of both in their own time.

use kafka_protocol::messages::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::build::{self, TIME};
use crate::golden::list_offsets;
use crate::pair::{Both, Pair};
use crate::servers::Servers;

/// Requests, on average, that are sent with one set of topics and groups.
const SEQUENCE: u32 = 30;
/// Requests by default.
const OPS: u32 = 600;
/// Sequences tried to shorten one.
const SHRINKS: u32 = 100;
const TOPICS: usize = 2;
const GROUPS: usize = 2;

/// Who speaks for a group.
#[derive(Clone, Copy, Debug)]
enum Who {
    Nobody,
    Member,
    Stranger,
}

#[derive(Clone, Debug)]
enum Op {
    Create { topic: usize, partitions: i32 },
    Delete { topic: usize },
    Metadata { version: i16, topic: usize },
    Produce { version: i16, topic: usize, partition: i32, acks: i16, count: usize, producer: (i64, i16, i32) },
    Fetch { version: i16, topic: usize, partition: i32, offset: i64 },
    ListOffsets { version: i16, topic: usize, partition: i32, time: i64 },
    Commit { version: i16, group: usize, topic: usize, partition: i32, offset: i64, who: Who, late: i32 },
    Committed { version: i16, group: usize, topic: usize, partition: i32 },
    Join { version: i16, group: usize, who: Who, protocol: &'static str },
    Sync { version: i16, group: usize, who: Who, late: i32 },
    Heartbeat { version: i16, group: usize, who: Who, late: i32 },
    Leave { version: i16, group: usize, who: Who },
    Describe { version: i16, group: usize },
    ProducerId { version: i16 },
}

/// Compares random sequences, each with topics and groups of its own.
pub fn run(servers: &Servers) -> Result<(), String> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let (ops, seed) = (number("SQUALL_KAFKA_OPS").unwrap_or(OPS), number("SQUALL_KAFKA_SEED").unwrap_or(0));
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: ops.div_ceil(SEQUENCE),
        max_shrink_iters: SHRINKS,
        failure_persistence: None,
        ..Config::default()
    };
    let sequences = proptest::collection::vec(op(), 1..=2 * SEQUENCE as usize);
    let agrees = |ops: Vec<Op>| {
        Pair::run(servers, |pair| Model::default().run(pair, &ops)).map_err(TestCaseError::fail)
    };
    TestRunner::new_with_rng(config, rng).run(&sequences, agrees).map_err(|error| error.to_string())
}

fn op() -> impl Strategy<Value = Op> {
    let topic = || 0..TOPICS;
    let group = || 0..GROUPS;
    let partition = || prop_oneof![8 => 0..2, 1 => Just(7), 1 => Just(-1)];
    let who = || prop_oneof![1 => Just(Who::Nobody), 6 => Just(Who::Member), 1 => Just(Who::Stranger)];
    let late = || prop_oneof![6 => Just(0), 1 => Just(1), 1 => Just(-1)];
    let producer = prop_oneof![
        2 => Just((-1, -1, -1)),
        3 => (5000..5002i64, 0..2i16, 0..6i32),
    ];
    let times = prop_oneof![2 => Just(-1i64), 2 => Just(-2), 1 => Just(-3), 3 => TIME - 1..TIME + 12];
    prop_oneof![
        2 => (topic(), 1..3).prop_map(|(topic, partitions)| Op::Create { topic, partitions }),
        1 => topic().prop_map(|topic| Op::Delete { topic }),
        1 => (0..=13i16, topic()).prop_map(|(version, topic)| Op::Metadata { version, topic }),
        6 => (3..=12i16, topic(), partition(), prop_oneof![Just(-1), Just(1)], 1..4usize, producer).prop_map(
            |(version, topic, partition, acks, count, producer)| {
                Op::Produce { version, topic, partition, acks, count, producer }
            }
        ),
        4 => (5..=12i16, topic(), partition(), -1..10i64)
            .prop_map(|(version, topic, partition, offset)| Op::Fetch { version, topic, partition, offset }),
        3 => (1..=9i16, topic(), partition(), times)
            // The largest timestamp is asked for since version 7.
            .prop_filter("known since version 7", |(version, _, _, time)| *version >= 7 || *time != -3)
            .prop_map(|(version, topic, partition, time)| Op::ListOffsets { version, topic, partition, time }),
        3 => (2..=9i16, group(), topic(), partition(), 0..9i64, who(), late()).prop_map(
            |(version, group, topic, partition, offset, who, late)| {
                Op::Commit { version, group, topic, partition, offset, who, late }
            }
        ),
        2 => (1..=9i16, group(), topic(), partition())
            .prop_map(|(version, group, topic, partition)| Op::Committed { version, group, topic, partition }),
        3 => (0..=9i16, group(), who(), prop_oneof![Just("range"), Just("sticky")])
            .prop_map(|(version, group, who, protocol)| Op::Join { version, group, who, protocol }),
        3 => (0..=4i16, group(), who(), late())
            .prop_map(|(version, group, who, late)| Op::Sync { version, group, who, late }),
        2 => (0..=4i16, group(), who(), late())
            .prop_map(|(version, group, who, late)| Op::Heartbeat { version, group, who, late }),
        1 => (0..=5i16, group(), who()).prop_map(|(version, group, who)| Op::Leave { version, group, who }),
        2 => (0..=6i16, group()).prop_map(|(version, group)| Op::Describe { version, group }),
        1 => (0..=5i16).prop_map(|version| Op::ProducerId { version }),
    ]
}

/// What was made so far.
#[derive(Default)]
struct Model {
    topics: [bool; TOPICS],
    members: [Option<(Both<String>, i32)>; GROUPS],
}

impl Model {
    fn run(mut self, pair: &mut Pair, ops: &[Op]) -> Result<(), String> {
        for op in ops {
            self.step(pair, op)?;
        }
        for topic in 0..TOPICS {
            let name = topic_name(pair, topic);
            for time in [-1, -2] {
                pair.ask_but(1, build::list_offsets(&name, &[(0, time), (1, time)]), list_offsets::sorted)?;
            }
        }
        for group in 0..GROUPS {
            let group = group_name(pair, group);
            pair.ask_but(7, build::committed(&group, None), |answer| {
                answer.topics.sort_by(|left, right| left.name.cmp(&right.name));
                answer
                    .topics
                    .iter_mut()
                    .for_each(|topic| topic.partitions.sort_by_key(|p| p.partition_index));
            })?;
            pair.ask(5, build::describe_groups(&[&group]))?;
        }
        Ok(())
    }

    fn step(&mut self, pair: &mut Pair, op: &Op) -> Result<(), String> {
        match *op {
            Op::Create { topic, partitions } => self.create(pair, topic, partitions)?,
            Op::Delete { topic } => self.delete(pair, topic)?,
            Op::Metadata { version, topic } => {
                let request = build::metadata(&[&topic_name(pair, topic)]);
                pair.ask_but(version, request.with_allow_auto_topic_creation(version < 4), |answer| {
                    answer.controller_id = BrokerId(1);
                    let topics = answer.topics.iter_mut();
                    topics.for_each(|topic| topic.partitions.sort_by_key(|one| one.partition_index));
                })?;
            }
            Op::Produce { version, topic, partition, acks, count, producer } => {
                let records = build::batch(&["a", "bb", "ccc"][..count], TIME, producer);
                let name = topic_name(pair, topic);
                pair.ask(version, build::produce_to(&name, partition, acks, records))?;
            }
            Op::Fetch { version, topic, partition, offset } => {
                let name = topic_name(pair, topic);
                let request = build::fetch(&name, vec![build::fetched(partition, offset)]);
                pair.ask_but(version, request, |answer| {
                    // None or an empty list: a golden sequence tells.
                    for partition in answer.responses.iter_mut().flat_map(|topic| &mut topic.partitions) {
                        partition.aborted_transactions.get_or_insert_default();
                    }
                })?;
            }
            Op::ListOffsets { version, topic, partition, time } => {
                let name = topic_name(pair, topic);
                pair.ask(version, build::list_offsets(&name, &[(partition, time)]))?;
            }
            Op::ProducerId { version } => {
                let request = InitProducerIdRequest::default().with_transactional_id(None);
                pair.ask(version, request.with_transaction_timeout_ms(60_000))?;
            }
            _ => self.step_of_group(pair, op)?,
        }
        Ok(())
    }

    fn step_of_group(&mut self, pair: &mut Pair, op: &Op) -> Result<(), String> {
        match *op {
            Op::Commit { version, group, topic, partition, offset, who, late } => {
                let (member, generation) = self.identity(group, who);
                let (name, topic) = (group_name(pair, group), topic_name(pair, topic));
                pair.ask(
                    version,
                    member.map(|member| {
                        build::commit(&name, &topic, &[(partition, offset)])
                            .with_member_id(build::text(member))
                            .with_generation_id_or_member_epoch(generation + late)
                    }),
                )?;
            }
            Op::Committed { version, group, topic, partition } => {
                let (name, topic) = (group_name(pair, group), topic_name(pair, topic));
                let numbers = [partition];
                let topics: &[(&str, &[i32])] = &[(&topic, &numbers)];
                match version {
                    ..8 => pair.ask(version, build::committed(&name, Some(topics)))?,
                    _ => pair.ask(version, build::committed_of(&[(&name, Some(topics))]))?,
                };
            }
            Op::Join { version, group, who, protocol } => self.join(pair, version, group, who, protocol)?,
            Op::Sync { version, group, who, late } => {
                let (member, generation) = self.identity(group, who);
                let name = group_name(pair, group);
                pair.ask(
                    version,
                    member.map(|member| {
                        build::sync(&name, member, generation + late, &[(member, "share")])
                            .with_protocol_type(None)
                            .with_protocol_name(None)
                    }),
                )?;
            }
            Op::Heartbeat { version, group, who, late } => {
                let (member, generation) = self.identity(group, who);
                let name = group_name(pair, group);
                pair.ask(version, member.map(|member| build::heartbeat(&name, member, generation + late)))?;
            }
            Op::Leave { version, group, who } => {
                let (member, _) = self.identity(group, who);
                let name = group_name(pair, group);
                match version {
                    ..3 => pair.ask(version, member.map(|member| build::leave(&name, member)))?,
                    _ => {
                        pair.ask(version, member.map(|member| build::leave_all(&name, &[(member, None)])))?
                    }
                };
                if matches!(who, Who::Member) {
                    self.members[group] = None;
                }
            }
            Op::Describe { version, group } => {
                let name = group_name(pair, group);
                pair.ask(version, build::describe_groups(&[&name]))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn create(&mut self, pair: &mut Pair, topic: usize, partitions: i32) -> Result<(), String> {
        let name = topic_name(pair, topic);
        if std::mem::replace(&mut self.topics[topic], true) {
            return pair.ask(4, build::create(vec![build::topic(&name, partitions, 1)])).map(|_| ());
        }
        pair.topic_with(build::topic(&name, partitions, 1)).map(|_| ())
    }

    fn delete(&mut self, pair: &mut Pair, topic: usize) -> Result<(), String> {
        let name = topic_name(pair, topic);
        self.topics[topic] = false;
        pair.delete(&name)?;
        // The coordinators forget the positions in their own time.
        for group in 0..GROUPS {
            let group = group_name(pair, group);
            let topics: &[(&str, &[i32])] = &[(&name, &[0, 1])];
            pair.until(7, &build::committed(&group, Some(topics)), |answer| {
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                partitions.map(|one| one.committed_offset).all(|offset| offset == -1)
            })?;
        }
        Ok(())
    }

    /// Joins as the member there is, or as a new one if there is none.
    fn join(
        &mut self,
        pair: &mut Pair,
        version: i16,
        group: usize,
        who: Who,
        protocol: &str,
    ) -> Result<(), String> {
        let name = group_name(pair, group);
        let (member, _) = match (who, &self.members[group]) {
            (Who::Stranger, _) => {
                return pair.ask(version, build::join(&name, "ghost", &[protocol])).map(|_| ());
            }
            (_, Some(known)) => known.clone(),
            (_, None) => (Both::same(String::new()), 0),
        };
        let mut answers = pair.ask(version, member.map(|member| build::join(&name, member, &[protocol])))?;
        let member = answers.map(|answer| answer.member_id.to_string());
        if answers.real.error_code == MEMBER_ID_REQUIRED {
            answers = pair.ask(version, member.map(|member| build::join(&name, member, &[protocol])))?;
        }
        // One who is refused stays the member it was.
        if answers.real.error_code == 0 {
            self.members[group] = Some((member, answers.real.generation_id));
        }
        Ok(())
    }

    /// Member id and generation.
    fn identity(&self, group: usize, who: Who) -> (Both<String>, i32) {
        match (who, &self.members[group]) {
            (Who::Member, Some(known)) => known.clone(),
            (Who::Stranger, _) => (Both::same("ghost".to_owned()), 1),
            _ => (Both::same(String::new()), -1),
        }
    }
}

const MEMBER_ID_REQUIRED: i16 = 79;

fn topic_name(pair: &Pair, topic: usize) -> String {
    pair.name(&format!("topic{topic}"))
}

fn group_name(pair: &Pair, group: usize) -> String {
    pair.name(&format!("group{group}"))
}
