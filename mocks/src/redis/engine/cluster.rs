//! A node of a cluster: which slots it serves, and where it sends clients for the others.
//!
//! The node talks to no others: what the other nodes have is what a test, or `CLUSTER SETSLOT`, said. Order and
//! texts of the checks are those of `getNodeByQuery` in Redis 7.0.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;

use super::Engine;
use super::client::ClientId;
use super::cmd::server::random_hex;
use super::error::CmdError;
use super::slots::{SLOTS, slot_of};
use super::table::Spec;
use super::table::flags::{ASKING, WRITE};
use crate::redis::store::Blob;

/// Where a node of a cluster listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// The host that clients are told.
    pub host: String,
    /// The port that clients are told.
    pub port: u16,
}

/// What a node does with a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Serves it.
    Served,
    /// Sends clients to another node: `MOVED`.
    Moved(Peer),
    /// Serves it, but is moving its keys away: `ASK` for what is missing, `TRYAGAIN` if only some keys are.
    Migrating(Peer),
    /// Belongs to another node that is moving its keys here: `MOVED`, but for clients that say `ASKING`.
    Importing(Peer),
    /// Nobody serves it: `CLUSTERDOWN Hash slot not served`.
    Unserved,
}

/// A node as `CLUSTER NODES` shows it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) peer: Peer,
}

/// Who serves a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    Me,
    /// A node of the list.
    Other(usize),
}

/// What a node knows of its cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) id: String,
    owners: Vec<Owner>,
    pub(super) others: Vec<Node>,
    pub(super) migrating: BTreeMap<u16, usize>,
    pub(super) importing: BTreeMap<u16, usize>,
    pub(super) epoch: i64,
    /// The cluster is down, whatever the slots are.
    pub(super) down: bool,
}

impl Cluster {
    /// A node that serves every slot.
    pub(super) fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            id: random_hex(rng),
            owners: vec![Owner::Me; usize::from(SLOTS)],
            others: Vec::new(),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            epoch: 0,
            down: false,
        }
    }

    pub(super) fn owner(&self, slot: u16) -> Owner {
        self.owners.get(usize::from(slot)).copied().unwrap_or(Owner::Nobody)
    }

    pub(super) fn set_owner(&mut self, slot: u16, owner: Owner) {
        if let Some(entry) = self.owners.get_mut(usize::from(slot)) {
            *entry = owner;
        }
    }

    /// Forgets what is being moved of a slot.
    pub(super) fn settle_slot(&mut self, slot: u16) {
        self.migrating.remove(&slot);
        self.importing.remove(&slot);
    }

    /// The node of this id among the others.
    pub(super) fn find(&self, id: &[u8]) -> Option<usize> {
        self.others.iter().position(|node| node.id.as_bytes() == id)
    }

    /// Slots that someone serves.
    pub(super) fn assigned(&self) -> usize {
        self.owners.iter().filter(|owner| **owner != Owner::Nobody).count()
    }

    pub(super) fn is_up(&self) -> bool {
        !self.down && self.assigned() == usize::from(SLOTS)
    }

    /// Runs of slots with the same owner, whom someone serves.
    pub(super) fn ranges(&self) -> Vec<(RangeInclusive<u16>, Owner)> {
        let mut ranges: Vec<(RangeInclusive<u16>, Owner)> = Vec::new();
        for slot in (0..SLOTS).filter(|slot| self.owner(*slot) != Owner::Nobody) {
            let owner = self.owner(slot);
            match ranges.last_mut() {
                Some((range, before)) if *before == owner && range.end() + 1 == slot => {
                    *range = *range.start()..=slot;
                }
                _ => ranges.push((slot..=slot, owner)),
            }
        }
        ranges
    }

    fn other(&mut self, peer: Peer, rng: &mut ChaCha8Rng) -> usize {
        self.others.iter().position(|node| node.peer == peer).unwrap_or_else(|| {
            self.others.push(Node { id: random_hex(rng), peer });
            self.others.len() - 1
        })
    }

    /// Forgets a node that serves and moves no slot.
    pub(super) fn forget_node(&mut self, node: usize) {
        self.others.remove(node);
        for owner in &mut self.owners {
            if let Owner::Other(later) = owner
                && *later > node
            {
                *later -= 1;
            }
        }
        for later in self.migrating.values_mut().chain(self.importing.values_mut()) {
            *later -= usize::from(*later > node);
        }
    }

    fn line(&self, word: &str, slot: u16, node: usize) -> CmdError {
        let peer = self.others.get(node).map(|node| format!("{}:{}", node.peer.host, node.peer.port));
        CmdError::new(format!("{word} {slot} {}", peer.unwrap_or_default()))
    }
}

