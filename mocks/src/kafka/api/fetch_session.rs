//! Fetch sessions (KIP-227): a broker remembers what a client reads, so that requests name changes only.
//!
//! As Kafka's `FetchManager` and `FetchSessionCacheShard`: each node has eight shards that share its slots; a full
//! fetch opens a session in the next shard, or gets none if no other may be evicted: one not used for two minutes,
//! or one older than that and with fewer partitions. Sessions of followers are evicted by followers only. Times
//! are those of the cluster's clock. Nothing of a session outlives its node's process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::fetch_response::PartitionAnswer;

const SHARDS: usize = 8;
/// Session ids of a shard.
const IDS: i32 = i32::MAX / 8;
/// How long a session is safe from others that are worth more (`MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const SAFE: Duration = Duration::from_secs(120);
/// The epoch of a request that opens a session, and of one that wants none.
const INITIAL: i32 = 0;
const FINAL: i32 = -1;

/// A partition as a client asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// None if nobody here knows the id.
    pub name: Option<Arc<str>>,
    /// Nil in versions that name topics.
    pub id: Uuid,
    pub number: i32,
    pub leader_epoch: i32,
    pub offset: i64,
    pub last_epoch: i32,
    /// None if it is negative, upon which a broker fails to read.
    pub max_bytes: Option<usize>,
}

/// What a session knows a partition by: the id, or else the name.
type Key = (Uuid, Option<Arc<str>>, i32);

impl Wanted {
    fn key(&self) -> Key {
        (self.id, self.name.clone().filter(|_| self.id.is_nil()), self.number)
    }
}

/// What a request is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    /// There is none.
    None,
    /// One is opened with the answer.
    Full { by_follower: bool, by_id: bool },
    /// It continues one, whose epoch is now this.
    Incremental { session: i32, epoch: i32 },
}

/// A request as far as sessions go.
pub(crate) struct Asked {
    pub session: i32,
    pub epoch: i32,
    pub by_follower: bool,
    pub by_id: bool,
    pub wanted: Vec<Wanted>,
    pub forgotten: Vec<Wanted>,
}

/// The sessions of one node.
#[derive(Debug)]
pub(crate) struct Sessions {
    shards: [Shard; SHARDS],
    slots: usize,
    next: usize,
}

#[derive(Debug, Default)]
struct Shard {
    sessions: BTreeMap<i32, Session>,
    used: BTreeSet<(Duration, i32)>,
    /// Sessions that give way to one that is worth more: by followers or not, size, id.
    evictable: BTreeSet<(bool, usize, i32)>,
    evictable_by_followers: BTreeSet<(bool, usize, i32)>,
}

#[derive(Debug)]
struct Session {
    by_follower: bool,
    by_id: bool,
    created: Duration,
    used: Duration,
    epoch: i32,
    /// Partitions when it was last used.
    size: usize,
    /// Partitions in the order they are read in; one that had records goes to the end.
    order: BTreeMap<u64, Cached>,
    places: BTreeMap<Key, u64>,
    next_place: u64,
}

#[derive(Debug)]
struct Cached {
    wanted: Wanted,
    high_watermark: i64,
    log_start: i64,
}

impl Sessions {
    pub fn new(slots: usize) -> Self {
        Self { shards: Default::default(), slots: slots / SHARDS, next: 0 }
    }

