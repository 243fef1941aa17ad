//! The HTTP client against a real HTTP/1.1 server over pipes in memory, in virtual time.

#![cfg(feature = "http")]

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use squall_core::http::{Http, HttpError};
use squall_core::net::{BoxStream, Dial};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const TIMEOUT: Duration = Duration::from_secs(2);

/// What is at the other end of a connection.
#[derive(Clone, Copy)]
enum Peer {
    /// Answers 201 with what it was sent.
    Echo,
    /// Accepts and never answers.
    Silent,
    /// Reads the request, then closes.
    Closes,
    /// Promises a longer body than it sends.
    Truncates,
    /// Nobody.
    Refuses,
}

#[async_trait]
impl Dial for Peer {
    async fn dial(&self, _address: &str) -> io::Result<BoxStream> {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        match self {
            Self::Refuses => return Err(io::ErrorKind::ConnectionRefused.into()),
            Self::Echo => {
                let serve = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(far), service_fn(echo));
                tokio::spawn(serve);
            }
            Self::Silent => drop(tokio::spawn(async move {
                let _open = far;
                std::future::pending::<()>().await;
            })),
            Self::Closes => drop(tokio::spawn(async move { far.read_u8().await })),
            Self::Truncates => drop(tokio::spawn(async move {
                far.read_u8().await?;
                far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await
            })),
        }
        Ok(Box::new(near))
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
    let told = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "host": header("host"),
        "type": header("content-type"),
        "key": header("idempotency-key"),
        "body": serde_json::from_slice::<serde_json::Value>(&body.collect().await.expect("a body").to_bytes())
            .expect("JSON"),
    });
    let mut response = Response::new(Full::new(Bytes::from(told.to_string())));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

async fn post(http: &Http, headers: &[(&str, &str)]) -> Result<(StatusCode, Bytes), HttpError> {
    http.post_json("bank:80", "/charges", headers, &json!({ "cents": 100 }), TIMEOUT).await
}

#[tokio::test(start_paused = true)]
async fn a_request_arrives_whole_and_so_does_its_answer() {
    let http = Http::new(Arc::new(Peer::Echo));
    let (status, body) = post(&http, &[("Idempotency-Key", "k-1")]).await.expect("an answer");
    assert_eq!(status, StatusCode::CREATED);
    let told: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let expected = json!({
        "method": "POST", "path": "/charges", "host": "bank:80", "type": "application/json",
        "key": "k-1", "body": { "cents": 100 },
    });
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn every_failure_says_whether_the_request_may_have_had_its_effect() {
    let post = |peer| async move { post(&Http::new(Arc::new(peer)), &[]).await };
    assert!(matches!(post(Peer::Refuses).await, Err(HttpError::Unreachable { .. })));
    for peer in [Peer::Silent, Peer::Closes, Peer::Truncates] {
        assert!(matches!(post(peer).await, Err(HttpError::Unknown { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_above_the_limit_is_refused() {
    let http = Http::new(Arc::new(Peer::Echo)).with_max_response_bytes(16);
    assert!(matches!(post(&http, &[]).await, Err(HttpError::TooLarge { limit: 16, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_header_that_cannot_be_sent_is_an_error_and_not_a_second_header() {
    let http = Http::new(Arc::new(Peer::Echo));
    let smuggled = post(&http, &[("x", "a\r\nidempotency-key: forged")]).await;
    assert!(matches!(smuggled, Err(HttpError::Invalid(_))));
}
