//! The command line: what each command takes, and what its exit code says.
//!
//! Results go to standard output, progress and errors to standard error. The commands themselves are in one file
//! each; everything they do is also the library's.

mod control;
mod fixtures;
mod inspect;
mod load;
mod mock;
mod mutants;
mod progress;
mod replay;
mod run;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::text::Colour;
use crate::run::WorldError;
use crate::seed::Seed;
use crate::service::Services;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes:
  0  everything passed
  1  a promise was broken (or a mutant survived)
  2  wrong usage or an invalid scenario
  3  inconclusive: a run proved too little, a `sometimes` was missed
  4  nothing to run
  5  a replay took another course than the run it repeats
  6  the world, the report folder, an address or Docker is not to be had";

/// Finds the bugs of event-driven services on a laptop: scenarios, faults and checkers in simulated time.
#[derive(Parser)]
#[command(name = "squall", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: When,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios and judge them.
    Run(run::RunArgs),
    /// Run a plan again, exactly, and compare it with the run that wrote it.
    Replay(replay::ReplayArgs),
    /// Switch each planted bug on and see which checker notices, after how many seeds.
    Mutants(mutants::MutantsArgs),
    /// List the scenarios of a folder.
    List(inspect::ListArgs),
    /// Check scenario files and print what they come to.
    Validate(inspect::ValidateArgs),
    /// Print the plan of one seed, and run nothing.
    Plan(inspect::PlanArgs),
    /// Run a mock server for services in any language.
    Mock(mock::MockArgs),
    /// List and remove the containers that tests share.
    Fixtures(fixtures::FixturesArgs),
}

/// Which scenarios, with which parameters.
#[derive(Args)]
struct Selection {
    /// Scenario files, or folders to search for them.
    #[arg(value_name = "PATH", default_value = "scenarios")]
    paths: Vec<PathBuf>,
    /// Set a scenario's parameter; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

/// Which seeds.
#[derive(Args)]
struct Seeds {
    /// Run this many seeds of each case, instead of the scenario's number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: Option<u64>,
    /// Run exactly this seed; may be given several times. Decimal, or hexadecimal with 0x.
    #[arg(long, value_name = "SEED", conflicts_with = "seeds")]
    seed: Vec<Seed>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let found = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = found.ok_or_else(|| format!("expected KEY=VALUE, found {text:?}"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Why a command could not do its work. Its exit code is part of the contract with scripts.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Messages already rendered for people.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Nothing(String),
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("cannot write {path}: {source}; name another place with --report or --junit", path = .path.display())]
    Unwritable { path: PathBuf, source: std::io::Error },
    #[error("cannot listen on {address}: {source}; choose another address")]
    Address { address: String, source: std::io::Error },
    #[cfg(feature = "docker")]
    #[error(transparent)]
    Fixtures(#[from] squall_fixtures::lease::LeaseError),
    #[cfg(not(feature = "docker"))]
    #[error(
        "this program was built without a client of Docker, which simulation does not need; \
         build one with it: cargo run --release --features docker -- {0}"
    )]
    WithoutDocker(String),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Invalid(_) => 2,
            Self::Nothing(_) => 4,
            Self::World(_) | Self::Unwritable { .. } | Self::Address { .. } | Self::Output(_) => 6,
            #[cfg(feature = "docker")]
            Self::Fixtures(_) => 6,
            #[cfg(not(feature = "docker"))]
            Self::WithoutDocker(_) => 6,
        }
    }
}

/// What every command has at hand.
struct Context<'a> {
    services: Services,
    out: &'a mut dyn Write,
    colour: Colour,
    /// Colours for standard error.
    error_colour: bool,
}

/// Runs the program with the built-in services. The library's users call it with their own.
#[must_use]
pub fn main(services: Services) -> ExitCode {
    let cli = Cli::parse();
    let stdout = std::io::stdout();
    let colour = |terminal: bool| match cli.color {
        When::Always => Colour::On,
        When::Never => Colour::Off,
        When::Auto => Colour::of_environment(|name| std::env::var(name).ok(), terminal),
    };
    let mut context = Context {
        services,
        colour: colour(stdout.is_terminal()),
        error_colour: colour(std::io::stderr().is_terminal()) == Colour::On,
        out: &mut stdout.lock(),
    };
    let result = match cli.command {
        Command::Run(arguments) => run::run(&arguments, &mut context),
        Command::Replay(arguments) => replay::replay(&arguments, &mut context),
        Command::Mutants(arguments) => mutants::mutants(&arguments, &mut context),
        Command::List(arguments) => inspect::list(&arguments, &mut context),
        Command::Validate(arguments) => inspect::validate(&arguments, &mut context),
        Command::Plan(arguments) => inspect::plan(&arguments, &mut context),
        Command::Mock(arguments) => mock::mock(arguments, &mut context),
        Command::Fixtures(arguments) => fixtures::fixtures(&arguments, &mut context),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        // Whoever read us has seen enough, as `head` does.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let rendered = matches!(failure, Failure::Invalid(_));
            let prefix = if rendered { "" } else { "error: " };
            let _ = writeln!(std::io::stderr(), "{prefix}{failure}");
            ExitCode::from(failure.code())
        }
    }
}
