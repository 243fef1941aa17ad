//! One transactional id as a state machine: who may do what, and what then.
//!
//! ```text
//! Empty --add--> Ongoing --end--> PrepareCommit | PrepareAbort --markers--> CompleteCommit | CompleteAbort
//!   ^                                                                          | add: Ongoing
//!   +------------------------------- init -------------------------------------+
//! ```
//!
//! Invariant: a producer that was fenced never gets its epoch back. With transactions of version 2 the epoch
//! rises with every end, so that a record of one transaction cannot slip into the next; with older ones it
//! rises with every init only. An epoch that cannot rise is replaced by a new producer id.

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError;

use super::snapshot::TransactionState;

/// Whether transactions bump the producer's epoch when they end (KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Version 0 and 1: it does not.
    KeepsEpoch,
    /// Version 2: it does.
    BumpsEpoch,
}

/// A transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub producer_id: i64,
    /// The producer id before the last transition.
    previous_id: i64,
    /// The producer id from the transaction's completion on, if epochs ran out.
    next_id: Option<i64>,
    /// -1 before the first init.
    pub epoch: i16,
    /// The epoch before the last bump, if its holder may ask for the bump again.
    last_epoch: i16,
    pub timeout_ms: i32,
    pub state: TransactionState,
    pub partitions: BTreeSet<(String, i32)>,
    /// -1 while nothing is in it.
    pub started_ms: i64,
    pub updated_ms: i64,
    pub version: Version,
}

/// How somebody ends a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub producer_id: i64,
    pub epoch: i16,
    pub commit: bool,
    pub version: Version,
}

/// What an end did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The outcome is decided; markers are to be written.
    Prepared,
    /// It was ended that way before.
    Already,
}

/// What an init did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initialised {
    Ready,
    /// The open transaction was fenced, and is to be aborted first.
    Fenced,
}

/// The largest epoch producers are given: one more is kept to fence them.
fn is_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}

impl Transaction {
    pub fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Self {
        Self {
            producer_id,
            previous_id: -1,
            next_id: None,
            epoch: -1,
            last_epoch: -1,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: BTreeSet::new(),
            started_ms: -1,
            updated_ms: now_ms,
            version: Version::KeepsEpoch,
        }
    }

    /// A producer begins, or goes on after an error if it tells which (`expected`).
    pub(super) fn init(
        &mut self,
        timeout_ms: i32,
        expected: Option<(i64, i16)>,
        server: Version,
        now_ms: i64,
        new_id: impl FnOnce() -> i64,
    ) -> Result<Initialised, ResponseError> {
        self.settled()?;
        if let Some((id, epoch)) = expected {
            let again = id == self.previous_id && is_exhausted(epoch);
            if self.epoch != -1 && id != self.producer_id && !again {
                return Err(ResponseError::ProducerFenced);
            }
        }
        if self.state == TransactionState::Ongoing {
            self.fence(server, now_ms, new_id);
            return Ok(Initialised::Fenced);
        }
        let expected = expected.map(|(_, epoch)| epoch);
        let previous_id = self.producer_id;
        if is_exhausted(self.epoch) && expected.is_none_or(|epoch| epoch == self.epoch) {
            self.last_epoch = if expected.is_some() { self.epoch } else { -1 };
            (self.producer_id, self.epoch) = (new_id(), 0);
        } else if is_exhausted(self.epoch) {
            return Err(ResponseError::UnknownServerError);
        } else {
            (self.epoch, self.last_epoch) = self.next_epoch(expected)?;
        }
        self.previous_id = previous_id;
        self.timeout_ms = timeout_ms;
        self.state = TransactionState::Empty;
        self.partitions.clear();
        (self.started_ms, self.updated_ms) = (-1, now_ms);
        Ok(Initialised::Ready)
    }

    /// The epoch a producer gets, and the one it may show to get it once more.
    fn next_epoch(&self, expected: Option<i16>) -> Result<(i16, i16), ResponseError> {
        match expected {
            None => Ok((self.epoch + 1, -1)),
            Some(epoch) if self.epoch == -1 || epoch == self.epoch => Ok((self.epoch + 1, self.epoch)),
            Some(epoch) if epoch == self.last_epoch => Ok((self.epoch, self.last_epoch)),
            Some(_) => Err(ResponseError::ProducerFenced),
        }
    }

