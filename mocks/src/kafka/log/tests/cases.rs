//! Rules of Kafka's log, one by one: what was seen of a broker of version 4.3.1 is written down here.

use super::*;

fn record(key: Option<&str>, value: Option<&str>, timestamp_ms: i64) -> LogRecord {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    LogRecord {
        offset: 0,
        timestamp_ms,
        leader_epoch: 0,
        producer_id: -1,
        key: key.map(bytes),
        value: value.map(bytes),
        headers: Vec::new(),
    }
}

/// One record of 100 bytes.
fn hundred(timestamp_ms: i64) -> Bytes {
    batch_of(&[record(Some("k"), Some(&"x".repeat(31)), timestamp_ms)], Codec::None)
}

/// Changes a batch and makes its checksum right again.
fn edited(batch: &Bytes, edit: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    edit(&mut bytes);
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

fn refusal(bytes: &Bytes, config: &LogConfig) -> Option<ResponseError> {
    let to = Append { now_ms: 1_000_000, config, ..AT_0 };
    Log::default().append(bytes, &to).err().map(|rejected| rejected.error)
}

#[test]
fn a_batch_is_exactly_one_of_the_newest_format_and_what_follows_it_counts_for_nothing() {
    let good = hundred(1000);
    let followed_by = |behind: &[u8]| Bytes::from([&good, behind].concat());
    let magic = |magic| edited(&good, |bytes| bytes[16] = magic);
    let length = |length: i32| edited(&good, |bytes| bytes[8..12].copy_from_slice(&length.to_be_bytes()));
    let invalid = Some(ResponseError::InvalidRecord);
    let corrupt = Some(ResponseError::CorruptMessage);
    let cases = [
        (followed_by(b"abc"), None),
        (followed_by(&good[..50]), None),
        (followed_by(&good), invalid),
        (followed_by(&magic(9)[..50]), corrupt),
        (Bytes::new(), invalid),
        (good.slice(..40), invalid),
        (magic(1), invalid),
        (magic(3), corrupt),
        (length(13), corrupt),
        (length(100_000), invalid),
    ];
    for (number, (bytes, expected)) in cases.into_iter().enumerate() {
        assert_eq!(refusal(&bytes, &CONFIG), expected, "case {number}");
    }
}

#[test]
fn a_header_that_contradicts_its_records_is_refused() {
    let good = batch_of(&[record(None, None, 1), record(None, None, 2)], Codec::None);
    let set = |at: usize, value: i32| {
        edited(&good, move |bytes| bytes[at..at + 4].copy_from_slice(&value.to_be_bytes()))
    };
    let both = |last: i32, count: i32| {
        edited(&good, move |bytes| {
            bytes[23..27].copy_from_slice(&last.to_be_bytes());
            bytes[57..61].copy_from_slice(&count.to_be_bytes());
        })
    };
    let attributes = |attributes: u8| edited(&good, move |bytes| bytes[22] = attributes);
    let invalid = Some(ResponseError::InvalidRecord);
    let cases = [
        (set(57, 0), invalid),
        (set(57, 3), invalid),
        (set(23, -1), invalid),
        (set(23, 5), invalid),
        (both(0, 1), invalid),
        (both(2, 3), invalid),
        (edited(&good, |bytes| bytes[7] = 5), invalid),
        (attributes(0x20), invalid),
        (attributes(0x80), None),
        (attributes(5), Some(ResponseError::UnknownServerError)),
        (attributes(1), Some(ResponseError::UnknownServerError)),
        (attributes(4), Some(ResponseError::UnknownServerError)),
    ];
    for (number, (bytes, expected)) in cases.into_iter().enumerate() {
        assert_eq!(refusal(&bytes, &CONFIG), expected, "case {number}");
    }
}

#[test]
fn a_compacted_topic_names_the_records_that_have_no_key_inside_compressed_batches_too() {
    let config = LogConfig { compact: true, ..LogConfig::DEFAULT };
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let records = [record(Some("k"), None, 1), record(None, Some("v"), 2)];
        let to = Append { config: &config, ..AT_0 };
        let refused = Log::default().append(&batch_of(&records, codec), &to).expect_err("no key");
        let text = "Compacted topic cannot accept message without key in topic partition t-0";
        assert_eq!(refused.records, [(1, text.to_owned())]);
        assert_eq!(refused.error, ResponseError::InvalidRecord);
        assert_eq!(
            refused.message.as_deref(),
            Some(
                "One or more records have been rejected due to 1 record errors in total, and only showing the \
                 first three errors at most: [RecordError(batchIndex=1, message='Compacted topic cannot accept \
                 message without key in topic partition t-0')]"
            )
        );
    }
}

