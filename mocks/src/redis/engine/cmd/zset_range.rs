//! Ranges of sorted sets: by rank, by score and by name, behaving as `t_zset.c` of Redis 7.0.
//!
//! Ranges by name are meant for members of one score. On others the real server's answer depends on how it
//! holds the set; for a listpack that is followed, for a skiplist it is not.

use bytes::Bytes;

use super::list::positions;
use super::zset_bounds::{Names, Scores};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::ZSET;
use crate::redis::engine::number::strict_i64;
use crate::redis::resp::Reply;
use crate::redis::store::{Scored, Zset};

/// What a range goes by.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Rank,
    Score,
    Name,
}

/// A range, read from two arguments.
enum Range {
    Rank(i64, i64),
    Score(Scores),
    Name(Names),
}

/// What is left out of a range, counted from where it starts; a negative `most` is no limit.
#[derive(Clone, Copy)]
struct Limit {
    offset: i64,
    most: i64,
}

impl Limit {
    const NONE: Self = Self { offset: 0, most: -1 };

    fn most(self) -> usize {
        usize::try_from(self.most).unwrap_or(usize::MAX)
    }

    /// A negative offset skips everything.
    fn skipped(self) -> usize {
        usize::try_from(self.offset).unwrap_or(usize::MAX)
    }
}

impl Range {
    fn parse(by: By, min: &[u8], max: &[u8]) -> Result<Self, CmdError> {
        match by {
            By::Rank => {
                let number = |text| strict_i64(text).ok_or(CmdError::NOT_INTEGER);
                Ok(Self::Rank(number(min)?, number(max)?))
            }
            By::Score => Scores::parse(min, max).map(Self::Score),
            By::Name => Names::parse(min, max).map(Self::Name),
        }
    }

    /// The members in the range, from its low end, or from its high end if `reverse`.
    fn of(&self, zset: &Zset, reverse: bool, limit: Limit) -> Vec<Scored> {
        let (low, high) = match self {
            Self::Rank(start, end) => {
                let found = positions(*start, *end, zset.len());
                let last = zset.len();
                if reverse { (last - found.end, last - found.start) } else { (found.start, found.end) }
            }
            Self::Score(scores) => scores.span(zset),
            Self::Name(names) if zset.is_table() => names.span(zset),
            Self::Name(names) => return walk(names, zset, reverse, limit),
        };
        let count = high.saturating_sub(low);
        let skipped = limit.skipped().min(count);
        let count = (count - skipped).min(limit.most());
        if count == 0 {
            return Vec::new();
        }
        let first = if reverse { high - skipped - count } else { low + skipped };
        let mut found: Vec<Scored> = zset.slice(first..first + count).into_iter().cloned().collect();
        if reverse {
            found.reverse();
        }
        found
    }
}

/// Goes through a listpack from one end, as the real server does: to the first member that is within the near
/// bound, then on while members are within the far one.
fn walk(names: &Names, zset: &Zset, reverse: bool, limit: Limit) -> Vec<Scored> {
    let mut all = zset.all();
    let ends = all.first().zip(all.last());
    if names.is_empty() || !ends.is_some_and(|(first, last)| names.starts_by(last) && names.ends_by(first)) {
        return Vec::new();
    }
    if reverse {
        all.reverse();
    }
    let near = |item: &Scored| if reverse { names.ends_by(item) } else { names.starts_by(item) };
    let far = |item: &Scored| if reverse { names.starts_by(item) } else { names.ends_by(item) };
    let mut rest = all.into_iter().skip_while(|item| !near(item)).peekable();
    if !rest.peek().is_some_and(|item| far(item)) {
        return Vec::new();
    }
    rest.skip(limit.skipped()).take_while(|item| far(item)).take(limit.most()).cloned().collect()
}

/// What a command of the `ZRANGE` family was told.
struct Query {
    range: Range,
    reverse: bool,
    limit: Limit,
    with_scores: bool,
}

impl Query {
    /// Reads the bounds at `at` and the options behind them. `None` is what the options may still decide.
    fn parse(
        call: &Call<'_>,
        at: usize,
        by: Option<By>,
        reverse: Option<bool>,
        stores: bool,
    ) -> Result<Self, CmdError> {
        const LIMIT: CmdError = CmdError::fixed(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        );
        const WITH_SCORES: CmdError =
            CmdError::fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        let (mut chosen, mut turned) = (by, reverse);
        let (mut limit, mut with_scores) = (Limit::NONE, false);
        let mut rest = call.rest(at + 2);
        while let Some((word, mut tail)) = rest.split_first() {
            if is(word, "withscores") && !stores {
                with_scores = true;
            } else if let (true, [offset, most, after @ ..]) = (is(word, "limit"), tail) {
                let number = |text| strict_i64(text).ok_or(CmdError::NOT_INTEGER);
                limit = Limit { offset: number(offset)?, most: number(most)? };
                tail = after;
            } else if is(word, "rev") && turned.is_none() {
                turned = Some(true);
            } else if is(word, "bylex") && chosen.is_none() {
                chosen = Some(By::Name);
            } else if is(word, "byscore") && chosen.is_none() {
                chosen = Some(By::Score);
            } else {
                return Err(CmdError::SYNTAX);
            }
            rest = tail;
        }
        let (by, reverse) = (chosen.unwrap_or(By::Rank), turned.unwrap_or(false));
        if limit.most != -1 && by == By::Rank {
            return Err(LIMIT);
        }
        if with_scores && by == By::Name {
            return Err(WITH_SCORES);
        }
        let (min, max) = (&call.args[at], &call.args[at + 1]);
        let (min, max) = if reverse && by != By::Rank { (max, min) } else { (min, max) };
        if by == By::Rank {
            limit = Limit::NONE;
        }
        Ok(Self { range: Range::parse(by, min, max)?, reverse, limit, with_scores })
    }

