//! Carries a plan's faults out: begins each when it is due, ends it, and heals everything at the end.
//!
//! What a fault does is done through the handles of the network, the mocks and the sinks. Killing and starting
//! a host's tasks is the engine's and is asked for, because a host cannot be dropped while its code runs; to
//! everyone else the host is dead at once.

use std::collections::BTreeMap;
use std::time::Duration;

use squall_core::clock::Clock;
use squall_mocks::kafka::{KafkaCluster, KafkaMatch, ReplicaLag};
use squall_mocks::redis::{Keep as RedisKeep, Lose, RedisMatch, RedisServer};
use squall_mocks::rule::{Act, Rule, RuleHandle};

use crate::fault::{
    ClockFault, Direction, Fault, Hosts, HttpAct, HttpFault, KafkaFault, Keep, NetFault, ProcessFault,
    RedisFault,
};
use crate::history::{Edge, Record, Recorder};
use crate::plan::{PlannedFault, Trigger, counted_as};
use crate::sim::net::{Condition, Net};
use crate::sim::{HostId, now};
use crate::sink::{EveryRequest, HttpSink};

/// The host observers record under.
pub(super) const HARNESS: &str = "harness";

/// What a Redis that is killed has not yet written to its append-only file.
const UNSYNCED: Duration = Duration::from_secs(1);

/// The parts of the world that faults act on.
pub(super) struct Targets {
    pub(super) net: Net,
    /// Names of all hosts, by number.
    pub(super) names: Vec<String>,
    pub(super) kafka: Vec<Cluster>,
    pub(super) redis: BTreeMap<String, RedisServer>,
    pub(super) sinks: BTreeMap<String, HttpSink>,
    /// The wall clocks of services, by host.
    pub(super) clocks: BTreeMap<String, Clock>,
}

/// A Kafka cluster and the hosts of its nodes, node 1 first.
pub(super) struct Cluster {
    pub(super) cluster: KafkaCluster,
    pub(super) hosts: Vec<String>,
}

/// What the engine is asked for after the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Crash(HostId),
    Restart(HostId),
    Pause(HostId),
    Resume(HostId),
}

/// What becomes of a host that passes a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Untouched,
    /// It is dead.
    Killed,
    /// It stands still from the end of this step on.
    Paused,
}

pub(super) struct Injector {
    targets: Targets,
    recorder: Recorder,
    waiting: Vec<(usize, PlannedFault)>,
    active: Vec<Active>,
    passages: BTreeMap<usize, u64>,
    errands: Vec<Errand>,
}

struct Active {
    id: u64,
    name: String,
    ends: Option<Duration>,
    undo: Vec<Undo>,
}

enum Undo {
    Links,
    KafkaRule(RuleHandle<KafkaMatch>),
    RedisRule(RuleHandle<RedisMatch>),
    HttpRule(RuleHandle<EveryRequest>),
    MetadataLag(usize, i32),
    ReplicaLag(usize, String),
    Readonly,
    Start(HostId),
    Resume(HostId),
}

impl Injector {
    pub(super) fn new(targets: Targets, faults: &[PlannedFault], recorder: Recorder) -> Self {
        let waiting = faults.iter().cloned().enumerate().collect();
        let (active, passages, errands) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { targets, recorder, waiting, active, passages, errands }
    }

    /// Ends and begins what is due.
    pub(super) fn advance(&mut self) {
        let over = |active: &Active| active.ends.is_some_and(|ends| ends <= now());
        while let Some(index) = self.active.iter().position(over) {
            let active = self.active.remove(index);
            self.end(active);
        }
        let due = |fault: &PlannedFault| matches!(fault.trigger, Trigger::At(at) if at <= now());
        while let Some(index) = self.waiting.iter().position(|(_, fault)| due(fault)) {
            let (number, fault) = self.waiting.remove(index);
            self.begin(number, &fault, None);
        }
    }

    /// Ends every fault and forgets those that have not begun.
    pub(super) fn heal(&mut self) {
        self.waiting.clear();
        for active in std::mem::take(&mut self.active) {
            self.end(active);
        }
    }

