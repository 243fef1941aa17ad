//! A transactional producer: records and offsets that count together, or not at all.
//!
//! ```text
//! let mut producer = client.transactional_producer(options).await?;
//! let transaction = producer.begin().await?;
//! transaction.send(record).await?;
//! transaction.send_offsets(&group, &offsets).await?;
//! transaction.commit().await?;
//! ```
//!
//! Invariant: nothing of a transaction is ever committed after something of it failed, nor in the next one. A
//! transaction that is dropped, that failed, or whose end is not known leaves the producer to be initialised
//! again, which aborts what is open and takes a new epoch.
//!
//! What one identity does is in `transaction/session.rs`. Which version of transactions is used is what the
//! coordinator tells when the producer is made.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId, TransactionalId};
use tokio::time::Instant;

use super::KafkaClient;
use super::admin::{millis, text};
use super::coordinator::{Coordinator, Kind};
use super::error::{ClientError, ErrorCode, ProduceError};
use super::producer::{Acks, Identity, Producer, ProducerOptions};
use super::types::{NewRecord, TopicPartition};

mod session;

use session::Attempts;
pub(super) use session::Session;

/// How a transactional producer behaves. Defaults are those of Kafka's own producer.
#[derive(Clone, Debug)]
pub struct TransactionalOptions {
    /// Who it is: a later producer of the same id fences it.
    pub transactional_id: String,
    /// The coordinator aborts a transaction that takes longer.
    pub transaction_timeout: Duration,
    /// How long `begin`, `commit` and `abort` are tried for each.
    pub max_block: Duration,
    /// How its records are produced; always idempotent and with [`Acks::All`].
    pub producer: ProducerOptions,
}

impl TransactionalOptions {
    /// Default options.
    pub fn new(transactional_id: impl Into<String>) -> Self {
        Self {
            transactional_id: transactional_id.into(),
            transaction_timeout: Duration::from_secs(60),
            max_block: Duration::from_secs(60),
            producer: ProducerOptions::default(),
        }
    }
}

/// The group a transaction commits offsets for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group's id.
    pub group: String,
    /// The generation the offsets were consumed in, -1 without a member.
    pub generation: i32,
    /// The member, empty without one.
    pub member: String,
}

impl GroupMetadata {
    /// A group without a member: the offsets are taken whoever consumes.
    pub fn of_group(group: impl Into<String>) -> Self {
        Self { group: group.into(), generation: -1, member: String::new() }
    }
}

/// Produces in transactions, one at a time.
pub struct TransactionalProducer {
    client: KafkaClient,
    options: TransactionalOptions,
    coordinator: Arc<Coordinator>,
    bumps_epoch: bool,
    current: Current,
}

enum Current {
    /// Not initialised yet.
    New,
    Ready(Arc<Session>, Producer),
    /// Something of the last transaction is in doubt: it is to be aborted, and sequences begin again.
    Doubtful(Arc<Session>),
    Fenced(ClientError),
}

impl KafkaClient {
    /// A transactional producer, initialised: whatever a producer of the same id left open is aborted, and that
    /// producer is fenced.
    ///
    /// # Errors
    /// [`ClientError::Usage`], if the options contradict each other; else as for
    /// [`begin`](TransactionalProducer::begin).
    pub async fn transactional_producer(
        &self,
        options: TransactionalOptions,
    ) -> Result<TransactionalProducer, ClientError> {
        if options.transactional_id.is_empty() {
            return Err(ClientError::Usage("a transactional producer needs a transactional id".to_owned()));
        }
        if options.producer.acks != Acks::All || !options.producer.idempotent {
            let why = "a transactional producer is idempotent and needs Acks::All";
            return Err(ClientError::Usage(why.to_owned()));
        }
        // Checks the other options.
        drop(self.producer(options.producer.clone())?);
        let coordinator = Arc::new(Coordinator::of(self, Kind::Transaction, &options.transactional_id));
        let (client, current) = (self.clone(), Current::New);
        let mut producer =
            TransactionalProducer { client, options, coordinator, bumps_epoch: false, current };
        producer.init(None).await?;
        Ok(producer)
    }
}

