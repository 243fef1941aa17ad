//! The group's state machine, call by call, on a clock moved by hand.

use std::sync::Arc;

use rand::SeedableRng;

use super::*;
use crate::kafka::KafkaOptions;
use crate::kafka::cluster::Cluster;
use crate::kafka::group::GroupConfig;
use crate::kafka::timers::Timers;

/// A group with a clock and the answers it gave, by waiter.
struct Bench {
    group: Classic<u32>,
    now: Duration,
    config: GroupConfig,
    timers: Timers<(String, GroupTimer)>,
    replies: Vec<(u32, Reply)>,
    random: ChaCha8Rng,
}

impl Bench {
    fn new(initial_delay: u64) -> Self {
        Self {
            group: Classic::new("g"),
            now: Duration::ZERO,
            config: GroupConfig {
                initial_delay: Duration::from_secs(initial_delay),
                max_size: 3,
                ..Cluster::new(KafkaOptions::default()).group_config()
            },
            timers: Timers::new(),
            replies: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(1),
        }
    }

    fn with<R>(&mut self, act: impl FnOnce(&mut Classic<u32>, &mut Env<'_, u32>) -> R) -> R {
        let mut env = Env {
            now: self.now,
            now_ms: i64::try_from(self.now.as_millis()).expect("soon"),
            config: &self.config,
            image: &Arc::default(),
            timers: &mut self.timers,
            replies: &mut self.replies,
            random: &mut self.random,
            events: &mut Vec::new(),
        };
        act(&mut self.group, &mut env)
    }

    /// Moves the clock, timer by timer.
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

    fn join(&mut self, waiter: u32, join: Join) {
        self.with(|group, env| group.join(env, waiter, join));
        self.pass(0);
    }

    fn take(&mut self, waiter: u32) -> Option<Reply> {
        let at = self.replies.iter().position(|(of, _)| *of == waiter)?;
        Some(self.replies.remove(at).1)
    }

    fn joined(&mut self, waiter: u32) -> Joined {
        match self.take(waiter) {
            Some(Reply::Join(Ok(joined))) => joined,
            other => panic!("expected a join of {waiter}, found {other:?}"),
        }
    }

    fn refused(&mut self, waiter: u32) -> JoinRefused {
        match self.take(waiter) {
            Some(Reply::Join(Err(refused))) => refused,
            other => panic!("expected a refusal of {waiter}, found {other:?}"),
        }
    }

    /// Asks for the assignment; a leader assigns everybody its own id.
    fn sync(&mut self, waiter: u32, joined: &Joined) {
        let assign = |(id, ..): &(String, Option<String>, Bytes)| (id.clone(), Bytes::from(id.clone()));
        let sync = Sync {
            member_id: joined.member_id.clone(),
            instance_id: None,
            generation: joined.generation,
            protocol_type: Some("consumer".to_owned()),
            protocol: Some("range".to_owned()),
            assignments: joined.members.iter().map(assign).collect(),
        };
        self.with(|group, env| group.sync(env, waiter, sync));
    }

    fn heartbeat(&mut self, joined: &Joined) -> Result<(), ResponseError> {
        let (id, generation) = (joined.member_id.clone(), joined.generation);
        self.with(|group, env| group.heartbeat(env, &id, None, generation))
    }

    /// A stable group of two: leader, follower.
    fn two() -> (Self, Joined, Joined) {
        let mut bench = Self::new(3);
        bench.join(1, join(""));
        bench.join(2, join(""));
        bench.pass(6);
        let (leader, follower) = (bench.joined(1), bench.joined(2));
        bench.sync(3, &leader);
        bench.sync(4, &follower);
        assert_eq!(bench.group.state, State::Stable);
        bench.replies.clear();
        (bench, leader, follower)
    }
}

fn join(member_id: &str) -> Join {
    Join {
        member_id: member_id.to_owned(),
        instance_id: None,
        client_id: "c".to_owned(),
        client_host: "/h".to_owned(),
        session: Duration::from_secs(10),
        rebalance: Duration::from_secs(30),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from_static(b"t"))],
        needs_known_id: false,
        can_skip_assignment: true,
    }
}

