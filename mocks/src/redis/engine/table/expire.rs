//! The commands on expiry, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{FAST, READONLY, WRITE};
use super::{Spec, range};
use crate::redis::engine::cmd::expire;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("expire", -3, WRITE | FAST, "keyspace write fast", expire::expire)
        .docs("1.0.0", "generic", "O(1)", "Set a key's time to live in seconds")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("expireat", -3, WRITE | FAST, "keyspace write fast", expire::expireat)
        .docs("1.2.0", "generic", "O(1)", "Set the expiration for a key as a UNIX timestamp")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("expiretime", 2, READONLY | FAST, "keyspace read fast", expire::expiretime)
        .docs("7.0.0", "generic", "O(1)", "Get the expiration Unix timestamp for a key")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("persist", 2, WRITE | FAST, "keyspace write fast", expire::persist)
        .docs("2.2.0", "generic", "O(1)", "Remove the expiration from a key")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("pexpire", -3, WRITE | FAST, "keyspace write fast", expire::pexpire)
        .docs("2.6.0", "generic", "O(1)", "Set a key's time to live in milliseconds")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("pexpireat", -3, WRITE | FAST, "keyspace write fast", expire::pexpireat)
        .docs(
            "2.6.0",
            "generic",
            "O(1)",
            "Set the expiration for a key as a UNIX timestamp specified in milliseconds",
        )
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("pexpiretime", 2, READONLY | FAST, "keyspace read fast", expire::pexpiretime)
        .docs("7.0.0", "generic", "O(1)", "Get the expiration Unix timestamp for a key in milliseconds")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("pttl", 2, READONLY | FAST, "keyspace read fast", expire::pttl)
        .docs("2.6.0", "generic", "O(1)", "Get the time to live for a key in milliseconds")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("ttl", 2, READONLY | FAST, "keyspace read fast", expire::ttl)
        .docs("1.0.0", "generic", "O(1)", "Get the time to live for a key in seconds")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
];
