//! The same commands against the mock and a real redis-server, replies compared.
//!
//! The real server is `SQUALL_REDIS_SERVER`, or `redis-server` on the path; without one every trial is listed as
//! ignored, or fails where `SQUALL_REQUIRE` names redis. `SQUALL_REDIS_NEXT` is a server of version 8.0, for what came
//! after 7.0: what it said is on record too, and the mock is compared with the record in any case. Time is real here: a
//! wait is a `DEBUG SLEEP` of both servers, and what is left of a deadline is compared within the time that both took.
//! Orders and random choices that Redis does not promise are not compared.

mod choice;
mod conversation;
mod dumps;
mod events;
mod golden;
mod libraries;
mod mixed;
mod random;
mod recorded;
mod replica;
mod same;
mod servers;
mod table;
mod templates;
mod templates_apart;
mod templates_values;
mod wire;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};

use servers::{CLUSTER, NEXT, PLAIN, Setting};
use wire::Servers;

type Run = Box<dyn FnOnce(&Servers) -> Result<(), String> + Send>;

/// Trials against one pair of servers, which is made when the first of them runs.
struct Bench {
    setting: &'static Setting,
    servers: Arc<OnceLock<Result<Servers, String>>>,
    is_ignored: bool,
    trials: Vec<Trial>,
}

impl Bench {
    /// Without the real server its trials are ignored, or fail where that is required; why goes to standard error.
    fn new(setting: &'static Setting) -> Self {
        let program = setting.find();
        let is_required =
            std::env::var("SQUALL_REQUIRE").is_ok_and(|all| all.split(',').any(|it| it.trim() == "redis"));
        if let Err(why) = &program {
            let what = if is_required { "fail, for SQUALL_REQUIRE names redis" } else { "are ignored" };
            eprintln!("differential trials {what}: {why}");
        }
        let is_ignored = program.is_err() && !is_required;
        Self { setting, servers: Arc::default(), is_ignored, trials: Vec::new() }
    }

    fn add(&mut self, name: String, run: Run) {
        let (setting, servers) = (self.setting, Arc::clone(&self.servers));
        let run = move || match servers.get_or_init(|| Servers::start(setting)) {
            Ok(servers) => run(servers).map_err(Into::into),
            Err(why) => Err(why.into()),
        };
        self.trials.push(Trial::test(name, run).with_ignored_flag(self.is_ignored));
    }
}

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let mut trials = plain();
    trials.extend(cluster());
    trials.extend(next());
    trials.push(Trial::test("replica_agrees", || replica::agrees().map_err(Into::into)));
    let drawn = || mixed::every_command_is_drawn().map_err(Into::into);
    trials.push(Trial::test("every_command_is_drawn", drawn));
    libtest_mimic::run(&args, trials).exit_code()
}

fn plain() -> Vec<Trial> {
    let mut bench = Bench::new(&PLAIN);
    for version in [2, 3] {
        for (name, text) in golden::SEQUENCES {
            let run = move |servers: &Servers| golden::run(servers, version, text);
            bench.add(format!("resp{version}::{name}_agree"), Box::new(run));
        }
        bench.add(
            format!("resp{version}::mixed_commands_agree"),
            Box::new(move |servers| mixed::run(servers, version, random::KEYS)),
        );
        let run = move |servers: &Servers| libraries::run(servers, version);
        bench.add(format!("resp{version}::random_libraries_agree"), Box::new(run));
        for (name, commands) in templates::groups() {
            let run = move |servers: &Servers| random::run(servers, version, commands, random::KEYS);
            bench.add(format!("resp{version}::random_{name}_agree"), Box::new(run));
        }
    }
    bench.add("payloads_cross_over".to_owned(), Box::new(dumps::cross));
    for (name, commands) in templates::groups() {
        let run = move |servers: &Servers| events::run(servers, commands);
        bench.add(format!("random_{name}_events_agree"), Box::new(run));
    }
    bench.add("command_table_agrees".to_owned(), Box::new(table::agrees));
    bench.trials
}

/// One node of a cluster, which has every slot.
fn cluster() -> Vec<Trial> {
    let mut bench = Bench::new(&CLUSTER);
    for version in [2, 3] {
        let run = move |servers: &Servers| golden::run(servers, version, golden::CLUSTER_COMMANDS);
        bench.add(format!("cluster::resp{version}::commands_agree"), Box::new(run));
        // Slots that are gone take the real server seconds to have again.
        let run = move |_: &Servers| golden::run(&Servers::start(&CLUSTER)?, version, golden::CLUSTER_SLOTS);
        bench.add(format!("cluster::resp{version}::slots_agree"), Box::new(run));
        let run = move |servers: &Servers| mixed::run(servers, version, random::SLOT_KEYS);
        bench.add(format!("cluster::resp{version}::mixed_commands_agree"), Box::new(run));
    }
    for (name, commands) in templates::mixed_groups() {
        let run = move |servers: &Servers| random::run(servers, 2, commands, random::SLOT_KEYS);
        bench.add(format!("cluster::random_{name}_agree"), Box::new(run));
    }
    bench.trials
}

/// What came after 7.0: against what a later server was heard to say, and against that server if there is one.
fn next() -> Vec<Trial> {
    let mut bench = Bench::new(&NEXT);
    let commands = templates_apart::HASH_DEADLINES;
    for sequence in &recorded::SEQUENCES {
        let run = move |servers: &Servers| recorded::is_what_is_said(servers, sequence);
        bench.add(format!("next::{}_are_as_recorded", sequence.name), Box::new(run));
        let replay = move || recorded::replay(sequence).map_err(Into::into);
        bench.trials.push(Trial::test(format!("next::{}_agree_with_the_record", sequence.name), replay));
    }
    for version in [2, 3] {
        let run = move |servers: &Servers| random::run(servers, version, commands, random::KEYS);
        bench.add(format!("next::resp{version}::random_hash_deadlines_agree"), Box::new(run));
    }
    let run = move |servers: &Servers| events::run(servers, commands);
    bench.add("next::random_hash_deadlines_events_agree".to_owned(), Box::new(run));
    bench.add("next::payloads_with_deadlines_cross_over".to_owned(), Box::new(dumps::cross_deadlines));
    bench.trials
}
