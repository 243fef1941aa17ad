//! What changes a node's view of its cluster: `CLUSTER ADDSLOTS`, `SETSLOT`, `RESET` and the like.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::cluster::{cluster, unknown_node};
use crate::redis::engine::call::{Call, Outcome, is};
use crate::redis::engine::cluster::Owner;
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::engine::slots::SLOTS;
use crate::redis::resp::Reply;

fn slot(text: &[u8]) -> Result<u16, CmdError> {
    let slot = strict_i64(text).and_then(|slot| u16::try_from(slot).ok()).filter(|slot| *slot < SLOTS);
    slot.ok_or(CmdError::fixed("ERR Invalid or out of range slot"))
}

/// Slots named one by one, or as starts and ends.
fn slots(call: &Call<'_>, ranges: bool) -> Result<Vec<u16>, CmdError> {
    let words = call.rest(2);
    if !ranges {
        return words.iter().map(|word| slot(word)).collect();
    }
    if !words.len().is_multiple_of(2) {
        return Err(CmdError::wrong_arity(call.spec.name));
    }
    let mut all = Vec::new();
    for pair in words.chunks_exact(2) {
        let (start, end) = (slot(&pair[0])?, slot(&pair[1])?);
        if start > end {
            return Err(CmdError::new(format!(
                "ERR start slot number {start} is greater than end slot number {end}"
            )));
        }
        all.extend(start..=end);
    }
    Ok(all)
}

/// Takes slots, or gives them up: all or none.
fn change(call: &mut Call<'_>, ranges: bool, add: bool) -> Outcome {
    cluster(call)?;
    let slots = slots(call, ranges)?;
    let cluster = cluster(call)?;
    let mut seen = BTreeSet::new();
    for slot in &slots {
        let is_free = cluster.owner(*slot) == Owner::Nobody;
        if add && !is_free {
            return Err(CmdError::new(format!("ERR Slot {slot} is already busy")));
        }
        if !add && is_free {
            return Err(CmdError::new(format!("ERR Slot {slot} is already unassigned")));
        }
        if !seen.insert(*slot) {
            return Err(CmdError::new(format!("ERR Slot {slot} specified multiple times")));
        }
    }
    for slot in slots {
        if add {
            cluster.importing.remove(&slot);
        } else {
            cluster.settle_slot(slot);
        }
        cluster.set_owner(slot, if add { Owner::Me } else { Owner::Nobody });
    }
    Ok(Reply::OK)
}

pub(crate) fn cluster_addslots(call: &mut Call<'_>) -> Outcome {
    change(call, false, true)
}

pub(crate) fn cluster_addslotsrange(call: &mut Call<'_>) -> Outcome {
    change(call, true, true)
}

pub(crate) fn cluster_delslots(call: &mut Call<'_>) -> Outcome {
    change(call, false, false)
}

pub(crate) fn cluster_delslotsrange(call: &mut Call<'_>) -> Outcome {
    change(call, true, false)
}

