//! The libraries of scripts with values and bytes drawn by chance, shrunk to the least that differs.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::random::agree;
use crate::wire::Servers;

/// Runs random calls of the libraries on both servers.
pub fn run(servers: &Servers, version: u8) -> Result<(), String> {
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut pair = servers.pair(version)?;
    let pair = std::cell::RefCell::new(&mut pair);
    let outcome = TestRunner::new_with_rng(config, rng).run(&call(), |(script, args)| {
        let mut command = vec![b"eval".to_vec(), script.into_bytes(), b"0".to_vec()];
        command.extend(args);
        agree(&mut pair.borrow_mut(), &command).map_err(TestCaseError::fail)
    });
    outcome.map_err(|error| error.to_string())
}

/// A script and its arguments.
fn call() -> impl Strategy<Value = (String, Vec<Vec<u8>>)> {
    prop_oneof![
        value().prop_map(|value| (format!("return cjson.encode({value})"), vec![])),
        value().prop_map(|value| (format!("return cmsgpack.pack({value})"), vec![])),
        value().prop_map(|value| {
            (format!("return cjson.encode(cmsgpack.unpack(cmsgpack.pack({value})))"), vec![])
        }),
        json().prop_map(|text| ("return cjson.encode(cjson.decode(ARGV[1]))".to_owned(), vec![text])),
        msgpack().prop_map(|bytes| {
            (
                "cjson.encode_invalid_numbers('null') return cjson.encode({cmsgpack.unpack(ARGV[1])})".into(),
                vec![bytes],
            )
        }),
        (msgpack(), -1..6_i32, -1..6_i32).prop_map(|(bytes, limit, offset)| {
            let unpack = format!("cmsgpack.unpack_limit(ARGV[1],{limit},{offset})");
            (format!("return cjson.encode({{{unpack}}})"), vec![bytes])
        }),
        (format(), prop::collection::vec(argument(), 0..5))
            .prop_map(|(format, args)| (format!("return struct.pack('{format}'{})", args.concat()), vec![])),
        (format(), prop::collection::vec(any::<u8>(), 0..40), 0..6_i32).prop_map(|(format, data, at)| {
            let script =
                "local t={struct.unpack('F',ARGV[1],AT)} for i=1,#t do t[i]=tostring(t[i]) end return t";
            (script.replace('F', &format).replace("AT", &at.to_string()), vec![data])
        }),
        format().prop_map(|format| (format!("return struct.size('{format}')"), vec![])),
        (operation(), number(), number())
            .prop_map(|(name, left, right)| (format!("return bit.{name}({left},{right})"), vec![])),
    ]
}

fn one_of(options: &'static [&'static str]) -> BoxedStrategy<String> {
    proptest::sample::select(options).prop_map(str::to_owned).boxed()
}

fn operation() -> BoxedStrategy<String> {
    one_of(&["band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror", "tohex", "bnot", "tobit"])
}

/// A number as Lua writes it.
fn number() -> BoxedStrategy<String> {
    let special = one_of(&[
        "0",
        "-0",
        "1",
        "0.1",
        "-1.5",
        "1e15",
        "1e300",
        "2^53",
        "2^63",
        "-2^63",
        "2^31",
        "-2^31",
        "2^32-1",
        "255",
        "256",
        "65535",
        "65536",
        "-32",
        "-33",
        "-128",
        "-129",
        "1/3",
        "3.14159265358979",
        "16777217",
    ]);
    prop_oneof![
        special,
        any::<i32>().prop_map(|number| format!("({number})")),
        any::<f32>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("({number:e})"))
    ]
    .boxed()
}

/// A string as Lua writes it, of any bytes. Shorter than 32, since Redis' Lua hashes longer ones in another way,
/// and the hash decides the order of a table.
fn text() -> BoxedStrategy<String> {
    let bytes = prop::collection::vec(any::<u8>(), 0..32);
    bytes
        .prop_map(|bytes| {
            format!("'{}'", bytes.iter().map(|byte| format!("\\{byte:03}")).collect::<String>())
        })
        .boxed()
}

fn value() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        4 => number(),
        4 => text(),
        2 => one_of(&["true", "false", "cjson.null", "1/0", "tostring", "{}"]),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![
            number().prop_map(|key| format!("[{key}]")),
            text().prop_map(|key| format!("[{key}]"))
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("{{{}}}", items.join(","))),
            prop::collection::vec((key, inner), 0..6).prop_map(|pairs| {
                let fields: Vec<String> =
                    pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
    .boxed()
}

/// Something like JSON.
fn json() -> BoxedStrategy<Vec<u8>> {
    let piece = one_of(&[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\u00e9\\n\"",
        "\"\\ud834\\udd1e\"",
        "\"\\x\"",
        "\"",
        "1",
        "-0.5",
        "1e5",
        "1e400",
        "0x1p3",
        "007",
        "+1",
        "nan",
        "-inf",
        "Infinity",
        "null",
        "true",
        "false",
        "nul",
        " ",
        "\t",
        "-",
        ".5",
        "1.",
        "1e",
        "é",
        "\"k\":1",
        "[1,2]",
        "{\"a\":[]}",
        "[[]]",
    ]);
    let soup = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes());
    let leaf = one_of(&[
        "1",
        "-0.5",
        "1e5",
        "null",
        "true",
        "\"\\u20ac x\"",
        "{}",
        "[]",
        "\"\"",
        "12345678901234567890",
    ]);
    let tree = leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..5).prop_map(|pairs| {
                let fields: Vec<String> =
                    pairs.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    });
    prop_oneof![soup, tree.prop_map(String::into_bytes)].boxed()
}

/// Something like MessagePack. Large counts are rare, since both servers try to make tables of them.
fn msgpack() -> BoxedStrategy<Vec<u8>> {
    let byte = prop_oneof![
        3 => 0..0x20_u8,
        3 => 0x80..0xa8_u8,
        3 => 0xc0..=0xff_u8,
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..24).boxed()
}

fn format() -> BoxedStrategy<String> {
    let option = one_of(&[
        "b", "B", "h", "H", "l", "L", "T", "i", "I", "i3", "I12", "i32", "i33", "i0", "f", "d", "x", "s",
        "c3", "c0", "c", ">", "<", "!", "!2", "!3", "!16", " ", "z", "bc0",
    ]);
    prop::collection::vec(option, 0..6).prop_map(|options| options.concat()).boxed()
}

fn argument() -> BoxedStrategy<String> {
    prop_oneof![4 => number(), 2 => text(), 1 => one_of(&["nil", "{}", "'12'", "'x'"])]
        .prop_map(|argument| format!(",{argument}"))
        .boxed()
}
