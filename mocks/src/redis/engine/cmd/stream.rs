//! Entries of streams, added and removed: `XADD`, `XDEL`, `XLEN`, `XTRIM`, `XSETID`, behaving as `t_stream.c` of
//! Redis 7.0. A stream whose last entry is removed stays.

use std::sync::Arc;

use bytes::Bytes;

use super::stream_id::{self, NewId};
use super::stream_trim::Options;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::collection::Collection;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Stream, StreamId, Value};

pub(crate) use super::stream_claim::{xautoclaim, xclaim};
pub(crate) use super::stream_group::{
    xack, xgroup_create, xgroup_createconsumer, xgroup_delconsumer, xgroup_destroy, xgroup_help, xgroup_setid,
};
pub(crate) use super::stream_info::{xinfo_consumers, xinfo_groups, xinfo_help, xinfo_stream};
pub(crate) use super::stream_pending::xpending;
pub(crate) use super::stream_range::{xrange, xrevrange};
pub(crate) use super::stream_read::{xread, xreadgroup};

impl Collection for Stream {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Stream(found) = value { Some(found) } else { None }
    }

    fn shared(value: &Value) -> Option<Arc<Self>> {
        if let Value::Stream(found) = value { Some(Arc::clone(found)) } else { None }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Stream(found) = value { Some(Arc::make_mut(found)) } else { None }
    }

    fn into_value(self) -> Value {
        Value::Stream(Arc::new(self))
    }

    /// Never: a stream without entries still has its last ID and its groups.
    fn is_empty(&self) -> bool {
        false
    }
}

impl Call<'_> {
    /// A stream to be changed. What came of it is said with the two methods below.
    pub(super) fn edit_stream(&mut self, key: &Bytes) -> Result<&mut Stream, CmdError> {
        let db = self.db();
        let value = self.engine.store.edit_unnoted(db, key);
        value.and_then(Stream::of_mut).ok_or(CmdError::WRONG_TYPE)
    }

    /// Counts changes to a stream, in its groups or its entries.
    pub(super) fn count_stream_changes(&mut self, count: usize) {
        self.engine.store.count_changes(count);
    }

    /// Breaks the watches of a stream, which only changes of entries do.
    pub(super) fn touch_stream(&mut self, key: &Bytes) {
        let db = self.db();
        self.engine.store.touch(db, key);
    }
}

pub(crate) fn xadd(call: &mut Call<'_>) -> Outcome {
    const ZERO: CmdError = CmdError::fixed("ERR The ID specified in XADD must be greater than 0-0");
    const EXHAUSTED: CmdError =
        CmdError::fixed("ERR The stream has exhausted the last possible ID, unable to add more items");
    const TOO_LARGE: CmdError = CmdError::fixed("ERR Elements are too large to be stored");
    let options = Options::parse(call, true)?;
    let (key, fields) = (&call.args[1], call.rest(options.id_at + 1));
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(CmdError::wrong_arity(call.spec.name));
    }
    if options.id == NewId::Exact(StreamId::MIN) {
        return Err(ZERO);
    }
    let found = call.look_as::<Stream>(key)?.map(|stream| stream.counters().last_id);
    if found.is_none() && options.only_if_exists {
        return Ok(Reply::Null);
    }
    let (is_new, last) = (found.is_none(), found.unwrap_or_default());
    if last == StreamId::MAX {
        return Err(EXHAUSTED);
    }
    let id = options.id.after(last, call.now_ms())?;
    if !Stream::fits(fields) {
        return Err(TOO_LARGE);
    }
    if is_new {
        call.put(key, Stream::default().into_value(), None);
    } else {
        call.count_stream_changes(1);
        call.touch_stream(key);
    }
    let limits = call.engine.config.tuning.stream_nodes;
    let mut line = call.args.to_vec();
    line[options.id_at] = stream_id::text(id);
    let stream = call.edit_stream(key)?;
    stream.append(id, fields, limits);
    let trimmed = options.trim.map_or(0, |trim| stream.trim(trim));
    let line = options.exact(line, stream);
    call.notify(notify::STREAM, "xadd", key);
    if trimmed > 0 {
        call.notify(notify::STREAM, "xtrim", key);
    }
    call.replicate(line);
    Ok(stream_id::reply(id))
}

