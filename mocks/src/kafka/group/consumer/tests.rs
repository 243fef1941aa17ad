//! A consumer group under any interleaving of what members, timers and the cluster do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::*;
use crate::kafka::KafkaOptions;
use crate::kafka::cluster::Cluster;
use crate::kafka::group::assignor::Partitions;
use crate::kafka::group::{Group, GroupConfig, Join, Kind, Reply, Sync, embedded};
use crate::kafka::image::{Partition, Topic};
use crate::kafka::timers::Timers;

/// A group, a clock, a cluster, and members as clients know themselves.
struct World {
    group: Group<u32>,
    now: Duration,
    config: GroupConfig,
    image: Arc<Image>,
    timers: Timers<(String, GroupTimer)>,
    replies: Vec<(u32, Reply)>,
    random: ChaCha8Rng,
    clients: BTreeMap<String, Client>,
}

/// What a client knows.
#[derive(Clone, Debug, Default)]
struct Client {
    epoch: i32,
    owned: Partitions,
    /// Speaks the classic protocol.
    classic: bool,
    topics: BTreeSet<String>,
    /// An answer did not come: it says everything again.
    says_all: bool,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            group: Group::new("g"),
            now: Duration::ZERO,
            config: Cluster::new(KafkaOptions::default()).group_config("g"),
            image: Arc::default(),
            timers: Timers::new(),
            replies: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(1),
            clients: BTreeMap::new(),
        };
        world.set_topic("a", 5);
        world.set_topic("b", 2);
        world
    }

    /// Makes a topic, or lets it grow.
    fn set_topic(&mut self, name: &str, partitions: usize) {
        let partition = Partition::new(vec![], &BTreeSet::new());
        let new = Uuid::from_u128(self.random.random());
        let id = self.image.topics.get(name).map_or(new, |topic| topic.id);
        let topic = Topic { id, partitions: vec![partition; partitions], configs: BTreeMap::new() };
        let image = Arc::make_mut(&mut self.image);
        image.ids.insert(id, name.to_owned());
        image.topics.insert(name.to_owned(), Arc::new(topic));
    }

    fn delete_topic(&mut self, name: &str) {
        let image = Arc::make_mut(&mut self.image);
        if let Some(topic) = image.topics.remove(name) {
            image.ids.remove(&topic.id);
        }
    }

    fn with<R>(&mut self, act: impl FnOnce(&mut Group<u32>, &mut Env<'_, u32>) -> R) -> R {
        let mut env = Env {
            now: self.now,
            now_ms: i64::try_from(self.now.as_millis()).expect("soon"),
            config: &self.config,
            image: &self.image,
            timers: &mut self.timers,
            replies: &mut self.replies,
            random: &mut self.random,
            events: &mut Vec::new(),
        };
        act(&mut self.group, &mut env)
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.timers.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            if let Some((_, timer)) = self.timers.pop(self.now) {
                self.with(|group, env| group.expire(env, timer));
            }
        }
        self.now = end;
    }

    fn consumer(&self) -> &Consumer {
        self.group.consumer().expect("a consumer group")
    }

    fn id(&self, topic: &str) -> Uuid {
        self.image.topics[topic].id
    }

    fn beat(&self, id: &str, topics: Option<&[&str]>) -> Beat {
        let client = self.clients.get(id).cloned().unwrap_or_default();
        Beat {
            member_id: id.to_owned(),
            epoch: client.epoch,
            rebalance: Some(Duration::from_secs(30)),
            topics: match topics {
                Some(topics) => Some(topics.iter().map(|name| (*name).to_owned()).collect()),
                None => client.says_all.then_some(client.topics),
            },
            owned: Some(if client.epoch == 0 { Partitions::new() } else { client.owned }),
            ..Beat::default()
        }
    }

    /// Sends a heartbeat as a client would, and lets it do what it is told.
    fn send(&mut self, beat: Beat) -> Result<Beaten, Refused> {
        let id = beat.member_id.clone();
        let result = self.with(|group, env| group.consumer_heartbeat(env, &beat));
        match &result {
            Ok(beaten) => {
                let client = self.clients.entry(id).or_default();
                client.epoch = beaten.epoch;
                client.classic = false;
                client.says_all = false;
                client.topics = beat.topics.unwrap_or_else(|| client.topics.clone());
                if let Some(assigned) = &beaten.assigned {
                    let owned = |(topic, numbers): (&Uuid, &BTreeMap<i32, i32>)| {
                        (*topic, numbers.keys().copied().collect())
                    };
                    client.owned = assigned.iter().map(owned).collect();
                }
            }
            // Fenced: it gives up what it has and comes again.
            Err(_) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    *client = Client { topics: client.topics.clone(), says_all: true, ..Client::default() };
                }
            }
        }
        result
    }

    fn join(&mut self, id: &str, topics: &[&str]) -> Result<Beaten, Refused> {
        self.clients.remove(id);
        self.send(self.beat(id, Some(topics)))
    }

    /// One round of heartbeats of every client.
    fn round(&mut self) {
        for (id, client) in self.clients.clone() {
            if client.classic {
                self.classic_round(&id);
            } else {
                let _ = self.send(self.beat(&id, None));
            }
        }
        self.pass(2);
    }

    fn settle(&mut self) {
        (0..8).for_each(|_| self.round());
    }

    /// A client of the classic protocol lives, and joins again when it is told to.
    fn classic_round(&mut self, id: &str) {
        let epoch = self.clients[id].epoch;
        if self.with(|group, env| group.heartbeat(env, id, None, epoch)).is_err() {
            self.classic_join(id);
        }
    }

    fn classic_join(&mut self, id: &str) {
        let owned = self.clients.get(id).map(|client| client.owned.clone()).unwrap_or_default();
        let member_id = if self.clients.contains_key(id) { id.to_owned() } else { String::new() };
        let join =
            Join { protocols: vec![("range".to_owned(), self.subscription(&owned))], ..classic(&member_id) };
        self.with(|group, env| group.join(env, 1, join));
        self.pass(0);
        let Some((_, Reply::Join(Ok(joined)))) = self.replies.pop() else {
            self.clients.remove(id);
            return;
        };
        // There is one such client at most, so as a leader it is alone.
        let count = self.image.topics["a"].partitions.len();
        let all = BTreeMap::from([("a".to_owned(), (0..i32::try_from(count).expect("few")).collect())]);
        let assign =
            |(id, ..): &(String, Option<String>, Bytes)| (id.clone(), embedded::write_assigned(1, &all));
        let assignments = joined.members.iter().map(assign).collect();
        let sync = Sync {
            member_id: joined.member_id.clone(),
            instance_id: None,
            generation: joined.generation,
            protocol_type: Some("consumer".to_owned()),
            protocol: Some("range".to_owned()),
            assignments,
        };
        self.with(|group, env| group.sync(env, 2, sync));
        self.pass(0);
        let mut client = Client { epoch: joined.generation, owned, classic: true, ..Client::default() };
        if let Some((_, Reply::Sync(Ok(synced)))) = self.replies.pop() {
            let assigned = embedded::assigned(synced.assignment).expect("an assignment");
            let by_id = |(name, numbers): (String, Vec<i32>)| {
                Some((self.image.topics.get(&name)?.id, numbers.into_iter().collect()))
            };
            client.owned = assigned.partitions.into_iter().filter_map(by_id).collect();
        }
        self.clients.insert(joined.member_id, client);
        self.replies.clear();
    }

    fn subscription(&self, owned: &Partitions) -> Bytes {
        let mut bytes = BytesMut::from(&b"\x00\x01\x00\x00\x00\x01\x00\x01a\xff\xff\xff\xff"[..]);
        let owned: Vec<_> =
            owned.iter().filter_map(|(id, set)| Some((self.image.ids.get(id)?, set))).collect();
        bytes.put_i32(i32::try_from(owned.len()).expect("few"));
        for (name, numbers) in owned {
            bytes.put_i16(i16::try_from(name.len()).expect("short"));
            bytes.put_slice(name.as_bytes());
            bytes.put_i32(i32::try_from(numbers.len()).expect("few"));
            numbers.iter().for_each(|number| bytes.put_i32(*number));
        }
        bytes.freeze()
    }

    /// No partition has two members that hold it.
    fn check_holders(&self) {
        let Kind::Consumer(group) = &self.group.kind else { return };
        let mut holders = BTreeMap::new();
        for (id, member) in &group.members {
            for partition in member.held() {
                assert_eq!(holders.insert(partition, id), None, "{partition:?} is held twice");
            }
        }
        assert_eq!(
            holders.into_iter().map(|(p, id)| (p, id.clone())).collect::<BTreeMap<_, _>>(),
            group.holders
        );
    }

    /// Once nothing happens any more, everything subscribed to is read by one member.
    fn check_settled(&self) {
        let Kind::Consumer(group) = &self.group.kind else { return };
        if group.members.is_empty() {
            return;
        }
        assert_eq!(group.state(), GroupState::Stable);
        let mut held: Vec<_> = group.members.values().flat_map(Member::held).collect();
        held.sort_unstable();
        let wanted: BTreeSet<&String> = group.members.values().flat_map(|m| group.names(m)).collect();
        let topics = wanted.into_iter().filter_map(|name| self.image.topics.get(name));
        let all = topics
            .flat_map(|topic| (0..topic.partitions.len()).map(|n| (topic.id, i32::try_from(n).unwrap())));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        assert_eq!(held, all);
        for (id, member) in &group.members {
            let client = &self.clients[id];
            let owned: BTreeSet<_> =
                client.owned.iter().flat_map(|(t, set)| set.iter().map(|n| (*t, *n))).collect();
            assert_eq!(owned, member.held().collect(), "the client {id} knows what it holds");
        }
    }
}

