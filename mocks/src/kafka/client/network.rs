//! The connections of one client: dialled on demand, shared by those who may share, redialled after a loss.
//!
//! Brokers answer the requests of one connection in order, so a long poll or a join that waits for other
//! members would hold up whatever comes behind it. Each producer, consumer and coordinator therefore has a
//! *lane* of its own: one connection per broker and lane.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::protocol::Request;
use tokio::time::{Instant, timeout_at};

use crate::net::Dial;

use super::connection::Connection;
use super::error::ClientError;

type Slot = Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>;

/// Dials, and keeps what was dialled.
pub(super) struct Network {
    dial: Arc<dyn Dial>,
    client_id: String,
    connect_timeout: Duration,
    response_bytes_max: usize,
    slots: Mutex<BTreeMap<(u64, String), Slot>>,
    next_lane: AtomicU64,
}

/// The right to connections of one's own. Dropping it closes them.
pub(super) struct Lane {
    number: u64,
    network: Arc<Network>,
}

impl Network {
    pub(super) fn new(
        dial: Arc<dyn Dial>,
        client_id: String,
        connect_timeout: Duration,
        response_bytes_max: usize,
    ) -> Arc<Self> {
        let (slots, next_lane) = Default::default();
        Arc::new(Self { dial, client_id, connect_timeout, response_bytes_max, slots, next_lane })
    }

    /// A new lane.
    pub(super) fn lane(self: &Arc<Self>) -> Lane {
        Lane { number: self.next_lane.fetch_add(1, Ordering::Relaxed), network: Arc::clone(self) }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<(u64, String), Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Sends `request` to the broker at `address` and waits for its answer, `timeout` at most.
    pub(super) async fn call<R: Request>(
        &self,
        address: &str,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        self.call_at_most(i16::MAX, address, request, timeout).await
    }

    /// Like [`call`](Self::call), in a version up to `max`.
    pub(super) async fn call_at_most<R: Request>(
        &self,
        max: i16,
        address: &str,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let deadline = Instant::now() + timeout;
        self.connection(address, deadline).await?.call(max, request, deadline).await
    }

    /// The level of transactions the broker at `address` tells of.
    pub(super) async fn transaction_version(
        &self,
        address: &str,
        timeout: Duration,
    ) -> Result<i16, ClientError> {
        let deadline = Instant::now() + timeout;
        Ok(self.connection(address, deadline).await?.transaction_version())
    }

    /// Sends `request`, to which the broker gives no answer.
    pub(super) async fn tell<R: Request>(
        &self,
        address: &str,
        request: &R,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let deadline = Instant::now() + timeout;
        self.connection(address, deadline).await?.tell(request, deadline).await
    }

    async fn connection(&self, address: &str, deadline: Instant) -> Result<Arc<Connection>, ClientError> {
        let slot = {
            let mut slots = self.network.slots();
            Arc::clone(slots.entry((self.number, address.to_owned())).or_default())
        };
        let network = &self.network;
        let open = async {
            // Held while dialling, so that callers who want the same broker share one attempt.
            let mut slot = slot.lock().await;
            if let Some(connection) = slot.as_ref().filter(|connection| connection.is_open()) {
                return Ok(Arc::clone(connection));
            }
            *slot = None;
            let deadline = deadline.min(Instant::now() + network.connect_timeout);
            let (dial, client_id) = (&*network.dial, &network.client_id);
            let opened =
                Connection::open(dial, address, client_id, network.response_bytes_max, deadline).await?;
            Ok(Arc::clone(slot.insert(Arc::new(opened))))
        };
        timeout_at(deadline, open).await.unwrap_or_else(|_| {
            let reason = "no connection in time".to_owned();
            Err(ClientError::Connect { address: address.to_owned(), reason })
        })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.network.slots().retain(|(lane, _), _| *lane != self.number);
    }
}
