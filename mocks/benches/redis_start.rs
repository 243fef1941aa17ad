//! How long a Redis takes from nothing to its first PONG over TCP: ours in this process, redis-server in its own.
//!
//! Prints medians; asserts nothing. `cargo bench -p squall-mocks --bench redis_start` takes some seconds. Without
//! redis-server on the path, only ours is measured.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use squall_mocks::Clock;
use squall_mocks::redis::{RedisOptions, RedisServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const ROUNDS: usize = 101;
/// How long redis-server is given; some seconds more than it ever takes.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` runs benches too, to see that they work: one round will do.
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut ours = Vec::new();
    for _ in 0..rounds {
        ours.push(runtime.block_on(start_ours())?);
    }
    println!("RedisServer to first PONG:  {:>8.3} ms", median_ms(&mut ours));
    if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("there is no redis-server on the path to compare with");
        return Ok(());
    }
    let mut theirs = Vec::new();
    for _ in 0..rounds.min(21) {
        theirs.push(start_theirs()?);
    }
    println!("redis-server to first PONG: {:>8.3} ms", median_ms(&mut theirs));
    Ok(())
}

async fn start_ours() -> anyhow::Result<Duration> {
    let begun = now();
    let server = RedisServer::new(RedisOptions { clock: Clock::system(), ..RedisOptions::default() });
    let address = server.start_tcp("127.0.0.1:0").await?;
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    stream.read_exact(&mut [0; 7]).await?;
    Ok(begun.elapsed())
}

/// A process that is ended when it is not needed any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_theirs() -> anyhow::Result<Duration> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let begun = now();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--save", "", "--logfile", ""]).stdout(Stdio::null());
    let _running = Running(command.spawn()?);
    while begun.elapsed() < PATIENCE {
        if ping(SocketAddr::from(([127, 0, 0, 1], port))).is_ok() {
            return Ok(begun.elapsed());
        }
    }
    anyhow::bail!("redis-server did not answer on port {port} within {PATIENCE:?}")
}

fn ping(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"PING\r\n")?;
    stream.read_exact(&mut [0; 7])
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