pub(crate) fn xtrim(call: &mut Call<'_>) -> Outcome {
    let options = Options::parse(call, false)?;
    let key = &call.args[1];
    let (true, Some(trim)) = (call.look_as::<Stream>(key)?.is_some(), options.trim) else {
        return Ok(Reply::Int(0));
    };
    let line = call.args.to_vec();
    let stream = call.edit_stream(key)?;
    let trimmed = usize::try_from(stream.trim(trim)).unwrap_or(usize::MAX);
    let line = options.exact(line, stream);
    if trimmed > 0 {
        call.notify(notify::STREAM, "xtrim", key);
        call.replicate(line);
        call.count_stream_changes(trimmed);
        call.touch_stream(key);
        call.makes_nothing_ready();
    }
    Ok(Reply::count(trimmed))
}

pub(crate) fn xdel(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    if call.look_as::<Stream>(key)?.is_none() {
        return Ok(Reply::Int(0));
    }
    let ids = call.rest(2).iter().map(|id| stream_id::strict(id)).collect::<Result<Vec<_>, _>>()?;
    let deleted = call.edit_stream(key)?.delete_all(&ids);
    if deleted > 0 {
        call.touch_stream(key);
        call.makes_nothing_ready();
        call.notify(notify::STREAM, "xdel", key);
        call.count_stream_changes(deleted);
    }
    Ok(Reply::count(deleted))
}

pub(crate) fn xlen(call: &mut Call<'_>) -> Outcome {
    let length = call.read_as::<Stream>(&call.args[1])?.map_or(0, Stream::len);
    Ok(Reply::Int(length.cast_signed()))
}

pub(crate) fn xsetid(call: &mut Call<'_>) -> Outcome {
    const BELOW_TOP: CmdError =
        CmdError::fixed("ERR The ID specified in XSETID is smaller than the target stream top item");
    const BELOW_LENGTH: CmdError =
        CmdError::fixed("ERR The entries_added specified in XSETID is smaller than the target stream length");
    let id = stream_id::strict(&call.args[2])?;
    let (added, max_deleted) = set_id_options(call, id)?;
    let key = &call.args[1];
    let stream = call.look_as::<Stream>(key)?.ok_or(CmdError::NO_KEY)?;
    if !stream.is_empty() && stream.last_entry_id().is_some_and(|top| id < top) {
        return Err(BELOW_TOP);
    }
    if !stream.is_empty() && added.is_some_and(|added| stream.len() > added) {
        return Err(BELOW_LENGTH);
    }
    let counters = call.edit_stream(key)?.counters_mut();
    counters.last_id = id;
    counters.entries_added = added.unwrap_or(counters.entries_added);
    if max_deleted != StreamId::MIN {
        counters.max_deleted_id = max_deleted;
    }
    call.count_stream_changes(1);
    call.notify(notify::STREAM, "xsetid", key);
    Ok(Reply::OK)
}

/// How many entries were added, and the greatest ID deleted; zero for none.
fn set_id_options(call: &Call<'_>, id: StreamId) -> Result<(Option<u64>, StreamId), CmdError> {
    const NEGATIVE: CmdError = CmdError::fixed("ERR entries_added must be positive");
    const ABOVE: CmdError =
        CmdError::fixed("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
    let (mut added, mut max_deleted) = (None, StreamId::MIN);
    for pair in call.rest(3).chunks(2) {
        match pair {
            [word, value] if is(word, "entriesadded") => {
                let value = strict_i64(value).ok_or(CmdError::NOT_INTEGER)?;
                added = Some(u64::try_from(value).map_err(|_| NEGATIVE)?);
            }
            [word, value] if is(word, "maxdeletedid") => {
                max_deleted = stream_id::strict(value)?;
                if id < max_deleted {
                    return Err(ABOVE);
                }
            }
            _ => return Err(CmdError::SYNTAX),
        }
    }
    Ok((added, max_deleted))
}
