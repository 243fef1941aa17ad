//! How many nodes Redis' radix tree has for given keys: `XINFO STREAM` tells.
//!
//! The tree keeps the keys of a stream's nodes, all of 16 bytes. Bytes that lead to one child only are joined in
//! one node, so the shape depends on the keys alone, not on how they came.

use super::StreamId;

/// Nodes of the tree for these IDs, which are in order and all different.
pub(super) fn nodes(ids: impl Iterator<Item = StreamId>) -> usize {
    let keys: Vec<[u8; 16]> = ids.map(StreamId::to_bytes).collect();
    count(&keys, 0)
}

/// Nodes of the subtree of keys that agree in their first `depth` bytes.
fn count(keys: &[[u8; 16]], depth: usize) -> usize {
    let ([first, ..], [.., last]) = (keys, keys) else { return 1 };
    let rest = first.iter().zip(last).skip(depth);
    let common = rest.take_while(|(left, right)| left == right).count();
    let branch = depth + common;
    let joined = usize::from(common > 0);
    if branch >= first.len() {
        return joined + 1;
    }
    let groups = keys.chunk_by(|left, right| left[branch] == right[branch]);
    joined + 1 + groups.map(|group| count(group, branch + 1)).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `XINFO STREAM` of redis-server 7.0.15 answers, with one entry in each node.
    #[test]
    fn the_tree_has_as_many_nodes_as_the_real_one() {
        let ids = |ms: &[u64]| nodes(ms.iter().map(|ms| StreamId { ms: *ms, seq: 0 }));
        assert_eq!(ids(&[]), 1);
        assert_eq!(ids(&[1]), 2);
        assert_eq!(ids(&[1, 2]), 6);
        assert_eq!(ids(&[1, 2, 256]), 9);
        assert_eq!(nodes([StreamId { ms: 1, seq: 1 }, StreamId { ms: 1, seq: 2 }].into_iter()), 4);
    }
}