    /// Finds the session of a request, and with it every partition that is to be read. `name` tells a topic's.
    pub fn begin(
        &mut self,
        asked: Asked,
        now: Duration,
        name: impl Fn(Uuid) -> Option<Arc<str>>,
    ) -> Result<(Context, Vec<Wanted>), ResponseError> {
        if asked.epoch == INITIAL || asked.epoch == FINAL {
            if let Some(shard) = self.shard(asked.session).filter(|_| asked.session != 0) {
                shard.remove(asked.session);
            }
            let full = Context::Full { by_follower: asked.by_follower, by_id: asked.by_id };
            return Ok((if asked.epoch == FINAL { Context::None } else { full }, asked.wanted));
        }
        let shard = self.shard(asked.session).ok_or(ResponseError::FetchSessionIdNotFound)?;
        let session = shard.sessions.get_mut(&asked.session).ok_or(ResponseError::FetchSessionIdNotFound)?;
        if session.epoch != asked.epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if session.by_id != asked.by_id {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        for wanted in &asked.wanted {
            session.update(wanted);
        }
        for wanted in &asked.forgotten {
            session.forget(&wanted.key());
        }
        if session.order.is_empty() {
            shard.remove(asked.session);
            return Ok((Context::None, asked.wanted));
        }
        session.epoch = next_epoch(session.epoch);
        let context = Context::Incremental { session: asked.session, epoch: session.epoch };
        let wanted = session.wanted(name);
        shard.touch(asked.session, now);
        Ok((context, wanted))
    }

    /// Fits an answer into the session of its request: which partitions need not be told, and which session the
    /// client is told. An error is told instead of the partitions, with the session.
    pub(super) fn end(
        &mut self,
        context: Context,
        wanted: &[Wanted],
        answers: &mut Vec<PartitionAnswer>,
        now: Duration,
        random: &mut ChaCha8Rng,
    ) -> (i32, Result<(), ResponseError>) {
        match context {
            Context::None => (0, Ok(())),
            Context::Full { by_follower, by_id } => {
                let at = self.next;
                self.next = (self.next + 1) % SHARDS;
                let room = |shard: &mut Shard| {
                    shard.sessions.len() < self.slots || shard.evict((by_follower, answers.len(), 0), now)
                };
                let Some(shard) = self.shards.get_mut(at) else { return (0, Ok(())) };
                if !room(shard) {
                    return (0, Ok(()));
                }
                let session = Session::new(by_follower, by_id, now, wanted, answers);
                (shard.insert(i32::try_from(at).unwrap_or(0), session, random), Ok(()))
            }
            Context::Incremental { session: id, epoch } => {
                // One that was evicted meanwhile answers this request still.
                let Some(session) = self.shard(id).and_then(|shard| shard.sessions.get_mut(&id)) else {
                    return (id, Ok(()));
                };
                if session.epoch != epoch {
                    return (id, Err(ResponseError::InvalidFetchSessionEpoch));
                }
                answers.retain(|answer| session.must_tell(answer));
                (id, Ok(()))
            }
        }
    }

    fn shard(&mut self, id: i32) -> Option<&mut Shard> {
        self.shards.get_mut(usize::try_from(id / IDS).ok()?)
    }
}

impl Shard {
    fn insert(&mut self, number: i32, session: Session, random: &mut ChaCha8Rng) -> i32 {
        let ids = (number * IDS).max(1)..(number + 1) * IDS;
        let id = loop {
            let id = random.random_range(ids.clone());
            if !self.sessions.contains_key(&id) {
                break id;
            }
        };
        let now = session.used;
        self.sessions.insert(id, session);
        self.touch(id, now);
        id
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.unlist(id, &session);
        }
    }

    /// Notes that a session was used.
    fn touch(&mut self, id: i32, now: Duration) {
        let Some(mut session) = self.sessions.remove(&id) else { return };
        self.unlist(id, &session);
        session.used = now;
        session.size = session.order.len();
        let worth = (session.by_follower, session.size, id);
        let old = now.saturating_sub(session.created) > SAFE;
        self.used.insert((now, id));
        if old || !session.by_follower {
            self.evictable_by_followers.insert(worth);
        }
        if old {
            self.evictable.insert(worth);
        }
        self.sessions.insert(id, session);
    }

    fn unlist(&mut self, id: i32, session: &Session) {
        let worth = (session.by_follower, session.size, id);
        self.used.remove(&(session.used, id));
        self.evictable.remove(&worth);
        self.evictable_by_followers.remove(&worth);
    }

    /// Makes room for a session that is worth `worth`, if another may go.
    fn evict(&mut self, worth: (bool, usize, i32), now: Duration) -> bool {
        let Some((used, oldest)) = self.used.first().copied() else { return false };
        let evictable = if worth.0 { &self.evictable_by_followers } else { &self.evictable };
        let least = evictable.first().filter(|least| **least <= worth).map(|(_, _, id)| *id);
        let gone = if now.saturating_sub(used) > SAFE { Some(oldest) } else { least };
        gone.inspect(|id| self.remove(*id)).is_some()
    }
}

impl Session {
    fn new(
        by_follower: bool,
        by_id: bool,
        now: Duration,
        wanted: &[Wanted],
        told: &[PartitionAnswer],
    ) -> Self {
        let mut session = Self {
            by_follower,
            by_id,
            created: now,
            used: now,
            epoch: next_epoch(INITIAL),
            size: 0,
            order: BTreeMap::new(),
            places: BTreeMap::new(),
            next_place: 0,
        };
        for answer in told {
            if let Some(wanted) = wanted.get(answer.asked) {
                let (high_watermark, log_start) = (answer.data.high_watermark, answer.data.log_start);
                session.add(Cached { wanted: wanted.clone(), high_watermark, log_start });
            }
        }
        session
    }

    fn add(&mut self, cached: Cached) {
        let place = self.next_place;
        self.next_place += 1;
        if let Some(before) = self.places.insert(cached.wanted.key(), place) {
            self.order.remove(&before);
        }
        self.order.insert(place, cached);
    }

