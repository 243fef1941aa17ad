//! JSON values for properties: every kind, nested, with the strings and numbers that break canonicalisers.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Values that have a canonical form.
pub fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            members(inner).prop_map(Value::Object),
        ]
    })
}

/// Objects that have a canonical form.
pub fn any_object() -> impl Strategy<Value = Value> {
    members(any_value().boxed()).prop_map(Value::Object)
}

fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map(text(), value, 0..6).prop_map(|members| members.into_iter().collect())
}

fn number() -> impl Strategy<Value = Value> {
    let safe = (1_i64 << 53) - 1;
    let is_stable = |double: &f64| double.is_finite() && (double.abs() < 9e15 || double.abs() >= 1e21);
    prop_oneof![
        (-1000_i64..1000).prop_map(Value::from),
        (-safe..=safe).prop_map(Value::from),
        prop::num::f64::NORMAL.prop_filter("stable", is_stable).prop_map(|double| json!(double)),
        (-10_000_i32..10_000).prop_map(|cents| json!(f64::from(cents) / 100.0)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,8}",
        any::<String>(),
        // Escapes, both spellings of é, and the places where UTF-16 and UTF-8 order differ.
        "[\u{0}-\u{1f}\"\\\\/\u{7f}é\u{301}\u{e000}\u{ffff}\u{10000}\u{10ffff}]{0,6}",
    ]
}