fn classic(member_id: &str) -> Join {
    Join {
        member_id: member_id.to_owned(),
        instance_id: None,
        client_id: "c".to_owned(),
        client_host: "/h".to_owned(),
        session: Duration::from_secs(45),
        rebalance: Duration::from_secs(30),
        protocol_type: "consumer".to_owned(),
        protocols: Vec::new(),
        needs_known_id: false,
        can_skip_assignment: true,
    }
}

#[derive(Clone, Debug)]
enum Act {
    Join(u8, u8),
    Beat(u8),
    /// A heartbeat whose answer is lost.
    Lost(u8),
    Leave(u8),
    ClassicJoin,
    Pass(u64),
    Grow,
    Delete,
    Move,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0_u8..4, 0_u8..4).prop_map(|(who, what)| Act::Join(who, what)),
        8 => (0_u8..4).prop_map(Act::Beat),
        1 => (0_u8..4).prop_map(Act::Lost),
        1 => (0_u8..4).prop_map(Act::Leave),
        1 => Just(Act::ClassicJoin),
        3 => (1_u64..20).prop_map(Act::Pass),
        1 => Just(Act::Grow),
        1 => Just(Act::Delete),
        1 => Just(Act::Move),
    ];
    proptest::collection::vec(act, 1..40)
}

