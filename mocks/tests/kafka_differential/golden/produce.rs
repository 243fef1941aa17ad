//! Produce: what is appended, what is refused, and the rules of idempotence.

use bytes::Bytes;
use kafka_protocol::messages::*;
use uuid::Uuid;

use crate::build::{self, TIME, batch, patched, plain, produce_by, produce_to, raw_patched, text, zstd};
use crate::pair::{Both, Pair};

pub fn appends(pair: &mut Pair) -> Result<(), String> {
    let name = pair.topic("a", 2)?;
    let id = pair.id_of(&name)?;
    let unknown = pair.name("unknown");
    for version in 3..=13 {
        let to = |id: &Uuid, partition: i32, acks: i16, records: Bytes| {
            let name = if version < 13 { &name[..] } else { "" };
            produce_by(name, *id, partition, acks, records)
        };
        for acks in [-1, 1, 2, -2] {
            pair.ask(version, id.map(|id| to(id, 0, acks, plain(&["one", "two"]))))?;
        }
        // No answer, and one to what comes next.
        pair.send(version, id.map(|id| to(id, 0, 0, plain(&["three"]))))?;
        pair.ask(version, id.map(|id| to(id, 1, -1, plain(&["four"]))))?;
        pair.ask(version, id.map(|id| to(id, 2, -1, plain(&["none"]))))?;
        pair.ask(version, id.map(|id| to(id, -1, -1, plain(&["none"]))))?;
        match version {
            13 => pair.ask(version, produce_by("", Uuid::from_u128(7), 0, -1, plain(&["none"])))?,
            _ => pair.ask(version, produce_to(&unknown, 0, -1, plain(&["none"])))?,
        };
        pair.ask(version, ProduceRequest::default().with_acks(-1).with_timeout_ms(1000))?;
        // Known since version 7.
        pair.ask(version, id.map(|id| to(id, 0, 1, zstd(&["five", "six"], TIME))))?;
    }
    // An error of a producer that wants no answer.
    pair.ask_closes(9, produce_to(&unknown, 0, 0, plain(&["none"])))?;
    let stamped = pair.name("stamped");
    pair.topic_with(build::configured(&stamped, &[("message.timestamp.type", Some("LogAppendTime"))]))?;
    pair.ask(9, produce_to(&stamped, 0, -1, plain(&["now"])))?;
    let small = pair.name("small");
    pair.topic_with(build::configured(&small, &[("max.message.bytes", Some("100"))]))?;
    pair.ask(9, produce_to(&small, 0, -1, plain(&[&"x".repeat(100)])))?;
    pair.ask(9, produce_to(&small, 0, -1, plain(&["x"])))?;
    let safe = pair.name("safe");
    pair.topic_with(build::configured(&safe, &[("min.insync.replicas", Some("2"))]))?;
    pair.ask(9, produce_to(&safe, 0, -1, plain(&["x"])))?;
    pair.ask(9, produce_to(&safe, 0, 1, plain(&["x"])))?;
    let compacted = pair.name("compacted");
    pair.topic_with(build::configured(&compacted, &[("cleanup.policy", Some("compact"))]))?;
    pair.ask(9, produce_to(&compacted, 0, 1, plain(&["x"])))?;
    Ok(())
}

pub fn bad_batches(pair: &mut Pair) -> Result<(), String> {
    let name = pair.topic("a", 1)?;
    let good = plain(&["one", "two"]);
    let two = [&good[..], &good[..]].concat();
    let bad: [(&str, Bytes); 22] = [
        ("another checksum", raw_patched(&good, 17, &[1, 2, 3, 4])),
        ("another record", raw_patched(&good, good.len() - 3, b"x")),
        ("half a batch", good.slice(..good.len() / 2)),
        ("a header that ends early", good.slice(..40)),
        ("some bytes", good.slice(..5)),
        ("no bytes", Bytes::new()),
        ("two batches", two.into()),
        ("a byte too much", [&good[..], b"x"].concat().into()),
        ("magic 0", raw_patched(&good, 16, &[0])),
        ("magic 1", raw_patched(&good, 16, &[1])),
        ("magic 3", raw_patched(&good, 16, &[3])),
        ("a length too short", raw_patched(&good, 8, &[0, 0, 0, 20])),
        ("a length too long", raw_patched(&good, 8, &[0, 0, 1, 0])),
        ("a negative length", raw_patched(&good, 8, &[0xff, 0xff, 0xff, 0xff])),
        ("a base offset", patched(&good, 0, &[0, 0, 0, 0, 0, 0, 0, 9])),
        ("a leader epoch", patched(&good, 12, &[0, 0, 0, 9])),
        ("no records", patched(&good, 57, &[0, 0, 0, 0])),
        ("another number of records", patched(&good, 57, &[0, 0, 0, 3])),
        ("another last offset", patched(&good, 23, &[0, 0, 0, 5])),
        ("a control batch", patched(&good, 21, &[0, 0x20])),
        ("an unknown compression", patched(&good, 21, &[0, 7])),
        ("the broker's time", patched(&good, 21, &[0, 8])),
    ];
    for (what, records) in bad {
        for version in [3, 8, 9] {
            pair.on(what);
            let asked = pair.fetch(version, produce_to(&name, 0, 1, records.clone()))?;
            let told = asked.map(|answer| answer.responses.clone());
            pair.compare(&format!("Produce v{version} of {what}"), &told);
        }
    }
    pair.on("times");
    // Beyond what a broker's clock may be ahead, and none at all.
    for time in [4_000_000_000_000, -1] {
        pair.ask_but(9, produce_to(&name, 0, 1, batch(&["x"], time, (-1, -1, -1))), |answer| {
            // The words end with the times that are allowed now.
            for error in &mut answer.responses[0].partition_responses[0].record_errors {
                let words = error.batch_index_error_message.take().unwrap_or_default();
                let words = words.split_once(" within ").map_or(&*words, |(words, _)| words);
                error.batch_index_error_message = Some(text(words));
            }
        })?;
    }
    // What of these was appended, and as what.
    pair.ask(12, build::fetch(&name, vec![build::fetched(0, 0)])).map(|_| ())
}

