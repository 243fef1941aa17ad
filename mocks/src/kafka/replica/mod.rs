//! The replicas of one partition: how much of its log each of them holds.
//!
//! No replica traffic: a partition has one log, and a replica is a prefix of it, known by its end. Followers take
//! over what the leader appends at once, later, or not at all, as their [`ReplicaLag`] says. Invariants: no
//! replica's end lies behind the log's, and what is on the way to a follower arrives in order.
//!
//! `election.rs` has the controller's rules, `flow.rs` what the cluster does when logs, nodes or leaders change.

pub(crate) mod election;
mod flow;
mod handles;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

pub use handles::ReplicaSnapshot;

/// Portions on the way to one follower; beyond it the newest two arrive together, with the later.
const MAX_COMING: usize = 4096;

/// How a follower keeps up with its leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicaLag {
    /// It has every record as soon as the leader has it.
    #[default]
    None,
    /// It has every record that long after the leader.
    By(Duration),
    /// It copies nothing until its lag is changed.
    Held,
}

impl fmt::Display for ReplicaLag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("not at all"),
            Self::By(wait) => write!(out, "by {wait:?}"),
            Self::Held => out.write_str("until told otherwise"),
        }
    }
}

/// Replicas by node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replicas {
    /// Where the present leader's epoch begins.
    pub epoch_start: i64,
    by_node: BTreeMap<i32, Replica>,
}

#[derive(Clone, Debug, Default)]
struct Replica {
    /// The next offset this replica would write.
    end: i64,
    /// Where the log starts, as far as this replica knows.
    start: i64,
    /// Instead of its node's lag.
    lag: Option<ReplicaLag>,
    coming: VecDeque<Portion>,
    /// Since when it lacks something the leader has.
    behind_since: Option<Duration>,
}

/// What the leader's log was at one moment, and the follower's is at a later one.
#[derive(Clone, Copy, Debug)]
struct Portion {
    due: Duration,
    appended: Duration,
    start: i64,
    end: i64,
}

impl Replicas {
    /// Adds empty replicas on nodes that have none, and drops those of other nodes.
    pub fn assign(&mut self, nodes: &[i32]) {
        self.by_node.retain(|node, _| nodes.contains(node));
        for node in nodes {
            self.by_node.entry(*node).or_default();
        }
    }

    /// The end of a node's replica; 0 if it has none.
    pub fn end_of(&self, node: i32) -> i64 {
        self.by_node.get(&node).map_or(0, |replica| replica.end)
    }

    /// Where a node's replica takes the log to start; 0 if it has none.
    pub fn start_of(&self, node: i32) -> i64 {
        self.by_node.get(&node).map_or(0, |replica| replica.start)
    }

    /// The smallest end among `nodes`.
    pub fn smallest_end(&self, nodes: &[i32]) -> Option<i64> {
        nodes.iter().map(|node| self.end_of(*node)).min()
    }

    /// Since when a node's replica lacks something of the leader's log.
    pub fn behind_since(&self, node: i32) -> Option<Duration> {
        self.by_node.get(&node)?.behind_since
    }

    /// The lag that was set for this replica alone.
    pub fn lag_of(&self, node: i32) -> Option<ReplicaLag> {
        self.by_node.get(&node)?.lag
    }

    /// Sets the lag of one replica; with `None` its node's counts again.
    pub fn set_lag(&mut self, node: i32, lag: Option<ReplicaLag>) {
        if let Some(replica) = self.by_node.get_mut(&node) {
            replica.lag = lag;
        }
    }

    /// The leader holds its whole log.
    pub fn lead(&mut self, node: i32, log: Range<i64>) {
        if let Some(replica) = self.by_node.get_mut(&node) {
            replica.catch_up(log);
        }
    }

    /// Lets a follower go after a leader with that log. Returns when something arrives next.
    pub fn follow(&mut self, node: i32, lag: ReplicaLag, log: Range<i64>, now: Duration) -> Option<Duration> {
        let Range { start, end } = log;
        let replica = self.by_node.get_mut(&node)?;
        match lag {
            ReplicaLag::None => replica.catch_up(log),
            ReplicaLag::By(wait) => {
                replica.expect(Portion { due: now.saturating_add(wait), appended: now, start, end })
            }
            ReplicaLag::Held => replica.stop(end, now),
        }
        replica.coming.front().map(|portion| portion.due)
    }

    /// Takes in what is due at `now`. Returns when something arrives next.
    pub fn arrive(&mut self, node: i32, now: Duration) -> Option<Duration> {
        let replica = self.by_node.get_mut(&node)?;
        while replica.coming.front().is_some_and(|portion| portion.due <= now) {
            if let Some(portion) = replica.coming.pop_front() {
                (replica.start, replica.end) = (portion.start, portion.end);
                let lacked = replica.coming.iter().find(|next| next.end > replica.end);
                replica.behind_since = lacked.map(|next| next.appended);
            }
        }
        replica.coming.front().map(|portion| portion.due)
    }

    /// Nothing that is on the way arrives any more: an end of the connection is dead.
    pub fn cut_off(&mut self, node: i32) {
        if let Some(replica) = self.by_node.get_mut(&node) {
            replica.coming.clear();
        }
    }

    /// No replica holds anything behind `end`, and nothing is on the way: the log was cut there.
    pub fn truncate(&mut self, end: i64) {
        for replica in self.by_node.values_mut() {
            replica.end = replica.end.min(end);
            replica.coming.clear();
            replica.behind_since = None;
        }
    }

    /// The node's disk is empty.
    pub fn wipe(&mut self, node: i32) {
        if let Some(replica) = self.by_node.get_mut(&node) {
            (replica.start, replica.end) = (0, 0);
            replica.coming.clear();
        }
    }
}

impl Replica {
    fn catch_up(&mut self, log: Range<i64>) {
        (self.start, self.end) = (log.start, log.end);
        self.coming.clear();
        self.behind_since = None;
    }

    fn expect(&mut self, portion: Portion) {
        let known = self.coming.back().map_or((self.start, self.end), |last| (last.start, last.end));
        if portion.start <= known.0 && portion.end <= known.1 {
            return;
        }
        if self.coming.len() == MAX_COMING {
            self.coming.pop_back();
        }
        if portion.end > self.end {
            self.behind_since.get_or_insert(portion.appended);
        }
        // A lag made shorter does not let records overtake others.
        let due = self.coming.back().map_or(portion.due, |last| last.due.max(portion.due));
        self.coming.push_back(Portion { due, ..portion });
    }

    fn stop(&mut self, end: i64, now: Duration) {
        self.coming.clear();
        if end > self.end {
            self.behind_since.get_or_insert(now);
        }
    }
}
