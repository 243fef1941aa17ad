//! Reading one partition for Fetch: who may read, from where to where, and what it gets.
//!
//! As Kafka's `ReplicaManager.readFromLog` and `Partition.readRecords`. A consumer sees nothing behind the high
//! watermark; from a follower, nothing that follower does not have. An offset between the high watermark and the
//! end of the log is no error: there is nothing to read there yet. A read ends with its segment.

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::fetch_response::{Data, Diverging, PartitionAnswer};
use super::fetch_session::Wanted;
use crate::kafka::cluster::{Cluster, Faults};
use crate::kafka::log::{Log, Portion};

/// Who reads, and how.
#[derive(Debug)]
pub(super) struct Reader {
    pub node: i32,
    /// The follower that reads, negative for consumers.
    pub replica: i32,
    pub read_committed: bool,
    /// Whether followers may be read from: since version 11.
    pub anywhere: bool,
    pub rack: StrBytes,
    pub faults: Faults,
}

/// What a reader sees of a log.
pub(super) struct Sight<'a> {
    pub log: &'a Log,
    /// Where what it may read ends.
    pub until: i64,
    high_watermark: i64,
    diverging: Option<Diverging>,
    /// The replica a consumer should rather read from.
    preferred: Option<i32>,
}

impl Sight<'_> {
    /// Whether there is something to tell besides records.
    pub fn is_special(&self) -> bool {
        self.diverging.is_some() || self.preferred.is_some()
    }
}

impl Reader {
    /// Reads a partition: at most `left` bytes and its own limit, but at least one batch if `at_least_one`.
    /// A limit that is none is negative.
    pub fn read(
        &self,
        cluster: &Cluster,
        (asked, wanted): (usize, &Wanted),
        left: Option<usize>,
        at_least_one: bool,
    ) -> PartitionAnswer {
        let sight = match self.look(cluster, wanted) {
            Ok(sight) => sight,
            Err(code) => return PartitionAnswer::error(asked, wanted, code),
        };
        let (mut portion, mut aborted) = (Portion::default(), self.read_committed.then(Vec::new));
        if !sight.is_special() && wanted.offset < sight.until {
            let Some(limit) = left.zip(wanted.max_bytes).map(|(left, own)| left.min(own)) else {
                return PartitionAnswer::error(asked, wanted, ResponseError::UnknownServerError.code());
            };
            let until = sight.until.min(sight.log.segment_end(wanted.offset));
            portion = sight.log.read(wanted.offset, until, limit, at_least_one);
            if let (Some(aborted), Some(next)) = (&mut aborted, portion.next) {
                *aborted = sight.log.producers.aborted(wanted.offset, next);
            }
            add_part(sight.log, until, limit, &mut portion);
        }
        let data = Data {
            chunks: portion.chunks,
            high_watermark: sight.high_watermark,
            last_stable: sight.log.last_stable().min(sight.high_watermark),
            log_start: sight.log.start(),
            aborted,
            diverging: sight.diverging,
            preferred: sight.preferred,
        };
        PartitionAnswer { error: 0, data, ..PartitionAnswer::error(asked, wanted, 0) }
    }

