//! The envelope: through codecs, against forgeries, and what its errors name.

use proptest::prelude::*;
use serde_json::{Value, json};
use squall_core::canonical::MAX_DEPTH;
use squall_core::envelope::{
    EnvelopeBuilder, EnvelopeError, EventEnvelope, MAX_BYTES, format_rfc3339, parse_rfc3339,
};
use squall_core::event_id::{Class, IdPolicy, Occurrence};

use crate::values::{any_object, any_value};

fn order() -> EnvelopeBuilder {
    EventEnvelope::builder("order.placed", 1, "squall://shop")
        .subject("order-7")
        .occurrence(Occurrence::Business("order-7".into()))
        .partition_key("customer-3")
        .data(json!({ "total": 19.9 }))
}

fn full() -> EventEnvelope {
    let parent = order().build().expect("a parent");
    order()
        .subject("order-8")
        .time_ms(1_767_225_600_123)
        .data_schema("https://example.com/order.json")
        .caused_by(&parent)
        .sequence("000017")
        .trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .data_ref("s3://bucket/order-8")
        .policy(IdPolicy::default().classify("/card", Class::Confidential).expect("a pointer"))
        .extension("tenant", "north")
        .extension("attempts", 3)
        .extension("replayed", true)
        .build()
        .expect("a full envelope")
}

#[test]
fn a_full_envelope_is_cloud_events_json() {
    let event = full();
    let parent = order().build().expect("a parent");
    assert_eq!(
        event.to_value(),
        json!({
            "specversion": "1.0",
            "id": event.id().to_string(),
            "iddigest": event.digest().to_string(),
            "idscheme": "sq1",
            "type": "order.placed",
            "contractversion": 1,
            "source": "squall://shop",
            "subject": "order-8",
            "occurrence": "business:order-7",
            "time": "2026-01-01T00:00:00.123Z",
            "datacontenttype": "application/json",
            "dataschema": "https://example.com/order.json",
            "partitionkey": "customer-3",
            "correlationid": parent.id().to_string(),
            "causationid": parent.id().to_string(),
            "sequence": "000017",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "dataref": "s3://bucket/order-8",
            "dataclassification": "confidential",
            "tenant": "north",
            "attempts": 3,
            "replayed": true,
            "data": { "total": 19.9 },
        })
    );
    assert_eq!(EventEnvelope::from_bytes(&event.to_bytes()), Ok(event));
}

#[test]
fn an_event_without_an_occurrence_is_refused() {
    let error = EventEnvelope::builder("order.placed", 1, "squall://shop").build();
    assert!(matches!(error, Err(EnvelopeError::Missing { attribute: "occurrence", .. })), "{error:?}");
}

#[test]
fn only_the_identity_changes_the_id() {
    let plain = order().build().expect("an event");
    let told_again = order()
        .time_ms(5)
        .correlation_id("c-1")
        .caused_by(&plain)
        .trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .partition_key("other")
        .sequence("9")
        .extension("attempt", 2)
        .build()
        .expect("the same event");
    assert_eq!((plain.id(), plain.digest()), (told_again.id(), told_again.digest()));
}

#[test]
fn causes_hand_their_correlation_and_trace_on() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let root = order().trace_parent(trace).build().expect("an event");
    let child = order().subject("order-8").caused_by(&root).build().expect("an event");
    let grandchild = order().subject("order-9").caused_by(&child).build().expect("an event");
    assert_eq!(grandchild.causation_id(), Some(child.id()));
    assert_eq!(grandchild.correlation_id(), Some(root.id().to_string().as_str()));
    assert_eq!(grandchild.trace_parent(), Some(trace));
}

