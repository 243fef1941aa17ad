//! `XPENDING`: what was delivered and not acknowledged.

use std::ops::Bound;

use bytes::Bytes;

use super::stream_id;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Group, Pending, Stream, StreamId};

/// Which pending entries to list.
struct Wanted<'a> {
    start: StreamId,
    end: StreamId,
    count: usize,
    /// Only what was delivered so long ago; 0 for any.
    min_idle_ms: i64,
    consumer: Option<&'a Bytes>,
}

impl<'a> Wanted<'a> {
    fn parse(args: &'a [Bytes]) -> Result<Self, CmdError> {
        if !(6..=9).contains(&args.len()) {
            return Err(CmdError::SYNTAX);
        }
        let (mut from, mut min_idle_ms) = (3, 0);
        if is(&args[3], "idle") {
            min_idle_ms = strict_i64(&args[4]).ok_or(CmdError::NOT_INTEGER)?;
            if args.len() < 8 {
                return Err(CmdError::SYNTAX);
            }
            from = 5;
        }
        let count = strict_i64(&args[from + 2]).ok_or(CmdError::NOT_INTEGER)?;
        Ok(Self {
            start: stream_id::start(&args[from])?,
            end: stream_id::end(&args[from + 1])?,
            count: usize::try_from(count).unwrap_or(0),
            min_idle_ms,
            consumer: args.get(from + 3),
        })
    }

    /// The entries, and who they are pending for.
    fn list(&self, group: &Group, now_ms: i64) -> Reply {
        if self.start > self.end {
            return Reply::Array(Vec::new());
        }
        let range = (Bound::Included(self.start), Bound::Included(self.end));
        let is_idle = |pending: &Pending| {
            self.min_idle_ms == 0 || now_ms.wrapping_sub(pending.delivered_ms) >= self.min_idle_ms
        };
        let row = |(id, pending): (StreamId, &Pending)| {
            is_idle(pending).then(|| {
                Reply::Array(vec![
                    stream_id::reply(id),
                    Reply::Bulk(pending.consumer.clone()),
                    Reply::Int(now_ms.wrapping_sub(pending.delivered_ms).max(0)),
                    Reply::Int(pending.deliveries.cast_signed()),
                ])
            })
        };
        let all = group.pending();
        Reply::Array(match self.consumer {
            None => {
                let found = all.range(range).map(|(id, pending)| (*id, pending));
                found.filter_map(row).take(self.count).collect()
            }
            Some(name) => {
                let ids = group.consumers().get(name).into_iter().flat_map(|one| one.pending().range(range));
                let found = ids.filter_map(|id| Some((*id, all.get(id)?)));
                found.filter_map(row).take(self.count).collect()
            }
        })
    }
}

pub(crate) fn xpending(call: &mut Call<'_>) -> Outcome {
    let (key, name, now) = (&call.args[1], &call.args[2], call.now_ms());
    let wanted = if call.args.len() == 3 { None } else { Some(Wanted::parse(call.args)?) };
    let group = call.read_as::<Stream>(key)?.and_then(|stream| stream.groups().get(name));
    let group = group.ok_or_else(|| no_key_or_group(key, name))?;
    Ok(wanted.map_or_else(|| summary(group), |wanted| wanted.list(group, now)))
}

/// The error for a group that does not exist, or is of no stream.
pub(super) fn no_key_or_group(key: &Bytes, group: &Bytes) -> CmdError {
    let [key, group] = [key, group].map(|name| String::from_utf8_lossy(name));
    CmdError::new(format!("NOGROUP No such key '{key}' or consumer group '{group}'"))
}

fn summary(group: &Group) -> Reply {
    let pending = group.pending();
    let (Some((first, _)), Some((last, _))) = (pending.first_key_value(), pending.last_key_value()) else {
        return Reply::Array(vec![Reply::Int(0), Reply::Null, Reply::Null, Reply::NullArray]);
    };
    let busy = group.consumers().iter().filter(|(_, consumer)| !consumer.pending().is_empty());
    let busy = busy.map(|(name, consumer)| {
        Reply::bulks([name.clone(), Bytes::from(consumer.pending().len().to_string())])
    });
    Reply::Array(vec![
        Reply::count(pending.len()),
        stream_id::reply(*first),
        stream_id::reply(*last),
        Reply::Array(busy.collect()),
    ])
}
