//! Deterministic ids: known answers, what changes an id, and what must not.

use proptest::prelude::*;
use serde_json::{Value, json};
use squall_core::canonical;
use squall_core::event_id::{
    Class, Digest, EventId, IdKey, IdPolicy, IdentityError, NAMESPACE, Occurrence, Preimage, SCHEME,
};
use uuid::Uuid;

use crate::values::any_value;

#[derive(Clone, Debug)]
struct Content {
    event_type: String,
    contract_version: u32,
    source: String,
    subject: Option<String>,
    occurrence: Occurrence,
    data: Value,
}

impl Content {
    fn sample() -> Self {
        Self {
            event_type: "order.placed".into(),
            contract_version: 1,
            source: "squall://shop".into(),
            subject: Some("order-7".into()),
            occurrence: Occurrence::Business("order-7".into()),
            data: json!({ "total": 19.9, "customer": "customer-3", "lines": [{ "sku": "a", "count": 2 }] }),
        }
    }

    fn preimage(&self) -> Preimage<'_> {
        Preimage {
            event_type: &self.event_type,
            contract_version: self.contract_version,
            source: &self.source,
            subject: self.subject.as_deref(),
            occurrence: &self.occurrence,
            data: &self.data,
        }
    }

    fn id(&self) -> EventId {
        self.under(&IdPolicy::default()).expect("a stable id")
    }

    fn under(&self, policy: &IdPolicy) -> Result<EventId, IdentityError> {
        let (id, digest) = self.preimage().identify(policy)?;
        assert_eq!(EventId::from_digest(&digest), id);
        Ok(id)
    }
}

#[test]
fn the_example_of_rfc_9562_has_its_published_id() {
    // Appendix B.2: SHA-256 of "www.example.com" in the DNS namespace.
    let digest = Digest::of_name(&Uuid::NAMESPACE_DNS, b"www.example.com");
    assert_eq!(EventId::from_digest(&digest).to_string(), "5c146b14-3c52-8afd-938a-375d0df1fbf6");
}

#[test]
fn the_namespace_is_drawn_from_its_name() {
    let digest = Digest::of_name(&Uuid::NAMESPACE_DNS, b"squall.events.sq1");
    assert_eq!(EventId::from_digest(&digest).as_uuid(), NAMESPACE);
}

/// Known answers, computed outside this crate in another language; others may check themselves against them.
const VECTORS: &str = include_str!("../../testdata/sq1-vectors.json");

#[test]
fn the_scheme_never_changes() {
    // If this fails, every stored id is lost.
    let vectors = canonical::parse(VECTORS.as_bytes()).expect("JSON");
    for vector in vectors.as_array().expect("an array") {
        let text = |name: &str| vector[name].as_str().expect("a text");
        let attribute = |name: &str| vector["event"][name].as_str().map(str::to_owned);
        let content = Content {
            event_type: attribute("type").expect("a type"),
            contract_version: vector["event"]["contractversion"].as_u64().expect("a version") as u32,
            source: attribute("source").expect("a source"),
            subject: attribute("subject"),
            occurrence: attribute("occurrence").expect("an occurrence").parse().expect("an occurrence"),
            data: vector["event"]["data"].clone(),
        };
        let policy = policy_of(&vector["policy"]);
        let written = content.preimage().to_canonical(&policy).expect("a preimage");
        assert_eq!(String::from_utf8_lossy(&written), text("preimage"), "{}", text("name"));
        let (id, digest) = content.preimage().identify(&policy).expect("a stable id");
        assert_eq!((id.to_string().as_str(), digest.to_string().as_str()), (text("id"), text("iddigest")));
    }
}

fn policy_of(declared: &Value) -> IdPolicy {
    let mut policy = IdPolicy::default();
    let pointers = |kind: &str| declared[kind].as_array().cloned().unwrap_or_default();
    for pointer in pointers("excluded") {
        policy = policy.classify(pointer.as_str().expect("a text"), Class::Restricted).expect("a pointer");
    }
    for pointer in pointers("keyed") {
        policy =
            policy.classify_keyed(pointer.as_str().expect("a text"), Class::Restricted).expect("a pointer");
    }
    match (declared["key"].as_str(), declared["secret"].as_str()) {
        (Some(id), Some(secret)) => {
            policy.key(IdKey::new(id, hex::decode(secret).expect("hexadecimal")).expect("a key"))
        }
        _ => policy,
    }
}

