//! Fetch (1): record batches from an offset on, or a wait for them.
//!
//! Behaviour: waits until `min_bytes` are there, `max_wait` is over, or a partition has an error. The first
//! partition with records gives at least one batch, whatever the limits. Leader epochs are checked
//! (FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH), offsets too (OFFSET_OUT_OF_RANGE), and a client whose last
//! epoch diverges is told where (KIP-595). No fetch session is ever opened: the answer's session id is 0, as a
//! broker answers whose session cache is full, and the client goes on naming every partition. Readers of
//! committed records see up to the last stable offset, and are told which transactions were aborted in what
//! they get.
//! Versions: 4-18.
//! Not supported: sessions, followers as clients, nearest-replica reads.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use uuid::Uuid;

use super::fetch_response::{Data, Diverging, PartitionAnswer, TopicAnswer, encode};
use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, Faults, Ticket, Timer};
use crate::kafka::wire::millis;

/// A fetch that waits.
#[derive(Debug)]
pub(crate) struct ParkedFetch {
    ticket: Ticket,
    node: i32,
    wanted: Wanted,
    faults: Faults,
}

#[derive(Debug)]
struct Wanted {
    read_committed: bool,
    min_bytes: usize,
    max_bytes: usize,
    topics: Vec<WantedTopic>,
}

#[derive(Debug)]
struct WantedTopic {
    /// None if the id is not known here.
    name: Option<String>,
    told_name: String,
    told_id: Uuid,
    partitions: Vec<WantedPartition>,
}

#[derive(Debug)]
struct WantedPartition {
    number: i32,
    leader_epoch: i32,
    offset: i64,
    last_epoch: i32,
    max_bytes: usize,
}

pub(super) fn describe(request: &FetchRequest, cluster: &Cluster, node: i32) -> Described {
    let mut targets = Vec::new();
    for topic in &request.topics {
        let name = match topic.topic_id.is_nil() {
            true => topic.topic.to_string(),
            false => cluster.topic_name(node, topic.topic_id).unwrap_or_default(),
        };
        targets.extend(topic.partitions.iter().map(|partition| (name.clone(), partition.partition)));
    }
    Described::partitions(targets)
}

pub(super) fn handle(cluster: &mut Cluster, call: &Call<'_>, request: FetchRequest) -> Answer<FetchResponse> {
    if request.session_id != 0 {
        // No session was ever given out.
        let code = ResponseError::FetchSessionIdNotFound.code();
        return Answer::Now(FetchResponse::default().with_error_code(code));
    }
    let wait = millis(request.max_wait_ms);
    let parked = ParkedFetch {
        ticket: call.ticket,
        node: call.node,
        wanted: wanted(cluster, call, request),
        faults: call.faults.clone(),
    };
    if wait.is_zero() || parked.is_ready(cluster) || cluster.parked() >= cluster.options.max_parked {
        parked.answer(cluster);
    } else {
        cluster.park_fetch(parked, wait);
    }
    Answer::Later
}

pub(super) fn outcome(answer: &FetchResponse) -> i16 {
    answer.error_code
}

fn wanted(cluster: &Cluster, call: &Call<'_>, request: FetchRequest) -> Wanted {
    let size = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
    let topic = |topic: kafka_protocol::messages::fetch_request::FetchTopic| WantedTopic {
        name: match call.version() {
            ..13 => Some(topic.topic.to_string()),
            _ => cluster.topic_name(call.node, topic.topic_id),
        },
        told_name: topic.topic.to_string(),
        told_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| WantedPartition {
                number: partition.partition,
                leader_epoch: partition.current_leader_epoch,
                offset: partition.fetch_offset,
                last_epoch: partition.last_fetched_epoch,
                max_bytes: size(partition.partition_max_bytes),
            })
            .collect(),
    };
    Wanted {
        read_committed: request.isolation_level == 1,
        min_bytes: size(request.min_bytes),
        max_bytes: size(request.max_bytes),
        topics: request.topics.into_iter().map(topic).collect(),
    }
}

