//! `squall replay`: one plan again, and whether it took the same course.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use clap::Args;

use super::{Context, Failure};
use crate::history::At;
use crate::plan::Plan;
use crate::run::{JudgedRun, Runner, RunnerOptions};
use crate::trace::TraceOptions;
use crate::verdict::Verdict;

#[derive(Args)]
pub(super) struct ReplayArgs {
    /// The plan, as `squall run` wrote it.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Write every event of the run to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

pub(super) fn replay(arguments: &ReplayArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let plan = Plan::load(&arguments.plan)
        .map_err(|wrong| Failure::Invalid(wrong.render(context.error_colour).trim_end().to_owned()))?;
    let before = plan.outcome.clone();
    let runner = Runner::new(RunnerOptions::default(), context.services.clone());
    if let Some(path) = &arguments.trace {
        create(path)?;
    }
    let options = || match arguments.trace.as_ref().and_then(|path| File::create(path).ok()) {
        Some(file) => TraceOptions { lines: Some(Box::new(BufWriter::new(file))), ..TraceOptions::default() },
        None => TraceOptions::default(),
    };
    let judged = runner.run_plan(plan, &options)?;
    show(&judged, context)?;
    if let Some(error) = &judged.trace.write_error {
        let path = arguments.trace.clone().unwrap_or_default();
        return Err(Failure::Unwritable { path, source: std::io::Error::other(error.clone()) });
    }
    let trace = judged.trace.hash.to_string();
    match before {
        Some(before) if before.trace != trace => {
            writeln!(context.out, "  before  {}", before.trace)?;
            writeln!(context.out, "This run took another course than the one that wrote the plan.")?;
            writeln!(
                context.out,
                "Has the program or a service changed since? If not, it is not deterministic:"
            )?;
            writeln!(context.out, "`squall run --verify-determinism` shows where two runs part.")?;
            Ok(5)
        }
        Some(_) => {
            writeln!(context.out, "The same course as the run that wrote the plan.")?;
            Ok(code(&judged))
        }
        None => Ok(code(&judged)),
    }
}

fn show(judged: &JudgedRun, context: &mut Context<'_>) -> Result<(), Failure> {
    let plan = &judged.plan;
    let case = if plan.case.is_empty() { String::new() } else { format!(" [{}]", plan.case) };
    writeln!(context.out, "{}{case}, seed {}", plan.scenario, plan.seed)?;
    match judged.verdict() {
        Verdict::Failed(violation) => {
            writeln!(context.out, "  {} broken at {}", violation.checker, At(violation.at))?;
            writeln!(context.out, "  {}", violation.summary)?;
            for line in &violation.evidence {
                writeln!(context.out, "    {line}")?;
            }
        }
        Verdict::Inconclusive(reason) => writeln!(context.out, "  inconclusive: {reason}")?,
        verdict => writeln!(context.out, "  {}", verdict.word())?,
    }
    writeln!(context.out, "  trace   {}", judged.trace.hash)?;
    Ok(())
}

fn create(path: &PathBuf) -> Result<File, Failure> {
    File::create(path).map_err(|source| Failure::Unwritable { path: path.clone(), source })
}

fn code(judged: &JudgedRun) -> u8 {
    match judged.verdict() {
        Verdict::Passed => 0,
        Verdict::Failed(_) => 1,
        _ => 3,
    }
}
