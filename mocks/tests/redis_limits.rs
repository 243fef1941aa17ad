//! What clients cannot do to a server: each attack gets the real server's error (Redis 7.0.15, run for the
//! purpose) and leaves a server that answers others.

use std::time::Duration;

use squall_mocks::net::BoxStream;
use squall_mocks::redis::{Recorded, RedisLimits, RedisMatch, RedisOptions, RedisServer};
use squall_mocks::rule::{Act, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Tested = anyhow::Result<()>;

/// Sends bytes on a connection of its own; what comes until the server closes it or has said a line and more
/// does not come.
async fn attack(server: &RedisServer, bytes: &[u8]) -> anyhow::Result<(String, bool)> {
    let mut stream = server.connect();
    stream.write_all(bytes).await?;
    let mut text = Vec::new();
    loop {
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read_buf(&mut text)).await;
        match read {
            Ok(Ok(0)) => return Ok((String::from_utf8_lossy(&text).into_owned(), true)),
            Ok(read) => drop(read?),
            Err(_) => return Ok((String::from_utf8_lossy(&text).into_owned(), false)),
        }
    }
}

async fn is_alive(server: &RedisServer) -> anyhow::Result<bool> {
    let mut stream = server.connect();
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG\r\n")
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_ends_its_connection_with_the_real_error() -> Tested {
    let long = |start: &str, fill: char| format!("{start}{}", fill.to_string().repeat(70_000));
    let cases = [
        ("*abc\r\n".to_owned(), "invalid multibulk length"),
        ("*10000000000\r\n".to_owned(), "invalid multibulk length"),
        ("*1\r\n$-5\r\n".to_owned(), "invalid bulk length"),
        ("*2\r\n$3\r\nGET\r\n$1000000000000\r\n".to_owned(), "invalid bulk length"),
        ("*1\r\n:5\r\n".to_owned(), "expected '$', got ':'"),
        ("SET \"a\r\n".to_owned(), "unbalanced quotes in request"),
        (long("", 'x'), "too big inline request"),
        (long("*", '1'), "too big mbulk count string"),
        (long("*1\r\n$", '1'), "too big bulk count string"),
    ];
    let server = RedisServer::new(RedisOptions::default());
    for (bytes, error) in cases {
        let shown: String = bytes.chars().take(40).collect();
        let expected = (format!("-ERR Protocol error: {error}\r\n"), true);
        assert_eq!(attack(&server, bytes.as_bytes()).await?, expected, "{shown}");
        assert!(is_alive(&server).await?, "{shown}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn commands_that_ask_for_too_much_are_refused_and_the_connection_stays() -> Tested {
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
    let cases = [
        ("SETRANGE k 536870912 x\r\n", too_long),
        ("SETRANGE k 9223372036854775807 x\r\n", too_long),
        ("SETBIT k 4294967296 1\r\n", "-ERR bit offset is not an integer or out of range\r\n"),
        (
            "EVAL \"local function f() return 1 + f() end return f()\" 0\r\n",
            "-ERR user_script:1: stack overflow script: 2c347ae0c7feaa40c62d8208d59e954ee9ff79ff, on \
             @user_script:1.\r\n",
        ),
        (
            "EVAL \"local t={} for i=1,9000 do t[i]=i end return #{unpack(t)}\" 0\r\n",
            "-ERR user_script:1: too many results to unpack script: \
             df13626664107833c6c59977e24a5d7dbff177c4, on @user_script:1.\r\n",
        ),
    ];
    let server = RedisServer::new(RedisOptions::default());
    for (request, error) in cases {
        assert_eq!(attack(&server, request.as_bytes()).await?, (error.to_owned(), false), "{request}");
        assert!(is_alive(&server).await?, "{request}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_script_without_end_or_with_too_much_memory_is_stopped() -> Tested {
    let limits = RedisLimits { script_instructions: 1_000_000, ..RedisLimits::default() };
    let server = RedisServer::new(RedisOptions { limits, ..RedisOptions::default() });
    for script in ["while true do end", "local t='x' while true do t=t..t end"] {
        let (answer, _) = attack(&server, format!("EVAL \"{script}\" 0\r\n").as_bytes()).await?;
        assert!(answer.starts_with('-'), "{script}: {answer}");
        assert!(is_alive(&server).await?, "{script}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_closed() -> Tested {
    let limits = RedisLimits { output_bytes: 1024 * 1024, ..RedisLimits::default() };
    let server = RedisServer::new(RedisOptions { limits, ..RedisOptions::default() });
    let mut stream = server.connect();
    stream.write_all(format!("SET k {}\r\n", "x".repeat(50_000)).as_bytes()).await?;
    // Either the pipe breaks while this goes on, or everything was taken and the connection ended after it.
    let _ = stream.write_all("GET k\r\n".repeat(100).as_bytes()).await;
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is still open");
    assert!(answer.len() < 2 * 1024 * 1024, "{} bytes were kept for it", answer.len());
    assert!(is_alive(&server).await?);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_idle_connections_are_small_and_one_more_is_refused() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let before = resident_bytes();
    let mut streams: Vec<_> = (0..10_000).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"+PONG\r\n");
    }
    let refused = attack(&server, b"").await?;
    assert_eq!(refused, ("-ERR max number of clients reached\r\n".to_owned(), true));
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let each = after.saturating_sub(before) / streams.len();
        assert!(each < 12 * 1024, "an idle connection takes {each} bytes");
    }
    drop(streams);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(is_alive(&server).await?);
    Ok(())
}

/// Memory of this process; `None` where the system does not tell.
fn resident_bytes() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages.split_whitespace().nth(1)?.parse::<usize>().ok().map(|pages| pages * 4096)
}

#[tokio::test(start_paused = true)]
async fn the_request_log_has_requests_rules_and_events_in_order() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let log = server.log_requests(100);
    server.rules().add(Rule::new(RedisMatch::command("get"), Act::Silence).named("quiet"));
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.wait_for(|record| record.event() == Some("flushed 1 keys")).await }
    });
    attack(&server, b"CLIENT SETNAME me\r\nSET k v\r\nGET k\r\nAUTH secret\r\n").await?;
    server.flush_all();
    assert_eq!(waiting.await?.number, 5);
    let shown: Vec<String> = log
        .snapshot()
        .into_iter()
        .map(|record| match record.what {
            Recorded::Request(it) => format!("{} {} {:?}", it.arguments.join(" "), it.reply, it.rule),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "CLIENT SETNAME me OK None",
            "SET k v OK None",
            "GET k no reply Some(\"quiet\")",
            "AUTH (redacted) ERR None",
            "Event(\"flushed 1 keys\")",
        ]
    );
    Ok(())
}

