//! Commands that came after Redis 7.0: found only by servers that behave as a later version.
//!
//! The rows are those of redis-server 8.0, as far as the versions before have them.

use super::flags::{FAST, LOADING, NOSCRIPT, READONLY, STALE, WRITE};
use super::{KeySpec, Spec, range};
use crate::redis::engine::cmd::{client_later, hash_expire};

const COUNT: &str = "O(N) where N is the number of specified fields";
const UPDATED: &[KeySpec] = &[range(1, 0, 1, "RW update")];
const CHANGING: &[&str] = &["nondeterministic_output"];
const READ: &[KeySpec] = &[range(1, 0, 1, "RO access")];

const fn change(name: &'static str, arity: i32, run: super::Run, summary: &'static str) -> Spec {
    Spec::new(name, arity, WRITE | FAST, "write hash fast", run)
        .docs("7.4.0", "hash", COUNT, summary)
        .keys(UPDATED)
}

const fn look(name: &'static str, run: super::Run, summary: &'static str) -> Spec {
    Spec::new(name, -5, READONLY | FAST, "read hash fast", run)
        .docs("7.4.0", "hash", COUNT, summary)
        .keys(READ)
}

/// The rows, sorted by name; subcommands stand by themselves.
pub(super) const TABLE: &[Spec] = &[
    Spec::new(
        "client|no-touch",
        3,
        NOSCRIPT | LOADING | STALE,
        "slow connection",
        client_later::client_no_touch,
    )
    .docs(
        "7.2.0",
        "connection",
        "O(1)",
        "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
    ),
    Spec::new(
        "client|setinfo",
        4,
        NOSCRIPT | LOADING | STALE,
        "slow connection",
        client_later::client_setinfo,
    )
    .docs("7.2.0", "connection", "O(1)", "Sets information specific to the client or connection.")
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    change(
        "hexpire",
        -6,
        hash_expire::hexpire,
        "Set expiry for hash field using relative time to expire (seconds)",
    ),
    change(
        "hexpireat",
        -6,
        hash_expire::hexpireat,
        "Set expiry for hash field using an absolute Unix timestamp (seconds)",
    ),
    look(
        "hexpiretime",
        hash_expire::hexpiretime,
        "Returns the expiration time of a hash field as a Unix timestamp, in seconds.",
    ),
    Spec::new("hpersist", -5, WRITE | FAST, "write hash fast", hash_expire::hpersist)
        .docs("7.4.0", "hash", COUNT, "Removes the expiration time for each specified field")
        .keys(UPDATED),
    change(
        "hpexpire",
        -6,
        hash_expire::hpexpire,
        "Set expiry for hash field using relative time to expire (milliseconds)",
    ),
    change(
        "hpexpireat",
        -6,
        hash_expire::hpexpireat,
        "Set expiry for hash field using an absolute Unix timestamp (milliseconds)",
    ),
    look(
        "hpexpiretime",
        hash_expire::hpexpiretime,
        "Returns the expiration time of a hash field as a Unix timestamp, in msec.",
    ),
    look("hpttl", hash_expire::hpttl, "Returns the TTL in milliseconds of a hash field.").tips(CHANGING),
    look("httl", hash_expire::httl, "Returns the TTL in seconds of a hash field.").tips(CHANGING),
];
