//! How fast the simulation is, beside bare turmoil in the same run.
//!
//! Prints medians and ratios; asserts nothing. The machine's absolute speed says little, so every table has a peer
//! measured in turn with it. `cargo bench -p squall --bench speed` runs everything in about two minutes.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall::run::{Runner, RunnerOptions};
use squall::scenario::{LoadOptions, Scenario};
use squall::seed::Seed;
use squall::service::Services;
use squall::sim::engine::{Engine, SteppedEngine};
use squall::sim::net::{Latency, Net};
use squall::sim::{Context, HostId};

const ROUNDS: usize = 5;
const IDLE: Duration = Duration::from_secs(20);

fn main() {
    // `cargo test` runs benches too, to see that they work: one short round will do.
    let quick = std::env::args().any(|argument| argument == "--test");
    idle(if quick { 1 } else { ROUNDS }, if quick { Duration::from_secs(1) } else { IDLE });
    reference(if quick { 1 } else { ROUNDS }, if quick { &["10ms"] } else { &["1ms", "5ms", "10ms"] });
}

/// Seeds per second of the reference scenario, at three ticks.
fn reference(rounds: usize, ticks: &[&str]) {
    println!("\nreference scenario: 60 s load, 500 orders, 3 workers, 3 brokers, Redis, sink; one thread");
    println!("{:>6} {:>12} {:>16} {:>14}", "tick", "seeds/s", "simulated s/s", "s per seed");
    let services = Services::builtin();
    let runner = Runner::new(RunnerOptions { jobs: 1, ..RunnerOptions::default() }, services.clone());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reference.toml");
    for tick in ticks {
        let overrides = vec![("tick".to_owned(), (*tick).to_owned())];
        let options = LoadOptions { overrides, vocabulary: runner.vocabulary() };
        let loaded = Scenario::load(file.as_ref(), &options).expect("the bench's scenario is valid");
        let mut took = Vec::new();
        let mut simulated = 0.0;
        for round in 0..rounds {
            let seed = Seed(u64::try_from(round).unwrap_or(0));
            let start = start();
            let judged = runner.run_one(&loaded.cases[0], seed).expect("the plan can run");
            took.push(start.elapsed().as_secs_f64());
            simulated = judged.elapsed.as_secs_f64();
            assert!(judged.verdict().is_passed(), "{:?}", judged.verdict());
        }
        let seconds = median(&mut took);
        println!("{tick:>6} {:>12.2} {:>16.0} {seconds:>14.3}", 1.0 / seconds, simulated / seconds);
    }
}

/// Simulated seconds per second with hosts that only wake once a second.
fn idle(rounds: usize, virtual_time: Duration) {
    println!("idle hosts, tick 1 ms, one timer a second each");
    println!("{:>6} {:>16} {:>16} {:>8}", "hosts", "squall s/s", "turmoil s/s", "ratio");
    for hosts in [5, 11, 31] {
        let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let a = idle_ours(hosts, virtual_time);
            let b = idle_turmoil(hosts, virtual_time);
            ratios.push(a / b);
            ours.push(a);
            bare.push(b);
        }
        let (ours, bare) = (median(&mut ours), median(&mut bare));
        println!("{hosts:>6} {ours:>16.0} {bare:>16.0} {:>8.2}", median(&mut ratios));
    }
}

fn idle_ours(hosts: u16, virtual_time: Duration) -> f64 {
    let body = move || {
        let _context = Context::enter(1);
        let tick = Duration::from_millis(1);
        let names: Vec<String> = (0..hosts).map(|n| format!("host-{n}")).collect();
        let latency = Latency { base: tick, jitter: tick };
        let net = Net::new(names.clone(), Seed(1), latency, Arc::new(|_, _, _| {}));
        let mut engine = SteppedEngine::new(1, tick);
        for (index, name) in (0..).zip(&names) {
            let net = net.clone();
            engine.add_host(
                name,
                Rc::new(move || {
                    let life = net.start(HostId(index));
                    Box::pin(async move {
                        while life.is_alive() {
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                    })
                }),
            );
        }
        // Two clocks: the simulation's is virtual, so the machine's is read outside.
        while engine.elapsed() < virtual_time {
            engine.step();
            net.expire();
        }
    };
    let start = start();
    std::thread::spawn(body).join().expect("the simulation does not panic");
    virtual_time.as_secs_f64() / start.elapsed().as_secs_f64()
}

fn idle_turmoil(hosts: u16, virtual_time: Duration) -> f64 {
    let body = move || {
        let mut sim = turmoil::Builder::new()
            .tick_duration(Duration::from_millis(1))
            .simulation_duration(virtual_time * 2)
            .rng_seed(1)
            .build();
        for n in 0..hosts {
            sim.host(format!("host-{n}"), || async {
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
        }
        while sim.elapsed() < virtual_time {
            sim.step().expect("turmoil steps");
        }
    };
    let start = start();
    std::thread::spawn(body).join().expect("turmoil does not panic");
    virtual_time.as_secs_f64() / start.elapsed().as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures the machine")]
fn start() -> Instant {
    Instant::now()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
