//! Those who listen, cache, watch or are kept waiting: what they are told, and that nothing of them is left.

use proptest::prelude::*;

use super::pubsub::Topic;
use super::*;

struct Bench {
    engine: Engine,
    at: Moment,
}

impl Bench {
    fn new() -> Self {
        let at = Moment { unix_us: 1_000_000_000, elapsed_us: 0 };
        Self { engine: Engine::new(Setup::for_tests(), at), at }
    }

    fn client(&mut self) -> ClientId {
        self.engine.connect("test:1".to_owned(), self.at)
    }

    fn exec(&mut self, id: ClientId, line: &str) -> Effects {
        let args = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        self.engine.exec(id, args, self.at)
    }

    fn reply(&mut self, id: ClientId, line: &str) -> Reply {
        self.exec(id, line).reply.unwrap_or(Reply::None)
    }

    /// What a client was told beside its answers.
    fn heard(&mut self, id: ClientId) -> Vec<Reply> {
        let deliveries = self.engine.take_deliveries().into_iter();
        deliveries.filter(|delivery| delivery.to == id).map(|delivery| delivery.reply).collect()
    }

    fn wait_ms(&mut self, ms: i64) {
        self.at.unix_us += ms * 1000;
        self.at.elapsed_us += ms * 1000;
        self.engine.run_due(self.at);
    }
}

fn invalidate(keys: &[&'static str]) -> Reply {
    Reply::Push(vec![Reply::bulk("invalidate"), Reply::bulks(keys.iter().copied())])
}

#[test]
fn a_command_kept_back_by_a_pause_is_handed_back_and_its_client_woken_when_it_is_over() {
    let mut bench = Bench::new();
    let (admin, writer) = (bench.client(), bench.client());
    assert_eq!(bench.reply(admin, "CLIENT PAUSE 100 WRITE"), Reply::OK);
    assert_eq!(bench.reply(writer, "GET k"), Reply::Null);
    let effects = bench.exec(writer, "SET k 1");
    assert_eq!(effects.postponed.map(|args| args.len()), Some(3));
    assert!(bench.engine.is_waiting(writer));
    assert_eq!(bench.engine.next_due_ms(), Some(bench.at.unix_ms() + 101));
    bench.wait_ms(100);
    assert!(bench.engine.is_waiting(writer), "the last millisecond belongs to the pause");
    bench.wait_ms(1);
    assert!(!bench.engine.is_waiting(writer));
    assert_eq!(bench.heard(writer), [Reply::None], "it is woken, and told nothing");
}

#[test]
fn a_pause_of_writes_keeps_back_what_may_write_and_what_is_sent_to_replicas() {
    let mut bench = Bench::new();
    let (admin, client) = (bench.client(), bench.client());
    let load =
        |code: &str| vec![Bytes::from_static(b"SCRIPT"), Bytes::from_static(b"LOAD"), code.to_owned().into()];
    let sha = |reply: Option<Reply>| match reply {
        Some(Reply::Bulk(sha)) => String::from_utf8_lossy(&sha).into_owned(),
        other => panic!("no digest: {other:?}"),
    };
    let at = bench.at;
    let reads = sha(bench.engine.exec(admin, load("#!lua flags=no-writes\nreturn 1"), at).reply);
    let writes = sha(bench.engine.exec(admin, load("#!lua\nreturn 1"), at).reply);
    let undeclared = sha(bench.engine.exec(admin, load("return 1"), at).reply);
    bench.reply(admin, "CLIENT PAUSE 1000 WRITE");
    let kept_back =
        ["PUBLISH c m", "PFCOUNT h", &format!("EVALSHA {writes} 0"), &format!("EVALSHA {undeclared} 0")];
    for line in kept_back {
        let client = bench.client();
        assert!(bench.exec(client, line).postponed.is_some(), "{line}");
    }
    let evalsha = format!("EVALSHA {reads} 0");
    assert_eq!(bench.reply(client, &evalsha), Reply::Int(1));
    assert_eq!(bench.reply(client, &format!("EVALSHA_RO {undeclared} 0")), Reply::Int(1));
    for line in ["MULTI", &evalsha] {
        bench.reply(client, line);
    }
    assert_eq!(bench.reply(client, "EXEC"), Reply::Array(vec![Reply::Int(1)]));
}

#[test]
fn a_transaction_with_a_script_that_may_write_waits_for_the_end_of_a_pause() {
    let mut bench = Bench::new();
    let (admin, client) = (bench.client(), bench.client());
    for line in ["MULTI", "EVAL return 0"] {
        bench.reply(client, line);
    }
    bench.reply(admin, "CLIENT PAUSE 1000 WRITE");
    assert!(bench.exec(client, "EXEC").postponed.is_some());
}

#[test]
fn a_key_that_expires_in_a_pause_is_not_seen_and_is_deleted_after_it() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.reply(client, "SET k v PX 10");
    bench.reply(client, "CLIENT PAUSE 100 WRITE");
    bench.wait_ms(50);
    assert_eq!(bench.reply(client, "GET k"), Reply::Null);
    assert_eq!(bench.reply(client, "DBSIZE"), Reply::Int(1));
    bench.wait_ms(51);
    assert_eq!(bench.reply(client, "DBSIZE"), Reply::Int(0));
}

