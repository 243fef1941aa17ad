//! Sorting of which only a part is looked at.
//!
//! The real server sorts such a part with the quicksort of Bentley and McIlroy ("Engineering a sort function",
//! 1993), which does not keep the order of equal elements. Since that order is seen, it is reproduced: the same
//! choice of pivots, the same exchanges. A whole array is sorted stably, as the C library's merge sort does.

use std::cmp::Ordering;
use std::ops::Range;

/// Below so many elements insertion is quicker.
const FEW: usize = 7;
/// Above so many elements the pivot is the median of nine.
const MANY: usize = 40;

/// Puts into place the elements that belong at `window`; the others end up before and behind it in any order.
pub(super) fn partial_sort<T>(items: &mut [T], window: Range<usize>, compare: impl Fn(&T, &T) -> Ordering) {
    if window == (0..items.len()) {
        items.sort_by(compare);
        return;
    }
    // Parts still to be sorted; not recursion, whose depth the input would decide.
    let mut parts: Vec<Range<usize>> = std::iter::once(0..items.len()).collect();
    while let Some(part) = parts.pop() {
        let slice = &mut items[part.clone()];
        if slice.len() < FEW {
            insertion_sort(slice, &compare);
            continue;
        }
        let (less, greater) = partition(slice, &compare);
        for inner in [0..less, slice.len() - greater..slice.len()] {
            let outer = part.start + inner.start..part.start + inner.end;
            if outer.len() > 1 && outer.start < window.end && window.start < outer.end {
                parts.push(outer);
            }
        }
    }
}

fn insertion_sort<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && compare(&items[at - 1], &items[at]) == Ordering::Greater {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Moves what is less than a pivot to the front and what is greater to the back; how many each are.
fn partition<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let length = items.len();
    items.swap(0, pivot(items, compare));
    // Equal elements gather at both ends: before `equal` and from `behind` on.
    let (mut equal, mut low) = (1, 1);
    let (mut high, mut behind) = (length, length);
    loop {
        while low < high && compare(&items[low], &items[0]) != Ordering::Greater {
            if compare(&items[low], &items[0]) == Ordering::Equal {
                items.swap(equal, low);
                equal += 1;
            }
            low += 1;
        }
        while low < high && compare(&items[high - 1], &items[0]) != Ordering::Less {
            if compare(&items[high - 1], &items[0]) == Ordering::Equal {
                items.swap(high - 1, behind - 1);
                behind -= 1;
            }
            high -= 1;
        }
        if low >= high {
            break;
        }
        items.swap(low, high - 1);
        low += 1;
        high -= 1;
    }
    let (less, greater) = (low - equal, behind - high);
    exchange(items, 0, low, equal.min(less));
    exchange(items, low, length, greater.min(length - behind));
    (less, greater)
}

/// Exchanges the first `count` elements from `start` with the last ones before `end`, one by one.
fn exchange<T>(items: &mut [T], start: usize, end: usize, count: usize) {
    for offset in 0..count {
        items.swap(start + offset, end - count + offset);
    }
}

fn pivot<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let length = items.len();
    let (mut first, mut middle, mut last) = (0, length / 2, length - 1);
    if length == FEW {
        return middle;
    }
    let median = |a: usize, b: usize, c: usize| {
        let order = |left: usize, right: usize| compare(&items[left], &items[right]);
        if order(a, b) == Ordering::Less {
            if order(b, c) == Ordering::Less {
                b
            } else if order(a, c) == Ordering::Less {
                c
            } else {
                a
            }
        } else if order(b, c) == Ordering::Greater {
            b
        } else if order(a, c) == Ordering::Less {
            a
        } else {
            c
        }
    };
    if length > MANY {
        let step = length / 8;
        first = median(first, first + step, first + 2 * step);
        middle = median(middle - step, middle, middle + step);
        last = median(last - 2 * step, last - step, last);
    }
    median(first, middle, last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_window_holds_what_a_whole_sort_puts_there(
            items in prop::collection::vec(0_u8..50, 0..200),
            (start, count) in (0_usize..200, 0_usize..200),
        ) {
            let start = start.min(items.len());
            let end = (start + count).min(items.len());
            let (mut sorted, mut part) = (items.clone(), items);
            sorted.sort_unstable();
            partial_sort(&mut part, start..end, u8::cmp);
            prop_assert_eq!(&part[start..end], &sorted[start..end]);
            part.sort_unstable();
            prop_assert_eq!(part, sorted);
        }
    }
}
