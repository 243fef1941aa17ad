//! Streams: clients that wait for entries, and what a replica is told.

use proptest::prelude::*;

use super::wait_tests::Bench;
use super::*;

/// Runs a command of a client and answers what that client got.
fn ask(bench: &mut Bench, id: ClientId, line: &str) -> Reply {
    let found = bench.run(id, line).into_iter().find(|(to, _)| *to == id);
    found.map_or(Reply::None, |(_, reply)| reply)
}

/// What a reply says, in one line.
fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Int(number) => number.to_string(),
        Reply::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(" ")),
        Reply::Null | Reply::NullArray => "nil".to_owned(),
        Reply::Status(text) => text.to_string(),
        Reply::Error(line) => format!("-{line}"),
        other => format!("{other:?}"),
    }
}

/// Runs a command and answers what the waiting client got for it.
fn told(bench: &mut Bench, waiter: ClientId, writer: ClientId, line: &str) -> Vec<String> {
    let all = bench.run(writer, line);
    all.iter().filter(|(to, _)| *to == waiter).map(|(_, reply)| text(reply)).collect()
}

/// A server with a waiter, whose command is run last, and a writer, who runs the others.
fn waiting(lines: &[&str], wait: &str) -> (Bench, ClientId, ClientId) {
    let mut bench = Bench::new();
    let (waiter, writer) = (bench.client(), bench.client());
    for line in lines {
        bench.run(writer, line);
    }
    assert_eq!(bench.run(waiter, wait), []);
    (bench, waiter, writer)
}

#[test]
fn a_reader_at_the_end_gets_the_entry_that_comes() {
    let (mut bench, waiter, writer) = waiting(&["XADD s 5 a b"], "XREAD BLOCK 0 STREAMS none s $ $");
    assert!(told(&mut bench, waiter, writer, "XDEL s 5").is_empty());
    assert_eq!(told(&mut bench, waiter, writer, "XADD s 6 c d"), ["[[s [[6-0 [c d]]]]]"]);
    assert!(!bench.engine.is_waiting(waiter));
}

#[test]
fn taking_entries_away_wakes_nobody_even_where_the_stream_ran_dry() {
    let lines = ["XADD s 5 a b", "XADD s 6 a b", "XADD s 7 a b", "XDEL s 6 7"];
    let (mut bench, waiter, writer) = waiting(&lines, "XREAD BLOCK 0 STREAMS s 5");
    for line in [
        "EXPIRE s 99",
        "PERSIST s",
        "XDEL s 5",
        "XTRIM s MAXLEN 0",
        "XSETID s 8",
        "DEL s",
        "SET s x",
        "DEL s",
    ] {
        assert!(told(&mut bench, waiter, writer, line).is_empty(), "{line}");
    }
    // The real server tells of an entry that is gone again, too.
    assert_eq!(told(&mut bench, waiter, writer, "XADD s MAXLEN 0 6 a b"), ["[[s []]]"]);
}

#[test]
fn entries_of_one_transaction_come_together_and_no_more_than_wanted() {
    let (mut bench, waiter, writer) = waiting(&[], "XREAD COUNT 2 BLOCK 0 STREAMS s s $ 0");
    for line in ["MULTI", "XADD s 1 a b", "XADD s 2 a b", "XADD s 3 a b"] {
        assert!(told(&mut bench, waiter, writer, line).is_empty());
    }
    assert_eq!(told(&mut bench, waiter, writer, "EXEC"), ["[[s [[1-0 [a b]] [2-0 [a b]]]]]"]);
}

#[test]
fn consumers_of_a_group_share_what_comes_and_the_first_gets_the_first() {
    let (mut bench, first, writer) =
        waiting(&["XGROUP CREATE s g $ MKSTREAM"], "XREADGROUP GROUP g p BLOCK 0 STREAMS s >");
    let second = bench.client();
    assert_eq!(bench.run(second, "XREADGROUP GROUP g q BLOCK 0 STREAMS s >"), []);
    assert_eq!(told(&mut bench, first, writer, "XADD s 1 a b"), ["[[s [[1-0 [a b]]]]]"]);
    assert!(bench.engine.is_waiting(second));
    assert_eq!(told(&mut bench, second, writer, "XADD s 2 a b"), ["[[s [[2-0 [a b]]]]]"]);
    assert_eq!(text(&ask(&mut bench, writer, "XPENDING s g")), "[2 1-0 2-0 [[p 1] [q 1]]]");
}

