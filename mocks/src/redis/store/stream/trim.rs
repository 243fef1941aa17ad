//! Trimming a stream from its old end, as `streamTrim` of Redis 7.0.
//!
//! Whole nodes are dropped as long as that does not drop too much; then, unless the trim is approximate,
//! entries of the next node are deleted one by one.

use super::node::Node;
use super::{Stream, StreamId};

/// What to trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What is kept.
    pub to: TrimTo,
    /// Drop whole nodes only.
    pub approximate: bool,
    /// Delete at most so many entries; 0 for any number.
    pub limit: u64,
}

/// What a trim keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// So many entries.
    Length(u64),
    /// Entries from this ID on.
    Id(StreamId),
}

impl Stream {
    /// Whether a trim drops this node, the first one, as a whole.
    fn drops(&self, node: &Node, to: TrimTo) -> bool {
        match to {
            TrimTo::Length(most) => self.counters.length - node.live() as u64 >= most,
            TrimTo::Id(least) => node.entries().last().is_none_or(|entry| entry.id < least),
        }
    }

    /// Deletes old entries; how many.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut deleted = 0;
        while let Some((master, node)) = self.nodes.first_key_value() {
            let (master, live) = (*master, node.live() as u64);
            let length = self.counters.length;
            if matches!(trim.to, TrimTo::Length(most) if length <= most)
                || trim.limit != 0 && deleted + live > trim.limit
            {
                break;
            }
            if self.drops(node, trim.to) {
                self.drop_node(master);
                self.counters.length -= live;
                deleted += live;
                continue;
            }
            if !trim.approximate {
                deleted += self.trim_first_node(trim.to);
            }
            break;
        }
        if deleted > 0 || self.is_empty() {
            self.find_first();
        }
        deleted
    }

    /// Deletes entries of the first node that are too many or too old; how many.
    fn trim_first_node(&mut self, to: TrimTo) -> u64 {
        let Some(mut node) = self.nodes.first_entry() else { return 0 };
        let node = node.get_mut();
        let mut deleted = 0;
        for at in 0..node.entries().len() {
            let is_enough = match to {
                TrimTo::Length(most) => self.counters.length - deleted <= most,
                TrimTo::Id(least) => node.entries()[at].id >= least,
            };
            if is_enough {
                break;
            }
            deleted += u64::from(node.delete(at));
        }
        self.counters.length -= deleted;
        deleted
    }
}
