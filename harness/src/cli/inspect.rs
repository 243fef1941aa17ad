//! `squall list`, `validate` and `plan`: look at scenarios without running them.

use std::io::Write;

use clap::Args;

use super::load::load;
use super::{Context, Failure, Seeds, Selection};
use crate::run::{Runner, RunnerOptions};

#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    selection: Selection,
}

#[derive(Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    selection: Selection,
    /// Say only whether the files are valid.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    seeds: Seeds,
    /// The planted bug to write into the plan.
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
}

pub(super) fn list(arguments: &ListArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let runner = Runner::new(RunnerOptions::default(), context.services.clone());
    let scenarios = load(&arguments.selection, &runner, context)?;
    let width = scenarios.iter().map(|it| it.title().chars().count()).max().unwrap_or(0);
    for scenario in scenarios {
        let (title, about) = (scenario.title(), &scenario.case.scenario.about);
        writeln!(context.out, "{title:<width$}  {about}")?;
    }
    Ok(0)
}

pub(super) fn validate(arguments: &ValidateArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let runner = Runner::new(RunnerOptions::default(), context.services.clone());
    let scenarios = load(&arguments.selection, &runner, context)?;
    for scenario in &scenarios {
        if !arguments.quiet {
            writeln!(context.out, "# {}\n{}", scenario.file.display(), scenario.case.effective())?;
        }
    }
    writeln!(std::io::stderr(), "{} cases are valid", scenarios.len())?;
    Ok(0)
}

pub(super) fn plan(arguments: &PlanArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let options = RunnerOptions { mutant: arguments.mutant.clone(), ..RunnerOptions::default() };
    let runner = Runner::new(options, context.services.clone());
    runner.check_mutant().map_err(|error| Failure::Invalid(format!("error: {error}")))?;
    let scenarios = load(&arguments.selection, &runner, context)?;
    let [scenario] = scenarios.as_slice() else {
        let text =
            format!("error: expected one case, found {}; name one file, set its matrix", scenarios.len());
        return Err(Failure::Invalid(text));
    };
    let Some(seed) = scenario.seeds(&arguments.seeds).first().copied() else {
        return Err(Failure::Nothing("the scenario has no seeds".to_owned()));
    };
    write!(context.out, "{}", runner.plan(&scenario.case, seed).to_toml())?;
    Ok(0)
}
