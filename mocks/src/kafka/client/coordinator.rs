//! Finds the coordinator of a group or a transactional id, remembers it, and talks to it over a lane of its own.
//!
//! Every call is one attempt. Whatever hints that the coordinator is another one makes the next call look for
//! it again; when to make that next call is the caller's to decide.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::Request;

use super::error::ClientError;
use super::network::Lane;
use super::{Broker, KafkaClient};

/// What is coordinated, numbered as FindCoordinator numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Group = 0,
    Transaction = 1,
}

/// The coordinator of one group or transactional id, as far as it is known.
pub(super) struct Coordinator {
    pub(super) client: KafkaClient,
    /// The group, or the transactional id.
    pub(super) group: String,
    kind: Kind,
    lane: Lane,
    known: Mutex<Option<String>>,
}

impl Coordinator {
    pub(super) fn new(client: &KafkaClient, group: &str) -> Self {
        Self::of(client, Kind::Group, group)
    }

    pub(super) fn of(client: &KafkaClient, kind: Kind, key: &str) -> Self {
        let (lane, known) = (client.lane(), Mutex::default());
        Self { client: client.clone(), group: key.to_owned(), kind, lane, known }
    }

    /// Sends `request` to the coordinator and waits for its answer, `timeout` at most. Error codes inside the
    /// answer are the caller's to read, and to [`note`](Self::note).
    pub(super) async fn call<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        self.call_at_most(i16::MAX, request, timeout).await
    }

    /// Like [`call`](Self::call), in a version up to `max`.
    pub(super) async fn call_at_most<R: Request>(
        &self,
        max: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        self.call_over(&self.lane, max, request, timeout).await
    }

    /// The level of transactions the coordinator tells of.
    pub(super) async fn transaction_version(&self, timeout: Duration) -> Result<i16, ClientError> {
        let address = self.address().await?;
        let level = self.lane.transaction_version(&address, timeout).await;
        level.inspect_err(|error| self.note(error))
    }

    /// Like [`call`](Self::call), but past whatever still waits for an answer.
    pub(super) async fn call_aside<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        self.call_over(&self.client.lane(), i16::MAX, request, timeout).await
    }

    async fn call_over<R: Request>(
        &self,
        lane: &Lane,
        max: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let address = self.address().await?;
        let answer = lane.call_at_most(max, &address, request, timeout).await;
        answer.inspect_err(|error| self.note(error))
    }

    async fn address(&self) -> Result<String, ClientError> {
        let known = self.lock().clone();
        if let Some(address) = known {
            return Ok(address);
        }
        let (_, address) = self.client.find_coordinator_of(&Broker::Any, self.kind, &self.group).await?;
        Ok(self.lock().insert(address).clone())
    }

    /// Forgets the coordinator if `error` hints that it is another one or cannot be reached.
    pub(super) fn note(&self, error: &ClientError) {
        let elsewhere = match error {
            ClientError::Connect { .. } | ClientError::Disconnected { .. } | ClientError::TimedOut { .. } => {
                true
            }
            error => matches!(
                error.code(),
                Some(ResponseError::NotCoordinator | ResponseError::CoordinatorNotAvailable)
            ),
        };
        if elsewhere {
            *self.lock() = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