/// Where a fetch stands in a log.
struct Position {
    id: Uuid,
    /// Where this reader's view ends: the high watermark or the last stable offset.
    until: i64,
    diverging: Option<Diverging>,
}

impl ParkedFetch {
    /// Whether there is reason to answer: enough bytes, an error, or a divergence.
    fn is_ready(&self, cluster: &Cluster) -> bool {
        let mut left = self.wanted.min_bytes;
        if left == 0 {
            return true;
        }
        for topic in &self.wanted.topics {
            for partition in &topic.partitions {
                let Ok(position) = self.position(cluster, topic, partition) else { return true };
                let Some(log) = cluster.logs.get(&(position.id, partition.number)) else { return true };
                let limit = left.min(partition.max_bytes.max(1));
                let bytes = log.bytes_between(partition.offset, position.until, limit).min(limit);
                left = left.saturating_sub(bytes);
                if left == 0 || position.diverging.is_some() {
                    return true;
                }
            }
        }
        false
    }

    fn position(
        &self,
        cluster: &Cluster,
        topic: &WantedTopic,
        partition: &WantedPartition,
    ) -> Result<Position, i16> {
        let name = topic.name.as_ref().ok_or(ResponseError::UnknownTopicId.code())?;
        if let Some(code) = self.faults.either(name, Some(partition.number)) {
            return Err(code);
        }
        let led = cluster.led_at(self.node, name, partition.number, partition.leader_epoch);
        let (id, led) = led.map_err(|error| error.code())?;
        if !topic.told_id.is_nil() && topic.told_id != id {
            // Deleted and made again while the fetch waited.
            return Err(ResponseError::UnknownTopicId.code());
        }
        let log = cluster.logs.get(&(id, partition.number));
        let log = log.ok_or(ResponseError::KafkaStorageError.code())?;
        let mut diverging = None;
        if partition.last_epoch >= 0 {
            // An epoch the leader does not know leaves nothing to compare with.
            let known = log.end_of_epoch(partition.last_epoch, led.epoch);
            let (epoch, end_offset) = known.ok_or(ResponseError::OffsetOutOfRange.code())?;
            diverging = (epoch < partition.last_epoch || end_offset < partition.offset)
                .then_some(Diverging { epoch, end_offset });
        }
        if diverging.is_none() && !(log.start()..=log.high_watermark()).contains(&partition.offset) {
            return Err(ResponseError::OffsetOutOfRange.code());
        }
        let until = if self.wanted.read_committed { log.last_stable() } else { log.high_watermark() };
        Ok(Position { id, until, diverging })
    }

    fn answer(&self, cluster: &mut Cluster) {
        let mut left = self.wanted.max_bytes;
        let mut nothing_yet = true;
        let mut topics = Vec::new();
        for topic in &self.wanted.topics {
            let mut partitions = Vec::new();
            for partition in &topic.partitions {
                let answer = self.answer_partition(cluster, topic, partition, left, nothing_yet);
                let size: usize = answer.data.chunks.iter().map(Bytes::len).sum();
                left = left.saturating_sub(size);
                nothing_yet &= size == 0;
                partitions.push(answer);
            }
            topics.push(TopicAnswer { name: topic.told_name.clone(), id: topic.told_id, partitions });
        }
        let code = first_error(topics.iter().flat_map(|topic| &topic.partitions).map(|p| p.error));
        cluster.sight_request(self.ticket, code);
        cluster.finish(self.ticket, encode(self.ticket, topics));
    }

