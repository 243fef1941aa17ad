//! The network's promises, each seen from inside a host.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use tokio::time::sleep;

use super::ends::CONNECT_TIMEOUT;
use super::*;
use crate::sim::Context;
use crate::sim::engine::{Engine, SteppedEngine};

const TICK: Duration = Duration::from_millis(5);
const SERVER: HostId = HostId(0);
const CLIENT: HostId = HostId(1);

type Log = Arc<Mutex<Vec<(Duration, String)>>>;

struct World {
    engine: SteppedEngine,
    net: Net,
    log: Log,
    trace: Arc<Mutex<Vec<String>>>,
}

/// What a test's client does with its way to the network and a place to write down what it saw.
type Client = fn(SimDial, Log) -> Pin<Box<dyn Future<Output = ()>>>;

impl World {
    /// A server that echoes on port 7, and a client.
    fn new(seed: u64, client: Client) -> Self {
        let trace = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&trace);
        let probe: Probe = Arc::new(move |host, kind, text| {
            lines.lock().expect("no panic").push(format!("{:?} {host:?} {kind} {text}", now()));
        });
        let latency = Latency { base: TICK, jitter: Duration::from_millis(3) };
        let net = Net::new(vec!["server".into(), "client".into()], Seed(seed), latency, probe);
        let log = Log::default();
        let mut engine = SteppedEngine::new(seed, TICK);
        let (server_net, client_net, client_log) = (net.clone(), net.clone(), Arc::clone(&log));
        engine.add_host("server", Rc::new(move || Box::pin(echo(server_net.start(SERVER)))));
        engine.add_host("client", Rc::new(move || client(client_net.start(CLIENT), Arc::clone(&client_log))));
        Self { engine, net, log, trace }
    }

    fn run_to(&mut self, until: Duration) {
        while self.engine.elapsed() < until {
            self.engine.step();
            self.net.expire();
        }
    }

    fn seen(&self) -> Vec<(Duration, String)> {
        self.log.lock().expect("no panic").clone()
    }
}

async fn echo(dial: SimDial) {
    let mut listener = dial.listen(7).expect("the port is free");
    loop {
        let (mut stream, _) = listener.accept().await;
        tokio::spawn(async move {
            let mut buffer = [0; 256];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn note(log: &Log, text: impl Into<String>) {
    log.lock().expect("no panic").push((now(), text.into()));
}

/// Sends a number every 100 ms and notes each answer, and how it ended.
fn chatter(dial: SimDial, log: Log) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let mut stream = match squall_core::net::Dial::dial(&dial, "server:7").await {
            Ok(stream) => stream,
            Err(error) => return note(&log, format!("dial: {:?}", error.kind())),
        };
        note(&log, "connected");
        for n in 0u8..250 {
            if let Err(error) = stream.write_all(&[n]).await {
                return note(&log, format!("write: {:?}", error.kind()));
            }
            let mut answer = [0];
            match stream.read(&mut answer).await {
                Ok(1) => note(&log, answer[0].to_string()),
                Ok(_) => return note(&log, "end"),
                Err(error) => return note(&log, format!("read: {:?}", error.kind())),
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
}

fn in_simulation<R: Send + 'static>(test: impl FnOnce() -> R + Send + 'static) -> R {
    let run = move || {
        let _context = Context::enter(1);
        test()
    };
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[test]
fn a_round_trip_takes_the_latency_of_both_directions() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.run_to(Duration::from_secs(1));
        let seen = world.seen();
        assert!(seen[0].0 >= 2 * TICK, "{seen:?}");
        assert!(seen[1].0 - seen[0].0 >= 2 * TICK, "{seen:?}");
        assert!(seen.len() > 5, "{seen:?}");
    });
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_does_not() {
    let trace = |seed| {
        in_simulation(move || {
            let mut world = World::new(seed, chatter);
            world.run_to(Duration::from_secs(2));
            world.trace.lock().expect("no panic").clone()
        })
    };
    assert_eq!(trace(3), trace(3));
    assert_ne!(trace(3), trace(4));
}

#[test]
fn an_outage_delays_bytes_and_loses_none() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.run_to(Duration::from_secs(1));
        world.net.apply(1, CLIENT, SERVER, Condition::Down);
        world.net.apply(1, SERVER, CLIENT, Condition::Down);
        let before = world.seen().len();
        world.run_to(Duration::from_secs(6));
        assert!(world.seen().len() <= before + 1, "nothing crosses an outage");
        world.net.clear(1);
        world.run_to(Duration::from_secs(8));
        let answers: Vec<String> = world.seen()[1..].iter().map(|(_, text)| text.clone()).collect();
        let expected: Vec<String> = (0..answers.len()).map(|n| n.to_string()).collect();
        assert_eq!(answers, expected);
        assert!(answers.len() > before + 5);
    });
}

