//! Union, intersection and difference of sorted sets, behaving as `t_zset.c` of Redis 7.0.
//!
//! Sets take part too, each member with the score 1. Sources are added up from the smallest to the largest, as
//! the real server does: with floats the order shows.

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use super::zset_range::scored;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::ZSET;
use crate::redis::engine::number::{score, strict_i64};
use crate::redis::resp::Reply;
use crate::redis::store::{FixedState, Scored, Set, Value, Zset};

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn combine(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Sum => defined(left + right),
            Self::Min => {
                if right < left {
                    right
                } else {
                    left
                }
            }
            Self::Max => {
                if right > left {
                    right
                } else {
                    left
                }
            }
        }
    }
}

/// Infinities of both signs cancel out, and so does an infinity times nothing.
fn defined(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What a key holds of the two types that take part.
enum Source {
    Nothing,
    Sorted(Arc<Zset>),
    Plain(Arc<Set>),
}

impl Source {
    fn of(call: &mut Call<'_>, key: &Bytes) -> Result<Self, CmdError> {
        match call.read(key).map(|entry| &entry.value) {
            None => Ok(Self::Nothing),
            Some(Value::Zset(zset)) => Ok(Self::Sorted(Arc::clone(zset))),
            Some(Value::Set(set)) => Ok(Self::Plain(Arc::clone(set))),
            Some(_) => Err(CmdError::WRONG_TYPE),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Sorted(zset) => zset.len(),
            Self::Plain(set) => set.len(),
        }
    }

    fn score(&self, member: &Bytes) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::Sorted(zset) => zset.score(member),
            Self::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    fn items(&self) -> Vec<Scored> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Sorted(zset) => zset.all().into_iter().cloned().collect(),
            Self::Plain(set) => set.iter().map(|member| Scored { score: 1.0, member }).collect(),
        }
    }
}

