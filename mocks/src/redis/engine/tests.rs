//! The engine on a clock of the test's own: strict deadlines, lazy and active expiry, frozen time, sandbox.

use proptest::prelude::*;

use super::*;
use crate::redis::store::Blob;

/// An engine, one client and a clock that moves only by hand.
struct Bench {
    engine: Engine,
    client: ClientId,
    at: Moment,
}

impl Bench {
    fn new(expiry: Expiry) -> Self {
        let at = Moment { unix_us: 1_000_000_000, elapsed_us: 0 };
        let mut engine = Engine::new(Setup { expiry, ..Setup::for_tests() }, at);
        let client = engine.connect("test:1".to_owned(), at);
        Self { engine, client, at }
    }

    fn wait_ms(&mut self, ms: i64) {
        self.at.unix_us += ms * 1000;
        self.at.elapsed_us += ms * 1000;
    }

    fn args(&mut self, args: &[&str]) -> Reply {
        let args = args.iter().map(|arg| Bytes::copy_from_slice(arg.as_bytes())).collect();
        self.engine.exec(self.client, args, self.at).reply.expect("a reply")
    }

    fn run(&mut self, line: &str) -> Reply {
        self.args(&line.split(' ').collect::<Vec<_>>())
    }
}

fn error(reply: Reply) -> String {
    match reply {
        Reply::Error(line) => line,
        other => panic!("expected an error, found {other:?}"),
    }
}

#[test]
fn a_key_exists_at_its_deadline_and_not_a_millisecond_later() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    bench.run("SET k v PX 100");
    bench.wait_ms(100);
    assert_eq!((bench.run("EXISTS k"), bench.run("PTTL k")), (Reply::Int(1), Reply::Int(0)));
    bench.wait_ms(1);
    assert_eq!((bench.run("EXISTS k"), bench.run("PTTL k")), (Reply::Int(0), Reply::Int(-2)));
}

#[test]
fn an_expired_key_counts_until_it_is_looked_at() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    bench.run("SET k v PX 10");
    bench.wait_ms(11);
    assert_eq!(bench.run("DBSIZE"), Reply::Int(1));
    assert_eq!(bench.run("KEYS *"), Reply::Array(vec![]));
    assert_eq!(bench.run("DBSIZE"), Reply::Int(1), "KEYS hides, and deletes nothing");
    assert_eq!(bench.run("GET k"), Reply::Null);
    assert_eq!(bench.run("DBSIZE"), Reply::Int(0));
    assert_eq!(bench.engine.take_expired(), [(0, Bytes::from_static(b"k"))]);
}

#[test]
fn active_expiry_is_due_just_after_the_deadline_or_at_the_next_tick_or_never() {
    for (expiry, due) in [
        (Expiry::Exact, Some(1_000_051)),
        (Expiry::Redis { hz: 10 }, Some(1_000_100)),
        (Expiry::LazyOnly, None),
    ] {
        let mut bench = Bench::new(expiry);
        assert_eq!(bench.engine.next_expiry_ms(), None, "without deadlines there is nothing to wait for");
        bench.run("SET k v PX 50");
        assert_eq!(bench.engine.next_expiry_ms(), due);
        if let Some(due) = due {
            bench.wait_ms(50);
            bench.engine.run_due(bench.at);
            assert_eq!(bench.run("DBSIZE"), Reply::Int(1), "at the deadline the key still exists");
            bench.wait_ms(due - bench.at.unix_ms());
            bench.engine.run_due(bench.at);
            assert_eq!(bench.run("DBSIZE"), Reply::Int(0));
        }
        bench.run("DEBUG SET-ACTIVE-EXPIRE 0");
        bench.run("SET k v PX 50");
        assert_eq!(bench.engine.next_expiry_ms(), None);
    }
}

#[test]
fn many_keys_that_expire_at_once_go_in_portions_but_where_expiry_is_exact() {
    for (expiry, left) in [(Expiry::Redis { hz: 10 }, [1500, 500, 0]), (Expiry::Exact, [0, 0, 0])] {
        let mut bench = Bench::new(expiry);
        for number in 0..2500 {
            bench.run(&format!("SET k{number} v PX 50"));
        }
        bench.wait_ms(100);
        for left in left {
            bench.engine.run_due(bench.at);
            assert_eq!(bench.run("DBSIZE"), Reply::Int(left), "{expiry:?}");
            let is_due = bench.engine.next_due_ms().is_some_and(|due| due <= bench.at.unix_ms());
            assert_eq!(is_due, left > 0, "{expiry:?}");
        }
    }
}