    fn update(&mut self, wanted: &Wanted) {
        match self.places.get(&wanted.key()).and_then(|place| self.order.get_mut(place)) {
            Some(cached) => {
                let name = cached.wanted.name.take().or_else(|| wanted.name.clone());
                cached.wanted = Wanted { name, ..wanted.clone() };
            }
            None => self.add(Cached { wanted: wanted.clone(), high_watermark: -1, log_start: -1 }),
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place);
        }
    }

    /// Every partition in its turn. A topic whose id nobody knew may be known by now.
    fn wanted(&mut self, name: impl Fn(Uuid) -> Option<Arc<str>>) -> Vec<Wanted> {
        let each = self.order.values_mut().map(|cached| {
            if cached.wanted.name.is_none() {
                cached.wanted.name = name(cached.wanted.id);
            }
            cached.wanted.clone()
        });
        each.collect()
    }

    /// Whether there is news in an answer; one with records goes to the end of the line.
    fn must_tell(&mut self, answer: &PartitionAnswer) -> bool {
        let key = (answer.id, answer.name.clone().filter(|_| answer.id.is_nil()), answer.number);
        let Some(place) = self.places.get(&key).copied() else { return false };
        let Some(cached) = self.order.get_mut(&place) else { return false };
        let data = &answer.data;
        let moved = (cached.high_watermark, cached.log_start) != (data.high_watermark, data.log_start);
        let has_records = !data.chunks.is_empty();
        let special = answer.error != 0 || data.diverging.is_some() || data.preferred.is_some();
        // Once an error is over, the partition is told again.
        cached.high_watermark = if answer.error == 0 { data.high_watermark } else { -1 };
        cached.log_start = data.log_start;
        if has_records && let Some(cached) = self.order.remove(&place) {
            self.add(cached);
        }
        moved || has_records || special
    }
}

/// Epochs go round without 0, which opens sessions.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    fn wanted(number: i32) -> Wanted {
        Wanted {
            name: Some(Arc::from("t")),
            id: Uuid::nil(),
            number,
            leader_epoch: -1,
            offset: 0,
            last_epoch: -1,
            max_bytes: Some(1),
        }
    }

    fn asked(session: i32, epoch: i32, wanted: Vec<Wanted>, forgotten: Vec<Wanted>) -> Asked {
        Asked { session, epoch, by_follower: false, by_id: false, wanted, forgotten }
    }

    proptest! {
        #[test]
        fn a_client_that_hears_only_news_knows_what_one_that_asks_for_everything_knows(
            turns in proptest::collection::vec(
                (proptest::collection::btree_map(0_i32..5, (0_i64..4, 0_i16..2), 0..4), 0_i32..10),
                1..40,
            ),
        ) {
            let (mut sessions, mut random) = (Sessions::new(8), ChaCha8Rng::seed_from_u64(0));
            let mut truth: BTreeMap<i32, (i64, i16)> = (0..5).map(|number| (number, (0, 0))).collect();
            let (mut known, mut reading) = (BTreeMap::new(), BTreeSet::from([0, 1, 2]));
            let (mut id, mut epoch, mut new) = (0, INITIAL, vec![wanted(0), wanted(1), wanted(2)]);
            let mut forgotten = Vec::new();
            for (changes, turned) in turns {
                truth.extend(changes);
                let request = asked(id, epoch, std::mem::take(&mut new), std::mem::take(&mut forgotten));
                let (context, all) = sessions.begin(request, Duration::ZERO, |_| None).expect("a session");
                prop_assert_eq!(all.iter().map(|wanted| wanted.number).collect::<BTreeSet<_>>(), reading.clone());
                let answer = |(at, wanted): (usize, &Wanted)| {
                    let (mark, error) = truth[&wanted.number];
                    let mut answer = PartitionAnswer::error(at, wanted, error);
                    answer.data.high_watermark = if error == 0 { mark } else { -1 };
                    answer
                };
                let mut answers: Vec<_> = all.iter().enumerate().map(answer).collect();
                let (told, ended) = sessions.end(context, &all, &mut answers, Duration::ZERO, &mut random);
                prop_assert_eq!(ended, Ok(()));
                for answer in answers {
                    known.insert(answer.number, (answer.data.high_watermark, answer.error));
                }
                for number in &reading {
                    let (mark, error) = truth[number];
                    prop_assert_eq!(known[number], (if error == 0 { mark } else { -1 }, error));
                }
                (id, epoch) = (told, next_epoch(epoch));
                // The client takes one partition more, or drops one; the last one stays.
                if turned < 5 && reading.insert(turned) {
                    new.push(wanted(turned));
                } else if turned >= 5 && reading.len() > 1 && reading.remove(&(turned - 5)) {
                    known.remove(&(turned - 5));
                    forgotten.push(wanted(turned - 5));
                }
            }
        }
    }
}
