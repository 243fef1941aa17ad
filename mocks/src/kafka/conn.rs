//! A connection: frames in, requests to the cluster, answers out.
//!
//! Requests are handled one after another, as a broker mutes a channel while its request is under way. Answers to
//! requests that came together go out together. Everything is bounded: what a client sends ahead while it is not
//! listened to, the answers it has not read, the time a request takes to arrive or an answer to leave.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout_at};

use super::api::{Outcome, Request};
use super::cluster::{Call, Faults, Ticket};
use super::input::Input;
use super::matcher::Target;
use super::place::{Place, Ruled};
use super::wire::edit::Answered;
use super::wire::frame::{Frame, FrameError, Head};
use crate::net::BoxStream;
use crate::rule::Act;

/// Bytes a connection may send ahead while its request waits.
const READ_AHEAD: usize = 1024 * 1024;
/// Bytes of answers that wait for each other.
const WRITE_TOGETHER: usize = 128 * 1024;
/// The longest time a connection may be idle: later moments cannot be told.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// How long the answer to a failed authentication is held back (`connection.failed.authentication.delay.ms`).
const FAILED_AUTHENTICATION: Duration = Duration::from_millis(100);
/// How long a connection may take to say that it ends.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    place: Place,
    /// The client's address as brokers tell it: `/127.0.0.1:5000`.
    peer: String,
    stream: BoxStream,
    input: Input,
    output: Frame,
    idle_max: Duration,
    /// When the last whole request came.
    active: Instant,
}

/// The connection is over.
enum Closed {
    /// Its peer is gone, or its node died.
    Now,
    /// The node closes it; what was answered before is still sent.
    AfterAnswers,
}

impl Connection {
    pub fn new(place: Place, peer: &str, stream: BoxStream) -> Self {
        let limits = *place.shared.limits();
        Self {
            place,
            peer: format!("/{peer}"),
            stream,
            input: Input::new(limits.max_request_bytes),
            output: Frame::default(),
            idle_max: limits.max_idle.min(LONGEST),
            active: Instant::now(),
        }
    }

    /// Serves it to its end.
    pub async fn run(mut self) {
        let Err(closed) = self.serve().await;
        if let Closed::AfterAnswers = closed {
            // It closes in any case.
            let _ = self.flush().await;
            let _ = timeout_at(Instant::now() + FAREWELL, self.stream.shutdown()).await;
        }
    }

    async fn serve(&mut self) -> Result<Infallible, Closed> {
        loop {
            match self.input.next() {
                Ok(Some(frame)) => {
                    self.active = Instant::now();
                    self.handle(frame).await?;
                }
                Ok(None) => {
                    self.flush().await?;
                    self.read().await?;
                }
                Err(error) => return Err(self.refuse(&error)),
            }
        }
    }