fn run(world: &mut World, act: &Act) {
    let name = |who: &u8| format!("m{who}");
    match act {
        Act::Join(who, what) => {
            let topics: &[&str] = match what {
                0 => &["a"],
                1 => &["b"],
                // One that wants nothing makes no new epoch, so a classic group is left as it was upgraded.
                2 if world.group.consumer().is_some() => &[],
                _ => &["a", "b"],
            };
            let _ = world.join(&name(who), topics);
        }
        Act::Beat(who) if world.clients.contains_key(&name(who)) => {
            let _ = world.send(world.beat(&name(who), None));
        }
        Act::Lost(who) if world.clients.contains_key(&name(who)) => {
            let beat = world.beat(&name(who), None);
            let _ = world.with(|group, env| group.consumer_heartbeat(env, &beat));
            world.clients.entry(name(who)).or_default().says_all = true;
        }
        Act::Leave(who) => {
            let leave = Beat { epoch: -1, ..world.beat(&name(who), None) };
            let _ = world.with(|group, env| group.consumer_leave(env, &leave));
            world.clients.remove(&name(who));
        }
        Act::ClassicJoin if !world.clients.values().any(|client| client.classic) => {
            world.classic_join("classic");
        }
        Act::Pass(seconds) => world.pass(*seconds),
        Act::Grow => {
            let partitions = world.image.topics.get("a").map_or(1, |topic| topic.partitions.len() + 1);
            world.set_topic("a", partitions.min(9));
        }
        Act::Delete => world.delete_topic("b"),
        Act::Move => world.with(|group, env| {
            group.unload(env);
            group.load(env);
        }),
        Act::Beat(_) | Act::Lost(_) | Act::ClassicJoin => {}
    }
}

