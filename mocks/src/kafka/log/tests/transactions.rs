//! Compaction of logs with transactions: whatever it drops, a reader of committed records loses nothing.

use std::collections::BTreeMap;

use super::*;

/// Every batch is a segment of its own.
const CONFIG: LogConfig = LogConfig {
    compact: true,
    segment_ms: 10,
    delete_retention_ms: 1000,
    min_cleanable_dirty_ratio: 0.0,
    ..LogConfig::DEFAULT
};

/// A log and who writes to it.
#[derive(Default)]
struct Writer {
    log: Log,
    /// Epoch and next sequence, by producer.
    producers: BTreeMap<i64, (i16, i32)>,
}

impl Writer {
    fn to() -> Append<'static> {
        Append { config: &CONFIG, ..AT_0 }
    }

    fn time(&self) -> i64 {
        self.log.end() * 100 + 100
    }

    fn record(&self, key: &str) -> Bytes {
        let (key, value) =
            (Some(Bytes::copy_from_slice(key.as_bytes())), Some(self.log.end().to_string().into()));
        let headers = Vec::new();
        let (offset, timestamp_ms, leader_epoch, producer_id) = (0, self.time(), 0, -1);
        let record = LogRecord { offset, timestamp_ms, leader_epoch, producer_id, key, value, headers };
        batch_of(&[record], Codec::None)
    }

    fn append(&mut self, bytes: &Bytes) {
        self.log.append(bytes, &Self::to()).expect("appends");
        self.log.set_high_watermark(self.log.end());
    }

    fn plain(&mut self, key: &str) {
        self.append(&self.record(key));
    }

    fn transactional(&mut self, producer: i64, key: &str) {
        let (epoch, sequence) = *self.producers.entry(producer).or_default();
        let mut bytes = BytesMut::from(&self.record(key)[..]);
        bytes[22] |= 0x10;
        bytes[43..51].copy_from_slice(&producer.to_be_bytes());
        bytes[51..53].copy_from_slice(&epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        self.log.producers.begin_verification((producer, epoch), sequence, true, 0).expect("current");
        self.append(&bytes.freeze());
        self.producers.insert(producer, (epoch, sequence + 1));
    }

    /// Ends a transaction of version 2.
    fn end(&mut self, producer_id: i64, commit: bool) {
        let epoch = self.producers.entry(producer_id).or_default().0 + 1;
        self.mark(EndMarker { producer_id, epoch, coordinator_epoch: 0, commit, version: 2 });
        self.producers.insert(producer_id, (epoch, 0));
    }

    fn mark(&mut self, end: EndMarker) {
        self.log.append_end(&end, 0, self.time(), &CONFIG).expect("the epoch is current");
        self.log.set_high_watermark(self.log.end());
    }

    /// Rolls the last segment and compacts; what is left: base offset, records and horizon of each batch.
    fn compact(&mut self, now_ms: i64) -> Vec<(i64, i32, Option<i64>)> {
        self.plain("roll");
        let dirty = self.log.dirty(now_ms, &CONFIG).expect("a rolled segment is dirty");
        self.log.compact(&dirty, now_ms, &CONFIG);
        let batches = self.log.batches().map(|batch| (batch.base, batch.header()));
        batches.map(|(base, header)| (base, header.count, header.delete_horizon_ms())).collect()
    }

    /// The newest value of every key for a reader of committed records.
    fn newest(&self) -> BTreeMap<Bytes, Bytes> {
        let records = self.log.committed_from(0).expect("readable");
        records.into_iter().filter_map(|record| Some((record.key?, record.value?))).collect()
    }
}

