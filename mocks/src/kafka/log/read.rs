//! Reading batches off a log, as they go to a client.
//!
//! Nothing is copied: a large batch is its prefix, written for the reader, and its body; of a run of small ones a
//! part is passed on. Where chunks end says nothing of where batches do.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::Log;
use super::batch::Batch;
use super::piece::{Piece, places};
use crate::kafka::wire::batch::{PREFIX, put_prefix};

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
        let mut portion = Portion::default();
        let fits = |before: usize, size: usize, next: i64| {
            next <= until && (before + size <= limit || (before == 0 && at_least_one))
        };
        for piece in self.segments_from(offset).flat_map(|segment| segment.pieces_from(offset)) {
            let before = portion.size;
            match piece {
                Piece::One(batch) if fits(before, batch.size(), batch.next()) => {
                    portion.push(prefix(&batch), batch.next());
                    portion.push(batch.body.clone(), batch.next());
                }
                Piece::One(_) => break,
                Piece::Run(run) => {
                    let taken = places(&run.bytes).take_while(|p| fits(before + p.at, p.size, p.next)).last();
                    let Some(last) = taken else { break };
                    let end = last.at + last.size;
                    portion.push(run.bytes.slice(..end), last.next);
                    if end < run.bytes.len() {
                        break;
                    }
                }
            }
        }
        portion
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

impl Portion {
    fn push(&mut self, chunk: Bytes, next: i64) {
        self.size += chunk.len();
        self.next = Some(next);
        self.chunks.push_back(chunk);
    }
}

fn prefix(batch: &Batch) -> Bytes {
    let mut prefix = BytesMut::with_capacity(PREFIX);
    put_prefix(&mut prefix, batch.base, batch.epoch, &batch.body);
    prefix.freeze()
}
