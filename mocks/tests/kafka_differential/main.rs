//! The same requests to the mock and to real Apache Kafka brokers, answers compared.
//!
//! `SQUALL_KAFKA` is a program that starts real brokers (`ci/kafka`, which says how it is called);
//! `SQUALL_KAFKA_VERSION` says which version, 4.3 unless given; against 3.9, what fails shows what 4 changed. Without
//! the program, or without Java, every trial is listed as ignored, or fails where `SQUALL_REQUIRE` names kafka. Each kind
//! of cluster is started once, by the first trial that needs it, and each trial has names of topics and groups of its
//! own.
//!
//! To add a sequence, write a function in a file of `golden/` and name it in [`golden::ONE`] or [`golden::THREE`].
//! What differs from server to server by its nature (ids, ports, the time) is left out by `same.rs`, and nothing
//! else is; an answer of which a part cannot be compared says so in its sequence.

mod build;
mod golden;
mod pair;
mod random;
mod same;
mod servers;
mod wire;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};

use pair::Pair;
use servers::Servers;

/// Trials against one pair of clusters, which is started when the first of them runs.
struct Bench {
    brokers: usize,
    servers: Arc<OnceLock<Result<Servers, String>>>,
    is_ignored: bool,
    trials: Vec<Trial>,
}

impl Bench {
    fn new(brokers: usize, is_ignored: bool) -> Self {
        Self { brokers, servers: Arc::default(), is_ignored, trials: Vec::new() }
    }

    fn add(&mut self, name: &str, run: impl FnOnce(&Servers) -> Result<(), String> + Send + 'static) {
        let (brokers, servers) = (self.brokers, Arc::clone(&self.servers));
        let trial = move || match servers.get_or_init(|| Servers::start(brokers)) {
            Ok(servers) => run(servers).map_err(Into::into),
            Err(why) => Err(why.into()),
        };
        let name = format!("{brokers}::{name}_agree");
        self.trials.push(Trial::test(name, trial).with_ignored_flag(self.is_ignored));
    }
}

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let found = servers::find();
    let is_required =
        std::env::var("SQUALL_REQUIRE").is_ok_and(|all| all.split(',').any(|it| it.trim() == "kafka"));
    if let Err(why) = &found {
        let what = if is_required { "fail, for SQUALL_REQUIRE names kafka" } else { "are ignored" };
        eprintln!("differential trials {what}: {why}");
    }
    let mut trials = Vec::new();
    for (brokers, sequences) in [(1, golden::ONE), (3, golden::THREE)] {
        let mut bench = Bench::new(brokers, found.is_err() && !is_required);
        for &(name, run) in sequences {
            bench.add(name, move |servers| Pair::run(servers, run));
        }
        if brokers == 1 {
            bench.add("random_requests", random::run);
        }
        trials.append(&mut bench.trials);
    }
    libtest_mimic::run(&args, trials).exit_code()
}
