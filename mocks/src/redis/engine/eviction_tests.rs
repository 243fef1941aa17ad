//! Eviction, from outside: limits are kept, policies keep what they should.

use bytes::Bytes;
use proptest::prelude::*;

use super::eviction::{EMPTY_BYTES, key_bytes};
use super::{Engine, Moment, Setup};
use crate::redis::resp::Reply;

struct Server {
    engine: Engine,
    client: u64,
    ms: i64,
}

impl Server {
    /// A server that may hold `keys` bytes of keys and values.
    fn new(policy: &str, keys: usize) -> Self {
        let mut engine = Engine::new(Setup::for_tests(), Moment::default());
        let client = engine.connect("test".to_owned(), Moment::default());
        let mut server = Self { engine, client, ms: 1_000_000 };
        server.run(&format!("config set maxmemory {} maxmemory-policy {policy}", EMPTY_BYTES + keys));
        server
    }

    fn run(&mut self, line: &str) -> Reply {
        let args = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        let at = Moment { unix_us: self.ms * 1000, elapsed_us: 0 };
        self.engine.exec(self.client, args, at).reply.expect("a reply")
    }

    fn size(&self) -> usize {
        let dbs = (0..self.engine.store().databases()).map(|db| self.engine.store().db(db));
        dbs.flat_map(|db| db.iter()).map(|(key, entry)| key_bytes(key, entry)).sum()
    }
}

#[test]
fn without_eviction_a_full_server_refuses_what_needs_memory_and_nothing_else() {
    let mut server = Server::new("noeviction", 100);
    let full = Reply::Error("OOM command not allowed when used memory > 'maxmemory'.".to_owned());
    assert_eq!(server.run("set a 1"), Reply::OK);
    assert_eq!(server.run("set b 1"), Reply::OK);
    assert_eq!(server.run("set c 1"), Reply::OK);
    assert_eq!(server.run("set d 1"), full);
    assert_eq!(server.run("get a"), Reply::bulk("1"));
    assert_eq!(server.run("del a"), Reply::Int(1));
    assert_eq!(server.run("set d 1"), Reply::OK);
}

#[test]
fn the_key_unused_for_longest_goes_first() {
    let mut server = Server::new("allkeys-lru", 48 * 10);
    server.run("config set maxmemory-samples 64");
    for key in 0..10 {
        server.ms += 1000;
        server.run(&format!("set {key} 1"));
    }
    server.ms += 1000;
    server.run("get 0");
    server.run("set x 1");
    server.run("ping");
    assert_eq!(server.run("exists 0 1 x"), Reply::Int(2));
    assert_eq!(server.run("exists 1"), Reply::Int(0));
}

#[test]
fn the_key_used_least_goes_first() {
    let mut server = Server::new("allkeys-lfu", 48 * 4);
    server.run("config set maxmemory-samples 64 lfu-log-factor 0");
    for key in ["a", "b", "c", "d"] {
        server.run(&format!("set {key} 1"));
    }
    for key in ["a", "b", "d"] {
        server.run(&format!("get {key}"));
    }
    assert_eq!(server.run("object freq a"), Reply::Int(6));
    server.run("set x 1");
    server.run("get x");
    assert_eq!(server.run("exists a b d"), Reply::Int(3));
    server.ms += 60_000 * 3;
    assert_eq!(server.run("object freq a"), Reply::Int(3));
}

#[test]
fn what_does_not_fit_a_new_limit_goes_though_no_command_comes() {
    let mut server = Server::new("allkeys-lru", 1000);
    server.run("config set maxmemory 0");
    server.run("set a 1");
    assert_eq!(server.engine.next_due_ms(), None);
    assert_eq!(server.run("config set maxmemory 1"), Reply::OK);
    assert_eq!(server.engine.next_due_ms(), Some(server.ms));
    server.engine.run_due(Moment { unix_us: server.ms * 1000, elapsed_us: 0 });
    assert_eq!((server.engine.store().db(0).len(), server.engine.stats().evicted), (0, 1));
    assert_eq!(server.engine.next_due_ms(), None);
}

#[test]
fn nothing_is_evicted_in_a_pause() {
    let mut server = Server::new("allkeys-lru", 1000);
    server.run("set a 1");
    server.run("client pause 1000 write");
    server.run("config set maxmemory 1");
    assert_eq!(server.run("get a"), Reply::bulk("1"));
    server.run("client unpause");
    assert_eq!(server.run("get a"), Reply::Null);
}

#[test]
fn evicted_keys_are_counted() {
    let mut server = Server::new("allkeys-random", 48 * 4);
    for key in 0..20 {
        server.run(&format!("set {key} 1"));
    }
    server.run("ping");
    let stats = server.engine.stats().evicted;
    assert_eq!(usize::try_from(stats).expect("few"), 20 - server.engine.store().db(0).len());
}

fn command() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..20_u8, 0..300_usize).prop_map(|(key, size)| format!("set k{key} {}", "x".repeat(size + 1))),
        (0..20_u8, 0..9_u8).prop_map(|(key, field)| format!("hset h{key} f{field} value")),
        (0..20_u8, 0..9_u8).prop_map(|(key, item)| format!("rpush l{key} {item}")),
        (0..20_u8).prop_map(|key| format!("lpop l{key}")),
        (0..20_u8).prop_map(|key| format!("del k{key} h{key}")),
        (0..20_u8).prop_map(|key| format!("pexpire k{key} 5")),
        (0..20_u8, 0..20_u8).prop_map(|(from, to)| format!("rename k{from} k{to}")),
        Just("swapdb 0 1".to_owned()),
        Just("flushdb".to_owned()),
    ]
}

proptest! {
    #[test]
    fn the_running_sum_is_the_size_of_the_data_and_stays_within_the_limit(
        policy in prop::sample::select(vec!["allkeys-lru", "allkeys-lfu", "allkeys-random"]),
        commands in prop::collection::vec(command(), 1..80),
    ) {
        let limit = 4000;
        let mut server = Server::new(policy, limit);
        for line in commands {
            server.ms += 1;
            server.run(&line);
            prop_assert_eq!(server.engine.used_memory(), EMPTY_BYTES + server.size());
        }
        server.run("ping");
        prop_assert!(server.size() <= limit);
    }

    #[test]
    fn volatile_policies_never_evict_what_has_no_deadline(
        policy in prop::sample::select(vec!["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]),
        keys in prop::collection::vec((0..40_u8, any::<bool>()), 1..60),
    ) {
        let mut server = Server::new(policy, 48 * 12);
        let mut kept = std::collections::BTreeSet::new();
        for (key, volatile) in keys {
            let line = if volatile { format!("set v{key} 1 px 100000") } else { format!("set p{key} 1") };
            if server.run(&line) == Reply::OK && !volatile {
                kept.insert(format!("p{key}"));
            }
        }
        for key in kept {
            prop_assert_eq!(server.run(&format!("exists {key}")), Reply::Int(1));
        }
    }
}
