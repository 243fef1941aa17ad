//! Scripts that run for long beside other clients: a runtime with threads, and real time.

use std::time::Duration;

use squall_mocks::Clock;
use squall_mocks::net::BoxStream;
use squall_mocks::redis::{RedisOptions, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Tested = anyhow::Result<()>;

/// A connection of raw lines.
struct Client(BoxStream);

impl Client {
    async fn send(&mut self, line: &str) -> Tested {
        Ok(self.0.write_all(format!("{line}\r\n").as_bytes()).await?)
    }

    /// The next line of a reply.
    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.0.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn ask(&mut self, line: &str) -> anyhow::Result<String> {
        self.send(line).await?;
        self.line().await
    }

    /// Asks until the server says that it is busy.
    async fn until_busy(&mut self) -> anyhow::Result<String> {
        loop {
            let line = self.ask("PING").await?;
            if line.starts_with("-BUSY") {
                return Ok(line);
            }
        }
    }
}

fn server() -> RedisServer {
    RedisServer::new(RedisOptions { clock: Clock::system(), ..RedisOptions::default() })
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_script_beyond_the_threshold_leaves_others_busy_until_one_kills_it() -> Tested {
    let server = server();
    let (mut runs, mut early) = (Client(server.connect()), Client(server.connect()));
    tokio::time::timeout(LONG, async {
        assert_eq!(runs.ask("CONFIG SET busy-reply-threshold 1").await?, "+OK");
        assert_eq!(early.ask("PING").await?, "+PONG");
        runs.send("EVAL \"while true do end\" 0").await?;
        let busy = early.until_busy().await?;
        assert!(busy.contains("SCRIPT KILL or SHUTDOWN NOSAVE"), "{busy}");
        let mut late = Client(server.connect());
        assert_eq!(late.ask("MULTI").await?, "+OK");
        assert!(late.ask("INCR k").await?.starts_with("-BUSY"));
        assert!(early.ask("FUNCTION KILL").await?.starts_with("-BUSY"));
        drop(Client(server.connect()));
        assert_eq!(early.ask("SCRIPT KILL").await?, "+OK");
        assert!(runs.line().await?.starts_with("-ERR Script killed by user with SCRIPT KILL..."));
        assert_eq!(early.ask("PING").await?, "+PONG");
        assert_eq!(late.ask("EXEC").await?, "-EXECABORT Transaction discarded because of previous errors.");
        assert_eq!(early.ask("SCRIPT KILL").await?, "-NOTBUSY No scripts in execution right now.");
        anyhow::Ok(())
    })
    .await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_catches_errors_is_killed_all_the_same() -> Tested {
    let server = server();
    let (mut runs, mut other) = (Client(server.connect()), Client(server.connect()));
    tokio::time::timeout(LONG, async {
        assert_eq!(runs.ask("CONFIG SET busy-reply-threshold 1").await?, "+OK");
        let body = "redis.register_function('f', function() while true do pcall(function() while true do end end) end end)";
        assert_eq!(runs.ask(&format!("FUNCTION LOAD \"#!lua name=lib\\n{body}\"")).await?, "$3");
        assert_eq!(runs.line().await?, "lib");
        runs.send("FCALL f 0").await?;
        other.until_busy().await?;
        assert!(other.ask("SCRIPT KILL").await?.starts_with("-BUSY"));
        assert_eq!(other.ask("FUNCTION KILL").await?, "+OK");
        assert!(runs.line().await?.starts_with("-ERR Script killed by user"));
        anyhow::Ok(())
    })
    .await?
}

#[tokio::test]
async fn on_one_thread_a_script_ends_with_its_budget() -> Tested {
    let server = server();
    let mut client = Client(server.connect());
    assert_eq!(client.ask("CONFIG SET busy-reply-threshold 1").await?, "+OK");
    let line = client.ask("EVAL \"while true do end\" 0").await?;
    assert!(line.starts_with("-ERR Script killed by user"), "{line}");
    assert_eq!(client.ask("PING").await?, "+PONG");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_script_may_wait_until_time_has_passed() -> Tested {
    let mut client = Client(server().connect());
    let now = "local function us() local t = redis.call('time') return t[1] * 1000000 + t[2] end";
    let wait = "local begun = us() while us() < begun + 2000 do end return 'over'";
    let reply = tokio::time::timeout(LONG, client.ask(&format!("EVAL \"{now} {wait}\" 0"))).await??;
    assert_eq!((reply, client.line().await?), ("$4".to_owned(), "over".to_owned()));
    Ok(())
}
