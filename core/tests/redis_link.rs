//! The Redis handle's connection: when it is dropped, redialled, left alone. In virtual time, against a peer that
//! knows one answer.

#![cfg(feature = "redis")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use squall_core::entropy::Entropy;
use squall_core::keys::{Keys as _, KeysError};
use squall_core::net::{BoxStream, Dial};
use squall_core::redis::{Redis, RedisOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

/// How the server behaves, also towards connections there are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Answers every command with nil.
    Nil,
    /// Answers every command with this error.
    Error(&'static str),
    /// Never answers again on this connection, as after a partition.
    Silent,
    /// Refuses connections.
    Down,
}

struct Server {
    mood: watch::Receiver<Mood>,
    dials: AtomicU32,
}

#[async_trait]
impl Dial for Server {
    async fn dial(&self, _address: &str) -> io::Result<BoxStream> {
        self.dials.fetch_add(1, Ordering::Relaxed);
        if *self.mood.borrow() == Mood::Down {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let mood = self.mood.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while far.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                let answer = match *mood.borrow() {
                    Mood::Nil | Mood::Down => "$-1\r\n".to_owned(),
                    Mood::Error(line) => format!("-{line}\r\n"),
                    Mood::Silent => break,
                };
                if far.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        });
        Ok(Box::new(near))
    }
}

fn redis() -> (Redis, watch::Sender<Mood>, Arc<Server>) {
    let (sender, mood) = watch::channel(Mood::Nil);
    let server = Arc::new(Server { mood, dials: AtomicU32::new(0) });
    let redis = Redis::new(server.clone(), RedisOptions::new("redis:6379"), &Entropy::from_seed(1));
    (redis, sender, server)
}

async fn until_answered(redis: &Redis) -> u32 {
    let mut failures = 0;
    while redis.get("key").await.is_err() {
        failures += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    failures
}

#[tokio::test(start_paused = true)]
async fn commands_share_one_connection() {
    let (redis, _mood, server) = redis();
    for _ in 0..5 {
        assert_eq!(redis.clone().get("key").await, Ok(None));
    }
    assert_eq!(server.dials.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up_after_one_timeout_and_replaced() {
    let (redis, mood, server) = redis();
    assert_eq!(redis.get("key").await, Ok(None));
    mood.send_replace(Mood::Silent);
    assert!(matches!(redis.get("key").await, Err(KeysError::Unknown(_))));
    mood.send_replace(Mood::Nil);
    assert_eq!(redis.get("key").await, Ok(None));
    assert_eq!(server.dials.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn while_the_server_is_down_commands_fail_fast_and_dials_are_spaced() {
    let (redis, mood, server) = redis();
    mood.send_replace(Mood::Down);
    for _ in 0..1000 {
        assert!(matches!(redis.get("key").await, Err(KeysError::Unreachable(_))));
    }
    assert!(server.dials.load(Ordering::Relaxed) <= 2);
    mood.send_replace(Mood::Nil);
    assert!(until_answered(&redis).await <= 11, "the longest pause is a second");
}

#[tokio::test(start_paused = true)]
async fn a_servers_error_is_no_reason_to_reconnect_unless_it_is_a_demoted_primary() {
    let (redis, mood, server) = redis();
    mood.send_replace(Mood::Error("WRONGTYPE no"));
    assert!(matches!(redis.get("key").await, Err(KeysError::Refused(_))));
    mood.send_replace(Mood::Error("LOADING wait"));
    assert!(matches!(redis.get("key").await, Err(KeysError::Unreachable(_))));
    assert_eq!(server.dials.load(Ordering::Relaxed), 1);
    mood.send_replace(Mood::Error("READONLY replica"));
    assert!(matches!(redis.get("key").await, Err(KeysError::Unreachable(_))));
    mood.send_replace(Mood::Nil);
    assert_eq!(redis.get("key").await, Ok(None));
    assert_eq!(server.dials.load(Ordering::Relaxed), 2);
}
