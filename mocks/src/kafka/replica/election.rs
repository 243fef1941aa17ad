//! The controller's rules: who may lead a partition, and which replicas count after a change.
//!
//! As Kafka's `PartitionChangeBuilder` with eligible leader replicas (KIP-966, on by default since 4.1): who
//! leaves the replicas in sync while these are at their minimum stays eligible, for it holds everything readers
//! have seen; the last one in sync leaves as well. A clean leader is in sync, or eligible when nobody is in sync;
//! the last known leader is taken back when it is alone. Everything else is an unclean election.

use crate::kafka::image::Partition;

/// What decides about one partition.
pub(crate) struct Terms<'a> {
    /// Fewest replicas in sync, at most as many as there are.
    pub min_isr: usize,
    /// Whether a replica out of sync may lead if nobody else can.
    pub unclean: bool,
    /// Whether a node may lead.
    pub lives: &'a dyn Fn(i32) -> bool,
}

/// How a leader is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// Only if there is none that may stay.
    Needed,
    /// The first replica, if it may.
    Preferred,
}

/// Changes the replicas in sync to `isr` and elects. `lost` is a node that died without notice: it is no longer
/// eligible. Returns whether the election was unclean.
pub(crate) fn change(
    partition: &mut Partition,
    isr: Vec<i32>,
    lost: Option<i32>,
    kind: Election,
    terms: &Terms<'_>,
) -> bool {
    let before = partition.clone();
    partition.elr = eligible(partition, &isr, lost, terms.min_isr);
    partition.isr = isr;
    let found = elect(partition, kind, terms);
    let mut unclean = false;
    if let Some((leader, is_unclean)) = found.filter(|(leader, _)| *leader != before.leader) {
        if let Some(node) = leader.filter(|node| is_unclean || partition.elr.contains(node)) {
            partition.isr = vec![node];
            partition.elr.retain(|eligible| *eligible != node && !is_unclean);
        }
        partition.last_known_leader = match leader {
            None => partition.last_known_leader.or(before.leader),
            Some(_) => None,
        };
        partition.leader = leader;
        partition.epoch += 1;
        unclean = is_unclean;
    }
    if *partition != before {
        partition.partition_epoch += 1;
    }
    unclean
}

fn eligible(partition: &Partition, isr: &[i32], lost: Option<i32>, min_isr: usize) -> Vec<i32> {
    if isr.len() >= min_isr {
        return Vec::new();
    }
    let mut nodes: Vec<i32> = partition.elr.iter().chain(&partition.isr).copied().collect();
    nodes.retain(|node| !isr.contains(node) && Some(*node) != lost);
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// The leader, or nobody, and whether the election is unclean; none if a person holds the partition without one.
fn elect(partition: &Partition, kind: Election, terms: &Terms<'_>) -> Option<(Option<i32>, bool)> {
    if partition.held {
        return None;
    }
    let in_turn = |node: &i32| {
        partition.isr.contains(node) || (partition.isr.is_empty() && partition.elr.contains(node))
    };
    let fit = |node: &i32| in_turn(node) && (terms.lives)(*node);
    let preferred =
        partition.replicas.first().filter(|node| kind == Election::Preferred && fit(node)).copied();
    let stays = || partition.leader.filter(fit);
    let next = || partition.replicas.iter().find(|node| fit(node)).copied();
    if let Some(node) = preferred.or_else(stays).or_else(next) {
        return Some((Some(node), false));
    }
    let alone = partition.isr.is_empty() && partition.elr.is_empty();
    let last_known = partition.last_known_leader.filter(|node| alone && (terms.lives)(*node));
    let any = || partition.replicas.iter().copied().find(|node| (terms.lives)(*node));
    let any = || any().filter(|_| terms.unclean && kind == Election::Needed);
    let found = last_known.or_else(any);
    Some((found, found.is_some()))
}
