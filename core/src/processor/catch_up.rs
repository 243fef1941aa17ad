//! Catching up from the event store: what the log may have lost is handled all the same.
//!
//! A log deletes by age and loses its end in an unclean election; the event store does neither. Once the
//! consumer reports a gap, every stored event the log may have carried is worked on, in the order of the store
//! and one after another, before anything more is taken from the log; what was handled is recognised as any
//! duplicate is. The order of a key is kept across a gap as far as the store's order is that of publication.
//!
//! A pass begins where the last complete one ended; a process that has made none begins at the beginning.

use std::sync::Arc;

use super::patience::Halt;
use super::work::{Item, Worker};
use crate::store::Position;

/// Events read from the store at a time.
const PAGE: usize = 256;

/// Works on what the store holds after `after`; answers where it ended.
pub(super) async fn run(worker: Arc<Worker>, after: Position) -> Result<Position, Halt> {
    let Some(catch_up) = &worker.options.catch_up else { return Ok(after) };
    let over = worker.env.stop.child_token();
    let mut after = after;
    loop {
        let page = worker.patience.store(&over, || worker.env.store.read_all(after, PAGE)).await?;
        let Some(last) = page.last() else { return Ok(after) };
        after = last.position;
        for stored in page {
            if catch_up.types.iter().any(|kind| kind == stored.event.event_type()) {
                worker.work(Item::stored(&stored, over.clone())).await?;
            }
        }
    }
}
