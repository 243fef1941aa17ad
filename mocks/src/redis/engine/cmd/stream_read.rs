//! `XREAD` and `XREADGROUP`: entries after an ID, of several streams; waiting for them if there are none.

use bytes::Bytes;

use super::stream_group::change_group;
use super::stream_id;
use super::stream_replicate as replicate;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify;
use crate::redis::engine::number::strict_i64;
use crate::redis::engine::wait::Kind;
use crate::redis::resp::Reply;
use crate::redis::store::{Group, Stream, StreamId};

/// Entries answered to a client that waited, if it did not say how many it wants.
const COUNT_AFTER_WAIT: usize = 1000;

/// What stands for `>`: what no consumer of the group was given yet.
const NEW: StreamId = StreamId::MAX;

/// What `XREAD` and `XREADGROUP` are told before the IDs, which need the streams to be read.
struct Options<'a> {
    /// The deadline of a wait, if the client waits at all.
    block: Option<Option<i64>>,
    /// Most entries of a stream; 0 for all.
    count: usize,
    group: Option<Member<'a>>,
    keys: &'a [Bytes],
    ids: &'a [Bytes],
}

/// Who reads for a group, and how.
#[derive(Clone, Copy)]
struct Member<'a> {
    group: &'a Bytes,
    consumer: &'a Bytes,
    /// What is delivered needs no acknowledgement.
    no_ack: bool,
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a>, grouped: bool) -> Result<Self, CmdError> {
        let args = call.args;
        let mut options = Self { block: None, count: 0, group: None, keys: &[], ids: &[] };
        let mut no_ack = false;
        let mut at = 1;
        while let Some(word) = args.get(at) {
            let more = args.len() - at - 1;
            if is(word, "block") && more > 0 {
                options.block = Some(deadline(call, at + 1)?);
                at += 2;
            } else if is(word, "count") && more > 0 {
                let count = strict_i64(&args[at + 1]).ok_or(CmdError::NOT_INTEGER)?;
                options.count = usize::try_from(count).unwrap_or(0);
                at += 2;
            } else if is(word, "streams") && more > 0 {
                (options.keys, options.ids) = halves(&args[at + 1..])?;
                break;
            } else if is(word, "group") && more >= 2 {
                only_in_group("GROUP", grouped)?;
                let (group, consumer) = (&args[at + 1], &args[at + 2]);
                options.group = Some(Member { group, consumer, no_ack: false });
                at += 3;
            } else if is(word, "noack") {
                only_in_group("NOACK", grouped)?;
                no_ack = true;
                at += 1;
            } else {
                return Err(CmdError::SYNTAX);
            }
        }
        if options.keys.is_empty() {
            return Err(CmdError::SYNTAX);
        }
        if grouped && options.group.is_none() {
            return Err(CmdError::fixed("ERR Missing GROUP option for XREADGROUP"));
        }
        options.group = options.group.map(|member| Member { no_ack, ..member });
        Ok(options)
    }

    /// The ID after which entries of the stream at `key` are wanted. Says why it cannot be had.
    fn id(&self, call: &mut Call<'_>, key: &Bytes, text: &[u8]) -> Result<StreamId, CmdError> {
        const LAST_OF_GROUP: CmdError = CmdError::fixed(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
             consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
             an empty result set.",
        );
        const NEW_WITHOUT_GROUP: CmdError = CmdError::fixed(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        );
        let stream = call.read_as::<Stream>(key)?;
        if let Some(member) = self.group
            && !stream.is_some_and(|stream| stream.groups().contains_key(member.group))
        {
            return Err(no_group(key, member.group));
        }
        match (text, self.group.is_some()) {
            (b"$", true) => Err(LAST_OF_GROUP),
            (b"$", false) => Ok(stream.map(|stream| stream.counters().last_id).unwrap_or_default()),
            (b">", true) => Ok(NEW),
            (b">", false) => Err(NEW_WITHOUT_GROUP),
            _ => stream_id::strict(text),
        }
    }
}

