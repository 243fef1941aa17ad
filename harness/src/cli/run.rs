//! `squall run`: scenarios in, verdicts out; each failing run leaves its plan.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::json;

use super::load::{Loaded, load};
use super::{Context, Failure, Seeds, Selection, progress};
use crate::report::{Aggregate, FAILURES_MAX, ScenarioResult, SeedResult, annotate, json, junit, text};
use crate::run::{JudgedRun, Runner, RunnerOptions};
use crate::seed::Seed;
use crate::sim::shim;
use crate::verdict::Verdict;

#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    seeds: Seeds,
    /// Switch a planted bug on (`squall mutants --list` names them).
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Run every plan twice and fail if the two differ in anything.
    #[arg(long)]
    verify_determinism: bool,
    /// Simulations at a time [default: one for each processor].
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Stop at the first seed that fails.
    #[arg(long)]
    fail_fast: bool,
    /// Where the plans of failing runs are written.
    #[arg(long, value_name = "DIR", default_value = "failures")]
    report: PathBuf,
    /// Write a JUnit report to this file.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    message_format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A block for each scenario.
    Human,
    /// One JSON object a line: each run, each scenario, a summary.
    Json,
}

pub(super) fn run(arguments: &RunArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let mut options = RunnerOptions {
        verify_determinism: arguments.verify_determinism,
        mutant: arguments.mutant.clone(),
        ..RunnerOptions::default()
    };
    if let Some(jobs) = arguments.jobs {
        options.jobs = usize::from(jobs);
    }
    let runner = Runner::new(options, context.services.clone());
    runner.check_mutant().map_err(|error| Failure::Invalid(format!("error: {error}")))?;
    let scenarios = load(&arguments.selection, &runner, context)?;
    // Nothing must have run when it turns out that nothing can be written.
    writable(&arguments.report)?;
    if let Some(parent) = arguments.junit.as_deref().and_then(Path::parent) {
        writable(parent)?;
    }
    let total = scenarios.iter().map(|it| it.seeds(&arguments.seeds).len() as u64).sum();
    let bar = progress::bar(total);
    let mut results = Vec::new();
    for scenario in &scenarios {
        let result = one(arguments, &runner, scenario, &bar, context)?;
        let failed = matches!(result.verdict, Verdict::Failed(_));
        bar.suspend(|| show(arguments.message_format, &result, context))?;
        results.push(result);
        if failed && arguments.fail_fast {
            break;
        }
    }
    bar.finish_and_clear();
    conclude(arguments, &results, context)?;
    Ok(code(&results))
}

/// Runs every seed of one case.
fn one(
    arguments: &RunArgs,
    runner: &Runner,
    scenario: &Loaded,
    bar: &ProgressBar,
    context: &mut Context<'_>,
) -> Result<ScenarioResult, Failure> {
    let case = &scenario.case;
    let file = scenario.file.display().to_string();
    let mut aggregate = Aggregate::new(&case.scenario.name, &case.label, &file);
    bar.set_message(case.scenario.name.clone());
    let seeds = scenario.seeds(&arguments.seeds);
    let start = start();
    let (mut index, mut trouble) = (0, None);
    runner.run_seeds(case, &seeds, |seed, judged| {
        let added = add(arguments, &mut aggregate, index, seed, &judged, context);
        index += 1;
        bar.inc(1);
        trouble = added.err();
        trouble.is_none() && !(arguments.fail_fast && aggregate.seeds_failed() > 0)
    })?;
    trouble.map_or_else(|| Ok(aggregate.finish(start.elapsed())), Err)
}