pub fn idempotence(pair: &mut Pair) -> Result<(), String> {
    let name = pair.topic("a", 2)?;
    // Id, epoch, first sequence, number of records; of the partition 0 unless the last says 1.
    let steps: [(i64, i16, i32, usize, i32); 42] = [
        (5000, 0, 0, 2, 0),
        (5000, 0, 0, 2, 0), // again
        (5000, 0, 0, 1, 0), // a part of it
        (5000, 0, 1, 1, 0),
        (5000, 0, 1, 2, 0), // over its end
        (5000, 0, 3, 1, 0), // a gap
        (5000, 0, 2, 1, 0),
        (5000, 0, 3, 1, 0),
        (5000, 0, 4, 1, 0),
        (5000, 0, 5, 1, 0),
        (5000, 0, 6, 1, 0),
        (5000, 0, 0, 2, 0), // the sixth last
        (5000, 0, 2, 1, 0), // the fifth last
        (5000, 0, 6, 1, 0), // the last
        (5000, 1, 7, 1, 0), // a new epoch begins at 0
        (5000, 1, 1, 1, 0),
        (5000, 1, 0, 1, 0),
        (5000, 0, 7, 1, 0), // the old one is over
        (5000, 0, 6, 1, 0),
        (5000, 3, 0, 1, 0),
        (5000, 2, 0, 1, 0),
        (5000, -1, 0, 1, 0),
        (5000, 3, -1, 1, 0),
        (5001, 4, 17, 1, 0), // unknown: may begin anywhere
        (5001, 4, 18, 3, 0),
        (5001, 4, 17, 1, 0),
        (5001, 4, 0, 1, 0),
        (5001, 4, 0, 1, 1), // another partition
        (5001, 4, 21, 1, 1),
        (5001, 4, 1, 1, 1),
        (5002, 0, i32::MAX - 1, 2, 0), // sequences begin again at 0
        (5002, 0, 0, 1, 0),
        (5002, 0, i32::MAX - 1, 2, 0),
        (5003, 0, i32::MAX, 2, 0),
        (5003, 0, 1, 1, 0),
        (-1, 0, 0, 1, 0),
        (-2, 0, 0, 1, 0),
        (-1, -1, 5, 1, 0),
        (0, 0, 0, 1, 0),
        (5004, -1, 3, 1, 0), // no epoch
        (5004, -1, 5, 1, 0),
        (5004, 0, 1, 1, 0),
    ];
    for (producer, epoch, sequence, count, partition) in steps {
        let values = ["a", "b", "c"];
        let records = batch(&values[..count], TIME, (-1, -1, -1));
        let records = patched(&records, 43, &producer.to_be_bytes());
        let records = patched(&records, 51, &epoch.to_be_bytes());
        let records = patched(&records, 53, &sequence.to_be_bytes());
        let answers = pair.fetch(9, produce_to(&name, partition, -1, records))?;
        let what = format!("producer {producer} epoch {epoch} sequences {sequence}+{count} to {partition}");
        pair.compare(&what, &answers);
    }
    Ok(())
}

pub fn producer_ids(pair: &mut Pair) -> Result<(), String> {
    for version in 0..=5 {
        let request =
            InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(1000);
        pair.ask(version, request.clone())?;
        pair.ask(version, request.clone().with_transaction_timeout_ms(-1))?;
        pair.ask(version, request.clone().with_transactional_id(Some(TransactionalId(text("")))))?;
        if version >= 3 {
            pair.ask(
                version,
                request.clone().with_producer_id(ProducerId(1_234_567)).with_producer_epoch(3),
            )?;
            pair.ask(version, request.with_producer_id(ProducerId(1_234_567)))?;
        }
    }
    Ok(())
}

/// Brokers that do not lead a partition, or hold none of it.
pub fn wrong_leader(pair: &mut Pair) -> Result<(), String> {
    let name = pair.name("placed");
    pair.topic_with(build::assigned(&name, &[(0, &[1, 2]), (1, &[3, 1])]))?;
    let id = pair.id_of(&name)?;
    for node in 1..=3 {
        pair.go(Both::same(node));
        for partition in 0..=2 {
            for version in [3, 9, 10, 12] {
                pair.ask(version, produce_to(&name, partition, -1, plain(&["x"])))?;
            }
            pair.ask(13, id.map(|id| produce_by("", *id, partition, -1, plain(&["x"]))))?;
            // From version 11 on followers answer too.
            pair.ask(10, build::fetch(&name, vec![build::fetched(partition, 0)]))?;
            for version in 1..=10 {
                pair.ask(version, build::list_offsets(&name, &[(partition, -2)]))?;
            }
        }
    }
    Ok(())
}
