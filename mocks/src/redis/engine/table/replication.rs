//! The commands on replicas, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::Spec;
use super::flags::{FAST, LOADING, NOSCRIPT, STALE};
use crate::redis::engine::cmd::replication;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("role", 1, NOSCRIPT | LOADING | STALE | FAST, "admin fast dangerous", replication::role).docs(
        "2.8.12",
        "server",
        "O(1)",
        "Return the role of the instance in the context of replication",
    ),
    Spec::new("wait", 3, NOSCRIPT, "slow connection", replication::wait)
        .docs(
            "3.0.0",
            "generic",
            "O(1)",
            "Wait for the synchronous replication of all the write commands sent in the context of the current \
             connection",
        )
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];
