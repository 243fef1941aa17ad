//! Watched keys: what breaks a watch, as `multi.c` of Redis 7.0 has it.
//!
//! A key that had expired when it was watched was as good as gone: that it is deleted later breaks nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::client::{Client, ClientId};
use crate::redis::store::Place;

/// Who watches what.
pub(crate) type Watched = BTreeMap<Place, BTreeSet<ClientId>>;

impl Engine {
    /// Ends all watches of a client.
    pub(crate) fn unwatch(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        client.watch_broken = false;
        for watch in std::mem::take(&mut client.watches) {
            if let Some(watchers) = self.watched.get_mut(&watch.place) {
                watchers.remove(&id);
                if watchers.is_empty() {
                    self.watched.remove(&watch.place);
                }
            }
        }
        self.choose_notes();
    }

    /// Exchanges two databases. Those who watch are told of keys that are others now, or there no more; that a
    /// key is replaced by one that expired is as if it were deleted.
    pub(crate) fn swap_databases(&mut self, left: usize, right: usize) {
        // They are told here, since it matters what there was before.
        let watched = std::mem::take(&mut self.watched);
        let swapped = |place: &&Place| place.0 == left || place.0 == right;
        let is_held = |place: &Place| self.store.db(place.0).get(&place.1).is_some();
        let held: BTreeSet<Place> =
            watched.keys().filter(swapped).filter(|place| is_held(place)).cloned().collect();
        self.store.swap(left, right);
        self.settle();
        let now = self.at.unix_ms();
        for (place, ids) in watched.iter().filter(|(place, _)| swapped(place)) {
            let entry = self.store.db(place.0).get(&place.1);
            let (was_held, gone) = (held.contains(place), entry.is_none());
            let expired = entry.is_some_and(|entry| entry.is_expired(now));
            for id in ids.iter().filter(|_| was_held || !gone) {
                if let Some(client) = self.clients.get_mut(id) {
                    client.watched_key_was_swapped(place, was_held, gone, expired);
                }
            }
        }
        self.watched = watched;
    }
}

impl Client {
    /// Breaks the watch of a key that was written or removed.
    pub(super) fn watched_key_changed(&mut self, place: &Place, gone: bool) {
        let Some(watch) = self.watches.iter_mut().find(|watch| watch.place == *place) else { return };
        if watch.was_expired && gone {
            // It was gone already when it was watched; from now on it counts.
            watch.was_expired = false;
        } else {
            self.watch_broken = true;
        }
    }

    /// Breaks the watch of a key whose database was exchanged for another.
    fn watched_key_was_swapped(&mut self, place: &Place, was_held: bool, gone: bool, expired: bool) {
        let watch = self.watches.iter_mut().find(|watch| watch.place == *place);
        match watch {
            Some(watch) if watch.was_expired && expired => {}
            Some(watch) if !watch.was_expired && !was_held && expired => watch.was_expired = true,
            _ => self.watched_key_changed(place, gone),
        }
    }
}
