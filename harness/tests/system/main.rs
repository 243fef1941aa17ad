//! The reference systems against events that are delivered late, again and out of order, and a service that loses
//! acknowledgements: each event has its effect under one key, and one result.
//!
//! Log and Redis are the mocks, the service is a double, all in memory and in virtual time. Crashes and network
//! faults are for scenarios.

mod data;
mod town;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;
use squall_core::envelope::EventEnvelope;
use squall_core::mutant;
use squall_fixtures::data::{AtLeastOnce, Deliveries, Factory};

use town::{System, Town};

/// A system by its module; the service that carries its effects out, and the fields its results copy from events.
const ORDERS: System = System {
    name: "orders",
    input: "orders",
    results: "payments",
    service: Some("payment:80"),
    result: ("payment.captured", &["order_id", "amount"]),
};
const MAILER: System = System {
    name: "mailer",
    input: "mails",
    results: "sent",
    service: Some("post-office:80"),
    result: ("mail.sent", &["mail_id"]),
};
const PARCELS: System = System {
    name: "parcels",
    input: "parcels",
    results: "labels",
    service: Some("carrier:80"),
    result: ("parcel.labelled", &["parcel_id"]),
};
const PRICES: System = System {
    name: "prices",
    input: "requests",
    results: "printed",
    service: Some("printer:80"),
    result: ("label.printed", &["change_id", "cents"]),
};
const SETTLEMENTS: System = System {
    name: "settlements",
    input: "trades",
    results: "settlements",
    service: None,
    result: ("trade.settled", &["trade_id", "cents"]),
};

fn delivered(
    how: AtLeastOnce,
    events: BoxedStrategy<Vec<EventEnvelope>>,
) -> impl Strategy<Value = Deliveries<EventEnvelope>> {
    let key = |event: &EventEnvelope| event.partition_key().map(str::to_owned);
    events.prop_flat_map(move |events| how.of_events(events, key))
}

/// The numbers of requests whose acknowledgement is lost.
fn lost() -> impl Strategy<Value = BTreeSet<u64>> {
    proptest::collection::btree_set(1..6_u64, 0..3)
}

/// Every event has exactly the result that follows from it, and its effect was asked for under one key of its own.
fn check(
    system: &System,
    deliveries: &Deliveries<EventEnvelope>,
    lost: BTreeSet<u64>,
) -> Result<(), TestCaseError> {
    let seen = Town::run(system, deliveries, lost);
    let (event_type, fields) = system.result;
    let mut expected: Vec<_> =
        deliveries.sent().iter().map(|event| data::result(event, event_type, fields)).collect();
    let mut found: Vec<(String, Value)> = seen.results;
    let by_text = |(_, data): &(String, Value)| data.to_string();
    expected.sort_by_key(by_text);
    found.sort_by_key(by_text);
    prop_assert_eq!(found, expected);
    let mut keys = BTreeMap::<String, BTreeSet<String>>::new();
    for (about, key) in seen.effects {
        keys.entry(about).or_default().insert(key);
    }
    let things: BTreeSet<&str> = deliveries.sent().iter().filter_map(EventEnvelope::subject).collect();
    let expected = if system.service.is_some() { things } else { BTreeSet::new() };
    prop_assert!(keys.keys().map(String::as_str).eq(expected), "{keys:?}");
    prop_assert!(keys.values().all(|of_one| of_one.len() == 1), "{keys:?}");
    let distinct: BTreeSet<&String> = keys.values().flatten().collect();
    prop_assert_eq!(distinct.len(), keys.len(), "two things under one key");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn an_order_is_charged_under_one_key(
        it in delivered(AtLeastOnce::in_key_order(), data::orders()), lost in lost()
    ) {
        check(&ORDERS, &it, lost)?;
    }

    #[test]
    fn an_order_is_charged_under_one_key_also_if_orders_overtake_one_another(
        it in delivered(AtLeastOnce::in_any_order(), data::orders()), lost in lost()
    ) {
        check(&ORDERS, &it, lost)?;
    }

    #[test]
    fn a_mail_is_handed_in_under_one_key(
        it in delivered(AtLeastOnce::in_any_order(), data::mails()), lost in lost()
    ) {
        check(&MAILER, &it, lost)?;
    }

    #[test]
    fn a_parcel_gets_one_label(
        it in delivered(AtLeastOnce::in_any_order(), data::parcels()), lost in lost()
    ) {
        check(&PARCELS, &it, lost)?;
    }

    #[test]
    fn a_changed_price_is_printed_once(
        it in delivered(AtLeastOnce::in_any_order(), data::prices()), lost in lost()
    ) {
        check(&PRICES, &it, lost)?;
    }

    // Nothing there recognises duplicates: each record is settled once.
    #[test]
    fn a_trade_is_settled_once(
        it in delivered(AtLeastOnce::in_any_order().again_at_most(0), data::trades())
    ) {
        check(&SETTLEMENTS, &it, BTreeSet::new())?;
    }
}

/// Deliveries of which at least one is a repetition.
fn with_repetition(events: BoxedStrategy<Vec<EventEnvelope>>) -> Deliveries<EventEnvelope> {
    let strategy = delivered(AtLeastOnce::in_key_order(), events)
        .prop_filter("something comes again", |it| it.iter().any(|delivery| delivery.is_again));
    Factory::new(1).draw("deliveries", &strategy).expect("most have a repetition")
}

#[test]
fn the_check_notices_a_trade_that_was_settled_twice() {
    check(&SETTLEMENTS, &with_repetition(data::trades()), BTreeSet::new())
        .expect_err("nothing recognises duplicates");
}

#[test]
fn the_check_notices_a_worker_that_knows_an_order_by_its_offset() {
    mutant::enable(Some("dedup-by-offset"));
    check(&ORDERS, &with_repetition(data::orders()), BTreeSet::new()).expect_err("a copy is charged anew");
    mutant::enable(None);
}
