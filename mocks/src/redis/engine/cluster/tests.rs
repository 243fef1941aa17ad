//! Slots: which node serves them, what is redirected, and what a command with several keys gets.

use super::*;
use crate::redis::engine::{Moment, Setup};
use crate::redis::resp::Reply;

const NOW: Moment = Moment { unix_us: 1_700_000_000_000_000, elapsed_us: 0 };

struct Server {
    engine: Engine,
    client: ClientId,
}

impl Server {
    fn new() -> Self {
        let mut engine = Engine::new(Setup::for_tests(), NOW);
        engine.set_cluster(true);
        let client = engine.connect("test".to_owned(), NOW);
        Self { engine, client }
    }

    fn run(&mut self, line: &str) -> Reply {
        let args = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        self.engine.exec(self.client, args, NOW).reply.expect("a reply")
    }

    fn set(&mut self, key: &str, state: SlotState) {
        let slot = slot_of(key.as_bytes());
        assert!(self.engine.set_slots(slot..=slot, state));
    }
}

fn peer() -> Peer {
    Peer { host: "10.0.0.2".to_owned(), port: 7001 }
}

fn error(line: &str) -> Reply {
    Reply::Error(line.to_owned())
}

#[test]
fn one_node_serves_every_slot_but_no_command_across_two() {
    let mut server = Server::new();
    assert_eq!(server.run("mset {t}a 1 {t}b 2"), Reply::OK);
    let crossed = error("CROSSSLOT Keys in request don't hash to the same slot");
    assert_eq!(server.run("mset a 1 b 2"), crossed);
}

#[test]
fn a_slot_that_moved_sends_clients_to_its_node() {
    let mut server = Server::new();
    server.set("a", SlotState::Moved(peer()));
    assert_eq!(server.run("get a"), error("MOVED 15495 10.0.0.2:7001"));
    server.set("a", SlotState::Served);
    assert_eq!(server.run("get a"), Reply::Null);
    server.set("a", SlotState::Unserved);
    assert_eq!(server.run("get a"), error("CLUSTERDOWN Hash slot not served"));
}

#[test]
fn a_migrating_slot_asks_only_for_what_is_missing() {
    let mut server = Server::new();
    server.run("set {a}1 x");
    server.set("a", SlotState::Migrating(peer()));
    assert_eq!(server.run("get {a}1"), Reply::bulk("x"));
    assert_eq!(server.run("get {a}2"), error("ASK 15495 10.0.0.2:7001"));
    assert_eq!(
        server.run("mget {a}1 {a}2"),
        error("TRYAGAIN Multiple keys request during rehashing of slot")
    );
}

#[test]
fn an_importing_slot_serves_the_next_command_of_who_asks() {
    let mut server = Server::new();
    server.set("a", SlotState::Importing(peer()));
    assert_eq!(server.run("set a x"), error("MOVED 15495 10.0.0.2:7001"));
    server.run("asking");
    assert_eq!(server.run("set a x"), Reply::OK);
    assert_eq!(server.run("get a"), error("MOVED 15495 10.0.0.2:7001"));
}

#[test]
fn exec_answers_a_redirect_as_it_is_and_ends_the_transaction() {
    let mut server = Server::new();
    server.run("multi");
    server.run("set a x");
    server.set("a", SlotState::Moved(peer()));
    assert_eq!(server.run("exec"), error("MOVED 15495 10.0.0.2:7001"));
    assert_eq!(server.run("exec"), error("ERR EXEC without MULTI"));
}

#[test]
fn a_cluster_that_is_down_may_allow_reads() {
    let mut server = Server::new();
    server.engine.set_cluster_down(true);
    assert_eq!(server.run("get a"), error("CLUSTERDOWN The cluster is down"));
    server.run("config set cluster-allow-reads-when-down yes");
    assert_eq!(server.run("get a"), Reply::Null);
    let refused = error("CLUSTERDOWN The cluster is down and only accepts read commands");
    assert_eq!(server.run("set a x"), refused);
}
