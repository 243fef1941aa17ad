//! The same commands on a server and, by way of its log, on its replica: both must hold the same at every step,
//! and a failover must bring back exactly what was there before the writes it loses.
//!
//! No real server takes part. The commands are those of all random templates, so a new command is tested here
//! as soon as it has a template; one that writes and has none is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use squall_mocks::redis::engine::{self, ClientId, Engine, Moment, Setup};
use squall_mocks::redis::store::{Place, Store, Stream, Value};
use squall_mocks::redis::{Expiry, Horizon, Lose, Version};

use crate::random::{KEYS, command, show};
use crate::templates::{Template, groups};
use crate::templates_apart::HASH_DEADLINES;

/// What no group of templates has: commands that wait, whole databases, near deadlines, scripts.
const MORE: &[Template] = &[
    "blpop K K 0",
    "brpop K K 0",
    "blmove K K left/right left/right 0",
    "brpoplpush K K 0",
    "blmpop 0 2 K K left/right count 2",
    "bzpopmin K K 0",
    "bzpopmax K K 0",
    "bzmpop 0 2 K K min/max count 2",
    "rpush K M M",
    "zadd K P M P M",
    "sadd K M M M",
    "spop K -/1/2/7",
    "flushall",
    "swapdb 0 1",
    "select 0/1",
    "multi",
    "exec",
    "exec",
    "set K V px 1/5/20",
    "set K V pxat 1000000",
    "set K V nx",
    "psetex K 5 V",
    "pexpire K 1/5/20 -/gt/lt",
    "getex K px 5",
    "renamenx K K",
    "copy K K db 0/1 replace",
    "get K",
    "scan 0 count 1000",
    "randomkey",
    "eval 'redis.call(\"set\",KEYS[1],1)_redis.call(\"select\",1)_redis.call(\"spop\",KEYS[2])_return_redis.call(\"incr\",KEYS[1])' 2 K K",
    "eval 'redis.call(\"rpush\",KEYS[1],1)_error(\"x\")' 1 K",
    "config set set-max-intset-entries S",
];

#[derive(Clone, Debug)]
enum Step {
    Run { client: usize, command: Vec<Vec<u8>> },
    Wait(i64),
    Jump(i64),
    Evict,
}

/// Everything that was not expired at a time, or that is not at all if none is given.
type Image = BTreeMap<Place, (Contents, Option<i64>)>;

/// A value without what the real server does not replicate either: how a set is held and
/// ordered, how a string is held (`BITFIELD` decodes one that it then leaves as it is) or a
/// sorted set (`SORT` unpacks it) or a hash (a deadline that was not set), when consumers
/// were last seen, how many entries a group has read.
#[derive(Clone, Debug, PartialEq)]
enum Contents {
    Set(BTreeSet<Bytes>),
    Fields(BTreeMap<Bytes, (Bytes, Option<i64>)>),
    Text(Bytes),
    Scored(Vec<(Bytes, f64)>),
    Other(Value),
}

fn image(store: &Store, now_ms: Option<i64>) -> Image {
    let contents = |value: &Value| match value {
        Value::Str(text) => Contents::Text(text.to_bytes()),
        Value::Zset(zset) => {
            let all = zset.all().into_iter();
            Contents::Scored(all.map(|one| (one.member.clone(), one.score)).collect())
        }
        Value::Set(set) => Contents::Set(set.iter().collect()),
        Value::Hash(hash) => {
            let field =
                |(name, value): (&Bytes, &Bytes)| (name.clone(), (value.clone(), hash.deadline_ms(name)));
            Contents::Fields(hash.iter().map(field).collect())
        }
        Value::Stream(stream) => {
            let mut stream = Stream::clone(stream);
            for group in stream.groups_mut().values_mut() {
                group.entries_read = None;
                for consumer in group.consumers().keys().cloned().collect::<Vec<_>>() {
                    group.see(&consumer, 0);
                }
            }
            Contents::Other(Value::Stream(stream.into()))
        }
        other => Contents::Other(other.clone()),
    };
    let all =
        (0..store.databases()).flat_map(|db| store.db(db).iter().map(move |(key, entry)| (db, key, entry)));
    let live = all.filter(|(_, _, entry)| now_ms.is_none_or(|now| !entry.is_expired(now)));
    live.map(|(db, key, entry)| ((db, key.to_bytes()), (contents(&entry.value), entry.deadline_ms))).collect()
}

struct Bench {
    engine: Engine,
    clients: Vec<ClientId>,
    at: Moment,
    /// The data after each number of writes, as it was last seen.
    after: BTreeMap<u64, Image>,
}

impl Bench {
    fn new(expiry: Expiry, horizon: Horizon) -> Self {
        let at = Moment { unix_us: 2_000_000_000_000_000, elapsed_us: 0 };
        let setup = Setup {
            seed: 5,
            expiry,
            password: None,
            horizon,
            replica_lag: Duration::ZERO,
            databases: 16,
            script_instructions: 100_000,
        };
        let mut engine = Engine::new(setup, at);
        // It has every command of the versions before.
        engine.set_version(Version::V7_4);
        let clients = (0..3).map(|_| engine.connect("test:1".to_owned(), at)).collect();
        let mut bench = Self { engine, clients, at, after: BTreeMap::new() };
        bench.engine.connect_replica("test:2".to_owned(), at);
        bench.note();
        bench
    }

