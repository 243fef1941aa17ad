//! A small HTTP/1.1 client over any transport.
//!
//! One connection per request: nothing outlives a call, so dropping the future closes the connection, and a
//! partition leaves no half-dead pool behind. Answers are bounded in size, calls in time. It follows no
//! redirects and retries nothing: after [`HttpError::Unknown`] only an idempotency key makes another try safe.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::net::Dial;

/// Sends requests. Clones share the transport.
#[derive(Clone)]
pub struct Http {
    dial: Arc<dyn Dial>,
    max_response_bytes: usize,
}

/// Answers larger than this are refused unless [`Http::with_max_response_bytes`] says otherwise.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// What goes wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The request could not be built; it was not sent.
    #[error("expected a valid path and headers, found: {0}")]
    Invalid(String),
    /// No connection; the request was not sent.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Where to.
        address: String,
        /// What the transport said.
        reason: String,
    },
    /// The connection broke or time ran out; the request may have had its effect.
    #[error("no answer from {address}, the outcome is unknown: {reason}")]
    Unknown {
        /// Where to.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The answer is larger than allowed; the request had its effect.
    #[error("expected an answer of at most {limit} bytes from {address}, found more")]
    TooLarge {
        /// Where to.
        address: String,
        /// The limit in bytes.
        limit: usize,
    },
}

impl HttpError {
    /// Whether trying again, under the same idempotency key, may help. What the retry policy reads.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unknown { .. })
    }
}

impl Http {
    /// A client over `dial`.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial, max_response_bytes: MAX_RESPONSE_BYTES }
    }

    /// Refuses answers larger than `limit` bytes.
    #[must_use]
    pub fn with_max_response_bytes(self, limit: usize) -> Self {
        Self { max_response_bytes: limit, ..self }
    }

    /// Posts `body` as JSON to `address` (`host:port`) and `path`; answers status and body, whatever the status.
    ///
    /// # Errors
    /// [`HttpError`]. `timeout` bounds the whole call.
    pub async fn post_json(
        &self,
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &serde_json::Value,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let request = post(address, path, headers, body).map_err(HttpError::Invalid)?;
        match tokio::time::timeout(timeout, self.exchange(address, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(unknown(address, format!("nothing within {timeout:?}"))),
        }
    }

    async fn exchange(
        &self,
        address: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let unreachable = |reason: String| HttpError::Unreachable { address: address.to_owned(), reason };
        let stream = self.dial.dial(address).await.map_err(|error| unreachable(error.to_string()))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
        let answer = async {
            let response =
                sender.send_request(request).await.map_err(|error| unknown(address, error.to_string()))?;
            self.collect(address, response).await
        };
        tokio::pin!(answer, connection);
        // The connection makes progress only while polled; its end without an answer shows up in `answer`.
        tokio::select! {
            biased;
            outcome = &mut answer => outcome,
            _ = &mut connection => answer.await,
        }
    }

    async fn collect(
        &self,
        address: &str,
        response: Response<Incoming>,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let status = response.status();
        let mut body = response.into_body();
        let mut collected = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| unknown(address, error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if collected.len() + data.len() > self.max_response_bytes {
                let limit = self.max_response_bytes;
                return Err(HttpError::TooLarge { address: address.to_owned(), limit });
            }
            collected.extend_from_slice(&data);
        }
        Ok((status, collected.freeze()))
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("max_response_bytes", &self.max_response_bytes).finish_non_exhaustive()
    }
}

fn post(
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &serde_json::Value,
) -> Result<Request<Full<Bytes>>, String> {
    let body = Bytes::from(body.to_string());
    let mut request = Request::post(path)
        .header(HOST, address)
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len());
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).map_err(|_| format!("header name {name:?}"))?;
        let value = HeaderValue::try_from(*value).map_err(|_| format!("the value of header {name}"))?;
        request = request.header(name, value);
    }
    request.body(Full::new(body)).map_err(|error| format!("{path:?}: {error}"))
}

fn unknown(address: &str, reason: String) -> HttpError {
    HttpError::Unknown { address: address.to_owned(), reason }
}
