//! Events as the reference systems take them in, as strategies.
//!
//! Identifiers, amounts, keys and times are what properties depend on, and shrink; what an event only carries along is
//! faked. Each is one that its system accepts: what a system refuses is for scenarios.

use fake::Dummy;
use fake::faker::internet::en::SafeEmail;
use proptest::prelude::*;
use serde_json::{Value, json};
use squall_core::envelope::EventEnvelope;
use squall_core::event_id::Occurrence;
use squall_fixtures::data::{faked, values};

/// Some moment, in Unix milliseconds.
const FROM_MS: i64 = 1_700_000_000_000;

/// Who orders: only looks.
#[derive(Clone, Debug, Dummy)]
struct Customer {
    #[dummy(faker = "SafeEmail()")]
    email: String,
}

/// `order.placed`.
pub fn orders() -> BoxedStrategy<Vec<EventEnvelope>> {
    let fields = (values::amount(1..=100_000), faked::<Customer>());
    let data = fields.prop_map(|(amount, customer)| json!({ "amount": amount, "email": customer.email }));
    events("order.placed", "order", data)
}

/// `mail.requested`; few customers, so that they meet their limit.
pub fn mails() -> BoxedStrategy<Vec<EventEnvelope>> {
    events("mail.requested", "mail", values::key(2, 0).prop_map(|customer| json!({ "customer": customer })))
}

/// `parcel.packed`.
pub fn parcels() -> BoxedStrategy<Vec<EventEnvelope>> {
    events("parcel.packed", "parcel", values::amount(1..=30_000).prop_map(|grams| json!({ "grams": grams })))
}

/// `price.requested`.
pub fn prices() -> BoxedStrategy<Vec<EventEnvelope>> {
    events(
        "price.requested",
        "change",
        values::amount(1..=99_900).prop_map(|cents| json!({ "cents": cents })),
    )
}

/// `trade.made`.
pub fn trades() -> BoxedStrategy<Vec<EventEnvelope>> {
    events("trade.made", "trade", values::amount(100..=99_900).prop_map(|cents| json!({ "cents": cents })))
}

/// The result that an event is to have: its type, and the fields of its data, all copied from the event's.
pub fn result(event: &EventEnvelope, event_type: &str, fields: &[&str]) -> (String, Value) {
    let copied = fields.iter().map(|field| ((*field).to_owned(), event.data()[*field].clone()));
    (event_type.to_owned(), Value::Object(copied.collect()))
}

/// A few events of a type about different things, in order of time, some at the same instant, of three keys.
fn events(
    event_type: &'static str,
    kind: &'static str,
    data: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Vec<EventEnvelope>> {
    let of_count = |count: usize, data| {
        let (ids, times) = (values::distinct_ids(kind, count), values::times(FROM_MS, 500, count));
        (ids, times, proptest::collection::vec((values::key(3, 40), data), count))
    };
    let data = data.boxed();
    let drawn = (1..5_usize).prop_flat_map(move |count| of_count(count, data.clone()));
    let event = move |id: String, at: i64, key: String, mut data: Value| {
        data[format!("{kind}_id")] = id.clone().into();
        let builder = EventEnvelope::builder(event_type, 1, "squall://data").subject(&id);
        let builder = builder.occurrence(Occurrence::Business(id)).partition_key(key).time_ms(at).data(data);
        builder.build().expect("an event of plain fields is well formed")
    };
    let all = move |(ids, times, rest): (Vec<String>, Vec<i64>, Vec<(String, Value)>)| {
        let parts = ids.into_iter().zip(times).zip(rest);
        parts.map(|((id, at), (key, data))| event(id, at, key, data)).collect()
    };
    drawn.prop_map(all).boxed()
}
