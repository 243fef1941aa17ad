//! Pieces of a segment: a large batch, or a run of small ones.
//!
//! A run is whole batches, prefixes and all, one behind the other. Nothing is kept for each of them: an offset is
//! found by going from header to header, so runs are short. Bytes of a run were checked when its batches were
//! appended; should they be none, a run ends early rather than panics.

use bytes::Bytes;

use super::batch::Batch;
use crate::kafka::wire::batch::{HEADER, PREFIX};

/// See the module's text.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    One(Batch),
    Run(Run),
}

/// Batches behind each other, as they go to clients.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The offset behind the last.
    pub next: i64,
    pub bytes: Bytes,
}

/// Where a batch of a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub at: usize,
    pub size: usize,
    base: i64,
    epoch: i32,
    /// The offset behind it.
    pub next: i64,
}

impl Piece {
    /// The offset behind it.
    pub fn next(&self) -> i64 {
        match self {
            Self::One(batch) => batch.next(),
            Self::Run(run) => run.next,
        }
    }

    pub fn batches(self) -> impl Iterator<Item = Batch> {
        let (one, run) = match self {
            Self::One(batch) => (Some(batch), Bytes::new()),
            Self::Run(run) => (None, run.bytes),
        };
        let mut at = 0;
        let of_run = std::iter::from_fn(move || {
            let place = place(&run, at)?;
            at += place.size;
            Some(Batch::new(place.base, place.epoch, run.slice(place.at + PREFIX..at)))
        });
        one.into_iter().chain(of_run)
    }

    /// What is left without the batches that end at `offset` or before.
    pub fn from(self, offset: i64) -> Self {
        match self {
            Self::One(_) => self,
            Self::Run(run) => {
                let at = start_of(&run.bytes, offset);
                Self::Run(Run { bytes: run.bytes.slice(at..), ..run })
            }
        }
    }

    /// What is left without the batches that reach to `end` or beyond.
    pub fn before(&self, end: i64) -> Option<Self> {
        let Self::Run(run) = self else { return None };
        let last = places(&run.bytes).take_while(|place| place.next <= end).last()?;
        Some(Self::Run(Run { next: last.next, bytes: run.bytes.slice(..last.at + last.size) }))
    }
}

impl Run {
    /// A copy of the batches of a run that end behind `offset`, if there are any.
    pub fn copied(run: &[u8], offset: i64) -> Option<Self> {
        let rest = &run[start_of(run, offset)..];
        let next = places(rest).last()?.next;
        Some(Self { next, bytes: Bytes::copy_from_slice(rest) })
    }
}

/// Where the batches of a run are.
pub(super) fn places(run: &[u8]) -> impl Iterator<Item = Place> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let place = place(run, at)?;
        at += place.size;
        Some(place)
    })
}

/// Where the first batch of a run begins that ends behind `offset`.
fn start_of(run: &[u8], offset: i64) -> usize {
    places(run).find(|place| place.next > offset).map_or(run.len(), |place| place.at)
}

fn place(run: &[u8], at: usize) -> Option<Place> {
    let head = run.get(at..)?.first_chunk::<HEADER>()?;
    let base = i64::from_be_bytes(*head.first_chunk()?);
    let int = |from: usize| Some(i32::from_be_bytes(*head[from..].first_chunk()?));
    let size = usize::try_from(int(8)?).ok()? + 12;
    let fits = (HEADER..=run.len() - at).contains(&size);
    fits.then_some(Place { at, size, base, epoch: int(12)?, next: base + i64::from(int(23)?) + 1 })
}
