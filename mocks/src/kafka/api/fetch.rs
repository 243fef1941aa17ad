//! Fetch (1): record batches from an offset on, or a wait for them.
//!
//! Behaviour: waits until `min_bytes` are there, `max_wait` is over, or something else is to be told: an error, a
//! divergence (KIP-595), a nearer replica (KIP-392). The first partition with records gives at least one batch,
//! whatever the limits. Sessions are in `fetch_session.rs`, what a partition gives in `fetch_read.rs`. Since
//! version 11 followers are read from too; NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH tell who leads since 16.
//! Versions: 4-18.
//! Not supported: throttling. A client that poses as a follower reads to the end
//! of the log, but its place is not taken for that of the replica.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use uuid::Uuid;

use super::fetch_read::Reader;
use super::fetch_response::{Endpoint, Head, PartitionAnswer, encode};
use super::fetch_session::{Asked, Context, Sessions, Wanted};
use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, Ticket, Timer};
use crate::kafka::image::Image;
use crate::kafka::wire::millis;

/// Most bytes of an answer (`fetch.max.bytes`).
const MAX_BYTES: i32 = 55 * 1024 * 1024;

/// A fetch that waits.
#[derive(Debug)]
pub(crate) struct ParkedFetch {
    ticket: Ticket,
    reader: Reader,
    min_bytes: usize,
    /// None if it is negative.
    max_bytes: Option<usize>,
    context: Context,
    wanted: Vec<Wanted>,
    /// Those of the partitions that no log of this node can be asked for: which, and the error.
    hopeless: Vec<(usize, i16)>,
    /// What there is to read of each partition, as far as it was counted.
    counted: Vec<Counted>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    key: Option<(Uuid, i32)>,
    bytes: usize,
    to: i64,
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
    let wait = millis(request.max_wait_ms);
    let parked = match begin(cluster, call, request) {
        Ok(parked) => parked,
        Err(error) => return Answer::Now(FetchResponse::default().with_error_code(error.code())),
    };
    let answers = parked.read(cluster);
    let full = cluster.parked() >= cluster.options.max_parked;
    if wait.is_zero() || full || parked.is_enough(&answers) {
        parked.answer(cluster, answers);
    } else {
        cluster.park_fetch(parked, wait);
    }
    Answer::Later
}

pub(super) fn outcome(answer: &FetchResponse) -> i16 {
    answer.error_code
}

fn begin(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: FetchRequest,
) -> Result<ParkedFetch, ResponseError> {
    let image = cluster.image_of(call.node);
    let by_id = call.version() >= 13;
    let replica =
        if call.version() >= 15 { request.replica_state.replica_id.0 } else { request.replica_id.0 };
    let most = request.max_bytes.min(MAX_BYTES);
    let reader = Reader {
        node: call.node,
        replica,
        read_committed: request.isolation_level == 1,
        anywhere: call.version() >= 11,
        rack: request.rack_id.clone(),
        faults: call.faults.clone(),
    };
    let min_bytes = size(request.min_bytes.min(most)).unwrap_or(0);
    let name = |id: Uuid| image.ids.get(&id).map(|name| Arc::from(name.as_str()));
    let asked = asked(request, by_id, replica >= 0, &name);
    let (context, wanted) = if asked.epoch == -1 && asked.session == 0 {
        (Context::None, asked.wanted)
    } else {
        let slots = cluster.options.fetch_session_slots;
        let sessions = cluster.sessions.entry(call.node).or_insert_with(|| Sessions::new(slots));
        sessions.begin(asked, cluster.now, name)?
    };
    let hopeless =
        (0..).zip(&wanted).filter_map(|(at, wanted)| Some((at, hopeless(&image, wanted)?))).collect();
    let (counted, bytes) = (Vec::new(), 0);
    let ticket = call.ticket;
    Ok(ParkedFetch {
        ticket,
        reader,
        min_bytes,
        max_bytes: size(most),
        context,
        wanted,
        hopeless,
        counted,
        bytes,
    })
}

fn size(bytes: i32) -> Option<usize> {
    usize::try_from(bytes).ok()
}

/// The error of a partition that this node knows nothing of. It is told with the others, and wakes nobody.
fn hopeless(image: &Image, wanted: &Wanted) -> Option<i16> {
    match &wanted.name {
        None => Some(ResponseError::UnknownTopicId.code()),
        Some(name) if image.partition(name, wanted.number).is_none() => {
            Some(ResponseError::UnknownTopicOrPartition.code())
        }
        Some(_) => None,
    }
}