#[test]
fn altered_content_is_noticed() {
    let event = full();
    assert_eq!(order().build().expect("an event").verify(), Ok(()));
    let alterations = [
        ("type", json!("order.cancelled")),
        ("source", json!("squall://elsewhere")),
        ("subject", json!("order-9")),
        ("contractversion", json!(2)),
        ("occurrence", json!("business:order-8")),
        ("data", json!({ "total": 19.8 })),
    ];
    let policy = IdPolicy::default().classify("/card", Class::Confidential).expect("a pointer");
    assert_eq!(event.verify_with(&policy), Ok(()));
    for (name, value) in alterations {
        let mut altered = event.to_value();
        altered[name] = value;
        let altered = EventEnvelope::from_value(altered).expect("well formed");
        assert!(matches!(altered.verify_with(&policy), Err(EnvelopeError::Altered { .. })), "{name}");
    }
    assert!(event.verify().is_err(), "the policy is part of the identity");
}

#[test]
fn errors_name_the_attribute() {
    let cases = [
        ("specversion", json!("0.3")),
        ("specversion", json!(null)),
        ("id", json!("936da01f-9abd-4d9d-80c7-02af85c822a8")),
        ("id", json!("5c146b14-3c52-8afd-938a-375d0df1fbf6")),
        ("iddigest", json!("00")),
        ("idscheme", json!("sq2")),
        ("type", json!("")),
        ("type", json!(7)),
        ("source", json!("not a uri")),
        ("contractversion", json!(0)),
        ("contractversion", json!("1")),
        ("contractversion", json!(1.5)),
        ("contractversion", json!(4_000_000_000_u64)),
        ("subject", json!("a\u{7}b")),
        ("occurrence", json!("order-7")),
        ("time", json!("yesterday")),
        ("dataschema", json!("relative/uri")),
        ("causationid", json!("x")),
        ("traceparent", json!("00-00000000000000000000000000000000-b7ad6b7169203331-01")),
        ("dataclassification", json!("secret")),
        ("datacontenttype", json!("application/xml")),
        ("data_base64", json!("AAAA")),
        ("Tenant", json!("x")),
        ("a_tenant", json!("x")),
        ("anextensionnamethatistoolong", json!("x")),
        ("tenant", json!({ "a": 1 })),
        ("tenant", json!(1.5)),
        ("tenant", json!("a\u{0}b")),
    ];
    for (name, value) in cases {
        let mut wrong = full().to_value();
        wrong[name] = value.clone();
        let error = EventEnvelope::from_value(wrong).expect_err("an error");
        assert!(error.to_string().starts_with(&format!("attribute {name}")), "{name} = {value}: {error}");
    }
    for name in
        ["specversion", "id", "iddigest", "idscheme", "type", "source", "contractversion", "occurrence"]
    {
        let mut wrong = full().to_value();
        wrong.as_object_mut().expect("an object").remove(name);
        let error = EventEnvelope::from_value(wrong).expect_err("an error");
        assert!(error.to_string().starts_with(&format!("attribute {name} is missing")), "{name}: {error}");
    }
}

#[test]
fn extensions_cannot_take_an_attributes_place() {
    for name in ["id", "data", "partitionkey", "data_base64"] {
        assert!(order().extension(name, "x").build().is_err(), "{name}");
    }
}

#[test]
fn envelopes_are_bounded_when_built_and_when_read() {
    let large = json!({ "text": "x".repeat(MAX_BYTES) });
    assert!(matches!(order().data(large).build(), Err(EnvelopeError::TooLarge { .. })));
    let mut padded = full().to_bytes();
    padded.resize(MAX_BYTES, b' ');
    assert!(EventEnvelope::from_bytes(&padded).is_ok());
    padded.push(b' ');
    assert!(matches!(EventEnvelope::from_bytes(&padded), Err(EnvelopeError::TooLarge { .. })));
}

#[test]
fn data_as_deep_as_can_be_built_can_be_read() {
    let nested = |levels: usize| (0..levels).fold(Value::Null, |inner, _| json!([inner]));
    let deepest = order().data(nested(MAX_DEPTH - 1)).build().expect("within the limit");
    assert_eq!(EventEnvelope::from_bytes(&deepest.to_bytes()), Ok(deepest));
    assert!(order().data(nested(MAX_DEPTH)).build().is_err());
}

#[test]
fn typed_data_is_taken_strictly() {
    let event = order().data_of(&std::collections::BTreeMap::from([("total", 19.9)])).expect("JSON");
    assert_eq!(event.build(), order().build());
    assert!(matches!(order().data_of(&[0.1_f32]), Err(EnvelopeError::Identity(_))));
}

