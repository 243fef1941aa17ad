//! Authentication, in the order and the words of a real broker.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::*;
use squall_mocks::kafka::{KafkaOptions, SaslOptions};
use tokio::time::sleep;

use crate::wire::{Bench, Wire, text};

/// A cluster of one node that alice and bob may log in to.
pub fn bench(max_reauth: Option<Duration>) -> Bench {
    let users = SaslOptions::users([("alice", "secret"), ("bob", "hidden")]);
    let sasl = SaslOptions { max_reauth, ..users };
    Bench::new(KafkaOptions { sasl: Some(sasl), ..KafkaOptions::brokers(1) })
}

async fn handshake(wire: &mut Wire, mechanism: &str) -> i16 {
    let request = SaslHandshakeRequest::default().with_mechanism(text(mechanism));
    wire.call(1, request).await.error_code
}

async fn token(wire: &mut Wire, token: &'static [u8]) -> SaslAuthenticateResponse {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(token));
    wire.call(2, request).await
}

async fn login(wire: &mut Wire) -> SaslAuthenticateResponse {
    login_with(wire, b"\0alice\0secret").await
}

/// Logs in by a token of PLAIN.
pub async fn login_with(wire: &mut Wire, plain: &'static [u8]) -> SaslAuthenticateResponse {
    assert_eq!(handshake(wire, "PLAIN").await, 0);
    token(wire, plain).await
}

async fn is_served(wire: &mut Wire) -> bool {
    !wire.exchange(1, &MetadataRequest::default()).await.is_empty()
}

async fn versions(wire: &mut Wire) -> bool {
    wire.exchange(0, &ApiVersionsRequest::default()).await.len() > 50
}

#[tokio::test(start_paused = true)]
async fn nobody_is_served_before_the_login_but_the_versions_are_told_once() {
    let bench = bench(None);
    assert!(!is_served(&mut bench.connect(1).await).await);
    let mut wire = bench.connect(1).await;
    assert!(versions(&mut wire).await);
    assert!(wire.exchange(0, &ApiVersionsRequest::default()).await.is_empty());
    let mut wire = bench.connect(1).await;
    assert!(versions(&mut wire).await);
    let answer = login(&mut wire).await;
    assert_eq!((answer.error_code, answer.session_lifetime_ms), (0, 0));
    assert!(is_served(&mut wire).await && versions(&mut wire).await);
    // Once is enough.
    assert_eq!(handshake(&mut wire, "PLAIN").await, 34);
    let again = token(&mut wire, b"\0alice\0secret").await;
    let words = "SaslAuthenticate request received after successful authentication";
    assert_eq!((again.error_code, again.error_message.as_deref()), (34, Some(words)));
    assert!(is_served(&mut wire).await);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_sasl_says_that_it_is_out_of_order_and_serves() {
    let bench = Bench::three();
    let mut wire = bench.connect(1).await;
    assert_eq!(handshake(&mut wire, "PLAIN").await, 34);
    assert_eq!(token(&mut wire, b"\0alice\0secret").await.error_code, 34);
    assert!(is_served(&mut wire).await);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_mechanism_is_answered_with_those_there_are_and_ends_the_connection() {
    let bench = bench(None);
    let mut wire = bench.connect(1).await;
    let request = SaslHandshakeRequest::default().with_mechanism(text("GSSAPI"));
    let answer = wire.call(0, request).await;
    assert_eq!(answer.error_code, 33);
    assert_eq!(answer.mechanisms, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].map(text));
    assert!(wire.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_told_after_a_moment_and_ends_the_connection() {
    let bench = bench(None);
    let cases: [(&str, &'static [u8], &str); 3] = [
        ("PLAIN", b"\0alice\0nope", "Authentication failed: Invalid username or password"),
        ("PLAIN", b"\0alice", "Invalid SASL/PLAIN response: expected 3 tokens, got 2"),
        (
            "SCRAM-SHA-256",
            b"n,,n=nobody,r=abc",
            "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256",
        ),
    ];
    for (mechanism, sent, words) in cases {
        let mut wire = bench.connect(1).await;
        assert_eq!(handshake(&mut wire, mechanism).await, 0);
        let start = tokio::time::Instant::now();
        let answer = token(&mut wire, sent).await;
        assert_eq!((answer.error_code, answer.error_message.as_deref()), (58, Some(words)));
        assert_eq!(start.elapsed().as_millis(), 100);
        assert!(wire.is_closed().await);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_something_else_during_the_login_is_closed() {
    let bench = bench(None);
    let mut wire = bench.connect(1).await;
    assert_eq!(handshake(&mut wire, "PLAIN").await, 0);
    assert_eq!(wire.call(0, ApiVersionsRequest::default()).await.error_code, 34);
    assert!(wire.is_closed().await);
    let mut wire = bench.connect(1).await;
    assert_eq!(handshake(&mut wire, "PLAIN").await, 0);
    assert_eq!(handshake(&mut wire, "PLAIN").await, 34);
    assert!(wire.is_closed().await);
    let mut wire = bench.connect(1).await;
    let early = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from_static(b"\0alice\0secret"));
    assert!(wire.exchange(1, &early).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_handshake_of_version_0_tokens_are_frames_of_their_own() {
    let bench = bench(None);
    for (password, is_right) in [("secret", true), ("nope", false)] {
        let mut wire = bench.connect(1).await;
        let request = SaslHandshakeRequest::default().with_mechanism(text("PLAIN"));
        assert_eq!(wire.call(0, request).await.error_code, 0);
        wire.send_frame(format!("\0alice\0{password}").as_bytes()).await;
        match is_right {
            true => assert!(wire.receive_frame().await.expect("an answer").is_empty()),
            false => assert!(wire.is_closed().await),
        }
        assert_eq!(is_served(&mut wire).await, is_right);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_has_to_be_renewed_in_time_by_the_same_user_and_mechanism() {
    let bench = bench(Some(Duration::from_secs(4)));
    let mut wire = bench.connect(1).await;
    assert_eq!(login(&mut wire).await.session_lifetime_ms, 4000);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(login(&mut wire).await.session_lifetime_ms, 4000);
    // Not again within a second.
    assert_eq!(handshake(&mut wire, "PLAIN").await, 34);
    sleep(Duration::from_secs(3)).await;
    assert!(is_served(&mut wire).await);
    // A session that is over can still be renewed, and serves nothing else.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(login(&mut wire).await.error_code, 0);
    assert!(is_served(&mut wire).await);
    sleep(Duration::from_secs(4)).await;
    assert!(!is_served(&mut wire).await);

    let mut wire = bench.connect(1).await;
    login(&mut wire).await;
    assert_eq!(handshake(&mut wire, "PLAIN").await, 0);
    let other = token(&mut wire, b"\0bob\0hidden").await;
    assert_eq!(other.error_code, 58);
    assert!(wire.is_closed().await);

    let mut wire = bench.connect(1).await;
    login(&mut wire).await;
    handshake(&mut wire, "SCRAM-SHA-256").await;
    assert!(wire.is_closed().await);
}
