//! Consumer groups on the streams of a real Redis 7 or later.
//!
//! The server is `redis-server` on the path, or `SQUALL_REDIS_SERVER`; without one the trial is listed as ignored, or
//! fails where `SQUALL_REQUIRE` names redis.

#[path = "support/server.rs"]
mod server;

use std::process::ExitCode;
use std::time::Duration;

use squall_core::keys::KeysError;
use squall_core::redis::Redis;
use squall_core::stream::{StreamGroup, StreamGroupOptions, add};
use squall_fixtures::suite::Suite;

const IDLE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    Suite::new().needs(server::need()).trial("an_entry_comes_again_until_it_is_acknowledged", real).main()
}

fn real() -> anyhow::Result<()> {
    let server = server::Server::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(check(&server.client()))?)
}

fn consumer(redis: &Redis, name: &str, reclaim_after: Duration) -> StreamGroup {
    let (stream, group, consumer) = ("parcels".to_owned(), "clerks".to_owned(), name.to_owned());
    StreamGroup::new(redis.clone(), StreamGroupOptions { stream, group, consumer, reclaim_after, batch: 2 })
}

async fn check(redis: &Redis) -> Result<(), KeysError> {
    let hour = Duration::from_secs(3600);
    let (one, other) = (consumer(redis, "one", hour), consumer(redis, "other", hour));
    assert_eq!(one.next().await?, [], "the group is made");
    assert_eq!(other.next().await?, []);
    for payload in [&b"a"[..], b"b\0\xff", b"c"] {
        add(redis, "parcels", payload).await?;
    }
    let first = one.next().await?;
    assert_eq!(first.iter().map(|entry| &*entry.payload).collect::<Vec<_>>(), [&b"a"[..], b"b\0\xff"]);
    let second = other.next().await?;
    assert_eq!(second.iter().map(|entry| &*entry.payload).collect::<Vec<_>>(), [b"c"]);
    assert!(one.ack(&first[0].id).await? && !one.ack(&first[0].id).await?);
    // Nobody waits long enough for what the others hold, until somebody does.
    assert_eq!((one.next().await?, other.next().await?), (vec![], vec![]));
    let impatient = consumer(redis, "impatient", IDLE);
    let mut again = Vec::new();
    while again.len() < 2 {
        again.extend(impatient.next().await?);
    }
    again.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(again, [first[1].clone(), second[0].clone()]);
    for entry in &again {
        assert!(impatient.ack(&entry.id).await?);
    }
    // What was added by hand is no entry of ours, and a group that is gone is made anew.
    redis.command::<String>(redis::cmd("XADD").arg("parcels").arg("*").arg("other").arg("x")).await?;
    assert_eq!(one.next().await?[0].payload, "");
    redis.command::<bool>(redis::cmd("XGROUP").arg("DESTROY").arg("parcels").arg("clerks")).await?;
    assert_eq!(one.next().await?, []);
    assert_eq!(one.next().await?, first, "from the beginning");
    Ok(())
}
