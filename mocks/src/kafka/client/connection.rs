//! One connection to one broker: requests in, answers out, matched by correlation id.
//!
//! A task owns the stream and reads and writes at the same time, so neither side can block the other. Every
//! request has a deadline. A request that outlives it ends the connection, as Kafka's own client does:
//! brokers answer in order, so nothing behind it would come either. When the connection ends, every request
//! on it fails; whoever wants another connection dials one.
//!
//! Nothing is retried here.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::net::{BoxStream, Dial};

use super::error::{ClientError, ErrorCode};
use super::versions::{self, Versions};

/// Requests that wait for the connection's task before a caller waits.
const QUEUE: usize = 256;
/// Bytes that wait to be written before no further request is taken.
const OUTBOUND_BYTES: usize = 1024 * 1024;
/// Bytes asked of the stream at once.
const READ_BYTES: usize = 64 * 1024;
/// The newest version of `ApiVersions` this client asks with; brokers that do not know it answer version 0.
const API_VERSIONS: i16 = 3;

/// A live connection. Dropping it closes the stream.
pub(super) struct Connection {
    address: Arc<str>,
    client_id: StrBytes,
    calls: mpsc::Sender<Call>,
    correlation: AtomicI32,
    versions: Versions,
}

/// A request on its way to the connection's task.
struct Call {
    correlation: i32,
    api_key: i16,
    frame: Bytes,
    started: Instant,
    deadline: Instant,
    /// The broker sends no answer, as for `acks=0`.
    unanswered: bool,
    reply: oneshot::Sender<Result<Bytes, ClientError>>,
}

/// A request that was sent, or is being sent, and waits for its answer.
struct Waiting {
    api_key: i16,
    started: Instant,
    deadline: Instant,
    reply: oneshot::Sender<Result<Bytes, ClientError>>,
}

impl Connection {
    /// Dials and agrees on versions, all before `deadline`.
    pub(super) async fn open(
        dial: &dyn Dial,
        address: &str,
        client_id: &str,
        response_bytes_max: usize,
        deadline: Instant,
    ) -> Result<Self, ClientError> {
        let failed = |reason: String| ClientError::Connect { address: address.to_owned(), reason };
        let stream = match timeout_at(deadline, dial.dial(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("no connection in time".to_owned())),
        };
        let (calls, incoming) = mpsc::channel(QUEUE);
        let address: Arc<str> = address.into();
        let wire = Wire {
            address: Arc::clone(&address),
            response_bytes_max,
            inbound: BytesMut::new(),
            outbound: BytesMut::new(),
            waiting: BTreeMap::new(),
        };
        tokio::spawn(wire.run(stream, incoming));
        let mut connection = Self {
            address,
            client_id: StrBytes::from_string(client_id.to_owned()),
            calls,
            correlation: AtomicI32::new(0),
            versions: Versions::default(),
        };
        let offered = connection.handshake(deadline).await;
        // Nothing of the caller's was sent yet, so the failure is certain.
        connection.versions = offered.map_err(|error| failed(error.to_string()))?;
        Ok(connection)
    }

    /// Whether the connection still takes requests.
    pub(super) fn is_open(&self) -> bool {
        !self.calls.is_closed()
    }

    /// The level of transactions the broker tells of.
    pub(super) fn transaction_version(&self) -> i16 {
        self.versions.transactions
    }