    /// Puts partitions into the transaction, which begins with the first.
    pub(super) fn add(
        &mut self,
        producer: (i64, i16),
        partitions: impl IntoIterator<Item = (String, i32)>,
        version: Version,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        self.settled()?;
        self.current(producer)?;
        let before = self.partitions.len();
        self.partitions.extend(partitions);
        if self.state == TransactionState::Ongoing && self.partitions.len() == before {
            return Ok(());
        }
        if self.state != TransactionState::Ongoing {
            self.started_ms = now_ms;
        }
        self.previous_id = self.producer_id;
        self.state = TransactionState::Ongoing;
        self.updated_ms = now_ms;
        self.version = version;
        Ok(())
    }

    /// Whether the last transaction is complete. Asked before anything else where the next one would begin, for
    /// its producer may have an identity already that counts only from the completion on.
    pub(super) fn settled(&self) -> Result<(), ResponseError> {
        if self.state.is_prepared() { Err(ResponseError::ConcurrentTransactions) } else { Ok(()) }
    }

    /// Whether this producer may write now. Which partitions it may write to is in `partitions`.
    pub(super) fn current(&self, (producer_id, epoch): (i64, i16)) -> Result<(), ResponseError> {
        if producer_id != self.producer_id {
            Err(ResponseError::InvalidProducerIdMapping)
        } else if epoch != self.epoch {
            Err(ResponseError::ProducerFenced)
        } else {
            self.settled()
        }
    }

    /// Decides the transaction.
    pub(super) fn end(
        &mut self,
        end: End,
        now_ms: i64,
        new_id: impl FnOnce() -> i64,
    ) -> Result<Ended, ResponseError> {
        let bumps = end.version == Version::BumpsEpoch;
        if bumps {
            self.settled()?;
        }
        let again_over = bumps
            && Some(end.producer_id) == (self.epoch == 0).then_some(self.previous_id)
            && end.epoch == i16::MAX - 1;
        let again = again_over || (bumps && self.epoch.checked_sub(1) == Some(end.epoch));
        if end.producer_id != self.producer_id && !again_over {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        let same = end.epoch == self.epoch;
        let complete =
            matches!(self.state, TransactionState::CompleteCommit | TransactionState::CompleteAbort);
        let known = same || (complete && again);
        if !known {
            return Err(ResponseError::ProducerFenced);
        }
        self.settled()?;
        // With version 2, the same epoch is the next transaction's: there may be nothing in it to abort.
        let empty = bumps && !again && !end.commit;
        match (self.state, end.commit) {
            (TransactionState::Ongoing, _) => self.prepare(end.commit, end.version, false, now_ms, new_id),
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false)
                if again || !bumps =>
            {
                return Ok(Ended::Already);
            }
            (TransactionState::Empty, _)
            | (TransactionState::CompleteCommit, _)
            | (TransactionState::CompleteAbort, _)
                if empty =>
            {
                self.prepare(false, end.version, true, now_ms, new_id);
            }
            _ => return Err(ResponseError::InvalidTxnState),
        }
        Ok(Ended::Prepared)
    }

    /// Takes the epoch away from the producer of an open transaction, which is to be aborted.
    pub(super) fn fence(&mut self, server: Version, now_ms: i64, new_id: impl FnOnce() -> i64) {
        if server == Version::KeepsEpoch {
            (self.epoch, self.last_epoch) = (self.epoch.saturating_add(1), -1);
        }
        self.prepare(false, server, false, now_ms, new_id);
    }

    fn prepare(
        &mut self,
        commit: bool,
        version: Version,
        empty: bool,
        now_ms: i64,
        new_id: impl FnOnce() -> i64,
    ) {
        self.next_id = None;
        if version == Version::BumpsEpoch {
            self.next_id = is_exhausted(self.epoch).then(new_id);
            self.last_epoch = self.epoch;
            self.epoch = self.epoch.saturating_add(1);
        }
        if empty {
            self.started_ms = now_ms;
        }
        self.previous_id = self.producer_id;
        self.state = if commit { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort };
        self.updated_ms = now_ms;
        self.version = version;
    }

    /// Id and epoch the producer has once the transaction is complete.
    pub fn identity_after(&self) -> (i64, i16) {
        self.next_id.map_or((self.producer_id, self.epoch), |id| (id, 0))
    }

    /// Every marker is written.
    pub(super) fn complete(&mut self, now_ms: i64) {
        self.previous_id = self.producer_id;
        (self.producer_id, self.epoch) = self.identity_after();
        self.next_id = None;
        self.state = match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            _ => TransactionState::CompleteAbort,
        };
        self.partitions.clear();
        self.updated_ms = now_ms;
    }
}

#[cfg(test)]
mod tests;