#[test]
fn an_outage_beyond_the_retransmission_timeout_resets_the_connection() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.run_to(Duration::from_secs(1));
        world.net.apply(1, CLIENT, SERVER, Condition::Down);
        world.run_to(Duration::from_secs(20));
        let (at, last) = world.seen().last().cloned().expect("something was seen");
        assert_eq!(last, "read: ConnectionReset");
        assert!(at >= Duration::from_secs(1) + RETRANSMISSION_TIMEOUT, "{at:?}");
    });
}

#[test]
fn a_dial_into_an_outage_hangs_and_then_times_out() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.net.apply(1, CLIENT, SERVER, Condition::Down);
        world.run_to(Duration::from_secs(11));
        let seen = world.seen();
        assert_eq!(seen[0].1, "dial: TimedOut");
        assert!(seen[0].0 >= CONNECT_TIMEOUT);
    });
}

#[test]
fn a_dial_to_a_dead_process_is_refused_after_a_round_trip() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.net.kill(SERVER);
        world.engine.crash(SERVER);
        world.run_to(Duration::from_secs(1));
        let seen = world.seen();
        assert_eq!(seen[0].1, "dial: ConnectionRefused");
        assert!(seen[0].0 >= 2 * TICK);
    });
}

#[test]
fn the_peer_of_a_killed_process_reads_the_end_and_a_restart_accepts_again() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.run_to(Duration::from_secs(1));
        world.net.kill(SERVER);
        world.engine.crash(SERVER);
        world.run_to(Duration::from_secs(2));
        let last = world.seen().last().cloned().expect("something was seen").1;
        assert!(last == "end" || last == "write: ConnectionReset", "{last}");
        world.engine.restart(SERVER);
        world.engine.crash(CLIENT);
        world.net.kill(CLIENT);
        world.engine.restart(CLIENT);
        world.run_to(Duration::from_secs(3));
        assert!(world.seen().iter().filter(|(_, text)| text == "connected").count() == 2);
    });
}

#[test]
fn nothing_a_killed_host_does_before_its_tasks_are_dropped_is_seen() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.run_to(Duration::from_secs(1));
        world.net.kill(CLIENT);
        let before = world.trace.lock().expect("no panic").len();
        world.run_to(Duration::from_secs(3));
        let after = world.trace.lock().expect("no panic").clone();
        assert!(!after[before..].iter().any(|line| line.contains("HostId(1)")), "{after:?}");
    });
}

#[test]
fn a_reset_link_ends_its_connections_and_a_cut_ends_them_at_the_byte() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.run_to(Duration::from_secs(1));
        assert_eq!(world.net.reset(SERVER, CLIENT), 1);
        world.run_to(Duration::from_secs(2));
        assert!(world.seen().last().expect("something was seen").1.ends_with("ConnectionReset"));

        let mut world = World::new(1, chatter);
        world.net.apply(1, CLIENT, SERVER, Condition::CutAfter(3));
        world.run_to(Duration::from_secs(2));
        let answers = world.seen().iter().filter(|(_, text)| text.parse::<u8>().is_ok()).count();
        assert_eq!(answers, 3);
    });
}

#[test]
fn connections_of_the_dead_are_forgotten() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        for round in 1..20 {
            world.run_to(Duration::from_secs(round));
            world.net.kill(CLIENT);
            world.engine.crash(CLIENT);
            world.engine.restart(CLIENT);
        }
        assert!(world.net.lock().connections.len() <= 2);
    });
}

#[test]
fn what_is_sent_to_a_paused_host_waits_and_its_connections_stay_open() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.run_to(Duration::from_secs(1));
        let before = world.seen().len();
        world.engine.pause(SERVER);
        // Longer than an outage may last: the host's kernel acknowledges what its process does not read.
        world.run_to(Duration::from_secs(21));
        assert!(world.seen().len() <= before + 1, "{:?}", world.seen());
        world.engine.resume(SERVER);
        world.run_to(Duration::from_secs(22));
        let seen = world.seen();
        assert!(seen.len() > before + 5, "{seen:?}");
        let numbers: Vec<usize> = seen[1..].iter().filter_map(|(_, text)| text.parse().ok()).collect();
        assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>(), "each answer came, in order");
    });
}

#[test]
fn a_dial_to_a_paused_host_is_accepted_when_it_runs_on() {
    in_simulation(|| {
        let mut world = World::new(1, chatter);
        world.engine.pause(SERVER);
        world.run_to(Duration::from_secs(5));
        world.engine.resume(SERVER);
        world.run_to(Duration::from_secs(6));
        // It never listened before it was paused, so the first dial is refused, as by any kernel.
        assert_eq!(world.seen()[0].1, "dial: ConnectionRefused");
        let mut world = World::new(1, |dial, log| {
            Box::pin(async move {
                sleep(Duration::from_secs(1)).await;
                chatter(dial, log).await;
            })
        });
        world.run_to(Duration::from_millis(500));
        world.engine.pause(SERVER);
        world.run_to(Duration::from_secs(3));
        assert_eq!(world.seen().len(), 1, "the kernel has accepted: {:?}", world.seen());
        world.engine.resume(SERVER);
        world.run_to(Duration::from_secs(4));
        assert!(world.seen().len() > 5, "{:?}", world.seen());
    });
}
