//! What a node says of its cluster: `CLUSTER INFO`, `NODES`, `SLOTS` and the like, and the flags of connections
//! that reach it.

use bytes::Bytes;

use super::help_admin as help;
use crate::redis::engine::call::{Call, Outcome};
use crate::redis::engine::cluster::{Cluster, Node, Owner};
use crate::redis::engine::error::CmdError;
use crate::redis::engine::number::strict_i64;
use crate::redis::engine::slots::{SLOTS, slot_of};
use crate::redis::resp::Reply;

const DISABLED: CmdError = CmdError::fixed("ERR This instance has cluster support disabled");

/// The cluster, if the server is a node of one.
pub(super) fn cluster<'a>(call: &'a mut Call<'_>) -> Result<&'a mut Cluster, CmdError> {
    call.engine.cluster.as_deref_mut().ok_or(DISABLED)
}

pub(crate) fn asking(call: &mut Call<'_>) -> Outcome {
    cluster(call)?;
    call.client()?.asking = true;
    Ok(Reply::OK)
}

/// Lets a client read from a replica; a primary has nothing to change.
pub(crate) fn readonly(call: &mut Call<'_>) -> Outcome {
    cluster(call).map(|_| Reply::OK)
}

pub(crate) fn readwrite(call: &mut Call<'_>) -> Outcome {
    cluster(call).map(|_| Reply::OK)
}

pub(crate) fn cluster_help(call: &mut Call<'_>) -> Outcome {
    cluster(call)?;
    super::help_reply(help::CLUSTER)
}

pub(crate) fn cluster_myid(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulk(cluster(call)?.id.clone()))
}

pub(crate) fn cluster_info(call: &mut Call<'_>) -> Outcome {
    let cluster = cluster(call)?;
    let owners = cluster.ranges();
    let is_size = |node| owners.iter().any(|(_, owner)| *owner == Owner::Other(node));
    let others = (0..cluster.others.len()).filter(|node| is_size(*node)).count();
    let mine = owners.iter().any(|(_, owner)| *owner == Owner::Me);
    let size = others + usize::from(mine);
    let assigned = cluster.assigned();
    let state = if cluster.is_up() { "ok" } else { "fail" };
    let (known, epoch) = (cluster.others.len() + 1, cluster.epoch);
    Ok(verbatim(format!(
        "cluster_state:{state}\r\ncluster_slots_assigned:{assigned}\r\ncluster_slots_ok:{assigned}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{known}\r\ncluster_size:{size}\r\n\
         cluster_current_epoch:{epoch}\r\ncluster_my_epoch:{epoch}\r\ncluster_stats_messages_sent:0\r\n\
         cluster_stats_messages_received:0\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n"
    )))
}

pub(crate) fn cluster_nodes(call: &mut Call<'_>) -> Outcome {
    let (host, port) = address(call);
    let cluster = cluster(call)?;
    let slots = |owner: Owner| -> String {
        let ranges = cluster.ranges().into_iter().filter(|(_, of)| *of == owner);
        ranges
            .map(|(range, _)| match (range.start(), range.end()) {
                (start, end) if start == end => format!(" {start}"),
                (start, end) => format!(" {start}-{end}"),
            })
            .collect()
    };
    let id = |node: &usize| cluster.others.get(*node).map_or("", |node| node.id.as_str());
    let away: String = cluster.migrating.iter().map(|(slot, to)| format!(" [{slot}->-{}]", id(to))).collect();
    let here: String =
        cluster.importing.iter().map(|(slot, from)| format!(" [{slot}-<-{}]", id(from))).collect();
    let mut text = format!(
        "{} {host}:{port}@{} myself,master - 0 0 {} connected{}{away}{here}\n",
        cluster.id,
        u32::from(port) + 10_000,
        cluster.epoch,
        slots(Owner::Me)
    );
    for (at, Node { id, peer }) in cluster.others.iter().enumerate() {
        let bus = u32::from(peer.port) + 10_000;
        let slots = slots(Owner::Other(at));
        text.push_str(&format!("{id} {}:{}@{bus} master - 0 0 0 connected{slots}\n", peer.host, peer.port));
    }
    Ok(verbatim(text))
}

/// Where this node says it listens: nowhere it knows of, unless `cluster-announce-ip` tells.
fn address(call: &Call<'_>) -> (String, u16) {
    let config = |name| call.engine.config.get(name).unwrap_or_default();
    let announced = config("cluster-announce-port").parse().ok().filter(|port| *port != 0);
    let port = announced.or_else(|| config("port").parse().ok()).unwrap_or(0);
    (config("cluster-announce-ip").to_owned(), port)
}

/// Host, port and id of the owner of slots.
fn owner_of(cluster: &Cluster, owner: Owner, me: &(String, u16)) -> Option<(String, u16, String)> {
    match owner {
        Owner::Nobody => None,
        Owner::Me => Some((me.0.clone(), me.1, cluster.id.clone())),
        Owner::Other(node) => {
            let Node { id, peer } = cluster.others.get(node)?;
            Some((peer.host.clone(), peer.port, id.clone()))
        }
    }
}

