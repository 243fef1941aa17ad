//! A server with clients: the `redis` crate over TCP and over memory, fault rules, failover, paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisConnectionInfo, Script};
use squall_mocks::Clock;
use squall_mocks::net::{BoxStream, Dial, MemoryNet};
use squall_mocks::observe::{Sighting, What};
use squall_mocks::redis::{Expiry, Keep, Lose, RedisLimits, RedisMatch, RedisOptions, RedisServer};
use squall_mocks::rule::{Act, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Tested = anyhow::Result<()>;

async fn client(server: &RedisServer, resp3: bool) -> anyhow::Result<MultiplexedConnection> {
    attach(server.connect(), resp3).await
}

/// The `redis` crate over any stream. Its driver borrows what it was made from, so one task owns both.
async fn attach(stream: BoxStream, resp3: bool) -> anyhow::Result<MultiplexedConnection> {
    let version = if resp3 { redis::ProtocolVersion::RESP3 } else { redis::ProtocolVersion::RESP2 };
    let (sender, receiver) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let info = RedisConnectionInfo::default().set_protocol(version);
        match MultiplexedConnection::new(&info, stream).await {
            Ok((connection, driver)) => {
                if sender.send(Ok(connection)).is_ok() {
                    driver.await;
                }
            }
            Err(error) => drop(sender.send(Err(error))),
        }
    });
    Ok(receiver.await??)
}