#[test]
fn the_preimage_is_canonical_json() {
    let policy = IdPolicy::default().classify("/customer", Class::Restricted).expect("a pointer");
    for policy in [IdPolicy::default(), policy] {
        let written = Content::sample().preimage().to_canonical(&policy).expect("a preimage");
        let value = canonical::parse(&written).expect("JSON");
        assert_eq!(canonical::to_vec(&value).expect("a canonical form"), written);
        assert_eq!(value["scheme"], SCHEME);
    }
}

#[test]
fn equal_deposits_are_two_events_when_they_occur_twice() {
    let first = Content { occurrence: Occurrence::Business("deposit-1".into()), ..Content::sample() };
    let second = Content { occurrence: Occurrence::Business("deposit-2".into()), ..Content::sample() };
    assert_ne!(first.id(), second.id());
}

#[test]
fn unstable_spellings_are_refused_and_never_normalised() {
    let wrong: [fn(&mut Content); 7] = [
        |content| content.event_type.clear(),
        |content| content.source.push('\n'),
        |content| content.subject = Some("cafe\u{301}".into()),
        |content| content.subject = Some(String::new()),
        |content| content.occurrence = Occurrence::Business("cafe\u{301}".into()),
        |content| content.contract_version = 0,
        |content| content.data = json!({ "total": u64::MAX }),
    ];
    for spoil in wrong {
        let mut content = Content::sample();
        spoil(&mut content);
        assert!(content.under(&IdPolicy::default()).is_err(), "{content:?}");
    }
    let composed = Content { subject: Some("café".into()), ..Content::sample() };
    assert!(composed.under(&IdPolicy::default()).is_ok());
}

#[test]
fn sensitive_fields_do_not_reach_the_id_unless_keyed() {
    let with_card = |number: &str| Content {
        data: json!({ "total": 5, "cards": [{ "number": number, "brand": "x" }] }),
        ..Content::sample()
    };
    let (a, b) = (with_card("4111"), with_card("4222"));
    let excluded = IdPolicy::default().classify("/cards/*/number", Class::Restricted).expect("a pointer");
    assert_eq!(a.under(&excluded), b.under(&excluded));
    let internal = IdPolicy::default().classify("/cards/*/number", Class::Internal).expect("a pointer");
    assert_eq!(a.under(&internal), Ok(a.id()), "an internal field counts as any other");

    let keyed = IdPolicy::default().classify_keyed("/cards/*/number", Class::Restricted).expect("a pointer");
    assert!(a.under(&keyed).is_err(), "there is no key");
    let under = |id: &str, byte: u8| keyed.clone().key(IdKey::new(id, [byte; 32]).expect("a key"));
    assert_eq!(a.under(&under("k1", 1)), a.under(&under("k1", 1)));
    assert_ne!(a.under(&under("k1", 1)), b.under(&under("k1", 1)));
    assert_ne!(a.under(&under("k1", 1)), a.under(&under("k2", 1)), "the key's name counts");
    assert_ne!(a.under(&under("k1", 1)), a.under(&under("k1", 2)), "the secret counts");

    for policy in [&excluded, &under("k1", 1)] {
        let written = a.preimage().to_canonical(policy).expect("a preimage");
        assert!(!String::from_utf8_lossy(&written).contains("4111"));
    }
    assert!(!format!("{:?}", under("k1", 255)).contains("255"), "a key is never printed");
}

#[test]
fn equal_values_of_two_keyed_fields_cannot_be_told_to_be_equal() {
    let policy = ["/mail", "/reply_to"].iter().fold(IdPolicy::default(), |policy, pointer| {
        policy.classify_keyed(pointer, Class::Confidential).expect("a pointer")
    });
    let policy = policy.key(IdKey::new("k1", [1; 32]).expect("a key"));
    let content = Content { data: json!({ "mail": "a@b", "reply_to": "a@b" }), ..Content::sample() };
    let written = content.preimage().to_canonical(&policy).expect("a preimage");
    let preimage = canonical::parse(&written).expect("JSON");
    let mac = |pointer: &str| preimage["sensitive"][pointer]["mac"][pointer].as_str().map(str::to_owned);
    assert!(mac("/mail").is_some() && mac("/mail") != mac("/reply_to"), "{preimage}");
    assert_eq!(preimage["sensitive"]["/mail"]["key"], "k1");
    assert_eq!(policy.class(), Some(Class::Confidential));
}