#[test]
fn a_clock_that_jumps_moves_no_deadline() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    bench.run("SET k v PX 1000");
    bench.at.unix_us -= 500_000;
    assert_eq!(bench.run("PTTL k"), Reply::Int(1500));
    bench.at.unix_us += 10_000_000;
    assert_eq!(bench.run("GET k"), Reply::Null);
}

#[test]
fn time_stands_still_in_a_transaction_and_in_a_script() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    let script = "redis.call('set', KEYS[1], 'v', 'px', 5) local from = redis.call('time') \
                  for i = 1, 50000 do end local to = redis.call('time') \
                  return {from[2] == to[2], redis.call('exists', KEYS[1])}";
    let reply = bench.args(&["EVAL", script, "1", "k"]);
    assert_eq!(reply, Reply::Array(vec![Reply::Int(1), Reply::Int(1)]));
}

#[test]
fn a_watched_key_that_expires_breaks_the_transaction_though_nobody_deleted_it() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    bench.run("SET k v PX 10");
    bench.run("WATCH k");
    bench.wait_ms(11);
    bench.run("MULTI");
    bench.run("PING");
    assert_eq!(bench.run("EXEC"), Reply::NullArray);

    bench.run("SET k v PX 10");
    bench.wait_ms(11);
    bench.run("WATCH k");
    bench.run("GET k");
    bench.run("MULTI");
    assert_eq!(bench.run("EXEC"), Reply::Array(vec![]), "it had expired before it was watched");
}

#[test]
fn another_clients_write_breaks_a_watch() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    let other = bench.engine.connect("test:2".to_owned(), bench.at);
    bench.run("WATCH k");
    bench.engine.exec(other, ["SET", "k", "1"].map(Bytes::from).to_vec(), bench.at);
    bench.run("MULTI");
    assert_eq!(bench.run("EXEC"), Reply::NullArray);
}

#[test]
fn a_script_cannot_run_for_ever_and_cannot_catch_being_stopped() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    for script in ["while true do end", "while true do pcall(function() while true do end end) end"] {
        let line = error(bench.args(&["EVAL", script, "0"]));
        assert!(line.contains("Script killed by user"), "{line}");
    }
    assert_eq!(bench.args(&["EVAL", "return 1", "0"]), Reply::Int(1), "the interpreter still works");
}

#[test]
fn a_script_leaves_nothing_behind_and_reaches_nothing_outside() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    for script in [
        "x = 1",
        "_G.x = 1",
        "rawset(_G, 'x', 1)",
        "string.format = nil",
        "redis.call = nil",
        "setmetatable(_G, {})",
        "getmetatable('').__index = 1",
        "return os.time()",
        "return io",
        "return require('os')",
        "return loadstring('x = 1')()",
        "return debug",
        "return setfenv",
    ] {
        error(bench.args(&["EVAL", script, "0"]));
    }
    assert_eq!(bench.args(&["EVAL", "return loadstring('\\27Lua')", "0"]), Reply::Null);
    let reply =
        bench.args(&["EVAL", "return {redis.call('ping').ok, ('x'):rep(2), type(string.format)}", "0"]);
    assert_eq!(reply, Reply::bulks(["PONG", "xx", "function"]));
}

#[test]
fn a_table_that_contains_itself_is_an_error_and_not_a_crash() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    let reply = bench.args(&["EVAL", "local t = {} t[1] = t return t", "0"]);
    assert!(format!("{reply:?}").contains("reached lua stack limit"));
}

#[test]
fn a_failover_loses_a_whole_transaction_or_none_of_it() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    bench.run("SET a 1");
    for line in ["MULTI", "SET a 2", "SET b 2", "EXEC"] {
        bench.run(line);
    }
    assert_eq!(bench.engine.failover(Lose::LastWrites(1), bench.at), 1);
    assert!(!bench.engine.is_connected(bench.client), "every connection is closed");
    bench.client = bench.engine.connect("test:2".to_owned(), bench.at);
    assert_eq!(bench.run("MGET a b"), Reply::Array(vec![Reply::bulk("1"), Reply::Null]));
}

const LIBRARY: &str =
    "#!lua name=one\nredis.register_function('f', function(k, a) return redis.call('set', k[1], a[1]) end)";

