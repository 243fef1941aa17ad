//! Any bytes, from several clients with time passing, through the parser, the engine and the encoder: nothing
//! panics, and the store keeps its invariants.
//!
//! The input is lines. A line goes to the parser of a client, who is the first one unless the line's first byte
//! is no printable ASCII: that byte then says which client, and how much time passes before. So the golden
//! sequences of the differential tests are seeds as they are.

#![no_main]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use squall_mocks::redis::Version;
use squall_mocks::redis::engine::{ClientId, Effects, Engine, Expiry, Horizon, Moment, Setup};
use squall_mocks::redis::resp::{Parser, Reply};
use squall_mocks::redis::store::{Db, Value};

/// Clients at a time.
const CLIENTS: usize = 4;
/// Commands of one input.
const COMMANDS: usize = 500;
/// Milliseconds that may pass before a line.
const STEPS: [i64; 8] = [0, 0, 0, 1, 10, 100, 1000, 100_000];

struct Client {
    id: ClientId,
    parser: Parser,
    input: BytesMut,
}

struct World {
    engine: Engine,
    clients: Vec<Client>,
    at: Moment,
    ran: usize,
}

impl World {
    fn new() -> Self {
        let at = Moment { unix_us: 1_767_225_600_000_000, elapsed_us: 0 };
        let setup = Setup {
            seed: 1,
            expiry: Expiry::Redis { hz: 10 },
            password: None,
            horizon: Horizon::default(),
            replica_lag: Duration::from_millis(5),
            databases: 4,
            script_instructions: 50_000,
        };
        let mut world = Self { engine: Engine::new(setup, at), clients: Vec::new(), at, ran: 0 };
        world.clients = (0..CLIENTS).map(|_| world.connect()).collect();
        // It has every command of the versions before.
        world.engine.set_version(Version::V7_4);
        // What one SETRANGE may make; a fuzzer has not the memory for 512 MB.
        let line = ["CONFIG", "SET", "proto-max-bulk-len", "1048576"].map(Bytes::from).to_vec();
        let id = world.clients[0].id;
        world.exec(id, line);
        world
    }

    fn connect(&mut self) -> Client {
        let id = self.engine.connect("fuzz:1".to_owned(), self.at);
        Client { id, parser: Parser::new(), input: BytesMut::new() }
    }

    fn pass(&mut self, ms: i64) {
        self.at.unix_us += ms * 1000;
        self.at.elapsed_us += ms * 1000;
        self.engine.run_due(self.at);
        self.write_deliveries();
    }

    fn send(&mut self, index: usize, line: &[u8]) {
        self.clients[index].input.extend_from_slice(line);
        self.clients[index].input.extend_from_slice(b"\r\n");
        while self.ran < COMMANDS {
            let client = &mut self.clients[index];
            let id = client.id;
            let Some(limits) = self.engine.may_send(id) else { return };
            match client.parser.next(&mut client.input, limits) {
                Ok(None) => return,
                Ok(Some(args)) if would_take_too_much(&args) => {}
                Ok(Some(args)) => {
                    self.ran += 1;
                    let effects = self.exec(id, args);
                    if effects.close {
                        self.reconnect(id);
                    }
                    for id in effects.kill {
                        self.reconnect(id);
                    }
                }
                Err(_) => self.reconnect(id),
            }
        }
    }

    fn exec(&mut self, id: ClientId, args: Vec<Bytes>) -> Effects {
        let effects = self.engine.exec(id, args, self.at);
        if let Some(reply) = &effects.reply {
            write(reply);
        }
        self.write_deliveries();
        effects
    }

    fn write_deliveries(&mut self) {
        for delivery in self.engine.take_deliveries() {
            write(&delivery.reply);
        }
    }

    fn reconnect(&mut self, id: ClientId) {
        let Some(index) = self.clients.iter().position(|client| client.id == id) else { return };
        self.engine.disconnect(id);
        self.clients[index] = self.connect();
    }
}

/// A reply can be written in both versions, and starts with the mark of a type.
fn write(reply: &Reply) {
    for version in [2, 3] {
        let mut out = BytesMut::new();
        reply.write(version, &mut out);
        assert!(out.first().is_none_or(|mark| b"+-:$*_,#(=%~>!|".contains(mark)), "{reply:?}");
        assert!(out.is_empty() || out.ends_with(b"\r\n"), "{reply:?}");
    }
}

/// Commands whose only wrong is that they are allowed to take much time or memory.
fn would_take_too_much(args: &[Bytes]) -> bool {
    let is =
        |at: usize, word: &str| args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    is(0, "config") && is(1, "set") || is(0, "debug") && (is(1, "populate") || is(1, "sleep"))
}

fn check(db: &mut Db) {
    let mut deadlines = 0;
    for (key, entry) in db.iter() {
        deadlines += usize::from(entry.deadline_ms.is_some());
        let is_empty = match &entry.value {
            Value::Hash(hash) => hash.is_empty(),
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::Zset(zset) => zset.is_empty(),
            // A stream may be empty, a string too.
            _ => false,
        };
        assert!(!is_empty, "the key {key:?} holds an empty {}", entry.value.type_name());
    }
    assert_eq!(deadlines, db.deadlines(), "the index of deadlines is not that of the keys");
    let (mut cursor, mut scanned) = (0, 0);
    loop {
        let (next, keys) = db.scan(cursor, 10);
        scanned += keys.len();
        if next == 0 {
            break;
        }
        assert!(next > cursor, "a scan does not come to its end");
        cursor = next;
    }
    assert_eq!(scanned, db.len(), "a scan does not visit every key once");
}

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    for line in data.split(|byte| *byte == b'\n') {
        match line.split_first() {
            Some((&header, rest)) if !(b' '..=b'~').contains(&header) => {
                world.pass(STEPS[usize::from(header >> 2 & 7)]);
                world.send(usize::from(header) % CLIENTS, rest);
            }
            _ => world.send(0, line),
        }
    }
    world.pass(0);
    let store = world.engine.store();
    for number in 0..store.databases() {
        check(&mut store.db(number).clone());
    }
});