    async fn handle(&mut self, frame: Bytes) -> Result<(), Closed> {
        if self.place.is_token_next() {
            return self.authenticate(&frame).await;
        }
        let request = Request::decode(frame).map_err(|error| self.refuse(&error))?;
        let Ruled { faults, act, matched } = self.place.decide(&request);
        match act {
            Some(Act::DropBefore) => return Err(Closed::AfterAnswers),
            Some(Act::Silence) => return Ok(()),
            Some(Act::Delay(wait)) => self.pause(wait).await?,
            _ => {}
        }
        let (answered, outcome, mut throttle_ms) = self.call(request, &faults);
        let answer = match outcome {
            Outcome::Reply(frame) => Some(frame),
            Outcome::Parked => {
                let answer = self.wait().await?;
                throttle_ms = self.place.shared.with(|cluster| cluster.take_wait(self.place.conn));
                Some(answer)
            }
            Outcome::NoReply => None,
            Outcome::Last(frame) => return self.refuse_login(frame).await,
            Outcome::Close => return Err(Closed::AfterAnswers),
        };
        let wait = match act {
            Some(Act::Throttle(wait)) => wait,
            _ => Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0)),
        };
        self.finish(answered, answer, wait, act, &matched).await
    }

    /// Has the cluster handle a request; tells how long the client is to be muted for what it takes, too.
    fn call(&self, mut request: Request, faults: &Faults) -> (Answered, Outcome, i32) {
        let Head { api, version, correlation, .. } = request.head;
        let Place { conn, node, .. } = self.place;
        let ticket = Ticket { conn, node, api, version, correlation, error_after: faults.after };
        let client_id = std::mem::take(&mut request.head.client_id);
        let client_host = self.peer.rsplit_once(':').map_or(&*self.peer, |(host, _)| host);
        let call =
            Call { ticket, node, client_id: &client_id, client_host, frame_bytes: request.size, faults };
        let (outcome, throttle_ms) = self.place.shared.with(|cluster| {
            let outcome = cluster.handle(&call, request);
            (outcome, cluster.take_wait(conn))
        });
        (Answered { api, version, correlation }, outcome, throttle_ms)
    }

    /// Does with an answer, if there is one, what a rule wants. A client that is to wait is told so, and nothing
    /// is read from it meanwhile.
    async fn finish(
        &mut self,
        answered: Answered,
        answer: Option<Frame>,
        wait: Duration,
        act: Option<Act>,
        matched: &[Target],
    ) -> Result<(), Closed> {
        match act {
            Some(Act::DropAfter) => return Err(Closed::AfterAnswers),
            Some(Act::DelayAfter(wait)) => self.pause(wait).await?,
            _ => {}
        }
        if let Some(mut answer) = answer {
            if !wait.is_zero() {
                let ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
                answer = answered.set_throttle(answer, ms);
            }
            match act {
                Some(Act::Truncate(length)) => {
                    answer.truncate(length);
                    self.push(answer).await?;
                    return Err(Closed::AfterAnswers);
                }
                Some(Act::CorruptCrc) => {
                    let wrong = self.place.corrupt(answered, answer, matched);
                    self.push(wrong).await?;
                }
                _ => self.push(answer).await?,
            }
        }
        if wait.is_zero() { Ok(()) } else { self.pause(wait).await }
    }

    /// A frame that is an authentication token and no request, as clients of old send them.
    async fn authenticate(&mut self, token: &[u8]) -> Result<(), Closed> {
        match self.place.authenticate(token) {
            Some(answer) => self.push(answer).await,
            None => {
                self.pause(FAILED_AUTHENTICATION).await?;
                Err(Closed::AfterAnswers)
            }
        }
    }

    async fn refuse_login(&mut self, answer: Frame) -> Result<(), Closed> {
        self.pause(FAILED_AUTHENTICATION).await?;
        self.push(answer).await?;
        Err(Closed::AfterAnswers)
    }

    /// Bytes that are no request this cluster serves.
    fn refuse(&self, error: &FrameError) -> Closed {
        self.place.refuse(&self.peer, error);
        Closed::AfterAnswers
    }

    /// Puts an answer behind those that wait to be written; one without bytes ends the connection.
    async fn push(&mut self, answer: Frame) -> Result<(), Closed> {
        if !answer.has_remaining() {
            return Err(Closed::AfterAnswers);
        }
        self.output.append(answer);
        if self.output.remaining() >= WRITE_TOGETHER { self.flush().await } else { Ok(()) }
    }

    /// Writes what was answered. A client that does not read it in time is given up.
    async fn flush(&mut self) -> Result<(), Closed> {
        if !self.output.has_remaining() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all_buf(&mut self.output).await?;
            self.stream.flush().await
        };
        let in_time = timeout_at(Instant::now() + self.idle_max, write);
        let written = tokio::select! {
            biased;
            () = self.place.mailbox.closed() => return Err(Closed::Now),
            written = in_time => written,
        };
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Closed::Now),
            Err(_) => {
                tracing::warn!(
                    peer = self.peer,
                    node = self.place.node,
                    "closing: it does not read its answers"
                );
                Err(Closed::Now)
            }
        }
    }

    /// Waits for more of a request, not for ever.
    async fn read(&mut self) -> Result<(), Closed> {
        let until = self.active + self.idle_max;
        tokio::select! {
            biased;
            () = self.place.mailbox.closed() => Err(Closed::Now),
            read = timeout_at(until, self.input.read(&mut self.stream)) => match read {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Closed::Now),
                Err(_) => {
                    tracing::debug!(peer = self.peer, node = self.place.node, "closing an idle connection");
                    Err(Closed::Now)
                }
            },
        }
    }

    /// Waits for the answer of a parked request.
    async fn wait(&mut self) -> Result<Frame, Closed> {
        self.flush().await?;
        let mailbox = Arc::clone(&self.place.mailbox);
        let answer = tokio::select! {
            biased;
            answer = mailbox.take() => answer.map_err(|_| Closed::Now),
            closed = self.until_closed() => Err(closed),
        };
        self.active = Instant::now();
        answer
    }

    /// Lets time pass without listening.
    async fn pause(&mut self, wait: Duration) -> Result<(), Closed> {
        self.flush().await?;
        let mailbox = Arc::clone(&self.place.mailbox);
        tokio::select! {
            biased;
            () = sleep(wait) => {}
            () = mailbox.closed() => return Err(Closed::Now),
            closed = self.until_closed() => return Err(closed),
        }
        self.active = Instant::now();
        Ok(())
    }

    /// Returns when the peer closes, reading ahead meanwhile, for that is how one learns of it.
    async fn until_closed(&mut self) -> Closed {
        while self.input.len() < READ_AHEAD {
            if self.input.read(&mut self.stream).await.is_err() {
                return Closed::Now;
            }
        }
        std::future::pending().await
    }
}
