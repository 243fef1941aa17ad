//! `squall fixtures`: the containers that tests share, and removing those that nobody uses.
//!
//! Nothing is started here, and this process is in no session.

use std::io::Write;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use squall_fixtures::lease::{self, Prune, SessionView, State};

use super::{Context, Failure};

#[derive(Args)]
pub(super) struct FixturesArgs {
    #[command(subcommand)]
    command: FixturesCommand,
}

#[derive(Subcommand)]
enum FixturesCommand {
    /// List the sessions of test runs, and their containers.
    List,
    /// Remove the sessions that nobody uses: containers, networks, unnamed volumes.
    Prune(PruneArgs),
}

#[derive(Args)]
struct PruneArgs {
    /// Also remove what is in use, kept by SQUALL_KEEP, or another machine's or user's.
    #[arg(long)]
    all: bool,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn fixtures(arguments: &FixturesArgs, context: &mut Context<'_>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &arguments.command {
        FixturesCommand::List => {
            let sessions = runtime.block_on(lease::list())?;
            for session in &sessions {
                write_session(session, context.out)?;
            }
            if sessions.is_empty() {
                writeln!(std::io::stderr(), "no sessions")?;
            }
            Ok(0)
        }
        FixturesCommand::Prune(PruneArgs { all, dry_run }) => {
            let pruned = runtime.block_on(lease::prune(Prune { all: *all, dry_run: *dry_run }))?;
            for session in &pruned.removed {
                write_session(session, context.out)?;
            }
            let containers: usize = pruned.removed.iter().map(|session| session.containers.len()).sum();
            let done = if *dry_run { "would be removed" } else { "removed" };
            writeln!(
                std::io::stderr(),
                "{done}: {} and {}",
                count(pruned.removed.len(), "session"),
                count(containers, "container")
            )?;
            for (session, error) in &pruned.failed {
                writeln!(std::io::stderr(), "error: session {} is not removed: {error}", session.id)?;
            }
            Ok(if pruned.failed.is_empty() { 0 } else { 6 })
        }
    }
}

/// One line for the session and one for each of its containers.
fn write_session(session: &SessionView, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}  {}", session.id, state(session.state))?;
    for container in &session.containers {
        let runs = if container.is_running { "running" } else { "stopped" };
        let age = clock_now().duration_since(container.created).unwrap_or_default();
        let (service, image) = (&container.service, &container.image);
        writeln!(out, "  {service:<8}  {image:<40}  {runs}  {}", shown(age))?;
    }
    Ok(())
}

fn state(state: State) -> &'static str {
    match state {
        State::InUse => "in use",
        State::Unused => "unused",
        State::Kept => "kept",
        State::Elsewhere => "elsewhere",
        _ => "unknown",
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// An age in its largest unit.
fn shown(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a container's age is by the machine's clock, as its making was"
)]
fn clock_now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_shown_in_their_largest_unit() {
        let shown = |seconds| shown(Duration::from_secs(seconds));
        assert_eq!([0, 59, 60, 3_599].map(shown), ["0 s", "59 s", "1 min", "59 min"]);
        assert_eq!([3_600, 86_399, 86_400, 864_000].map(shown), ["1 h", "23 h", "1 d", "10 d"]);
    }
}