    fn note(&mut self) {
        self.after.insert(self.engine.logged_writes(), image(self.engine.store(), None));
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Run { client, command } => {
                let id = self.clients[*client];
                if !self.engine.is_waiting(id) {
                    let args = command.iter().map(|word| Bytes::copy_from_slice(word)).collect();
                    self.engine.exec(id, args, self.at);
                }
            }
            Step::Wait(us) => {
                self.at.unix_us += us;
                self.at.elapsed_us += us;
            }
            Step::Jump(ms) => {
                self.at.unix_us += ms * 1000;
                self.engine.clock_jumped(self.at);
            }
            Step::Evict => drop(self.engine.evict(b"[ab]", self.at)),
        }
        self.engine.run_due(self.at);
        self.engine.take_deliveries();
        self.note();
    }

    fn check_replica(&self) -> Result<(), TestCaseError> {
        let replica = self.engine.replica_store().map(|store| image(store, None));
        prop_assert_eq!(replica, Some(image(self.engine.store(), None)));
        Ok(())
    }
}

fn check(steps: &[Step], expiry: Expiry, writes: usize, lost: usize) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(expiry, Horizon { writes, ..Horizon::default() });
    for step in steps {
        bench.apply(step);
        bench.check_replica()?;
    }
    let total = bench.engine.logged_writes();
    let found = bench.engine.failover(Lose::LastWrites(lost), bench.at);
    prop_assert!(found <= lost);
    if writes > steps.len() * 4 {
        prop_assert_eq!(found as u64, total.min(lost as u64));
    }
    // One step can be several writes: clients that waited write too.
    if let Some(before) = bench.after.get(&(total - found as u64)) {
        prop_assert_eq!(&image(bench.engine.store(), None), before);
    }
    bench.check_replica()?;
    // What took over has a replica of its own, which stands where it stands.
    let base = image(bench.engine.store(), None);
    bench.clients = (0..3).map(|_| bench.engine.connect("test:3".to_owned(), bench.at)).collect();
    bench.apply(&Step::Run { client: 0, command: vec![b"incr".to_vec(), b"n".to_vec()] });
    bench.check_replica()?;
    prop_assert_eq!(bench.engine.failover(Lose::LastWrites(1), bench.at), 1);
    prop_assert_eq!(image(bench.engine.store(), None), base);
    Ok(())
}

/// Runs random sequences on a server and its replica.
pub fn agrees() -> Result<(), String> {
    let all: Vec<Template> = groups().iter().flat_map(|(_, group)| *group).chain(MORE).copied().collect();
    let missing = untested(&all);
    if !missing.is_empty() {
        return Err(format!("no template has the commands {}", missing.join(", ")));
    }
    // Sequences of one type and of all, since chance rarely builds much of one type from all commands.
    let apart = [("hash_deadlines", HASH_DEADLINES), ("all", &[][..])];
    for (name, group) in groups().into_iter().chain(apart) {
        let templates: Vec<Template> =
            if group.is_empty() { all.clone() } else { group.iter().chain(MORE).copied().collect() };
        run(templates).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

fn run(templates: Vec<Template>) -> Result<(), String> {
    let command = proptest::sample::select(templates).prop_flat_map(|template| command(template, KEYS));
    let step = prop_oneof![
        16 => (0..3_usize, command).prop_map(|(client, command)| Step::Run { client, command }),
        3 => (0..8_000_i64).prop_map(Step::Wait),
        1 => (-20..20_i64).prop_map(Step::Jump),
        1 => Just(Step::Evict),
    ];
    let expiry = prop_oneof![Just(Expiry::Exact), Just(Expiry::LazyOnly), Just(Expiry::Redis { hz: 100 })];
    let cases =
        (prop::collection::vec(step, 1..80), expiry, prop_oneof![Just(3_usize), Just(10_000)], 0..40_usize);
    let config = Config { cases: 60, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng)
        .run(&cases, |(steps, expiry, writes, lost)| check(&steps, expiry, writes, lost));
    outcome.map_err(|error| match error {
        TestError::Fail(why, (steps, expiry, writes, lost)) => {
            let lines: Vec<String> = steps.iter().map(describe).collect();
            format!("{why}\nwith {expiry:?}, {writes} writes kept, {lost} lost, after\n{}", lines.join("\n"))
        }
        other => other.to_string(),
    })
}

fn describe(step: &Step) -> String {
    match step {
        Step::Run { client, command } => format!("  {client}> {}", show(command)),
        other => format!("  {other:?}"),
    }
}

/// Commands that write and that no template has.
fn untested(templates: &[Template]) -> Vec<&'static str> {
    let used: BTreeSet<String> = templates
        .iter()
        .map(|template| template.split(' ').take(2).map(str::to_lowercase).collect::<Vec<_>>().join("|"))
        .collect();
    let is_used = |name: &str| used.iter().any(|one| one == name || one.split('|').next() == Some(name));
    let leaves = engine::commands().iter().flat_map(|spec| {
        if spec.children().is_empty() { std::slice::from_ref(*spec) } else { spec.children() }
    });
    let writing = leaves.filter(|spec| spec.writes());
    writing.map(|spec| spec.name).filter(|name| !is_used(name)).collect()
}
