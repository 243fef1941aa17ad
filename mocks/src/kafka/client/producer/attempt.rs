//! One batch on its way to the log: attempts until it is acknowledged, refused for good, or out of time.
//!
//! The bytes of a batch are encoded once: an idempotent producer's retry carries the same sequence, so the
//! broker recognises it. Whether the batch may be in the log is the sum over *all* attempts: one attempt with
//! an unknown outcome makes a later refusal uncertain.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use tokio::time::{Instant, sleep};

use super::{Acks, Shared};
use crate::kafka::client::admin::{millis, no_answer, text};
use crate::kafka::client::error::{ClientError, ErrorCode, ProduceError};
use crate::kafka::client::types::TopicPartition;

/// Which batch, and how others of its partition stand.
pub(super) struct Attempt<'a> {
    pub(super) shared: &'a Shared,
    pub(super) partition: &'a TopicPartition,
    pub(super) batch: Bytes,
    pub(super) deadline: Instant,
    /// Counts the lane's batches; part of the name of its stream of jitter.
    pub(super) number: u64,
    /// The number of the oldest batch of the partition that is not settled.
    pub(super) oldest: &'a AtomicU64,
}

impl Attempt<'_> {
    /// Tries until it is settled; answers the batch's base offset, -1 without acknowledgements.
    pub(super) async fn deliver(self) -> Result<i64, ProduceError> {
        let client = &self.shared.client;
        let mut backoff = client.backoff(&format!("produce {} {}", self.partition, self.number));
        let mut unknown = false;
        loop {
            // Read before sending: what the broker answers depends on what was settled then.
            let was_oldest = self.oldest.load(Ordering::Relaxed) >= self.number;
            let error = match self.once().await {
                Ok(offset) => return Ok(offset),
                Err(error) => error,
            };
            unknown |= error.may_have_applied();
            tracing::debug!(partition = %self.partition, batch = self.number, %error, "produce attempt failed");
            let delay = backoff.next_delay();
            if !may_retry(&error, was_oldest) || Instant::now() + delay >= self.deadline {
                return Err(if unknown {
                    ProduceError::Unknown(error)
                } else {
                    ProduceError::Refused(error)
                });
            }
            client.invalidate_metadata();
            sleep(delay).await;
        }
    }

    async fn once(&self) -> Result<i64, ClientError> {
        let Shared { client, options, lane, session, .. } = self.shared;
        let (_, address) = client.leader(self.partition).await?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let timeout = options.request_timeout.min(left);
        let acks = match options.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        };
        let data = PartitionProduceData::default()
            .with_index(self.partition.partition)
            .with_records(Some(self.batch.clone()));
        let topic = TopicProduceData::default()
            .with_name(TopicName(text(&self.partition.topic)))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(acks)
            .with_timeout_ms(millis(options.request_timeout))
            .with_transactional_id(session.as_ref().map(|session| session.transactional_id()))
            .with_topic_data(vec![topic]);
        if options.acks == Acks::None {
            lane.tell(&address, &request, timeout).await?;
            return Ok(-1);
        }
        let max = session.as_ref().map_or(i16::MAX, |session| session.produce_version_max());
        let response = lane.call_at_most(max, &address, &request, timeout).await?;
        let what = || format!("produce to {} at {address}", self.partition);
        let answer = response.responses.into_iter().flat_map(|topic| topic.partition_responses).next();
        let answer = answer.ok_or_else(|| no_answer(what()))?;
        match ErrorCode::check(answer.error_code, what) {
            // A broker that no longer keeps the offset of a batch it has says so; the batch is in the log.
            Err(error) if error.code() == Some(ResponseError::DuplicateSequenceNumber) => Ok(-1),
            checked => checked.map(|()| answer.base_offset),
        }
    }
}

fn may_retry(error: &ClientError, was_oldest: bool) -> bool {
    match error.code() {
        // A sequence that is ahead of its time becomes right once the batches before it are in.
        Some(ResponseError::OutOfOrderSequenceNumber) => !was_oldest,
        // Not final, though Kafka's table says so: the answer tells nothing.
        Some(ResponseError::UnknownServerError) => true,
        _ => error.is_retryable(),
    }
}
