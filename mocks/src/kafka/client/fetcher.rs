//! Fetches assigned partitions in the background and holds their records until they are taken.
//!
//! Invariants: records of a partition are taken in offset order, none twice, none left out, until the
//! assignment changes; an answer to a request that was sent under an earlier assignment is thrown away; what
//! is held per partition stays below twice the fetch size, one oversized batch aside.
//!
//! Per broker one request is under way. Offsets that the broker no longer has are reset as configured, and the
//! consumer is told of the gap.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_protocol::error::ResponseError;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::KafkaClient;
use super::admin::OffsetSpec;
use super::batch::Decoded;
use super::error::ClientError;
use super::fetch::FetchOptions;
use super::types::{Gap, Record, TopicPartition};

mod work;

/// Answers in a row that cannot be read before the consumer gives up.
const MALFORMED_MAX: u32 = 5;

/// Where to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At this offset.
    Offset(i64),
    /// At an offset that is still to be asked for.
    Ask(OffsetSpec),
}

/// Where a partition's reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) position: Position,
    /// Epoch of the leader under which the position was committed, -1 if that is not known.
    pub(super) leader_epoch: i32,
}

/// What an answer brought for a partition.
#[derive(Debug)]
pub(super) enum Brought {
    Records(Decoded),
    /// The offset that was asked for.
    Offset(i64),
    /// The log is another than the one that was read, from this offset on.
    Diverged(i64),
}

/// Fetches until dropped.
pub(super) struct Fetcher {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    client: KafkaClient,
    options: FetchOptions,
    /// Where to read on when an offset is gone; none makes that an error.
    reset: Option<OffsetSpec>,
    state: Mutex<State>,
    /// Records or a failure are there to be taken.
    ready: Notify,
    /// The task has something new to look at.
    work: Notify,
}

#[derive(Default)]
struct State {
    cursors: BTreeMap<TopicPartition, Cursor>,
    /// Numbers the cursors, to tell a partition's assignments apart.
    next_id: u64,
    /// Whose records were taken last: partitions take turns.
    last: Option<TopicPartition>,
    gaps: VecDeque<(TopicPartition, Gap)>,
    failure: Option<ClientError>,
}

struct Cursor {
    id: u64,
    position: Position,
    held: VecDeque<Record>,
    held_bytes: usize,
    under_way: bool,
    not_before: Option<Instant>,
    malformed: u32,
    /// Epoch of the newest leader that is known, and of the newest the consumer was told of; -1 before one is.
    leader_epoch: i32,
    told_epoch: i32,
    /// Epoch of the last batch that was read, -1 if none was.
    last_epoch: i32,
    /// The offset that was gone, while its replacement is asked for.
    gone: Option<i64>,
}

impl Fetcher {
    pub(super) fn start(client: &KafkaClient, options: FetchOptions, reset: Option<OffsetSpec>) -> Self {
        let (state, ready, work) = Default::default();
        let shared = Arc::new(Shared { client: client.clone(), options, reset, state, ready, work });
        let task = tokio::spawn(work::run(Arc::clone(&shared))).abort_handle();
        Self { shared, task }
    }

    /// Replaces what is fetched. Records that are held are thrown away.
    pub(super) fn assign(&self, starts: BTreeMap<TopicPartition, Start>) {
        let mut state = self.shared.lock();
        state.cursors.clear();
        state.gaps.clear();
        for (partition, start) in starts {
            let id = state.next_id;
            state.next_id += 1;
            state.cursors.insert(partition, Cursor::new(id, start));
        }
        drop(state);
        self.shared.work.notify_one();
    }

    /// Takes up to `max` records of one partition; the partitions take turns.
    pub(super) fn take(&self, max: usize) -> Result<Option<(TopicPartition, Vec<Record>)>, ClientError> {
        let mut state = self.shared.lock();
        let last = state.last.clone();
        let behind = |partition: &&TopicPartition| last.as_ref().is_some_and(|last| *partition > last);
        let has = |(_, cursor): &(&TopicPartition, &Cursor)| !cursor.held.is_empty();
        let full: Vec<&TopicPartition> = state.cursors.iter().filter(has).map(|(p, _)| p).collect();
        let Some(partition) = full.iter().copied().find(behind).or(full.first().copied()).cloned() else {
            return state.failure.clone().map_or(Ok(None), Err);
        };
        let mut records = Vec::new();
        if let Some(cursor) = state.cursors.get_mut(&partition) {
            let count = cursor.held.len().min(max.max(1));
            records.extend(cursor.held.drain(..count));
            cursor.held_bytes -= records.iter().map(size).sum::<usize>();
        }
        state.last = Some(partition.clone());
        drop(state);
        self.shared.work.notify_one();
        Ok(Some((partition, records)))
    }

