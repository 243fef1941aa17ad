//! Lists: elements in order, cheap at both ends. Redis 7.0 holds every list as a quicklist.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first element.
    Left,
    /// The last element.
    Right,
}

/// Elements in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    elements: VecDeque<Bytes>,
    bytes: usize,
}

impl List {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Bytes of payload.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes
    }

    /// The element at a position.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&Bytes> {
        self.elements.get(index)
    }

    /// All elements, from left to right.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Bytes> + ExactSizeIterator {
        self.elements.iter()
    }

    /// The elements at these positions, all of which exist.
    pub fn slice(&self, positions: Range<usize>) -> impl Iterator<Item = &Bytes> {
        self.elements.range(positions)
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, element: Bytes) {
        self.bytes += element.len();
        match end {
            End::Left => self.elements.push_front(element),
            End::Right => self.elements.push_back(element),
        }
    }

    /// Removes the element at an end.
    pub fn pop(&mut self, end: End) -> Option<Bytes> {
        let element = match end {
            End::Left => self.elements.pop_front(),
            End::Right => self.elements.pop_back(),
        }?;
        self.bytes -= element.len();
        Some(element)
    }

    /// Replaces the element at a position; false if there is none.
    pub fn set(&mut self, index: usize, element: Bytes) -> bool {
        let Some(place) = self.elements.get_mut(index) else { return false };
        self.bytes = self.bytes + element.len() - place.len();
        *place = element;
        true
    }

    /// Inserts an element before the one at a position, or at the end.
    pub fn insert(&mut self, index: usize, element: Bytes) {
        self.bytes += element.len();
        self.elements.insert(index.min(self.elements.len()), element);
    }

    /// Keeps the elements at these positions only, all of which exist.
    pub fn keep(&mut self, positions: Range<usize>) {
        self.elements.truncate(positions.end);
        self.elements.drain(..positions.start);
        self.bytes = self.elements.iter().map(Bytes::len).sum();
    }

    /// Removes up to `most` elements equal to this one, the first found from an end; how many.
    pub fn remove(&mut self, from: End, element: &Bytes, most: usize) -> usize {
        let equal = self.elements.iter().filter(|other| *other == element).count();
        let removed = equal.min(most);
        // From the right, the first ones are those to keep.
        let mut spared = if from == End::Right { equal - removed } else { 0 };
        let mut left = removed;
        self.elements.retain(|other| {
            if other != element || left == 0 {
                return true;
            }
            if spared > 0 {
                spared -= 1;
                return true;
            }
            left -= 1;
            false
        });
        self.bytes -= removed * element.len();
        removed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn removing_from_the_right_is_removing_from_the_left_of_the_reverse(
            elements in prop::collection::vec(0_u8..3, 0..20),
            most in 0_usize..8,
        ) {
            let element = Bytes::from_static(&[1]);
            let fill = |end: End| {
                let mut list = List::default();
                elements.iter().for_each(|element| list.push(end, Bytes::copy_from_slice(&[*element])));
                list
            };
            let (mut list, mut mirror) = (fill(End::Right), fill(End::Left));
            prop_assert_eq!(
                list.remove(End::Right, &element, most),
                mirror.remove(End::Left, &element, most)
            );
            prop_assert!(list.iter().eq(mirror.iter().rev()));
            prop_assert_eq!(list.weight(), list.len());
        }
    }
}
