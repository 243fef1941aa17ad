//! Inbox, outbox and parked keys, in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    ClaimRequest, Finish, InboxKey, InboxRow, InboxState, InboxSubject, NewOutboxRow, OutboxRow, ParkedKey,
    StoreError,
};
use super::MemoryLimits;

#[derive(Default)]
pub(super) struct Tables {
    pub(super) inbox: BTreeMap<InboxKey, InboxRow>,
    /// Rows not yet sent, by number.
    pub(super) outbox: BTreeMap<u64, NewOutboxRow>,
    pub(super) parked: BTreeSet<ParkedKey>,
    last_seq: u64,
}

impl Tables {
    pub(super) fn claim(
        &mut self,
        key: &InboxKey,
        request: ClaimRequest,
        limit: usize,
    ) -> Result<InboxRow, StoreError> {
        let ClaimRequest { digest, effect_key } = request;
        let Some(row) = self.inbox.get_mut(key) else {
            let row = InboxRow { state: InboxState::Claimed, effect_key, attempts: 1, digest };
            self.put_inbox(key, row.clone(), limit)?;
            return Ok(row);
        };
        if let (Some(known), Some(found), InboxSubject::Event(id)) = (row.digest, digest, &key.subject)
            && known != found
        {
            return Err(StoreError::collision(*id, known, found));
        }
        row.digest = row.digest.or(digest);
        if row.state == InboxState::Claimed {
            row.attempts = row.attempts.saturating_add(1);
        }
        Ok(row.clone())
    }

    pub(super) fn put_inbox(
        &mut self,
        key: &InboxKey,
        row: InboxRow,
        limit: usize,
    ) -> Result<(), StoreError> {
        if self.inbox.len() >= limit && !self.inbox.contains_key(key) {
            return Err(StoreError::Full { what: "inbox rows", limit });
        }
        self.inbox.insert(key.clone(), row);
        Ok(())
    }

    /// The row, if it is finished; it must have been claimed.
    pub(super) fn finished(&self, key: &InboxKey) -> Result<Option<InboxRow>, StoreError> {
        let row = self.inbox.get(key).ok_or_else(|| StoreError::NotClaimed { key: key.clone() })?;
        Ok((row.state != InboxState::Claimed).then(|| row.clone()))
    }

    pub(super) fn finish(&mut self, finish: &Finish) {
        if let Some(row) = self.inbox.get_mut(&finish.key) {
            row.state = finish.state.into();
        }
    }

    pub(super) fn has_room(
        &self,
        outbox_rows: usize,
        park: Option<&ParkedKey>,
        limits: &MemoryLimits,
    ) -> Result<(), StoreError> {
        if outbox_rows > limits.outbox_rows.saturating_sub(self.outbox.len()) {
            return Err(StoreError::Full { what: "outbox rows", limit: limits.outbox_rows });
        }
        let is_new = park.is_some_and(|key| !self.parked.contains(key));
        if is_new && self.parked.len() >= limits.parked_keys {
            return Err(StoreError::Full { what: "parked keys", limit: limits.parked_keys });
        }
        Ok(())
    }

    pub(super) fn enqueue(&mut self, row: NewOutboxRow) -> u64 {
        self.last_seq += 1;
        self.outbox.insert(self.last_seq, row);
        self.last_seq
    }

    pub(super) fn pending(&self, limit: usize) -> Vec<OutboxRow> {
        self.outbox.iter().take(limit).map(|(seq, row)| OutboxRow { seq: *seq, row: row.clone() }).collect()
    }
}
