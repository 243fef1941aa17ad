//! The task of one partition: collects records into batches, numbers them, keeps a few under way.
//!
//! Invariant of the idempotent producer: between two changes of identity, sequences have no gap. After a
//! batch failed for good, its sequence may or may not be used, so the lane lets the batches under way settle
//! and takes a new identity before it sends another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::attempt::Attempt;
use super::identity::Identity;
use super::{Pending, Shared, timed_out};
use crate::kafka::client::batch::{self, Draft, HEADER_BYTES, Sequenced};
use crate::kafka::client::error::{ClientError, ProduceError};
use crate::kafka::client::types::TopicPartition;

/// Most records of one batch.
const BATCH_RECORDS: usize = 10_000;

type Reply = oneshot::Sender<Result<i64, ProduceError>>;

/// A batch that is ready to be sent.
struct Ready {
    bytes: Bytes,
    replies: Vec<Reply>,
    deadline: Instant,
}

/// Where a lane stands in its sequence.
#[derive(Default)]
struct Sequence {
    identity: Option<Identity>,
    next: i32,
    /// The broker has taken a batch under this identity. Until then it would take *any* sequence, also one
    /// whose predecessors are lost on the way, so until then one batch is under way at most.
    established: bool,
    broken: bool,
}

/// Records that wait to become a batch. Kept outside of the futures that fill it, so those may be dropped.
#[derive(Default)]
struct Gathered {
    records: Vec<Pending>,
    bytes: usize,
    since: Option<Instant>,
}

/// Runs until the producer is gone and everything handed in is settled.
pub(super) async fn run(
    shared: Arc<Shared>,
    partition: TopicPartition,
    mut records: mpsc::Receiver<Pending>,
) {
    let (shared, partition) = (&*shared, &partition);
    let oldest = AtomicU64::new(0);
    let mut sequence = Sequence::default();
    let mut gathered = Gathered::default();
    let mut under_way = FuturesUnordered::new();
    let (mut number, mut open) = (0_u64, BTreeSet::new());
    let mut more = true;
    while more || !under_way.is_empty() {
        // Counted from the oldest that is open, not by how many are: brokers recognise a producer's last five
        // batches, so a retry must not fall behind those.
        let first = open.first().copied().unwrap_or(number);
        let window = number - first < shared.options.max_in_flight as u64;
        let alone = sequence.broken || (shared.options.idempotent && !sequence.established);
        let room = if alone { under_way.is_empty() } else { window };
        tokio::select! {
            biased;
            Some((settled, result, replies)) = under_way.next(), if !under_way.is_empty() => {
                open.remove(&settled);
                oldest.store(open.first().copied().unwrap_or(number), Ordering::Relaxed);
                sequence.broken |= Result::is_err(&result);
                sequence.established |= Result::is_ok(&result);
                answer(replies, result);
            }
            gathering = gathered.fill(shared, &mut records), if more && room => {
                more = gathering;
                let batch = std::mem::take(&mut gathered).records;
                let Some(ready) = prepare(shared, partition, &mut sequence, batch).await else { continue };
                let Ready { bytes: batch, replies, deadline } = ready;
                open.insert(number);
                oldest.store(open.first().copied().unwrap_or(number), Ordering::Relaxed);
                let attempt = Attempt { shared, partition, batch, deadline, number, oldest: &oldest };
                under_way.push(async move { (attempt.number, attempt.deliver().await, replies) });
                number += 1;
            }
        }
    }
}

