//! What one end-to-end case costs on each backend: topics deleted, made and waited for, 100 orders produced twice,
//! processed and checked.
//!
//! `cargo bench -p squall-tests --features docker --bench end_to_end`. A backend that is not there is said to be
//! left out. In the simulation the same orders run in virtual time; what is shown is how long one seed takes here.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::time::Duration;

use squall::run::{Runner, RunnerOptions};
use squall::scenario::{LoadOptions, Scenario};
use squall::seed::scenario_seed;
use squall::service::Services;
use squall_fixtures::Scope;
use squall_fixtures::variables::Variables;
use squall_tests::order_flow::{self, Timings};
use tokio::time::Instant;

const ORDERS: usize = 100;
const RUNS: usize = 5;

fn main() {
    println!("{ORDERS} orders, each produced twice; medians of {RUNS} runs, in ms\n");
    println!("| backend | servers | topics | produce | process | check | without servers |");
    println!("|---|---|---|---|---|---|---|");
    for backend in ["mock", "docker", "external"] {
        match times(backend) {
            Ok(times) => {
                let row = |of: fn(&Timings) -> Duration| millis(median(times.iter().map(of).collect()));
                println!(
                    "| {backend} | {} | {} | {} | {} | {} | {} |",
                    row(|it| it.servers),
                    row(|it| it.topics),
                    row(|it| it.produce),
                    row(|it| it.process),
                    row(|it| it.check),
                    row(Timings::total)
                );
            }
            Err(why) => println!("| {backend} | left out: {why} |"),
        }
    }
    match simulated() {
        Ok(time) => println!("| simulation, one seed | | | | | | {} |", millis(time)),
        Err(why) => println!("| simulation | failed: {why} |"),
    }
}

fn times(backend: &str) -> Result<Vec<Timings>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    (0..RUNS)
        .map(|_| {
            let variables = Variables::of_process().with("SQUALL_BACKEND", backend);
            let scope = Scope::with_variables("end-to-end", variables);
            let result = runtime.block_on(order_flow::run(&scope, ORDERS));
            result.map_err(|error| error.to_string().replace('\n', " "))
        })
        .collect()
}

fn simulated() -> Result<Duration, String> {
    let runner = Runner::new(RunnerOptions { jobs: 1, ..RunnerOptions::default() }, Services::builtin());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/end_to_end.toml");
    let options = LoadOptions { overrides: Vec::new(), vocabulary: runner.vocabulary() };
    let loaded = Scenario::load(file.as_ref(), &options).map_err(|wrong| wrong.to_string())?;
    let case = loaded.cases.first().ok_or("no case")?;
    let mut times = Vec::new();
    for number in 0..RUNS {
        let seed = scenario_seed("end-to-end", "", u64::try_from(number).unwrap_or(0));
        let start = Instant::now();
        let mut failed = None;
        let ran = runner.run_seeds(case, &[seed], |_, judged| {
            let verdict = judged.verdict();
            failed = (!verdict.is_passed()).then(|| format!("{verdict:?}"));
            true
        });
        times.push(start.elapsed());
        ran.map_err(|error| error.to_string())?;
        if let Some(failed) = failed {
            return Err(failed);
        }
    }
    Ok(median(times))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}
