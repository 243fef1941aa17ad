//! Numbers for producers: each broker has a block of them from the controller, and gives them out in order.

use std::collections::BTreeMap;
use std::ops::Range;

/// Numbers in a block, as in Kafka.
const BLOCK: i64 = 1000;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    blocks: BTreeMap<i32, Range<i64>>,
    next_block: i64,
}

impl ProducerIds {
    /// A number nobody has, from a node's block.
    pub fn next(&mut self, node: i32) -> i64 {
        let block = self.blocks.entry(node).or_default();
        if block.is_empty() {
            *block = self.next_block..self.next_block.saturating_add(BLOCK);
            self.next_block = block.end;
        }
        let id = block.start;
        block.start += 1;
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_number_is_given_once_and_each_node_counts_on_from_its_block() {
        let mut ids = ProducerIds::default();
        assert_eq!((ids.next(1), ids.next(2), ids.next(1)), (0, 1000, 1));
        let given: Vec<i64> = (0..3000).map(|n| ids.next(n % 3)).collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len());
    }
}