#[test]
fn a_failover_loses_libraries_as_it_loses_data() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    bench.args(&["FUNCTION", "LOAD", LIBRARY]);
    let Reply::Bulk(dump) = bench.run("FUNCTION DUMP") else { panic!("expected a payload") };
    bench.run("FUNCTION DELETE one");
    let load = [&b"FUNCTION"[..], b"RESTORE", &dump].map(Bytes::copy_from_slice).to_vec();
    assert_eq!(bench.engine.exec(bench.client, load, bench.at).reply, Some(Reply::OK));
    bench.run("FUNCTION FLUSH");
    assert_eq!(bench.engine.logged_writes(), 4);
    let mut libraries_after_losing = |lost| {
        assert_eq!(bench.engine.failover(Lose::LastWrites(lost), bench.at), lost);
        bench.client = bench.engine.connect("test:2".to_owned(), bench.at);
        let found = bench.engine.functions.counts().0;
        bench.args(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]);
        bench.run("FUNCTION FLUSH");
        found
    };
    assert_eq!([1, 1, 2].map(&mut libraries_after_losing), [1, 1, 1]);
    assert_eq!(bench.engine.restart(None, bench.at), 2);
    assert_eq!(bench.engine.functions.counts(), (0, 0));
}

#[test]
fn clients_of_the_replica_call_functions_and_hear_messages() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    bench.args(&["FUNCTION", "LOAD", LIBRARY]);
    let reader = bench.engine.connect_replica("test:2".to_owned(), bench.at).expect("a replica");
    let primary = std::mem::replace(&mut bench.client, reader);
    let found = format!("{:?}", bench.run("FUNCTION LIST"));
    assert!(found.contains("one"), "{found}");
    bench.run("SUBSCRIBE news");
    bench.engine.take_deliveries();
    bench.client = primary;
    bench.run("PUBLISH news hello");
    assert_eq!(bench.engine.logged_writes(), 1, "a message is no change of data");
    bench.engine.run_due(bench.at);
    let heard = format!("{:?}", bench.engine.take_deliveries());
    assert!(heard.contains("hello"), "{heard}");
}

#[test]
fn what_a_script_keeps_from_replicas_does_not_reach_them() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    bench.engine.connect_replica("test:2".to_owned(), bench.at);
    let script = "redis.call('set', 'a', 1) redis.set_repl(redis.REPL_NONE) redis.call('set', 'b', 1)";
    bench.args(&["EVAL", script, "0"]);
    bench.args(&["EVAL", "redis.set_repl(redis.REPL_NONE) redis.call('set', 'c', 1)", "0"]);
    let keys = |store: &Store| store.db(0).keys().map(Blob::to_bytes).collect::<Vec<_>>();
    assert_eq!(keys(bench.engine.store()).len(), 3);
    assert_eq!(bench.engine.replica_store().map(keys), Some(vec![Bytes::from_static(b"a")]));
}

#[test]
fn random_answers_are_the_same_for_the_same_seed() {
    let draw = || {
        let mut bench = Bench::new(Expiry::LazyOnly);
        bench.run("MSET a 1 b 2 c 3 d 4 e 5 f 6");
        (0..20).map(|_| bench.run("RANDOMKEY")).collect::<Vec<_>>()
    };
    assert_eq!(draw(), draw());
}

#[test]
fn a_scan_visits_every_key_that_stays_exactly_once() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    for at in 0..500 {
        bench.run(&format!("SET stays:{at} 1"));
    }
    let (mut cursor, mut seen, mut step) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let Reply::Array(page) = bench.run(&format!("SCAN {cursor} COUNT 7")) else {
            panic!("expected a page")
        };
        let (Reply::Bulk(next), Reply::Array(keys)) = (&page[0], &page[1]) else { panic!("expected a page") };
        seen.extend(keys.iter().filter_map(|key| match key {
            Reply::Bulk(key) if key.starts_with(b"stays") => Some(key.clone()),
            _ => None,
        }));
        cursor = String::from_utf8_lossy(next).into_owned();
        if cursor == "0" {
            break;
        }
        step += 1;
        bench.run(&format!("SET comes:{step} 1"));
        bench.run(&format!("DEL comes:{}", step / 2));
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), count), (500, 500));
}

