//! Sequences drawn by chance, shrunk to the shortest that still differs.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::choice;
use crate::mixed;
use crate::templates::Template;
use crate::wire::{Pair, Servers, words};

const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "10",
    "abc",
    "3.5",
    "-0.25",
    "1e2",
    " 1",
    "01",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "inf",
    "\u{7f}",
];
const MEMBERS: &[&str] =
    &["1", "2", "3", "-7", "0", "07", "a", "b", "", "*", "9223372036854775807", "-", "10"];
const SCORES: &[&str] = &[
    "0", "1", "1", "2", "2", "-1.5", "0.1", "1e2", "3.14", "inf", "-inf", "x", "1e400", "-0", "1e17", "1e-5",
];
const SCORE_BOUNDS: &[&str] =
    &["-inf", "+inf", "0", "1", "(1", "2", "(2", "-1.5", "(inf", "100", "x", "", "(", " 1", "(x"];
const NAME_BOUNDS: &[&str] = &["-", "+", "-", "+", "[a", "(a", "[b", "(1", "[", "(", "x", "", "[10", "(b"];
const STREAM_IDS: &[&str] = &[
    "0",
    "0-0",
    "1",
    "1-1",
    "2-0",
    "2-1",
    "3",
    "3-3",
    "4-0",
    "4-1",
    "5",
    "6-0",
    "7",
    "9",
    "5-*",
    "-",
    "+",
    "(2",
    "(4-0",
    "$",
    ">",
    "x",
    "18446744073709551615-18446744073709551615",
];
const INTEGERS: &[&str] =
    &["0", "1", "-1", "2", "5", "-3", "100", "9223372036854775807", "-9223372036854775808", "x", ""];
const FLOATS: &[&str] = &["0", "1", "-1.5", "0.1", "3.14", "1e2", "x", "-0.25", "inf"];
const TIMES: &[&str] =
    &["0", "-1", "5000000", "7000000", "x", "9223372036854775807", "4102444800", "4102444800000"];

/// The keys of random commands.
pub const KEYS: &[&str] = &["a", "b", "c", "d"];
/// Keys of which some share a slot.
pub const SLOT_KEYS: &[&str] = &["a", "{a}b", "{a}c", "d"];

/// A command line of a template, its holes filled by chance.
pub fn command(template: Template, keys: &'static [&'static str]) -> BoxedStrategy<Vec<Vec<u8>>> {
    let any_of =
        |options: &'static [&'static str]| proptest::sample::select(options).prop_map(str::to_owned).boxed();
    let hole = |word: &'static str| -> BoxedStrategy<String> {
        match word {
            "K" => any_of(keys),
            "F" => any_of(&["f", "g", "h", ""]),
            "V" => any_of(VALUES),
            "I" => any_of(INTEGERS),
            "N" => any_of(FLOATS),
            "T" => any_of(TIMES),
            "M" => any_of(MEMBERS),
            "P" => any_of(SCORES),
            "R" => any_of(SCORE_BOUNDS),
            "X" => any_of(NAME_BOUNDS),
            "C" => any_of(&["2", "2", "2", "1", "0", "-1", "3", "x"]),
            "S" => any_of(&["0", "2", "3", "512"]),
            "E" => any_of(STREAM_IDS),
            "D" => prop_oneof![4 => any_of(&["0", "1"]), 1 => any_of(&["16", "x", "-1"])].boxed(),
            word if word.contains('/') => {
                proptest::sample::select(word.split('/').collect::<Vec<_>>()).prop_map(str::to_owned).boxed()
            }
            word => Just(word.trim_matches('\'').replace('_', " ")).boxed(),
        }
    };
    let holes: Vec<_> = template.split(' ').map(hole).collect();
    holes
        .prop_map(|words| words.into_iter().filter(|word| word != "-").map(String::into_bytes).collect())
        .boxed()
}

/// Runs random sequences on both servers.
pub fn run(
    servers: &Servers,
    version: u8,
    templates: &'static [Template],
    keys: &'static [&'static str],
) -> Result<(), String> {
    let one = proptest::sample::select(templates).prop_flat_map(|template| command(template, keys));
    let sequences = prop::collection::vec(one, 1..60);
    // Waits take their time.
    let cases = if templates.iter().any(mixed::waits) { 5 } else { 40 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&sequences, |sequence| {
        let mut pair = servers.pair(version).map_err(TestCaseError::fail)?;
        for command in &sequence {
            let step = if choice::is_one(command) {
                choice::agrees(&mut pair, command)
            } else {
                agree(&mut pair, command)
            };
            step.map_err(TestCaseError::fail)?;
        }
        Ok(())
    });
    outcome.map_err(|error| match error {
        proptest::test_runner::TestError::Fail(why, sequence) => {
            let lines = sequence.iter().map(|command| format!("  {}", show(command))).collect::<Vec<_>>();
            format!("{why}\nafter\n{}", lines.join("\n"))
        }
        other => other.to_string(),
    })
}

/// Sends a command to both servers; what differs is an error.
pub fn agree(pair: &mut Pair<'_>, command: &[Vec<u8>]) -> Result<(), String> {
    let (real, mock) = pair.ask(command)?;
    // Whether a millisecond has passed shall not depend on who runs the next command sooner.
    if command[0] == b"hpexpire" && command.get(2).is_some_and(|time| time == b"1") {
        pair.ask(&words("debug sleep 0.003"))?;
    }
    if pair.same(command, &real, &mock) { Ok(()) } else { Err(format!("real {real:?}\nmock {mock:?}")) }
}

/// A command line to be read.
pub fn show(command: &[Vec<u8>]) -> String {
    let words = command.iter().map(|word| format!("{:?}", String::from_utf8_lossy(word)));
    words.collect::<Vec<_>>().join(" ")
}
