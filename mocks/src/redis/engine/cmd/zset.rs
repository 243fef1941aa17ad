//! Sorted sets, member by member, behaving as `t_zset.c` of Redis 7.0. One whose last member is removed is gone.
//!
//! Blocking forms are not here.

use bytes::Bytes;

use super::scan;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::ZSET;
use crate::redis::engine::number::{general, packed_score, score};
use crate::redis::resp::Reply;
use crate::redis::store::Zset;

pub(crate) use super::zset_algebra::{
    zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore,
};
pub(crate) use super::zset_pop::{zmpop, zpopmax, zpopmin, zrandmember};
pub(crate) use super::zset_range::{
    zcount, zlexcount, zrange, zrangebylex, zrangebyscore, zrangestore, zremrangebylex, zremrangebyrank,
    zremrangebyscore, zrevrange, zrevrangebylex, zrevrangebyscore,
};

/// What `ZADD` can be told.
#[derive(Default)]
struct Options {
    only_if_absent: bool,
    only_if_present: bool,
    only_if_greater: bool,
    only_if_less: bool,
    counts_changed: bool,
    increments: bool,
}

/// What one member and score lead to.
enum Step {
    Nothing,
    Set { score: f64, is_new: bool, changes: bool },
}

impl Options {
    /// The options, and how many words they are.
    fn parse(words: &[Bytes]) -> (Self, usize) {
        let mut options = Self::default();
        let mut count = 0;
        for word in words {
            match word {
                word if is(word, "nx") => options.only_if_absent = true,
                word if is(word, "xx") => options.only_if_present = true,
                word if is(word, "gt") => options.only_if_greater = true,
                word if is(word, "lt") => options.only_if_less = true,
                word if is(word, "ch") => options.counts_changed = true,
                word if is(word, "incr") => options.increments = true,
                _ => break,
            }
            count += 1;
        }
        (options, count)
    }

    fn check(&self, arguments: usize) -> Result<(), CmdError> {
        const NX_XX: CmdError = CmdError::fixed("ERR XX and NX options at the same time are not compatible");
        const GT_LT: CmdError =
            CmdError::fixed("ERR GT, LT, and/or NX options at the same time are not compatible");
        const ONE_PAIR: CmdError =
            CmdError::fixed("ERR INCR option supports a single increment-element pair");
        let exclusive = [self.only_if_absent, self.only_if_greater, self.only_if_less];
        if arguments == 0 || !arguments.is_multiple_of(2) {
            Err(CmdError::SYNTAX)
        } else if self.only_if_absent && self.only_if_present {
            Err(NX_XX)
        } else if exclusive.into_iter().filter(|set| *set).count() > 1 {
            Err(GT_LT)
        } else if self.increments && arguments > 2 {
            Err(ONE_PAIR)
        } else {
            Ok(())
        }
    }

    fn step(&self, before: Option<f64>, number: f64) -> Result<Step, CmdError> {
        let Some(before) = before else {
            let new = Step::Set { score: number, is_new: true, changes: true };
            return Ok(if self.only_if_present { Step::Nothing } else { new });
        };
        if self.only_if_absent {
            return Ok(Step::Nothing);
        }
        let score = if self.increments { before + number } else { number };
        if score.is_nan() {
            return Err(CmdError::fixed("ERR resulting score is not a number (NaN)"));
        }
        if self.only_if_less && score >= before || self.only_if_greater && score <= before {
            return Ok(Step::Nothing);
        }
        Ok(Step::Set { score, is_new: false, changes: score != before })
    }
}

pub(crate) fn zadd(call: &mut Call<'_>) -> Outcome {
    let (options, count) = Options::parse(call.rest(2));
    add(call, &options, call.rest(2 + count))
}

pub(crate) fn zincrby(call: &mut Call<'_>) -> Outcome {
    add(call, &Options { increments: true, ..Options::default() }, call.rest(2))
}