#[test]
fn records_of_an_aborted_transaction_go_at_once_and_its_marker_after_the_time_the_next_run_gives_it() {
    let mut writer = Writer::default();
    writer.plain("a");
    writer.transactional(7, "a");
    writer.end(7, false);
    assert_eq!(writer.compact(0), [(0, 1, None), (2, 1, None), (3, 1, None)]);
    assert_eq!(writer.log.producers.aborted(0, 10), [(7, 1)]);
    assert_eq!(writer.compact(5000), [(0, 1, None), (2, 1, Some(6000)), (3, 1, None), (4, 1, None)]);
    assert_eq!(writer.log.producers.aborted(0, 10), [], "nothing is left to be told of");
    assert_eq!(writer.compact(5999)[1], (2, 1, Some(6000)));
    assert_eq!(writer.compact(6000)[1], (2, 0, None), "the producer is known by it");
    writer.log.producers.expire(i64::MAX, 0);
    assert_eq!(writer.compact(6000)[1].0, 6);
}

#[test]
fn with_older_transactions_a_producer_is_known_by_its_records_which_stay_empty_until_it_is_forgotten() {
    let mut writer = Writer::default();
    writer.plain("a");
    writer.transactional(7, "a");
    let end = EndMarker { producer_id: 7, epoch: 0, coordinator_epoch: 0, commit: false, version: 0 };
    writer.mark(end);
    assert_eq!(writer.compact(0)[..3], [(0, 1, None), (1, 0, None), (2, 1, None)]);
    assert_eq!(writer.compact(0)[..3], [(0, 1, None), (1, 0, None), (2, 1, None)]);
    writer.log.producers.expire(i64::MAX, 0);
    assert_eq!(writer.compact(5000)[..2], [(0, 1, None), (2, 1, None)]);
    assert_eq!(writer.compact(5000)[..2], [(0, 1, None), (2, 1, Some(6000))]);
    assert!(writer.compact(6000).iter().all(|(base, ..)| *base != 2));
}

#[test]
fn the_marker_of_a_committed_transaction_stays_as_long_as_a_batch_of_it() {
    let mut writer = Writer::default();
    writer.transactional(7, "a");
    writer.transactional(7, "b");
    writer.end(7, true);
    writer.log.producers.expire(i64::MAX, 0);
    writer.plain("a");
    assert_eq!(writer.compact(0)[..2], [(1, 1, None), (2, 1, None)]);
    writer.plain("b");
    assert_eq!(writer.compact(0)[..2], [(2, 1, None), (3, 1, None)]);
    assert_eq!(writer.compact(0)[0], (2, 1, Some(1000)));
    assert_eq!(writer.compact(1000)[0].0, 3);
}

proptest! {
    #[test]
    fn a_reader_of_committed_records_finds_every_keys_newest_whatever_was_compacted(
        acts in proptest::collection::vec((0_i64..3, 0_u8..3, 0_u8..8), 1..60),
    ) {
        let mut writer = Writer::default();
        // In the model: what counts, and what open transactions hold.
        let mut newest = BTreeMap::new();
        let mut held: BTreeMap<i64, BTreeMap<String, i64>> = BTreeMap::new();
        for (step, (producer, key, act)) in (0_i64..).zip(acts) {
            let (key, offset) = (format!("k{key}"), writer.log.end());
            match act {
                0 | 1 => {
                    writer.plain(&key);
                    newest.insert(key, offset);
                }
                2..5 => {
                    writer.transactional(producer, &key);
                    held.entry(producer).or_default().insert(key, offset);
                }
                5 | 6 => {
                    writer.end(producer, act == 5);
                    for (key, at) in held.remove(&producer).unwrap_or_default() {
                        if act == 5 && newest.get(&key).is_none_or(|known| *known < at) {
                            newest.insert(key, at);
                        }
                    }
                }
                _ => {
                    writer.plain("roll");
                    if let Some(dirty) = writer.log.dirty(step * 500, &CONFIG) {
                        writer.log.compact(&dirty, step * 500, &CONFIG);
                    }
                }
            }
        }
        // What is open at the end is not read.
        let stable = writer.log.last_stable();
        let found = writer.newest();
        for (key, offset) in newest.into_iter().filter(|(_, offset)| *offset < stable) {
            let value = found.get(key.as_bytes()).expect("it was not dropped");
            prop_assert_eq!(value, &Bytes::from(offset.to_string()));
        }
    }
}