#[test]
fn the_first_round_waits_and_every_newcomer_extends_it() {
    let mut bench = Bench::new(3);
    bench.join(1, join(""));
    bench.pass(2);
    bench.join(2, join(""));
    bench.pass(2);
    assert!(bench.replies.is_empty(), "the newcomer extended the wait");
    bench.pass(2);
    let (leader, follower) = (bench.joined(1), bench.joined(2));
    assert_eq!((leader.generation, follower.generation), (1, 1));
    assert_eq!(leader.members.len(), 2);
    assert!(follower.members.is_empty() && follower.leader == leader.member_id);
}

#[test]
fn a_member_without_an_id_is_given_one_and_comes_again() {
    let mut bench = Bench::new(0);
    bench.join(1, Join { needs_known_id: true, ..join("") });
    let refused = bench.refused(1);
    assert_eq!(refused.error, ResponseError::MemberIdRequired);
    bench.join(2, Join { needs_known_id: true, ..join(&refused.member_id) });
    assert_eq!(bench.joined(2).member_id, refused.member_id);
}

#[test]
fn an_id_that_is_not_used_in_time_is_forgotten() {
    let mut bench = Bench::new(0);
    bench.join(1, Join { needs_known_id: true, ..join("") });
    let id = bench.refused(1).member_id;
    bench.pass(11);
    bench.join(2, join(&id));
    assert_eq!(bench.refused(2).error, ResponseError::UnknownMemberId);
}

#[test]
fn assignments_reach_those_who_asked_before_the_leader_and_those_who_ask_after() {
    let mut bench = Bench::new(3);
    bench.join(1, join(""));
    bench.join(2, join(""));
    bench.pass(6);
    let (leader, follower) = (bench.joined(1), bench.joined(2));
    bench.sync(3, &follower);
    assert_eq!(bench.take(3), None);
    bench.sync(4, &leader);
    for (waiter, member) in [(3, &follower), (4, &leader)] {
        let Some(Reply::Sync(Ok(synced))) = bench.take(waiter) else { panic!("no assignment") };
        assert_eq!(synced.assignment, member.member_id.as_bytes());
    }
    bench.sync(5, &follower);
    assert!(matches!(bench.take(5), Some(Reply::Sync(Ok(_)))));
}

#[test]
fn a_silent_member_is_dropped_and_the_others_learn_of_the_rebalance() {
    let (mut bench, leader, follower) = Bench::two();
    bench.pass(8);
    assert_eq!(bench.heartbeat(&leader), Ok(()));
    bench.pass(4);
    assert_eq!(bench.heartbeat(&leader), Err(ResponseError::RebalanceInProgress));
    assert_eq!(bench.heartbeat(&follower), Err(ResponseError::UnknownMemberId));
    bench.join(5, join(&leader.member_id));
    let joined = bench.joined(5);
    assert_eq!((joined.generation, joined.members.len()), (2, 1));
    assert_eq!(bench.heartbeat(&leader), Err(ResponseError::IllegalGeneration));
}

#[test]
fn members_that_do_not_rejoin_in_time_are_left_behind() {
    let (mut bench, leader, follower) = Bench::two();
    bench.join(5, join(""));
    bench.join(6, join(&leader.member_id));
    for _ in 0..6 {
        assert_eq!(bench.take(6), None, "the follower has its time");
        assert_eq!(bench.heartbeat(&follower), Err(ResponseError::RebalanceInProgress));
        bench.pass(5);
    }
    let joined = bench.joined(6);
    assert_eq!(joined.generation, 2);
    assert!(!bench.group.members.contains_key(&follower.member_id));
}

#[test]
fn a_member_that_never_asks_for_its_assignment_is_dropped() {
    let mut bench = Bench::new(3);
    bench.join(1, join(""));
    bench.join(2, join(""));
    bench.pass(6);
    let (leader, follower) = (bench.joined(1), bench.joined(2));
    bench.sync(3, &leader);
    for _ in 0..7 {
        bench.pass(5);
        let _ = bench.heartbeat(&leader);
        let _ = bench.heartbeat(&follower);
    }
    assert_eq!(bench.group.state, State::PreparingRebalance);
    assert!(!bench.group.members.contains_key(&follower.member_id));
}

#[test]
fn a_member_excused_while_it_waited_is_expected_again_once_it_was_answered() {
    let mut bench = Bench::new(3);
    bench.join(1, join(""));
    bench.join(2, join(""));
    bench.pass(6);
    let (leader, follower) = (bench.joined(1), bench.joined(2));
    bench.sync(4, &follower);
    bench.pass(1);
    // The leader outlives the follower's session, and then falls silent as well.
    assert_eq!(bench.heartbeat(&leader), Ok(()));
    bench.pass(10);
    assert_eq!(bench.take(4), Some(Reply::Sync(Err(ResponseError::RebalanceInProgress))));
    bench.join(5, join(""));
    bench.pass(10);
    let joined = bench.joined(5);
    assert_eq!(joined.members.len(), 1, "the follower's session ended long before the rebalance timeout");
}

