//! A service's host is paused, or its clock is set: what the service itself finds out about it, and what it does
//! not.

use std::time::Duration;

use squall::run::{JudgedRun, Runner, RunnerOptions};
use squall::scenario::{LoadOptions, Scenario};
use squall::seed::Seed;
use squall::service::Services;
use squall_core::env::Env;

const SCENARIO: &str = r#"
# A service that looks at its clocks ten times a second.
schema = 1
name = "frozen-service"

[run]
duration = "10s"
settle = "3s"
tick = "10ms"

[topology.watch]
kind = "test.watch"
replicas = 2

[[expect]]
sometimes = "retry"
"#;

/// Looks at the wall clock and at tokio's, from a task of a task, and ends when they have moved too far.
async fn watch(env: Env) -> anyhow::Result<()> {
    let looking = tokio::spawn(async move {
        loop {
            let (wall, timer) = (env.clock.unix_ms(), tokio::time::Instant::now());
            tokio::time::sleep(Duration::from_millis(100)).await;
            let wall = env.clock.unix_ms() - wall;
            let timer = timer.elapsed().as_millis();
            if wall != 100 || timer != 100 {
                return anyhow::anyhow!("100 ms later the wall clock has moved {wall} ms, timers {timer} ms");
            }
        }
    });
    Err(looking.await?)
}

fn run(fault: &str) -> JudgedRun {
    let services = Services::builtin().with("test.watch", watch);
    let options = RunnerOptions { verify_determinism: true, ..RunnerOptions::default() };
    let runner = Runner::new(options, services);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("frozen-service.toml");
    std::fs::write(&file, format!("{SCENARIO}\n{fault}")).expect("the folder can be written");
    let options = LoadOptions { vocabulary: runner.vocabulary(), ..LoadOptions::default() };
    let loaded = Scenario::load(&file, &options);
    let case = loaded.unwrap_or_else(|wrong| panic!("{wrong}")).cases.remove(0);
    runner.run_one(&case, Seed(7)).expect("the plan can run")
}

/// What the service said at its end, and when that was.
fn found(fault: &str) -> (String, Duration) {
    let broken = run(fault).broken.expect("the service ends");
    (broken.summary, broken.at)
}

#[test]
fn clocks_move_together_while_nothing_is_wrong() {
    assert_eq!(run("").broken, None);
}

#[test]
fn a_paused_host_finds_that_both_clocks_have_moved() {
    let fault = "[[fault]]\nat = \"1s\"\nfor = \"2500ms\"\nprocess.pause = { host = \"watch-2\" }\n";
    let (summary, at) = found(fault);
    assert!(summary.starts_with("watch-2"), "{summary}");
    assert!(summary.contains("the wall clock has moved 2600 ms, timers 2600 ms"), "{summary}");
    assert_eq!(at, Duration::from_millis(3510));
}

#[test]
fn two_pauses_of_a_host_end_with_the_later() {
    let pause = |at: &str, lasts: &str| {
        format!("[[fault]]\nat = {at:?}\nfor = {lasts:?}\nprocess.pause = {{ host = \"watch-1\" }}\n")
    };
    let (_, at) = found(&format!("{}{}", pause("1s", "2s"), pause("2s", "4s")));
    assert_eq!(at, Duration::from_millis(6010));
    let (_, at) = found(&format!("{}{}", pause("1s", "8s"), pause("2s", "4s")));
    assert_eq!(at, Duration::from_millis(9010));
}

#[test]
fn a_pause_ends_with_the_process() {
    // The new process was never paused, and the old one never finds out.
    let fault = "[[fault]]\nat = \"1s\"\nfor = \"8s\"\nprocess.pause = { host = \"watch-1\" }\n\
                 [[fault]]\nat = \"2s\"\nfor = \"1s\"\nprocess.kill = { host = \"watch-1\" }\n";
    assert_eq!(run(fault).broken, None);
}

#[test]
fn a_clock_that_is_set_moves_the_wall_clock_alone_and_stays_so_across_a_restart() {
    let jump = "[[fault]]\nat = \"1s\"\nclock.jump = { host = \"watch-1\", by = \"1h\" }\n";
    assert!(found(jump).0.contains("the wall clock has moved 3600100 ms, timers 100 ms"));
    let back = jump.replace("by = \"1h\"", "by = \"1h\", direction = \"backward\"");
    assert!(found(&back).0.contains("the wall clock has moved -3599900 ms, timers 100 ms"));
    let while_dead = format!(
        "[[fault]]\nat = \"500ms\"\nfor = \"1s\"\nprocess.kill = {{ host = \"watch-1\" }}\n{jump}\
         [[fault]]\nat = \"4s\"\nclock.jump = {{ host = \"watch-1\", by = \"2s\" }}\n"
    );
    assert!(found(&while_dead).0.contains("has moved 2100 ms"));
}
