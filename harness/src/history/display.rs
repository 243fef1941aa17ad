//! How an entry reads in evidence: one line with time, host and what was seen. Also the few forms of numbers
//! and texts that every sentence for people shares.
//!
//! Ids come from the system under test and may hold anything; control characters are escaped here, so that
//! evidence can be printed to a terminal.

use std::fmt;
use std::time::Duration;

use super::{Edge, Entry, Phase, Record};

/// A virtual time as people read it: seconds with milliseconds, as `12.345s`.
pub(crate) struct At(pub Duration);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}s", self.0.as_secs(), self.0.subsec_millis());
        f.pad(&text)
    }
}

/// A number and what it counts: `1 seed`, `1,204 seeds`.
pub(crate) struct Count(pub u64, pub &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", Grouped(self.0), self.1)
    }
}

/// A number with its digits grouped: `1,204`.
pub(crate) struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (position, digit) in digits.chars().enumerate() {
            if position > 0 && (digits.len() - position).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A text whose control characters are escaped.
pub(crate) struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => write!(f, "{c}"),
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} {} {}", At(self.at), Plain(&self.host), self.what)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invoke(op) => {
                write!(
                    f,
                    "invoke #{} event {} order {}",
                    op.op.0,
                    Plain(&op.event),
                    Plain(&op.business_key)
                )?;
                write!(f, " key {}/{}", Plain(&op.ordering_key), op.sequence)?;
                f.write_str(if op.poison { " poison" } else { "" })
            }
            Self::Ok { op, partition, offset } => write!(f, "ok #{} at {partition}/{offset}", op.0),
            Self::Fail { op, reason } => write!(f, "fail #{}: {}", op.0, Plain(reason)),
            Self::Info { op, reason } => write!(f, "info #{}: {}", op.0, Plain(reason)),
            Self::Effect(effect) => {
                let outcome = if effect.committed { "committed" } else { "attempted" };
                let (name, key) = (Plain(&effect.name), Plain(&effect.business_key));
                write!(f, "{name} {outcome} for {key} token {}", Plain(&effect.token))?;
                match effect.resource.is_empty() {
                    true => Ok(()),
                    false => write!(f, " on {} in {}", Plain(&effect.resource), Plain(&effect.section)),
                }
            }
            Self::Commit { event, cause } => write!(f, "commit {} from {}", Plain(event), Plain(cause)),
            Self::Observe(seen) => {
                let (topic, event) = (Plain(&seen.topic), Plain(&seen.event));
                write!(f, "observe {topic}/{}/{} event {event}", seen.partition, seen.offset)?;
                write!(f, " order {}", Plain(&seen.business_key))
            }
            Self::DeadLetter(dead) => {
                write!(f, "dead letter from {}/{}/{}", Plain(&dead.topic), dead.partition, dead.offset)?;
                write!(f, " key {} value {}", Plain(&dead.key), dead.value)?;
                write!(f, " after {}: {}", dead.attempts, Plain(&dead.reason))
            }
            Self::Fault { name, edge: Edge::Begin } => write!(f, "fault {} begins", Plain(name)),
            Self::Fault { name, edge: Edge::End } => write!(f, "fault {} ends", Plain(name)),
            Self::Phase(Phase::LoadEnd) => f.write_str("the load ends"),
            Self::Phase(Phase::Healed) => f.write_str("everything is healed"),
            Self::Phase(Phase::SettleEnd) => f.write_str("the run has settled"),
            Self::Gauge { name, value } => write!(f, "gauge {} = {value}", Plain(name)),
        }
    }
}