#[test]
fn a_consumer_hears_that_its_stream_or_its_group_is_gone() {
    const NO_KEY: &str = "-UNBLOCKED the stream key no longer exists";
    const NO_GROUP: &str = "-NOGROUP the consumer group this client was blocked on no longer exists";
    for (line, expected) in [
        ("DEL s", NO_KEY),
        ("SET s x", NO_KEY),
        ("FLUSHALL", NO_KEY),
        ("SWAPDB 0 1", NO_KEY),
        ("XGROUP DESTROY s g", NO_GROUP),
        ("RENAME other s", NO_GROUP),
        ("RENAME full s", "[[s [[100-0 [a b]]]]]"),
    ] {
        let lines = [
            "XGROUP CREATE s g $ MKSTREAM",
            "XADD other 100 a b",
            "XADD full 100 a b",
            "XGROUP CREATE full g 0",
        ];
        let (mut bench, waiter, writer) = waiting(&lines, "XREADGROUP GROUP g p BLOCK 0 STREAMS s >");
        assert_eq!(told(&mut bench, waiter, writer, line), [expected], "{line}");
    }
}

#[test]
fn a_wait_ends_after_its_time_with_nothing() {
    let (mut bench, waiter, _) = waiting(&[], "XREAD BLOCK 10 STREAMS s $");
    bench.at.unix_us += 11_000;
    bench.engine.run_due(bench.at);
    assert_eq!(bench.delivered(), [(waiter, Reply::NullArray)]);
}

#[test]
fn a_watch_outlives_what_only_changes_groups() {
    let mut bench = Bench::new();
    let (watcher, other) = (bench.client(), bench.client());
    for line in ["XADD s 1 a b", "XGROUP CREATE s g 0"] {
        bench.run(other, line);
    }
    for (line, survives) in [
        ("XREADGROUP GROUP g p STREAMS s >", true),
        ("XCLAIM s g q 0 1", true),
        ("XACK s g 1", true),
        ("XGROUP SETID s g 0", true),
        ("XGROUP DESTROY s g", true),
        ("XSETID s 5", true),
        ("XTRIM s MAXLEN 5", true),
        ("XDEL s 99", true),
        ("XADD s 6 a b", false),
        ("XDEL s 6", false),
        ("XTRIM s MAXLEN 0", false),
    ] {
        bench.run(watcher, "WATCH s");
        bench.run(other, line);
        bench.run(watcher, "MULTI");
        assert_eq!(ask(&mut bench, watcher, "EXEC") != Reply::NullArray, survives, "{line}");
    }
}

#[test]
fn a_delivery_is_replicated_as_claims_that_leave_no_choice() {
    let mut bench = Bench::new();
    let id = bench.client();
    for line in ["XADD s 1 a b", "XADD s 2 a b", "XGROUP CREATE s g 0"] {
        bench.run(id, line);
    }
    bench.run(id, "XREADGROUP GROUP g p COUNT 1 STREAMS s >");
    let now = bench.at.unix_ms();
    let claim = format!("XCLAIM s g p 0 1-0 TIME {now} RETRYCOUNT 1 FORCE JUSTID LASTID 1-0");
    assert_eq!(replicated(&bench.engine), [claim]);
    bench.run(id, "XREADGROUP GROUP g q NOACK STREAMS s >");
    let lines = ["XGROUP CREATECONSUMER s g q", "XGROUP SETID s g 2-0 ENTRIESREAD 2"];
    assert_eq!(replicated(&bench.engine), lines);
    bench.run(id, "XREADGROUP GROUP g p STREAMS s 0");
    assert_eq!(replicated(&bench.engine), Vec::<String>::new());
    assert!(!bench.engine.rewritten.is_empty(), "the command itself is not replicated either");
}