pub(crate) fn cluster_flushslots(call: &mut Call<'_>) -> Outcome {
    const NOT_EMPTY: CmdError = CmdError::fixed("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
    cluster(call)?;
    if !call.engine.store.db(0).is_empty() {
        return Err(NOT_EMPTY);
    }
    let cluster = cluster(call)?;
    for slot in 0..SLOTS {
        if cluster.owner(slot) == Owner::Me {
            cluster.set_owner(slot, Owner::Nobody);
        }
    }
    Ok(Reply::OK)
}

pub(crate) fn cluster_setslot(call: &mut Call<'_>) -> Outcome {
    const UNFIT: CmdError =
        CmdError::fixed("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP");
    cluster(call)?;
    let slot = slot(&call.args[2])?;
    let holds_keys = call.engine.keys_in_slot(slot).next().is_some();
    let words = call.rest(3);
    let cluster = cluster(call)?;
    let unknown =
        |id: &Bytes| CmdError::new(format!("ERR I don't know about node {}", String::from_utf8_lossy(id)));
    match words {
        [word] if is(word, "stable") => cluster.settle_slot(slot),
        [word, id] if is(word, "migrating") => {
            if cluster.owner(slot) != Owner::Me {
                return Err(CmdError::new(format!("ERR I'm not the owner of hash slot {slot}")));
            }
            let to = cluster.find(id).ok_or_else(|| unknown(id))?;
            cluster.migrating.insert(slot, to);
        }
        [word, id] if is(word, "importing") => {
            if cluster.owner(slot) == Owner::Me {
                return Err(CmdError::new(format!("ERR I'm already the owner of hash slot {slot}")));
            }
            let from = cluster.find(id).ok_or_else(|| unknown(id))?;
            cluster.importing.insert(slot, from);
        }
        [word, id] if is(word, "node") => {
            let is_me = cluster.id.as_bytes() == id;
            let owner = cluster.find(id).map(Owner::Other).or(is_me.then_some(Owner::Me));
            let owner = owner.ok_or_else(|| unknown_node(id))?;
            if cluster.owner(slot) == Owner::Me && owner != Owner::Me && holds_keys {
                return Err(CmdError::new(format!(
                    "ERR Can't assign hashslot {slot} to a different node while I still hold keys for this hash \
                     slot."
                )));
            }
            if !holds_keys {
                cluster.migrating.remove(&slot);
            }
            if owner == Owner::Me && cluster.importing.remove(&slot).is_some() {
                cluster.epoch += 1;
            }
            cluster.set_owner(slot, owner);
        }
        _ => return Err(UNFIT),
    }
    Ok(Reply::OK)
}

pub(crate) fn cluster_forget(call: &mut Call<'_>) -> Outcome {
    let id = call.args[2].clone();
    let cluster = cluster(call)?;
    if cluster.id.as_bytes() == id {
        return Err(CmdError::fixed("ERR I tried hard but I can't forget myself..."));
    }
    let at = cluster.find(&id).ok_or_else(|| unknown_node(&id))?;
    for slot in 0..SLOTS {
        if cluster.owner(slot) == Owner::Other(at) {
            cluster.set_owner(slot, Owner::Nobody);
        }
    }
    cluster.migrating.retain(|_, node| *node != at);
    cluster.importing.retain(|_, node| *node != at);
    cluster.forget_node(at);
    Ok(Reply::OK)
}

pub(crate) fn cluster_replicate(call: &mut Call<'_>) -> Outcome {
    let id = call.args[2].clone();
    let cluster = cluster(call)?;
    if cluster.id.as_bytes() == id {
        return Err(CmdError::fixed("ERR Can't replicate myself"));
    }
    cluster.find(&id).ok_or_else(|| unknown_node(&id))?;
    Err(CmdError::fixed("ERR this mock cannot replicate from another server"))
}

pub(crate) fn cluster_failover(call: &mut Call<'_>) -> Outcome {
    cluster(call)?;
    match call.rest(2) {
        [] => {}
        [word] if is(word, "force") || is(word, "takeover") => {}
        _ => return Err(CmdError::SYNTAX),
    }
    Err(CmdError::fixed("ERR You should send CLUSTER FAILOVER to a replica"))
}

pub(crate) fn cluster_bumpepoch(call: &mut Call<'_>) -> Outcome {
    let cluster = cluster(call)?;
    let word = if cluster.epoch == 0 { "BUMPED" } else { "STILL" };
    cluster.epoch = cluster.epoch.max(1);
    Ok(Reply::Status(format!("{word} {}", cluster.epoch).into()))
}

pub(crate) fn cluster_set_config_epoch(call: &mut Call<'_>) -> Outcome {
    cluster(call)?;
    let epoch = call.integer(2)?;
    let cluster = cluster(call)?;
    if epoch < 0 {
        return Err(CmdError::new(format!("ERR Invalid config epoch specified: {epoch}")));
    }
    if !cluster.others.is_empty() {
        return Err(CmdError::fixed(
            "ERR The user can assign a config epoch only when the node does not know any other node.",
        ));
    }
    if cluster.epoch != 0 {
        return Err(CmdError::fixed("ERR Node config epoch is already non-zero"));
    }
    cluster.epoch = epoch;
    Ok(Reply::OK)
}

pub(crate) fn cluster_saveconfig(call: &mut Call<'_>) -> Outcome {
    cluster(call).map(|_| Reply::OK)
}

pub(crate) fn cluster_reset(call: &mut Call<'_>) -> Outcome {
    const HOLDS_KEYS: CmdError =
        CmdError::fixed("ERR CLUSTER RESET can't be called with master nodes containing keys");
    cluster(call)?;
    let hard = match call.rest(2) {
        [] => false,
        [word] if is(word, "hard") => true,
        [word] if is(word, "soft") => false,
        _ => return Err(CmdError::SYNTAX),
    };
    if !call.engine.store.db(call.db()).is_empty() {
        return Err(HOLDS_KEYS);
    }
    call.engine.reset_cluster(hard);
    Ok(Reply::OK)
}
