//! A log against a list of records, whatever happens to both: appends, time, retention, compaction,
//! truncation, deletion.

use std::collections::BTreeMap;

use super::*;
use crate::kafka::LogRecord;

/// Small segments, so that much happens in few steps.
fn config(compact: bool) -> LogConfig {
    LogConfig {
        compact,
        delete: !compact,
        segment_bytes: 400,
        segment_ms: 5_000,
        retention_ms: 20_000,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: 3_000,
        ..LogConfig::DEFAULT
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Records by key; an empty value is a tombstone. Each is that much older than now.
    Append(Vec<(u8, u8, i64)>, Codec),
    Pass(i64),
    Replicate(f64),
    Expire,
    Compact,
    Truncate(f64),
    Delete(f64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let records = proptest::collection::vec((0_u8..6, 0_u8..3, 0_i64..50), 1..5);
    let codec = prop_oneof![Just(Codec::None), Just(Codec::Gzip), Just(Codec::Lz4)];
    let step = prop_oneof![
        8 => (records, codec).prop_map(|(records, codec)| Step::Append(records, codec)),
        3 => (0_i64..8_000).prop_map(Step::Pass),
        4 => (0.0..=1.0).prop_map(Step::Replicate),
        2 => Just(Step::Expire),
        2 => Just(Step::Compact),
        1 => (0.0..=1.0).prop_map(Step::Truncate),
        1 => (0.0..=1.0).prop_map(Step::Delete),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What was appended and not cut off again.
struct Model {
    records: Vec<LogRecord>,
    log: Log,
    now_ms: i64,
    config: LogConfig,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small numbers")]
fn between(low: i64, high: i64, part: f64) -> i64 {
    low + ((high - low) as f64 * part) as i64
}

impl Model {
    fn take(&mut self, step: &Step) {
        let (start, watermark, end) = (self.log.start(), self.log.high_watermark(), self.log.end());
        match step {
            Step::Append(records, codec) => self.append(records, *codec),
            Step::Pass(ms) => self.now_ms += ms,
            Step::Replicate(part) => self.log.set_high_watermark(between(watermark, end, *part)),
            Step::Expire => self.expire(),
            Step::Compact => self.compact(),
            Step::Truncate(part) => {
                // A replica is never cut below what it was told is everywhere, unless by force.
                let to = between(watermark, end, *part);
                self.log.truncate(to);
                assert_eq!(self.log.end(), to);
                let kept: Vec<i64> = self.log.from(0).expect("readable").iter().map(|r| r.offset).collect();
                self.records.retain(|record| record.offset < start || kept.contains(&record.offset));
            }
            Step::Delete(part) => {
                let to = between(start, watermark, *part);
                assert_eq!(self.log.advance_start(to), to > start);
                assert!(!self.log.advance_start(self.log.high_watermark() + 1));
            }
        }
    }

    fn append(&mut self, records: &[(u8, u8, i64)], codec: Codec) {
        let text = |number: u8| Bytes::from(format!("{number}"));
        let base = self.log.end();
        let new: Vec<LogRecord> = (base..)
            .zip(records)
            .map(|(offset, (key, value, age))| LogRecord {
                offset,
                timestamp_ms: self.now_ms - age,
                leader_epoch: 0,
                producer_id: -1,
                key: Some(text(*key)),
                value: (*value > 0).then(|| text(*value)),
                headers: Vec::new(),
            })
            .collect();
        let to = Append { now_ms: self.now_ms, config: &self.config, ..AT_0 };
        let appended = self.log.append(&batch_of(&new, codec), &to).expect("appends");
        assert_eq!(appended.base_offset, base);
        self.records.extend(new);
    }

    fn expire(&mut self) {
        let before = self.log.start();
        self.log.expire(self.now_ms, &self.config);
        let old = |record: &&LogRecord| (before..self.log.start()).contains(&record.offset);
        let limit = self.now_ms - self.config.retention_ms;
        assert!(self.records.iter().filter(old).all(|record| record.timestamp_ms < limit));
        let first = self.log.segments().next().expect("a segment");
        let next = self.log.segments().nth(1).map_or(self.log.end(), |segment| segment.base);
        let is_young = first.is_empty() || first.largest_timestamp() >= limit;
        assert!(is_young || self.config.compact || self.log.high_watermark() < next);
    }

    fn compact(&mut self) {
        let Some(dirty) = self.log.dirty(self.now_ms, &self.config) else { return };
        self.log.compact(&dirty, self.now_ms, &self.config);
        assert!(self.log.cleaned <= self.log.active.base);
        assert!(self.log.cleaned <= self.log.high_watermark());
        let left = self.log.from(0).expect("readable");
        for (at, record) in left.iter().enumerate().filter(|(_, r)| r.offset < self.log.cleaned) {
            let newer = left[at + 1..].iter().filter(|r| r.offset < self.log.cleaned);
            assert!(newer.clone().all(|r| r.key != record.key), "two of a key at {}", record.offset);
        }
    }

    /// What holds after every step.
    fn check(&self) {
        let log = &self.log;
        assert!(log.start() <= log.last_stable() && log.last_stable() <= log.high_watermark());
        assert!(log.high_watermark() <= log.end());
        let left = log.from(0).expect("readable");
        let live: Vec<&LogRecord> = self.records.iter().filter(|r| r.offset >= log.start()).collect();
        assert!(left.iter().all(|record| live.contains(&record)), "nothing is made up");
        if self.config.compact {
            // The newest of every key is there, but for a tombstone that was there long enough.
            let newest: BTreeMap<_, _> = live.iter().map(|record| (record.key.clone(), *record)).collect();
            assert!(newest.values().all(|record| record.value.is_none() || left.contains(record)));
        } else {
            assert_eq!(left.iter().collect::<Vec<_>>(), live, "nothing is lost");
        }
        self.check_batches();
        self.check_times(&left);
    }

    /// Batches are whole, sound and in order, in the order of segments that are neither too large nor empty.
    fn check_batches(&self) {
        let mut next = 0;
        let portion = self.log.read(0, self.log.end(), usize::MAX, false);
        let whole: Vec<u8> = portion.chunks.iter().flatten().copied().collect();
        for (base, behind) in batches_in(&whole) {
            assert!(next <= base, "batches overlap");
            next = behind;
        }
        assert!(next <= self.log.end());
        // The cleaner counts what batches took before. One that gets a horizon for its tombstones has its times
        // written anew, relative to that, and may take more, as in Kafka.
        let is_cleaned = |segment: &Segment| segment.base < self.log.cleaned;
        let fits = |segment: &Segment| segment.bytes <= self.config.segment_bytes;
        assert!(self.log.segments().all(|segment| is_cleaned(segment) || fits(segment)));
        assert!(self.log.closed.iter().all(|segment| !segment.is_empty()));
    }

    fn check_times(&self, left: &[LogRecord]) {
        let first_base = self.log.segments().next().map_or(0, |segment| segment.base);
        for target in [0, self.now_ms - 10_000, self.now_ms - 20, self.now_ms] {
            let expected = left.iter().find(|record| record.timestamp_ms >= target).map(|r| r.offset);
            let found = self.log.find_timestamp(target).map(|found| found.offset);
            // Kafka does not look into later segments if the one it chose has only deleted records of that age.
            assert!(found == expected || (found.is_none() && first_base < self.log.start()));
        }
    }
}

proptest! {
    #[test]
    fn a_log_keeps_what_it_must_whatever_happens_to_it(steps in steps(), compact: bool) {
        let now_ms = 1_000_000;
        let log = Log::new(now_ms);
        let mut model = Model { records: Vec::new(), log, now_ms, config: config(compact) };
        for step in &steps {
            model.take(step);
            model.check();
        }
    }
}