/// Any command of the table with arguments that make trouble.
fn any_command() -> impl Strategy<Value = Vec<Bytes>> {
    let mut names: Vec<&str> = commands().iter().map(|spec| spec.name).collect();
    names.extend(commands().iter().flat_map(|spec| spec.children()).map(|child| child.name));
    let words = [
        "",
        "k",
        "h",
        "0",
        "1",
        "-1",
        "2",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "nan",
        "*",
        "[",
        "\\",
        "px",
        "ex",
        "pxat",
        "match",
        "count",
        "withvalues",
        "idx",
        "return redis.call(unpack(ARGV))",
        "set",
        "id",
        "addr",
    ];
    let args = proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..6);
    (proptest::sample::select(names), args).prop_map(|(name, args)| {
        name.split('|').chain(args).map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
    })
}

proptest! {
    #[test]
    fn no_command_line_makes_the_engine_panic_or_the_protocol_break(
        lines in proptest::collection::vec(any_command(), 1..80),
        jump in -5000_i64..5000,
    ) {
        let mut bench = Bench::new(Expiry::Redis { hz: 10 });
        for args in lines {
            bench.wait_ms(1);
            bench.at.unix_us += jump * 1000;
            if !bench.engine.is_connected(bench.client) {
                bench.client = bench.engine.connect("test:3".to_owned(), bench.at);
            }
            let effects = bench.engine.exec(bench.client, args, bench.at);
            for version in [2, 3] {
                let bytes = effects.reply.as_ref().map(|reply| reply.to_bytes(version)).unwrap_or_default();
                prop_assert!(bytes.is_empty() || bytes.ends_with(b"\r\n"));
            }
            if bench.engine.next_expiry_ms().is_some_and(|next| next <= bench.at.unix_ms()) {
                bench.engine.run_due(bench.at);
                prop_assert!(bench.engine.next_expiry_ms().is_none_or(|next| next > bench.at.unix_ms()));
            }
        }
    }
}

#[test]
fn large_values_that_the_real_server_frees_in_a_thread_are_counted() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    let members: Vec<String> = (0..65).map(|member| format!("m{member}")).collect();
    let fill = |bench: &mut Bench, count: usize| {
        bench.run("CONFIG SET set-max-intset-entries 1");
        bench.run(&format!("SADD s {}", members[..count].join(" ")));
    };
    fill(&mut bench, 64);
    bench.run("UNLINK s");
    assert_eq!(bench.engine.stats().freed_in_thread, 0, "64 are few");
    fill(&mut bench, 65);
    bench.run("DEL s");
    assert_eq!(bench.engine.stats().freed_in_thread, 0, "the parameter says no");
    for line in ["UNLINK s", "FLUSHDB ASYNC"] {
        fill(&mut bench, 65);
        bench.run(line);
    }
    bench.run("CONFIG SET lazyfree-lazy-user-del yes");
    fill(&mut bench, 65);
    bench.run("DEL s");
    bench.run("SET k v");
    bench.run("FLUSHALL SYNC");
    assert_eq!(bench.engine.stats().freed_in_thread, 3);
}

/// What becomes of a transaction in database 1 if 0 and 1 are exchanged after `k` there was watched.
fn after_swap(bench: &mut Bench, commands: &[&str]) -> Reply {
    for line in ["FLUSHALL", "DEBUG SET-ACTIVE-EXPIRE 0"].iter().chain(commands) {
        bench.run(line);
    }
    bench.wait_ms(2);
    for line in ["SELECT 1", "WATCH k", "SWAPDB 0 1", "MULTI", "PING"] {
        bench.run(line);
    }
    bench.run("EXEC")
}

#[test]
fn exchanging_databases_breaks_the_watch_of_a_key_that_is_another_now() {
    let mut bench = Bench::new(Expiry::LazyOnly);
    let done = Reply::Array(vec![Reply::Status("PONG".into())]);
    for unbroken in [
        &[][..],
        &["SELECT 1", "SET k v PX 1"],
        &["SELECT 0", "SET k v PX 1"],
        &["SELECT 0", "SET k v PX 1", "SELECT 1", "SET k w PX 1"],
        &["SELECT 1", "SET other v"],
    ] {
        assert_eq!(after_swap(&mut bench, unbroken), done, "{unbroken:?}");
    }
    for broken in [
        &["SELECT 0", "SET k v"][..],
        &["SELECT 1", "SET k v"],
        &["SELECT 0", "SET k v PX 1", "SELECT 1", "SET k w"],
        &["SELECT 0", "SET k v", "SELECT 1", "SET k w PX 1"],
    ] {
        assert_eq!(after_swap(&mut bench, broken), Reply::NullArray, "{broken:?}");
    }
}