/// Sources with their weights, and what else a command was told.
struct Query {
    sources: Vec<(Source, f64)>,
    operation: Operation,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

/// What a command of the family answers, which decides the options it takes.
#[derive(Clone, Copy, PartialEq)]
enum Answers {
    Members,
    Stored,
    Count,
}

impl Query {
    fn parse(call: &mut Call<'_>, operation: Operation, answers: Answers) -> Result<Self, CmdError> {
        let at = if answers == Answers::Stored { 2 } else { 1 };
        let count = call.integer(at)?;
        let count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
            CmdError::new(format!("ERR at least 1 input key is needed for '{}' command", call.spec.name))
        })?;
        let (keys, options) = call.rest(at + 1).split_at_checked(count).ok_or(CmdError::SYNTAX)?;
        let source = |key| Ok((Source::of(call, key)?, 1.0));
        let sources = keys.iter().map(source).collect::<Result<_, CmdError>>()?;
        let mut query =
            Self { sources, operation, aggregate: Aggregate::Sum, with_scores: false, limit: usize::MAX };
        query.read(options, answers)?;
        Ok(query)
    }

    fn read(&mut self, mut options: &[Bytes], answers: Answers) -> Result<(), CmdError> {
        const NEGATIVE: CmdError = CmdError::fixed("ERR LIMIT can't be negative");
        const WEIGHT: CmdError = CmdError::fixed("ERR weight value is not a float");
        let combines = self.operation != Operation::Difference && answers != Answers::Count;
        while let Some((word, tail)) = options.split_first() {
            options = tail;
            if is(word, "weights") && combines && tail.len() >= self.sources.len() {
                let (weights, tail) = tail.split_at(self.sources.len());
                for ((_, weight), text) in self.sources.iter_mut().zip(weights) {
                    *weight = score(text).ok_or(WEIGHT)?;
                }
                options = tail;
            } else if is(word, "aggregate") && combines && !tail.is_empty() {
                self.aggregate = match &tail[0] {
                    word if is(word, "sum") => Aggregate::Sum,
                    word if is(word, "min") => Aggregate::Min,
                    word if is(word, "max") => Aggregate::Max,
                    _ => return Err(CmdError::SYNTAX),
                };
                options = &tail[1..];
            } else if is(word, "withscores") && answers == Answers::Members {
                self.with_scores = true;
            } else if is(word, "limit") && answers == Answers::Count && !tail.is_empty() {
                let limit = strict_i64(&tail[0]).and_then(|limit| usize::try_from(limit).ok());
                self.limit =
                    limit.map(|limit| if limit == 0 { usize::MAX } else { limit }).ok_or(NEGATIVE)?;
                options = &tail[1..];
            } else {
                return Err(CmdError::SYNTAX);
            }
        }
        Ok(())
    }

    /// Members and scores, in no order.
    fn run(&mut self) -> Vec<Scored> {
        match self.operation {
            Operation::Difference => self.difference(),
            Operation::Intersection => {
                self.sources.sort_by_key(|(source, _)| source.len());
                self.intersection()
            }
            Operation::Union => {
                self.sources.sort_by_key(|(source, _)| source.len());
                self.union()
            }
        }
    }

    fn union(&self) -> Vec<Scored> {
        let mut scores: IndexMap<Bytes, f64, FixedState> = IndexMap::default();
        for (source, weight) in &self.sources {
            for item in source.items() {
                let score = defined(item.score * weight);
                let found = scores.entry(item.member);
                found.and_modify(|sum| *sum = self.aggregate.combine(*sum, score)).or_insert(score);
            }
        }
        scores.into_iter().map(|(member, score)| Scored { score, member }).collect()
    }

    fn intersection(&self) -> Vec<Scored> {
        let Some(((smallest, weight), others)) = self.sources.split_first() else { return Vec::new() };
        let in_all = smallest.items().into_iter().filter_map(|item| {
            let first = defined(item.score * weight);
            let score = others.iter().try_fold(first, |sum, (source, weight)| {
                Some(self.aggregate.combine(sum, source.score(&item.member)? * weight))
            });
            Some(Scored { score: score?, member: item.member })
        });
        in_all.take(self.limit).collect()
    }

    fn difference(&self) -> Vec<Scored> {
        let Some(((first, _), others)) = self.sources.split_first() else { return Vec::new() };
        let mut left = first.items();
        left.retain(|item| others.iter().all(|(source, _)| source.score(&item.member).is_none()));
        left
    }
}

fn answer(call: &mut Call<'_>, operation: Operation) -> Outcome {
    let mut query = Query::parse(call, operation, Answers::Members)?;
    let result = collect(query.run());
    let items = result.all().into_iter().cloned().collect();
    Ok(scored(items, query.with_scores, call.protocol() >= 3))
}

fn store(call: &mut Call<'_>, operation: Operation, event: &'static str) -> Outcome {
    let result = Query::parse(call, operation, Answers::Stored)?.run();
    let result = collect(result).packed(call.engine.config.zset_listpack);
    let count = result.len();
    call.store_and_notify(&call.args[1], result, ZSET, event);
    Ok(Reply::count(count))
}

fn collect(items: Vec<Scored>) -> Zset {
    let mut zset = Zset::skiplist();
    for item in items {
        zset.set(item.member, item.score, (0, 0));
    }
    zset
}

pub(crate) fn zunion(call: &mut Call<'_>) -> Outcome {
    answer(call, Operation::Union)
}

pub(crate) fn zinter(call: &mut Call<'_>) -> Outcome {
    answer(call, Operation::Intersection)
}

pub(crate) fn zdiff(call: &mut Call<'_>) -> Outcome {
    answer(call, Operation::Difference)
}

pub(crate) fn zunionstore(call: &mut Call<'_>) -> Outcome {
    store(call, Operation::Union, "zunionstore")
}

pub(crate) fn zinterstore(call: &mut Call<'_>) -> Outcome {
    store(call, Operation::Intersection, "zinterstore")
}

pub(crate) fn zdiffstore(call: &mut Call<'_>) -> Outcome {
    store(call, Operation::Difference, "zdiffstore")
}

pub(crate) fn zintercard(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(Query::parse(call, Operation::Intersection, Answers::Count)?.run().len()))
}
