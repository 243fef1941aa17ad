//! Members in order of score, found by rank: a weight-balanced tree in which every node knows its size.
//!
//! Insertion, removal and rank are logarithmic; visiting a range costs its length beside that. Balance follows
//! Adams' trees with the parameters of Hirai and Yamamoto ("Balancing weight-balanced trees", 2011): no subtree
//! weighs more than three times its sibling. No randomness, so the shape is the same in every run.

use std::cmp::Ordering;
use std::ops::Range;

use bytes::Bytes;

/// A member and its score, which is never NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// What orders members first.
    pub score: f64,
    /// What orders members of one score: byte by byte.
    pub member: Bytes,
}

impl Scored {
    fn order(&self, other: &Self) -> Ordering {
        // Both zeros are equal, as in C.
        let by_score = self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal);
        by_score.then_with(|| self.member.cmp(&other.member))
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct RankTree {
    root: Link,
}

type Link = Option<Box<Node>>;

#[derive(Clone, Debug)]
struct Node {
    item: Scored,
    size: usize,
    left: Link,
    right: Link,
}

/// How much heavier than its sibling a subtree may be, and when one rotation is not enough.
const DELTA: usize = 3;
const GAMMA: usize = 2;

impl RankTree {
    pub(super) fn len(&self) -> usize {
        size(&self.root)
    }

    /// Inserts an item that is not there.
    pub(super) fn insert(&mut self, item: Scored) {
        self.root = Some(insert(self.root.take(), item));
    }

    /// Removes the item at a rank.
    pub(super) fn remove_at(&mut self, rank: usize) -> Option<Scored> {
        if rank >= self.len() {
            return None;
        }
        let (rest, item) = remove_at(self.root.take()?, rank);
        self.root = rest;
        Some(item)
    }

    /// How many items come before this one.
    pub(super) fn rank(&self, item: &Scored) -> usize {
        self.partition_point(|other| other.order(item) == Ordering::Less)
    }

    /// The rank of the first item that is not `before`, which holds for a prefix of the items.
    pub(super) fn partition_point(&self, before: impl Fn(&Scored) -> bool) -> usize {
        let (mut link, mut rank) = (&self.root, 0);
        while let Some(node) = link {
            if before(&node.item) {
                rank += size(&node.left) + 1;
                link = &node.right;
            } else {
                link = &node.left;
            }
        }
        rank
    }

    pub(super) fn at(&self, rank: usize) -> Option<&Scored> {
        let (mut link, mut rank) = (&self.root, rank);
        while let Some(node) = link {
            let before = size(&node.left);
            match rank.cmp(&before) {
                Ordering::Less => link = &node.left,
                Ordering::Equal => return Some(&node.item),
                Ordering::Greater => {
                    rank -= before + 1;
                    link = &node.right;
                }
            }
        }
        None
    }

    /// The items at these ranks, in order.
    pub(super) fn slice(&self, ranks: Range<usize>) -> Vec<&Scored> {
        let mut found = Vec::with_capacity(ranks.end.min(self.len()).saturating_sub(ranks.start));
        visit(&self.root, 0, &ranks, &mut found);
        found
    }
}

fn size(link: &Link) -> usize {
    link.as_ref().map_or(0, |node| node.size)
}

fn visit<'a>(link: &'a Link, first: usize, ranks: &Range<usize>, found: &mut Vec<&'a Scored>) {
    let Some(node) = link else { return };
    let rank = first + size(&node.left);
    if ranks.start < rank {
        visit(&node.left, first, ranks, found);
    }
    if ranks.contains(&rank) {
        found.push(&node.item);
    }
    if ranks.end > rank + 1 {
        visit(&node.right, rank + 1, ranks, found);
    }
}

fn insert(link: Link, item: Scored) -> Box<Node> {
    let Some(mut node) = link else { return Box::new(Node { item, size: 1, left: None, right: None }) };
    if item.order(&node.item) == Ordering::Less {
        node.left = Some(insert(node.left.take(), item));
    } else {
        node.right = Some(insert(node.right.take(), item));
    }
    balance(node)
}

