//! Sets, one key at a time, behaving as `t_set.c` of Redis 7.0. A set whose last member is removed is gone.

use bytes::Bytes;

use super::scan;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::SET;
use crate::redis::resp::Reply;
use crate::redis::store::Set;

pub(crate) use super::set_algebra::{
    sdiff, sdiffstore, sinter, sintercard, sinterstore, smembers, sunion, sunionstore,
};
pub(crate) use super::set_random::{spop, srandmember};

pub(crate) fn sadd(call: &mut Call<'_>) -> Outcome {
    let (key, members) = (&call.args[1], call.rest(2));
    let most = call.engine.config.set_integers;
    let set = call.look_as::<Set>(key)?;
    if set.is_some_and(|set| members.iter().all(|member| set.contains(member))) {
        return Ok(Reply::Int(0));
    }
    let add = |set: &mut Set| members.iter().filter(|member| set.add((*member).clone(), most)).count();
    let added = call.change(key, add)?;
    call.notify(SET, "sadd", key);
    Ok(Reply::count(added))
}

pub(crate) fn srem(call: &mut Call<'_>) -> Outcome {
    let (key, members) = (&call.args[1], call.rest(2));
    let set = call.look_as::<Set>(key)?;
    if !set.is_some_and(|set| members.iter().any(|member| set.contains(member))) {
        return Ok(Reply::Int(0));
    }
    let remove = |set: &mut Set| members.iter().filter(|member| set.remove(member)).count();
    let removed = call.change(key, remove)?;
    call.notify_change(SET, "srem", key);
    Ok(Reply::count(removed))
}

pub(crate) fn smove(call: &mut Call<'_>) -> Outcome {
    let (from, to, member) = (&call.args[1], &call.args[2], &call.args[3]);
    let most = call.engine.config.set_integers;
    // A missing source answers before the target's type is looked at.
    let Some(source) = call.look_as::<Set>(from)? else { return Ok(Reply::Int(0)) };
    let present = source.contains(member);
    let known = call.look_as::<Set>(to)?.is_some_and(|set| set.contains(member));
    if from == to || !present {
        return Ok(Reply::flag(present));
    }
    call.change(from, |set: &mut Set| set.remove(member))?;
    call.notify_change(SET, "srem", from);
    if !known {
        call.change(to, |set: &mut Set| set.add(member.clone(), most))?;
        call.notify(SET, "sadd", to);
    }
    Ok(Reply::Int(1))
}

pub(crate) fn sismember(call: &mut Call<'_>) -> Outcome {
    let member = &call.args[2];
    Ok(Reply::flag(call.read_as::<Set>(&call.args[1])?.is_some_and(|set| set.contains(member))))
}

pub(crate) fn smismember(call: &mut Call<'_>) -> Outcome {
    let members = call.rest(2);
    let set = call.read_as::<Set>(&call.args[1])?;
    let is_member = |member: &Bytes| Reply::flag(set.is_some_and(|set| set.contains(member)));
    Ok(Reply::Array(members.iter().map(is_member).collect()))
}

pub(crate) fn scard(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.read_as::<Set>(&call.args[1])?.map_or(0, Set::len)))
}

pub(crate) fn sscan(call: &mut Call<'_>) -> Outcome {
    scan::cursor(&call.args[2])?;
    // A missing key ends the scan before the options are looked at.
    if call.read_as::<Set>(&call.args[1])?.is_none() {
        return Ok(scan::page(0, Vec::new()));
    }
    let options = scan::Options::parse(call, 2, false)?;
    let Some(set) = call.look_as::<Set>(&call.args[1])? else { return Err(CmdError::WRONG_TYPE) };
    let (cursor, mut found) =
        if set.is_table() { options.step(set.iter(), |member| member) } else { (0, set.iter().collect()) };
    found.retain(|member| options.matches(member));
    Ok(scan::page(cursor, found.into_iter().map(Reply::Bulk).collect()))
}
