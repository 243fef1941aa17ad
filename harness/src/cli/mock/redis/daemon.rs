//! `--daemonize yes`: the server goes on in the background.
//!
//! The program starts itself again in a process group of its own, without a terminal's input and output, and
//! exits when that process listens, so whoever waits for the exit finds a server; whoever waits for the end of
//! the output, too. (Redis forks; a process with a runtime should not.)

use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::super::super::{Context, Failure};

/// Starts the server in the background; 0 if it listens, else what it exited with.
pub(super) fn start(arguments: &[String], context: &mut Context<'_>) -> Result<u8, Failure> {
    let mut child = Command::new(std::env::current_exe()?);
    // The last word counts.
    child.args(["mock", "redis"]).args(arguments).args(["--daemonize", "no"]);
    child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = child.spawn()?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            if line.ends_with(super::READY) {
                return Ok(0);
            }
            writeln!(context.out, "{line}")?;
        }
    }
    if let Some(mut why) = child.stderr.take() {
        io::copy(&mut why, &mut io::stderr())?;
    }
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