fn remove_at(mut node: Box<Node>, rank: usize) -> (Link, Scored) {
    let before = size(&node.left);
    match (rank.cmp(&before), node.left.take(), node.right.take()) {
        (Ordering::Less, Some(left), right) => {
            let (rest, item) = remove_at(left, rank);
            (node.left, node.right) = (rest, right);
            (Some(balance(node)), item)
        }
        (Ordering::Greater, left, Some(right)) => {
            let (rest, item) = remove_at(right, rank - before - 1);
            (node.left, node.right) = (left, rest);
            (Some(balance(node)), item)
        }
        (_, None, other) | (_, other, None) => (other, node.item),
        (_, left, Some(right)) => {
            let (rest, successor) = remove_at(right, 0);
            (node.left, node.right) = (left, rest);
            let item = std::mem::replace(&mut node.item, successor);
            (Some(balance(node)), item)
        }
    }
}

/// Restores the balance of a node one of whose subtrees gained or lost one item.
fn balance(mut node: Box<Node>) -> Box<Node> {
    let weight = |link: &Link| size(link) + 1;
    if weight(&node.right) > DELTA * weight(&node.left) {
        if let Some(right) = node.right.take_if(|right| weight(&right.left) >= GAMMA * weight(&right.right)) {
            node.right = Some(rotate_right(right));
        }
        return rotate_left(node);
    }
    if weight(&node.left) > DELTA * weight(&node.right) {
        if let Some(left) = node.left.take_if(|left| weight(&left.right) >= GAMMA * weight(&left.left)) {
            node.left = Some(rotate_left(left));
        }
        return rotate_right(node);
    }
    count(&mut node);
    node
}

fn rotate_left(mut node: Box<Node>) -> Box<Node> {
    if let Some(mut top) = node.right.take() {
        node.right = top.left.take();
        count(&mut node);
        top.left = Some(node);
        node = top;
    }
    count(&mut node);
    node
}

fn rotate_right(mut node: Box<Node>) -> Box<Node> {
    if let Some(mut top) = node.left.take() {
        node.left = top.right.take();
        count(&mut node);
        top.right = Some(node);
        node = top;
    }
    count(&mut node);
    node
}

fn count(node: &mut Node) {
    node.size = size(&node.left) + size(&node.right) + 1;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_balanced(link: &Link) -> bool {
        link.as_ref().is_none_or(|node| {
            let (left, right) = (size(&node.left) + 1, size(&node.right) + 1);
            left <= DELTA * right
                && right <= DELTA * left
                && node.size == left + right - 1
                && is_balanced(&node.left)
                && is_balanced(&node.right)
        })
    }

    fn item(score: u16, member: u8) -> Scored {
        Scored { score: f64::from(score), member: Bytes::copy_from_slice(&[member]) }
    }

    proptest! {
        #[test]
        fn a_tree_is_a_sorted_list_and_stays_balanced(
            steps in prop::collection::vec((any::<bool>(), 0_u16..40, any::<u8>()), 0..300),
            from in 0_usize..200,
            count in 0_usize..50,
        ) {
            let (mut tree, mut model) = (RankTree::default(), Vec::<Scored>::new());
            for (inserts, score, member) in steps {
                let new = item(score, member);
                let at = model.partition_point(|other| other.order(&new) == Ordering::Less);
                prop_assert_eq!(tree.rank(&new), at);
                if inserts && model.get(at) != Some(&new) {
                    model.insert(at, new.clone());
                    tree.insert(new);
                } else if !inserts && at < model.len() {
                    prop_assert_eq!(tree.remove_at(at), Some(model.remove(at)));
                }
                prop_assert!(is_balanced(&tree.root));
            }
            prop_assert_eq!(tree.at(from), model.get(from));
            prop_assert!(tree.slice(0..model.len()).into_iter().eq(&model));
            prop_assert!(tree.slice(from..from + count).into_iter().eq(model.iter().skip(from).take(count)));
        }
    }

    #[test]
    fn ascending_insertion_keeps_the_tree_shallow() {
        fn depth(link: &Link) -> usize {
            link.as_ref().map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
        }
        let mut tree = RankTree::default();
        (0..u16::MAX).for_each(|score| tree.insert(item(score, 0)));
        assert!(depth(&tree.root) < 40);
    }
}