#[test]
fn the_last_to_leave_leaves_an_empty_group_of_a_new_generation() {
    let (mut bench, leader, follower) = Bench::two();
    for member in [&leader, &follower] {
        let id = member.member_id.clone();
        assert_eq!(bench.with(|group, env| group.leave(env, &[(id, None)])), [Ok(())]);
    }
    assert_eq!((bench.group.state, bench.group.generation), (State::Empty, 2));
    assert_eq!(bench.timers.next(), None, "no timer is left behind");
}

#[test]
fn a_static_member_comes_back_to_its_place_without_a_rebalance() {
    let mut bench = Bench::new(0);
    let named = || Join { instance_id: Some("one".to_owned()), ..join("") };
    bench.join(1, named());
    let first = bench.joined(1);
    let sync = |member_id: &str| Sync {
        member_id: member_id.to_owned(),
        instance_id: Some("one".to_owned()),
        generation: 1,
        protocol_type: None,
        protocol: None,
        assignments: BTreeMap::from([(first.member_id.clone(), Bytes::from_static(b"mine"))]),
    };
    bench.with(|group, env| group.sync(env, 2, sync(&first.member_id)));
    bench.replies.clear();
    bench.join(3, named());
    let again = bench.joined(3);
    assert_eq!((again.generation, again.skip_assignment), (1, true));
    assert_ne!(again.member_id, first.member_id);
    bench.with(|group, env| group.sync(env, 4, sync(&again.member_id)));
    let Some(Reply::Sync(Ok(synced))) = bench.take(4) else { panic!("no assignment") };
    assert_eq!(synced.assignment, &b"mine"[..]);
    let fenced = bench.with(|group, env| group.heartbeat(env, &first.member_id, Some("one"), 1));
    assert_eq!(fenced, Err(ResponseError::FencedInstanceId));
}

#[test]
fn a_new_coordinator_knows_the_last_stable_generation_and_begins_sessions_anew() {
    let (mut bench, leader, follower) = Bench::two();
    bench.pass(9);
    bench.join(5, join(&leader.member_id));
    assert_eq!(bench.group.state, State::PreparingRebalance);
    bench.with(|group, env| {
        group.retire(env, ResponseError::NotCoordinator);
        group.load(env);
    });
    assert_eq!(bench.refused(5).error, ResponseError::NotCoordinator);
    assert_eq!((bench.group.state, bench.group.generation), (State::Stable, 1));
    bench.pass(9);
    assert_eq!(bench.heartbeat(&leader), Ok(()));
    assert_eq!(bench.heartbeat(&follower), Ok(()));
}

#[test]
fn joins_that_the_group_cannot_take_are_refused_for_their_reason() {
    let (mut bench, ..) = Bench::two();
    let other = vec![("sticky".to_owned(), Bytes::new())];
    let cases = [
        (Join { protocols: other, ..join("") }, ResponseError::InconsistentGroupProtocol),
        (Join { protocol_type: "connect".to_owned(), ..join("") }, ResponseError::InconsistentGroupProtocol),
        (join("nobody"), ResponseError::UnknownMemberId),
    ];
    for (join, error) in cases {
        bench.join(9, join);
        assert_eq!(bench.refused(9).error, error);
    }
    bench.config.max_size = 2;
    bench.join(5, join(""));
    let refused = bench.refused(5);
    assert_eq!((refused.error, refused.member_id.as_str()), (ResponseError::GroupMaxSizeReached, ""));
}

#[test]
fn the_assignor_most_members_prefer_is_chosen() {
    let mut bench = Bench::new(3);
    let protocols = |names: [&str; 2]| names.map(|name| (name.to_owned(), Bytes::new())).to_vec();
    for (waiter, names) in [(1, ["range", "sticky"]), (2, ["sticky", "range"]), (3, ["sticky", "range"])] {
        bench.join(waiter, Join { protocols: protocols(names), ..join("") });
    }
    bench.pass(9);
    assert_eq!(bench.joined(1).protocol.as_deref(), Some("sticky"));
}