impl Gathered {
    /// Fills until the batch is full or has lingered; `false` when no further record will come. Cancel safe.
    async fn fill(&mut self, shared: &Shared, records: &mut mpsc::Receiver<Pending>) -> bool {
        let options = &shared.options;
        loop {
            if self.bytes >= options.batch_bytes || self.records.len() >= BATCH_RECORDS {
                return true;
            }
            let next = match self.since {
                None => records.recv().await,
                Some(since) => match records.try_recv() {
                    Ok(next) => Some(next),
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                    // A timer of no length would still take a millisecond.
                    Err(mpsc::error::TryRecvError::Empty) if options.linger.is_zero() => return true,
                    Err(mpsc::error::TryRecvError::Empty) => {
                        match timeout_at(since + options.linger, records.recv()).await {
                            Ok(next) => next,
                            Err(_) => return true,
                        }
                    }
                },
            };
            let Some(next) = next else { return false };
            self.since.get_or_insert_with(Instant::now);
            self.bytes += next.draft.size();
            self.records.push(next);
        }
    }
}

/// Numbers and encodes a batch; answers those it concerns if that cannot be.
async fn prepare(
    shared: &Shared,
    partition: &TopicPartition,
    sequence: &mut Sequence,
    mut records: Vec<Pending>,
) -> Option<Ready> {
    let identity = if shared.options.idempotent && !records.is_empty() {
        match identify(shared, partition, sequence, &records).await {
            Ok(identity) => Some(identity),
            Err(error) => {
                answer(records.into_iter().map(|record| record.reply).collect(), Err(error));
                return None;
            }
        }
    } else {
        None
    };
    let now = Instant::now();
    for late in records.extract_if(.., |record| record.deadline <= now) {
        // A caller that has gone away needs no answer.
        let _ = late.reply.send(Err(timed_out(partition, "others stood in its way")));
    }
    let deadline = records.iter().map(|record| record.deadline).min()?;
    let (drafts, replies): (Vec<Draft>, Vec<Reply>) =
        records.into_iter().map(|record| (record.draft, record.reply)).unzip();
    let sequenced = identity.map_or(Sequenced::NONE, |identity| Sequenced {
        producer_id: identity.id,
        producer_epoch: identity.epoch,
        base_sequence: sequence.next,
        transactional: shared.session.is_some(),
    });
    match batch::encode(&drafts, sequenced) {
        Ok(bytes) => {
            // Sequences wrap to 0 behind the largest i32. A batch holds few records, so the sum fits.
            let next = i64::from(sequence.next) + drafts.len() as i64;
            sequence.next = i32::try_from(next & i64::from(i32::MAX)).unwrap_or(0);
            debug_assert!(bytes.len() > HEADER_BYTES, "a batch has records");
            Some(Ready { bytes, replies, deadline })
        }
        Err(error) => {
            answer(replies, Err(ProduceError::Refused(error)));
            None
        }
    }
}

/// The identity to send under; a new one after a failure. Tries until the last record's time is out.
async fn identify(
    shared: &Shared,
    partition: &TopicPartition,
    sequence: &mut Sequence,
    records: &[Pending],
) -> Result<Identity, ProduceError> {
    if let Some(identity) = sequence.identity.filter(|_| !sequence.broken) {
        return Ok(identity);
    }
    let deadline = records.iter().map(|record| record.deadline).max().unwrap_or_else(Instant::now);
    let mut backoff = shared.client.backoff(&format!("identity {partition}"));
    loop {
        let error: ClientError = match shared.identities.get(&shared.client, sequence.identity).await {
            Ok(identity) => {
                *sequence = Sequence { identity: Some(identity), ..Sequence::default() };
                return Ok(identity);
            }
            Err(error) => error,
        };
        let delay = backoff.next_delay();
        if !error.is_retryable() || Instant::now() + delay >= deadline {
            return Err(ProduceError::Refused(error));
        }
        sleep(delay).await;
    }
}

/// Tells every record of a batch what became of it. A caller that has gone away needs no answer.
fn answer(replies: Vec<Reply>, result: Result<i64, ProduceError>) {
    for (index, reply) in (0..).zip(replies) {
        let offset = |base: i64| if base < 0 { base } else { base + index };
        let _ = reply.send(result.clone().map(offset));
    }
}