#[test]
fn bytes_that_are_no_event_are_refused() {
    for bytes in [&b""[..], b"null", b"[]", b"{}", b"\xff", b"{\"id\":1,\"id\":2}"] {
        assert!(EventEnvelope::from_bytes(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn timestamps_are_read_as_rfc_3339_has_them() {
    // §5.8, and the limits.
    let known = [
        ("1985-04-12T23:20:50.52Z", Some(482_196_050_520)),
        ("1996-12-19T16:39:57-08:00", Some(851_042_397_000)),
        ("1990-12-31T23:59:60Z", Some(662_688_000_000)),
        ("1990-12-31T15:59:60-08:00", Some(662_688_000_000)),
        ("1937-01-01T12:00:27.87+00:20", Some(-1_041_337_172_130)),
        ("2000-02-29t00:00:00z", Some(951_782_400_000)),
        ("9999-12-31T23:59:59.999Z", Some(253_402_300_799_999)),
        ("0000-01-01T00:00:00Z", Some(-62_167_219_200_000)),
        ("2026-01-01T00:00:00.1239Z", Some(1_767_225_600_123)),
        ("1900-02-29T00:00:00Z", None),
        ("2026-01-01T24:00:00Z", None),
        ("2026-01-01T00:00:61Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-01-01T00:00:00", None),
        ("2026-01-01T00:00:00.Z", None),
        ("2026-01-01T00:00:00+0100", None),
        ("2026-01-01 00:00:00Z", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("+026-01-01T00:00:00Z", None),
        ("", None),
    ];
    for (text, expected) in known {
        assert_eq!(parse_rfc3339(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn an_event_is_the_same_through_json_message_pack_and_cbor(data in any_object()) {
        let event = order().data(data).build().expect("an event");
        let json = EventEnvelope::from_bytes(&event.to_bytes()).expect("JSON");
        let message_pack = rmp_serde::to_vec_named(&event).expect("MessagePack");
        let message_pack: EventEnvelope = rmp_serde::from_slice(&message_pack).expect("MessagePack");
        let mut cbor = Vec::new();
        ciborium::into_writer(&event, &mut cbor).expect("CBOR");
        let cbor: EventEnvelope = ciborium::from_reader(cbor.as_slice()).expect("CBOR");
        for (codec, read) in [("JSON", json), ("MessagePack", message_pack), ("CBOR", cbor)] {
            prop_assert_eq!(read.verify(), Ok(()), "{}", codec);
            prop_assert_eq!(read.id(), event.id(), "{}", codec);
            let rebuilt = order().data(read.data().clone()).build().expect("an event");
            prop_assert_eq!(rebuilt.digest(), event.digest(), "{}", codec);
        }
    }

    #[test]
    fn every_built_event_can_be_read_back(data in any_value(), subject in "[a-zé]{1,9}", time_ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
        let event = order().data(data).subject(subject).time_ms(time_ms).build().expect("an event");
        prop_assert_eq!(EventEnvelope::from_bytes(&event.to_bytes()).map(|read| read.time_ms()), Ok(Some(time_ms)));
    }

    #[test]
    fn any_change_of_one_byte_is_harmless_or_noticed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let event = order().build().expect("an event");
        let mut bytes = event.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = EventEnvelope::from_bytes(&bytes)
            && read.verify().is_ok()
        {
            prop_assert_eq!(read.id(), event.id());
            prop_assert_eq!(read.data(), event.data());
        }
    }

    #[test]
    fn timestamps_survive_their_text(ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
        prop_assert_eq!(parse_rfc3339(&format_rfc3339(ms)), Some(ms));
    }

    #[test]
    fn attributes_of_any_type_are_refused_without_panic(name in "[a-z]{1,16}", value in any_value()) {
        let mut wrong = full().to_value();
        wrong[name] = value;
        if let Ok(event) = EventEnvelope::from_value(wrong) {
            let again: Value = event.to_value();
            prop_assert_eq!(EventEnvelope::from_value(again), Ok(event));
        }
    }
}
