//! Deletion of old segments, as `cleanup.policy` and the retention settings ask for.
//!
//! Rules of Kafka: only whole segments, oldest first, none that reaches beyond the high watermark; a segment's
//! age is that of its newest record. The active segment goes too when it is old enough: an empty one takes its
//! place.

use super::Log;
use super::config::LogConfig;
use super::segment::Segment;

impl Log {
    /// Deletes the segments that are too old or too much, and those before the log's start. Returns how many.
    pub fn expire(&mut self, now_ms: i64, config: &LogConfig) -> usize {
        let start = self.start;
        let before_start = |_: &Segment, next: Option<&Segment>| next.is_some_and(|next| next.base <= start);
        let mut deleted = self.delete_while(now_ms, before_start);
        if config.delete && config.retention_bytes >= 0 {
            let mut excess = self.bytes() - config.retention_bytes;
            deleted += self.delete_while(now_ms, |segment, _| {
                let whole = excess >= segment.bytes;
                excess -= if whole { segment.bytes } else { 0 };
                whole
            });
        }
        if config.delete && config.retention_ms >= 0 {
            deleted += self.delete_while(now_ms, |segment, _| {
                now_ms.saturating_sub(segment.largest_timestamp()) > config.retention_ms
            });
        }
        deleted
    }

    /// Bytes of all batches.
    pub fn bytes(&self) -> i64 {
        self.segments().map(|segment| segment.bytes).sum()
    }

    /// Deletes segments from the oldest on as long as `breached` says so of one and the next.
    fn delete_while(
        &mut self,
        now_ms: i64,
        mut breached: impl FnMut(&Segment, Option<&Segment>) -> bool,
    ) -> usize {
        let mut deleted = 0;
        loop {
            let oldest = self.closed.front();
            let next = oldest.map(|_| self.closed.get(1).unwrap_or(&self.active));
            let oldest = oldest.unwrap_or(&self.active);
            let until = next.map_or(self.end, |next| next.base);
            let is_nothing = next.is_none() && oldest.is_empty();
            if is_nothing || self.high_watermark < until || !breached(oldest, next) {
                break;
            }
            if self.closed.pop_front().is_none() {
                self.active = Segment::new(self.end, now_ms);
            }
            deleted += 1;
        }
        if deleted > 0 {
            self.advance_start(self.closed.front().unwrap_or(&self.active).base);
        }
        deleted
    }
}
