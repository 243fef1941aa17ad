//! Reading batches off a log, as they go to a client.
//!
//! A batch is its prefix, written for the reader, and its body. Large bodies are passed on without being copied; small
//! batches are joined, since a chunk of their own costs more than to copy them. Where
//! chunks end says nothing of where batches do.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::Log;
use super::batch::Batch;
use crate::kafka::wire::batch::{PREFIX, put_prefix};

/// Largest body that is copied.
const SMALL: usize = 4096;

/// Whole batches that were read.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    pub chunks: VecDeque<Bytes>,
    /// Bytes of all chunks.
    pub size: usize,
    /// The offset behind the last batch; none if there are no batches.
    pub next: Option<i64>,
}

impl Log {
    /// Reads whole batches from the one that holds `offset` on and before `until`, at most `limit` bytes, but at
    /// least one batch if `at_least_one`.
    pub fn read(&self, offset: i64, until: i64, limit: usize, at_least_one: bool) -> Portion {
        let (mut size, mut copied) = (0, 0);
        let mut chosen: Vec<&Batch> = Vec::new();
        for batch in self.batches_from(offset).take_while(|batch| batch.next() <= until) {
            if size + batch.size() > limit && (size > 0 || !at_least_one) {
                break;
            }
            size += batch.size();
            copied += if is_small(batch) { batch.size() } else { PREFIX };
            chosen.push(batch);
        }
        let next = chosen.last().map(|batch| batch.next());
        let (mut chunks, mut joined) = (VecDeque::new(), BytesMut::with_capacity(copied));
        for batch in chosen {
            put_prefix(&mut joined, batch.base, batch.epoch, &batch.body);
            if is_small(batch) {
                joined.extend_from_slice(&batch.body);
            } else {
                chunks.push_back(joined.split().freeze());
                chunks.push_back(batch.body.clone());
            }
        }
        if !joined.is_empty() {
            chunks.push_back(joined.freeze());
        }
        Portion { chunks, size, next }
    }

    /// Bytes of the whole batches from `offset` up to `until`, at most `limit` of them counted.
    pub fn bytes_between(&self, offset: i64, until: i64, limit: usize) -> usize {
        let mut sum = 0;
        for batch in self.batches_from(offset).take_while(|batch| batch.next() <= until) {
            sum += batch.size();
            if sum >= limit {
                break;
            }
        }
        sum
    }
}

fn is_small(batch: &Batch) -> bool {
    batch.body.len() <= SMALL
}
