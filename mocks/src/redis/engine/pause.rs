//! `CLIENT PAUSE`: commands that come are kept back, all of them or those that may write, until the pause is
//! over, as Redis 7.0 does before it hands its work to another server.
//!
//! While there is a pause no key is deleted because it expired, though none that did is seen. What runs already
//! goes on: the rest of a transaction, and the waits of clients for keys.
//!
//! The command that is kept back stays with the connection, which tries it again when it is woken.

use bytes::Bytes;

use super::Engine;
use super::client::ClientId;
use super::table::flags::{MAY_REPLICATE, WRITE};
use crate::redis::resp::Reply;
use crate::redis::store::Overdue;

/// A pause under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// The last millisecond of it, in Unix time.
    pub(crate) until_ms: i64,
    /// Whether reads are kept back too.
    pub(crate) everything: bool,
}

impl Engine {
    /// Begins a pause, or makes the one under way longer and stricter.
    pub(crate) fn pause(&mut self, wanted: Pause) {
        let before = self.pause.unwrap_or(wanted);
        self.pause = Some(Pause {
            until_ms: before.until_ms.max(wanted.until_ms),
            everything: before.everything || wanted.everything,
        });
        self.store.treat_overdue(Overdue::Hidden);
        self.end_pause_if_over();
    }

    /// Ends the pause, if there is one, and wakes those whose commands were kept back.
    pub(crate) fn unpause(&mut self) {
        if self.pause.take().is_some() && self.link.is_none() {
            self.store.treat_overdue(Overdue::Deleted);
        }
        for id in std::mem::take(&mut self.postponed) {
            if let Some(client) = self.clients.get_mut(&id) {
                client.is_postponed = false;
                self.push(id, Reply::None);
            }
        }
    }

    /// Ends a pause whose time is over.
    pub(super) fn end_pause_if_over(&mut self) {
        if self.pause.is_some_and(|pause| pause.until_ms < self.at.unix_ms()) {
            self.unpause();
        }
    }

    /// Whether a client's command with these flags has to wait for the end of a pause.
    pub(super) fn is_paused_for(&self, id: ClientId, flags: u32) -> bool {
        let Some(pause) = self.pause else { return false };
        let monitors = self.clients.get(&id).is_none_or(|client| client.monitors);
        !monitors && (pause.everything || flags & (WRITE | MAY_REPLICATE) != 0)
    }

    /// Keeps a client's command back until the pause is over.
    pub(super) fn postpone(&mut self, id: ClientId, args: Vec<Bytes>) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.is_postponed = true;
            self.postponed.insert(id);
            self.kept_back = Some(args);
        }
    }
}