/// Sends one inline command and reads what comes; empty when the server has closed the connection.
async fn ask(stream: &mut BoxStream, line: &str) -> anyhow::Result<String> {
    let mut reply = Vec::with_capacity(1024 * 1024);
    if stream.write_all(format!("{line}\r\n").as_bytes()).await.is_ok() {
        stream.read_buf(&mut reply).await?;
    }
    Ok(String::from_utf8(reply)?)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_idle_for_longer_than_the_timeout_is_closed_unless_it_waits_or_listens() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let [mut idle, mut busy, mut waits, mut listens] = std::array::from_fn(|_| server.connect());
    ask(&mut idle, "PING").await?;
    ask(&mut listens, "SUBSCRIBE c").await?;
    waits.write_all(b"BLPOP q 0\r\n").await?;
    assert_eq!(ask(&mut busy, "CONFIG SET timeout 5").await?, "+OK\r\n");
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(ask(&mut busy, "PING").await?, "+PONG\r\n");
    }
    assert_eq!(ask(&mut idle, "PING").await?, "", "it was closed");
    ask(&mut busy, "RPUSH q 1").await?;
    let mut reply = Vec::with_capacity(100);
    waits.read_buf(&mut reply).await?;
    assert_eq!(reply, b"*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
    let begun = tokio::time::Instant::now();
    assert_eq!(waits.read_buf(&mut reply).await?, 0, "its wait is over, so its time runs");
    assert_eq!(begun.elapsed().as_secs(), 6);
    assert!(ask(&mut listens, "PING").await?.contains("pong"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_changed_number_of_clients_holds_for_the_next_one() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let mut first = server.connect();
    assert_eq!(ask(&mut first, "CONFIG SET maxclients 1").await?, "+OK\r\n");
    let full = "-ERR max number of clients reached\r\n".to_owned();
    assert_eq!(attack(&server, b"PING\r\n").await?, (full, true));
    assert_eq!(ask(&mut first, "CONFIG SET maxclients 2").await?, "+OK\r\n");
    assert!(is_alive(&server).await?);
    assert_eq!(server.stats().rejected_connections, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn clients_that_hold_too_much_together_are_closed_the_biggest_first() -> Tested {
    let server = RedisServer::new(RedisOptions::default());
    let [mut safe, mut big, mut small, mut reads] = std::array::from_fn(|_| server.connect());
    let half_sent = |bytes: usize| format!("*2\r\n$3\r\nGET\r\n$900000\r\n{}", "x".repeat(bytes));
    ask(&mut small, "CONFIG SET maxmemory-clients 1mb").await?;
    ask(&mut safe, "CLIENT NO-EVICT on").await?;
    safe.write_all(half_sent(300_000).as_bytes()).await?;
    big.write_all(half_sent(560_000).as_bytes()).await?;
    // Replies that are read in time are not held against anyone.
    ask(&mut reads, "SETRANGE k 149999 x").await?;
    for _ in 0..4 {
        reads.write_all(b"GET k\r\n").await?;
        reads.read_exact(&mut vec![0; 150_011]).await?;
    }
    small.write_all(half_sent(100_000).as_bytes()).await?;
    assert_eq!(ask(&mut reads, "PING").await?, "+PONG\r\n");
    assert_eq!(server.stats().evicted_clients, 0);
    small.write_all("x".repeat(100_000).as_bytes()).await?;
    assert_eq!(big.read_buf(&mut Vec::with_capacity(100)).await?, 0, "it was closed");
    assert_eq!(server.stats().evicted_clients, 1);
    assert_eq!(ask(&mut reads, "PING").await?, "+PONG\r\n");
    let list = ask(&mut reads, "CLIENT LIST").await?;
    let mut queries = list.lines().filter_map(|line| line.split_once(" qbuf=")?.1.split(' ').next());
    assert!(queries.any(|held| held.starts_with("30000")), "{list}");
    Ok(())
}