#[test]
fn sensitive_fields_that_cannot_be_taken_out_are_refused() {
    for pointer in ["", "card", "/lines/*"] {
        assert!(IdPolicy::default().classify(pointer, Class::Restricted).is_err(), "{pointer:?}");
    }
    let element = IdPolicy::default().classify("/lines/0", Class::Restricted).expect("could be an object");
    assert!(Content::sample().under(&element).is_err(), "it is an element of an array");
    let card = || IdPolicy::default().classify("/card", Class::Confidential).expect("a pointer");
    for inner in ["/card", "/card/number", "/card/*/number"] {
        assert!(card().classify_keyed(inner, Class::Restricted).is_err(), "{inner} is declared already");
    }
    assert!(card().classify("/card-holder", Class::Restricted).is_ok(), "only its name begins alike");
    assert!(card().classify("/card/brand", Class::Public).is_ok(), "it is taken out with the card");
    assert!(IdKey::new("k1", [0; 31]).is_err());
    assert!(IdKey::new("", [0; 32]).is_err());
}

#[test]
fn an_equal_id_with_another_digest_is_a_collision() {
    let (id, digest) = Content::sample().preimage().identify(&IdPolicy::default()).expect("a stable id");
    let mut hex = digest.to_string();
    let last = if hex.pop() == Some('0') { '1' } else { '0' };
    hex.push(last);
    let forged: Digest = hex.parse().expect("a digest");
    assert_eq!(EventId::from_digest(&forged), id);
    assert_eq!(digest.expect_same(&digest, id), Ok(()));
    assert!(matches!(digest.expect_same(&forged, id), Err(IdentityError::Collision { .. })));
}

#[test]
fn ids_digests_and_occurrences_have_one_spelling() {
    let id = Content::sample().id();
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(serde_json::to_value(id).expect("JSON"), json!(id.to_string()));
    let v4 = "936da01f-9abd-4d9d-80c7-02af85c822a8";
    for text in ["", v4, &id.to_string().to_uppercase(), &id.as_uuid().simple().to_string()] {
        assert!(text.parse::<EventId>().is_err(), "{text}");
        assert!(serde_json::from_value::<EventId>(json!(text)).is_err(), "{text}");
    }
    for text in [
        "",
        "business",
        "Business:x",
        "caused:x:0:h",
        &format!("caused:{id}:01:h"),
        &format!("caused:{id}:0"),
    ] {
        assert!(text.parse::<Occurrence>().is_err(), "{text}");
    }
    for text in ["", "00", &"AB".repeat(32), &"0".repeat(63)] {
        assert!(text.parse::<Digest>().is_err(), "{text}");
    }
}

/// Contents from few values, so that equal ones are met as well.
fn any_content() -> impl Strategy<Value = Content> {
    let word = prop::sample::select(vec!["a", "b", "a:b", "business:a"]);
    let occurrence = prop_oneof![
        word.clone().prop_map(|key| Occurrence::Business(key.into())),
        (word.clone(), word.clone(), 0_u32..2).prop_map(|(cause, handler, ordinal)| Occurrence::Caused {
            causation: Content { subject: Some(cause.into()), ..Content::sample() }.id(),
            handler: handler.into(),
            ordinal,
        }),
    ];
    let data = prop::sample::select(vec![
        json!(null),
        json!({}),
        json!({ "a": 1 }),
        json!([1]),
        json!("1"),
        json!(1),
    ]);
    (word.clone(), 1_u32..3, word.clone(), prop::option::of(word), occurrence, data).prop_map(
        |(event_type, contract_version, source, subject, occurrence, data)| Content {
            event_type: event_type.into(),
            contract_version,
            source: source.into(),
            subject: subject.map(Into::into),
            occurrence,
            data,
        },
    )
}

proptest! {
    #[test]
    fn ids_are_equal_exactly_if_every_member_of_the_preimage_is(a in any_content(), b in any_content()) {
        let members = |c: &Content| {
            (c.event_type.clone(), c.contract_version, c.source.clone(), c.subject.clone(),
             c.occurrence.clone(), c.data.clone())
        };
        prop_assert_eq!(a.id() == b.id(), members(&a) == members(&b));
    }

    #[test]
    fn changing_one_member_changes_the_id(content in any_content(), which in 0_usize..6, data in any_value()) {
        let mut changed = content.clone();
        match which {
            0 => changed.event_type.push('x'),
            1 => changed.contract_version += 1,
            2 => changed.source.push('x'),
            3 => changed.subject = changed.subject.is_none().then(|| "x".into()),
            4 => changed.occurrence = Occurrence::Business("x".into()),
            _ => changed.data = json!({ "changed": data }),
        }
        prop_assert_ne!(content.id(), changed.id());
    }

    #[test]
    fn occurrences_survive_their_text(occurrence in any_content().prop_map(|content| content.occurrence)) {
        prop_assert_eq!(occurrence.to_string().parse(), Ok(occurrence));
    }
}
