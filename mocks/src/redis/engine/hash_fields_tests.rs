//! Deadlines of hash fields: time that passes, and the replica.

use bytes::Bytes;

use super::{Engine, Lose, Moment, Setup, Version};
use crate::redis::resp::Reply;

struct Server {
    engine: Engine,
    client: u64,
    ms: i64,
}

impl Server {
    fn new(version: Version) -> Self {
        let mut engine = Engine::new(Setup::for_tests(), Moment::default());
        engine.set_version(version);
        let client = engine.connect("test".to_owned(), Moment::default());
        Self { engine, client, ms: 1_000_000 }
    }

    fn run(&mut self, line: &str) -> Reply {
        let args = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        self.engine.exec(self.client, args, self.at()).reply.expect("a reply")
    }

    fn at(&self) -> Moment {
        Moment { unix_us: self.ms * 1000, elapsed_us: self.ms * 1000 }
    }

    fn ints(&mut self, line: &str) -> Vec<i64> {
        let Reply::Array(items) = self.run(line) else { panic!("no array for {line}") };
        items.into_iter().map(|item| if let Reply::Int(number) = item { number } else { i64::MIN }).collect()
    }
}

#[test]
fn a_field_lives_through_its_deadline_and_is_gone_after_it() {
    let mut server = Server::new(Version::V7_4);
    server.run("hset h a 1 b 2");
    assert_eq!(server.ints("hpexpire h 100 fields 2 a c"), [1, -2]);
    assert_eq!(server.ints("hpttl h fields 3 a b c"), [100, -1, -2]);
    server.ms += 100;
    assert_eq!(server.run("hlen h"), Reply::Int(2));
    server.ms += 1;
    assert_eq!(server.run("hgetall h"), Reply::Map(vec![(Reply::bulk("b"), Reply::bulk("2"))]));
    assert_eq!(server.run("hlen h"), Reply::Int(2), "nobody asked for it");
    assert_eq!(server.run("hget h a"), Reply::Null);
    assert_eq!(server.run("hlen h"), Reply::Int(1));
}

#[test]
fn the_last_field_takes_the_hash_with_it() {
    let mut server = Server::new(Version::V7_4);
    server.run("hset h a 1");
    server.run("hpexpire h 10 fields 1 a");
    server.run("rename h g");
    server.ms += 11;
    server.engine.run_due(server.at());
    assert_eq!(server.run("exists g"), Reply::Int(0));
}

#[test]
fn a_new_value_ends_a_deadline_and_an_increment_keeps_it() {
    let mut server = Server::new(Version::V7_4);
    server.run("hset h a 1 b 1");
    server.run("hexpire h 10 fields 2 a b");
    server.run("hset h a 2");
    server.run("hincrby h b 1");
    assert_eq!(server.ints("httl h fields 2 a b"), [-1, 10]);
}

#[test]
fn conditions_decide_and_the_past_removes() {
    let mut server = Server::new(Version::V7_4);
    server.run("hset h a 1 b 1");
    assert_eq!(server.ints("hexpire h 10 gt fields 1 a"), [0]);
    assert_eq!(server.ints("hexpire h 10 lt fields 1 a"), [1]);
    assert_eq!(server.ints("hexpire h 20 nx fields 2 a b"), [0, 1]);
    assert_eq!(server.ints("hexpire h 30 xx fields 1 a"), [1]);
    assert_eq!(server.ints("hpersist h fields 2 a c"), [1, -2]);
    assert_eq!(server.ints("hpexpireat h 5 fields 1 a"), [2]);
    assert_eq!(server.run("hexists h a"), Reply::Int(0));
    assert_eq!(server.ints("hexpire nosuch 5 fields 1 a"), [-2]);
}

#[test]
fn an_older_server_does_not_know_the_commands() {
    let mut server = Server::new(Version::V7_0);
    let Reply::Error(line) = server.run("hexpire h 10 fields 1 a") else { panic!("no error") };
    assert!(line.starts_with("ERR unknown command 'hexpire'"), "{line}");
}

#[test]
fn a_library_names_itself_from_7_2_on() {
    let mut server = Server::new(Version::V7_2);
    assert_eq!(server.run("client setinfo lib-name x"), Reply::OK);
    let Reply::Verbatim(_, info) = server.run("client info") else { panic!("no text") };
    assert!(info.ends_with(b" lib-name=x lib-ver=\n"), "{info:?}");
    let refused = Server::new(Version::V7_0).run("client setinfo lib-name x");
    assert_eq!(refused, Reply::Error("ERR unknown subcommand 'setinfo'. Try CLIENT HELP.".to_owned()));
}

#[test]
fn what_is_due_next_includes_fields() {
    let mut server = Server::new(Version::V7_4);
    server.run("hset h a 1 b 1");
    server.run("hpexpire h 50 fields 1 a");
    assert_eq!(server.engine.next_due_ms(), Some(server.ms + 51));
    server.engine.run_due(Moment { unix_us: (server.ms + 51) * 1000, elapsed_us: 0 });
    let entry = server.engine.store().db(0).get(&Bytes::from_static(b"h")).expect("the hash");
    assert!(matches!(&entry.value, crate::redis::store::Value::Hash(hash) if hash.len() == 1));
}

#[test]
fn a_replica_hides_overdue_fields_and_deletes_what_its_primary_does() {
    let mut server = Server::new(Version::V7_4);
    server.run("hset h a 1 b 1");
    server.run("hpexpire h 50 fields 1 a");
    let client = server.engine.connect_replica("test".to_owned(), server.at()).expect("a replica");
    let ask = |server: &mut Server, line: &str| {
        let args = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        let at = server.at();
        server.engine.exec(client, args, at).reply.expect("a reply")
    };
    server.ms += 51;
    assert_eq!(ask(&mut server, "hget h a"), Reply::Null);
    assert_eq!(ask(&mut server, "hlen h"), Reply::Int(2), "the primary has it yet");
    server.run("hget h a");
    assert_eq!(ask(&mut server, "hlen h"), Reply::Int(1));
}

#[test]
fn deadlines_of_fields_survive_a_failover() {
    let mut server = Server::new(Version::V7_4);
    server.run("hset h a 1 b 1");
    server.run("hpexpireat h 4102444800000 fields 1 a");
    server.run("set lost 1");
    let at = server.at();
    assert_eq!(server.engine.failover(Lose::LastWrites(1), at), 1);
    server.client = server.engine.connect("test".to_owned(), at);
    assert_eq!(server.ints("hpexpiretime h fields 2 a b"), [4_102_444_800_000, -1]);
}
