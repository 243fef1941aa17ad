//! `XCLAIM` and `XAUTOCLAIM`: pending entries change hands.

use std::ops::Bound;

use bytes::Bytes;

use super::stream_pending::no_key_or_group;
use super::{stream_id, stream_replicate as replicate};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Group, Stream, StreamId};

/// What a claim does to an entry.
struct Claim<'a> {
    key: &'a Bytes,
    group: &'a Bytes,
    consumer: &'a Bytes,
    min_idle_ms: i64,
    now_ms: i64,
    /// The time of delivery that is set.
    delivered_ms: i64,
    /// The number of deliveries that is set; one more if not given.
    deliveries: Option<u64>,
    /// Entries that are pending for nobody are claimed as well.
    force: bool,
    /// Answers IDs, and counts no delivery.
    only_ids: bool,
}

/// What became of an entry.
enum Claimed {
    /// It has another owner now.
    Yes(Reply),
    /// It is no longer in the stream, so it is not pending either.
    Deleted,
    No,
}

/// What claims led to beside their answers.
#[derive(Default)]
struct Consequences {
    changes: usize,
    made_consumer: bool,
    lines: Vec<Vec<Bytes>>,
}

impl Claim<'_> {
    fn apply(&self, stream: &mut Stream, id: StreamId, then: &mut Consequences) -> Claimed {
        let entry = stream.get(id).cloned();
        let Some(group) = stream.groups_mut().get_mut(self.group) else { return Claimed::No };
        let Some(entry) = entry else { return self.forget(group, id, then) };
        let before = group.pending().get(&id).map(|one| (one.delivered_ms, one.deliveries));
        let deliveries = match before {
            None if !self.force => return Claimed::No,
            // One that nobody had counts as delivered once before.
            None => 1,
            Some((delivered_ms, _))
                if self.min_idle_ms > 0 && self.now_ms.wrapping_sub(delivered_ms) < self.min_idle_ms =>
            {
                return Claimed::No;
            }
            Some((_, deliveries)) => deliveries,
        };
        let one_more = u64::from(!self.only_ids);
        let deliveries = self.deliveries.unwrap_or(deliveries.wrapping_add(one_more));
        let is_new = group.see(self.consumer, self.now_ms);
        then.made_consumer |= is_new;
        group.assign(id, self.consumer, self.delivered_ms, deliveries);
        then.changes += 1 + usize::from(is_new);
        then.lines.extend(replicate::claim(self.key, self.group, id, group));
        Claimed::Yes(if self.only_ids { stream_id::reply(id) } else { stream_id::entry(&entry) })
    }

    fn forget(&self, group: &mut Group, id: StreamId, then: &mut Consequences) -> Claimed {
        let Some(pending) = group.acknowledge(id) else { return Claimed::No };
        then.lines.push(replicate::claim_of(self.key, self.group, id, &pending, group.last_id));
        then.changes += 1;
        Claimed::Deleted
    }
}

impl Consequences {
    fn tell(self, call: &mut Call<'_>, key: &Bytes) {
        if self.made_consumer {
            call.notify(notify::STREAM, "xgroup-createconsumer", key);
        }
        call.count_stream_changes(self.changes);
        call.replicates_by_itself();
        self.lines.into_iter().for_each(|line| call.replicate(line));
    }
}

/// Whether a key has a group.
fn require_group(call: &mut Call<'_>, key: &Bytes, group: &Bytes) -> Result<(), CmdError> {
    let stream = call.look_as::<Stream>(key)?;
    let exists = stream.is_some_and(|stream| stream.groups().contains_key(group));
    if exists { Ok(()) } else { Err(no_key_or_group(key, group)) }
}

fn min_idle(text: &[u8], command: &str) -> Result<i64, CmdError> {
    let wrong = || CmdError::new(format!("ERR Invalid min-idle-time argument for {command}"));
    strict_i64(text).map(|idle| idle.max(0)).ok_or_else(wrong)
}

/// The options of `XCLAIM`, which come after the IDs; the last ID to set, if greater.
fn options(args: &[Bytes], claim: &mut Claim<'_>) -> Result<StreamId, CmdError> {
    let mut last_id = StreamId::MIN;
    let mut delivered_ms = -1;
    let mut at = 0;
    while let Some(word) = args.get(at) {
        let value = args.get(at + 1);
        let number = |name: &str| match value.map(|value| strict_i64(value)) {
            Some(Some(number)) => Ok(number),
            _ => Err(CmdError::new(format!("ERR Invalid {name} option argument for XCLAIM"))),
        };
        at += 2;
        if is(word, "force") {
            claim.force = true;
            at -= 1;
        } else if is(word, "justid") {
            claim.only_ids = true;
            at -= 1;
        } else if is(word, "idle") && value.is_some() {
            delivered_ms = claim.now_ms.wrapping_sub(number("IDLE")?);
        } else if is(word, "time") && value.is_some() {
            delivered_ms = number("TIME")?;
        } else if is(word, "retrycount") && value.is_some() {
            claim.deliveries = u64::try_from(number("RETRYCOUNT")?).ok();
        } else if let Some(value) = value.filter(|_| is(word, "lastid")) {
            last_id = stream_id::strict(value)?;
        } else {
            let word = String::from_utf8_lossy(word);
            return Err(CmdError::new(format!("ERR Unrecognized XCLAIM option '{word}'")));
        }
    }
    // A time that cannot be is the time it is.
    claim.delivered_ms = if (0..=claim.now_ms).contains(&delivered_ms) { delivered_ms } else { claim.now_ms };
    Ok(last_id)
}