pub(crate) fn cluster_slots(call: &mut Call<'_>) -> Outcome {
    let me = address(call);
    let cluster = cluster(call)?;
    let ranges = cluster.ranges().into_iter().filter_map(|(range, owner)| {
        let (host, port, id) = owner_of(cluster, owner, &me)?;
        let node =
            vec![Reply::bulk(host), Reply::Int(i64::from(port)), Reply::bulk(id), Reply::Map(Vec::new())];
        let (start, end) = (i64::from(*range.start()), i64::from(*range.end()));
        Some(Reply::Array(vec![Reply::Int(start), Reply::Int(end), Reply::Array(node)]))
    });
    Ok(Reply::Array(ranges.collect()))
}

pub(crate) fn cluster_shards(call: &mut Call<'_>) -> Outcome {
    let me = address(call);
    let cluster = cluster(call)?;
    let owners = std::iter::once(Owner::Me).chain((0..cluster.others.len()).map(Owner::Other));
    let shards = owners.filter_map(|owner| {
        let (host, port, id) = owner_of(cluster, owner, &me)?;
        let ranges = cluster.ranges().into_iter().filter(|(_, of)| *of == owner);
        let bounds = ranges.flat_map(|(range, _)| [*range.start(), *range.end()]);
        let field = |name: &'static str, value: Reply| (Reply::bulk(name), value);
        let node = Reply::Map(vec![
            field("id", Reply::bulk(id)),
            field("port", Reply::Int(i64::from(port))),
            field("ip", Reply::bulk(host.clone())),
            field("endpoint", Reply::bulk(host)),
            field("role", Reply::bulk("master")),
            field("replication-offset", Reply::Int(0)),
            field("health", Reply::bulk("online")),
        ]);
        Some(Reply::Map(vec![
            field("slots", Reply::Array(bounds.map(|slot| Reply::Int(i64::from(slot))).collect())),
            field("nodes", Reply::Array(vec![node])),
        ]))
    });
    Ok(Reply::Array(shards.collect()))
}

pub(crate) fn cluster_links(call: &mut Call<'_>) -> Outcome {
    cluster(call).map(|_| Reply::Array(Vec::new()))
}

pub(crate) fn cluster_keyslot(call: &mut Call<'_>) -> Outcome {
    cluster(call)?;
    Ok(Reply::Int(i64::from(slot_of(&call.args[2]))))
}

pub(crate) fn cluster_countkeysinslot(call: &mut Call<'_>) -> Outcome {
    cluster(call)?;
    let slot = u16::try_from(call.integer(2)?).ok().filter(|slot| *slot < SLOTS);
    let slot = slot.ok_or(CmdError::fixed("ERR Invalid slot"))?;
    Ok(Reply::count(call.engine.keys_in_slot(slot).count()))
}

pub(crate) fn cluster_getkeysinslot(call: &mut Call<'_>) -> Outcome {
    cluster(call)?;
    let slot = u16::try_from(call.integer(2)?).ok().filter(|slot| *slot < SLOTS);
    let count = usize::try_from(call.integer(3)?).ok();
    let (Some(slot), Some(count)) = (slot, count) else {
        return Err(CmdError::fixed("ERR Invalid slot or number of keys"));
    };
    Ok(Reply::bulks(call.engine.keys_in_slot(slot).take(count)))
}

/// A command about a node that must be known: there are no replicas, and nobody reports failures.
fn about_node(call: &mut Call<'_>) -> Result<(), CmdError> {
    let id = call.args[2].clone();
    let cluster = cluster(call)?;
    let is_known = cluster.id.as_bytes() == id || cluster.find(&id).is_some();
    if is_known { Ok(()) } else { Err(unknown_node(&id)) }
}

pub(super) fn unknown_node(id: &[u8]) -> CmdError {
    CmdError::new(format!("ERR Unknown node {}", String::from_utf8_lossy(id)))
}

pub(crate) fn cluster_replicas(call: &mut Call<'_>) -> Outcome {
    about_node(call).map(|()| Reply::Array(Vec::new()))
}

pub(crate) fn cluster_slaves(call: &mut Call<'_>) -> Outcome {
    cluster_replicas(call)
}

pub(crate) fn cluster_count_failure_reports(call: &mut Call<'_>) -> Outcome {
    about_node(call).map(|()| Reply::Int(0))
}

pub(crate) fn cluster_meet(call: &mut Call<'_>) -> Outcome {
    cluster(call)?;
    let text = |at: usize| String::from_utf8_lossy(&call.args[at]).into_owned();
    let Some(port) = strict_i64(&call.args[3]) else {
        return Err(CmdError::new(format!("ERR Invalid TCP base port specified: {}", text(3))));
    };
    if call.args.get(4).is_some_and(|port| strict_i64(port).is_none()) {
        return Err(CmdError::new(format!("ERR Invalid TCP bus port specified: {}", text(4))));
    }
    let is_address = text(2).parse::<std::net::IpAddr>().is_ok() && (1..=65_535).contains(&port);
    Err(if is_address {
        CmdError::fixed("ERR this mock talks to no other nodes; a test says what they serve")
    } else {
        CmdError::new(format!("ERR Invalid node address specified: {}:{}", text(2), text(3)))
    })
}

pub(super) fn verbatim(text: String) -> Reply {
    Reply::Verbatim(Bytes::from_static(b"txt"), Bytes::from(text))
}
