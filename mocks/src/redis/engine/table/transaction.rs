//! The commands on transactions, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{ALLOW_BUSY, FAST, LOADING, NOSCRIPT, SKIP_SLOWLOG, STALE};
use super::{Spec, range};
use crate::redis::engine::cmd::transaction;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new(
        "discard",
        1,
        NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
        "fast transaction",
        transaction::discard,
    )
    .docs(
        "2.0.0",
        "transactions",
        "O(N), when N is the number of queued commands",
        "Discard all commands issued after MULTI",
    ),
    Spec::new("exec", 1, NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG, "slow transaction", transaction::exec)
        .docs(
            "1.2.0",
            "transactions",
            "Depends on commands in the transaction",
            "Execute all commands issued after MULTI",
        ),
    Spec::new(
        "multi",
        1,
        NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
        "fast transaction",
        transaction::multi,
    )
    .docs("1.2.0", "transactions", "O(1)", "Mark the start of a transaction block"),
    Spec::new(
        "unwatch",
        1,
        NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
        "fast transaction",
        transaction::unwatch,
    )
    .docs("2.2.0", "transactions", "O(1)", "Forget about all watched keys"),
    Spec::new(
        "watch",
        -2,
        NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
        "fast transaction",
        transaction::watch,
    )
    .docs(
        "2.2.0",
        "transactions",
        "O(1) for every key.",
        "Watch the given keys to determine execution of the MULTI/EXEC block",
    )
    .keys(&[range(1, -1, 1, "RO")]),
];