    fn of(&self, zset: &Zset) -> Vec<Scored> {
        self.range.of(zset, self.reverse, self.limit)
    }
}

fn answer(call: &mut Call<'_>, by: Option<By>, reverse: Option<bool>) -> Outcome {
    let query = Query::parse(call, 2, by, reverse, false)?;
    let nest = call.protocol() >= 3;
    let found = call.read_as::<Zset>(&call.args[1])?.map(|zset| query.of(zset));
    Ok(scored(found.unwrap_or_default(), query.with_scores, nest))
}

/// Members, or members and scores: flat, or nested as version 3 of the protocol has them.
pub(super) fn scored(items: Vec<Scored>, with_scores: bool, nest: bool) -> Reply {
    let pairs = items.into_iter().map(|item| (Reply::Bulk(item.member), Reply::Double(item.score)));
    super::random::pairs(pairs, with_scores, nest)
}

pub(crate) fn zrange(call: &mut Call<'_>) -> Outcome {
    answer(call, None, None)
}

pub(crate) fn zrevrange(call: &mut Call<'_>) -> Outcome {
    answer(call, Some(By::Rank), Some(true))
}

pub(crate) fn zrangebyscore(call: &mut Call<'_>) -> Outcome {
    answer(call, Some(By::Score), Some(false))
}

pub(crate) fn zrevrangebyscore(call: &mut Call<'_>) -> Outcome {
    answer(call, Some(By::Score), Some(true))
}

pub(crate) fn zrangebylex(call: &mut Call<'_>) -> Outcome {
    answer(call, Some(By::Name), Some(false))
}

pub(crate) fn zrevrangebylex(call: &mut Call<'_>) -> Outcome {
    answer(call, Some(By::Name), Some(true))
}

pub(crate) fn zrangestore(call: &mut Call<'_>) -> Outcome {
    let query = Query::parse(call, 3, None, None, true)?;
    let limits = call.engine.config.zset_listpack;
    let found = call.read_as::<Zset>(&call.args[2])?.map(|zset| query.of(zset)).unwrap_or_default();
    let mut result = Zset::default();
    for item in found {
        result.set(item.member, item.score, limits);
    }
    let count = result.len();
    call.store_and_notify(&call.args[1], result, ZSET, "zrangestore");
    Ok(Reply::count(count))
}

pub(crate) fn zcount(call: &mut Call<'_>) -> Outcome {
    let scores = Scores::parse(&call.args[2], &call.args[3])?;
    let span = call.read_as::<Zset>(&call.args[1])?.map(|zset| scores.span(zset));
    Ok(Reply::count(span.map_or(0, |(low, high)| high.saturating_sub(low))))
}

pub(crate) fn zlexcount(call: &mut Call<'_>) -> Outcome {
    let range = Range::parse(By::Name, &call.args[2], &call.args[3])?;
    let found = call.read_as::<Zset>(&call.args[1])?.map(|zset| range.of(zset, false, Limit::NONE).len());
    Ok(Reply::count(found.unwrap_or(0)))
}

pub(crate) fn zremrangebyrank(call: &mut Call<'_>) -> Outcome {
    remove(call, By::Rank, "zremrangebyrank")
}

pub(crate) fn zremrangebyscore(call: &mut Call<'_>) -> Outcome {
    remove(call, By::Score, "zremrangebyscore")
}

pub(crate) fn zremrangebylex(call: &mut Call<'_>) -> Outcome {
    remove(call, By::Name, "zremrangebylex")
}

fn remove(call: &mut Call<'_>, by: By, event: &'static str) -> Outcome {
    let key = &call.args[1];
    let range = Range::parse(by, &call.args[2], &call.args[3])?;
    let found = call.look_as::<Zset>(key)?.map(|zset| range.of(zset, false, Limit::NONE));
    let members: Vec<Bytes> = found.unwrap_or_default().into_iter().map(|item| item.member).collect();
    if members.is_empty() {
        return Ok(Reply::Int(0));
    }
    let remove = |zset: &mut Zset| members.iter().filter(|member| zset.remove(member)).count();
    let removed = call.change(key, remove)?;
    call.notify_change(ZSET, event, key);
    Ok(Reply::count(removed))
}