    /// `host` passes the point `name`. Answers what has become of the host in this step.
    pub(super) fn passed(&mut self, name: &str, host: HostId) -> Fate {
        let host_name = self.targets.names[usize::from(host.0)].clone();
        let mut struck = Vec::new();
        for (number, fault) in &self.waiting {
            let Trigger::Point(at) = &fault.trigger else { continue };
            if at.point == name && at.host.as_ref().is_none_or(|hosts| hosts.contains(&host_name)) {
                let passages = self.passages.entry(*number).or_default();
                *passages += 1;
                if *passages == at.nth {
                    struck.push(*number);
                }
            }
        }
        for number in struck {
            if let Some(index) = self.waiting.iter().position(|(other, _)| *other == number) {
                let (number, fault) = self.waiting.remove(index);
                self.begin(number, &fault, Some(host));
            }
        }
        if self.errands.contains(&Errand::Crash(host)) {
            Fate::Killed
        } else if self.errands.contains(&Errand::Pause(host)) {
            Fate::Paused
        } else {
            Fate::Untouched
        }
    }

    /// What the engine has to do, in order.
    pub(super) fn take_errands(&mut self) -> Vec<Errand> {
        std::mem::take(&mut self.errands)
    }

    fn begin(&mut self, number: usize, planned: &PlannedFault, passing: Option<HostId>) {
        // Numbers of faults tell the network whose conditions are whose.
        let id = u64::try_from(number).unwrap_or(u64::MAX);
        self.recorder.saw(counted_as(&planned.name));
        let record = Record::Fault { name: planned.name.as_str().into(), edge: Edge::Begin };
        self.recorder.record(HARNESS, record);
        let undo = match &planned.fault {
            Fault::Net(fault) => self.begin_net(id, fault),
            Fault::Process(fault) => self.begin_process(fault, passing),
            Fault::Clock(fault) => self.begin_clock(fault),
            Fault::Kafka(fault) => self.begin_kafka(&planned.name, fault),
            Fault::Redis(fault) => self.begin_redis(&planned.name, fault),
            Fault::Http(fault) => self.begin_http(&planned.name, fault),
        };
        // A killed host without `for` comes back in the next step.
        let at_once = undo.iter().any(|undo| matches!(undo, Undo::Start(_))) && !stays_away(&planned.fault);
        let ends = planned.lasts.or(at_once.then_some(Duration::ZERO)).map(|lasts| now() + lasts);
        let active = Active { id, name: planned.name.clone(), ends, undo };
        if active.undo.is_empty() { self.end(active) } else { self.active.push(active) }
    }

    fn end(&mut self, active: Active) {
        for undo in active.undo {
            match undo {
                Undo::Links => self.targets.net.clear(active.id),
                Undo::KafkaRule(rule) => rule.remove(),
                Undo::RedisRule(rule) => rule.remove(),
                Undo::HttpRule(rule) => rule.remove(),
                Undo::ReplicaLag(cluster, topic) => {
                    set_replica_lag(&self.targets.kafka[cluster].cluster, &topic, None);
                }
                Undo::MetadataLag(cluster, node) => {
                    // The node was there when the fault began.
                    let _ = self.targets.kafka[cluster].cluster.set_metadata_lag(node, None);
                }
                Undo::Readonly => self.targets.redis.values().for_each(|redis| redis.set_readonly(false)),
                Undo::Start(host) => self.start(host),
                Undo::Resume(host) => self.resume(host),
            }
        }
        let record = Record::Fault { name: active.name.as_str().into(), edge: Edge::End };
        self.recorder.record(HARNESS, record);
    }

    fn begin_net(&mut self, id: u64, fault: &NetFault) -> Vec<Undo> {
        let (ends, condition) = match fault {
            NetFault::Partition { between, direction: Direction::Forward } => {
                self.one_way(id, between, &Condition::Down);
                return vec![Undo::Links];
            }
            NetFault::HalfOpen { link } => {
                self.one_way(id, link, &Condition::Down);
                return vec![Undo::Links];
            }
            NetFault::Reset { link } => {
                for (a, b) in self.pairs(link) {
                    self.targets.net.reset(a, b);
                }
                return Vec::new();
            }
            NetFault::Partition { between, .. } => (between, Condition::Down),
            NetFault::Latency { link, add, jitter } => {
                (link, Condition::Latency { add: *add, jitter: *jitter })
            }
            NetFault::CutAfter { link, bytes } => (link, Condition::CutAfter(*bytes)),
            NetFault::Bandwidth { link, rate } => (link, Condition::Bandwidth(rate.bytes_per_second())),
            NetFault::Slice { link, max_bytes } => {
                (link, Condition::Slice(usize::try_from(*max_bytes).unwrap_or(usize::MAX)))
            }
        };
        self.one_way(id, ends, &condition);
        self.one_way(id, &[ends[1].clone(), ends[0].clone()], &condition);
        vec![Undo::Links]
    }

