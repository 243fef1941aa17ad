//! Client-side caching: who may hold a copy of which key, and who is told when it is stale, as `tracking.c` of
//! Redis 7.0.
//!
//! A client either has the keys remembered that it reads, each until it is first written, or asks for all keys
//! that begin with a prefix (`BCAST`). Messages of the second kind are gathered until the commands that arrived
//! together have run. What a client's own command makes stale is told after the answer to it.
//!
//! Names of keys are tracked whatever their database, as in Redis.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use indexmap::IndexMap;
use rand::RngExt;

use super::Engine;
use super::client::ClientId;
use super::table::Spec;
use super::table::flags::{PUBSUB, READONLY};
use crate::redis::resp::Reply;
use crate::redis::store::FixedState;

/// How a client is told of stale keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracking {
    /// The client that is told in its place; 0 for itself.
    pub(crate) redirect: ClientId,
    pub(crate) broadcast: bool,
    /// Only what follows `CLIENT CACHING YES` is remembered.
    pub(crate) opt_in: bool,
    /// What follows `CLIENT CACHING NO` is not remembered.
    pub(crate) opt_out: bool,
    /// The client is not told of what it changes itself.
    pub(crate) no_loop: bool,
    /// `CLIENT CACHING` was given for the next command.
    pub(crate) caching: bool,
    /// The client to be told in its place is gone.
    pub(crate) broken: bool,
    /// What the keys it is told of begin with, if it asked for prefixes.
    pub(crate) prefixes: BTreeSet<Bytes>,
}

/// Who may hold a copy of what.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// Who read which key since it was last written.
    readers: IndexMap<Bytes, BTreeSet<ClientId>, FixedState>,
    /// Keys and readers, counted together.
    items: usize,
    prefixes: BTreeMap<Bytes, Broadcast>,
    clients: usize,
    /// The keys that the script under way declared, if its client tracks keys.
    declared: Vec<Bytes>,
    /// Every key is written at once: readers were told so, or need not be.
    wholesale: bool,
}

/// Who asked for a prefix.
#[derive(Debug, Default)]
struct Broadcast {
    clients: BTreeSet<ClientId>,
    /// Keys written since these were last told, and who wrote each last.
    written: BTreeMap<Bytes, Option<ClientId>>,
}

impl Copies {
    /// Whether nobody need be told of any key.
    pub(crate) fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.prefixes.is_empty()
    }

    /// Clients that track keys.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    /// Keys, keys counted once per reader, and prefixes.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (self.readers.len(), self.items, self.prefixes.len())
    }

    fn forget(&mut self, key: &Bytes) -> BTreeSet<ClientId> {
        let ids = self.readers.swap_remove(key).unwrap_or_default();
        self.items -= ids.len();
        ids
    }
}

