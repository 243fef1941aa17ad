//! The control port of `squall mock`: what the handle of a mock offers in Rust, as JSON over HTTP/1.1, so that
//! tests in any language can move its clock, inject faults and look inside.
//!
//! This file is the HTTP: it reads a request within limits of size and time and writes the answer. What there
//! is to ask for is a [`Control`]'s. Every refusal is JSON and says what was expected and what was found.
//!
//! The port asks for no password. So that a web page the user has open cannot reach it, a request with an
//! `Origin` is refused, and on a loopback address also one for another host name than the loopback's.

mod cluster;
mod kafka;
mod redis;
mod rules;
mod values;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use squall_mocks::kafka::KafkaCluster;
use squall_mocks::redis::RedisServer;

use super::Failure;
use kafka::KafkaControl;
use redis::RedisControl;

/// Largest body of a request.
const BODY_BYTES: usize = 1024 * 1024;
/// Largest head of a request.
const HEAD_BYTES: usize = 16 * 1024;
/// Time for the head of a request to arrive, on a connection that is kept too, and for its body.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections at a time; more wait.
const CONNECTIONS: usize = 64;
/// Requests and events of a mock that are kept for whoever asks.
const RECORDS: usize = 10_000;

/// A control port that is bound and not served yet.
pub(super) struct Bound(TcpListener);

impl Bound {
    /// Where it is.
    pub(super) fn url(&self) -> std::io::Result<String> {
        Ok(format!("http://{}", self.0.local_addr()?))
    }
}

/// Binds the control port, if one is wanted.
pub(super) async fn listen(address: Option<&str>) -> Result<Option<Bound>, Failure> {
    let Some(address) = address else { return Ok(None) };
    let taken = |source| Failure::Address { address: address.to_owned(), source };
    Ok(Some(Bound(TcpListener::bind(address).await.map_err(taken)?)))
}

/// Serves the control port of a Redis server until dropped. Waits for ever if there is none.
pub(super) async fn serve_redis(bound: Option<Bound>, server: RedisServer) -> std::io::Result<()> {
    let Some(Bound(listener)) = bound else { return std::future::pending().await };
    serve(listener, Arc::new(RedisControl::new(server, RECORDS))).await
}

/// Serves the control port of a Kafka cluster until dropped. Waits for ever if there is none.
pub(super) async fn serve_kafka(bound: Option<Bound>, cluster: KafkaCluster) -> std::io::Result<()> {
    let Some(Bound(listener)) = bound else { return std::future::pending().await };
    serve(listener, Arc::new(KafkaControl::new(cluster, RECORDS))).await
}

/// What can be asked of a mock.
#[async_trait]
trait Control: Send + Sync + 'static {
    /// Answers a request.
    async fn answer(&self, question: &Question<'_>) -> Result<Value, Refusal>;
}

/// A request, read.
struct Question<'a> {
    method: &'a Method,
    /// The path without the slash in front, decoded.
    path: &'a str,
    query: BTreeMap<String, String>,
    /// Whether the body is TOML, not JSON.
    is_toml: bool,
    body: &'a [u8],
}

/// The body of `/advance`: by how much time passes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forwards {
    ms: u64,
}

/// The body of `/jump`: by how much the wall clock is put forward, or back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Jump {
    ms: i64,
}

/// Why a request was not done.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    text: String,
    /// Methods that the path has, if it was the method that was wrong.
    allowed: Option<&'static str>,
}

impl Refusal {
    fn invalid(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into(), allowed: None }
    }

    fn not_found(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into(), allowed: None }
    }

    fn method(question: &Question<'_>, allowed: &'static str) -> Self {
        let text = format!("expected {allowed} for /{}, found {}", question.path, question.method);
        Self { status: StatusCode::METHOD_NOT_ALLOWED, text, allowed: Some(allowed) }
    }

    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), allowed: None }
    }
}

impl Question<'_> {
    /// The body as JSON; an absent body is an empty object.
    fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        if self.is_toml {
            return Err(Refusal::invalid(format!(
                "expected JSON for /{}, found application/toml",
                self.path
            )));
        }
        let is_empty = self.body.trim_ascii().is_empty();
        let body = if is_empty { b"{}" } else { self.body };
        let mut reader = serde_json::Deserializer::from_slice(body);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let place = error.path().to_string();
            match place.as_str() {
                _ if is_empty => {
                    Refusal::invalid(format!("expected a body for /{}: {}", self.path, cause(&error)))
                }
                // A document that is no object, or no JSON.
                "." | "?" => Refusal::invalid(format!("the body: {}", error.inner())),
                place => Refusal::invalid(format!("the body at {place}: {}", error.inner())),
            }
        })?;
        reader.end().map_err(|error| Refusal::invalid(format!("the body: {error}")))?;
        Ok(value)
    }

    /// Refuses a body: what was written there would have no effect.
    fn no_body(&self) -> Result<(), Refusal> {
        if matches!(self.body.trim_ascii(), b"" | b"{}") {
            return Ok(());
        }
        Err(Refusal::invalid(format!("expected no body for /{}, found {} bytes", self.path, self.body.len())))
    }

    /// Refuses parameters that the path does not have.
    fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let Some(found) = self.query.keys().find(|name| !known.contains(&name.as_str())) else {
            return Ok(());
        };
        let expected = if known.is_empty() { "no parameter".to_owned() } else { known.join(", ") };
        Err(Refusal::invalid(format!("expected {expected} for /{}, found {found:?}", self.path)))
    }

    /// A number from the query.
    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, Refusal> {
        let Some(text) = self.query.get(name) else { return Ok(default) };
        let wrong = || Refusal::invalid(format!("expected a number for {name}, found {text:?}"));
        text.parse().map_err(|_| wrong())
    }
}