    fn one_way(&self, id: u64, ends: &[Hosts; 2], condition: &Condition) {
        for (from, to) in self.pairs(ends) {
            self.targets.net.apply(id, from, to, condition.clone());
        }
    }

    fn begin_process(&mut self, fault: &ProcessFault, passing: Option<HostId>) -> Vec<Undo> {
        let (ProcessFault::Kill { host, .. } | ProcessFault::Pause { host }) = fault;
        let hosts = match host {
            Some(hosts) => self.ids(hosts),
            None => passing.into_iter().collect(),
        };
        if let ProcessFault::Pause { .. } = fault {
            self.errands.extend(hosts.iter().map(|host| Errand::Pause(*host)));
            return hosts.into_iter().map(Undo::Resume).collect();
        }
        for host in &hosts {
            self.kill(*host);
        }
        hosts.into_iter().map(Undo::Start).collect()
    }

    fn begin_clock(&self, fault: &ClockFault) -> Vec<Undo> {
        let ClockFault::Jump { host, by, direction } = fault;
        let delta_ms = direction.millis(*by);
        for name in host.names() {
            if let Some(redis) = self.targets.redis.get(name) {
                redis.jump(delta_ms);
            }
            if let Some(clock) = self.targets.clocks.get(name) {
                clock.jump(delta_ms);
            }
        }
        Vec::new()
    }

    /// A pause is over. Two may hold a host; it runs on when the last of them ends.
    fn resume(&mut self, host: HostId) {
        let holds = |undo: &Undo| matches!(undo, Undo::Resume(other) if *other == host);
        if !self.active.iter().any(|active| active.undo.iter().any(holds)) {
            self.errands.push(Errand::Resume(host));
        }
    }

    fn kill(&mut self, host: HostId) {
        let name = self.targets.names[usize::from(host.0)].clone();
        self.targets.net.kill(host);
        if let Some((cluster, node)) = self.broker(&name) {
            let _ = self.targets.kafka[cluster].cluster.node_down(node);
        }
        if let Some(redis) = self.targets.redis.get(&name) {
            redis.restart(RedisKeep::AllBut(UNSYNCED));
        }
        self.errands.push(Errand::Crash(host));
    }

    fn start(&mut self, host: HostId) {
        let name = self.targets.names[usize::from(host.0)].clone();
        // Two faults may have killed it; it comes back when the last of them ends.
        let holds = |undo: &Undo| matches!(undo, Undo::Start(other) if *other == host);
        if self.active.iter().any(|active| active.undo.iter().any(holds)) {
            return;
        }
        if let Some((cluster, node)) = self.broker(&name) {
            let _ = self.targets.kafka[cluster].cluster.node_up(node);
        }
        if !self.errands.contains(&Errand::Restart(host)) {
            self.errands.push(Errand::Restart(host));
        }
    }

    fn begin_kafka(&mut self, name: &str, fault: &KafkaFault) -> Vec<Undo> {
        let mut undo = Vec::new();
        for (index, Cluster { cluster, .. }) in self.targets.kafka.iter().enumerate() {
            match fault {
                KafkaFault::Rule(rule) => {
                    let rule = Rule { name: Some(name.to_owned()), ..(**rule).clone() };
                    undo.push(Undo::KafkaRule(cluster.rules().add(rule)));
                }
                KafkaFault::MoveCoordinator { group } => {
                    cluster.move_coordinator(group);
                }
                KafkaFault::MoveLeader { topic, partition, to } => {
                    // A topic that does not exist has no leader to move.
                    let _ = match to {
                        Some(_) => cluster.move_leader(topic, *partition, *to),
                        None => cluster.move_leader_on(topic, *partition).map(|_| ()),
                    };
                }
                KafkaFault::ReplicaLag { topic } => {
                    set_replica_lag(cluster, topic, Some(ReplicaLag::Held));
                    undo.push(Undo::ReplicaLag(index, topic.clone()));
                }
                KafkaFault::MetadataLag { node, by } => {
                    if cluster.set_metadata_lag(*node, Some(*by)).is_ok() {
                        undo.push(Undo::MetadataLag(index, *node));
                    }
                }
            }
        }
        undo
    }

