//! Correct histories: a small model of a workload, a processor and its observers, interleaved at random.
//!
//! Each customer has two lanes, one that produces its orders one after another and one that processes them in
//! the same order. An order is processed at the earliest once its production was attempted, so effects may be
//! recorded before the acknowledgement.

use std::collections::VecDeque;

use proptest::prelude::*;
use squall::history::{Edge, Entry, Phase, Record};

use super::script;

/// What becomes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged and processed.
    Processed,
    /// The same, after attempts whose replies were lost.
    Retried,
    /// Produced twice under one event id, processed once.
    Repeated,
    /// Refused by the broker.
    Refused,
    /// Not acknowledged, yet in the log and processed.
    Unacknowledged,
    /// Not acknowledged and not in the log.
    Vanished,
    /// Poison, dead-lettered.
    Poison,
    /// Tried until its attempts were exhausted, dead-lettered twice.
    Exhausted,
}

const FATES: [Fate; 8] = [
    Fate::Processed,
    Fate::Retried,
    Fate::Repeated,
    Fate::Refused,
    Fate::Unacknowledged,
    Fate::Vanished,
    Fate::Poison,
    Fate::Exhausted,
];

const CUSTOMERS: usize = 3;

/// Entries of a correct history in which there is something to judge for every checker.
pub fn correct() -> impl Strategy<Value = Vec<Entry>> {
    let order = (0..CUSTOMERS, prop::sample::select(FATES.as_slice()));
    let orders = prop::collection::vec(order, 2..16);
    (orders, prop::collection::vec(any::<u8>(), 16..64)).prop_map(|(mut orders, picks)| {
        // Two that are certainly processed, one after the other.
        orders.push((0, Fate::Processed));
        orders.push((0, Fate::Retried));
        script::entries(interleave(&orders, &picks))
    })
}

#[derive(Default)]
struct Lanes {
    produce: VecDeque<Record>,
    /// With the operation that must have been attempted before.
    process: VecDeque<(u64, Record)>,
}

fn interleave(orders: &[(usize, Fate)], picks: &[u8]) -> Vec<Record> {
    let mut lanes: Vec<Lanes> = (0..CUSTOMERS).map(|_| Lanes::default()).collect();
    let (mut op, mut sequences) = (0, [0; CUSTOMERS]);
    for (n, (customer, fate)) in orders.iter().enumerate() {
        add(&mut lanes[*customer], (n, *customer, sequences[*customer]), *fate, &mut op);
        sequences[*customer] += 1;
    }
    let fault = |edge| Record::Fault { name: "partition".into(), edge };
    let (mut records, mut attempted) = (vec![fault(Edge::Begin)], 0_u64);
    let mut attempts = std::collections::BTreeSet::new();
    let mut load_ended = false;
    for turn in 0.. {
        if !load_ended && lanes.iter().all(|lanes| lanes.produce.is_empty()) {
            load_ended = true;
            records.push(fault(Edge::End));
            records.extend([Phase::LoadEnd, Phase::Healed].map(Record::Phase));
        }
        if load_ended && lanes.iter().all(|lanes| lanes.process.is_empty()) {
            break;
        }
        let pick = usize::from(picks[turn % picks.len()]).wrapping_add(turn / picks.len());
        let lanes = &mut lanes[pick % CUSTOMERS];
        let may_process = lanes.process.front().is_some_and(|(op, _)| attempts.contains(op));
        if may_process && ((pick / CUSTOMERS).is_multiple_of(2) || lanes.produce.is_empty()) {
            records.extend(lanes.process.pop_front().map(|(_, record)| record));
        } else if let Some(record) = lanes.produce.pop_front() {
            if let Record::Invoke(operation) = &record {
                attempts.insert(operation.op.0);
                attempted += 1;
            }
            records.push(record);
        }
    }
    assert!(attempted >= 2, "the model always produces");
    records.push(script::lag(0.0));
    records.push(Record::Phase(Phase::SettleEnd));
    records
}

fn add(lanes: &mut Lanes, (n, customer, sequence): (usize, usize, u64), fate: Fate, next_op: &mut u64) {
    let mut op = || {
        *next_op += 1;
        *next_op
    };
    let first = op();
    let invoke = match fate {
        Fate::Poison => script::invoke_poison(first, n, customer, sequence),
        _ => script::invoke(first, n, customer, sequence),
    };
    let outcome = match fate {
        Fate::Refused => script::fail(first),
        Fate::Unacknowledged | Fate::Vanished => script::info(first),
        _ => script::ok(first),
    };
    lanes.produce.extend([invoke, outcome]);
    let processed = [script::charge(n, true), script::commit(n), script::observe(n)];
    let letter = || script::dead(first, n, customer);
    let steps: Vec<Record> = match fate {
        Fate::Refused | Fate::Vanished => Vec::new(),
        Fate::Poison => vec![letter()],
        Fate::Exhausted => vec![script::charge(n, false), letter(), letter()],
        Fate::Processed | Fate::Unacknowledged => processed.into(),
        Fate::Retried | Fate::Repeated => {
            let [charge, commit, observe] = processed;
            vec![charge, script::charge(n, false), commit, observe]
        }
    };
    lanes.process.extend(steps.into_iter().map(|record| (first, record)));
    if fate == Fate::Repeated {
        let second = op();
        lanes.produce.extend([script::invoke(second, n, customer, sequence), script::ok(second)]);
        lanes.process.push_back((second, script::charge(n, false)));
    }
}
