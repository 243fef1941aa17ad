//! The same commands against the mock and a real redis-server, replies compared.
//!
//! The real server is `SQUALL_REDIS_SERVER`, or `redis-server` on the path; without one every trial is listed
//! as ignored. Time is real here: a wait is a `DEBUG SLEEP` of both servers, and what is left of a deadline is
//! compared within the time that both took. Orders and random choices that Redis does not promise are not compared.

mod choice;
mod conversation;
mod dumps;
mod events;
mod golden;
mod libraries;
mod mixed;
mod random;
mod replica;
mod table;
mod templates;
mod templates_apart;
mod templates_values;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use wire::Servers;

type Run = Box<dyn FnOnce(&Servers) -> Result<(), String> + Send>;

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let servers = Servers::start().map(Arc::new);
    let mut trials = Vec::new();
    let mut add = |name: String, run: Run| {
        let servers = servers.as_ref().ok().map(Arc::clone);
        let ignored = servers.is_none();
        let run = move || match servers {
            Some(servers) => run(&servers).map_err(Into::into),
            None => Ok(()),
        };
        trials.push(Trial::test(name, run).with_ignored_flag(ignored));
    };
    for version in [2, 3] {
        for (name, text) in golden::SEQUENCES {
            let run = move |servers: &Servers| golden::run(servers, version, text);
            add(format!("resp{version}::{name}_agree"), Box::new(run));
        }
        add(
            format!("resp{version}::mixed_commands_agree"),
            Box::new(move |servers| mixed::run(servers, version)),
        );
        let run = move |servers: &Servers| libraries::run(servers, version);
        add(format!("resp{version}::random_libraries_agree"), Box::new(run));
        for (name, commands) in templates::groups() {
            let run = move |servers: &Servers| random::run(servers, version, commands);
            add(format!("resp{version}::random_{name}_agree"), Box::new(run));
        }
    }
    add("payloads_cross_over".to_owned(), Box::new(dumps::cross));
    for (name, commands) in templates::groups() {
        let run = move |servers: &Servers| events::run(servers, commands);
        add(format!("random_{name}_events_agree"), Box::new(run));
    }
    add("command_table_agrees".to_owned(), Box::new(table::agrees));
    trials.push(Trial::test("replica_agrees", || replica::agrees().map_err(Into::into)));
    let drawn = || mixed::every_command_is_drawn().map_err(Into::into);
    trials.push(Trial::test("every_command_is_drawn", drawn));
    if let Err(why) = &servers {
        eprintln!("differential trials are ignored: {why}");
    }
    libtest_mimic::run(&args, trials).exit_code()
}
