//! The replica of a server as clients see it: lag, `WAIT`, reads, expiry, failover. Time is paused.

use std::time::Duration;

use squall_mocks::net::BoxStream;
use squall_mocks::redis::{Expiry, Horizon, Keep, Lose, RedisOptions, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

type Tested = anyhow::Result<()>;

fn lagging(lag_ms: u64) -> RedisServer {
    let replica_lag = Duration::from_millis(lag_ms);
    RedisServer::new(RedisOptions { replica_lag, expiry: Expiry::LazyOnly, ..RedisOptions::default() })
}

/// Sends one inline command and reads what comes: a reply is written in one piece.
async fn ask(stream: &mut BoxStream, line: &str) -> anyhow::Result<String> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    let mut reply = Vec::with_capacity(64 * 1024);
    anyhow::ensure!(stream.read_buf(&mut reply).await? > 0, "the connection was closed");
    Ok(String::from_utf8(reply)?)
}

/// Like [`ask`], with how many milliseconds it took. A wait that ends without success lasts one longer than it
/// was told: the deadline itself belongs to it.
async fn timed(stream: &mut BoxStream, line: &str) -> anyhow::Result<(String, u128)> {
    let begun = Instant::now();
    let reply = ask(stream, line).await?;
    Ok((reply, begun.elapsed().as_millis()))
}

