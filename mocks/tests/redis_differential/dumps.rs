//! Values of chance go from each server to the other as payloads, and must be the same there.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::random::agree;
use crate::wire::{Pair, Resp, Servers, words};

/// A command that adds to the key `k`.
type Step = Vec<Vec<u8>>;

/// Texts that are short, long, numbers, easy and hard to compress.
fn text() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        4 => (any::<i64>(), 0_u32..64).prop_map(|(number, by)| (number >> by).to_string().into_bytes()),
        4 => "[a-z]{0,12}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..80),
        2 => ("[a-d]{1,5}", 1_usize..300).prop_map(|(piece, times)| piece.repeat(times).into_bytes()),
        1 => prop::collection::vec(b'a'..b'e', 0..3000),
    ]
    .boxed()
}

fn score() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        any::<i16>().prop_map(|score| score.to_string()),
        (-1e6_f64..1e6).prop_map(|score| score.to_string()),
        prop::sample::select(vec!["inf", "-inf", "0", "-0", "1e300"]).prop_map(str::to_owned),
    ]
    .prop_map(String::into_bytes)
    .boxed()
}

fn steps() -> BoxedStrategy<Vec<Step>> {
    let add = |name: &'static str, element: BoxedStrategy<Vec<Vec<u8>>>, most: usize| {
        let command = move |elements: Vec<Vec<Vec<u8>>>| {
            elements.chunks(100).map(|chunk| [words(&format!("{name} k")), chunk.concat()].concat()).collect()
        };
        prop::collection::vec(element, 1..most).prop_map(command).boxed()
    };
    let one = || text().prop_map(|text| vec![text]).boxed();
    let integer = any::<i64>().prop_flat_map(|number| {
        (0_u32..64).prop_map(move |by| vec![(number >> by).to_string().into_bytes()])
    });
    let small = any::<u8>().prop_map(|number| vec![number.to_string().into_bytes()]);
    prop_oneof![
        3 => text().prop_map(|text| vec![[words("set k"), vec![text]].concat()]),
        2 => add("append", one(), 2),
        3 => add("rpush", one(), 200),
        2 => add("sadd", integer.boxed(), 40),
        1 => add("sadd", small.boxed(), 700),
        2 => add("sadd", one(), 200),
        2 => add("hset", (text(), text()).prop_map(|(field, value)| vec![field, value]).boxed(), 40),
        2 => add("hset", ("[a-z]{1,8}", "[a-z0-9]{0,20}").prop_map(|(field, value)| vec![field.into_bytes(), value.into_bytes()]).boxed(), 100),
        3 => add("zadd", (score(), text()).prop_map(|(score, member)| vec![score, member]).boxed(), 200),
        1 => add("pfadd", one(), 300),
        3 => streams(),
    ]
    .boxed()
}

/// Entries, some of them deleted, read by groups and acknowledged in part.
fn streams() -> BoxedStrategy<Vec<Step>> {
    let entry = (1_u64..4, prop::collection::vec((prop_oneof!["f", "[a-c]{1,9}"], text()), 1..4));
    let add = prop::collection::vec(entry, 1..150).prop_map(|entries| {
        let mut ms = 0;
        let command = |(step, pairs): (u64, Vec<(String, Vec<u8>)>)| {
            ms += step;
            let fields = pairs.into_iter().flat_map(|(name, value)| [name.into_bytes(), value]);
            [words(&format!("xadd k {ms}-{step}")), fields.collect()].concat()
        };
        entries.into_iter().map(command).collect::<Vec<Step>>()
    });
    let then = prop::collection::vec((0_usize..7, 1_u64..300), 0..12).prop_map(|steps| {
        let line = |(what, number): (usize, u64)| match what {
            0 => format!("xdel k {number}-1 {number}-2"),
            1 => "xtrim k maxlen ~ 100".to_owned(),
            2 => format!("xgroup create k g{} {number}-0", number % 3),
            3 => format!("xgroup createconsumer k g{} c{}", number % 3, number % 2),
            4 => "xsetid k 1000-1 entriesadded 500 maxdeletedid 400-0".to_owned(),
            5 => format!(
                "xclaim k g{} c{} 0 {number}-1 idle 0 time 12345 retrycount 3 force justid",
                number % 3,
                number % 2
            ),
            _ => format!("xtrim k maxlen {number}"),
        };
        steps.into_iter().map(|step| words(&line(step))).collect::<Vec<Step>>()
    });
    (add, then).prop_map(|(add, then)| [add, then].concat()).boxed()
}