fn add(
    arguments: &RunArgs,
    aggregate: &mut Aggregate,
    index: u64,
    seed: Seed,
    judged: &JudgedRun,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    if arguments.message_format == Format::Json {
        let (plan, trace) = (&judged.plan, judged.trace.hash.to_string());
        let verdict = judged.verdict();
        let line = json!({
            "type": "run", "scenario": plan.scenario, "case": plan.case, "seed": seed.to_string(),
            "verdict": verdict.word(), "trace": trace,
        });
        writeln!(context.out, "{line}")?;
    }
    let mut result = SeedResult {
        index,
        seed,
        virtual_time: judged.elapsed,
        judged: judged.expectations.clone(),
        broken: judged.broken.clone(),
        trace_hash: Some(judged.trace.hash),
        plan_path: None,
        replay_command: None,
    };
    let kept = aggregate.seeds_failed() < FAILURES_MAX as u64;
    if kept && matches!(judged.verdict(), Verdict::Failed(_)) {
        let path = plan_path(&arguments.report, judged);
        let text = judged.plan.to_toml();
        write_file(&path, &text)?;
        let path = path.display().to_string();
        result.replay_command = Some(format!("squall replay {path}"));
        result.plan_path = Some(path);
    }
    aggregate.add(result);
    Ok(())
}

/// The file a failing run's plan goes to: named after what it is, so a second run overwrites its own.
fn plan_path(folder: &Path, judged: &JudgedRun) -> PathBuf {
    let plan = &judged.plan;
    let parts = [Some(plan.scenario.as_str()), Some(plan.case.as_str()), plan.mutant.as_deref()];
    let seed = plan.seed.to_string();
    let parts = parts.into_iter().flatten().chain([seed.as_str()]).filter(|part| !part.is_empty());
    let name: String = parts.collect::<Vec<_>>().join("-");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    folder.join(format!("{}.plan.toml", name.chars().map(plain).collect::<String>()))
}

fn show(format: Format, result: &ScenarioResult, context: &mut Context<'_>) -> Result<(), Failure> {
    match format {
        Format::Human => writeln!(context.out, "{}", text::block(result, context.colour))?,
        Format::Json => writeln!(context.out, "{}", json::scenario(result).map_err(std::io::Error::from)?)?,
    }
    Ok(())
}

fn conclude(
    arguments: &RunArgs,
    results: &[ScenarioResult],
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    if let Some(path) = &arguments.junit {
        let xml = junit::render(results).map_err(std::io::Error::other)?;
        write_file(path, &xml)?;
    }
    match arguments.message_format {
        Format::Json => writeln!(context.out, "{}", json::summary(results).map_err(std::io::Error::from)?)?,
        Format::Human => {
            write!(context.out, "{}", text::totals(results))?;
            let twice = if arguments.verify_determinism { "; every plan ran twice" } else { "" };
            writeln!(context.out, "determinism: {}{twice}", shim::covers())?;
        }
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some() {
        write!(context.out, "{}", annotate::render(results))?;
    }
    Ok(())
}

/// Writes a file, and the folder it lies in if that is not there.
fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| std::fs::write(path, text))
        .map_err(|source| Failure::Unwritable { path: path.to_owned(), source })
}

/// Makes sure of a folder by writing a file to it and taking it away again.
fn writable(folder: &Path) -> Result<(), Failure> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let unwritable = |source| Failure::Unwritable { path: folder.to_owned(), source };
    let made = !folder.exists();
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let probe = folder.join(".squall-writable");
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(unwritable)?;
    if made {
        // An empty folder would only puzzle; it is made again when there is something to write.
        let _ = std::fs::remove_dir(folder);
    }
    Ok(())
}

fn code(results: &[ScenarioResult]) -> u8 {
    match Verdict::all(results.iter().map(|result| result.verdict.clone())) {
        Verdict::Passed => 0,
        Verdict::Failed(_) => 1,
        Verdict::Inconclusive(_) => 3,
        Verdict::Skipped(_) | Verdict::NotRun => 4,
    }
}

#[expect(clippy::disallowed_methods, reason = "the report says how many seeds a second the machine did")]
fn start() -> Instant {
    Instant::now()
}
