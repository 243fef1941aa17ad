//! Sorted sets: a score for each member, and members in order of score.
//!
//! Invariant: the map and the order hold the same members with the same scores.

use std::ops::Range;

use bytes::Bytes;
use indexmap::IndexMap;

use super::db::FixedState;
use super::rank_tree::{RankTree, Scored};

/// Members in order of their scores.
#[derive(Clone, Debug, Default)]
pub struct Zset {
    scores: IndexMap<Bytes, f64, FixedState>,
    order: RankTree,
    /// Whether Redis would have turned it into a skiplist. It never turns back by itself.
    table: bool,
    bytes: usize,
}

impl PartialEq for Zset {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table && self.scores == other.scores
    }
}

/// What a member costs beside its bytes.
const SCORE_BYTES: usize = 8;

impl Zset {
    /// A sorted set that Redis would hold as a skiplist, however small it is.
    #[must_use]
    pub fn skiplist() -> Self {
        Self { table: true, ..Self::default() }
    }

    /// The same as a listpack, if it fits into one with these limits.
    #[must_use]
    pub fn packed(self, limits: (usize, usize)) -> Self {
        if self.len() > limits.0 || self.scores.keys().any(|member| member.len() > limits.1) {
            return self;
        }
        let mut packed = Self::default();
        for (member, score) in self.scores {
            packed.set(member, score, limits);
        }
        packed
    }

    /// Turns it into what Redis would hold as a skiplist.
    pub fn unpack(&mut self) {
        self.table = true;
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// Whether Redis would hold it as a skiplist.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.table
    }

    /// Bytes of payload.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes
    }

    /// A member's score.
    #[must_use]
    pub fn score(&self, member: &Bytes) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// How many members come before this one.
    #[must_use]
    pub fn rank(&self, member: &Bytes) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.order.rank(&Scored { score, member: member.clone() }))
    }

    /// The member at a rank.
    #[must_use]
    pub fn at(&self, rank: usize) -> Option<&Scored> {
        self.order.at(rank)
    }

    /// The members at these ranks, in order.
    #[must_use]
    pub fn slice(&self, ranks: Range<usize>) -> Vec<&Scored> {
        self.order.slice(ranks)
    }

    /// All members, in order.
    #[must_use]
    pub fn all(&self) -> Vec<&Scored> {
        self.slice(0..self.len())
    }

    /// The rank of the first member that is not `before`, which holds for a prefix of the members.
    pub fn partition_point(&self, before: impl Fn(&Scored) -> bool) -> usize {
        self.order.partition_point(before)
    }

    /// Sets a member's score. `limits` are the most members and the longest member of a listpack.
    pub fn set(&mut self, member: Bytes, score: f64, limits: (usize, usize)) {
        if let Some(before) = self.score(&member) {
            let rank = self.order.rank(&Scored { score: before, member: member.clone() });
            self.order.remove_at(rank);
        } else {
            self.bytes += member.len() + SCORE_BYTES;
            self.table |= self.len() + 1 > limits.0 || member.len() > limits.1;
        }
        // A listpack holds whole numbers as integers, which know one zero.
        let score = if self.table { score } else { score + 0.0 };
        self.scores.insert(member.clone(), score);
        self.order.insert(Scored { score, member });
    }

    /// Removes a member; whether it was there.
    pub fn remove(&mut self, member: &Bytes) -> bool {
        let rank = self.rank(member);
        rank.is_some_and(|rank| self.remove_at(rank).is_some())
    }

    /// Removes the member at a rank.
    pub fn remove_at(&mut self, rank: usize) -> Option<Scored> {
        let removed = self.order.remove_at(rank)?;
        self.scores.swap_remove(&removed.member);
        self.bytes -= removed.member.len() + SCORE_BYTES;
        Some(removed)
    }
}