pub(crate) fn xclaim(call: &mut Call<'_>) -> Outcome {
    let (key, group, now_ms) = (&call.args[1], &call.args[2], call.now_ms());
    call.read(key);
    require_group(call, key, group)?;
    let mut claim = Claim {
        key,
        group,
        consumer: &call.args[3],
        min_idle_ms: min_idle(&call.args[4], "XCLAIM")?,
        now_ms,
        delivered_ms: now_ms,
        deliveries: None,
        force: false,
        only_ids: false,
    };
    let ids: Vec<StreamId> = call.rest(5).iter().map_while(|id| stream_id::strict(id).ok()).collect();
    let last_id = options(call.rest(5 + ids.len()), &mut claim)?;
    let mut then = Consequences::default();
    let stream = call.edit_stream(key)?;
    let moves = stream.groups_mut().get_mut(group).is_some_and(|group| {
        let moves = last_id > group.last_id;
        group.last_id = group.last_id.max(last_id);
        moves
    });
    let mut claimed = Vec::new();
    for id in ids {
        if let Claimed::Yes(reply) = claim.apply(stream, id, &mut then) {
            claimed.push(reply);
        }
    }
    // Otherwise the claims say so.
    if moves && then.lines.is_empty() {
        let group_now = stream.groups().get(group);
        then.lines.extend(group_now.map(|now| replicate::group_id(key, group, now)));
        then.changes += 1;
    }
    then.tell(call, key);
    Ok(Reply::Array(claimed))
}

pub(crate) fn xautoclaim(call: &mut Call<'_>) -> Outcome {
    const TOO_MANY: CmdError =
        CmdError::fixed("ERR Insufficient memory, failed allocating transient memory, COUNT too high.");
    /// Entries looked at for each one wanted.
    const ATTEMPTS: usize = 10;
    /// What the real server can have room for, since it allocates 16 bytes for each.
    const MOST: usize = 1 << 43;
    let (key, group, now_ms) = (&call.args[1], &call.args[2], call.now_ms());
    call.read(key);
    let mut claim = Claim {
        key,
        group,
        consumer: &call.args[3],
        min_idle_ms: min_idle(&call.args[4], "XAUTOCLAIM")?,
        now_ms,
        delivered_ms: now_ms,
        deliveries: None,
        force: false,
        only_ids: false,
    };
    let start = stream_id::start(&call.args[5])?;
    let mut count = auto_options(call.rest(6), &mut claim)?;
    require_group(call, key, group)?;
    if count > MOST {
        return Err(TOO_MANY);
    }
    let mut attempts = count.saturating_mul(ATTEMPTS);
    let mut then = Consequences::default();
    let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
    let stream = call.edit_stream(key)?;
    let following = |stream: &Stream, from: Bound<StreamId>| {
        stream.groups().get(group).and_then(|group| group.first_pending(from)).map(|(id, _)| id)
    };
    let mut next = following(stream, Bound::Included(start));
    while let Some(id) = next.filter(|_| count > 0 && attempts > 0) {
        attempts -= 1;
        match claim.apply(stream, id, &mut then) {
            Claimed::Yes(reply) => claimed.push(reply),
            Claimed::Deleted => deleted.push(stream_id::reply(id)),
            Claimed::No => count += 1,
        }
        count -= 1;
        next = following(stream, Bound::Excluded(id));
    }
    then.tell(call, key);
    let cursor = stream_id::reply(next.unwrap_or_default());
    Ok(Reply::Array(vec![cursor, Reply::Array(claimed), Reply::Array(deleted)]))
}

/// How many entries to claim.
fn auto_options(args: &[Bytes], claim: &mut Claim<'_>) -> Result<usize, CmdError> {
    const COUNT: CmdError = CmdError::fixed("ERR COUNT must be > 0");
    let mut count = 100;
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        if is(word, "justid") {
            claim.only_ids = true;
        } else {
            let value = rest.next().filter(|_| is(word, "count")).ok_or(CmdError::SYNTAX)?;
            let value = strict_i64(value).filter(|value| (1..=i64::MAX / 16).contains(value));
            count = value.and_then(|value| usize::try_from(value).ok()).ok_or(COUNT)?;
        }
    }
    Ok(count)
}
