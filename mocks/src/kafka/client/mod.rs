//! `KafkaClient`: a small Kafka client over any byte stream.
//!
//! It exists because no other client of this language takes a transport of one's own: this one runs in the
//! simulation, over TCP and over pipes in memory alike, on tokio's clock, and draws every jitter from a seed.
//! It can also address *one* broker ([`KafkaClient::request_to`]), which readiness checks need.
//!
//! It speaks to brokers from 2.8 to 4.x: produce (idempotent, transactional or neither), classic consumer groups with eager
//! range assignment, reading without a group, and the few admin calls fixtures need. It deliberately has no
//! compression, no TLS and no SASL.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::Request;

use crate::Clock;
use crate::net::Dial;

mod admin;
mod assignor;
mod backoff;
mod batch;
mod connection;
mod consumer;
mod coordinator;
mod error;
mod fetch;
mod fetcher;
mod group;
mod group_admin;
mod isolation;
mod membership;
mod metadata;
mod network;
mod partitioner;
mod producer;
mod reader;
mod transaction;
mod types;
mod versions;

pub use admin::{NewTopic, OffsetSpec, TopicError};
pub use backoff::Backoff;
pub use consumer::{Consumer, ConsumerOptions, Event, OffsetReset};
pub use error::{ClientError, ErrorCode, ProduceError};
pub use group_admin::{GroupDescription, MemberDescription};
pub use isolation::Isolation;
pub use metadata::{ClusterMetadata, PartitionMetadata, TopicMetadata};
pub use partitioner::of_key as partition_of;
pub use producer::{Acks, Producer, ProducerOptions};
pub use reader::{PartitionsReader, Reader, StartAt};
pub use transaction::{GroupMetadata, Transaction, TransactionalOptions, TransactionalProducer};
pub use types::{Gap, Headers, NewRecord, Record, TopicPartition};

use metadata::MetadataCache;
use network::{Lane, Network};

/// How a client behaves. Defaults are those of Kafka's own clients where those have one.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Brokers to ask first, `host:port`. The cluster tells of the others.
    pub bootstrap: Vec<String>,
    /// The name brokers know this client by.
    pub client_id: String,
    /// How long one attempt to connect, the agreement on versions included, may take.
    pub connect_timeout: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// Metadata older than this is asked for again.
    pub metadata_max_age: Duration,
    /// Delay before the second attempt of anything.
    pub retry_backoff: Duration,
    /// Longest delay between two attempts.
    pub retry_backoff_max: Duration,
    /// Decides the jitter of every delay.
    pub seed: u64,
    /// Gives produced records their timestamps.
    pub clock: Clock,
    /// Larger answers end the connection.
    pub response_bytes_max: usize,
}

impl ClientOptions {
    /// Default options, on the machine's wall clock.
    pub fn new<T: Into<String>>(bootstrap: impl IntoIterator<Item = T>) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().map(Into::into).collect(),
            client_id: "squall".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            metadata_max_age: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            seed: 0,
            clock: Clock::system(),
            response_bytes_max: 100 * 1024 * 1024,
        }
    }
}

/// Names a broker to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broker {
    /// Whichever answers.
    Any,
    /// The controller, or any broker while there is none known: brokers forward to it.
    Controller,
    /// The broker with this id, at the address the cluster advertises.
    Node(i32),
    /// The broker at this `host:port`, whoever that is.
    Address(String),
}

/// A client of one cluster. Clones share its connections and metadata.
#[derive(Clone)]
pub struct KafkaClient {
    inner: Arc<Inner>,
}

struct Inner {
    options: ClientOptions,
    network: Arc<Network>,
    lane: Lane,
    metadata: MetadataCache,
}

impl KafkaClient {
    /// A client that dials with `dial`. Nothing is dialled before the first request.
    #[must_use]
    pub fn new(options: ClientOptions, dial: Arc<dyn Dial>) -> Self {
        let network = Network::new(
            dial,
            options.client_id.clone(),
            options.connect_timeout,
            options.response_bytes_max,
        );
        let lane = network.lane();
        Self { inner: Arc::new(Inner { options, network, lane, metadata: MetadataCache::default() }) }
    }

    /// How this client behaves.
    #[must_use]
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// Sends one request, once, to one broker, in the newest version both sides know, and waits for its
    /// answer up to the request timeout. Error codes inside the answer are the caller's to read.
    ///
    /// # Errors
    /// [`ClientError`], if no answer came or the two share no version of the API.
    pub async fn request_to<R: Request>(
        &self,
        broker: &Broker,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        let timeout = self.options().request_timeout;
        let address = match broker {
            Broker::Any => return self.request_any(request).await,
            Broker::Address(address) => address.clone(),
            Broker::Node(node) => self.address_of(*node).await?,
            Broker::Controller => match self.metadata(&[]).await?.controller {
                Some(node) => self.address_of(node).await?,
                None => return self.request_any(request).await,
            },
        };
        self.inner.lane.call(&address, request, timeout).await
    }

    /// Asks one broker after the other until one answers.
    async fn request_any<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let mut last = None;
        for address in self.candidates() {
            match self.inner.lane.call(&address, request, self.options().request_timeout).await {
                Ok(response) => return Ok(response),
                Err(error) if error.is_retryable() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(match last {
            Some(error) => ClientError::Unreachable(Box::new(error)),
            None => ClientError::Usage("a client needs at least one bootstrap broker".to_owned()),
        })
    }

    /// Delays of retries, from the stream `name` of this client's seed.
    fn backoff(&self, name: &str) -> Backoff {
        let options = self.options();
        Backoff::new(options.retry_backoff, options.retry_backoff_max, options.seed, name)
    }

    /// Connections of one's own.
    fn lane(&self) -> Lane {
        self.inner.network.lane()
    }
}