impl Engine {
    /// Lets a client track keys, or changes how it does. Prefixes are added to those it has.
    pub(crate) fn track(&mut self, id: ClientId, mut wanted: Tracking) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match client.tracking.take() {
            Some(before) => {
                wanted.caching = before.caching;
                wanted.prefixes.extend(before.prefixes);
            }
            None => self.copies.clients += 1,
        }
        for prefix in &wanted.prefixes {
            self.copies.prefixes.entry(prefix.clone()).or_default().clients.insert(id);
        }
        client.tracking = Some(Box::new(wanted));
        self.choose_notes();
    }

    /// Lets a client track no more. The keys it read are forgotten when they are next written.
    pub(crate) fn untrack(&mut self, id: ClientId) {
        let Some(tracking) = self.clients.get_mut(&id).and_then(|client| client.tracking.take()) else {
            return;
        };
        self.copies.clients -= 1;
        for prefix in &tracking.prefixes {
            if let Some(broadcast) = self.copies.prefixes.get_mut(prefix) {
                broadcast.clients.remove(&id);
                if broadcast.clients.is_empty() {
                    self.copies.prefixes.remove(prefix);
                }
            }
        }
        self.choose_notes();
    }

    /// Remembers the keys that a client read with a command.
    pub(super) fn remember_reads(&mut self, id: ClientId, spec: &Spec, args: &[Bytes]) {
        const RUNS_OTHERS: [&str; 3] = ["eval_ro", "evalsha_ro", "fcall_ro"];
        if self.copies.clients == 0 {
            return;
        }
        let Some(tracking) = self.clients.get(&id).and_then(|client| client.tracking.as_deref()) else {
            return;
        };
        let is_left_out = tracking.opt_in && !tracking.caching || tracking.opt_out && tracking.caching;
        let is_reading = spec.has(READONLY) && !spec.has(PUBSUB) && !RUNS_OTHERS.contains(&spec.name);
        if tracking.broadcast || is_left_out || !is_reading {
            return;
        }
        // A script that reads anything at all is taken to read every key it declared, and no other.
        let keys = if self.script.is_some() { self.copies.declared.clone() } else { keys_of(spec, args) };
        for key in keys {
            if self.copies.readers.entry(key).or_default().insert(id) {
                self.copies.items += 1;
            }
        }
        self.choose_notes();
    }

    /// Notes the keys that a script declares, before it runs.
    pub(super) fn note_declared_keys(&mut self, id: ClientId, spec: &Spec, args: &[Bytes]) {
        if self.copies.clients > 0
            && spec.group == "scripting"
            && self.clients.get(&id).is_some_and(|client| client.tracking.is_some())
        {
            self.copies.declared = keys_of(spec, args);
        }
    }

    /// Forgets `CLIENT CACHING` once the command it was given for has run.
    pub(super) fn forget_caching(&mut self, id: ClientId, spec: &Spec) {
        if self.copies.clients == 0 {
            return;
        }
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.transaction.is_none()
            && !spec.name.starts_with("client|")
            && let Some(tracking) = &mut client.tracking
        {
            tracking.caching = false;
        }
    }

    /// Says that all that is written by the command under way needs no message of its own.
    pub(crate) fn writes_wholesale(&mut self) {
        self.copies.wholesale = true;
    }

    /// Tells everyone who tracks keys that all of them are stale: a database was emptied.
    pub(crate) fn invalidate_everything(&mut self) {
        self.writes_wholesale();
        let trackers = self.clients.values().filter(|client| client.tracking.is_some());
        let trackers: Vec<ClientId> = trackers.map(|client| client.id).collect();
        for id in trackers {
            self.tell_stale(id, None);
        }
        self.copies.readers.clear();
        self.copies.items = 0;
    }

    /// The keys that a command wrote were all looked at.
    pub(super) fn settle_copies(&mut self) {
        self.copies.wholesale = false;
    }

    /// Tells whoever may hold a copy of a key that it is stale.
    pub(super) fn invalidate(&mut self, key: &Bytes) {
        if self.copies.is_empty() || self.copies.wholesale {
            return;
        }
        let writer = self.current;
        for (prefix, broadcast) in &mut self.copies.prefixes {
            if key.starts_with(prefix) {
                broadcast.written.insert(key.clone(), writer);
            }
        }
        self.tell_readers(key);
    }

    fn tell_readers(&mut self, key: &Bytes) {
        for id in self.copies.forget(key) {
            let tracking = self.clients.get(&id).and_then(|client| client.tracking.as_deref());
            let is_told = tracking.is_some_and(|tracking| {
                !(tracking.broadcast || tracking.no_loop && self.current == Some(id))
            });
            if is_told {
                self.tell_stale(id, Some(vec![key.clone()]));
            }
        }
    }

    /// Keeps the number of remembered keys within `tracking-table-max-keys`: copies of others are called stale.
    pub(super) fn limit_copies(&mut self) {
        let most = self.config.tracked_keys;
        if most == 0 || self.copies.clients == 0 {
            return;
        }
        while self.copies.readers.len() > most {
            let at = self.rng.random_range(0..self.copies.readers.len());
            let Some(key) = self.copies.readers.get_index(at).map(|(key, _)| key.clone()) else { return };
            self.tell_readers(&key);
        }
    }

    /// Tells those who asked for prefixes of the keys written meanwhile.
    pub(super) fn broadcast_stale_keys(&mut self) {
        if self.copies.prefixes.is_empty() {
            return;
        }
        let mut messages: Vec<(ClientId, Vec<Bytes>)> = Vec::new();
        for broadcast in self.copies.prefixes.values_mut() {
            let written = std::mem::take(&mut broadcast.written);
            for id in &broadcast.clients {
                let tracking = self.clients.get(id).and_then(|client| client.tracking.as_deref());
                let skips_own = tracking.is_some_and(|tracking| tracking.no_loop);
                let others = written.iter().filter(|(_, writer)| !(skips_own && **writer == Some(*id)));
                let keys: Vec<Bytes> = others.map(|(key, _)| key.clone()).collect();
                if !keys.is_empty() {
                    messages.push((*id, keys));
                }
            }
        }
        for (id, keys) in messages {
            self.tell_stale(id, Some(keys));
        }
    }

    /// Tells a client, or the one in its place, that keys are stale; all of them if none is named.
    fn tell_stale(&mut self, id: ClientId, keys: Option<Vec<Bytes>>) {
        const CHANNEL: &str = "__redis__:invalidate";
        let Some(client) = self.clients.get_mut(&id) else { return };
        let protocol = client.protocol;
        let Some(tracking) = client.tracking.as_deref_mut() else { return };
        let redirect = tracking.redirect;
        if redirect != 0 && !self.clients.contains_key(&redirect) {
            // It is no use to the one who is gone; the one it was for should know.
            if let Some(tracking) =
                self.clients.get_mut(&id).and_then(|client| client.tracking.as_deref_mut())
            {
                tracking.broken = true;
            }
            if protocol >= 3 {
                let gone = Reply::Int(i64::try_from(redirect).unwrap_or(i64::MAX));
                self.push_after(id, Reply::Push(vec![Reply::bulk("tracking-redir-broken"), gone]));
            }
            return;
        }
        let target = if redirect == 0 { id } else { redirect };
        let Some(receiver) = self.clients.get(&target) else { return };
        let value = keys.map_or(Reply::Null, Reply::bulks);
        if receiver.protocol >= 3 {
            self.push_after(target, Reply::Push(vec![Reply::bulk("invalidate"), value]));
        } else if redirect != 0 && !receiver.subscriptions.is_empty() {
            let message = vec![Reply::bulk("message"), Reply::bulk(CHANNEL), value];
            self.push_after(target, Reply::Push(message));
        }
    }
}

fn keys_of(spec: &Spec, args: &[Bytes]) -> Vec<Bytes> {
    spec.key_positions(args).into_iter().filter_map(|at| args.get(at).cloned()).collect()
}
