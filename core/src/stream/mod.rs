//! Consumer groups on a Redis stream: entries are given to one consumer each, and stay pending until acknowledged.
//!
//! An entry comes again if its acknowledgement was lost or its consumer died: at least once, never exactly once.
//! And an event may be in several entries, because the answer to an `XADD` can be lost as well. So consumers
//! recognise events by their own id, not by the entry's.
//!
//! A failover may lose the entries that were added last, as it may lose anything in Redis: feed a stream from a log
//! that can be read again, and do not take an answer to `XADD` for more than it is.
//!
//! Nothing here blocks on the server: the connection is shared, and a blocked one would hold everybody up.

mod worker;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::keys::KeysError;
use crate::redis::Redis;

pub use worker::{StreamError, StreamWorker, StreamWorkerOptions};

/// The field an entry's payload is in.
const FIELD: &str = "event";

/// One consumer of a group on a stream.
#[derive(Clone, Debug)]
pub struct StreamGroupOptions {
    /// The stream's key.
    pub stream: String,
    /// The group.
    pub group: String,
    /// The consumer, unique within the group.
    pub consumer: String,
    /// An entry that was given to a consumer this long ago, and not acknowledged, is given to another. Longer than
    /// an entry takes, or two will work on it.
    pub reclaim_after: Duration,
    /// Entries taken at a time.
    pub batch: usize,
}

/// Reads a stream as a member of a group. Clones share everything.
#[derive(Clone)]
pub struct StreamGroup {
    redis: Redis,
    options: Arc<StreamGroupOptions>,
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// Its place in the stream, to acknowledge it by.
    pub id: String,
    /// What was added; empty if the entry was deleted, or is none of [`add`]'s.
    pub payload: Bytes,
}

/// Adds an entry to the end of a stream; answers its id.
///
/// # Errors
/// [`KeysError`]; if retryable, the entry may have been added, and repeating may add it twice.
pub async fn add(redis: &Redis, stream: &str, payload: &[u8]) -> Result<String, KeysError> {
    redis.command(redis::cmd("XADD").arg(stream).arg("*").arg(FIELD).arg(payload)).await
}

/// Entries as Redis answers them: an entry that was deleted has no fields.
type Raw = Vec<(String, Option<Vec<Bytes>>)>;

impl StreamGroup {
    /// A consumer; nothing is asked of the server yet.
    #[must_use]
    pub fn new(redis: Redis, options: StreamGroupOptions) -> Self {
        Self { redis, options: Arc::new(options) }
    }

    /// The next entries: those somebody took too long over, else new ones. None if there are none. A group that does
    /// not exist, or no longer since a failover, is created at the beginning of the stream.
    ///
    /// # Errors
    /// [`KeysError`]; entries that were given out and did not arrive come again.
    pub async fn next(&self) -> Result<Vec<StreamEntry>, KeysError> {
        match self.read().await {
            Err(KeysError::Refused(why)) if why.contains("NOGROUP") => {
                self.create().await?;
                Ok(Vec::new())
            }
            answer => answer,
        }
    }

    /// Says that an entry is done; `false` if it was not pending any more.
    ///
    /// # Errors
    /// [`KeysError`]; if retryable, it may be done, or come again.
    pub async fn ack(&self, id: &str) -> Result<bool, KeysError> {
        let StreamGroupOptions { stream, group, .. } = &*self.options;
        let count: u64 = self.redis.command(redis::cmd("XACK").arg(stream).arg(group).arg(id)).await?;
        Ok(count > 0)
    }

    async fn read(&self) -> Result<Vec<StreamEntry>, KeysError> {
        let StreamGroupOptions { stream, group, consumer, reclaim_after, batch } = &*self.options;
        let idle_ms = u64::try_from(reclaim_after.as_millis()).unwrap_or(u64::MAX);
        let mut reclaim = redis::cmd("XAUTOCLAIM");
        reclaim.arg(stream).arg(group).arg(consumer).arg(idle_ms).arg("0-0").arg("COUNT").arg(*batch);
        let (_, reclaimed, _): (String, Raw, Vec<String>) = self.redis.command(&reclaim).await?;
        if !reclaimed.is_empty() {
            return Ok(entries(reclaimed));
        }
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP")
            .arg(group)
            .arg(consumer)
            .arg("COUNT")
            .arg(*batch)
            .arg("STREAMS")
            .arg(stream)
            .arg(">");
        let fresh: Option<Vec<(String, Raw)>> = self.redis.command(&read).await?;
        Ok(fresh.into_iter().flatten().flat_map(|(_, raw)| entries(raw)).collect())
    }

    async fn create(&self) -> Result<(), KeysError> {
        let StreamGroupOptions { stream, group, .. } = &*self.options;
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(stream).arg(group).arg("0").arg("MKSTREAM");
        match self.redis.command(&create).await {
            // Another member was quicker.
            Err(KeysError::Refused(why)) if why.contains("BUSYGROUP") => Ok(()),
            answer => answer,
        }
    }
}

fn entries(raw: Raw) -> Vec<StreamEntry> {
    let entry = |(id, fields): (String, Option<Vec<Bytes>>)| {
        let fields = fields.unwrap_or_default();
        let payload = match fields.as_slice() {
            [name, payload] if name == FIELD => payload.clone(),
            _ => Bytes::new(),
        };
        StreamEntry { id, payload }
    };
    raw.into_iter().map(entry).collect()
}
