//! Transactions as the cleaner meets them, batch by batch from the log's start: what of them may go.
//!
//! As Kafka's `CleanedTransactionMetadata`: the records of an aborted transaction may go, a marker may once no batch
//! of its transaction is left before it. With an abort marker that may go, nobody needs to know any more that
//! there was such a transaction. A batch without records that stays for its producer's sake counts as one.

use std::collections::BTreeSet;

use super::batch::Batch;
use super::producers::Producers;
use crate::kafka::wire::batch::BatchHeader;
use crate::kafka::wire::marker::EndMarker;

/// See the module's text.
pub(super) struct CleanedTransactions<'a> {
    producers: &'a Producers,
    /// Producers with a batch of an aborted transaction, or of another, since their last marker.
    aborted: BTreeSet<i64>,
    committed: BTreeSet<i64>,
    /// Abort markers before which nothing is left.
    emptied: BTreeSet<i64>,
}

impl<'a> CleanedTransactions<'a> {
    pub fn new(producers: &'a Producers) -> Self {
        let (aborted, committed) = (BTreeSet::new(), BTreeSet::new());
        Self { producers, aborted, committed, emptied: BTreeSet::new() }
    }

    /// Whether the next batch may go for the sake of its transaction.
    pub fn may_go(&mut self, batch: &Batch, header: &BatchHeader) -> bool {
        let producer = header.producer_id;
        if header.is_control() {
            return match EndMarker::decode(header, &batch.body) {
                Some(end) if end.commit => !self.committed.remove(&producer),
                Some(_) => {
                    let may_go = !self.aborted.remove(&producer);
                    if may_go {
                        self.emptied.insert(batch.base);
                    }
                    may_go
                }
                // Its record was cleaned before.
                None => true,
            };
        }
        let is_aborted = header.is_transactional() && self.producers.is_aborted(producer, batch.base);
        if is_aborted {
            self.aborted.insert(producer);
        } else if header.is_transactional() {
            self.committed.insert(producer);
        }
        is_aborted
    }

    /// Abort markers whose transactions have left nothing else.
    pub fn emptied(self) -> BTreeSet<i64> {
        self.emptied
    }
}