#[test]
fn a_record_of_another_time_is_named_and_one_without_time_is_taken() {
    let config = LogConfig { timestamp_before_max_ms: 60, timestamp_after_max_ms: 50, ..LogConfig::DEFAULT };
    let to = Append { now_ms: 1000, config: &config, ..AT_0 };
    let times = [939, 940, 1050, 1051, -1].map(|time| record(None, None, time));
    let refused = Log::default().append(&batch_of(&times, Codec::None), &to).expect_err("out of range");
    assert_eq!(refused.error, ResponseError::InvalidTimestamp);
    assert_eq!(refused.records.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(
        refused.records[0].1,
        "Timestamp 939 of message with offset 0 is out of range. The timestamp should be within [940, 1050]"
    );
}

#[test]
fn the_topic_decides_on_times_and_codec_whatever_the_producer_chose() {
    let records = [record(Some("a"), Some("1"), 5), record(Some("b"), None, 9)];
    let expect = |config: &LogConfig, sent: Codec, times: [i64; 2], codec: Codec| {
        let mut log = Log::default();
        log.append(&batch_of(&records, sent), &Append { now_ms: 77, config, ..AT_0 }).expect("appends");
        let header = log.batches().next().expect("a batch").header();
        assert_eq!((header.codec(), header.max_timestamp), (Some(codec), times[1]));
        let kept = log.from(0).expect("readable");
        assert_eq!(kept.iter().map(|record| record.timestamp_ms).collect::<Vec<_>>(), times);
        assert!(
            kept.iter().zip(&records).all(|(kept, sent)| kept.key == sent.key && kept.value == sent.value)
        );
    };
    for sent in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        expect(&CONFIG, sent, [5, 9], sent);
        expect(&LogConfig { append_time: true, ..CONFIG }, sent, [77, 77], sent);
        for target in [Codec::None, Codec::Zstd] {
            expect(&LogConfig { compression: Some(target), ..CONFIG }, sent, [5, 9], target);
        }
    }
}

#[test]
fn a_largest_timestamp_that_is_none_is_put_right() {
    let wrong = edited(&hundred(1000), |bytes| bytes[35..43].copy_from_slice(&5_i64.to_be_bytes()));
    let mut log = Log::default();
    log.append(&wrong, &AT_0).expect("appends");
    assert_eq!(log.find_max_timestamp().map(|found| found.timestamp), Some(1000));
}

#[test]
fn the_size_that_counts_is_that_of_the_batch_before_and_after_it_is_compressed() {
    let large = batch_of(&[record(None, Some(&"x".repeat(300)), 1)], Codec::None);
    let small = batch_of(&[record(None, Some(&"x".repeat(300)), 1)], Codec::Gzip);
    let limit = LogConfig { max_message_bytes: 200, ..LogConfig::DEFAULT };
    let packed = LogConfig { compression: Some(Codec::Gzip), ..limit.clone() };
    let plain = LogConfig { compression: Some(Codec::None), ..limit.clone() };
    let too_large = Some(ResponseError::MessageTooLarge);
    assert_eq!(refusal(&large, &limit), too_large);
    assert_eq!(refusal(&large, &packed), too_large, "it is looked at as it comes");
    assert_eq!(refusal(&small, &limit), None);
    assert_eq!(refusal(&small, &plain), too_large, "and as it is kept");
    let segment = LogConfig { segment_bytes: 200, ..LogConfig::DEFAULT };
    assert_eq!(refusal(&large, &segment), Some(ResponseError::RecordListTooLarge));
}

#[test]
fn segments_roll_by_size_and_by_the_time_of_their_first_batch() {
    let config = LogConfig { segment_bytes: 250, segment_ms: 1000, ..LogConfig::DEFAULT };
    let mut log = Log::default();
    for time in [0, 0, 0, 1000, 1001, 500] {
        log.append(&hundred(time), &Append { config: &config, ..AT_0 }).expect("appends");
    }
    assert_eq!(log.segments().map(|segment| segment.base).collect::<Vec<_>>(), [0, 2, 4]);
}

