//! Members of sorted sets as positions on the earth, behaving as `geo.c` of Redis 7.0. Searches are next door.
//!
//! A position is the score of its member, so everything that works on sorted sets works on these.

use bytes::Bytes;

use super::zset;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::geohash::{LATITUDES, LONGITUDES, Position};
use crate::redis::engine::number::{human, score};
use crate::redis::resp::Reply;
use crate::redis::store::Zset;

pub(crate) fn geoadd(call: &mut Call<'_>) -> Outcome {
    let is_option = |word: &&Bytes| ["nx", "xx", "ch"].iter().any(|option| is(word, option));
    let options = call.rest(2).iter().take_while(is_option).count();
    let (options, items) = call.rest(2).split_at(options);
    let has = |wanted| options.iter().any(|word| is(word, wanted));
    if !items.len().is_multiple_of(3) || has("nx") && has("xx") {
        return Err(CmdError::SYNTAX);
    }
    let mut args = vec![Bytes::from_static(b"zadd"), call.args[1].clone()];
    args.extend_from_slice(options);
    for item in items.chunks_exact(3) {
        let score = position(&item[0], &item[1])?.score();
        args.extend([Bytes::from(score.to_string()), item[2].clone()]);
    }
    zset::zadd(&mut Call { engine: &mut *call.engine, client: call.client, spec: call.spec, args: &args })
}

/// A position given as longitude and latitude.
pub(super) fn position(longitude: &[u8], latitude: &[u8]) -> Result<Position, CmdError> {
    let number = |text| score(text).ok_or(CmdError::NOT_FLOAT);
    let (longitude, latitude) = (number(longitude)?, number(latitude)?);
    if LONGITUDES.contains(longitude) && LATITUDES.contains(latitude) {
        return Ok(Position { longitude, latitude });
    }
    Err(CmdError::new(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// Metres in a unit of length.
pub(super) fn metres_in(unit: &[u8]) -> Result<f64, CmdError> {
    const UNKNOWN: CmdError = CmdError::fixed("ERR unsupported unit provided. please use M, KM, FT, MI");
    match unit {
        unit if is(unit, "m") => Ok(1.0),
        unit if is(unit, "km") => Ok(1000.0),
        unit if is(unit, "ft") => Ok(0.3048),
        unit if is(unit, "mi") => Ok(1609.34),
        _ => Err(UNKNOWN),
    }
}

pub(crate) fn geodist(call: &mut Call<'_>) -> Outcome {
    let (from, to) = (&call.args[2], &call.args[3]);
    let metres = match call.rest(4) {
        [] => 1.0,
        [unit] => metres_in(unit)?,
        _ => return Err(CmdError::SYNTAX),
    };
    let Some(zset) = call.read_as::<Zset>(&call.args[1])? else { return Ok(Reply::Null) };
    let (Some(from), Some(to)) = (zset.score(from), zset.score(to)) else { return Ok(Reply::Null) };
    Ok(distance(Position::of_score(from).metres_to(Position::of_score(to)) / metres))
}

/// A distance with four decimals, a string in either version of the protocol.
pub(super) fn distance(length: f64) -> Reply {
    #[expect(clippy::cast_possible_truncation, reason = "what has no integer becomes the smallest")]
    let scaled = match (length * 10_000.0).round_ties_even() {
        scaled if scaled.abs() < 9.2e18 => scaled as i64,
        _ => i64::MIN,
    };
    let (sign, digits) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
    Reply::bulk(format!("{sign}{}.{:04}", digits / 10_000, digits % 10_000))
}

/// Longitude and latitude, as numbers with up to 17 decimals.
pub(super) fn coordinates(position: Position) -> Reply {
    let number = |degrees| Reply::Decimal(Bytes::from(human(degrees)));
    Reply::Array(vec![number(position.longitude), number(position.latitude)])
}

pub(crate) fn geohash(call: &mut Call<'_>) -> Outcome {
    of_members(call, |position| Reply::bulk(position.geohash()), &Reply::Null)
}

pub(crate) fn geopos(call: &mut Call<'_>) -> Outcome {
    of_members(call, coordinates, &Reply::NullArray)
}

fn of_members(call: &mut Call<'_>, answer: fn(Position) -> Reply, missing: &Reply) -> Outcome {
    let members = call.rest(2);
    let zset = call.read_as::<Zset>(&call.args[1])?;
    let of = |member| match zset.and_then(|zset| zset.score(member)) {
        Some(score) => answer(Position::of_score(score)),
        None => missing.clone(),
    };
    Ok(Reply::Array(members.iter().map(of).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_has_four_decimals_rounded_to_even() {
        for (length, text) in
            [(0.0, "0.0000"), (0.000_05, "0.0000"), (1.000_15, "1.0002"), (166_274.151_6, "166274.1516")]
        {
            assert_eq!(distance(length), Reply::bulk(text));
        }
    }
}