    /// Sends `request` in the newest shared version up to `max` and waits for its answer.
    pub(super) async fn call<R: Request>(
        &self,
        max: i16,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Response, ClientError> {
        let version = self.versions.pick::<R>(max, &self.address)?;
        let body = self.exchange(request, version, deadline, false).await?;
        decode::<R::Response>(body, version, R::KEY)
    }

    /// Sends `request`, to which the broker gives no answer.
    pub(super) async fn tell<R: Request>(&self, request: &R, deadline: Instant) -> Result<(), ClientError> {
        let version = self.versions.pick::<R>(i16::MAX, &self.address)?;
        self.exchange(request, version, deadline, true).await.map(|_| ())
    }

    /// `ApiVersions`, first in our newest version, then in one the broker named (KIP-511).
    async fn handshake(&self, deadline: Instant) -> Result<Versions, ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("squall"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let mut version = API_VERSIONS;
        loop {
            let body = self.exchange(&request, version, deadline, false).await?;
            let refused = body.get(4..6) == Some(&ResponseError::UnsupportedVersion.code().to_be_bytes()[..]);
            let response: ApiVersionsResponse =
                decode(body, if refused { 0 } else { version }, ApiVersionsRequest::KEY)?;
            if !refused {
                ErrorCode::check(response.error_code, || "ApiVersions".to_owned())?;
                return Ok(Versions::offered_by(&response));
            }
            let offered = Versions::offered_by(&response);
            let offered = offered.pick::<ApiVersionsRequest>(i16::MAX, &self.address).unwrap_or(0);
            if offered >= version {
                let what = "the answer to ApiVersions".to_owned();
                let reason = format!("version {version} was refused and {offered} offered");
                return Err(ClientError::Malformed { what, reason });
            }
            version = offered;
        }
    }

    async fn exchange<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
        unanswered: bool,
    ) -> Result<Bytes, ClientError> {
        let correlation = self.correlation.fetch_add(1, Ordering::Relaxed);
        let frame = self.encode(request, version, correlation)?;
        let (reply, answer) = oneshot::channel();
        let call = Call {
            correlation,
            api_key: R::KEY,
            frame,
            started: Instant::now(),
            deadline,
            unanswered,
            reply,
        };
        let not_sent = || ClientError::Disconnected {
            address: self.address.to_string(),
            sent: false,
            reason: "it was already closed".to_owned(),
        };
        match timeout_at(deadline, self.calls.send(call)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(not_sent()),
            // Others' requests have stood in the way all the time.
            Err(_) => {
                let reason = "the connection took no request in time".to_owned();
                return Err(ClientError::Connect { address: self.address.to_string(), reason });
            }
        }
        answer.await.unwrap_or_else(|_| Err(not_sent()))
    }

    fn encode<R: Request>(&self, request: &R, version: i16, correlation: i32) -> Result<Bytes, ClientError> {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        encode_request_header_into_buffer(&mut frame, &header)
            .and_then(|()| request.encode(&mut frame, version))
            .map_err(|error| usage::<R>(version, &error.to_string()))?;
        let length = i32::try_from(frame.len() - 4).map_err(|_| usage::<R>(version, "it is above 2 GiB"))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame.freeze())
    }
}

fn usage<R: Request>(version: i16, reason: &str) -> ClientError {
    ClientError::Usage(format!("{} cannot be written in version {version}: {reason}", versions::name(R::KEY)))
}

fn decode<M: Decodable + HeaderVersion>(mut body: Bytes, version: i16, key: i16) -> Result<M, ClientError> {
    ResponseHeader::decode(&mut body, M::header_version(version))
        .and_then(|_| M::decode(&mut body, version))
        .map_err(|error| ClientError::Malformed {
            what: format!("the answer to {} in version {version}", versions::name(key)),
            reason: error.to_string(),
        })
}

/// What the connection's task keeps.
struct Wire {
    address: Arc<str>,
    response_bytes_max: usize,
    inbound: BytesMut,
    outbound: BytesMut,
    waiting: BTreeMap<i32, Waiting>,
}

impl Wire {
    async fn run(mut self, stream: BoxStream, mut calls: mpsc::Receiver<Call>) {
        let reason = self.pump(stream, &mut calls).await;
        let ended = |sent| {
            let address = self.address.to_string();
            Err(ClientError::Disconnected { address, sent, reason: reason.clone() })
        };
        calls.close();
        // A caller that has gone away needs no answer, hence the ignored sends.
        for waiting in std::mem::take(&mut self.waiting).into_values() {
            let _ = waiting.reply.send(ended(true));
        }
        while let Ok(call) = calls.try_recv() {
            let _ = call.reply.send(ended(false));
        }
    }