    fn answer_partition(
        &self,
        cluster: &Cluster,
        topic: &WantedTopic,
        partition: &WantedPartition,
        left: usize,
        at_least_one: bool,
    ) -> PartitionAnswer {
        let number = partition.number;
        let position = match self.position(cluster, topic, partition) {
            Ok(position) => position,
            Err(code) => {
                let leader = self.leader_hint(cluster, topic, number, code);
                return PartitionAnswer { leader, ..PartitionAnswer::error(number, code) };
            }
        };
        let Some(log) = cluster.logs.get(&(position.id, number)) else {
            return PartitionAnswer::error(number, ResponseError::KafkaStorageError.code());
        };
        let (mut chunks, mut aborted) = (VecDeque::new(), self.wanted.read_committed.then(Vec::new));
        if position.diverging.is_none() {
            let limit = left.min(partition.max_bytes);
            log.read(partition.offset, position.until, limit, at_least_one, &mut chunks);
            if let Some(aborted) = &mut aborted {
                *aborted = log.aborted_within(partition.offset, &chunks);
            }
        }
        let data = Data {
            chunks,
            high_watermark: log.high_watermark(),
            last_stable: log.last_stable(),
            log_start: log.start(),
            aborted,
            diverging: position.diverging,
        };
        PartitionAnswer { number, error: 0, leader: None, data }
    }

    /// Leader and epoch, told with the errors that say the client's are old.
    fn leader_hint(
        &self,
        cluster: &Cluster,
        topic: &WantedTopic,
        number: i32,
        code: i16,
    ) -> Option<(i32, i32)> {
        let stale = [ResponseError::NotLeaderOrFollower.code(), ResponseError::FencedLeaderEpoch.code()];
        let image = cluster.image_of(self.node);
        let known = image.partition(topic.name.as_ref()?, number).filter(|_| stale.contains(&code))?;
        Some((known.leader?, known.epoch))
    }
}

impl Cluster {
    fn park_fetch(&mut self, fetch: ParkedFetch, wait: Duration) {
        let conn = fetch.ticket.conn;
        for key in self.watched(&fetch) {
            self.watchers.entry(key).or_default().insert(conn);
        }
        self.timers.set(Timer::Fetch(conn), self.now.saturating_add(wait));
        self.fetches.insert(conn, fetch);
    }

    /// Records were appended: fetches that now have enough are answered.
    pub fn wake_fetches(&mut self, topic: Uuid, partition: i32) {
        let waiting = self.watchers.get(&(topic, partition)).cloned().unwrap_or_default();
        self.check_fetches(waiting);
    }

    /// Leaders or topics changed: every fetch is looked at again.
    pub fn recheck_fetches(&mut self) {
        let all: Vec<u64> = self.fetches.keys().copied().collect();
        self.check_fetches(all);
    }

    fn check_fetches(&mut self, conns: impl IntoIterator<Item = u64>) {
        for conn in conns {
            if self.fetches.get(&conn).is_some_and(|fetch| fetch.is_ready(self)) {
                self.finish_fetch(conn);
            }
        }
    }

    /// Answers a fetch with what there is.
    pub fn finish_fetch(&mut self, conn: u64) {
        if let Some(fetch) = self.forget_fetch(conn) {
            fetch.answer(self);
        }
    }

    /// Takes a fetch out of everything it waits for.
    pub fn forget_fetch(&mut self, conn: u64) -> Option<ParkedFetch> {
        let fetch = self.fetches.remove(&conn)?;
        self.timers.cancel(&Timer::Fetch(conn));
        for key in self.watched(&fetch) {
            if let Some(watchers) = self.watchers.get_mut(&key) {
                watchers.remove(&conn);
                if watchers.is_empty() {
                    self.watchers.remove(&key);
                }
            }
        }
        Some(fetch)
    }

    /// Logs a fetch waits for. A topic that was deleted and made again has another id and is not among them,
    /// but then the change itself woke the fetch.
    fn watched(&self, fetch: &ParkedFetch) -> Vec<(Uuid, i32)> {
        let mut keys = Vec::new();
        for topic in &fetch.wanted.topics {
            let id = topic.name.as_ref().and_then(|name| self.truth.topics.get(name)).map(|topic| topic.id);
            let Some(id) = id else { continue };
            keys.extend(topic.partitions.iter().map(|partition| (id, partition.number)));
        }
        keys
    }
}