    fn begin_redis(&mut self, name: &str, fault: &RedisFault) -> Vec<Undo> {
        let mut undo = Vec::new();
        for redis in self.targets.redis.values() {
            match fault {
                RedisFault::Rule(rule) => {
                    let rule = Rule { name: Some(name.to_owned()), ..rule.clone() };
                    undo.push(Undo::RedisRule(redis.rules().add(rule)));
                }
                // How many keys or writes were lost is in the trace.
                RedisFault::Failover { lose_last } => {
                    redis.failover(Lose::Last(*lose_last));
                }
                RedisFault::Restart { keep: Keep::Nothing } => {
                    redis.restart(RedisKeep::Nothing);
                }
                RedisFault::Restart { keep: Keep::Everything } => {
                    redis.restart(RedisKeep::AllBut(Duration::ZERO));
                }
                RedisFault::Flush {} => {
                    redis.flush_all();
                }
                RedisFault::Evict { key } => {
                    redis.evict(key);
                }
                RedisFault::Readonly {} => {
                    redis.set_readonly(true);
                    undo.push(Undo::Readonly);
                }
            }
        }
        undo
    }

    fn begin_http(&mut self, name: &str, fault: &HttpFault) -> Vec<Undo> {
        let HttpFault::Rule { host, act, probability, count } = fault;
        let act = match act {
            HttpAct::Status(status) => Act::Error(status.to_string()),
            HttpAct::Delay(by) => Act::Delay(*by),
            HttpAct::DropBefore => Act::DropBefore,
            HttpAct::DropAfter => Act::DropAfter,
        };
        let probability = probability.map(|probability| probability.get());
        let rule = Rule { count: *count, probability, ..Rule::new(EveryRequest, act).named(name) };
        let sinks = host.names().iter().filter_map(|host| self.targets.sinks.get(host));
        sinks.map(|sink| Undo::HttpRule(sink.rules().add(rule.clone()))).collect()
    }

    fn broker(&self, host: &str) -> Option<(usize, i32)> {
        self.targets.kafka.iter().enumerate().find_map(|(index, cluster)| {
            let node = cluster.hosts.iter().position(|name| name == host)?;
            Some((index, i32::try_from(node + 1).ok()?))
        })
    }

    fn pairs(&self, ends: &[Hosts; 2]) -> Vec<(HostId, HostId)> {
        let [from, to] = [self.ids(&ends[0]), self.ids(&ends[1])];
        from.iter().flat_map(|a| to.iter().filter(move |b| a != *b).map(move |b| (*a, *b))).collect()
    }

    /// Hosts of a plan are names; one that is not there names nothing.
    fn ids(&self, hosts: &Hosts) -> Vec<HostId> {
        let named = self.targets.names.iter().enumerate().filter(|(_, name)| hosts.contains(name));
        named.map(|(index, _)| HostId(u16::try_from(index).unwrap_or(u16::MAX))).collect()
    }
}

/// Whether a killed host stays away until everything is healed.
fn stays_away(fault: &Fault) -> bool {
    matches!(fault, Fault::Process(ProcessFault::Kill { restart: false, .. }))
}

/// Lets every replica of a topic keep up with its leader so.
fn set_replica_lag(cluster: &KafkaCluster, topic: &str, lag: Option<ReplicaLag>) {
    for number in 0.. {
        // A topic that does not exist has no replicas.
        let Some(known) = cluster.replicas(topic, number) else { return };
        for node in known.ends.into_keys() {
            let _ = cluster.set_replica_lag(topic, number, node, lag);
        }
    }
}