/// The group epoch and every member's, as far as there are any.
fn epochs(world: &World) -> Option<(i32, i32, BTreeMap<String, i32>)> {
    let group = world.group.consumer()?;
    let members = group.members.iter().map(|(id, member)| (id.clone(), member.epoch)).collect();
    Some((group.epoch, group.assignment_epoch, members))
}

proptest! {
    #[test]
    fn no_partition_is_held_twice_and_a_quiet_group_reads_everything_once(acts in acts()) {
        let mut world = World::new();
        for act in &acts {
            let before = epochs(&world);
            run(&mut world, act);
            world.check_holders();
            if let (Some(before), Some(after)) = (before, epochs(&world)) {
                prop_assert!(after.0 >= before.0 && after.1 >= before.1, "epochs never go back");
                prop_assert!(after.1 <= after.0);
                for (id, epoch) in after.2 {
                    prop_assert!(epoch >= before.2.get(&id).copied().unwrap_or(0), "{id}");
                }
            }
        }
        world.settle();
        world.check_settled();
    }
}

#[test]
fn a_member_gives_partitions_back_before_another_gets_them() {
    let mut world = World::new();
    let first = world.join("m0", &["a"]).expect("joined");
    assert_eq!((first.epoch, first.assigned.expect("told")[&world.id("a")].len()), (2, 5));
    world.pass(1);
    let second = world.join("m1", &["a"]).expect("joined");
    assert_eq!((second.epoch, second.assigned), (3, Some(Held::new())), "nothing is free yet");
    assert_eq!(world.consumer().state(), GroupState::Reconciling);
    // The first hears what it keeps, at the epoch it has; it must say that it gave the rest back.
    let keep = world.send(world.beat("m0", None)).expect("alive");
    assert_eq!((keep.epoch, keep.assigned.expect("told")[&world.id("a")].len()), (2, 3));
    let waits = world.send(world.beat("m1", None)).expect("alive");
    assert_eq!(waits.assigned, None, "still held");
    assert_eq!(world.send(world.beat("m0", None)).expect("alive").epoch, 3);
    let gets = world.send(world.beat("m1", None)).expect("alive");
    assert_eq!(gets.assigned.expect("told")[&world.id("a")].len(), 2);
    assert_eq!(world.consumer().state(), GroupState::Stable);
}

#[test]
fn a_new_target_waits_for_the_interval_between_two() {
    let mut world = World::new();
    world.join("m0", &["a"]).expect("joined");
    let early = world.join("m1", &["a"]).expect("joined");
    assert_eq!((early.epoch, world.consumer().assignment_epoch, world.consumer().epoch), (2, 2, 3));
    assert_eq!(world.consumer().state(), GroupState::Assigning);
    world.pass(1);
    assert_eq!(world.send(world.beat("m1", None)).expect("alive").epoch, 3);
}

#[test]
fn who_does_not_give_back_in_time_is_fenced() {
    let mut world = World::new();
    world.join("m0", &["a"]).expect("joined");
    world.pass(1);
    world.join("m1", &["a"]).expect("joined");
    world.send(world.beat("m0", None)).expect("alive");
    // It lives, but never says that it gave anything back.
    for _ in 0..7 {
        world.pass(5);
        let beat = Beat { owned: None, rebalance: None, epoch: 2, ..world.beat("m0", None) };
        let _ = world.with(|group, env| group.consumer_heartbeat(env, &beat));
        world.send(world.beat("m1", None)).expect("alive");
    }
    assert_eq!(world.consumer().members.keys().collect::<Vec<_>>(), ["m1"]);
    assert_eq!(world.consumer().members["m1"].held().count(), 5);
}