#[test]
fn whole_segments_go_only_while_the_excess_covers_them() {
    let config = LogConfig { segment_bytes: 250, retention_bytes: 300, ..LogConfig::DEFAULT };
    let mut log = Log::default();
    for _ in 0..5 {
        log.append(&hundred(1000), &Append { config: &config, ..AT_0 }).expect("appends");
    }
    assert_eq!((log.bytes(), log.expire(1000, &config)), (500, 0), "nothing is committed yet");
    log.set_high_watermark(5);
    assert_eq!((log.expire(1000, &config), log.start()), (1, 2));
    assert_eq!((log.expire(1000, &config), log.start()), (0, 2), "the excess of 0 covers no segment of 200");
}

#[test]
fn the_segment_being_written_to_expires_too_and_an_empty_one_takes_its_place() {
    let mut log = Log::default();
    log.append(&hundred(1000), &AT_0).expect("appends");
    log.set_high_watermark(1);
    let week = LogConfig::DEFAULT.retention_ms;
    assert_eq!((log.expire(1000 + week, &CONFIG), log.start()), (0, 0));
    assert_eq!((log.expire(1001 + week, &CONFIG), log.start(), log.end()), (1, 1, 1));
    assert_eq!(log.end_of_epoch(0, 0), Some((0, 1)));
}

#[test]
fn compaction_keeps_empty_batches_for_producers_and_for_the_end_of_what_it_cleaned() {
    let config = LogConfig { compact: true, segment_ms: 10, min_cleanable_dirty_ratio: 0.1, ..CONFIG };
    let mut log = Log::default();
    let keyed = |key: &str, time| batch_of(&[record(Some(key), Some("v"), time)], Codec::None);
    let of_producer = edited(&keyed("a", 0), |bytes| bytes[43..57].copy_from_slice(&[0; 14]));
    for bytes in [keyed("a", 0), of_producer, keyed("a", 0), keyed("b", 0), keyed("b", 100), keyed("c", 200)]
    {
        log.append(&bytes, &Append { config: &config, ..AT_0 }).expect("appends");
    }
    log.set_high_watermark(6);
    let dirty = log.dirty(300, &config).expect("dirty");
    log.compact(&dirty, 300, &config);
    let batches: Vec<_> = log.batches().map(|batch| (batch.base, batch.header().count)).collect();
    assert_eq!(batches, [(1, 0), (2, 1), (4, 1), (5, 1)]);
    assert_eq!(log.dirty(300, &config), None, "nothing new");
}

#[test]
fn a_tombstone_is_given_its_time_by_the_first_run_and_goes_with_the_first_after_it() {
    let config = LogConfig {
        compact: true,
        segment_ms: 10,
        delete_retention_ms: 1000,
        min_cleanable_dirty_ratio: 0.0,
        ..CONFIG
    };
    let mut log = Log::default();
    let mut time = 0;
    let mut run = |log: &mut Log, key: &str, value: Option<&str>, now_ms: i64| {
        time += 100;
        let bytes = batch_of(&[record(Some(key), value, time)], Codec::None);
        log.append(&bytes, &Append { config: &config, ..AT_0 }).expect("appends");
        log.set_high_watermark(log.end());
        if let Some(dirty) = log.dirty(now_ms, &config) {
            log.compact(&dirty, now_ms, &config);
        }
        let kept = log.from(0).expect("readable");
        kept.iter().map(|record| record.offset).collect::<Vec<_>>()
    };
    assert_eq!(run(&mut log, "a", Some("1"), 0), [0]);
    assert_eq!(run(&mut log, "a", None, 0), [0, 1]);
    assert_eq!(run(&mut log, "b", Some("1"), 5000), [1, 2]);
    let tombstone = log.batches().next().expect("a batch").header();
    assert_eq!(tombstone.delete_horizon_ms(), Some(6000));
    assert_eq!(log.from(0).expect("readable")[0].timestamp_ms, 200, "its own time is not lost");
    assert_eq!(run(&mut log, "c", Some("1"), 5999), [1, 2, 3]);
    assert_eq!(run(&mut log, "d", Some("1"), 6000), [2, 3, 4]);
}

#[test]
fn a_producer_forgets_what_was_cut_off() {
    let mut log = Log::default();
    for sequence in 0..3 {
        log.append(&batch(&["a"], 0, (9, 0, sequence)), &AT_0).expect("appends");
    }
    log.truncate(1);
    assert_eq!((log.end(), log.from(0).expect("readable").len()), (1, 1));
    let again = log.append(&batch(&["b"], 0, (9, 0, 1)), &AT_0).expect("appends");
    assert_eq!((again.base_offset, again.duplicate), (1, false));
}
