//! Sequences of commands whose replies must agree, one by one. Each is a text file of one command a line; lines
//! that start with `@` are spoken on connections of their own (see [`Conversation`]).

use crate::conversation::Conversation;
use crate::wire::{Servers, words};

/// Runs a sequence on both servers.
pub fn run(servers: &Servers, version: u8, text: &str) -> Result<(), String> {
    let mut pair = servers.pair(version)?;
    let mut differences = Vec::new();
    let mut others = Conversation::new(servers, version);
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if line.starts_with('@') {
            let (real, mock) =
                others.speak(line).map_err(|why| format!("{line}: {why}\n{}", differences.join("\n")))?;
            if real != mock {
                differences.push(format!("{line}\n    real {real:?}\n    mock {mock:?}"));
            }
            continue;
        }
        let command = words(line);
        let (real, mock) = pair.ask(&command)?;
        if !pair.same(&command, &real, &mock) {
            differences.push(format!("{line}\n    real {real:?}\n    mock {mock:?}"));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(format!("\n{}", differences.join("\n"))) }
}

/// Names and sequences.
pub const SEQUENCES: &[(&str, &str)] = &[
    ("acl", include_str!("golden/acl.txt")),
    ("admin", include_str!("golden/admin.txt")),
    ("blocking_lists", include_str!("golden/blocking_lists.txt")),
    ("blocking_sorted_sets", include_str!("golden/blocking_sorted_sets.txt")),
    ("client_pause", include_str!("golden/client_pause.txt")),
    ("clients", include_str!("golden/clients.txt")),
    ("monitor", include_str!("golden/monitor.txt")),
    ("pubsub", include_str!("golden/pubsub.txt")),
    ("pubsub3", include_str!("golden/pubsub3.txt")),
    ("tracking", include_str!("golden/tracking.txt")),
    ("tracking3", include_str!("golden/tracking3.txt")),
    ("connection_and_server_errors", include_str!("golden/connection_and_server_errors.txt")),
    ("functions", include_str!("golden/functions.txt")),
    ("script_libraries", include_str!("golden/script_libraries.txt")),
    ("scripts", include_str!("golden/scripts.txt")),
    ("debug", include_str!("golden/debug.txt")),
    ("errors_and_options", include_str!("golden/errors_and_options.txt")),
    ("strings", include_str!("golden/strings.txt")),
    ("ttl_semantics", include_str!("golden/ttl_semantics.txt")),
    ("transactions", include_str!("golden/transactions.txt")),
    ("hashes", include_str!("golden/hashes.txt")),
    ("lists", include_str!("golden/lists.txt")),
    ("sorted_sets", include_str!("golden/sorted_sets.txt")),
    ("sorted_set_ranges", include_str!("golden/sorted_set_ranges.txt")),
    ("streams", include_str!("golden/streams.txt")),
    ("stream_groups", include_str!("golden/stream_groups.txt")),
    ("stream_trims", include_str!("golden/stream_trims.txt")),
    ("replication", include_str!("golden/replication.txt")),
    ("sets", include_str!("golden/sets.txt")),
    ("keys", include_str!("golden/keys.txt")),
    ("bitmaps", include_str!("golden/bitmaps.txt")),
    ("payloads", include_str!("golden/payloads.txt")),
    ("positions", include_str!("golden/positions.txt")),
    ("sketches", include_str!("golden/sketches.txt")),
    ("sorting", include_str!("golden/sorting.txt")),
];

/// For the one node of a cluster, which has every slot.
pub const CLUSTER_COMMANDS: &str = include_str!("golden/cluster/commands.txt");
/// The same, which loses slots.
pub const CLUSTER_SLOTS: &str = include_str!("golden/cluster/slots.txt");
