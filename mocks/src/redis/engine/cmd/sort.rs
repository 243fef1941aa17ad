//! `SORT`, behaving as `sort.c` of Redis 7.0.
//!
//! Patterns are C strings, and without `STORE` texts are compared as C strings, by bytes: the collation of the C
//! locale.

use std::cmp::Ordering;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::partial_sort::partial_sort;
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::{GENERIC, LIST};
use crate::redis::engine::number::{score, strict_i64};
use crate::redis::resp::Reply;
use crate::redis::store::{End, List, Value};

/// What the command was told.
#[derive(Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    /// Offset and count; a negative count is no limit.
    limit: Option<(i64, i64)>,
    by: Option<&'a Bytes>,
    gets: Vec<&'a Bytes>,
    target: Option<&'a Bytes>,
}

impl<'a> Options<'a> {
    /// `in_cluster` says that other keys may not be looked at, as these may be on other nodes.
    fn parse(mut rest: &'a [Bytes], may_store: bool, in_cluster: bool) -> Result<Self, CmdError> {
        const NO_BY: CmdError = CmdError::fixed("ERR BY option of SORT denied in Cluster mode.");
        const NO_GET: CmdError = CmdError::fixed("ERR GET option of SORT denied in Cluster mode.");
        let mut options = Self::default();
        while let Some((word, tail)) = rest.split_first() {
            rest = match tail {
                tail if is(word, "asc") || is(word, "desc") => {
                    options.descending = is(word, "desc");
                    tail
                }
                tail if is(word, "alpha") => {
                    options.alpha = true;
                    tail
                }
                [offset, count, tail @ ..] if is(word, "limit") => {
                    let number = |text| strict_i64(text).ok_or(CmdError::NOT_INTEGER);
                    options.limit = Some((number(offset)?, number(count)?));
                    tail
                }
                [key, tail @ ..] if may_store && is(word, "store") => {
                    options.target = Some(key);
                    tail
                }
                [pattern, ..] if is(word, "by") && in_cluster && c_string(pattern).contains(&b'*') => {
                    return Err(NO_BY);
                }
                [_, ..] if is(word, "get") && in_cluster => return Err(NO_GET),
                [pattern, tail @ ..] if is(word, "by") => {
                    options.by = Some(pattern);
                    tail
                }
                [pattern, tail @ ..] if is(word, "get") => {
                    options.gets.push(pattern);
                    tail
                }
                _ => return Err(CmdError::SYNTAX),
            };
        }
        Ok(options)
    }

    /// Which of `length` elements are wanted.
    fn window(&self, length: usize) -> Range<usize> {
        let (offset, count) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX).min(length);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(length)
    }
}

/// What is sorted, and what it is sorted by.
struct Item {
    element: Bytes,
    number: f64,
    text: Option<Bytes>,
}

pub(crate) fn sort(call: &mut Call<'_>) -> Outcome {
    run(call, true)
}

pub(crate) fn sort_ro(call: &mut Call<'_>) -> Outcome {
    run(call, false)
}

fn run(call: &mut Call<'_>, may_store: bool) -> Outcome {
    let mut options = Options::parse(call.rest(2), may_store, call.engine.cluster.is_some())?;
    // A constant weight means that nothing is to be sorted.
    let mut keeps_order = options.by.is_some_and(|pattern| !c_string(pattern).contains(&b'*'));
    let Elements { mut all, is_set } = elements(call)?;
    if keeps_order && is_set && (options.target.is_some() || call.engine.script.is_some()) {
        // The order of a set is chance; what is kept or seen by a script shall not be.
        (keeps_order, options.alpha, options.by) = (false, true, None);
    }
    let window = options.window(all.len());
    if !keeps_order {
        all = sorted(call, all, &options, window.clone())?;
    } else if options.descending && !is_set {
        all.reverse();
    }
    let selected = &all[window];
    let Some(target) = options.target else {
        let replies = output(call, selected, &options.gets).into_iter().map(Reply::bulk_or_null);
        return Ok(Reply::Array(replies.collect()));
    };
    let mut list = List::default();
    for element in output(call, selected, &options.gets) {
        list.push(End::Right, element.unwrap_or_default());
    }
    let count = list.len();
    if count > 0 {
        call.store_as(target, list);
        call.notify(LIST, "sortstore", target);
    } else if call.delete(target) {
        call.notify(GENERIC, "del", target);
    }
    Ok(Reply::count(count))
}

struct Elements {
    all: Vec<Bytes>,
    is_set: bool,
}

fn elements(call: &mut Call<'_>) -> Result<Elements, CmdError> {
    let (key, db) = (&call.args[1], call.db());
    let (all, is_set) = match call.read(key).map(|entry| &entry.value) {
        None => (Vec::new(), false),
        Some(Value::List(list)) => (list.iter().cloned().collect(), false),
        Some(Value::Set(set)) => (set.iter().collect(), true),
        Some(Value::Zset(zset)) => (zset.all().into_iter().map(|item| item.member.clone()).collect(), false),
        Some(_) => return Err(CmdError::WRONG_TYPE),
    };
    // The real server turns a small sorted set into a large one, and leaves it so.
    if let Some(Value::Zset(zset)) = call.engine.store.reshape(db, key)
        && !zset.is_table()
    {
        std::sync::Arc::make_mut(zset).unpack();
    }
    Ok(Elements { all, is_set })
}