/// What is wrong with a body that is not there, without the place of it.
fn cause(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let text = error.inner().to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Serves the control port until dropped.
async fn serve(listener: TcpListener, control: Arc<dyn Control>) -> std::io::Result<()> {
    let is_local = listener.local_addr()?.ip().is_loopback();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&room).acquire_owned().await.map_err(std::io::Error::other)?;
        while connections.try_join_next().is_some() {}
        // What fails here concerns one peer, or passes when a connection ends.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let control = Arc::clone(&control);
        connections.spawn(async move {
            connection(stream, control, is_local).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, control: Arc<dyn Control>, is_local: bool) {
    let service = service_fn(|request| {
        let control = Arc::clone(&control);
        async move { Ok::<_, Infallible>(respond(request, control.as_ref(), is_local).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // Its peer is gone, or sent what is not HTTP and was told so.
    drop(served);
}

async fn respond(request: Request<Incoming>, control: &dyn Control, is_local: bool) -> Response<Full<Bytes>> {
    let (status, value, allowed) = match read_and_answer(request, control, is_local).await {
        Ok(value) => (StatusCode::OK, value, None),
        Err(refusal) => (refusal.status, json!({ "error": refusal.text }), refusal.allowed),
    };
    let mut response = Response::new(Full::new(Bytes::from(format!("{value}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if let Some(allowed) = allowed {
        response.headers_mut().insert(ALLOW, http::HeaderValue::from_static(allowed));
    }
    response
}

async fn read_and_answer(
    request: Request<Incoming>,
    control: &dyn Control,
    is_local: bool,
) -> Result<Value, Refusal> {
    let (head, body) = request.into_parts();
    check_origin(&head.headers, is_local)?;
    let too_large = || {
        let text = format!("expected a body of at most {BODY_BYTES} bytes, found more");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let body = match tokio::time::timeout(PATIENCE, Limited::new(body, BODY_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(error)) => return Err(Refusal::invalid(format!("the body did not arrive: {error}"))),
        Err(_) => {
            let text = format!("expected the body within {} s", PATIENCE.as_secs());
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text));
        }
    };
    let path = decode(head.uri.path().trim_matches('/'), false)?;
    let query = parse_query(head.uri.query().unwrap_or_default())?;
    let is_toml =
        head.headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/toml"));
    control.answer(&Question { method: &head.method, path: &path, query, is_toml, body: &body }).await
}

fn check_origin(headers: &HeaderMap, is_local: bool) -> Result<(), Refusal> {
    let forbidden = |text: String| Err(Refusal::new(StatusCode::FORBIDDEN, text));
    if let Some(origin) = headers.get(ORIGIN) {
        return forbidden(format!("expected no Origin, found {origin:?}: web pages may not use this port"));
    }
    let Some(host) = headers.get(HOST).filter(|_| is_local) else { return Ok(()) };
    let text = host.to_str().unwrap_or_default();
    let name = text.rsplit_once(':').map_or(text, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
    if name == "localhost" || name.parse().is_ok_and(is_loopback) {
        return Ok(());
    }
    forbidden(format!("expected localhost as the Host of a port on a loopback address, found {host:?}"))
}

fn parse_query(query: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name, true)?, decode(value, true)?))
        })
        .collect()
}

/// Undoes percent-encoding. In a query, a plus is a space.
fn decode(text: &str, is_query: bool) -> Result<String, Refusal> {
    let wrong = || Refusal::invalid(format!("expected percent-encoded UTF-8 in the address, found {text:?}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            b'%' => {
                let digit = |at: usize| tail.get(at).and_then(|it| char::from(*it).to_digit(16));
                let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(wrong()) };
                bytes.extend(u8::try_from(high * 16 + low));
                rest = &tail[2..];
            }
            b'+' if is_query => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_decoded_and_wrong_ones_refused() {
        assert_eq!(decode("a%2Ab+c", true).expect("encoded"), "a*b c");
        assert_eq!(decode("a+%C3%BC", false).expect("encoded"), "a+\u{fc}");
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert!(decode(wrong, true).is_err(), "{wrong}");
        }
        let query = parse_query("db=1&&pattern=a%26b").expect("a query");
        assert_eq!(
            query.into_iter().collect::<Vec<_>>(),
            [("db".to_owned(), "1".to_owned()), ("pattern".to_owned(), "a&b".to_owned())]
        );
    }

    #[test]
    fn web_pages_are_refused() {
        let headers = |name: http::HeaderName, value: &'static str| {
            HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))])
        };
        assert!(check_origin(&headers(ORIGIN, "http://127.0.0.1:1"), false).is_err());
        assert!(check_origin(&headers(HOST, "evil.example:80"), true).is_err());
        assert!(check_origin(&headers(HOST, "mock.compose:80"), false).is_ok());
        for local in ["localhost:1", "127.0.0.1:1", "[::1]:1", "localhost"] {
            assert!(check_origin(&headers(HOST, local), true).is_ok(), "{local}");
        }
    }
}
