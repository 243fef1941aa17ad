//! `HSCAN` and `HRANDFIELD`: visiting fields of a hash in part or by chance.
//!
//! A small hash is scanned in one step whatever `COUNT` says, as a listpack is. A large one is visited in the
//! order of the fields' hashes, with the same guarantees as `SCAN`; each step costs the size of the hash.

use super::{random, scan};
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::hash_fields::Drops;
use crate::redis::resp::Reply;
use crate::redis::store::Hash;

pub(crate) fn hscan(call: &mut Call<'_>) -> Outcome {
    scan::cursor(&call.args[2])?;
    // A missing key ends the scan before the options are looked at.
    if call.read_as::<Hash>(&call.args[1])?.is_none() {
        return Ok(scan::page(0, Vec::new()));
    }
    let options = scan::Options::parse(call, 2, false)?;
    let Some(hash) = call.look_hash(&call.args[1])? else { return Ok(scan::page(0, Vec::new())) };
    let (cursor, found) =
        if hash.is_table() { options.step(hash.iter(), |pair| pair.0) } else { (0, hash.iter().collect()) };
    let matching = found.into_iter().filter(|(field, _)| options.matches(field));
    let items = matching.flat_map(|(field, value)| [Reply::Bulk(field.clone()), Reply::Bulk(value.clone())]);
    Ok(scan::page(cursor, items.collect()))
}

pub(crate) fn hrandfield(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    let mut rng = call.engine.rng.clone();
    let Some(count) = call.args.get(2) else {
        let Some(hash) = call.read_hash(key, Drops::All)? else { return Ok(Reply::Null) };
        let field = hash.at(random::one(&mut rng, hash.len())).map(|(field, _)| field.clone());
        call.engine.rng = rng;
        return Ok(Reply::bulk_or_null(field));
    };
    let (count, with_values) = random::count_and_word(count, call.rest(3), "withvalues")?;
    let pairs_nest = call.protocol() >= 3;
    let Some(hash) = call.read_hash(key, Drops::All)? else { return Ok(Reply::Array(Vec::new())) };
    let chosen = random::several(&mut rng, hash.len(), count)?;
    let pairs = chosen.into_iter().filter_map(|at| hash.at(at));
    let pairs = pairs.map(|(field, value)| (Reply::Bulk(field.clone()), Reply::Bulk(value.clone())));
    let reply = random::pairs(pairs, with_values, pairs_nest);
    call.engine.rng = rng;
    Ok(reply)
}