fn field(info: &str, name: &str) -> String {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or("missing").to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_replica_has_a_write_when_it_is_as_old_as_the_lag() -> Tested {
    let server = lagging(100);
    let (mut primary, mut replica) = (server.connect(), server.connect_replica()?);
    ask(&mut primary, "SET k v").await?;
    assert_eq!(ask(&mut replica, "GET k").await?, "$-1\r\n");
    sleep(Duration::from_millis(99)).await;
    assert_eq!(ask(&mut replica, "GET k").await?, "$-1\r\n");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(ask(&mut replica, "GET k").await?, "$1\r\nv\r\n");
    let mut late = server.connect_replica()?;
    ask(&mut primary, "SET k w").await?;
    assert_eq!(ask(&mut late, "GET k").await?, "$1\r\nv\r\n", "one that comes later sees no more");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn wait_answers_when_the_clients_own_writes_have_arrived_or_its_time_is_over() -> Tested {
    let server = lagging(200);
    let (mut client, mut other) = (server.connect(), server.connect());
    assert_eq!(timed(&mut client, "WAIT 1 0").await?, (":1\r\n".to_owned(), 0), "it wrote nothing");
    ask(&mut client, "SET k v").await?;
    assert_eq!(timed(&mut client, "WAIT 1 50").await?, (":0\r\n".to_owned(), 51));
    assert_eq!(timed(&mut other, "WAIT 1 0").await?, (":1\r\n".to_owned(), 0), "others do not wait for it");
    assert_eq!(timed(&mut client, "WAIT 1 0").await?, (":1\r\n".to_owned(), 149));
    assert_eq!(timed(&mut client, "WAIT 2 30").await?, (":1\r\n".to_owned(), 31), "there is one replica");
    ask(&mut client, "SET k w").await?;
    ask(&mut client, "MULTI").await?;
    ask(&mut client, "WAIT 1 0").await?;
    assert_eq!(ask(&mut client, "EXEC").await?, "*1\r\n:0\r\n", "a transaction waits for nothing");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn writes_that_the_log_cannot_hold_reach_the_replica_early() -> Tested {
    let horizon = Horizon { writes: 2, ..Horizon::default() };
    let replica_lag = Duration::from_secs(10);
    let server = RedisServer::new(RedisOptions { horizon, replica_lag, ..RedisOptions::default() });
    let (mut client, mut replica) = (server.connect(), server.connect_replica()?);
    ask(&mut client, "SET k v").await?;
    let mut other = server.connect();
    tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        for line in ["SET a 1", "SET b 1"] {
            let _ = ask(&mut other, line).await;
        }
        sleep(Duration::from_secs(60)).await;
    });
    assert_eq!(timed(&mut client, "WAIT 1 0").await?, (":1\r\n".to_owned(), 1000));
    assert_eq!(ask(&mut replica, "EXISTS k a b").await?, ":1\r\n");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_wall_clock_moves_no_arrival() -> Tested {
    let server = lagging(200);
    let mut client = server.connect();
    ask(&mut client, "SET k v").await?;
    let jumper = server.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(10)).await;
        jumper.jump(-3_600_000);
    });
    assert_eq!(timed(&mut client, "WAIT 1 0").await?, (":1\r\n".to_owned(), 200));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_replica_refuses_writes_and_does_not_wait() -> Tested {
    let server = lagging(0);
    let mut replica = server.connect_replica()?;
    let refused = "-READONLY You can't write against a read only replica.";
    assert!(ask(&mut replica, "SET k v").await?.starts_with(refused));
    assert!(ask(&mut replica, "EVAL \"return redis.call('set','k','v')\" 0").await?.starts_with(refused));
    assert!(ask(&mut replica, "WAIT 0 0").await?.starts_with("-ERR WAIT cannot be used with replica"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_replica_hides_expired_keys_and_counts_them_until_the_primary_deletes_them() -> Tested {
    let server = lagging(0);
    let (mut primary, mut replica) = (server.connect(), server.connect_replica()?);
    ask(&mut primary, "SET k v PX 10").await?;
    sleep(Duration::from_millis(11)).await;
    for (command, reply) in [
        ("GET k", "$-1\r\n"),
        ("EXISTS k", ":0\r\n"),
        ("TTL k", ":-2\r\n"),
        ("KEYS *", "*0\r\n"),
        ("RANDOMKEY", "$1\r\nk\r\n"),
        ("DBSIZE", ":1\r\n"),
    ] {
        assert_eq!(ask(&mut replica, command).await?, reply, "{command}");
    }
    assert_eq!(ask(&mut primary, "GET k").await?, "$-1\r\n");
    assert_eq!(ask(&mut replica, "DBSIZE").await?, ":0\r\n");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn primary_and_replica_know_each_other() -> Tested {
    let server = lagging(50);
    let (mut primary, mut replica) = (server.connect(), server.connect_replica()?);
    ask(&mut primary, "SET k v").await?;
    assert_eq!(ask(&mut replica, "ROLE").await?.lines().last(), Some(":0"));
    sleep(Duration::from_millis(50)).await;
    let end = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".len();
    let role =
        format!("*3\r\n$6\r\nmaster\r\n:{end}\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n$2\r\n{end}\r\n");
    assert_eq!(ask(&mut primary, "ROLE").await?, role);
    let role = format!("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:{end}\r\n");
    assert_eq!(ask(&mut replica, "ROLE").await?, role);
    let (info, its) =
        (ask(&mut primary, "INFO replication").await?, ask(&mut replica, "INFO replication").await?);
    assert_eq!((field(&info, "role"), field(&info, "connected_slaves")), ("master".into(), "1".into()));
    assert_eq!(field(&info, "slave0"), format!("ip=127.0.0.1,port=0,state=online,offset={end},lag=0"));
    assert_eq!((field(&its, "role"), field(&its, "master_link_status")), ("slave".into(), "up".into()));
    assert_eq!(field(&its, "slave_repl_offset"), end.to_string());
    assert_eq!(field(&its, "master_replid"), field(&info, "master_replid"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failover_can_lose_exactly_what_had_not_reached_the_replica() -> Tested {
    let server = lagging(1000);
    let mut primary = server.connect();
    ask(&mut primary, "SET old 1").await?;
    assert_eq!(ask(&mut primary, "WAIT 1 0").await?, ":1\r\n");
    ask(&mut primary, "SET new 1").await?;
    assert_eq!(ask(&mut primary, "WAIT 1 900").await?, ":0\r\n");
    assert_eq!(server.failover(Lose::Lag), 1);
    let mut promoted = server.connect();
    assert_eq!(ask(&mut promoted, "EXISTS old new").await?, ":1\r\n");
    assert_eq!(ask(&mut server.connect_replica()?, "EXISTS old new").await?, ":1\r\n");
    assert_eq!(server.failover(Lose::LastWrites(9)), 0, "what took over has no history");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_replica_is_there_while_the_server_is_down_and_another_after_a_failover() -> Tested {
    let server = lagging(0);
    let (mut primary, mut replica) = (server.connect(), server.connect_replica()?);
    ask(&mut primary, "SET k v").await?;
    server.down();
    assert!(ask(&mut primary, "GET k").await.is_err());
    server.stall(Duration::from_secs(5));
    assert_eq!(timed(&mut replica, "GET k").await?, ("$1\r\nv\r\n".to_owned(), 0));
    server.up();
    server.restart(Keep::Nothing);
    assert!(ask(&mut replica, "GET k").await.is_err());
    assert_eq!(ask(&mut server.connect_replica()?, "GET k").await?, "$-1\r\n");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_replica_hears_of_what_arrives() -> Tested {
    let server = lagging(70);
    let (mut primary, mut replica) = (server.connect(), server.connect_replica()?);
    ask(&mut replica, "WATCH k").await?;
    ask(&mut replica, "MULTI").await?;
    ask(&mut replica, "PING").await?;
    ask(&mut primary, "SET k v").await?;
    sleep(Duration::from_millis(70)).await;
    assert_eq!(ask(&mut replica, "EXEC").await?, "*-1\r\n");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_horizon_holds_no_writes_has_no_replica_and_loses_nothing() -> Tested {
    let server = RedisServer::new(RedisOptions { horizon: Horizon::NONE, ..RedisOptions::default() });
    let mut client = server.connect();
    ask(&mut client, "SET k v").await?;
    assert_eq!(ask(&mut client, "WAIT 1 5").await?, ":0\r\n");
    let error = server.connect_replica().err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("has no replica"), "{error}");
    assert_eq!(server.failover(Lose::LastWrites(1)), 0);
    assert_eq!(ask(&mut server.connect(), "GET k").await?, "$1\r\nv\r\n");
    Ok(())
}
