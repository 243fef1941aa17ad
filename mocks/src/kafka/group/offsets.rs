//! Committed offsets of a group: who may commit, and when they expire.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::classic::State;
use super::consumer::Member;
use super::{Classic, Consumer, Env, Group, Kind};

/// The first version of OffsetCommit that knows member epochs.
const EPOCHS_SINCE: i16 = 9;

/// An offset as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: String,
    pub at_ms: i64,
    /// When it expires, if the client said so itself, as old ones do. Unix milliseconds.
    pub expires_ms: Option<i64>,
}

impl Committed {
    /// Refuses a note that is too long, measured as Java measures texts.
    pub fn check<W>(&self, env: &Env<'_, W>) -> Result<(), ResponseError> {
        let is_long = self.metadata.encode_utf16().count() > env.config.offset_metadata_max;
        if is_long { Err(ResponseError::OffsetMetadataTooLarge) } else { Ok(()) }
    }
}

/// Who commits what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit<'a> {
    pub member_id: &'a str,
    pub instance_id: Option<&'a str>,
    /// The generation, or the member's epoch; -1 of somebody who is no member.
    pub generation: i32,
    /// Version of the request.
    pub version: i16,
    /// Part of a transaction, which knows its group from before: its state is not looked at.
    pub is_transactional: bool,
    /// The partitions. A member that is an epoch behind may still commit what it was given before.
    pub partitions: &'a [(Uuid, i32)],
}

impl Commit<'_> {
    fn is_anonymous(&self) -> bool {
        self.generation < 0 && self.member_id.is_empty() && self.instance_id.is_none()
    }
}

impl<W: Copy> Group<W> {
    /// Whether this member may commit now. It counts as a sign of life of a member of a classic group.
    pub fn may_commit(&self, env: &mut Env<'_, W>, commit: Commit<'_>) -> Result<(), ResponseError> {
        match &self.kind {
            Kind::Classic(group) => group.may_commit(env, commit),
            Kind::Consumer(group) => group.may_commit(commit),
        }
    }

    /// Whether somebody who says that he is this member may fetch offsets. Only consumer groups ask.
    pub fn may_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ResponseError> {
        let Kind::Consumer(group) = &self.kind else { return Ok(()) };
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = member_id.and_then(|id| group.members.get(id)).ok_or(ResponseError::UnknownMemberId)?;
        if epoch == member.epoch { Ok(()) } else { Err(stale(member)) }
    }

    /// Keeps an offset.
    pub fn commit(
        &mut self,
        env: &Env<'_, W>,
        topic: &str,
        partition: i32,
        committed: Committed,
    ) -> Result<(), ResponseError> {
        committed.check(env)?;
        let key = (topic.to_owned(), partition);
        self.pending_offsets.supersede(&key);
        self.offsets.insert(key, committed);
        Ok(())
    }

    /// Forgets offsets that expired and that no open transaction holds. Returns whether none is left.
    pub fn expire_offsets(&mut self, env: &Env<'_, W>) -> bool {
        let is_left = |group: &Self| !group.offsets.is_empty() || !group.pending_offsets.is_empty();
        let Some(base_ms) = self.counts_from() else { return !is_left(self) };
        let (now, retention) = (env.now_ms, env.config.offsets_retention);
        let is_due = |kept: &Committed| match kept.expires_ms {
            Some(at) => now >= at,
            None => elapsed(base_ms.unwrap_or(kept.at_ms), now) >= retention,
        };
        let due: Vec<(String, i32)> = self
            .offsets
            .iter()
            .filter(|((topic, _), kept)| is_due(kept) && !self.is_subscribed(topic))
            .map(|(key, _)| key.clone())
            .filter(|key| !self.pending_offsets.is_open(key))
            .collect();
        due.iter().for_each(|key| drop(self.offsets.remove(key)));
        !is_left(self)
    }

    /// Forgets a partition's offset, and what open transactions hold of it.
    pub fn delete_offset(&mut self, topic: &str, partition: i32) {
        let key = (topic.to_owned(), partition);
        self.offsets.remove(&key);
        self.pending_offsets.forget(&key);
    }

    /// From when the time of offsets counts: from the moment within, or else from their commit. None means that
    /// they do not expire now.
    fn counts_from(&self) -> Option<Option<i64>> {
        let Kind::Classic(group) = &self.kind else { return Some(None) };
        match group.state {
            _ if group.protocol_type.is_none() => Some(None),
            State::Empty => Some(group.empty_since_ms),
            State::Stable if group.subscribed().is_some() => Some(None),
            _ => None,
        }
    }
}

fn elapsed(from_ms: i64, to_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0))
}

impl<W: Copy> Classic<W> {
    fn may_commit(&self, env: &mut Env<'_, W>, commit: Commit<'_>) -> Result<(), ResponseError> {
        if commit.generation < 0 && self.state == State::Empty {
            // A consumer that assigns partitions to itself, or a tool: only while nobody else has the group.
            return Ok(());
        }
        if !(commit.is_transactional && commit.is_anonymous()) {
            self.current(commit.member_id, commit.instance_id, commit.generation)?;
        }
        match self.state {
            _ if commit.is_transactional => Ok(()),
            State::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            State::Empty => Err(ResponseError::UnknownMemberId),
            State::Stable | State::PreparingRebalance => {
                self.touch(env, commit.member_id);
                Ok(())
            }
        }
    }
}

impl Consumer {
    fn may_commit(&self, commit: Commit<'_>) -> Result<(), ResponseError> {
        let is_nobody = commit.generation < 0 && self.members.is_empty();
        if is_nobody || (commit.is_transactional && commit.is_anonymous()) {
            return Ok(());
        }
        let member = self.members.get(commit.member_id).ok_or(ResponseError::UnknownMemberId)?;
        if !commit.is_transactional && member.classic.is_none() && commit.version < EPOCHS_SINCE {
            return Err(ResponseError::UnsupportedVersion);
        }
        let was_given = |(topic, number): &(Uuid, i32)| {
            member.assigned_in(*topic, *number).is_some_and(|epoch| commit.generation >= epoch)
        };
        let is_earlier = commit.generation < member.epoch && commit.partitions.iter().all(was_given);
        let stale = if commit.is_transactional { ResponseError::IllegalGeneration } else { stale(member) };
        if commit.generation == member.epoch || is_earlier { Ok(()) } else { Err(stale) }
    }
}

/// The error of a member whose epoch is not the one it should have.
fn stale(member: &Member) -> ResponseError {
    match member.classic {
        Some(_) => ResponseError::IllegalGeneration,
        None => ResponseError::StaleMemberEpoch,
    }
}
