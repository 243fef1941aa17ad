//! Writes histories: short constructors of records, and the numbering of entries.
//!
//! Order `o-n` is produced by event `e-n`, charged as `card.charged` and answered by result `r-n`.

use std::collections::BTreeMap;
use std::time::Duration;

use squall::history::{DeadLetter, Digest, Effect, Entry, History, Observed, OpId, Operation, Phase, Record};

/// Time between two records of a script.
pub const STEP: Duration = Duration::from_millis(10);

/// One entry per record, a step apart.
pub fn entries(records: Vec<Record>) -> Vec<Entry> {
    let entry = |(what, at)| Entry { seq: 0, at, host: "observer".into(), what };
    let times = std::iter::successors(Some(STEP), |at| Some(*at + STEP));
    records.into_iter().zip(times).map(entry).collect()
}

/// The history of these entries, numbered anew.
pub fn history(mut entries: Vec<Entry>) -> History {
    for (seq, entry) in (0..).zip(&mut entries) {
        entry.seq = seq;
    }
    History::new(entries, BTreeMap::new())
}

/// The production of order `n` of `customer` by operation `op`.
pub fn invoke(op: u64, n: usize, customer: usize, sequence: u64) -> Record {
    Record::Invoke(Operation {
        op: OpId(op),
        event: format!("e-{n}").into(),
        business_key: format!("o-{n}").into(),
        ordering_key: format!("c-{customer}").into(),
        sequence,
        topic: "orders".into(),
        value: value(n),
        poison: false,
    })
}

/// The same, spoiled.
pub fn invoke_poison(op: u64, n: usize, customer: usize, sequence: u64) -> Record {
    match invoke(op, n, customer, sequence) {
        Record::Invoke(operation) => Record::Invoke(Operation { poison: true, ..operation }),
        other => other,
    }
}

/// The digest of order `n`'s value.
pub fn value(n: usize) -> Digest {
    Digest::of(format!("value of order {n}").as_bytes())
}

/// Operation `op` was acknowledged; its offset is its number.
pub fn ok(op: u64) -> Record {
    Record::Ok { op: OpId(op), partition: 0, offset: i64::try_from(op).unwrap_or(0) }
}

pub fn fail(op: u64) -> Record {
    Record::Fail { op: OpId(op), reason: "refused".into() }
}

pub fn info(op: u64) -> Record {
    Record::Info { op: OpId(op), reason: "timed out".into() }
}

/// A request to charge order `n`; the order is the resource, and the request a section of its own.
pub fn charge(n: usize, committed: bool) -> Record {
    Record::Effect(Effect {
        name: "card.charged".into(),
        business_key: format!("o-{n}").into(),
        token: format!("t-{n}").into(),
        resource: format!("o-{n}").into(),
        section: format!("s-{n}").into(),
        committed,
    })
}

/// A request to change `resource` in the critical section `section`.
pub fn change(n: usize, resource: &str, section: usize) -> Record {
    match charge(n, true) {
        Record::Effect(effect) => Record::Effect(Effect {
            resource: resource.into(),
            section: format!("s-{section}").into(),
            ..effect
        }),
        other => other,
    }
}

pub fn commit(n: usize) -> Record {
    Record::Commit { event: format!("r-{n}").into(), cause: format!("e-{n}").into() }
}

pub fn observe(n: usize) -> Record {
    Record::Observe(Observed {
        topic: "payments".into(),
        partition: 0,
        offset: i64::try_from(n).unwrap_or(0),
        event: format!("r-{n}").into(),
        cause: None,
        business_key: format!("o-{n}").into(),
    })
}

/// The dead letter of order `n`, which operation `op` produced.
pub fn dead(op: u64, n: usize, customer: usize) -> Record {
    Record::DeadLetter(DeadLetter {
        topic: "orders".into(),
        partition: 0,
        offset: i64::try_from(op).unwrap_or(0),
        event: Some(format!("e-{n}").into()),
        key: format!("c-{customer}").into(),
        value: value(n),
        attempts: 5,
        reason: "cannot be parsed".into(),
    })
}

pub fn lag(value: f64) -> Record {
    Record::Gauge { name: "lag.billing".into(), value }
}

/// The end of a run: load, heal, settle.
pub fn ending() -> [Record; 3] {
    [Phase::LoadEnd, Phase::Healed, Phase::SettleEnd].map(Record::Phase)
}
