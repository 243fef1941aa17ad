//! The program as a person or a script meets it: what it prints, what it writes, how it exits.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

struct Squall {
    folder: tempfile::TempDir,
}

impl Squall {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Runs the program in its own folder.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env("NO_COLOR", "1")
            .env_remove("GITHUB_ACTIONS");
        command.output().expect("the program starts")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("the folder can be written");
        path
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder can be read");
        let mut names: Vec<_> =
            entries.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn scenario(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(path).display().to_string()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("the program ends by itself")
}

const CRASH: &str = "idempotency/crash-between-effect-and-commit.toml";

#[test]
fn a_clean_run_passes_and_leaves_nothing_behind() {
    let squall = Squall::new();
    let output = squall.run(&["run", &scenario("smoke/orders.toml"), "--seeds", "2"]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), err(&output));
    let text = out(&output);
    assert!(text.contains("smoke") && text.contains("2 seeds") && text.contains("sometimes"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(squall.files(), Vec::<String>::new());
}

#[test]
fn a_mutant_fails_and_its_replay_takes_the_same_course() {
    let squall = Squall::new();
    let arguments =
        ["run", &scenario(CRASH), "--seeds", "50", "--fail-fast", "--mutant", "dedup-after-effect"];
    let output = squall.run(&arguments);
    let text = out(&output);
    assert_eq!(code(&output), 1, "{text}{}", err(&output));
    assert!(text.contains("idempotent"), "{text}");
    let line = text.lines().find(|line| line.contains("squall replay")).expect("a replay line");
    let plan = line.split_whitespace().last().expect("the plan's path");
    for _ in 0..2 {
        let replay = squall.run(&["replay", plan, "--trace", "trace.jsonl"]);
        assert_eq!(code(&replay), 1, "{}{}", out(&replay), err(&replay));
        assert!(out(&replay).contains("The same course"), "{}", out(&replay));
    }
    let trace = fs::read_to_string(squall.folder.path().join("trace.jsonl")).expect("the trace");
    assert!(trace.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    // The same seed without the bug takes another course, and says so.
    let plan_path = squall.folder.path().join(plan);
    let without =
        fs::read_to_string(&plan_path).expect("the plan").replace("mutant = \"dedup-after-effect\"\n", "");
    squall.write("clean.plan.toml", &without);
    let replay = squall.run(&["replay", "clean.plan.toml"]);
    assert_eq!(code(&replay), 5, "{}{}", out(&replay), err(&replay));
}

#[test]
fn every_mistake_of_a_scenario_is_shown_with_its_place() {
    let squall = Squall::new();
    let path = squall.write(
        "wrong.toml",
        "schema = 1\nname = \"wrong\"\n\n[run]\nduration = 10\nseeds = 0\n\n[[fault]]\nat = \"1s\"\nnet.partitoin = {}\n",
    );
    let output = squall.run(&["run", path.to_str().expect("a path")]);
    assert_eq!(code(&output), 2);
    let text = err(&output);
    assert!(text.contains("wrong.toml:5:") && text.contains("wrong.toml:10:"), "{text}");
    assert!(text.contains("partition"), "{text}");
    assert_eq!(squall.files(), ["wrong.toml"]);
}

#[test]
fn a_missing_file_is_named() {
    let squall = Squall::new();
    let output = squall.run(&["run", "nowhere.toml"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("nowhere.toml"), "{}", err(&output));
}

#[test]
fn an_empty_folder_has_nothing_to_run() {
    let squall = Squall::new();
    let output = squall.run(&["run", "."]);
    assert_eq!(code(&output), 4, "{}", err(&output));
}

#[test]
fn zero_seeds_and_unknown_mutants_are_refused_before_anything_runs() {
    let squall = Squall::new();
    let smoke = scenario("smoke/orders.toml");
    assert_eq!(code(&squall.run(&["run", &smoke, "--seeds", "0"])), 2);
    let output = squall.run(&["run", &smoke, "--mutant", "no-such-bug"]);
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("no-such-bug"), "{}", err(&output));
}

#[test]
fn a_report_folder_that_cannot_be_written_is_found_out_before_the_run() {
    let squall = Squall::new();
    squall.write("occupied", "a file where a folder should be");
    let smoke = scenario("smoke/orders.toml");
    let output = squall.run(&["run", &smoke, "--seeds", "1", "--report", "occupied/reports"]);
    assert_eq!(code(&output), 6, "{}{}", out(&output), err(&output));
    assert!(err(&output).contains("occupied") && out(&output).is_empty());
}

#[test]
fn machine_output_is_one_json_object_a_line() {
    let squall = Squall::new();
    let smoke = scenario("smoke/orders.toml");
    let output =
        squall.run(&["run", &smoke, "--seeds", "2", "--message-format", "json", "--junit", "new/junit.xml"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let lines: Vec<serde_json::Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(types, ["run", "run", "scenario", "summary"]);
    let junit = fs::read_to_string(squall.folder.path().join("new/junit.xml")).expect("the report");
    assert!(junit.contains("<testcase name=\"smoke\""), "{junit}");
}

#[test]
fn two_processes_have_the_same_traces() {
    let squall = Squall::new();
    let chaos = scenario("chaos/everything.toml");
    let runs =
        || out(&squall.run(&["run", &chaos, "--seeds", "3", "--jobs", "2", "--message-format", "json"]));
    let hashes = |text: String| -> Vec<String> {
        text.lines().filter(|line| line.contains("\"type\":\"run\"")).map(str::to_owned).collect()
    };
    let (first, second) = (hashes(runs()), hashes(runs()));
    assert_eq!(first.len(), 3);
    assert_eq!(first, second);
}

#[test]
fn list_validate_and_plan_run_nothing() {
    let squall = Squall::new();
    let listed = squall.run(&["list", &scenario("")]);
    assert_eq!(code(&listed), 0, "{}", err(&listed));
    assert!(out(&listed).contains("crash-between-effect-and-commit"), "{}", out(&listed));
    let valid = squall.run(&["validate", &scenario(CRASH)]);
    assert_eq!(code(&valid), 0, "{}", err(&valid));
    assert!(out(&valid).contains("settle = \"1m\""), "{}", out(&valid));
    let plan = squall.run(&["plan", &scenario("chaos/everything.toml"), "--seed", "0x2a"]);
    assert_eq!(code(&plan), 0, "{}", err(&plan));
    squall.write("drawn.plan.toml", &out(&plan));
    let replay = squall.run(&["replay", "drawn.plan.toml"]);
    assert_eq!(code(&replay), 0, "{}{}", out(&replay), err(&replay));
}

#[test]
fn a_mock_redis_answers_over_tcp_and_a_taken_port_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    let child = command.args(["mock", "redis", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn();
    let mut child = Killed(child.expect("the program starts"));
    let mut line = String::new();
    let stdout = child.0.stdout.take().expect("the output is piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("redis://").expect("an address").to_owned();
    let mut client = TcpStream::connect(&address).expect("the server listens");
    client.write_all(b"SET a 1\r\nINCR a\r\n").expect("the server reads");
    let mut answer = [0; 9];
    client.read_exact(&mut answer).expect("the server answers");
    assert_eq!(&answer, b"+OK\r\n:2\r\n");
    let second = Squall::new().run(&["mock", "redis", "--listen", &address]);
    assert_eq!(code(&second), 6);
    assert!(err(&second).contains(&address), "{}", err(&second));
}

/// A child that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_command_explains_itself() {
    let squall = Squall::new();
    for command in ["run", "replay", "mutants", "list", "validate", "plan", "mock", "fixtures"] {
        let help = squall.run(&[command, "--help"]);
        assert_eq!(code(&help), 0);
        assert!(out(&help).contains("Usage: squall"), "{}", out(&help));
    }
}

#[cfg(not(feature = "docker"))]
#[test]
fn a_build_without_docker_says_how_to_get_one_with_it() {
    let squall = Squall::new();
    let refused = squall.run(&["fixtures", "prune", "--dry-run"]);
    assert_eq!(code(&refused), 6, "{}", err(&refused));
    let wanted = "cargo run --release --features docker -- fixtures prune --dry-run";
    assert!(err(&refused).contains(wanted), "{}", err(&refused));
    assert_eq!(out(&refused), "");
}

#[cfg(feature = "docker")]
#[test]
fn fixtures_without_a_daemon_say_so_and_what_to_do() {
    let squall = Squall::new();
    for command in ["list", "prune"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_squall"));
        program.args(["fixtures", command]).env("TMPDIR", squall.folder.path());
        let refused = program.env("DOCKER_HOST", "tcp://127.0.0.1:1").output().expect("it runs");
        assert_eq!(code(&refused), 6, "{}", err(&refused));
        assert!(err(&refused).contains("127.0.0.1:1"), "{}", err(&refused));
        assert_eq!(out(&refused), "");
    }
}
