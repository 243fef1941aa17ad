//! Groups of consumers: `XGROUP` and `XACK`.

use bytes::Bytes;

use super::{help, stream_id};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::collection::Collection;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Group, Stream, StreamId};

/// What `XGROUP CREATE` and `XGROUP SETID` can be told.
#[derive(Default)]
struct Options {
    makes_stream: bool,
    entries_read: Option<i64>,
}

impl Options {
    fn parse(call: &Call<'_>, creates: bool) -> Result<Self, CmdError> {
        const NEGATIVE: CmdError = CmdError::fixed("ERR value for ENTRIESREAD must be positive or -1");
        let mut options = Self::default();
        let mut rest = call.rest(5).iter();
        while let Some(word) = rest.next() {
            if creates && is(word, "mkstream") {
                options.makes_stream = true;
                continue;
            }
            let value = rest.next().filter(|_| is(word, "entriesread")).ok_or_else(|| unknown_form(call))?;
            let value = strict_i64(value).ok_or(CmdError::NOT_INTEGER)?;
            if value < -1 {
                return Err(NEGATIVE);
            }
            options.entries_read = Some(value).filter(|value| *value >= 0);
        }
        Ok(options)
    }
}

/// The error for options that a subcommand does not have.
pub(super) fn unknown_form(call: &Call<'_>) -> CmdError {
    let sub = String::from_utf8_lossy(&call.args[1]).into_owned();
    let sub: String = sub.chars().take(128).collect();
    let command = String::from_utf8_lossy(&call.args[0]).to_ascii_uppercase();
    CmdError::new(format!(
        "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {command} HELP."
    ))
}