/// Sends raw bytes on a connection of its own and reads until the server closes it or says `until`.
async fn raw(server: &RedisServer, request: &str, until: &str) -> anyhow::Result<String> {
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    while until.is_empty() || !String::from_utf8_lossy(&text).contains(until) {
        if stream.read_buf(&mut text).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn exercise(mut connection: MultiplexedConnection) -> Tested {
    let set = || redis::cmd("SET").arg("lease").arg("me").arg("NX").arg("PX").arg(30_000).to_owned();
    assert!(set().query_async::<bool>(&mut connection).await?);
    assert!(!set().query_async::<bool>(&mut connection).await?);
    let release = Script::new(
        "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0",
    );
    assert_eq!(release.key("lease").arg("other").invoke_async::<i64>(&mut connection).await?, 0);
    assert_eq!(release.key("lease").arg("me").invoke_async::<i64>(&mut connection).await?, 1);
    let (one, two): (i64, i64) =
        redis::pipe().atomic().incr("n", 1).incr("n", 1).query_async(&mut connection).await?;
    assert_eq!((one, two), (1, 2));
    let _: () = connection.hset_multiple("h", &[("a", "1"), ("b", "2")]).await?;
    let all: std::collections::BTreeMap<String, String> = connection.hgetall("h").await?;
    assert_eq!(all.len(), 2);
    Ok(())
}

#[tokio::test]
async fn the_redis_crate_works_over_tcp() -> Tested {
    let server =
        RedisServer::new(RedisOptions { password: Some("secret".to_owned()), ..RedisOptions::default() });
    let address = server.start_tcp("127.0.0.1:0").await?;
    for url in [format!("redis://:secret@{address}"), format!("redis://:secret@{address}/3?protocol=resp3")] {
        exercise(redis::Client::open(url)?.get_multiplexed_async_connection().await?).await?;
    }
    let refused = redis::Client::open(format!("redis://{address}"))?.get_multiplexed_async_connection().await;
    let error = async { refused?.get::<_, String>("k").await }.await.expect_err("no password was given");
    assert!(error.to_string().contains("NOAUTH") || error.code() == Some("NOAUTH"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_crate_works_over_memory_in_either_protocol() -> Tested {
    for resp3 in [false, true] {
        let (server, net) = (RedisServer::new(RedisOptions::default()), MemoryNet::new());
        let listener = net.listen("redis:6379");
        let serving = {
            let server = server.clone();
            tokio::spawn(async move { server.serve(listener).await })
        };
        let connection = attach(net.dial("redis:6379").await?, resp3).await?;
        exercise(connection).await?;
        serving.abort();
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn keys_expire_in_virtual_time_without_anybody_looking() -> Tested {
    let server = RedisServer::new(RedisOptions { expiry: Expiry::Exact, ..RedisOptions::default() });
    let mut connection = client(&server, true).await?;
    let _: () = connection.pset_ex("k", "v", 3_600_000).await?;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(server.snapshot().len(), 1, "at the deadline it exists");
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!((server.snapshot().len(), server.stats().expired), (0, 1));
    let _: () = connection.pset_ex("k", "v", 3_600_000).await?;
    server.advance(Duration::from_secs(7200));
    assert_eq!(connection.get::<_, Option<String>>("k").await?, None);
    Ok(())
}

#[tokio::test]
async fn a_lost_acknowledgement_leaves_the_write_in_place() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let handle =
        server.rules().add(Rule::new(RedisMatch::command("set").key("lock:*"), Act::DropAfter).times(1));
    assert_eq!(raw(&server, "SET lock:1 me\r\n", "").await?, "", "closed without an answer");
    assert_eq!(raw(&server, "GET lock:1\r\n", "me").await?, "$2\r\nme\r\n");
    assert_eq!(handle.hits(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_act_does_what_it_says() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let with = |act: Act| {
        server.flush_all();
        server.rules().clear();
        server.rules().add(Rule::new(RedisMatch::command("set"), act));
    };
    let keys = || server.snapshot().len();
    with(Act::Error("LOADING".to_owned()));
    assert_eq!(
        raw(&server, "SET k v\r\n", "\n").await?,
        "-LOADING Redis is loading the dataset in memory\r\n"
    );
    assert_eq!(keys(), 0);
    with(Act::ErrorAfter("ERR late".to_owned()));
    assert_eq!((raw(&server, "SET k v\r\n", "\n").await?, keys()), ("-ERR late\r\n".to_owned(), 1));
    with(Act::DropBefore);
    assert_eq!((raw(&server, "PING\r\nSET k v\r\n", "").await?, keys()), ("+PONG\r\n".to_owned(), 0));
    with(Act::Truncate(2));
    assert_eq!((raw(&server, "SET k v\r\n", "").await?, keys()), ("+O".to_owned(), 1));
    with(Act::Silence);
    assert_eq!((raw(&server, "SET k v\r\nPING\r\n", "PONG").await?, keys()), ("+PONG\r\n".to_owned(), 0));
    for (act, applied_at_once) in
        [(Act::Delay(Duration::from_secs(5)), 0), (Act::DelayAfter(Duration::from_secs(5)), 1)]
    {
        with(act);
        let begun = tokio::time::Instant::now();
        let (reply, seen) = tokio::join!(raw(&server, "SET k v\r\nPING\r\n", "PONG"), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            keys()
        });
        assert_eq!((reply?, seen, keys()), ("+OK\r\n+PONG\r\n".to_owned(), applied_at_once, 1));
        assert_eq!(begun.elapsed().as_secs(), 5);
    }
    Ok(())
}

#[tokio::test]
async fn an_injected_error_spoils_a_transaction() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    server.rules().add(Rule::new(RedisMatch::command("set"), Act::Error("OOM".to_owned())));
    let reply = raw(&server, "MULTI\r\nSET k v\r\nEXEC\r\n", "EXECABORT").await?;
    assert!(reply.contains("-OOM command not allowed when used memory > 'maxmemory'."), "{reply}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failover_loses_the_writes_the_replica_had_not_seen_and_closes_connections() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let mut before = client(&server, true).await?;
    let _: () = before.set("old", 1).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _: () = before.set("new", 1).await?;
    assert_eq!(server.failover(Lose::Last(Duration::from_secs(1))), 1);
    assert!(before.get::<_, Option<String>>("old").await.is_err(), "the connection is closed");
    let mut after = client(&server, true).await?;
    assert!(after.exists::<_, bool>("old").await?);
    assert!(!after.exists::<_, bool>("new").await?);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_restart_forgets_scripts_and_what_was_not_kept() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let load = "SCRIPT LOAD 'return 1'\r\nSET k v\r\n";
    raw(&server, load, "+OK").await?;
    server.restart(Keep::AllBut(Duration::ZERO));
    let call = "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0\r\nGET k\r\n";
    let reply = raw(&server, call, "v\r\n").await?;
    assert_eq!(reply, "-NOSCRIPT No matching script. Please use EVAL.\r\n$1\r\nv\r\n");
    server.restart(Keep::Nothing);
    assert!(server.snapshot().is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_told_to_follow_another_takes_no_writes_and_lets_nobody_wait() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    assert_eq!(raw(&server, "SET k v\r\n", "\n").await?, "+OK\r\n");
    let mut waiting = server.connect();
    waiting.write_all(b"BLPOP q 0\r\n").await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let followed = "+OK\r\n+OK Already connected to specified master\r\n\
                    *5\r\n$5\r\nslave\r\n$7\r\nPrimary\r\n:77\r\n$7\r\nconnect\r\n:-1\r\n";
    assert_eq!(
        raw(&server, "REPLICAOF Primary 77\r\nSLAVEOF primary 77\r\nROLE\r\n", "-1\r\n").await?,
        followed
    );
    let mut heard = String::new();
    waiting.read_to_string(&mut heard).await?;
    let why = "force unblock from blocking operation, instance state changed (master -> replica?)";
    assert_eq!(heard, format!("-UNBLOCKED {why}\r\n"));
    assert!(raw(&server, "DEL k\r\n", "\n").await?.starts_with("-READONLY You can't write"));
    assert_eq!(raw(&server, "GET k\r\n", "v\r\n").await?, "$1\r\nv\r\n");
    assert!(raw(&server, "INFO replication\r\n", "slave_read_only").await?.contains("master_port:77\r\n"));
    assert_eq!(raw(&server, "REPLICAOF no ONE\r\nDEL k\r\n", ":1\r\n").await?, "+OK\r\n:1\r\n");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_or_stalled_or_read_only_shows_it() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    server.set_readonly(true);
    assert!(raw(&server, "SET k v\r\n", "\n").await?.starts_with("-READONLY You can't write"));
    server.set_readonly(false);
    server.down();
    assert_eq!(raw(&server, "PING\r\n", "").await.unwrap_or_default(), "");
    server.up();
    server.stall(Duration::from_secs(9));
    let begun = tokio::time::Instant::now();
    assert_eq!(raw(&server, "PING\r\n", "\n").await?, "+PONG\r\n");
    assert_eq!(begun.elapsed().as_secs(), 9);
    assert_eq!(raw(&server, "DEBUG SLEEP 4\r\n", "\n").await?, "+OK\r\n");
    assert_eq!(begun.elapsed().as_secs(), 13, "the answer comes when the sleep is over");
    raw(&server, "SET cache:1 v\r\nSET lock:1 v\r\n", "+OK\r\n+OK").await?;
    assert_eq!(server.evict("cache:*"), 1);
    assert_eq!((server.flush_all(), server.snapshot().len()), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_long_pipeline_is_served_though_the_client_reads_nothing_until_it_is_sent() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let mut stream = server.connect();
    let count = 100_000;
    stream.write_all("PING\r\n".repeat(count).as_bytes()).await?;
    let mut replies = vec![0; "+PONG\r\n".len() * count];
    stream.read_exact(&mut replies).await?;
    assert!(replies.ends_with(b"+PONG\r\n"));
    Ok(())
}

#[tokio::test]
async fn limits_close_what_exceeds_them() -> Tested {
    let limits = RedisLimits { clients: 2, query_bytes: 1000, output_bytes: 5000, ..RedisLimits::default() };
    let server = RedisServer::new(RedisOptions { limits, ..RedisOptions::default() });
    let half = format!("*2\r\n$4\r\nECHO\r\n$9000\r\n{}", "x".repeat(5000));
    assert_eq!(raw(&server, &half, "").await?, "");
    let _first = client(&server, true).await?;
    let _second = client(&server, true).await?;
    assert_eq!(raw(&server, "", "").await?, "-ERR max number of clients reached\r\n");
    assert_eq!(server.stats().rejected_connections, 1);
    Ok(())
}

#[tokio::test]
async fn malformed_input_is_answered_and_the_connection_closed() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let reply = raw(&server, "*1\r\n$4\r\nPING\r\n*1\r\n:3\r\n", "").await?;
    assert_eq!(reply, "+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n");
    Ok(())
}

#[tokio::test]
async fn what_is_seen_is_the_same_text_in_every_run() -> Tested {
    let seen: Arc<Mutex<Vec<Sighting>>> = Arc::default();
    let server = RedisServer::new(RedisOptions::default());
    let sink = Arc::clone(&seen);
    server.observe(Arc::new(move |sighting| sink.lock().expect("a lock").push(sighting)));
    server.rules().add(Rule::new(RedisMatch::command("get"), Act::Error("BUSY".to_owned())).named("busy"));
    raw(&server, "SET k v\r\nGET k\r\nNOSUCH\r\n", "unknown").await?;
    server.flush_all();
    let texts: Vec<What> =
        seen.lock().expect("a lock").iter().map(|sighting| sighting.what.clone()).collect();
    let request = |text: &str| What::Request(text.to_owned());
    let rule = What::Rule { name: "busy".to_owned(), request: "get k".to_owned() };
    let event = What::Event("flushed 1 keys".to_owned());
    assert_eq!(
        texts,
        [request("set k -> OK"), rule, request("get k -> BUSY"), request("unknown -> ERR"), event]
    );
    Ok(())
}

#[tokio::test]
async fn client_kill_and_reply_modes_work_across_connections() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let mut victim = server.connect();
    victim.write_all(b"CLIENT ID\r\n").await?;
    let mut id = vec![0; 4];
    victim.read_exact(&mut id).await?;
    assert_eq!(id, b":1\r\n");
    assert_eq!(raw(&server, "CLIENT KILL ID 1\r\n", "\n").await?, ":1\r\n");
    assert_eq!(victim.read(&mut id).await?, 0, "closed");
    let muted = raw(
        &server,
        "CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nPING\r\nECHO x\r\n",
        "x\r\n",
    );
    assert_eq!(muted.await?, "+OK\r\n$1\r\nx\r\n");
    Ok(())
}

#[test]
fn one_server_works_for_runtimes_that_take_turns_on_one_thread() -> Tested {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let (host, service) = (runtime()?, runtime()?);
    let clock = Clock::from_source(1_000_000, || Duration::ZERO);
    let server = RedisServer::new(RedisOptions { clock, expiry: Expiry::Exact, ..RedisOptions::default() });
    let mut stream = host.block_on(async { server.connect() });
    service.block_on(stream.write_all(b"SET k v PX 100\r\nGET k\r\n"))?;
    host.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
    let mut reply = vec![0; "+OK\r\n$1\r\nv\r\n".len()];
    service.block_on(stream.read_exact(&mut reply))?;
    assert_eq!(reply, b"+OK\r\n$1\r\nv\r\n");
    service.block_on(async { server.advance(Duration::from_millis(101)) });
    host.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
    assert_eq!(server.stats().expired, 1, "the host's runtime noticed the jump made from another");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_command_that_came_in_a_pause_runs_when_the_pause_is_over() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let began = server.clock().elapsed();
    let pause = "CLIENT PAUSE 5000 WRITE\r\n";
    assert_eq!(raw(&server, pause, "\r\n").await?, "+OK\r\n");
    // What is sent behind it waits too, so the order of a connection's commands is kept.
    let answer = raw(&server, "GET k\r\nINCR k\r\nGET k\r\nQUIT\r\n", "+OK").await?;
    assert_eq!(answer, "$-1\r\n:1\r\n$1\r\n1\r\n+OK\r\n");
    let took = (server.clock().elapsed() - began).as_millis();
    assert!((5001..=5002).contains(&took), "{took} ms");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_is_closed_at_the_limit_of_its_class() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let limits = "CONFIG SET client-output-buffer-limit \"normal 0 0 0 slave 0 0 0 pubsub 100000 0 0\"\r\n";
    assert_eq!(raw(&server, limits, "\r\n").await?, "+OK\r\n");
    let mut subscriber = server.connect();
    subscriber.write_all(b"SUBSCRIBE c\r\n").await?;
    let message = format!("PUBLISH c {}\r\n", "x".repeat(50_000));
    // The first ones fill the pipe.
    let mut heard = 1;
    for _ in 0..10 {
        heard = raw(&server, &message, "\r\n").await?.trim_matches([':', '\r', '\n']).parse()?;
    }
    assert_eq!(heard, 0, "it is gone");
    let mut rest = Vec::new();
    subscriber.read_to_end(&mut rest).await?;
    assert!(rest.len() < 200_000, "{}", rest.len());
    Ok(())
}
