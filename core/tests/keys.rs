//! One suite for every store of keys: the one in memory, in virtual time, and a real Redis 7 or later.
//!
//! The real server is `redis-server` on the path, or `SQUALL_REDIS_SERVER`; without one its trial is listed as
//! ignored, or fails where `SQUALL_REQUIRE` names redis.

#[path = "support/server.rs"]
mod server;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use squall_core::keys::{Keys, KeysError, MemoryKeys};
use squall_fixtures::suite::Suite;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    Suite::new()
        .trial("the_store_in_memory_keeps_the_ports_promises", || {
            run(true, async { check(&MemoryKeys::new()).await })
        })
        .needs(server::need())
        .trial("a_real_redis_keeps_the_ports_promises", real)
        .main()
}

fn run(paused: bool, test: impl Future<Output = Result<(), KeysError>>) -> anyhow::Result<()> {
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
fn real() -> anyhow::Result<()> {
    anyhow::bail!("this build has no Redis adapter: enable the feature `redis`")
}

#[cfg(feature = "redis")]
fn real() -> anyhow::Result<()> {
    let server = server::Server::start()?;
    run(false, async move {
        let redis = server.client();
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