fn payload(reply: &Resp) -> Result<Vec<u8>, String> {
    match reply {
        // Replies are kept as one character a byte.
        Resp::Bulk(text) => {
            Ok(text.chars().map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?')).collect())
        }
        other => Err(format!("expected a payload, found {other:?}")),
    }
}

fn one(pair: &mut Pair<'_>, steps: &[Step]) -> Result<(), String> {
    agree(pair, &words("del k r"))?;
    for step in steps {
        agree(pair, step)?;
    }
    let (real, mock) = pair.ask(&words("dump k"))?;
    let (encoding, _) = pair.ask(&words("object encoding k"))?;
    // A table has an order of its own in each server, and clocks show in when a consumer was last seen.
    let has_times = steps.iter().any(|step| step[0].starts_with(b"xgroup") || step[0].starts_with(b"xclaim"));
    if !has_times && encoding != Resp::Bulk("hashtable".to_owned()) && real != mock {
        return Err(format!("payloads differ\n    real {real:?}\n    mock {mock:?}"));
    }
    let restore = |payload: Vec<u8>| [words("restore r 0"), vec![payload]].concat();
    let answers = pair.ask_apart(&restore(payload(&mock)?), &restore(payload(&real)?))?;
    let ok = Resp::Simple("OK".to_owned());
    if answers != (ok.clone(), ok) {
        return Err(format!("restored with {answers:?}"));
    }
    let looks = [
        "type r",
        "object encoding r",
        "get r",
        "lrange r 0 -1",
        "smembers r",
        "hgetall r",
        "zrange r 0 -1 withscores",
    ];
    // Only later versions know the command.
    let has_deadlines = steps.iter().any(|step| step[0].starts_with(b"hpexpire"));
    let deadlines = has_deadlines.then_some("hpexpiretime r fields 5 f0 f1 f2 f3 f39");
    for line in looks.into_iter().chain(deadlines) {
        let (command, original) = (words(line), words(&line.replace(" r", " k")));
        let (real, mock) = pair.ask(&command)?;
        if !pair.same(&command, &real, &mock) {
            return Err(format!("{line}\n    real {real:?}\n    mock {mock:?}"));
        }
        let (before, _) = pair.ask(&original)?;
        if line != "object encoding r" && !pair.same(&command, &before, &mock) {
            return Err(format!("{line}\n    before {before:?}\n    after {mock:?}"));
        }
    }
    Ok(())
}

/// A hash, some of whose fields have deadlines, each given one once: what a deadline was before can show.
fn deadlines() -> BoxedStrategy<Vec<Step>> {
    let field = (text(), prop::option::of(4_102_444_800_000_i64..4_202_444_800_000));
    let step = |(at, (value, deadline)): (usize, (Vec<u8>, Option<i64>))| -> Vec<Step> {
        let set = [words(&format!("hset k f{at}")), vec![value]].concat();
        let expire = deadline.map(|deadline| words(&format!("hpexpireat k {deadline} fields 1 f{at}")));
        [set].into_iter().chain(expire).collect()
    };
    prop::collection::vec(field, 1..40)
        .prop_map(move |fields| fields.into_iter().enumerate().flat_map(step).collect())
        .boxed()
}

/// Sends random values across.
pub fn cross(servers: &Servers) -> Result<(), String> {
    cross_all(servers, steps())
}

/// Sends random hashes across whose fields have deadlines.
pub fn cross_deadlines(servers: &Servers) -> Result<(), String> {
    cross_all(servers, deadlines())
}

fn cross_all(servers: &Servers, steps: BoxedStrategy<Vec<Step>>) -> Result<(), String> {
    let config = Config { cases: 300, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&steps, |steps| {
        let mut pair = servers.pair(2).map_err(TestCaseError::fail)?;
        one(&mut pair, &steps).map_err(TestCaseError::fail)
    });
    outcome.map_err(|error| error.to_string().chars().take(4000).collect())
}
