//! Hashes, behaving as `t_hash.c` of Redis 7.0, and of 7.4 where fields have
//! deadlines. A hash whose last field is removed is gone, deadline and all.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::hash_fields::Drops;
use crate::redis::engine::notify::HASH;
use crate::redis::engine::number::{add_floats, float, strict_i64};
use crate::redis::resp::Reply;
use crate::redis::store::Hash;

pub(crate) use super::hash_scan::{hrandfield, hscan};

pub(crate) fn hset(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(set_pairs(call)?))
}

pub(crate) fn hmset(call: &mut Call<'_>) -> Outcome {
    set_pairs(call)?;
    Ok(Reply::OK)
}

/// Sets fields; how many are new.
fn set_pairs(call: &mut Call<'_>) -> Result<usize, CmdError> {
    let (key, pairs) = (&call.args[1], call.rest(2));
    if !pairs.len().is_multiple_of(2) {
        return Err(CmdError::wrong_arity(call.spec.name));
    }
    let limits = call.engine.config.hash_listpack;
    let count = call.change(key, |hash: &mut Hash| {
        pairs.chunks_exact(2).filter(|pair| hash.set(pair[0].clone(), pair[1].clone(), limits)).count()
    })?;
    call.notify(HASH, "hset", key);
    Ok(count)
}

pub(crate) fn hsetnx(call: &mut Call<'_>) -> Outcome {
    let (key, field, value) = (&call.args[1], &call.args[2], &call.args[3]);
    if call.field_to_change(key, field)?.is_some() {
        return Ok(Reply::Int(0));
    }
    set_field(call, key, field, value.clone())?;
    call.answers_first();
    call.notify(HASH, "hset", key);
    Ok(Reply::Int(1))
}

pub(crate) fn hget(call: &mut Call<'_>) -> Outcome {
    let field = &call.args[2];
    let hash = call.read_hash(&call.args[1], Drops::Named(std::slice::from_ref(field)))?;
    Ok(Reply::bulk_or_null(hash.and_then(|hash| hash.get(field).cloned())))
}

pub(crate) fn hmget(call: &mut Call<'_>) -> Outcome {
    let fields = call.rest(2);
    let hash = call.read_hash(&call.args[1], Drops::Named(fields))?;
    let value = |field| Reply::bulk_or_null(hash.as_ref().and_then(|hash| hash.get(field)).cloned());
    Ok(Reply::Array(fields.iter().map(value).collect()))
}

pub(crate) fn hdel(call: &mut Call<'_>) -> Outcome {
    let (key, fields) = (&call.args[1], call.rest(2));
    let Some(hash) = call.look_as::<Hash>(key)? else { return Ok(Reply::Int(0)) };
    if !fields.iter().any(|field| hash.get(field).is_some()) {
        return Ok(Reply::Int(0));
    }
    let remove = |hash: &mut Hash| fields.iter().filter(|field| hash.remove(field)).count();
    let removed = call.change(key, remove)?;
    call.notify_change(HASH, "hdel", key);
    Ok(Reply::count(removed))
}

pub(crate) fn hexists(call: &mut Call<'_>) -> Outcome {
    let field = &call.args[2];
    let hash = call.read_hash(&call.args[1], Drops::Named(std::slice::from_ref(field)))?;
    Ok(Reply::flag(hash.is_some_and(|hash| hash.get(field).is_some())))
}

pub(crate) fn hlen(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.read_as::<Hash>(&call.args[1])?.map_or(0, Hash::len)))
}

pub(crate) fn hstrlen(call: &mut Call<'_>) -> Outcome {
    let field = &call.args[2];
    let hash = call.read_hash(&call.args[1], Drops::Named(std::slice::from_ref(field)))?;
    Ok(Reply::count(hash.and_then(|hash| hash.get(field).map(Bytes::len)).unwrap_or(0)))
}

pub(crate) fn hgetall(call: &mut Call<'_>) -> Outcome {
    let hash = call.read_hash(&call.args[1], Drops::Nothing)?;
    let pairs =
        hash.as_ref().map(|hash| hash.iter().map(|(f, v)| (Reply::Bulk(f.clone()), Reply::Bulk(v.clone()))));
    Ok(Reply::Map(pairs.map(Iterator::collect).unwrap_or_default()))
}

pub(crate) fn hkeys(call: &mut Call<'_>) -> Outcome {
    let hash = call.read_hash(&call.args[1], Drops::Nothing)?;
    let fields = hash.as_ref().map(|hash| hash.iter().map(|(field, _)| Reply::Bulk(field.clone())).collect());
    Ok(Reply::Array(fields.unwrap_or_default()))
}

pub(crate) fn hvals(call: &mut Call<'_>) -> Outcome {
    let hash = call.read_hash(&call.args[1], Drops::Nothing)?;
    let values = hash.as_ref().map(|hash| hash.iter().map(|(_, value)| Reply::Bulk(value.clone())).collect());
    Ok(Reply::Array(values.unwrap_or_default()))
}

pub(crate) fn hincrby(call: &mut Call<'_>) -> Outcome {
    let (key, field) = (&call.args[1], &call.args[2]);
    let by = call.integer(3)?;
    let before = call.field_to_change(key, field)?;
    let number = before.map_or(Some(0), |text| strict_i64(&text));
    let number = number.ok_or(CmdError::fixed("ERR hash value is not an integer"))?;
    let sum = number.checked_add(by).ok_or(CmdError::OVERFLOW)?;
    set_field(call, key, field, Bytes::from(sum.to_string()))?;
    call.notify(HASH, "hincrby", key);
    Ok(Reply::Int(sum))
}

pub(crate) fn hincrbyfloat(call: &mut Call<'_>) -> Outcome {
    let (key, field, by) = (&call.args[1], &call.args[2], &call.args[3]);
    let increment = float(by).ok_or(CmdError::NOT_FLOAT)?;
    if !increment.is_finite() {
        return Err(CmdError::fixed("ERR value is NaN or Infinity"));
    }
    let before = call.field_to_change(key, field)?.unwrap_or(Bytes::from_static(b"0"));
    float(&before).ok_or(CmdError::fixed("ERR hash value is not a float"))?;
    let sum =
        add_floats(&before, by).ok_or(CmdError::fixed("ERR increment would produce NaN or Infinity"))?;
    let sum = Bytes::from(sum);
    set_field(call, key, field, sum.clone())?;
    call.notify(HASH, "hincrbyfloat", key);
    Ok(Reply::Bulk(sum))
}

fn set_field(call: &mut Call<'_>, key: &Bytes, field: &Bytes, value: Bytes) -> Result<(), CmdError> {
    let limits = call.engine.config.hash_listpack;
    call.change(key, |hash: &mut Hash| {
        hash.replace(field.clone(), value, limits);
    })
}
