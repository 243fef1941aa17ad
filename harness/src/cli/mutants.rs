//! `squall mutants`: each planted bug in the scenario that must expose it.

use clap::Args;

use super::load::{Loaded, load};
use super::{Context, Failure, Seeds, Selection, progress};
use crate::mutants::{CATALOGUE, Planted};
use crate::run::{Runner, RunnerOptions};

#[derive(Args)]
pub(super) struct MutantsArgs {
    #[command(flatten)]
    selection: Selection,
    /// Try at most this many seeds for each.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,
    /// Only this one; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// List the planted bugs and run nothing.
    #[arg(long)]
    list: bool,
}

pub(super) fn mutants(arguments: &MutantsArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let chosen: Vec<&Planted> = chosen(&arguments.only)?;
    if arguments.list {
        for planted in chosen {
            let mutant = planted.mutant();
            writeln!(context.out, "{:>3}  {:<24} {}", mutant.number, mutant.name, mutant.about)?;
        }
        return Ok(0);
    }
    let clean = Runner::new(RunnerOptions::default(), context.services.clone());
    let scenarios = load(&arguments.selection, &clean, context)?;
    let bar = progress::bar(arguments.seeds * chosen.len() as u64);
    writeln!(
        context.out,
        "{:>3}  {:<24}  {:<8}  {:<16}  {:>5}",
        "#", "planted bug", "outcome", "noticed by", "seeds"
    )?;
    let mut survivors = 0;
    for planted in &chosen {
        let mutant = planted.mutant();
        let found = scenarios.iter().find(|it| it.case.scenario.name == planted.scenario);
        let scenario = found.ok_or_else(|| {
            let text = format!(
                "mutant {} needs the scenario {:?}, which is not selected",
                mutant.name, planted.scenario
            );
            Failure::Nothing(text)
        })?;
        bar.set_message(mutant.name);
        let killer = hunt(arguments.seeds, planted, scenario, context)?;
        bar.inc(arguments.seeds);
        let (word, by, seeds) = match &killer {
            Some((checkers, seeds)) => {
                match planted.checkers.iter().find(|it| checkers.iter().any(|by| by == *it)) {
                    Some(named) => ("killed", *named, *seeds),
                    // Something noticed, but not the checker whose promise was broken.
                    None => ("astray", checkers[0].as_str(), *seeds),
                }
            }
            None => ("SURVIVED", "-", arguments.seeds),
        };
        survivors += u8::from(word != "killed");
        bar.suspend(|| {
            writeln!(
                context.out,
                "{:>3}  {:<24}  {word:<8}  {by:<16}  {seeds:>5}",
                mutant.number, mutant.name
            )
        })?;
    }
    bar.finish_and_clear();
    let killed = chosen.len() - usize::from(survivors);
    writeln!(context.out, "{killed} of {} killed by the checker whose promise they break", chosen.len())?;
    Ok(u8::from(survivors > 0))
}

/// The checkers that noticed, in the first seed in which any did, and the number of that seed.
fn hunt(
    seeds: u64,
    planted: &Planted,
    scenario: &Loaded,
    context: &Context<'_>,
) -> Result<Option<(Vec<String>, u64)>, Failure> {
    let options = RunnerOptions { mutant: Some(planted.name.to_owned()), ..RunnerOptions::default() };
    let runner = Runner::new(options, context.services.clone());
    let seeds = scenario.seeds(&Seeds { seeds: Some(seeds), seed: Vec::new() });
    let (mut tried, mut killers) = (0, Vec::new());
    runner.run_seeds(&scenario.case, &seeds, |_, judged| {
        tried += 1;
        killers = judged.violations().map(|violation| violation.checker.clone()).collect();
        killers.is_empty()
    })?;
    Ok((!killers.is_empty()).then_some((killers, tried)))
}

fn chosen(only: &[String]) -> Result<Vec<&'static Planted>, Failure> {
    if only.is_empty() {
        return Ok(CATALOGUE.iter().collect());
    }
    let find = |name: &String| {
        let known = || CATALOGUE.iter().map(|planted| planted.name).collect::<Vec<_>>().join(", ");
        let found = CATALOGUE.iter().find(|planted| planted.name == name.as_str());
        found.ok_or_else(|| Failure::Invalid(format!("error: expected one of {}, found {name:?}", known())))
    };
    only.iter().map(find).collect()
}