    /// The offset of the next record to be taken; none while it is still asked for.
    pub(super) fn position(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.shared.lock();
        let cursor = state.cursors.get(partition)?;
        match (cursor.held.front(), cursor.position) {
            (Some(record), _) => Some(record.offset),
            (None, Position::Offset(offset)) => Some(offset),
            (None, Position::Ask(_)) => None,
        }
    }

    /// The next gap, if there is one.
    pub(super) fn take_gap(&self) -> Option<(TopicPartition, Gap)> {
        let mut state = self.shared.lock();
        let (partition, gap) = state.gaps.pop_front()?;
        if let (Gap::NewLeader { epoch }, Some(cursor)) = (gap, state.cursors.get_mut(&partition)) {
            cursor.told_epoch = epoch;
        }
        Some((partition, gap))
    }

    /// Epoch of the newest leader the consumer knows to have been in charge of a partition; -1 if of none.
    pub(super) fn leader_epoch(&self, partition: &TopicPartition) -> i32 {
        self.shared.lock().cursors.get(partition).map_or(-1, |cursor| cursor.told_epoch)
    }

    /// Waits until there may be something to take.
    pub(super) async fn ready(&self) {
        self.shared.ready.notified().await;
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes in what a fetch brought for one cursor. `true` if the metadata looks wrong.
    fn settle(
        &mut self,
        (partition, id): (&TopicPartition, u64),
        outcome: Result<Brought, ClientError>,
        retry_at: Instant,
        reset: Option<OffsetSpec>,
    ) -> bool {
        let cursor = self.cursors.get_mut(partition).filter(|cursor| cursor.id == id);
        let Some(cursor) = cursor else { return false };
        cursor.under_way = false;
        let error = match outcome {
            Ok(brought) => {
                let gap = cursor.take_in(brought);
                self.gaps.extend(gap.map(|gap| (partition.clone(), gap)));
                return false;
            }
            Err(error) => error,
        };
        tracing::debug!(%partition, %error, "fetch failed");
        cursor.not_before = Some(retry_at);
        match (error.code(), reset) {
            (Some(ResponseError::OffsetOutOfRange), Some(spec)) => {
                if let Position::Offset(offset) = cursor.position {
                    cursor.gone = Some(offset);
                }
                cursor.position = Position::Ask(spec);
                return false;
            }
            _ if matches!(error, ClientError::Malformed { .. }) => {
                // Bits may have flipped on the way; bits that stay flipped are in the log.
                cursor.malformed += 1;
                if cursor.malformed < MALFORMED_MAX {
                    return false;
                }
            }
            _ if error.is_retryable() => return true,
            _ => {}
        }
        self.failure.get_or_insert(error);
        false
    }
}

impl Cursor {
    fn new(id: u64, start: Start) -> Self {
        let Start { position, leader_epoch } = start;
        let (held, held_bytes, under_way, not_before, malformed, gone) = Default::default();
        let (told_epoch, last_epoch) = (leader_epoch, -1);
        Self {
            id,
            position,
            held,
            held_bytes,
            under_way,
            not_before,
            malformed,
            leader_epoch,
            told_epoch,
            last_epoch,
            gone,
        }
    }

    /// Notes who leads the partition. The first leader is no news.
    fn led_by(&mut self, epoch: i32) -> Option<Gap> {
        let before = self.leader_epoch;
        self.leader_epoch = epoch.max(before);
        if before < 0 {
            self.told_epoch = epoch;
        }
        (0 <= before && before < epoch).then_some(Gap::NewLeader { epoch })
    }

    fn take_in(&mut self, brought: Brought) -> Option<Gap> {
        self.malformed = 0;
        self.not_before = None;
        let (from, to) = match brought {
            Brought::Records(decoded) => {
                self.held_bytes += decoded.records.iter().map(size).sum::<usize>();
                self.held.extend(decoded.records);
                self.last_epoch = decoded.last_epoch.unwrap_or(self.last_epoch);
                if let Some(next) = decoded.next_offset {
                    self.position = Position::Offset(next);
                }
                return None;
            }
            Brought::Offset(found) => (self.gone.take(), found),
            Brought::Diverged(end) => match self.position {
                Position::Offset(offset) => (Some(offset), end.min(offset)),
                Position::Ask(_) => (None, end),
            },
        };
        self.position = Position::Offset(to);
        // What came before is another log's, or a hole.
        self.last_epoch = -1;
        let from = from?;
        Some(if to < from { Gap::Truncated { from, to } } else { Gap::Deleted { from, to } })
    }
}

/// What a record weighs while it is held.
fn size(record: &Record) -> usize {
    let bytes = |value: &Option<bytes::Bytes>| value.as_ref().map_or(0, bytes::Bytes::len);
    let headers: usize = record.headers.iter().map(|(name, value)| 32 + name.len() + bytes(value)).sum();
    64 + bytes(&record.key) + bytes(&record.value) + headers
}