fn sorted(
    call: &mut Call<'_>,
    elements: Vec<Bytes>,
    options: &Options<'_>,
    window: Range<usize>,
) -> Result<Vec<Bytes>, CmdError> {
    const NOT_NUMBERS: CmdError = CmdError::fixed("ERR One or more scores can't be converted into double");
    let mut items = Vec::with_capacity(elements.len());
    for element in elements {
        let weight = match options.by {
            Some(pattern) => lookup(call, pattern, &element),
            None => Some(element.clone()),
        };
        let number = match &weight {
            Some(text) if !options.alpha => number(text).ok_or(NOT_NUMBERS)?,
            _ => 0.0,
        };
        items.push(Item { element, number, text: weight });
    }
    let by_text = |left: &Bytes, right: &Bytes| match options.target {
        Some(_) => left.cmp(right),
        None => c_string(left).cmp(c_string(right)),
    };
    // Only what is sorted by other keys is sorted in part.
    let window = if options.by.is_some() { window } else { 0..items.len() };
    partial_sort(&mut items, window, |left: &Item, right: &Item| {
        let order = if options.alpha {
            match (&left.text, &right.text) {
                (Some(left), Some(right)) => by_text(left, right),
                (left, right) => left.is_some().cmp(&right.is_some()),
            }
        } else {
            let by_number = left.number.partial_cmp(&right.number).unwrap_or(Ordering::Equal);
            by_number.then_with(|| left.element.cmp(&right.element))
        };
        if options.descending { order.reverse() } else { order }
    });
    Ok(items.into_iter().map(|item| item.element).collect())
}

/// What is answered or stored for the elements: themselves, or what their patterns name.
fn output(call: &mut Call<'_>, elements: &[Bytes], gets: &[&Bytes]) -> Vec<Option<Bytes>> {
    if gets.is_empty() {
        return elements.iter().cloned().map(Some).collect();
    }
    let mut found = Vec::with_capacity(elements.len() * gets.len());
    for element in elements {
        found.extend(gets.iter().map(|pattern| lookup(call, pattern, element)));
    }
    found
}

/// The value at the key, or in the hash and field (`key->field`), that a pattern names for an element.
fn lookup(call: &mut Call<'_>, pattern: &Bytes, element: &Bytes) -> Option<Bytes> {
    if &pattern[..] == b"#" {
        return Some(element.clone());
    }
    let star = c_string(pattern).iter().position(|byte| *byte == b'*')?;
    let tail = &pattern[star + 1..];
    let arrow = c_string(tail).windows(2).position(|pair| pair == b"->");
    // An arrow with nothing behind it is a part of the key.
    let arrow = arrow.filter(|at| c_string(tail).len() > at + 2);
    let (suffix, field) = match arrow {
        Some(at) => (&tail[..at], Some(pattern.slice(star + 1 + at + 2..))),
        None => (tail, None),
    };
    let mut key = BytesMut::with_capacity(star + element.len() + suffix.len());
    key.extend_from_slice(&pattern[..star]);
    key.extend_from_slice(element);
    key.extend_from_slice(suffix);
    let now = call.now_ms();
    match (call.read(&key.freeze()).map(|entry| &entry.value)?, field) {
        (Value::Hash(hash), Some(field)) => {
            hash.get(&field).filter(|_| !hash.is_overdue(&field, now)).cloned()
        }
        (Value::Str(text), None) => Some(text.to_bytes()),
        _ => None,
    }
}

/// The bytes up to the first zero.
fn c_string(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number as `strtod` reads it from a C string; nothing at all is zero.
fn number(text: &[u8]) -> Option<f64> {
    let text = c_string(text);
    if text.is_empty() { Some(0.0) } else { score(text.trim_ascii_start()) }
}

/// The keys of a command line and their use: what is sorted, and the last `STORE` target.
pub(crate) fn key_uses(args: &[Bytes]) -> Vec<(usize, &'static str)> {
    let mut target = None;
    let mut at = 2;
    while let Some(word) = args.get(at) {
        if is(word, "limit") {
            at += 2;
        } else if is(word, "get") || is(word, "by") {
            at += 1;
        } else if is(word, "store") && at + 1 < args.len() {
            target = Some((at + 1, "OW update"));
        }
        at += 1;
    }
    std::iter::once((1, "RO access")).chain(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_stays_within_the_elements() {
        let window = |offset, count| Options { limit: Some((offset, count)), ..Options::default() }.window(5);
        assert_eq!(window(1, 2), 1..3);
        assert_eq!(window(-5, 2), 0..2);
        assert_eq!(window(2, -1), 2..5);
        assert_eq!(window(9, 3), 5..5);
        assert_eq!(window(i64::MAX, i64::MAX), 5..5);
        assert_eq!(window(0, 0), 0..0);
    }

    #[test]
    fn a_weight_may_be_empty_or_indented_but_not_more_than_a_number() {
        assert_eq!(number(b""), Some(0.0));
        assert_eq!(number(b" 1.5"), Some(1.5));
        assert_eq!(number(b"1\0x"), Some(1.0));
        assert_eq!((number(b"1 "), number(b" "), number(b"nan")), (None, None, None));
    }
}
