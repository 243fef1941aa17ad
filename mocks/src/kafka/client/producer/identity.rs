//! The producer id by which brokers recognise an idempotent producer's retries.
//!
//! One id serves all partitions of a producer. A partition whose sequence was broken by a failed batch takes
//! a new id and begins at sequence 0 again; the others go on with the one they have.

use kafka_protocol::messages::{InitProducerIdRequest, ProducerId};

use crate::kafka::client::error::{ClientError, ErrorCode};
use crate::kafka::client::{Broker, KafkaClient};

/// A producer id and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka::client) struct Identity {
    pub(in crate::kafka::client) id: i64,
    pub(in crate::kafka::client) epoch: i16,
}

/// The current identity of a producer.
pub(super) struct Identities {
    current: tokio::sync::Mutex<Option<Identity>>,
    /// It is a transaction's: there is no other.
    fixed: bool,
}

impl Identities {
    /// The one that is given, and no other; any the cluster gives if there is none.
    pub(super) fn new(fixed: Option<Identity>) -> Self {
        Self { current: tokio::sync::Mutex::new(fixed), fixed: fixed.is_some() }
    }

    /// An identity other than `broken`, asked of the cluster if need be. One attempt.
    pub(super) async fn get(
        &self,
        client: &KafkaClient,
        broken: Option<Identity>,
    ) -> Result<Identity, ClientError> {
        // Held while asking, so that lanes that start together share one answer.
        let mut current = self.current.lock().await;
        if let Some(current) = *current
            && Some(current) != broken
        {
            return Ok(current);
        }
        if self.fixed {
            let why = "an earlier record of this transaction failed: abort it";
            return Err(ClientError::Usage(why.to_owned()));
        }
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let response = client.request_to(&Broker::Any, &request).await?;
        ErrorCode::check(response.error_code, || "InitProducerId".to_owned())?;
        Ok(*current.insert(Identity { id: response.producer_id.0, epoch: response.producer_epoch }))
    }
}
