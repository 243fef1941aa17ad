//! Committed offsets of a group: who may commit.

use kafka_protocol::error::ResponseError;

use super::{Env, Group, GroupState};

/// Longest note kept with an offset, in bytes (`offset.metadata.max.bytes`).
pub(crate) const METADATA_MAX: usize = 4096;

/// An offset as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
    pub at_ms: i64,
}

/// Who commits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
    pub generation: i32,
}

impl<W: Copy> Group<W> {
    /// Whether this member may commit now.
    pub fn may_commit(&self, env: &mut Env<'_, W>, commit: Commit<'_>) -> Result<(), ResponseError> {
        if commit.generation < 0 && self.state == GroupState::Empty {
            // A consumer that assigns partitions to itself, or a tool: only while nobody else has the group.
            return Ok(());
        }
        self.current(commit.member_id, commit.instance_id, commit.generation)?;
        match self.state {
            GroupState::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            GroupState::Empty => Err(ResponseError::UnknownMemberId),
            GroupState::Stable | GroupState::PreparingRebalance => {
                self.touch(env, commit.member_id);
                Ok(())
            }
        }
    }

    /// Keeps an offset.
    pub fn commit(&mut self, topic: &str, partition: i32, committed: Committed) -> Result<(), ResponseError> {
        if committed.metadata.len() > METADATA_MAX {
            return Err(ResponseError::OffsetMetadataTooLarge);
        }
        let key = (topic.to_owned(), partition);
        self.pending_offsets.supersede(&key);
        self.offsets.insert(key, committed);
        Ok(())
    }
}
