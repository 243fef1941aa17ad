//! A real Redis server for tests: `redis-server` on the path, or `SQUALL_REDIS_SERVER`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
#[cfg(feature = "redis")]
use std::sync::Arc;

use anyhow::Context as _;
#[cfg(feature = "redis")]
use squall_core::entropy::Entropy;
#[cfg(feature = "redis")]
use squall_core::net::TcpDial;
#[cfg(feature = "redis")]
use squall_core::redis::{Redis, RedisOptions};
use squall_fixtures::suite::Need;

const VARIABLE: &str = "SQUALL_REDIS_SERVER";
const PROGRAM: &str = "redis-server";

/// That there is one.
pub fn need() -> Need {
    Need::program("redis", VARIABLE, PROGRAM)
}

fn program() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| PROGRAM.to_owned())
}

/// A running server, killed when dropped.
pub struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts a server on a free port and waits until it accepts connections.
    pub fn start() -> anyhow::Result<Self> {
        // Bound and given back: another process may take it, then the server says so and the trial fails.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut process = Command::new(program())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().context("no output")?;
        let server = Self { process, port };
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept"));
        anyhow::ensure!(ready, "the server ended before it was ready");
        // Read on, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }

    /// A handle to it.
    #[cfg(feature = "redis")]
    pub fn client(&self) -> Redis {
        let options = RedisOptions::new(format!("127.0.0.1:{}", self.port));
        Redis::new(Arc::new(TcpDial), options, &Entropy::from_seed(1))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