    /// What this reader sees of a partition, or the error it gets.
    pub fn look<'a>(&self, cluster: &'a Cluster, wanted: &Wanted) -> Result<Sight<'a>, i16> {
        let name = wanted.name.as_deref().ok_or(ResponseError::UnknownTopicId.code())?;
        if let Some(code) = self.faults.either(name, Some(wanted.number)) {
            return Err(code);
        }
        self.see(cluster, name, wanted).map_err(|error| error.code())
    }

    fn see<'a>(&self, cluster: &'a Cluster, name: &str, wanted: &Wanted) -> Result<Sight<'a>, ResponseError> {
        let (id, role) = match cluster.role_at(self.node, name, wanted.number, wanted.leader_epoch) {
            Err(ResponseError::FencedLeaderEpoch | ResponseError::UnknownLeaderEpoch)
                if self.is_of_another_topic(cluster, name, wanted) =>
            {
                return Err(ResponseError::InconsistentTopicId);
            }
            found => found?,
        };
        if !wanted.id.is_nil() && wanted.id != id {
            return Err(ResponseError::InconsistentTopicId);
        }
        let is_follower = self.replica >= 0;
        if !role.leads && (is_follower || !self.anywhere) {
            return Err(ResponseError::NotLeaderOrFollower);
        }
        let key = (id, wanted.number);
        let log = cluster.logs.get(&key).ok_or(ResponseError::KafkaStorageError)?;
        let replicas = cluster.replicas.get(&key).ok_or(ResponseError::KafkaStorageError)?;
        let end = if role.leads { log.end() } else { replicas.end_of(self.node).min(log.end()) };
        let high_watermark = log.high_watermark().min(end);
        let until = match is_follower {
            true => end,
            false if self.read_committed => log.last_stable().min(high_watermark),
            false => high_watermark,
        };
        let mut sight = Sight { log, until, high_watermark, diverging: None, preferred: None };
        if role.leads && !is_follower && self.anywhere {
            sight.preferred = self.nearest(cluster, name, wanted);
            if sight.preferred.is_some() {
                return Ok(sight);
            }
        }
        if is_follower
            && !cluster
                .truth
                .partition(name, wanted.number)
                .is_some_and(|p| p.replicas.contains(&self.replica))
        {
            let told_epoch = wanted.leader_epoch >= 0;
            return Err(match told_epoch {
                true => ResponseError::UnknownLeaderEpoch,
                false => ResponseError::NotLeaderOrFollower,
            });
        }
        if wanted.last_epoch >= 0 {
            sight.diverging = diverging(log, wanted, role.epoch, end)?;
        }
        if sight.diverging.is_none() && !(log.start()..=end).contains(&wanted.offset) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        Ok(sight)
    }

    /// Whether the topic was deleted and made again since its id was told.
    fn is_of_another_topic(&self, cluster: &Cluster, name: &str, wanted: &Wanted) -> bool {
        let image = cluster.image_of(self.node);
        !wanted.id.is_nil() && image.topics.get(name).is_some_and(|topic| topic.id != wanted.id)
    }

    /// The replica in the reader's rack, as `RackAwareReplicaSelector` chooses: of those in sync that have the
    /// offset the one that has most; none if the leader is as near or nobody is.
    fn nearest(&self, cluster: &Cluster, name: &str, wanted: &Wanted) -> Option<i32> {
        if self.rack.is_empty() || cluster.rack_of(self.node) == Some(&self.rack) {
            return None;
        }
        let (_, partition) =
            cluster.truth.topics.get(name).zip(cluster.truth.partition(name, wanted.number))?;
        let replicas = cluster.replicas.get(&(cluster.truth.topics.get(name)?.id, wanted.number))?;
        let near = |node: &&i32| {
            cluster.rack_of(**node) == Some(&self.rack)
                && !cluster.truth.fenced.contains(node)
                && replicas.end_of(**node) >= wanted.offset
        };
        let lag = |node: i32| {
            replicas
                .behind_since(node)
                .map_or(std::time::Duration::ZERO, |since| cluster.now.saturating_sub(since))
        };
        let worth = |node: &i32| (replicas.end_of(*node), std::cmp::Reverse(lag(*node)), *node);
        partition.isr.iter().filter(near).copied().max_by_key(worth)
    }
}

/// Fills up to `limit` with the beginning of the next batch: a broker sends bytes up to the limit, not batches, and
/// clients drop what is not whole.
fn add_part(log: &Log, until: i64, limit: usize, portion: &mut Portion) {
    let Some(next) = portion.next.filter(|next| portion.size < limit && *next < until) else { return };
    for mut chunk in log.read(next, until, 0, true).chunks {
        chunk.truncate(limit - portion.size);
        portion.size += chunk.len();
        if !chunk.is_empty() {
            portion.chunks.push_back(chunk);
        }
    }
}

/// Where the client's log and this one part, if they do. An epoch the leader does not know leaves nothing to
/// compare with.
fn diverging(log: &Log, wanted: &Wanted, epoch: i32, end: i64) -> Result<Option<Diverging>, ResponseError> {
    let known = log.end_of_epoch(wanted.last_epoch, epoch);
    let (epoch, end_offset) = known.ok_or(ResponseError::OffsetOutOfRange)?;
    if wanted.offset < log.start() {
        return Err(ResponseError::OffsetOutOfRange);
    }
    let end_offset = end_offset.min(end);
    let parts = epoch < wanted.last_epoch || end_offset < wanted.offset;
    Ok(parts.then_some(Diverging { epoch, end_offset }))
}