/// Whether an error sends a client elsewhere, so that even `EXEC` answers it as it is.
pub(super) fn is_redirect(error: &CmdError) -> bool {
    matches!(error.code(), "MOVED" | "ASK" | "TRYAGAIN" | "CROSSSLOT" | "CLUSTERDOWN")
}

const CROSS_SLOT: CmdError = CmdError::fixed("CROSSSLOT Keys in request don't hash to the same slot");
const TRY_AGAIN: CmdError = CmdError::fixed("TRYAGAIN Multiple keys request during rehashing of slot");
const NOT_SERVED: CmdError = CmdError::fixed("CLUSTERDOWN Hash slot not served");
const DOWN: CmdError = CmdError::fixed("CLUSTERDOWN The cluster is down");
const DOWN_FOR_WRITES: CmdError =
    CmdError::fixed("CLUSTERDOWN The cluster is down and only accepts read commands");

impl Engine {
    /// `cluster` or `standalone`, as clients are told.
    pub(super) fn mode(&self) -> &'static str {
        if self.cluster.is_some() { "cluster" } else { "standalone" }
    }

    /// Makes the server a node of a cluster, or none.
    pub(crate) fn set_cluster(&mut self, on: bool) {
        self.config.force("cluster-enabled", if on { "yes" } else { "no" }.to_owned());
        self.cluster = on.then(|| Box::new(Cluster::new(&mut self.rng)));
    }

    /// Forgets other nodes and slots; a hard reset makes it another node.
    pub(super) fn reset_cluster(&mut self, hard: bool) {
        let Some(cluster) = self.cluster.as_mut() else { return };
        let before = std::mem::replace(cluster.as_mut(), Cluster::new(&mut self.rng));
        cluster.owners.fill(Owner::Nobody);
        if !hard {
            cluster.id = before.id;
            cluster.epoch = before.epoch;
        }
    }

    /// Says what the node does with slots from now on; `false` if the server is no node of a cluster.
    pub fn set_slots(&mut self, slots: RangeInclusive<u16>, state: SlotState) -> bool {
        let Some(cluster) = self.cluster.as_mut() else { return false };
        let (peer, state) = match state {
            SlotState::Served => (None, Some(Owner::Me)),
            SlotState::Unserved => (None, Some(Owner::Nobody)),
            SlotState::Moved(peer) => (Some((peer, Moving::No)), None),
            SlotState::Migrating(peer) => (Some((peer, Moving::Away)), None),
            SlotState::Importing(peer) => (Some((peer, Moving::Here)), None),
        };
        let peer = peer.map(|(peer, moving)| (cluster.other(peer, &mut self.rng), moving));
        for slot in slots.filter(|slot| *slot < SLOTS) {
            cluster.settle_slot(slot);
            match peer {
                None => cluster.set_owner(slot, state.unwrap_or(Owner::Nobody)),
                Some((node, Moving::No)) => cluster.set_owner(slot, Owner::Other(node)),
                Some((node, Moving::Away)) => {
                    cluster.set_owner(slot, Owner::Me);
                    cluster.migrating.insert(slot, node);
                }
                Some((node, Moving::Here)) => {
                    cluster.set_owner(slot, Owner::Other(node));
                    cluster.importing.insert(slot, node);
                }
            }
        }
        true
    }

    /// Says whether the cluster is down; `false` if the server is no node of one.
    pub fn set_cluster_down(&mut self, down: bool) -> bool {
        self.cluster.as_mut().map(|cluster| cluster.down = down).is_some()
    }

    /// Keys of a slot, in an order that is the same in every run. Looks at all keys.
    pub(super) fn keys_in_slot(&self, slot: u16) -> impl Iterator<Item = Bytes> {
        // The real server puts a new key in front.
        self.store.db(0).keys().rev().filter(move |key| slot_of(key) == slot).map(Blob::to_bytes)
    }

    /// Whether this node serves a command line; the slot of its keys if it has any.
    ///
    /// # Errors
    /// Where the client has to go instead, or why nobody serves it.
    pub(super) fn route(
        &self,
        id: ClientId,
        spec: &'static Spec,
        args: &[Bytes],
    ) -> Result<Option<u16>, CmdError> {
        let Some(cluster) = self.cluster.as_deref() else { return Ok(None) };
        let client = self.clients.get(&id);
        let queue = client.and_then(|client| client.transaction.as_ref()).map(|queued| &queued.queue[..]);
        let keys: Vec<&Bytes> = match (spec.name, queue) {
            ("exec", None) => return Ok(None),
            ("exec", Some(queue)) => queue.iter().flat_map(|(spec, args)| keys_of(spec, args)).collect(),
            _ => keys_of(spec, args),
        };
        let Some(first) = keys.first() else { return Ok(None) };
        let slot = slot_of(first);
        let owner = cluster.owner(slot);
        if owner == Owner::Nobody {
            return Err(NOT_SERVED);
        }
        if keys.iter().any(|key| slot_of(key) != slot) {
            return Err(CROSS_SLOT);
        }
        let is_shard = matches!(spec.name, "ssubscribe" | "sunsubscribe" | "spublish");
        let writes = spec.has(WRITE) || queue.unwrap_or_default().iter().any(|(spec, _)| spec.has(WRITE));
        self.check_cluster_is_up(cluster, is_shard, writes)?;
        let (away, here) = (cluster.migrating.get(&slot), cluster.importing.get(&slot));
        let now = self.at.unix_ms();
        let is_there = |key: &&&Bytes| self.store.db(0).get(key).is_some_and(|entry| !entry.is_expired(now));
        let there = if is_shard { keys.len() } else { keys.iter().filter(is_there).count() };
        if (away.is_some() || here.is_some()) && spec.name == "migrate" {
            return Ok(Some(slot));
        }
        if let (Owner::Me, Some(node)) = (owner, away)
            && there < keys.len()
        {
            return Err(if there > 0 { TRY_AGAIN } else { cluster.line("ASK", slot, *node) });
        }
        if here.is_some() && (client.is_some_and(|client| client.asking) || spec.has(ASKING)) {
            let several = keys.iter().any(|key| key != first);
            return if several && there < keys.len() { Err(TRY_AGAIN) } else { Ok(Some(slot)) };
        }
        match owner {
            Owner::Other(node) => Err(cluster.line("MOVED", slot, node)),
            Owner::Me | Owner::Nobody => Ok(Some(slot)),
        }
    }

    fn check_cluster_is_up(&self, cluster: &Cluster, is_shard: bool, writes: bool) -> Result<(), CmdError> {
        let is_covered = self.config.get("cluster-require-full-coverage") == Some("no") && !cluster.down;
        if cluster.is_up() || is_covered {
            return Ok(());
        }
        let allows = |name| self.config.get(name) == Some("yes");
        if is_shard {
            return if allows("cluster-allow-pubsubshard-when-down") { Ok(()) } else { Err(DOWN) };
        }
        match (allows("cluster-allow-reads-when-down"), writes) {
            (false, _) => Err(DOWN),
            (true, true) => Err(DOWN_FOR_WRITES),
            (true, false) => Ok(()),
        }
    }

    /// Whether a script may call a command on the keys it names.
    pub(super) fn route_in_script(
        &mut self,
        id: ClientId,
        spec: &'static Spec,
        args: &[Bytes],
    ) -> Result<(), CmdError> {
        const NOT_LOCAL: CmdError =
            CmdError::fixed("ERR Script attempted to access a non local key in a cluster node");
        const DOWN_IN_SCRIPT: CmdError =
            CmdError::fixed("ERR Script attempted to execute a command while the cluster is down");
        const READS_ONLY: CmdError = CmdError::fixed(
            "ERR Script attempted to execute a write command while the cluster is down and readonly",
        );
        const CROSSES: CmdError =
            CmdError::fixed("ERR Script attempted to access keys that do not hash to the same slot");
        match self.route(id, spec, args) {
            Ok(slot) => {
                let mode = self.script.as_mut().filter(|mode| !mode.crosses_slots);
                let (Some(mode), Some(slot)) = (mode, slot) else { return Ok(()) };
                if *mode.slot.get_or_insert(slot) == slot { Ok(()) } else { Err(CROSSES) }
            }
            Err(error) if error == DOWN => Err(DOWN_IN_SCRIPT),
            Err(error) if error == DOWN_FOR_WRITES => Err(READS_ONLY),
            Err(_) => Err(NOT_LOCAL),
        }
    }
}

/// Which way a slot's keys are being moved.
#[derive(Clone, Copy)]
enum Moving {
    No,
    Away,
    Here,
}

/// The keys that say where a command belongs: none if the command line does not say how many it has.
fn keys_of<'a>(spec: &Spec, args: &'a [Bytes]) -> Vec<&'a Bytes> {
    let reads_streams = matches!(spec.name, "xread" | "xreadgroup");
    if spec.keys.iter().any(|keys| keys.is_miscounted(args)) || reads_streams && !names_streams(args) {
        return Vec::new();
    }
    spec.key_positions(args).into_iter().filter_map(|at| args.get(at)).collect()
}

/// Whether there are only options before the keys of a command that reads streams, and as many keys as ids.
fn names_streams(args: &[Bytes]) -> bool {
    let mut at = 1;
    while let Some(word) = args.get(at) {
        let rest = args.len() - at - 1;
        at += match word.to_ascii_lowercase().as_slice() {
            b"streams" => return rest > 0 && rest.is_multiple_of(2),
            b"block" | b"count" => 2,
            b"group" => 3,
            b"noack" => 1,
            _ => return false,
        };
    }
    false
}

#[cfg(test)]
mod tests;