#[test]
fn stale_keys_of_a_prefix_are_told_together_when_a_round_is_over() {
    let mut bench = Bench::new();
    let (cache, writer) = (bench.client(), bench.client());
    bench.reply(cache, "HELLO 3");
    bench.reply(cache, "CLIENT TRACKING ON BCAST PREFIX user:");
    for line in ["SET user:2 a", "SET user:1 a", "SET other a", "DEL user:2"] {
        bench.reply(writer, line);
    }
    assert_eq!(bench.heard(cache), []);
    bench.engine.end_round();
    assert_eq!(bench.heard(cache), [invalidate(&["user:1", "user:2"])]);
    bench.engine.end_round();
    assert_eq!(bench.heard(cache), []);
}

#[test]
fn keys_beyond_the_limit_of_the_table_are_called_stale() {
    let mut bench = Bench::new();
    let cache = bench.client();
    bench.reply(cache, "HELLO 3");
    bench.reply(cache, "CONFIG SET tracking-table-max-keys 3");
    bench.reply(cache, "CLIENT TRACKING ON");
    for key in 0..10 {
        bench.reply(cache, &format!("GET k{key}"));
    }
    bench.reply(cache, "PING");
    assert_eq!(bench.engine.copies.sizes(), (3, 3, 0));
    assert_eq!(bench.heard(cache).len(), 7);
}

#[test]
fn an_expiring_key_is_told_to_those_who_hold_a_copy() {
    let mut bench = Bench::new();
    let cache = bench.client();
    bench.reply(cache, "HELLO 3");
    bench.reply(cache, "CLIENT TRACKING ON");
    bench.reply(cache, "SET k v PX 10");
    bench.reply(cache, "GET k");
    bench.wait_ms(11);
    assert_eq!(bench.heard(cache), [invalidate(&["k"])]);
}

#[test]
fn evicted_keys_are_told() {
    let mut bench = Bench::new();
    let client = bench.client();
    bench.reply(client, "HELLO 3");
    bench.reply(client, "CONFIG SET notify-keyspace-events Ee");
    bench.reply(client, "SUBSCRIBE __keyevent@0__:evicted");
    bench.reply(client, "SET k v");
    assert_eq!(bench.engine.evict(b"*", bench.at), 1);
    let message = ["message", "__keyevent@0__:evicted", "k"].map(Reply::bulk);
    assert_eq!(bench.heard(client), [Reply::Push(message.to_vec())]);
}

#[test]
fn a_password_is_not_shown_to_those_who_watch() {
    let mut bench = Bench::new();
    let (monitor, client) = (bench.client(), bench.client());
    bench.reply(monitor, "MONITOR");
    bench.reply(client, "AUTH default secret");
    bench.reply(client, "HELLO 2 AUTH default secret SETNAME x");
    bench.reply(client, "CONFIG SET requirepass secret");
    let shown = format!("{:?}", bench.heard(monitor));
    assert!(!shown.contains("secret") && shown.contains("SETNAME"), "{shown}");
}

proptest! {
    #[test]
    fn whoever_goes_leaves_nothing_behind(steps in prop::collection::vec((0_usize..3, 0_usize..9, 0_u8..3), 1..60)) {
        let mut bench = Bench::new();
        let ids = [bench.client(), bench.client(), bench.client()];
        for id in ids {
            bench.reply(id, "HELLO 3");
        }
        for (who, what, name) in steps {
            let line = match what {
                0 => format!("SUBSCRIBE c{name}"),
                1 => format!("PSUBSCRIBE c{name}*"),
                2 => format!("SSUBSCRIBE c{name}"),
                3 => format!("UNSUBSCRIBE c{name}"),
                4 => "PUNSUBSCRIBE".to_owned(),
                5 => "CLIENT TRACKING ON".to_owned(),
                6 => format!("GET k{name}"),
                7 => "CLIENT TRACKING OFF".to_owned(),
                _ => format!("CLIENT TRACKING ON BCAST PREFIX p{name}"),
            };
            bench.reply(ids[who], &line);
            let told: usize = ids.iter().map(|id| bench.engine.clients.get(id).expect("connected").subscriptions.of(Topic::Channel).len()).sum();
            let known: usize = (0..3).map(|name| bench.engine.pubsub.subscribers(Topic::Channel, &Bytes::from(format!("c{name}")))).sum();
            prop_assert_eq!(told, known);
        }
        for id in ids {
            bench.engine.disconnect(id);
        }
        for topic in [Topic::Channel, Topic::Pattern, Topic::Shard] {
            prop_assert_eq!(bench.engine.pubsub.len(topic), 0);
        }
        prop_assert_eq!(bench.engine.copies.clients(), 0);
        prop_assert_eq!(bench.engine.copies.sizes().2, 0);
    }
}