pub(super) fn no_such_group(group: &Bytes, key: &Bytes) -> CmdError {
    let [group, key] = [group, key].map(|name| String::from_utf8_lossy(name));
    CmdError::new(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

/// The stream that a subcommand of `XGROUP` is about.
fn stream<'a>(call: &'a mut Call<'_>) -> Result<&'a Stream, CmdError> {
    const NO_STREAM: CmdError = CmdError::fixed(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
         MKSTREAM option to create an empty stream automatically.",
    );
    let key = &call.args[2];
    call.look_as::<Stream>(key)?.ok_or(NO_STREAM)
}

/// Refuses a subcommand of `XGROUP` about a group that does not exist.
fn require_group(call: &mut Call<'_>) -> Result<(), CmdError> {
    let (key, name) = (&call.args[2], &call.args[3]);
    match stream(call)?.groups().contains_key(name) {
        true => Ok(()),
        false => Err(no_such_group(name, key)),
    }
}

/// Changes a group of a stream, both of which exist.
pub(super) fn change_group<T>(
    call: &mut Call<'_>,
    key: &Bytes,
    name: &Bytes,
    change: impl FnOnce(&mut Group) -> T,
) -> Result<T, CmdError> {
    let group = call.edit_stream(key)?.groups_mut().get_mut(name);
    group.map(change).ok_or_else(|| no_such_group(name, key))
}

/// `$` is the last ID there is.
fn last_or(
    text: &[u8],
    last: StreamId,
    parse: fn(&[u8]) -> Result<StreamId, CmdError>,
) -> Result<StreamId, CmdError> {
    if text == b"$" { Ok(last) } else { parse(text) }
}

pub(crate) fn xgroup_create(call: &mut Call<'_>) -> Outcome {
    const EXISTS: CmdError = CmdError::fixed("BUSYGROUP Consumer Group name already exists");
    let options = Options::parse(call, true)?;
    let (key, name) = (&call.args[2], &call.args[3]);
    let found = call.look_as::<Stream>(key)?.map(|stream| stream.counters().last_id);
    if !options.makes_stream {
        stream(call)?;
    }
    if call.args.len() > 8 {
        return Err(unknown_form(call));
    }
    let id = last_or(&call.args[4], found.unwrap_or_default(), stream_id::strict)?;
    if found.is_none() {
        call.put(key, Stream::default().into_value(), None);
    } else if stream(call)?.groups().contains_key(name) {
        return Err(EXISTS);
    }
    let group = Group::new(id, options.entries_read);
    call.edit_stream(key)?.groups_mut().insert(name.clone(), group);
    call.count_stream_changes(usize::from(found.is_some()));
    call.notify(notify::STREAM, "xgroup-create", key);
    Ok(Reply::OK)
}

pub(crate) fn xgroup_setid(call: &mut Call<'_>) -> Outcome {
    let options = Options::parse(call, false)?;
    require_group(call)?;
    if call.args.len() > 7 {
        return Err(unknown_form(call));
    }
    let last = stream(call)?.counters().last_id;
    let id = last_or(&call.args[4], last, stream_id::any)?;
    let (key, name) = (&call.args[2], &call.args[3]);
    change_group(call, key, name, |group| {
        group.last_id = id;
        group.entries_read = options.entries_read;
    })?;
    call.count_stream_changes(1);
    call.notify(notify::STREAM, "xgroup-setid", key);
    Ok(Reply::OK)
}

pub(crate) fn xgroup_destroy(call: &mut Call<'_>) -> Outcome {
    let (key, name) = (&call.args[2], &call.args[3]);
    if !stream(call)?.groups().contains_key(name) {
        return Ok(Reply::Int(0));
    }
    call.edit_stream(key)?.groups_mut().remove(name);
    call.count_stream_changes(1);
    call.notify(notify::STREAM, "xgroup-destroy", key);
    // Those who wait for the group are told that it is gone.
    call.makes_ready(key);
    Ok(Reply::Int(1))
}

pub(crate) fn xgroup_createconsumer(call: &mut Call<'_>) -> Outcome {
    require_group(call)?;
    let (key, name, consumer, now) = (&call.args[2], &call.args[3], &call.args[4], call.now_ms());
    let exists = |group: &Group| group.consumers().contains_key(consumer);
    if stream(call)?.groups().get(name).is_some_and(exists) {
        return Ok(Reply::Int(0));
    }
    change_group(call, key, name, |group| group.add_consumer(consumer, now))?;
    call.count_stream_changes(1);
    call.notify(notify::STREAM, "xgroup-createconsumer", key);
    Ok(Reply::Int(1))
}

pub(crate) fn xgroup_delconsumer(call: &mut Call<'_>) -> Outcome {
    require_group(call)?;
    let (key, name, consumer) = (&call.args[2], &call.args[3], &call.args[4]);
    let exists = |group: &Group| group.consumers().contains_key(consumer);
    if !stream(call)?.groups().get(name).is_some_and(exists) {
        return Ok(Reply::Int(0));
    }
    let pending = change_group(call, key, name, |group| group.remove_consumer(consumer))?;
    call.count_stream_changes(1);
    call.notify(notify::STREAM, "xgroup-delconsumer", key);
    Ok(Reply::count(pending.unwrap_or(0)))
}

pub(crate) fn xgroup_help(_: &mut Call<'_>) -> Outcome {
    super::help_reply(help::XGROUP)
}

pub(crate) fn xack(call: &mut Call<'_>) -> Outcome {
    let (key, name) = (&call.args[1], &call.args[2]);
    let group = call.read_as::<Stream>(key)?.and_then(|stream| stream.groups().get(name));
    if group.is_none() {
        return Ok(Reply::Int(0));
    }
    let ids = call.rest(3).iter().map(|id| stream_id::strict(id)).collect::<Result<Vec<_>, _>>()?;
    let acknowledge = |group: &mut Group| ids.iter().filter_map(|id| group.acknowledge(*id)).count();
    let acknowledged = change_group(call, key, name, acknowledge)?;
    call.count_stream_changes(acknowledged);
    Ok(Reply::count(acknowledged))
}