impl TransactionalProducer {
    /// Begins a transaction. Asks the cluster nothing, unless the last transaction was not brought to its end.
    ///
    /// # Errors
    /// [`ClientError::ProducerFenced`], if another producer has taken over; other errors may be retried.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, ClientError> {
        match &self.current {
            Current::Fenced(error) => return Err(error.clone()),
            Current::New => self.init(None).await?,
            Current::Doubtful(session) => {
                let session = Arc::clone(session);
                self.recover(&session).await?;
            }
            Current::Ready(..) => {}
        }
        let Current::Ready(session, producer) = &self.current else {
            return Err(ClientError::Usage("the producer is not initialised".to_owned()));
        };
        let (session, producer) = (Arc::clone(session), producer.clone());
        Ok(Transaction { session, producer, owner: self, ended: false })
    }

    /// Aborts what may be open, and takes the next identity.
    async fn recover(&mut self, session: &Session) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.options.max_block;
        let next = session.end(false, deadline).await.inspect_err(|error| self.note(error))?;
        if next == session.identity {
            return self.init(Some(next)).await;
        }
        self.go_on_as(next);
        Ok(())
    }

    /// Takes an identity; tells the one it had, so that it does not fence its successor.
    async fn init(&mut self, last: Option<Identity>) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.options.max_block;
        let id = self.options.transactional_id.clone();
        let timeout = self.client.options().request_timeout;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(&id))))
            .with_transaction_timeout_ms(millis(self.options.transaction_timeout))
            .with_producer_id(ProducerId(last.map_or(-1, |last| last.id)))
            .with_producer_epoch(last.map_or(-1, |last| last.epoch));
        let coordinator = Arc::clone(&self.coordinator);
        let mut attempts = Attempts::new(&coordinator, "InitProducerId", deadline);
        let (identity, bumps_epoch) = loop {
            let attempt = async {
                let answer = coordinator.call(&request, timeout).await?;
                session::check(&coordinator, answer.error_code, "InitProducerId")?;
                let level = coordinator.transaction_version(timeout).await?;
                Ok::<_, ClientError>((
                    Identity { id: answer.producer_id.0, epoch: answer.producer_epoch },
                    level >= 2,
                ))
            };
            match attempt.await {
                Ok(told) => break told,
                Err(error) => attempts.after(error).await.inspect_err(|error| self.note(error))?,
            }
        };
        self.bumps_epoch = bumps_epoch;
        self.go_on_as(identity);
        Ok(())
    }

    /// From now on under this identity, with sequences that begin again.
    fn go_on_as(&mut self, identity: Identity) {
        let session = Arc::new(Session::new(&self.coordinator, identity, self.bumps_epoch));
        let producer = self.client.producer_in(self.options.producer.clone(), Some(Arc::clone(&session)));
        self.current = Current::Ready(session, producer);
    }

    /// Remembers that it is fenced, if it is.
    fn note(&mut self, error: &ClientError) {
        if matches!(error, ClientError::ProducerFenced { .. }) {
            self.current = Current::Fenced(error.clone());
        }
    }

    /// Ends the transaction of a session. Whatever is in doubt then is recovered before the next one.
    async fn end(&mut self, session: &Arc<Session>, commit: bool) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.options.max_block;
        let next = session.end(commit, deadline).await.inspect_err(|error| self.note(error))?;
        if next != session.identity {
            self.go_on_as(next);
        } else if session.failure().is_none() {
            session.forget_partitions().await;
        } else {
            self.current = Current::Doubtful(Arc::clone(session));
        }
        Ok(())
    }
}

/// An open transaction. Dropped without an end, it is aborted by the next one, or by the coordinator's timeout.
pub struct Transaction<'a> {
    owner: &'a mut TransactionalProducer,
    session: Arc<Session>,
    producer: Producer,
    ended: bool,
}

impl Transaction<'_> {
    /// Produces one record in the transaction, as [`Producer::send`] does. If it fails, or if its future is
    /// dropped, the transaction can only be aborted.
    ///
    /// # Errors
    /// As for [`Producer::send`]; [`ClientError::ProducerFenced`] inside, if another producer has taken over.
    pub async fn send(&self, record: NewRecord) -> Result<(TopicPartition, i64), ProduceError> {
        let attempt = self.session.attempt();
        let sent = self.producer.send(record).await.map_err(|error| match error {
            ProduceError::Refused(error) => ProduceError::Refused(self.session.fenced(error)),
            ProduceError::Unknown(error) => ProduceError::Unknown(self.session.fenced(error)),
        });
        match &sent {
            Ok(_) => attempt.succeeded(),
            Err(ProduceError::Refused(error) | ProduceError::Unknown(error)) => attempt.failed(error),
        }
        sent
    }

    /// Commits, in the transaction, the offset of the *next* record to be consumed of each partition. If it
    /// fails, the transaction can only be aborted.
    ///
    /// # Errors
    /// [`ClientError::Fenced`], if the group has moved on.
    pub async fn send_offsets(
        &self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), ClientError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let attempt = self.session.attempt();
        let deadline = Instant::now() + self.owner.options.max_block;
        let sent = self.session.send_offsets(group, offsets, deadline).await;
        match &sent {
            Ok(()) => attempt.succeeded(),
            Err(error) => attempt.failed(error),
        }
        sent
    }

    /// Commits all of it.
    ///
    /// # Errors
    /// The error that made it fail before: then it is aborted by the next transaction. Or an error of the
    /// commit itself: [`ClientError::ProducerFenced`] means it was aborted; after others its outcome is not
    /// known.
    pub async fn commit(mut self) -> Result<(), ClientError> {
        if let Some(error) = self.session.failure() {
            self.owner.note(&error);
            return Err(error);
        }
        let session = Arc::clone(&self.session);
        self.owner.end(&session, true).await?;
        self.ended = true;
        Ok(())
    }

    /// Drops all of it.
    ///
    /// # Errors
    /// [`ClientError`], if the coordinator could not be told; it will abort the transaction by its timeout, or
    /// when the next one begins.
    pub async fn abort(mut self) -> Result<(), ClientError> {
        let session = Arc::clone(&self.session);
        self.owner.end(&session, false).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended && matches!(self.owner.current, Current::Ready(..)) {
            self.owner.current = Current::Doubtful(Arc::clone(&self.session));
        }
    }
}

/// Whether an error says that the producer's epoch is not the current one.
fn is_fencing(code: ResponseError) -> bool {
    matches!(
        code,
        ResponseError::ProducerFenced
            | ResponseError::InvalidProducerEpoch
            | ResponseError::InvalidProducerIdMapping
    )
}

/// `error` as [`ClientError::ProducerFenced`], if it is that.
fn fenced(transactional_id: &str, error: ClientError) -> ClientError {
    match error {
        ClientError::Refused { code: ErrorCode(code), .. } if is_fencing(code) => {
            ClientError::ProducerFenced {
                transactional_id: transactional_id.to_owned(),
                code: ErrorCode(code),
            }
        }
        error => error,
    }
}
