//! Deadlines, behaving as `expire.c` of Redis 7.0.
//!
//! A deadline is absolute, in Unix milliseconds. One that is not in the future deletes the key at once and
//! counts as a success.

use bytes::Bytes;

use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::notify::GENERIC;
use crate::redis::resp::Reply;

/// The unit a command counts time in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
}

/// A deadline in Unix milliseconds, `base_ms` after which `time` is counted; `None` if it overflows.
pub(super) fn deadline_from(time: i64, unit: Unit, base_ms: i64) -> Option<i64> {
    let millis = match unit {
        Unit::Seconds => time.checked_mul(1000)?,
        Unit::Millis => time,
    };
    millis.checked_add(base_ms)
}

pub(crate) fn expire(call: &mut Call<'_>) -> Outcome {
    let now = call.now_ms();
    set_deadline(call, Unit::Seconds, now)
}

pub(crate) fn pexpire(call: &mut Call<'_>) -> Outcome {
    let now = call.now_ms();
    set_deadline(call, Unit::Millis, now)
}

pub(crate) fn expireat(call: &mut Call<'_>) -> Outcome {
    set_deadline(call, Unit::Seconds, 0)
}

pub(crate) fn pexpireat(call: &mut Call<'_>) -> Outcome {
    set_deadline(call, Unit::Millis, 0)
}

/// When a deadline may be set.
#[derive(Default)]
struct Condition {
    none: bool,
    some: bool,
    later: bool,
    earlier: bool,
}

impl Condition {
    fn parse(words: &[Bytes]) -> Result<Self, CmdError> {
        const EXCLUSIVE: CmdError =
            CmdError::fixed("ERR NX and XX, GT or LT options at the same time are not compatible");
        const BOTH_WAYS: CmdError =
            CmdError::fixed("ERR GT and LT options at the same time are not compatible");
        let mut condition = Self::default();
        for word in words {
            let flags = [
                ("nx", &mut condition.none),
                ("xx", &mut condition.some),
                ("gt", &mut condition.later),
                ("lt", &mut condition.earlier),
            ];
            match flags.into_iter().find(|(name, _)| is(word, name)) {
                Some((_, flag)) => *flag = true,
                None => {
                    return Err(CmdError::new(format!(
                        "ERR Unsupported option {}",
                        String::from_utf8_lossy(word)
                    )));
                }
            }
        }
        if condition.none && (condition.some || condition.later || condition.earlier) {
            return Err(EXCLUSIVE);
        }
        if condition.later && condition.earlier {
            return Err(BOTH_WAYS);
        }
        Ok(condition)
    }

    /// A key without a deadline counts as one that lives for ever.
    fn allows(&self, current: Option<i64>, new: i64) -> bool {
        !(self.none && current.is_some()
            || self.some && current.is_none()
            || self.later && current.is_none_or(|current| new <= current)
            || self.earlier && current.is_some_and(|current| new >= current))
    }
}

fn set_deadline(call: &mut Call<'_>, unit: Unit, base_ms: i64) -> Outcome {
    let key = &call.args[1];
    let condition = Condition::parse(call.rest(3))?;
    let time = call.integer(2)?;
    let deadline =
        deadline_from(time, unit, base_ms).ok_or_else(|| CmdError::invalid_expire(call.spec.name))?;
    let Some(current) = call.look(key).map(|entry| entry.deadline_ms) else { return Ok(Reply::Int(0)) };
    if !condition.allows(current, deadline) {
        return Ok(Reply::Int(0));
    }
    if deadline <= call.now_ms() {
        call.delete(key);
        call.notify(GENERIC, "del", key);
    } else {
        let db = call.db();
        call.engine.store.set_deadline(db, key, Some(deadline));
        call.makes_nothing_ready();
        call.answers_first();
        call.notify(GENERIC, "expire", key);
    }
    Ok(Reply::Int(1))
}

pub(crate) fn persist(call: &mut Call<'_>) -> Outcome {
    let key = &call.args[1];
    let has_deadline = call.look(key).is_some_and(|entry| entry.deadline_ms.is_some());
    if has_deadline {
        let db = call.db();
        call.engine.store.set_deadline(db, key, None);
        call.makes_nothing_ready();
        call.notify(GENERIC, "persist", key);
    }
    Ok(Reply::flag(has_deadline))
}

pub(crate) fn ttl(call: &mut Call<'_>) -> Outcome {
    left(call, Unit::Seconds, false)
}

pub(crate) fn pttl(call: &mut Call<'_>) -> Outcome {
    left(call, Unit::Millis, false)
}

pub(crate) fn expiretime(call: &mut Call<'_>) -> Outcome {
    left(call, Unit::Seconds, true)
}

pub(crate) fn pexpiretime(call: &mut Call<'_>) -> Outcome {
    left(call, Unit::Millis, true)
}

fn left(call: &mut Call<'_>, unit: Unit, absolute: bool) -> Outcome {
    let now = call.now_ms();
    // Looking at a deadline is no use of the key.
    let Some(entry) = call.peek(&call.args[1]) else { return Ok(Reply::Int(-2)) };
    let Some(deadline) = entry.deadline_ms else { return Ok(Reply::Int(-1)) };
    let millis = if absolute { deadline } else { deadline.saturating_sub(now).max(0) };
    Ok(Reply::Int(match unit {
        Unit::Seconds => millis.saturating_add(500) / 1000,
        Unit::Millis => millis,
    }))
}
