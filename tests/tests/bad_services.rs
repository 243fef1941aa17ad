//! Services that misbehave: each fails its seed with a text that names it, and the run goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use squall::run::{JudgedRun, Runner, RunnerOptions};
use squall::scenario::{LoadOptions, Scenario};
use squall::seed::Seed;
use squall::service::Services;
use squall::verdict::Class;
use squall_core::env::Env;

const SCENARIO: &str = r#"
# A service that misbehaves after a second.
schema = 1
name = "bad-service"

[params]
kind = "bad.panics"

[run]
duration = "3s"
settle = "3s"
tick = "10ms"

[topology.good]
kind = "bad.sleeps"

[topology.bad]
kind = "${kind}"
replicas = 2

[[expect]]
sometimes = "retry"
"#;

async fn sleeps(_: Env) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The same, and a broker.
const WITH_KAFKA: &str = r#"
[topology.kafka]
kind = "squall.kafka"
"#;

/// Only the second of the two misbehaves.
async fn a_second_unless_first(env: &Env) {
    let wait = if env.name == "bad-2" { 1 } else { 1_000_000 };
    tokio::time::sleep(Duration::from_secs(wait)).await;
}

async fn panics(env: Env) -> anyhow::Result<()> {
    a_second_unless_first(&env).await;
    panic!("the ledger does not add up");
}

async fn panics_in_a_task(env: Env) -> anyhow::Result<()> {
    a_second_unless_first(&env).await;
    let task = tokio::spawn(async { panic!("nobody awaits me") });
    let _: Result<(), _> = task.await;
    sleeps(env).await
}

async fn fails(env: Env) -> anyhow::Result<()> {
    a_second_unless_first(&env).await;
    anyhow::bail!("the ledger is closed")
}

async fn returns(env: Env) -> anyhow::Result<()> {
    a_second_unless_first(&env).await;
    Ok(())
}

async fn never_yields(env: Env) -> anyhow::Result<()> {
    a_second_unless_first(&env).await;
    let mut n: u64 = 0;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

/// Speaks HTTP to a broker, and takes no notice of what comes of it.
async fn calls_a_broker_by_http(env: Env) -> anyhow::Result<()> {
    a_second_unless_first(&env).await;
    let body = "{}".parse()?;
    let _ = env.http()?.post_json("kafka-1:9092", "/orders", &[], &body, Duration::from_secs(1)).await;
    sleeps(env).await
}

/// Keeps count over all runs of this process, which no seed decides.
async fn remembers_earlier_runs(env: Env) -> anyhow::Result<()> {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let earlier = RUNS.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500 + earlier)).await;
    squall_core::point!("processor.received");
    sleeps(env).await
}

fn run(kind: &str) -> JudgedRun {
    run_with(kind, RunnerOptions::default())
}

fn run_with(kind: &str, options: RunnerOptions) -> JudgedRun {
    run_in(SCENARIO, kind, options)
}

fn run_in(scenario: &str, kind: &str, options: RunnerOptions) -> JudgedRun {
    let services = Services::builtin()
        .with("bad.sleeps", sleeps)
        .with("bad.panics", panics)
        .with("bad.panics-in-a-task", panics_in_a_task)
        .with("bad.fails", fails)
        .with("bad.returns", returns)
        .with("bad.never-yields", never_yields)
        .with("bad.calls-a-broker-by-http", calls_a_broker_by_http)
        .with("bad.remembers", remembers_earlier_runs);
    let options = RunnerOptions { stall: Duration::from_secs(1), ..options };
    let runner = Runner::new(options, services);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bad-service.toml");
    std::fs::write(&file, scenario).expect("the folder can be written");
    let overrides = vec![("kind".to_owned(), kind.to_owned())];
    let loaded = Scenario::load(&file, &LoadOptions { overrides, vocabulary: runner.vocabulary() });
    let case = loaded.unwrap_or_else(|wrong| panic!("{wrong}")).cases.remove(0);
    runner.run_one(&case, Seed(7)).expect("the plan can run")
}

/// Summary and evidence of the crash, which must name the host.
fn crash(kind: &str) -> String {
    let judged = run(kind);
    let broken = judged.broken.unwrap_or_else(|| panic!("{kind} passed"));
    assert_eq!(broken.class, Class::Crash);
    assert!(broken.summary.contains("bad-2"), "{}", broken.summary);
    assert!(broken.at >= Duration::from_secs(1) && broken.at < Duration::from_secs(2), "{:?}", broken.at);
    format!("{}\n{}", broken.summary, broken.evidence.join("\n"))
}

#[test]
fn a_service_that_behaves_is_not_broken() {
    assert_eq!(run("bad.sleeps").broken, None);
}

#[test]
fn a_panic_fails_the_seed_with_its_text_and_place() {
    let text = crash("bad.panics");
    assert!(text.contains("the ledger does not add up") && text.contains("bad_services.rs"), "{text}");
}

#[test]
fn a_panic_in_a_spawned_task_is_not_lost() {
    assert!(crash("bad.panics-in-a-task").contains("nobody awaits me"));
}

#[test]
fn a_service_that_ends_with_an_error_fails_the_seed_with_the_error() {
    assert!(crash("bad.fails").contains("the ledger is closed"));
}

#[test]
fn a_service_that_returns_unasked_fails_the_seed() {
    assert!(crash("bad.returns").contains("nobody had asked"));
}

#[test]
fn a_service_that_never_yields_is_named_instead_of_hanging_the_run() {
    assert!(crash("bad.never-yields").contains("did not yield"));
}

#[test]
fn a_client_that_asks_a_broker_for_what_it_does_not_serve_fails_the_seed() {
    let scenario = format!("{SCENARIO}{WITH_KAFKA}");
    assert_eq!(run_in(&scenario, "bad.sleeps", RunnerOptions::default()).broken, None);
    let judged = run_in(&scenario, "bad.calls-a-broker-by-http", RunnerOptions::default());
    let broken = judged.broken.expect("the mock is strict");
    assert_eq!(broken.class, Class::Crash);
    let text = format!("{}\n{}", broken.summary, broken.evidence.join("\n"));
    assert!(
        text.contains("kafka") && text.contains("a client asked it for what it does not serve"),
        "{text}"
    );
}

#[test]
fn the_same_crash_has_the_same_trace() {
    let (one, other) = (run("bad.panics"), run("bad.panics"));
    assert_eq!(one.trace.hash, other.trace.hash);
}

#[test]
fn a_service_that_no_seed_decides_is_found_out_with_the_place_where_two_runs_part() {
    let verify = RunnerOptions { verify_determinism: true, ..RunnerOptions::default() };
    assert_eq!(run_with("bad.sleeps", verify.clone()).broken, None);
    let broken = run_with("bad.remembers", verify).broken.expect("two runs differ");
    assert_eq!((broken.checker.as_str(), broken.class), ("deterministic", Class::Nondeterminism));
    let evidence = broken.evidence.join("\n");
    assert!(
        evidence.contains("the traces part at event") && evidence.contains("processor.received"),
        "{evidence}"
    );
}
