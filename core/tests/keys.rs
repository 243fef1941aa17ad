//! One suite for every store of keys: the one in memory, in virtual time, and a real Redis 7 or later.
//!
//! The real server is `redis-server` on the path, or `SQUALL_REDIS_SERVER`; without one its trial is listed as
//! ignored. Its own binary without the test harness, because only then can a trial be ignored at run time.

use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use squall_core::keys::{Keys, KeysError, MemoryKeys};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn main() {
    let arguments = Arguments::from_args();
    let server = std::env::var("SQUALL_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let known = Command::new(&server).arg("--version").stdout(Stdio::null()).status();
    let missing = !known.is_ok_and(|status| status.success());
    let memory = Trial::test("the_store_in_memory_keeps_the_ports_promises", || {
        run(true, async { check(&MemoryKeys::new()).await })
    });
    let real = Trial::test("a_real_redis_keeps_the_ports_promises", move || real(&server));
    libtest_mimic::run(&arguments, vec![memory, real.with_ignored_flag(missing)]).exit();
}

fn run(paused: bool, test: impl Future<Output = Result<(), KeysError>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build()?;
    Ok(runtime.block_on(test)?)
}

/// What every store of keys must do.
async fn check(keys: &dyn Keys) -> Result<(), KeysError> {
    let some = |text: &str| Some(text.to_owned());

    assert_eq!(keys.get("a").await?, None);
    keys.set("a", "1", LONG).await?;
    assert_eq!(keys.get("a").await?, some("1"));
    keys.set("a", "2", LONG).await?;
    assert_eq!(keys.get("a").await?, some("2"));

    assert_eq!(keys.set_if_absent("b", "1", LONG).await?, None);
    assert_eq!(keys.set_if_absent("b", "2", LONG).await?, some("1"));
    assert_eq!(keys.get("b").await?, some("1"));

    assert!(!keys.replace_if("b", "other", "3", LONG).await?);
    assert!(!keys.replace_if("absent", "1", "3", LONG).await?);
    assert!(keys.replace_if("b", "1", "3", LONG).await?);
    assert_eq!(keys.get("b").await?, some("3"));

    assert!(!keys.delete_if("b", "other").await?);
    assert!(keys.delete_if("b", "3").await?);
    assert!(!keys.delete_if("b", "3").await?);
    assert_eq!(keys.get("b").await?, None);

    assert_eq!(keys.increment("count", Duration::from_secs(1)).await?, 1);
    assert_eq!(keys.increment("count", LONG).await?, 2);
    assert_eq!(keys.increment("lasting", LONG).await?, 1);
    assert_eq!(keys.get("count").await?, some("2"));
    while keys.get("count").await?.is_some() {
        tokio::time::sleep(SHORT).await;
    }
    assert_eq!(keys.increment("count", LONG).await?, 1);
    assert_eq!(keys.increment("lasting", LONG).await?, 2);
    keys.set("text", "a", LONG).await?;
    assert!(matches!(keys.increment("text", LONG).await, Err(KeysError::Refused(_))));

    assert!(!keys.extend_if("absent", "1", LONG).await?);
    keys.set("short", "1", SHORT).await?;
    keys.set("extended", "1", SHORT).await?;
    assert!(!keys.extend_if("extended", "other", LONG).await?);
    assert!(keys.extend_if("extended", "1", LONG).await?);
    while keys.get("short").await?.is_some() {
        tokio::time::sleep(SHORT).await;
    }
    assert_eq!(keys.get("extended").await?, some("1"));
    assert_eq!(keys.set_if_absent("short", "2", LONG).await?, None);
    assert!(keys.replace_if("extended", "1", "2", SHORT).await?);
    while keys.get("extended").await?.is_some() {
        tokio::time::sleep(SHORT).await;
    }
    Ok(())
}

#[cfg(not(feature = "redis"))]
fn real(_server: &str) -> Result<(), Failed> {
    Err("this build has no Redis adapter: enable the feature `redis`".into())
}

#[cfg(feature = "redis")]
fn real(server: &str) -> Result<(), Failed> {
    use std::sync::Arc;

    use squall_core::entropy::Entropy;
    use squall_core::net::TcpDial;
    use squall_core::redis::{Redis, RedisOptions};

    // Bound and given back: another process may take it, then the server says so and the trial fails.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let _server = Server::start(server, port)?;
    run(false, async move {
        let options = RedisOptions::new(format!("127.0.0.1:{port}"));
        let redis = Redis::new(Arc::new(TcpDial), options, &Entropy::from_seed(1));
        check(&redis).await?;
        // A counter without an end, and one that would live too long, are given one.
        redis.command::<()>(redis::cmd("SET").arg("immortal").arg(7)).await?;
        keys_end(&redis, "immortal", 8).await?;
        redis.command::<()>(redis::cmd("SET").arg("too-long").arg(1).arg("EX").arg(3600)).await?;
        keys_end(&redis, "too-long", 2).await?;
        let text: String = redis.command(redis::cmd("ECHO").arg("hello")).await?;
        assert_eq!(text, "hello");
        let wrong = redis.command::<i64>(redis::cmd("INCR").arg("a").arg("b")).await;
        assert!(matches!(wrong, Err(KeysError::Refused(_))));
        Ok(())
    })
}

/// Raises a counter and looks whether it lives for a minute at most.
#[cfg(feature = "redis")]
async fn keys_end(redis: &squall_core::redis::Redis, key: &str, count: u64) -> Result<(), KeysError> {
    assert_eq!(redis.increment(key, LONG).await?, count);
    let left: i64 = redis.command(redis::cmd("TTL").arg(key)).await?;
    assert!((1..=60).contains(&left), "{key} lives for {left} s");
    Ok(())
}

/// A running server, killed when dropped.
struct Server(Child);

impl Server {
    fn start(program: &str, port: u16) -> Result<Self, Failed> {
        let mut child = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let server = Self(child);
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept"));
        if !ready {
            return Err("the server ended before it was ready".into());
        }
        // Read on, so that the server never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
