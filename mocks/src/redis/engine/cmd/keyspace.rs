//! Keys of any type, behaving as `db.c` of Redis 7.0.

use rand::RngExt;

use super::scan;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::{GENERIC, NEW_KEY};
use crate::redis::glob;
use crate::redis::resp::Reply;
use crate::redis::store::Blob;

pub(crate) fn del(call: &mut Call<'_>) -> Outcome {
    delete_keys(call, Some("lazyfree-lazy-user-del"))
}

pub(crate) fn unlink(call: &mut Call<'_>) -> Outcome {
    delete_keys(call, None)
}

/// Deletes keys; in a thread of its own, the real server would, if `parameter` says so or there is none.
fn delete_keys(call: &mut Call<'_>, parameter: Option<&str>) -> Outcome {
    let mut deleted = 0;
    for key in call.rest(1) {
        if let Some(entry) = call.take(key) {
            call.engine.note_freed(&entry.value, parameter);
            call.notify(GENERIC, "del", key);
            deleted += 1;
        }
    }
    Ok(Reply::count(deleted))
}

pub(crate) fn exists(call: &mut Call<'_>) -> Outcome {
    // A key named twice counts twice.
    let found = call.rest(1).iter().filter(|key| call.peek(key).is_some()).count();
    Ok(Reply::count(found))
}

pub(crate) fn touch(call: &mut Call<'_>) -> Outcome {
    let found = call.rest(1).iter().filter(|key| call.read(key).is_some()).count();
    Ok(Reply::count(found))
}

pub(crate) fn type_(call: &mut Call<'_>) -> Outcome {
    let name = call.peek(&call.args[1]).map_or("none", |entry| entry.value.type_name());
    Ok(Reply::Status(name.into()))
}

pub(crate) fn keys(call: &mut Call<'_>) -> Outcome {
    let (db, now) = (call.db(), call.now_ms());
    let live = call.engine.store.db(db).iter().filter(|(_, entry)| !entry.is_expired(now));
    let matching = live.filter(|(key, _)| glob::matches(&call.args[1], key));
    Ok(Reply::Array(matching.map(|(key, _)| Reply::Bulk(key.to_bytes())).collect()))
}

pub(crate) fn scan(call: &mut Call<'_>) -> Outcome {
    let options = scan::Options::parse(call, 1, true)?;
    let db = call.db();
    let (cursor, mut found) = call.engine.store.scan(db, options.cursor, options.count);
    found.retain(|key| options.matches(key));
    // Filtered first, since looking a key up deletes it if it is expired.
    found.retain(|key| {
        let kind = call.look(key).map(|entry| entry.value.type_name());
        kind.is_some_and(|kind| options.kind.is_none_or(|wanted| is(wanted, kind)))
    });
    Ok(scan::page(cursor, found.into_iter().map(Reply::Bulk).collect()))
}

pub(crate) fn randomkey(call: &mut Call<'_>) -> Outcome {
    const MOST_TRIES: usize = 100;
    let db = call.db();
    // Each round that finds an expired key deletes it, so this ends. A replica deletes none, and names one that
    // is gone if it finds no other.
    for tries in 1.. {
        let count = call.engine.store.db(db).len();
        if count == 0 {
            return Ok(Reply::Null);
        }
        let at = call.engine.rng.random_range(0..count);
        let Some(key) = call.engine.store.db(db).key_at(at).map(Blob::to_bytes) else {
            return Ok(Reply::Null);
        };
        let gives_up = tries == MOST_TRIES && !call.engine.store.deletes_overdue();
        if call.look(&key).is_some() || gives_up {
            return Ok(Reply::Bulk(key));
        }
    }
    Ok(Reply::Null)
}

pub(crate) fn rename(call: &mut Call<'_>) -> Outcome {
    rename_key(call, false)
}

pub(crate) fn renamenx(call: &mut Call<'_>) -> Outcome {
    rename_key(call, true)
}

fn rename_key(call: &mut Call<'_>, only_if_absent: bool) -> Outcome {
    let (from, to) = (&call.args[1], &call.args[2]);
    if call.look(from).is_none() {
        return Err(CmdError::NO_KEY);
    }
    if from == to {
        return Ok(if only_if_absent { Reply::Int(0) } else { Reply::OK });
    }
    if call.look(to).is_some() && only_if_absent {
        return Ok(Reply::Int(0));
    }
    let db = call.db();
    if let Some(entry) = call.engine.store.remove(db, from) {
        // The source's deadline, or its absence, replaces the target's.
        // An old target is deleted before, so that the key counts as new.
        call.engine.store.remove(db, to);
        call.put(to, entry.value, entry.deadline_ms);
        call.notify(GENERIC, "rename_from", from);
        call.notify(GENERIC, "rename_to", to);
    }
    Ok(if only_if_absent { Reply::Int(1) } else { Reply::OK })
}

pub(crate) fn move_(call: &mut Call<'_>) -> Outcome {
    if call.engine.cluster.is_some() {
        return Err(CmdError::fixed("ERR MOVE is not allowed in cluster mode"));
    }
    let key = &call.args[1];
    let (from, now) = (call.db(), call.now_ms());
    let to = database(call, call.integer(2)?).ok_or(CmdError::INDEX)?;
    if from == to {
        return Err(CmdError::SAME_OBJECT);
    }
    if call.look(key).is_none() || call.engine.store.get(to, key, now).is_some() {
        return Ok(Reply::Int(0));
    }
    if let Some(entry) = call.engine.store.remove(from, key) {
        call.engine.store.put(to, key, entry.value, entry.deadline_ms, now);
        call.engine.notify(NEW_KEY, "new", to, key);
        call.engine.notify(GENERIC, "move_from", from, key);
        call.engine.notify(GENERIC, "move_to", to, key);
    }
    Ok(Reply::Int(1))
}

pub(crate) fn copy(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (&call.args[1], &call.args[2]);
    let (db, now) = (call.db(), call.now_ms());
    let (mut target, mut replace) = (db, false);
    let mut rest = call.rest(3).iter();
    while let Some(word) = rest.next() {
        if is(word, "replace") {
            replace = true;
        } else if is(word, "db") {
            let number = rest.next().ok_or(CmdError::SYNTAX)?;
            let number = crate::redis::engine::number::strict_i64(number).ok_or(CmdError::NOT_INTEGER)?;
            target = database(call, number).ok_or(CmdError::INDEX)?;
        } else {
            return Err(CmdError::SYNTAX);
        }
    }
    if target != 0 && call.engine.cluster.is_some() {
        return Err(CmdError::fixed("ERR Copying to another database is not allowed in cluster mode"));
    }
    if from == to && db == target {
        return Err(CmdError::SAME_OBJECT);
    }
    let Some(entry) = call.read(from).cloned() else { return Ok(Reply::Int(0)) };
    if call.engine.store.get(target, to, now).is_some() && !replace {
        return Ok(Reply::Int(0));
    }
    call.engine.store.put(target, to, entry.value, entry.deadline_ms, now);
    call.engine.notify(NEW_KEY, "new", target, to);
    call.engine.notify(GENERIC, "copy_to", target, to);
    Ok(Reply::Int(1))
}

/// A database number that exists.
pub(super) fn database(call: &Call<'_>, number: i64) -> Option<usize> {
    usize::try_from(number).ok().filter(|number| *number < call.engine.store.databases())
}