fn add(call: &mut Call<'_>, options: &Options, arguments: &[Bytes]) -> Outcome {
    let (key, limits) = (&call.args[1], call.engine.config.zset_listpack);
    options.check(arguments.len())?;
    let pair = |pair: &[Bytes]| Ok((score(&pair[0]).ok_or(CmdError::NOT_FLOAT)?, pair[1].clone()));
    let pairs = arguments.chunks_exact(2).map(pair).collect::<Result<Vec<(f64, Bytes)>, CmdError>>()?;
    let zset = call.look_as::<Zset>(key)?;
    let mut changes = false;
    let mut last = None;
    for (number, member) in &pairs {
        if let Step::Set { score, changes: this, .. } =
            options.step(zset.and_then(|zset| zset.score(member)), *number)?
        {
            changes |= this;
            last = Some(score);
        }
    }
    let (mut added, mut changed) = (0, 0);
    if changes {
        call.change(key, |zset: &mut Zset| {
            for (number, member) in pairs {
                let step = options.step(zset.score(&member), number);
                if let Ok(Step::Set { score, is_new, changes: true }) = step {
                    zset.set(member, score, limits);
                    added += usize::from(is_new);
                    changed += 1;
                }
            }
        })?;
        call.notify(ZSET, if options.increments { "zincr" } else { "zadd" }, key);
    }
    Ok(match last {
        last if options.increments => last.map_or(Reply::Null, Reply::Double),
        _ if options.counts_changed => Reply::count(changed),
        _ => Reply::count(added),
    })
}

pub(crate) fn zrem(call: &mut Call<'_>) -> Outcome {
    let (key, members) = (&call.args[1], call.rest(2));
    let zset = call.look_as::<Zset>(key)?;
    if !zset.is_some_and(|zset| members.iter().any(|member| zset.score(member).is_some())) {
        return Ok(Reply::Int(0));
    }
    let remove = |zset: &mut Zset| members.iter().filter(|member| zset.remove(member)).count();
    let removed = call.change(key, remove)?;
    call.notify_change(ZSET, "zrem", key);
    Ok(Reply::count(removed))
}

pub(crate) fn zcard(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.read_as::<Zset>(&call.args[1])?.map_or(0, Zset::len)))
}

pub(crate) fn zscore(call: &mut Call<'_>) -> Outcome {
    let member = &call.args[2];
    let zset = call.read_as::<Zset>(&call.args[1])?;
    Ok(zset.and_then(|zset| zset.score(member)).map_or(Reply::Null, Reply::Double))
}

pub(crate) fn zmscore(call: &mut Call<'_>) -> Outcome {
    let members = call.rest(2);
    let zset = call.read_as::<Zset>(&call.args[1])?;
    let score = |member| zset.and_then(|zset| zset.score(member)).map_or(Reply::Null, Reply::Double);
    Ok(Reply::Array(members.iter().map(score).collect()))
}

pub(crate) fn zrank(call: &mut Call<'_>) -> Outcome {
    let member = &call.args[2];
    let rank = call.read_as::<Zset>(&call.args[1])?.and_then(|zset| zset.rank(member));
    Ok(rank.map_or(Reply::Null, Reply::count))
}

pub(crate) fn zrevrank(call: &mut Call<'_>) -> Outcome {
    let member = &call.args[2];
    let zset = call.read_as::<Zset>(&call.args[1])?;
    let rank = zset.and_then(|zset| Some(zset.len() - 1 - zset.rank(member)?));
    Ok(rank.map_or(Reply::Null, Reply::count))
}

pub(crate) fn zscan(call: &mut Call<'_>) -> Outcome {
    scan::cursor(&call.args[2])?;
    // A missing key ends the scan before the options are looked at.
    if call.read_as::<Zset>(&call.args[1])?.is_none() {
        return Ok(scan::page(0, Vec::new()));
    }
    let options = scan::Options::parse(call, 2, false)?;
    let Some(zset) = call.look_as::<Zset>(&call.args[1])? else { return Err(CmdError::WRONG_TYPE) };
    let all = zset.all();
    let (cursor, found) =
        if zset.is_table() { options.step(all.into_iter(), |item| &item.member) } else { (0, all) };
    let is_table = zset.is_table();
    let text = |score| if is_table { general(score) } else { packed_score(score) };
    let matching = found.into_iter().filter(|item| options.matches(&item.member));
    let items = matching.flat_map(|item| [Reply::Bulk(item.member.clone()), Reply::bulk(text(item.score))]);
    Ok(scan::page(cursor, items.collect()))
}
