//! Reading partitions without a group: for observers that want everything there is.
//!
//! A [`Reader`] gives all records of one partition, whatever became of their transactions; a [`PartitionsReader`]
//! reads several. Neither commits anything or is anybody's member; what was read is its own to remember.

use std::collections::BTreeMap;
use std::time::Duration;

use super::KafkaClient;
use super::admin::OffsetSpec;
use super::error::ClientError;
use super::fetch::FetchOptions;
use super::fetcher::{Fetcher, Position, Start};
use super::isolation::Isolation;
use super::types::{Record, TopicPartition};

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record there is.
    Earliest,
    /// Behind the last record there is.
    Latest,
    /// At this offset.
    Offset(i64),
}

/// Reads one partition.
pub struct Reader {
    fetcher: Fetcher,
    partition: TopicPartition,
}

/// Reads several partitions over the same connections.
pub struct PartitionsReader {
    fetcher: Fetcher,
}

/// Most records [`Reader::next`] gives at once.
const RECORDS_MAX: usize = 10_000;

impl KafkaClient {
    /// A reader. It begins to fetch in the background, as soon as it is made; hence it has to be made within a
    /// tokio runtime.
    #[must_use]
    pub fn reader(&self, partition: TopicPartition, start: StartAt) -> Reader {
        let starts = BTreeMap::from([(partition.clone(), start)]);
        let PartitionsReader { fetcher } = self.partitions_reader(starts, Isolation::Uncommitted);
        Reader { fetcher, partition }
    }

    /// A reader of several partitions, each from where it is said to begin. It begins to fetch in the background,
    /// as [`reader`](Self::reader) does.
    #[must_use]
    pub fn partitions_reader(
        &self,
        starts: BTreeMap<TopicPartition, StartAt>,
        isolation: Isolation,
    ) -> PartitionsReader {
        let max_wait = Duration::from_millis(500);
        let options = FetchOptions { max_wait, partition_bytes: 1024 * 1024, isolation };
        // An offset that is gone is an error: an observer must not miss records without a word.
        let fetcher = Fetcher::start(self, options, None);
        let start = |start| match start {
            StartAt::Earliest => Position::Ask(OffsetSpec::Earliest),
            StartAt::Latest => Position::Ask(OffsetSpec::Latest),
            StartAt::Offset(offset) => Position::Offset(offset),
        };
        let start = |(partition, at)| (partition, Start { position: start(at), leader_epoch: -1 });
        fetcher.assign(starts.into_iter().map(start).collect());
        PartitionsReader { fetcher }
    }

    /// Every record of a partition up to its end as it is now, compacted and deleted ones excepted.
    ///
    /// # Errors
    /// [`ClientError`], if the end cannot be asked for, or as for [`Reader::next`].
    pub async fn read_all(&self, partition: &TopicPartition) -> Result<Vec<Record>, ClientError> {
        let end = self.list_offset(partition, OffsetSpec::Latest).await?;
        let mut reader = self.reader(partition.clone(), StartAt::Earliest);
        let mut records = Vec::new();
        while reader.position().is_none_or(|position| position < end) {
            records.append(&mut reader.next_or_moved().await?);
        }
        records.retain(|record| record.offset < end);
        Ok(records)
    }
}

impl Reader {
    /// Waits for the next records, in offset order. Transient failures are retried inside, so an error is
    /// final. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError`], if the partition cannot be read on, for instance because the offset is gone.
    pub async fn next(&mut self) -> Result<Vec<Record>, ClientError> {
        loop {
            let records = self.next_or_moved().await?;
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// The offset of the next record; none while it is still asked for.
    #[must_use]
    pub fn position(&self) -> Option<i64> {
        self.fetcher.position(&self.partition)
    }

    /// Like [`next`](Self::next), but also returns, without records, when the position may have moved.
    async fn next_or_moved(&mut self) -> Result<Vec<Record>, ClientError> {
        // A reader promises nobody to have seen everything.
        while self.fetcher.take_gap().is_some() {}
        if let Some((_, records)) = self.fetcher.take(RECORDS_MAX)? {
            return Ok(records);
        }
        self.fetcher.ready().await;
        Ok(self.fetcher.take(RECORDS_MAX)?.map_or_else(Vec::new, |(_, records)| records))
    }
}

impl PartitionsReader {
    /// Waits for the next records of one partition, in offset order; the partitions take turns. Transient failures
    /// are retried inside, so an error is final. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError`], if a partition cannot be read on, for instance because the offset is gone.
    pub async fn next(&mut self) -> Result<(TopicPartition, Vec<Record>), ClientError> {
        loop {
            while self.fetcher.take_gap().is_some() {}
            if let Some(records) = self.fetcher.take(RECORDS_MAX)? {
                return Ok(records);
            }
            self.fetcher.ready().await;
        }
    }

    /// The offset of the next record of a partition; none while it is still asked for.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.fetcher.position(partition)
    }
}
