//! Finds a group's coordinator, remembers it, and talks to it over a lane of its own.
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

/// The coordinator of one group, as far as it is known.
pub(super) struct Coordinator {
    pub(super) client: KafkaClient,
    pub(super) group: String,
    lane: Lane,
    known: Mutex<Option<String>>,
}

impl Coordinator {
    pub(super) fn new(client: &KafkaClient, group: &str) -> Self {
        let (lane, known) = (client.lane(), Mutex::default());
        Self { client: client.clone(), group: group.to_owned(), lane, known }
    }

    /// Sends `request` to the coordinator and waits for its answer, `timeout` at most. Error codes inside the
    /// answer are the caller's to read, and to [`note`](Self::note).
    pub(super) async fn call<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        self.call_over(&self.lane, request, timeout).await
    }

    /// Like [`call`](Self::call), but past whatever still waits for an answer.
    pub(super) async fn call_aside<R: Request>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        self.call_over(&self.client.lane(), request, timeout).await
    }

    async fn call_over<R: Request>(
        &self,
        lane: &Lane,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let known = self.lock().clone();
        let address = match known {
            Some(address) => address,
            None => {
                let (_, address) = self.client.find_coordinator(&Broker::Any, &self.group).await?;
                self.lock().insert(address).clone()
            }
        };
        let answer = lane.call(&address, request, timeout).await;
        answer.inspect_err(|error| self.note(error))
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
