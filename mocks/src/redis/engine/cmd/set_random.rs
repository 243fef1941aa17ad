//! `SPOP` and `SRANDMEMBER`: members of a set by chance, drawn from the server's seed.

use bytes::Bytes;

use super::random;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::SET;
use crate::redis::resp::Reply;
use crate::redis::store::Set;

pub(crate) fn srandmember(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    let mut rng = call.engine.rng.clone();
    let reply = match call.rest(2) {
        [] => {
            let Some(set) = call.read_as::<Set>(key)? else { return Ok(Reply::Null) };
            Reply::bulk_or_null(set.at(random::one(&mut rng, set.len())))
        }
        [count] => {
            let count = random::count(count)?;
            let Some(set) = call.read_as::<Set>(key)? else { return Ok(Reply::Array(Vec::new())) };
            let chosen = random::several(&mut rng, set.len(), count)?;
            Reply::bulks(chosen.into_iter().filter_map(|at| set.at(at)))
        }
        _ => return Err(CmdError::SYNTAX),
    };
    call.engine.rng = rng;
    Ok(reply)
}

pub(crate) fn spop(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    let mut rng = call.engine.rng.clone();
    let count = call.optional_count(2, CmdError::SYNTAX)?;
    let Some(set) = call.look_as::<Set>(key)? else {
        return Ok(if count.is_some() { Reply::Set(Vec::new()) } else { Reply::Null });
    };
    let length = set.len();
    let wanted = i64::try_from(count.unwrap_or(1)).unwrap_or(i64::MAX);
    let chosen: Vec<Bytes> =
        random::several(&mut rng, length, wanted)?.into_iter().filter_map(|at| set.at(at)).collect();
    call.engine.rng = rng;
    if !chosen.is_empty() {
        // A replica would draw others.
        let all = count.is_some() && chosen.len() == length;
        let members = chosen.iter().filter(|_| !all).cloned();
        let name = Bytes::from_static(if all { b"del" } else { b"srem" });
        call.replicate([name, key.clone()].into_iter().chain(members).collect());
        take(call, key, &chosen, length, count.is_some())?;
        call.notify_change(SET, "spop", key);
    }
    Ok(match count {
        None => Reply::bulk_or_null(chosen.into_iter().next()),
        Some(_) => Reply::Set(chosen.into_iter().map(Reply::Bulk).collect()),
    })
}

/// Removes members. Where few of many remain, the real server makes a new set of them, which may be one of
/// integers again.
fn take(
    call: &mut Call<'_>,
    key: &Bytes,
    members: &[Bytes],
    length: usize,
    counted: bool,
) -> Result<(), CmdError> {
    let most = call.engine.config.set_integers;
    let remaining = length - members.len();
    call.change(key, |set: &mut Set| {
        for member in members {
            set.remove(member);
        }
        if counted && remaining > 0 && remaining * 5 <= members.len() {
            let rest: Vec<Bytes> = set.iter().collect();
            *set = Set::default();
            for member in rest {
                set.add(member, most);
            }
        }
    })
}
