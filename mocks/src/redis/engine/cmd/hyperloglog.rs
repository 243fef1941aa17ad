//! Counting different elements by sketches, behaving as `hyperloglog.c` of Redis 7.0.

use bytes::{Bytes, BytesMut};
use rand::RngExt;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::hll::{self, Corrupted, REGISTERS};
use crate::redis::engine::notify::STRING;
use crate::redis::resp::Reply;
use crate::redis::store::{Entry, Str, Value};

impl From<Corrupted> for CmdError {
    fn from(_: Corrupted) -> Self {
        Self::fixed("INVALIDOBJ Corrupted HLL object detected")
    }
}

pub(crate) fn pfadd(call: &mut Call<'_>) -> Outcome {
    let (key, most_sparse) = (&call.args[1], most_sparse(call));
    let found = sketch_of(call.look(key))?;
    let (mut data, is_new) = (copy_of(found.as_ref()), found.is_none());
    let mut updates = usize::from(is_new);
    let mut outcome = Ok(());
    for element in call.rest(2) {
        match hll::add(&mut data, element, most_sparse) {
            Ok(raised) => updates += usize::from(raised),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    if outcome.is_err() {
        // What was added before the damage was met stays, uncounted.
        hold(call, key, data.freeze());
        return outcome.map(|()| Reply::OK).map_err(Into::into);
    }
    if updates > 0 {
        hll::invalidate(&mut data);
        write(call, key, data.freeze());
        call.notify(STRING, "pfadd", key);
    } else {
        hold(call, key, data.freeze());
    }
    Ok(Reply::flag(updates > 0))
}

pub(crate) fn pfcount(call: &mut Call<'_>) -> Outcome {
    let keys = call.rest(1);
    if let [key] = keys {
        return count_one(call, key);
    }
    let (registers, _) = merged(call, keys)?;
    Ok(number(hll::estimate(&registers)))
}

fn count_one(call: &mut Call<'_>, key: &Bytes) -> Outcome {
    let Some(found) = sketch_of(call.read(key))? else { return Ok(Reply::Int(0)) };
    if let Some(estimate) = hll::cached(&found) {
        hold(call, key, found);
        return Ok(number(estimate));
    }
    let estimate = hll::estimate(&hll::registers(&found)?);
    let mut data = BytesMut::from(&found[..]);
    hll::cache(&mut data, estimate);
    // The note of the estimate is part of the value, so this counts as a change.
    write(call, key, data.freeze());
    Ok(number(estimate))
}

pub(crate) fn pfmerge(call: &mut Call<'_>) -> Outcome {
    let (key, most_sparse) = (&call.args[1], most_sparse(call));
    let (registers, any_dense) = merged(call, call.rest(1))?;
    let mut data = copy_of(sketch_of(call.look(key))?.as_ref());
    if any_dense {
        hll::make_dense(&mut data)?;
    }
    for (index, value) in registers.into_iter().enumerate().filter(|(_, value)| *value > 0) {
        // The target was merged too, so it is whole.
        hll::raise(&mut data, index, value, most_sparse)?;
    }
    hll::invalidate(&mut data);
    write(call, key, data.freeze());
    call.notify(STRING, "pfadd", key);
    Ok(Reply::OK)
}

/// The highest registers of the sketches at these keys, and whether one of them is dense.
fn merged(call: &mut Call<'_>, keys: &[Bytes]) -> Result<(Vec<u8>, bool), CmdError> {
    let (mut highest, mut any_dense) = (vec![0; REGISTERS], false);
    for key in keys {
        let Some(data) = sketch_of(call.read(key))? else { continue };
        any_dense |= hll::is_dense(&data);
        for (highest, value) in highest.iter_mut().zip(hll::registers(&data)?) {
            *highest = value.max(*highest);
        }
    }
    Ok((highest, any_dense))
}

pub(crate) fn pfdebug(call: &mut Call<'_>) -> Outcome {
    const NO_KEY: CmdError = CmdError::fixed("ERR The specified key does not exist");
    const NOT_SPARSE: CmdError = CmdError::fixed("ERR HLL encoding is not sparse");
    let (word, key) = (&call.args[1], &call.args[2]);
    let found = sketch_of(call.look(key))?.ok_or(NO_KEY)?;
    hold(call, key, found.clone());
    if is(word, "getreg") {
        make_dense(call, key, &found)?;
        let registers = hll::registers(&found)?;
        return Ok(Reply::Array(registers.into_iter().map(|value| Reply::Int(value.into())).collect()));
    }
    if is(word, "decode") {
        return if hll::is_dense(&found) { Err(NOT_SPARSE) } else { Ok(Reply::bulk(hll::decoded(&found))) };
    }
    if is(word, "encoding") {
        return Ok(Reply::Status(if hll::is_dense(&found) { "dense" } else { "sparse" }.into()));
    }
    if is(word, "todense") {
        return Ok(Reply::flag(make_dense(call, key, &found)?));
    }
    Err(CmdError::new(format!("ERR Unknown PFDEBUG subcommand '{}'", String::from_utf8_lossy(word))))
}

/// Makes the sketch at a key dense; whether it was sparse.
fn make_dense(call: &mut Call<'_>, key: &Bytes, found: &Bytes) -> Result<bool, CmdError> {
    let mut data = BytesMut::from(&found[..]);
    let was_sparse = hll::make_dense(&mut data)?;
    if was_sparse {
        write(call, key, data.freeze());
    }
    Ok(was_sparse)
}

/// Elements the self-test adds; the real one adds ten million and takes seconds.
const TESTED: u64 = 100_000;

pub(crate) fn pfselftest(call: &mut Call<'_>) -> Outcome {
    let most_sparse = most_sparse(call);
    let seed: u64 = call.engine.rng.random();
    let (mut sparse, mut dense) = (hll::empty(), hll::empty());
    hll::make_dense(&mut dense)?;
    let mut checkpoint = 1;
    for number in 1..=TESTED {
        let element = (number ^ seed).to_le_bytes();
        hll::add(&mut sparse, &element, most_sparse)?;
        hll::add(&mut dense, &element, most_sparse)?;
        if number != checkpoint {
            continue;
        }
        checkpoint *= 10;
        let estimate = hll::estimate(&hll::registers(&dense)?);
        if estimate != hll::estimate(&hll::registers(&sparse)?) {
            return Err(CmdError::fixed("ERR TESTFAILED dense/sparse disagree"));
        }
        let error = number.abs_diff(estimate);
        // Six times the standard error of 1.04 / 128, rounded up.
        let most = if number == 10 { 1 } else { (number * 6 * 104).div_ceil(12_800) };
        if error > most {
            let text = format!("ERR TESTFAILED Too big error. card:{number} abserr:{error}");
            return Err(CmdError::new(text));
        }
    }
    Ok(Reply::OK)
}

/// The sketch that a key holds.
fn sketch_of(entry: Option<&Entry>) -> Result<Option<Bytes>, CmdError> {
    const NOT_A_SKETCH: CmdError = CmdError::fixed("WRONGTYPE Key is not a valid HyperLogLog string value.");
    match entry.map(|entry| &entry.value) {
        None => Ok(None),
        Some(Value::Str(text)) if hll::is_sketch(text.data()) => Ok(Some(text.to_bytes())),
        Some(Value::Str(_)) => Err(NOT_A_SKETCH),
        Some(_) => Err(CmdError::WRONG_TYPE),
    }
}

fn copy_of(found: Option<&Bytes>) -> BytesMut {
    found.map_or_else(hll::empty, |found| BytesMut::from(&found[..]))
}

/// Puts a sketch into its key, whose deadline stays.
fn write(call: &mut Call<'_>, key: &Bytes, data: Bytes) {
    let value = Value::Str(Str::raw(data));
    match call.edit(key) {
        Some(place) => *place = value,
        None => call.put(key, value, None),
    }
}

/// Keeps a sketch that did not change in the way the real server holds what it looked into.
fn hold(call: &mut Call<'_>, key: &Bytes, data: Bytes) {
    let db = call.db();
    if let Some(place) = call.engine.store.reshape(db, key) {
        *place = Value::Str(Str::raw(data));
    }
}

/// Bytes a sparse sketch may have.
fn most_sparse(call: &Call<'_>) -> usize {
    let bytes = call.engine.config.get("hll-sparse-max-bytes");
    bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(usize::MAX)
}

fn number(estimate: u64) -> Reply {
    Reply::Int(estimate.cast_signed())
}