fn only_in_group(option: &str, grouped: bool) -> Result<(), CmdError> {
    if grouped {
        return Ok(());
    }
    Err(CmdError::new(format!(
        "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )))
}

fn no_group(key: &Bytes, group: &Bytes) -> CmdError {
    let [key, group] = [key, group].map(|name| String::from_utf8_lossy(name));
    CmdError::new(format!(
        "NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP option"
    ))
}

fn deadline(call: &Call<'_>, at: usize) -> Result<Option<i64>, CmdError> {
    if call.engine.script.is_some() {
        let name = String::from_utf8_lossy(&call.args[0]);
        return Err(CmdError::new(format!(
            "ERR {name} command is not allowed with BLOCK option from scripts"
        )));
    }
    call.timeout_ms_argument(at)
}

fn halves(rest: &[Bytes]) -> Result<(&[Bytes], &[Bytes]), CmdError> {
    const UNBALANCED: CmdError = CmdError::fixed(
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
    );
    if rest.len().is_multiple_of(2) { Ok(rest.split_at(rest.len() / 2)) } else { Err(UNBALANCED) }
}

pub(crate) fn xread(call: &mut Call<'_>) -> Outcome {
    let options = Options::parse(call, false)?;
    if let Some(key) = call.ready_key().cloned() {
        return read_ready(call, &options, &key);
    }
    read_now(call, &options)
}

pub(crate) fn xreadgroup(call: &mut Call<'_>) -> Outcome {
    let options = Options::parse(call, true)?;
    if let (Some(key), Some(member)) = (call.ready_key().cloned(), options.group) {
        return read_ready_as(call, &options, member, &key);
    }
    // What is delivered is replicated as claims; without any, nothing is.
    call.replicates_by_itself();
    read_now(call, &options)
}

fn read_now(call: &mut Call<'_>, options: &Options<'_>) -> Outcome {
    let mut after = Vec::with_capacity(options.keys.len());
    for (key, text) in options.keys.iter().zip(options.ids) {
        after.push(options.id(call, key, text)?);
    }
    let mut answers = Vec::new();
    for (key, after) in options.keys.iter().zip(&after) {
        let entries = match options.group {
            Some(member) => read_as(call, Share { member, key, after: *after, count: options.count })?,
            None => read(call, key, *after, options.count)?,
        };
        answers.extend(entries.map(|entries| (key.clone(), entries)));
    }
    if !answers.is_empty() {
        return Ok(by_stream(call, answers));
    }
    match options.block {
        Some(deadline) if call.can_wait() => wait(call, options, &after, deadline),
        _ => Ok(Reply::NullArray),
    }
}

/// Waits, with the IDs as they are now: `$` must not move on meanwhile.
fn wait(call: &mut Call<'_>, options: &Options<'_>, after: &[StreamId], deadline: Option<i64>) -> Outcome {
    let first_id = call.args.len() - after.len();
    let mut args = call.args.to_vec();
    if options.group.is_none() {
        for (arg, after) in args[first_id..].iter_mut().zip(after) {
            *arg = stream_id::text(*after);
        }
    }
    let kind = if options.group.is_some() { Kind::StreamGroup } else { Kind::Stream };
    let mut waiting = Call { engine: call.engine, client: call.client, spec: call.spec, args: &args };
    waiting.wait_for(options.keys, kind, deadline)
}

/// The entries of a stream after an ID; `None` if there are none.
fn read(call: &mut Call<'_>, key: &Bytes, after: StreamId, count: usize) -> Result<Option<Reply>, CmdError> {
    let Some(stream) = call.read_as::<Stream>(key)? else { return Ok(None) };
    let has_any = stream.last_entry_id().is_some_and(|last| last > after);
    Ok(has_any.then(|| entries(stream, after, count)))
}

fn entries(stream: &Stream, after: StreamId, count: usize) -> Reply {
    let start = after.next().unwrap_or_default();
    let found = stream.range(start, StreamId::MAX).take(all_if_zero(count));
    Reply::Array(found.map(stream_id::entry).collect())
}

fn all_if_zero(count: usize) -> usize {
    if count == 0 { usize::MAX } else { count }
}

/// The entries of a stream that a member of a group asks for.
#[derive(Clone, Copy)]
struct Share<'a> {
    member: Member<'a>,
    key: &'a Bytes,
    after: StreamId,
    /// At most so many; 0 for all.
    count: usize,
}

impl Share<'_> {
    fn start(self) -> StreamId {
        self.after.next().unwrap_or_default()
    }
}

/// The entries of a stream for a member of a group: new ones, or those pending for it after an ID. `None` if
/// there are no new ones.
fn read_as(call: &mut Call<'_>, share: Share<'_>) -> Result<Option<Reply>, CmdError> {
    let Some(stream) = call.read_as::<Stream>(share.key)? else { return Ok(None) };
    if share.after != NEW {
        return history(call, share).map(Some);
    }
    let last = stream.groups().get(share.member.group).map(|group| group.last_id);
    let Some(last) = last.filter(|last| stream.last_entry_id().is_some_and(|top| top > *last)) else {
        return Ok(None);
    };
    deliver(call, Share { after: last, ..share }).map(Some)
}

/// What is pending for a consumer, once more.
fn history(call: &mut Call<'_>, share: Share<'_>) -> Result<Reply, CmdError> {
    let Share { member, key, count, .. } = share;
    see(call, member, key)?;
    let now = call.now_ms();
    let stream = call.edit_stream(key)?;
    let consumer = stream.groups().get(member.group).and_then(|group| group.consumers().get(member.consumer));
    let ids =
        consumer.into_iter().flat_map(|one| one.pending().range(share.start()..)).take(all_if_zero(count));
    let found: Vec<(StreamId, Option<Reply>)> =
        ids.map(|id| (*id, stream.get(*id).map(stream_id::entry))).collect();
    if let Some(group) = stream.groups_mut().get_mut(member.group) {
        for (id, _) in found.iter().filter(|(_, entry)| entry.is_some()) {
            group.deliver_again(*id, now);
        }
    }
    call.count_stream_changes(1);
    let row = |(id, entry): (StreamId, Option<Reply>)| {
        entry.unwrap_or_else(|| Reply::Array(vec![stream_id::reply(id), Reply::NullArray]))
    };
    Ok(Reply::Array(found.into_iter().map(row).collect()))
}

/// Gives a consumer the entries after an ID, and makes them pending for it unless it wants it otherwise.
fn deliver(call: &mut Call<'_>, share: Share<'_>) -> Result<Reply, CmdError> {
    let Share { member, key, count, .. } = share;
    see(call, member, key)?;
    let now = call.now_ms();
    let stream = call.edit_stream(key)?;
    let counters = *stream.counters();
    let found: Vec<_> =
        stream.range(share.start(), StreamId::MAX).take(all_if_zero(count)).cloned().collect();
    let mut lines = Vec::new();
    if let Some(group) = stream.groups_mut().get_mut(member.group) {
        let mut moved = false;
        for entry in &found {
            moved |= group.advance(entry.id, &counters);
            if !member.no_ack {
                group.assign(entry.id, member.consumer, now, 1);
                lines.extend(replicate::claim(key, member.group, entry.id, group));
            }
        }
        if member.no_ack && moved {
            lines.push(replicate::group_id(key, member.group, group));
        }
    }
    call.count_stream_changes(1);
    lines.into_iter().for_each(|line| call.replicate(line));
    Ok(Reply::Array(found.iter().map(stream_id::entry).collect()))
}

/// Notes that a consumer is active, and makes it known if it is not.
fn see(call: &mut Call<'_>, member: Member<'_>, key: &Bytes) -> Result<(), CmdError> {
    let now = call.now_ms();
    let see = |group: &mut Group| group.see(member.consumer, now);
    if change_group(call, key, member.group, see)? {
        call.count_stream_changes(1);
        call.notify(notify::STREAM, "xgroup-createconsumer", key);
        if member.no_ack {
            call.replicate(replicate::consumer(key, member.group, member.consumer));
        }
    }
    Ok(())
}

/// Answers `XREAD` that waited, once a stream it waits for was written.
fn read_ready(call: &mut Call<'_>, options: &Options<'_>, key: &Bytes) -> Outcome {
    // Of a stream that was named twice, the first ID counts.
    let at = options.keys.iter().position(|other| other == key).unwrap_or(0);
    let after = options.ids.get(at).map_or(Ok(StreamId::MIN), |id| stream_id::strict(id))?;
    let found = call.look_as::<Stream>(key)?.filter(|stream| stream.counters().last_id > after);
    let count = if options.count == 0 { COUNT_AFTER_WAIT } else { options.count };
    let Some(entries) = found.map(|stream| entries(stream, after, count)) else {
        return call.wait_for(options.keys, Kind::Stream, options.block.flatten());
    };
    Ok(by_stream(call, vec![(key.clone(), entries)]))
}

/// Answers `XREADGROUP` that waited, once its stream or its group was written or is gone.
fn read_ready_as(call: &mut Call<'_>, options: &Options<'_>, member: Member<'_>, key: &Bytes) -> Outcome {
    const NO_KEY: CmdError = CmdError::fixed("UNBLOCKED the stream key no longer exists");
    const NO_GROUP: CmdError =
        CmdError::fixed("NOGROUP the consumer group this client was blocked on no longer exists");
    call.replicates_by_itself();
    let stream = call.look_as::<Stream>(key).ok().flatten().ok_or(NO_KEY)?;
    let last = stream.groups().get(member.group).ok_or(NO_GROUP)?.last_id;
    if stream.counters().last_id <= last {
        return call.wait_for(options.keys, Kind::StreamGroup, options.block.flatten());
    }
    let count = if options.count == 0 { COUNT_AFTER_WAIT } else { options.count };
    let entries = deliver(call, Share { member, key, after: last, count })?;
    Ok(by_stream(call, vec![(key.clone(), entries)]))
}

/// Streams and their entries: pairs, or a map in version 3 of the protocol.
fn by_stream(call: &Call<'_>, answers: Vec<(Bytes, Reply)>) -> Reply {
    let answers = answers.into_iter().map(|(key, entries)| (Reply::Bulk(key), entries));
    if call.protocol() >= 3 {
        return Reply::Map(answers.collect());
    }
    Reply::Array(answers.map(|(key, entries)| Reply::Array(vec![key, entries])).collect())
}
