//! The log against the plainest model of one: a list of values.

mod cases;
mod model;
mod transactions;

use bytes::BytesMut;
use proptest::prelude::*;

use super::config::LogConfig;
use super::*;
use crate::kafka::LogRecord;
use crate::kafka::wire::batch::tests::batch;
use crate::kafka::wire::batch::{PREFIX, put_prefix};
use crate::kafka::wire::compression::Codec;
use crate::kafka::wire::rebuild::Rebuild;
use crate::kafka::wire::records::Record;

const CONFIG: LogConfig = LogConfig::DEFAULT;

/// Appends by a leader of epoch 0 at time 0.
const AT_0: Append<'static> =
    Append { topic: "t", partition: 0, epoch: 0, now_ms: 0, room: usize::MAX, config: &CONFIG };

/// A batch of these records as a client sends it.
fn batch_of(records: &[LogRecord], codec: Codec) -> Bytes {
    let part = |part: &Option<Bytes>| part.clone().unwrap_or_default();
    let bytes: Vec<_> = records.iter().map(|record| (part(&record.key), part(&record.value))).collect();
    let kept: Vec<_> = (0..)
        .zip(records)
        .zip(&bytes)
        .map(|((number, record), (key, value))| {
            let (key, value) =
                (record.key.as_ref().map(|_| &key[..]), record.value.as_ref().map(|_| &value[..]));
            let (attributes, timestamp_delta, headers) = (0, 0, &[0][..]);
            let record_ = Record { attributes, timestamp_delta, offset_delta: number, key, value, headers };
            (record.timestamp_ms, record_)
        })
        .collect();
    let last_offset_delta = i32::try_from(records.len()).expect("few") - 1;
    let like = BatchHeader::read(&batch(&["x"], 0, (-1, -1, -1)).slice(PREFIX..));
    let how = Rebuild { codec, append_time_ms: None, delete_horizon_ms: None, last_offset_delta };
    let body = how.write(&like, &kept).expect("compresses");
    let mut out = BytesMut::new();
    put_prefix(&mut out, 0, -1, &body);
    out.extend_from_slice(&body);
    out.freeze()
}

fn values(log: &Log) -> Vec<String> {
    let value = |record: LogRecord| record.value.expect("a value");
    log.from(0)
        .expect("readable")
        .into_iter()
        .map(|r| String::from_utf8(value(r).to_vec()).expect("text"))
        .collect()
}

/// First offset and the one behind the last of each batch in `bytes`, which are whole and sound.
fn batches_in(bytes: &[u8]) -> Vec<(i64, i64)> {
    let (mut rest, mut out) = (Bytes::copy_from_slice(bytes), Vec::new());
    while !rest.is_empty() {
        let length = i32::from_be_bytes(rest[8..12].try_into().expect("4 bytes"));
        let batch = rest.split_to(12 + usize::try_from(length).expect("not negative"));
        assert!(BatchHeader::is_sound(&batch));
        let base = i64::from_be_bytes(batch[..8].try_into().expect("8 bytes"));
        let last = BatchHeader::read(&batch.slice(PREFIX..)).last_offset_delta;
        out.push((base, base + i64::from(last) + 1));
    }
    out
}

proptest! {
    #[test]
    fn a_log_is_the_list_of_what_was_appended_whatever_was_sent_twice(
        sizes in proptest::collection::vec((1_usize..4, any::<bool>()), 1..30),
    ) {
        let mut log = Log::default();
        let mut model: Vec<String> = Vec::new();
        let mut sequence = 0;
        for (number, (size, twice)) in sizes.into_iter().enumerate() {
            let owned: Vec<String> = (0..size).map(|n| format!("{number}.{n}")).collect();
            let texts: Vec<&str> = owned.iter().map(String::as_str).collect();
            let bytes = batch(&texts, 1000, (9, 0, sequence));
            let expected = i64::try_from(model.len()).expect("few");
            let first = log.append(&bytes, &AT_0).expect("appends");
            prop_assert_eq!((first.base_offset, first.duplicate), (expected, false));
            if twice {
                let again = log.append(&bytes, &AT_0).expect("is acknowledged");
                prop_assert_eq!((again.base_offset, again.duplicate), (expected, true));
            }
            sequence += i32::try_from(size).expect("few");
            model.extend(owned);
        }
        prop_assert_eq!(log.end(), i64::try_from(model.len()).expect("few"));
        prop_assert_eq!(values(&log), model);
    }

    #[test]
    fn a_read_starts_with_the_batch_of_the_offset_and_keeps_to_the_limit(
        sizes in proptest::collection::vec(prop_oneof![1_usize..4, Just(600)], 1..20),
        from in 0_i64..80,
        limit in prop_oneof![0_usize..2000, 0_usize..50_000],
        at_least_one: bool,
    ) {
        let mut log = Log::default();
        for size in &sizes {
            log.append(&batch(&vec!["x"; *size], 0, (-1, -1, -1)), &AT_0).expect("appends");
        }
        let portion = log.read(from, log.end(), limit, at_least_one);
        let whole: Vec<u8> = portion.chunks.iter().flatten().copied().collect();
        prop_assert_eq!(portion.size, whole.len());
        let read = batches_in(&whole);
        prop_assert!(portion.size <= limit || (at_least_one && read.len() == 1));
        prop_assert!(read.windows(2).all(|pair| pair[0].1 == pair[1].0));
        prop_assert_eq!(portion.next, read.last().map(|(_, next)| *next));
        if from >= log.end() {
            prop_assert!(read.is_empty());
        } else if let Some((base, next)) = read.first() {
            prop_assert!((*base..*next).contains(&from));
        } else {
            prop_assert!(!at_least_one);
        }
    }
}

#[test]
fn a_timestamp_is_found_inside_a_batch() {
    let mut log = Log::default();
    log.append(&batch(&["a", "b", "c"], 100, (-1, -1, -1)), &AT_0).expect("appends");
    log.append(&batch(&["d"], 50, (-1, -1, -1)), &Append { epoch: 2, ..AT_0 }).expect("appends");
    log.append(&batch(&["e"], 200, (-1, -1, -1)), &Append { epoch: 2, ..AT_0 }).expect("appends");
    let at = |timestamp| log.find_timestamp(timestamp).map(|found| found.offset);
    assert_eq!([at(0), at(101), at(103), at(200), at(201)], [Some(0), Some(1), Some(4), Some(4), None]);
    assert_eq!(log.find_max_timestamp(), Some(Found { offset: 4, timestamp: 200, epoch: 2 }));
}

#[test]
fn a_transactional_batch_nobody_confirmed_is_refused() {
    let mut bytes = BytesMut::from(&batch(&["a"], 0, (1, 0, 0))[..]);
    bytes[22] |= 0x10;
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let refused = Log::default().append(&bytes.freeze(), &AT_0);
    assert_eq!(refused, Err(ResponseError::InvalidTxnState.into()));
}
