//! Whole values, against RFC 8785 and two other implementations.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use squall_core::canonical::{CanonicalError, MAX_DEPTH, Strict, parse, to_vec, value_of};

use crate::values::any_value;

#[test]
fn the_sample_of_rfc_8785_is_written_as_published() {
    // §3.2.2, §3.2.3 and §3.2.4.
    let input = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let expected = "{\"literals\":[null,true,false],\
        \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(canonical(input), expected);
}

#[test]
fn members_are_sorted_by_utf_16_code_units() {
    // RFC 8785 §3.2.3: the emoji is a surrogate pair and therefore precedes U+FB33.
    let input = r#"{
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let text = canonical(input);
    let order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
    let places: Vec<_> = order.iter().map(|name| text.find(name).expect("a member")).collect();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn the_numbers_of_rfc_8785_are_written_as_published() {
    // Appendix B.
    let published: [(u64, &str); 24] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];
    for (bits, expected) in published {
        let mut out = Vec::new();
        squall_core::canonical::write_number(&mut out, f64::from_bits(bits)).expect("a finite number");
        assert_eq!(String::from_utf8_lossy(&out), expected, "{bits:016x}");
    }
}

#[test]
fn the_spelling_of_a_value_does_not_matter() {
    let spellings = [
        r#"{"a":1,"b":"é","c":0}"#,
        "{ \"c\" : -0 ,\n\t\"b\" : \"\\u00e9\" , \"a\" : 1.0 }",
        r#"{"b":"\u00E9","a":10e-1,"c":-0.0}"#,
    ];
    for spelling in spellings {
        assert_eq!(canonical(spelling), r#"{"a":1,"b":"é","c":0}"#);
    }
}

#[test]
fn texts_with_two_meanings_are_refused() {
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    let refused = [
        r#"{"a":1,"a":1}"#,
        r#"{"a":{"b":1,"c":2,"\u0062":3}}"#,
        "9007199254740992",
        "-9007199254740992",
        "9007199254740993.0",
        r#"["\"", 18446744073709551616]"#,
        "123456789012345678901234567890",
        r#""\ud800""#,
        "NaN",
        "1e999",
        "01",
        "[1,]",
        "{} {}",
        "",
        "\"\u{1}\"",
        &deep,
    ];
    for text in refused {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(parse(b"\"\xff\"").is_err(), "bytes that are no UTF-8");
    let accepted = [
        "9007199254740991",
        "-9007199254740991",
        r#""9007199254740993""#,
        "1e21",
        "1e300",
        r#"{"a":{"a":1}}"#,
    ];
    for text in accepted {
        assert!(parse(text.as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn values_without_a_canonical_form_are_named_by_their_place() {
    let place = |value: Value| to_vec(&value).expect_err("no canonical form").to_string();
    assert!(
        place(json!({ "a": [0, { "b/c": 1_u64 << 53 }] }))
            .contains("at /a/1/b~1c: the number 9007199254740992")
    );
    assert!(place(json!(i64::MIN)).starts_with("the value: the number -9223372036854775808"));
    assert!(
        place(json!({ "x": 1e16 })).contains("at /x: the number 1e+16"),
        "{}",
        place(json!({ "x": 1e16 }))
    );
    let deep = (0..=MAX_DEPTH).fold(Value::Null, |inner, _| json!([inner]));
    assert!(matches!(to_vec(&deep), Err(CanonicalError::TooDeep { .. })));
    let deepest = (0..MAX_DEPTH).fold(Value::Null, |inner, _| json!([inner]));
    let text = to_vec(&deepest).expect("within the limit");
    assert_eq!(parse(&text), Ok(deepest), "what can be written can be read");
}

#[test]
fn single_precision_numbers_are_refused_where_the_codec_tells() {
    let message = rmp_serde::to_vec(&0.1_f32).expect("MessagePack");
    let error = rmp_serde::from_slice::<Strict>(&message).expect_err("a single-precision number");
    assert!(error.to_string().contains("single-precision"), "{error}");
    let message = rmp_serde::to_vec(&0.1_f64).expect("MessagePack");
    assert_eq!(rmp_serde::from_slice::<Strict>(&message).expect("a double"), Strict(json!(0.1)));
    assert!(rmp_serde::from_slice::<Strict>(&rmp_serde::to_vec(&u64::MAX).expect("MessagePack")).is_err());
}

#[derive(Serialize)]
struct Order {
    id: u32,
    note: Option<&'static str>,
    state: State,
    price: (f64, char),
    lines: Vec<State>,
    by_number: std::collections::BTreeMap<i16, ()>,
}

#[derive(Serialize)]
enum State {
    Open,
    Paid(u64),
    Sent { on: &'static str },
    Split(u8, bool),
}

#[test]
fn typed_values_become_the_same_json_as_elsewhere() {
    let order = Order {
        id: 7,
        note: None,
        state: State::Sent { on: "monday" },
        price: (19.9, '€'),
        lines: vec![State::Open, State::Paid(3), State::Split(1, true)],
        by_number: [(-1, ())].into(),
    };
    let elsewhere = serde_json::to_value(&order).expect("JSON");
    assert_eq!(value_of(&order), Ok(elsewhere));
}

#[test]
fn typed_values_with_two_spellings_are_refused_by_their_place() {
    #[derive(Serialize)]
    struct Twice {
        a: u8,
        #[serde(flatten)]
        rest: std::collections::BTreeMap<&'static str, u8>,
    }
    let problem = |result: Result<Value, CanonicalError>| result.expect_err("no canonical form").to_string();
    let nested = std::collections::BTreeMap::from([("prices", vec![0.1_f32])]);
    assert!(
        problem(value_of(&nested)).starts_with("the value at /prices/0: 0.1 is a single-precision number")
    );
    assert!(problem(value_of(&[1.0, f64::NAN])).starts_with("the value at /1: NaN"));
    assert!(problem(value_of(&[u128::MAX])).contains("340282366920938463463374607431768211455"));
    assert!(
        problem(value_of(&State::Paid(1 << 53)))
            .starts_with("the value at /Paid: the number 9007199254740992")
    );
    assert!(problem(value_of(&1e17)).contains("100000000000000000"));
    assert!(problem(value_of(&Twice { a: 1, rest: [("a", 2)].into() })).contains("twice"));
    assert!(problem(value_of(&std::collections::BTreeMap::from([(true, 1)]))).contains("name of a member"));
    assert!(problem(value_of(&bytes::Bytes::from_static(b"x"))).contains("base64"));
    let deep = (0..=MAX_DEPTH).fold(Value::Null, |inner, _| json!([inner]));
    assert!(matches!(value_of(&deep), Err(CanonicalError::TooDeep { .. })));
}

proptest! {
    #[test]
    fn json_values_are_taken_as_they_are(value in any_value()) {
        prop_assert_eq!(value_of(&value), Ok(value));
    }

    #[test]
    fn other_implementations_agree(value in any_value()) {
        let ours = to_vec(&value).expect("a canonical form");
        let canonicalizer = serde_json_canonicalizer::to_vec(&value).expect("a canonical form");
        prop_assert_eq!(text(&ours), text(&canonicalizer));
        let jcs = serde_jcs::to_vec(&value).expect("a canonical form");
        prop_assert_eq!(text(&ours), text(&jcs));
    }

    #[test]
    fn canonical_text_is_read_back_to_the_same_canonical_text(value in any_value()) {
        let once = to_vec(&value).expect("a canonical form");
        let again = to_vec(&parse(&once).expect("canonical text is strict")).expect("a canonical form");
        prop_assert_eq!(text(&once), text(&again));
    }

    #[test]
    fn strings_survive(original in any::<String>()) {
        let written = to_vec(&json!(original)).expect("a canonical form");
        prop_assert_eq!(parse(&written), Ok(json!(original)));
        prop_assert!(!written.iter().any(|byte| *byte < 0x20), "every control character is escaped");
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn integers_are_kept_or_refused_but_never_rounded(integer in any::<i128>(), shift in 0_u32..128) {
        let integer = integer >> shift;
        let mut literal = String::new();
        write!(literal, "{integer}").expect("a string takes everything");
        match parse(literal.as_bytes()) {
            Ok(value) => prop_assert_eq!(text(&to_vec(&value).expect("a canonical form")), literal),
            Err(_) => prop_assert!(integer.unsigned_abs() >= 1 << 53),
        }
    }
}

fn canonical(input: &str) -> String {
    let value = parse(input.as_bytes()).expect("strict JSON");
    text(&to_vec(&value).expect("a canonical form"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}
