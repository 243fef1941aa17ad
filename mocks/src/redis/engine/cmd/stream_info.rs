//! `XINFO`: what is known of a stream, its groups and their consumers.

use bytes::Bytes;

use super::stream_group::{no_such_group, unknown_form};
use super::{help, stream_id};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Consumer, Group, Stream, StreamId};

/// Entries of each kind that `FULL` lists if not told otherwise.
const FULL_COUNT: usize = 10;

pub(crate) fn xinfo_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::XINFO)
}

pub(crate) fn xinfo_stream(call: &mut Call<'_>) -> Outcome {
    // A key that is none is told before options that are none.
    call.read_as::<Stream>(&call.args[2])?.ok_or(CmdError::NO_KEY)?;
    let count = match call.rest(3) {
        [] => None,
        [full] if is(full, "full") => Some(FULL_COUNT),
        [full, word, count] if is(full, "full") && is(word, "count") => {
            let count = strict_i64(count).ok_or(CmdError::NOT_INTEGER)?;
            Some(usize::try_from(count).unwrap_or(FULL_COUNT))
        }
        _ => return Err(unknown_form(call)),
    };
    let stream = call.look_as::<Stream>(&call.args[2])?.ok_or(CmdError::NO_KEY)?;
    let mut fields = counters(stream);
    match count {
        None => fields.extend(ends(stream)),
        Some(count) => {
            let count = if count == 0 { usize::MAX } else { count };
            let entries = stream.range(StreamId::MIN, StreamId::MAX).take(count).map(stream_id::entry);
            let groups = stream.groups().iter();
            let groups = groups.map(|(name, group)| full_group(stream, name.clone(), group, count));
            fields.push(field("entries", Reply::Array(entries.collect())));
            fields.push(field("groups", Reply::Array(groups.collect())));
        }
    }
    Ok(Reply::Map(fields))
}

type Field = (Reply, Reply);

fn field(name: &'static str, value: Reply) -> Field {
    (Reply::bulk(name), value)
}

fn counters(stream: &Stream) -> Vec<Field> {
    let counters = stream.counters();
    vec![
        field("length", Reply::Int(counters.length.cast_signed())),
        field("radix-tree-keys", Reply::count(stream.radix_keys())),
        field("radix-tree-nodes", Reply::count(stream.radix_nodes())),
        field("last-generated-id", stream_id::reply(counters.last_id)),
        field("max-deleted-entry-id", stream_id::reply(counters.max_deleted_id)),
        field("entries-added", Reply::Int(counters.entries_added.cast_signed())),
        field("recorded-first-entry-id", stream_id::reply(counters.first_id)),
    ]
}

fn ends(stream: &Stream) -> [Field; 3] {
    let first = stream.range(StreamId::MIN, StreamId::MAX).next();
    let last = stream.range_back(StreamId::MIN, StreamId::MAX).next();
    [
        field("groups", Reply::count(stream.groups().len())),
        field("first-entry", first.map_or(Reply::Null, stream_id::entry)),
        field("last-entry", last.map_or(Reply::Null, stream_id::entry)),
    ]
}

fn int_or_null(number: Option<i64>) -> Reply {
    number.map_or(Reply::Null, Reply::Int)
}

fn full_group(stream: &Stream, name: Bytes, group: &Group, count: usize) -> Reply {
    let pending = group.pending().iter().take(count).map(|(id, pending)| {
        Reply::Array(vec![
            stream_id::reply(*id),
            Reply::Bulk(pending.consumer.clone()),
            Reply::Int(pending.delivered_ms),
            Reply::Int(pending.deliveries.cast_signed()),
        ])
    });
    let consumers = group.consumers().iter();
    let consumers = consumers.map(|(name, consumer)| full_consumer(group, name.clone(), consumer, count));
    Reply::Map(vec![
        field("name", Reply::Bulk(name)),
        field("last-delivered-id", stream_id::reply(group.last_id)),
        field("entries-read", int_or_null(group.entries_read)),
        field("lag", int_or_null(stream.counters().lag(group))),
        field("pel-count", Reply::count(group.pending().len())),
        field("pending", Reply::Array(pending.collect())),
        field("consumers", Reply::Array(consumers.collect())),
    ])
}

fn full_consumer(group: &Group, name: Bytes, consumer: &Consumer, count: usize) -> Reply {
    let found = consumer.pending().iter().take(count);
    let pending = found.filter_map(|id| Some((id, group.pending().get(id)?))).map(|(id, pending)| {
        Reply::Array(vec![
            stream_id::reply(*id),
            Reply::Int(pending.delivered_ms),
            Reply::Int(pending.deliveries.cast_signed()),
        ])
    });
    Reply::Map(vec![
        field("name", Reply::Bulk(name)),
        field("seen-time", Reply::Int(consumer.seen_ms)),
        field("pel-count", Reply::count(consumer.pending().len())),
        field("pending", Reply::Array(pending.collect())),
    ])
}

pub(crate) fn xinfo_groups(call: &mut Call<'_>) -> Outcome {
    let stream = call.read_as::<Stream>(&call.args[2])?.ok_or(CmdError::NO_KEY)?;
    let row = |(name, group): (&Bytes, &Group)| {
        Reply::Map(vec![
            field("name", Reply::Bulk(name.clone())),
            field("consumers", Reply::count(group.consumers().len())),
            field("pending", Reply::count(group.pending().len())),
            field("last-delivered-id", stream_id::reply(group.last_id)),
            field("entries-read", int_or_null(group.entries_read)),
            field("lag", int_or_null(stream.counters().lag(group))),
        ])
    };
    Ok(Reply::Array(stream.groups().iter().map(row).collect()))
}

pub(crate) fn xinfo_consumers(call: &mut Call<'_>) -> Outcome {
    let (key, name, now) = (&call.args[2], &call.args[3], call.now_ms());
    let stream = call.read_as::<Stream>(key)?.ok_or(CmdError::NO_KEY)?;
    let group = stream.groups().get(name).ok_or_else(|| no_such_group(name, key))?;
    let row = |(name, consumer): (&Bytes, &Consumer)| {
        Reply::Map(vec![
            field("name", Reply::Bulk(name.clone())),
            field("pending", Reply::count(consumer.pending().len())),
            field("idle", Reply::Int(now.wrapping_sub(consumer.seen_ms).max(0))),
        ])
    };
    Ok(Reply::Array(group.consumers().iter().map(row).collect()))
}