#[test]
fn a_silent_member_goes_and_the_last_leaves_an_empty_group() {
    let mut world = World::new();
    world.join("m0", &["a"]).expect("joined");
    world.pass(44);
    assert_eq!(world.consumer().members.len(), 1);
    world.pass(1);
    assert_eq!((world.consumer().state(), world.consumer().epoch), (GroupState::Empty, 3));
    assert_eq!(world.timers.next(), None);
}

#[test]
fn a_static_member_that_stepped_out_gets_its_partitions_back_under_another_id() {
    let mut world = World::new();
    let named =
        |world: &World, id: &str| Beat { instance_id: Some("i".to_owned()), ..world.beat(id, Some(&["a"])) };
    let first = world.send(named(&world, "m0")).expect("joined");
    let unreleased = world.send(named(&world, "m1")).expect_err("still there");
    assert_eq!(unreleased.0, ResponseError::UnreleasedInstanceId);
    let away = Beat { epoch: AWAY, ..named(&world, "m0") };
    assert_eq!(world.with(|group, env| group.consumer_leave(env, &away)).expect("gone").epoch, AWAY);
    let again = world.send(named(&world, "m2")).expect("back");
    assert_eq!((again.epoch, world.consumer().epoch), (2, 2), "no rebalance");
    let numbers = |beaten: &Beaten| {
        beaten.assigned.clone().expect("told")[&world.id("a")].keys().copied().collect::<Vec<_>>()
    };
    assert_eq!(numbers(&again), numbers(&first));
    let fenced = world.send(Beat { epoch: 2, ..named(&world, "m0") }).expect_err("fenced");
    assert_eq!(fenced.0, ResponseError::FencedInstanceId);
}

#[test]
fn an_expression_is_resolved_after_the_answer_and_again_when_topics_come() {
    let mut world = World::new();
    let beat = Beat { regex: Some("a.*".to_owned()), topics: None, ..world.beat("m0", None) };
    assert_eq!(world.send(beat).expect("joined").assigned, Some(Held::new()));
    assert_eq!(world.consumer().state(), GroupState::Assigning);
    world.pass(1);
    let told = world.send(world.beat("m0", None)).expect("alive").assigned.expect("told");
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), [world.id("a")]);
    world.set_topic("ab", 1);
    world.pass(5);
    world.send(world.beat("m0", None)).expect("alive");
    assert!(!world.consumer().is_subscribed("ab"), "no sooner than after ten seconds");
    world.pass(6);
    world.send(world.beat("m0", None)).expect("alive");
    assert!(world.consumer().is_subscribed("ab"));
    let told = world.send(world.beat("m0", None)).expect("alive").assigned.expect("told");
    assert_eq!(told.len(), 2);
}

#[test]
fn a_classic_group_is_upgraded_and_downgraded_without_losing_what_members_hold() {
    let mut world = World::new();
    world.classic_join("classic");
    let old = world.clients.keys().next().expect("a member").clone();
    world.join("m0", &["a"]).expect("joined");
    let group = world.consumer();
    assert_eq!((group.members.len(), group.epoch), (2, 2), "the generation became the epoch");
    world.settle();
    world.check_settled();
    let kept = world.clients[&old].owned.values().map(BTreeSet::len).sum::<usize>();
    assert!((2..=3).contains(&kept), "half of five");
    let leave = Beat { epoch: -1, ..world.beat("m0", None) };
    world.with(|group, env| group.consumer_leave(env, &leave)).expect("gone");
    let classic = world.group.classic().expect("a classic group");
    assert_eq!(classic.members.len(), 1);
    assert_eq!(world.group.state(), GroupState::PreparingRebalance);
}