fn asked(
    request: FetchRequest,
    by_id: bool,
    by_follower: bool,
    name_of: &impl Fn(Uuid) -> Option<Arc<str>>,
) -> Asked {
    let (mut wanted, mut forgotten) = (Vec::new(), Vec::new());
    for topic in request.topics {
        let name = if by_id { name_of(topic.topic_id) } else { Some(Arc::from(&**topic.topic)) };
        wanted.extend(topic.partitions.into_iter().map(|partition| Wanted {
            name: name.clone(),
            id: topic.topic_id,
            number: partition.partition,
            leader_epoch: partition.current_leader_epoch,
            offset: partition.fetch_offset,
            last_epoch: partition.last_fetched_epoch,
            max_bytes: size(partition.partition_max_bytes),
        }));
    }
    let wanted = once(wanted);
    for topic in request.forgotten_topics_data {
        let name: Option<Arc<str>> = (!by_id).then(|| Arc::from(&**topic.topic));
        forgotten.extend(topic.partitions.into_iter().map(|number| Wanted {
            name: name.clone(),
            id: topic.topic_id,
            number,
            leader_epoch: -1,
            offset: 0,
            last_epoch: -1,
            max_bytes: Some(0),
        }));
    }
    let (session, epoch) = (request.session_id, request.session_epoch);
    Asked { session, epoch, by_follower, by_id, wanted, forgotten }
}

/// A partition that is named again has the place of the first and the wishes of the last.
fn once(wanted: Vec<Wanted>) -> Vec<Wanted> {
    if wanted.len() < 2 {
        return wanted;
    }
    let mut each = IndexMap::with_capacity(wanted.len());
    for one in wanted {
        each.insert((one.name.clone(), one.id, one.number), one);
    }
    each.into_values().collect()
}

impl ParkedFetch {
    /// Reads every partition there is hope for, in their order.
    fn read(&self, cluster: &Cluster) -> Vec<PartitionAnswer> {
        let mut left = self.max_bytes;
        let mut nothing_yet = true;
        let mut hopeless = self.hopeless.iter().peekable();
        let mut answers = Vec::with_capacity(self.wanted.len());
        for (at, wanted) in self.wanted.iter().enumerate() {
            if hopeless.next_if(|(hopeless, _)| *hopeless == at).is_some() {
                continue;
            }
            let answer = self.reader.read(cluster, (at, wanted), left, nothing_yet);
            let size = answer.data.size();
            left = Some(left.unwrap_or(0).saturating_sub(size));
            nothing_yet &= size == 0;
            answers.push(answer);
        }
        answers
    }

    /// Whether a read is reason to answer.
    fn is_enough(&self, answers: &[PartitionAnswer]) -> bool {
        let special = |answer: &PartitionAnswer| {
            answer.error != 0 || answer.data.diverging.is_some() || answer.data.preferred.is_some()
        };
        let bytes: usize = answers.iter().map(|answer| answer.data.size()).sum();
        answers.is_empty() || bytes >= self.min_bytes || answers.iter().any(special)
    }

    /// Looks at one partition again: whether the fetch now has reason to be answered.
    fn recheck(&mut self, cluster: &Cluster, at: usize) -> bool {
        let (Some(wanted), Some(counted)) = (self.wanted.get(at), self.counted.get_mut(at)) else {
            return false;
        };
        if counted.key.is_none() {
            return false;
        }
        let Ok(sight) = self.reader.look(cluster, wanted) else { return true };
        // What is read from an older segment does not become more.
        let is_older = sight.log.segment_end(wanted.offset) < sight.until;
        if sight.is_special() || wanted.offset > sight.until || is_older {
            return true;
        }
        let most = wanted.max_bytes.unwrap_or(0);
        let more = sight.log.bytes_between(counted.to, sight.until, most);
        let bytes = (counted.bytes + more).min(most);
        self.bytes += bytes - counted.bytes;
        (counted.bytes, counted.to) = (bytes, sight.until);
        self.bytes >= self.min_bytes
    }

    fn answer(self, cluster: &mut Cluster, mut answers: Vec<PartitionAnswer>) {
        for (at, code) in &self.hopeless {
            if let Some(wanted) = self.wanted.get(*at) {
                let mut answer = PartitionAnswer::error(*at, wanted, *code);
                answer.data.aborted = Some(Vec::new());
                answers.push(answer);
            }
        }
        let (now, slots) = (cluster.now, cluster.options.fetch_session_slots);
        let (session, ended) = match self.context {
            Context::None => (0, Ok(())),
            context => {
                let sessions =
                    cluster.sessions.entry(self.reader.node).or_insert_with(|| Sessions::new(slots));
                sessions.end(context, &self.wanted, &mut answers, now, &mut cluster.random)
            }
        };
        let error = ended.err().map_or(0, |error| error.code());
        if error != 0 {
            answers.clear();
        }
        let endpoints = self.hint(cluster, &mut answers);
        let first = first_error(std::iter::once(error).chain(answers.iter().map(|answer| answer.error)));
        cluster.sight_request(self.ticket, first);
        cluster.finish(self.ticket, encode(self.ticket, &Head { error, session }, answers, &endpoints));
    }