    /// Moves bytes until the connection ends; answers why it did.
    async fn pump(&mut self, stream: BoxStream, calls: &mut mpsc::Receiver<Call>) -> String {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut unflushed = false;
        loop {
            if let Err(reason) = self.take_answers() {
                return reason;
            }
            let deadline = self.waiting.values().map(|waiting| waiting.deadline).min();
            let expiry = deadline.unwrap_or_else(Instant::now);
            self.inbound.reserve(READ_BYTES);
            // Reading comes first: an answer that is already here beats its deadline.
            let io = tokio::select! {
                biased;
                read = reader.read_buf(&mut self.inbound) => match read {
                    Ok(0) => return "the broker closed it".to_owned(),
                    read => read.map(|_| ()),
                },
                written = write(&mut writer, &mut self.outbound, &mut unflushed),
                    if unflushed || !self.outbound.is_empty() => written,
                call = calls.recv(), if self.outbound.len() < OUTBOUND_BYTES => match call {
                    Some(call) => { self.enqueue(call); Ok(()) }
                    None => return "the client closed it".to_owned(),
                },
                () = sleep_until(expiry), if deadline.is_some() => return self.expire(expiry),
            };
            if let Err(error) = io {
                return error.to_string();
            }
        }
    }

    fn enqueue(&mut self, call: Call) {
        self.outbound.put_slice(&call.frame);
        if call.unanswered {
            let _ = call.reply.send(Ok(Bytes::new()));
        } else {
            let Call { api_key, started, deadline, reply, .. } = call;
            self.waiting.insert(call.correlation, Waiting { api_key, started, deadline, reply });
        }
    }

    /// Hands every whole answer to its caller.
    fn take_answers(&mut self) -> Result<(), String> {
        while let Some(length) = self.inbound.get(..4) {
            let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            let length = usize::try_from(length).ok().filter(|length| *length >= 4);
            let length = length.ok_or("it carried an answer without a valid length")?;
            if length > self.response_bytes_max {
                let limit = self.response_bytes_max;
                return Err(format!("it carried an answer of {length} bytes, above the limit of {limit}"));
            }
            if self.inbound.len() < 4 + length {
                return Ok(());
            }
            self.inbound.advance(4);
            let frame = self.inbound.split_to(length).freeze();
            let correlation = i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
            let waiting = self.waiting.remove(&correlation);
            let waiting =
                waiting.ok_or_else(|| format!("it carried an answer {correlation} to no question"))?;
            let _ = waiting.reply.send(Ok(frame));
        }
        Ok(())
    }

    /// Fails what is due; answers why the connection ends.
    fn expire(&mut self, now: Instant) -> String {
        let mut named = String::new();
        let due = self.waiting.iter().filter(|(_, waiting)| waiting.deadline <= now).map(|(id, _)| *id);
        for correlation in due.collect::<Vec<_>>() {
            let Some(waiting) = self.waiting.remove(&correlation) else { continue };
            let what = versions::name(waiting.api_key);
            named = format!("{what} went unanswered");
            let after: Duration = now.saturating_duration_since(waiting.started);
            let address = self.address.to_string();
            let _ = waiting.reply.send(Err(ClientError::TimedOut { address, what, after }));
        }
        named
    }
}

/// Writes some of `outbound`, or flushes when nothing is left. Cancel safe: what was written is gone from
/// `outbound`.
async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    outbound: &mut BytesMut,
    unflushed: &mut bool,
) -> io::Result<()> {
    if outbound.is_empty() {
        writer.flush().await?;
        *unflushed = false;
        return Ok(());
    }
    *unflushed = true;
    match writer.write_buf(outbound).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
