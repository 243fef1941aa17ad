//! Where two traces of one plan part.
//!
//! Prefix hashes give the place; kept events give it too and show what happened around it. To see the
//! surroundings of a place where nothing was kept, run both again with [`Divergence::window`].

use std::fmt;
use std::ops::Range;

use super::{Keep, Trace, TraceEvent};

/// Events shown before and after the place where two traces part.
const CONTEXT: u64 = 10;

/// The first difference of two traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The sequence number of the first event that differs or that only one trace has. `None` if neither
    /// prefixes nor events reach that far.
    pub index: Option<u64>,
    /// Up to ten events before and after it, in the first trace.
    pub left: Vec<TraceEvent>,
    /// The same in the second.
    pub right: Vec<TraceEvent>,
}

impl Divergence {
    /// What to keep in another run of the plan to see the events around this place.
    #[must_use]
    pub fn window(&self) -> Option<Keep> {
        self.index.map(|index| Keep::Window(around(index)))
    }
}

/// Finds the first difference, or `None` if the traces are equal.
#[must_use]
pub fn first_divergence(left: &Trace, right: &Trace) -> Option<Divergence> {
    if left.hash == right.hash && left.events == right.events {
        return None;
    }
    let index = by_prefix(left, right).or_else(|| by_event(left, right));
    let context = |trace: &Trace| match index {
        Some(index) => {
            let range = around(index);
            trace.kept.iter().filter(|event| range.contains(&event.seq)).cloned().collect()
        }
        None => Vec::new(),
    };
    Some(Divergence { index, left: context(left), right: context(right) })
}

fn around(index: u64) -> Range<u64> {
    index.saturating_sub(CONTEXT)..index.saturating_add(CONTEXT + 1)
}

fn by_prefix(left: &Trace, right: &Trace) -> Option<u64> {
    let pairs = left.prefixes.iter().zip(&right.prefixes);
    let equal = pairs.clone().take_while(|(l, r)| l == r).count();
    let ended = |trace: &Trace| trace.events == equal as u64;
    (equal < pairs.len() || (equal > 0 && (ended(left) || ended(right)))).then_some(equal as u64)
}

fn by_event(left: &Trace, right: &Trace) -> Option<u64> {
    if left.events == 0 || right.events == 0 {
        return Some(0);
    }
    // A window that starts later may start behind the first difference.
    let from_the_start = |trace: &Trace| trace.kept.first().is_some_and(|event| event.seq == 0);
    if !from_the_start(left) || !from_the_start(right) {
        return None;
    }
    let differs = |(l, r): (&TraceEvent, &TraceEvent)| (!l.is(r)).then_some(l.seq);
    let compared = left.kept.iter().zip(&right.kept).find_map(differs);
    let end = left.events.min(right.events);
    let reaches = |trace: &Trace| trace.kept.last().is_some_and(|event| event.seq + 1 >= end);
    compared.or_else(|| (reaches(left) && reaches(right)).then_some(end))
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(index) = self.index else {
            return f.write_str(
                "the traces differ, but neither prefixes nor events were kept that far; \
                 run both again keeping prefixes",
            );
        };
        writeln!(f, "the traces part at event {index}")?;
        if self.left.is_empty() && self.right.is_empty() {
            return f.write_str("no events were kept there; run both again keeping that window");
        }
        for event in self.left.iter().filter(|event| event.seq < index) {
            writeln!(f, "    {:>8} {event}", event.seq)?;
        }
        for (sign, side) in [('-', &self.left), ('+', &self.right)] {
            let mut shown = side.iter().filter(|event| event.seq >= index).peekable();
            if shown.peek().is_none() {
                writeln!(f, "  {sign} {index:>8} (the trace ends here)")?;
            }
            for event in shown {
                writeln!(f, "  {sign} {:>8} {event}", event.seq)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{TraceOptions, Tracer};
    use super::*;

    fn trace(texts: &[u8], keep: Keep, prefixes: usize) -> Trace {
        let tracer =
            Tracer::new(TraceOptions { keep, prefixes, ..TraceOptions::default() }, || Duration::ZERO);
        texts.iter().for_each(|text| tracer.record("h", "k", format_args!("{text}")));
        tracer.finish()
    }

    proptest! {
        #[test]
        fn the_place_found_is_the_first_that_differs(
            common in prop::collection::vec(0..3u8, 0..40),
            left in prop::collection::vec(0..3u8, 0..20),
            right in prop::collection::vec(0..3u8, 0..20),
        ) {
            let (left, right) = ([common.clone(), left].concat(), [common, right].concat());
            let zipped = left.iter().zip(&right).position(|(l, r)| l != r);
            let ends = (left.len() != right.len()).then(|| left.len().min(right.len()));
            let expected = zipped.or(ends).map(|index| index as u64);
            let found = |keep: &Keep, prefixes| {
                let (l, r) = (trace(&left, keep.clone(), prefixes), trace(&right, keep.clone(), prefixes));
                first_divergence(&l, &r)
            };
            let by_event = found(&Keep::First(1000), 0);
            prop_assert_eq!(by_event.as_ref().map(|d| d.index), expected.map(Some));
            let by_prefix = found(&Keep::Nothing, 1000);
            prop_assert_eq!(by_prefix.as_ref().map(|d| d.index), expected.map(Some));
            if let (Some(wide), Some(window)) = (by_event, by_prefix.and_then(|d| d.window())) {
                prop_assert_eq!(found(&window, 1000), Some(wide));
            }
        }
    }

    #[test]
    fn a_place_beyond_what_was_kept_is_not_guessed() {
        let (left, right) = ([1, 2, 3, 4], [1, 2, 3, 5]);
        let found = |keep: Keep, prefixes| {
            first_divergence(&trace(&left, keep.clone(), prefixes), &trace(&right, keep, prefixes))
        };
        for divergence in [found(Keep::First(2), 0), found(Keep::Nothing, 2), found(Keep::Nothing, 0)] {
            let divergence = divergence.expect("the traces differ");
            assert_eq!(divergence.index, None);
            assert!(divergence.to_string().contains("keeping prefixes"));
        }
    }

    #[test]
    fn a_divergence_reads_like_a_diff() {
        let (left, right) = (trace(&[1, 2, 3], Keep::First(9), 0), trace(&[1, 2], Keep::First(9), 0));
        let divergence = first_divergence(&left, &right).expect("the traces differ");
        let expected = "\
the traces part at event 2
           0 0.000000000s h k 1
           1 0.000000000s h k 2
  -        2 0.000000000s h k 3
  +        2 (the trace ends here)
";
        assert_eq!(divergence.to_string(), expected);
    }
}
