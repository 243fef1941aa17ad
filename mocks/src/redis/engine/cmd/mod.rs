//! The commands, one file per group. The table says which function runs which command.

pub(crate) mod acl;
pub(crate) mod admin;
pub(crate) mod bit;
pub(crate) mod bitfield;
pub(crate) mod client;
pub(crate) mod client_kill;
pub(crate) mod client_later;
pub(crate) mod client_pause;
pub(crate) mod client_tracking;
pub(crate) mod cluster;
pub(crate) mod cluster_change;
pub(crate) mod command;
mod command_docs;
pub(crate) mod command_list;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod debug;
mod debug_data;
mod debug_digest;
mod debug_value;
pub(crate) mod dump;
pub(crate) mod expire;
pub(crate) mod function;
pub(crate) mod geo;
pub(crate) mod geo_search;
pub(crate) mod hash;
pub(crate) mod hash_expire;
pub(crate) mod hash_scan;
mod help;
mod help_admin;
mod help_function;
pub(crate) mod hyperloglog;
mod info;
mod info_order;
pub(crate) mod keyspace;
pub(crate) mod latency;
mod lcs;
pub(crate) mod list;
pub(crate) mod list_block;
mod list_move;
mod list_pos;
pub(crate) mod memory;
pub(crate) mod migrate;
pub(crate) mod monitor;
pub(crate) mod object;
mod partial_sort;
pub(crate) mod pubsub;
mod random;
pub(crate) mod replication;
pub(crate) mod replication_refused;
mod scan;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod set;
mod set_algebra;
mod set_random;
pub(crate) mod shutdown;
pub(crate) mod slowlog;
pub(crate) mod sort;
pub(crate) mod stream;
mod stream_claim;
mod stream_group;
mod stream_id;
mod stream_info;
mod stream_pending;
mod stream_range;
mod stream_read;
mod stream_replicate;
mod stream_trim;
pub(crate) mod string;
pub(crate) mod transaction;
pub(crate) mod zset;
mod zset_algebra;
pub(crate) mod zset_block;
mod zset_bounds;
mod zset_pop;
mod zset_range;

use super::call::Outcome;
use crate::redis::resp::Reply;

/// The reply of a `HELP` subcommand.
fn help_reply(lines: &[&'static str]) -> Outcome {
    Ok(Reply::Array(lines.iter().map(|line| Reply::Status((*line).into())).collect()))
}