#[test]
fn an_approximate_trim_is_replicated_as_what_it_did() {
    let mut bench = Bench::new();
    let id = bench.client();
    for line in ["CONFIG SET stream-node-max-entries 2", "XADD s 1 a b", "XADD s 2 a b", "XADD s 3 a b"] {
        bench.run(id, line);
    }
    bench.run(id, "XADD s MAXLEN ~ 2 LIMIT 10 3-* a b");
    assert_eq!(replicated(&bench.engine), ["XADD s MAXLEN = 2 3-1 a b"]);
    bench.run(id, "XADD s MINID ~ 3-1 3-* a b");
    assert_eq!(replicated(&bench.engine), ["XADD s MINID = 3-0 3-2 a b"]);
    bench.run(id, "XTRIM s MAXLEN ~ 0 LIMIT 0");
    assert_eq!(replicated(&bench.engine), ["XTRIM s MAXLEN = 0"]);
}

/// What the last command said a replica is to run.
fn replicated(engine: &Engine) -> Vec<String> {
    let lines = engine.rewritten.iter().filter(|line| !line.is_empty());
    lines.map(|line| String::from_utf8_lossy(&line.join(&b' ')).into_owned()).collect()
}

/// Commands that change streams, in any order. History reads are left out: the real server does not tell its
/// replicas of them either.
fn changes() -> impl Strategy<Value = Vec<String>> {
    let line =
        (0_usize..16, 1_u8..9, 1_u8..9, 0_u8..2, 0_u8..2).prop_map(|(what, id, other, group, name)| {
            let (group, name) = (['g', 'h'][usize::from(group)], ['p', 'q'][usize::from(name)]);
            match what {
                0..=3 => format!("XADD s {id}-* a b"),
                4 => format!("XADD s MAXLEN ~ {other} LIMIT 4 {id}-* a b"),
                5 => format!("XADD s MINID ~ {other} {id}-* a b"),
                6 => format!("XDEL s {id}-0 {other}-0"),
                7 => format!("XTRIM s MAXLEN ~ {other}"),
                8 => format!("XGROUP CREATE s {group} 0 MKSTREAM"),
                9 => format!("XREADGROUP GROUP {group} {name} NOACK COUNT 1 STREAMS s >"),
                10 | 11 => format!("XREADGROUP GROUP {group} {name} COUNT 2 STREAMS s >"),
                12 => format!("XCLAIM s {group} {name} 0 {id} {other} FORCE LASTID {other}"),
                13 => format!("XAUTOCLAIM s {group} {name} 0 {id} COUNT 2"),
                14 => format!("XACK s {group} {id} {other}"),
                _ => format!("XGROUP SETID s {group} {id}"),
            }
        });
    prop::collection::vec(line, 1..60)
}

/// What a replica must have as the server has it: entries, where groups are, what is pending.
fn image(bench: &mut Bench, id: ClientId) -> Vec<String> {
    let mut image = Vec::new();
    for line in ["XRANGE s - +", "XPENDING s g - + 100", "XPENDING s h - + 100"] {
        image.push(text(&ask(bench, id, line)));
    }
    let place = Bytes::from_static(b"s");
    if let Some(crate::redis::store::Value::Stream(stream)) =
        bench.engine.store().db(0).get(&place).map(|entry| entry.value.clone())
    {
        image.push(format!("{:?}", stream.counters()));
        image.extend(stream.groups().values().map(|group| group.last_id.to_string()));
    }
    image
}

proptest! {
    #[test]
    fn a_replica_that_runs_what_it_is_told_has_the_same_entries_and_debts(lines in changes()) {
        let (mut server, mut replica) = (Bench::new(), Bench::new());
        let (id, fed) = (server.client(), replica.client());
        server.run(id, "CONFIG SET stream-node-max-entries 2");
        // What a node holds decides nothing on a replica.
        replica.run(fed, "CONFIG SET stream-node-max-entries 3");
        for line in lines {
            server.at.unix_us += 1000;
            replica.at = server.at;
            let dirty = server.engine.store().dirty();
            server.run(id, &line);
            if server.engine.store().dirty() > dirty {
                let verbatim = server.engine.rewritten.is_empty().then(|| line.clone());
                for told in replicated(&server.engine).into_iter().chain(verbatim) {
                    let reply = ask(&mut replica, fed, &told);
                    prop_assert!(!matches!(reply, Reply::Error(_)), "{told}: {reply:?}");
                }
            } else {
                prop_assert_eq!(replicated(&server.engine), Vec::<String>::new());
            }
            prop_assert_eq!(image(&mut server, id), image(&mut replica, fed), "after {}", line);
        }
    }
}