    /// Tells the leaders with the errors that say the client's are old, and where these leaders are.
    fn hint(&self, cluster: &Cluster, answers: &mut [PartitionAnswer]) -> Vec<Endpoint> {
        let stale = [ResponseError::NotLeaderOrFollower.code(), ResponseError::FencedLeaderEpoch.code()];
        let mut endpoints: Vec<Endpoint> = Vec::new();
        if self.ticket.version < 16 || answers.iter().all(|answer| answer.error == 0) {
            return endpoints;
        }
        let image = cluster.image_of(self.reader.node);
        for answer in answers.iter_mut().filter(|answer| stale.contains(&answer.error)) {
            let known = answer.name.as_ref().and_then(|name| image.partition(name, answer.number));
            let leader = known.and_then(|known| known.leader).unwrap_or(-1);
            answer.leader = Some((leader, known.map_or(-1, |known| known.epoch)));
            let listed = endpoints.iter().any(|endpoint| endpoint.node == leader);
            if let Some((broker, rack)) = cluster.endpoint(&image, leader).filter(|_| !listed) {
                let (host, rack) = (broker.host.clone(), rack.map(str::to_owned));
                endpoints.push(Endpoint { node: leader, host, port: broker.port, rack });
            }
        }
        endpoints
    }
}

impl Cluster {
    fn park_fetch(&mut self, mut fetch: ParkedFetch, wait: Duration) {
        let conn = fetch.ticket.conn;
        for (at, wanted) in fetch.wanted.iter().enumerate() {
            let id =
                wanted.name.as_ref().and_then(|name| self.truth.topics.get(&**name)).map(|topic| topic.id);
            let is_hopeless = fetch.hopeless.binary_search_by_key(&at, |(hopeless, _)| *hopeless).is_ok();
            let key = id.filter(|_| !is_hopeless).map(|id| (id, wanted.number));
            fetch.counted.push(Counted { key, bytes: 0, to: wanted.offset });
            if let Some(key) = key {
                self.watchers.entry(key).or_default().insert((conn, at));
            }
        }
        self.timers.set(Timer::Fetch(conn), self.now.saturating_add(wait));
        self.fetches.insert(conn, fetch);
        self.recheck_fetch(conn);
    }

    /// Records were appended or the high watermark moved: fetches that now have enough are answered.
    pub fn wake_fetches(&mut self, topic: Uuid, partition: i32) {
        let Some(waiting) = self.watchers.get(&(topic, partition)).cloned() else { return };
        for (conn, at) in waiting {
            let Some(mut fetch) = self.fetches.remove(&conn) else { continue };
            let ready = fetch.recheck(self, at);
            self.fetches.insert(conn, fetch);
            if ready {
                self.finish_fetch(conn);
            }
        }
    }

    /// Leaders or topics changed: every fetch is looked at again.
    pub fn recheck_fetches(&mut self) {
        let all: Vec<u64> = self.fetches.keys().copied().collect();
        for conn in all {
            self.recheck_fetch(conn);
        }
    }

    fn recheck_fetch(&mut self, conn: u64) {
        let Some(mut fetch) = self.fetches.remove(&conn) else { return };
        let ready = (0..fetch.wanted.len()).any(|at| fetch.recheck(self, at));
        self.fetches.insert(conn, fetch);
        if ready {
            self.finish_fetch(conn);
        }
    }

    /// Answers a fetch with what there is.
    pub fn finish_fetch(&mut self, conn: u64) {
        if let Some(fetch) = self.forget_fetch(conn) {
            let answers = fetch.read(self);
            fetch.answer(self, answers);
        }
    }

    /// Takes a fetch out of everything it waits for.
    pub fn forget_fetch(&mut self, conn: u64) -> Option<ParkedFetch> {
        let fetch = self.fetches.remove(&conn)?;
        self.timers.cancel(&Timer::Fetch(conn));
        for (at, counted) in fetch.counted.iter().enumerate() {
            let Some(key) = counted.key else { continue };
            if let Some(watchers) = self.watchers.get_mut(&key) {
                watchers.remove(&(conn, at));
                if watchers.is_empty() {
                    self.watchers.remove(&key);
                }
            }
        }
        Some(fetch)
    }
}
