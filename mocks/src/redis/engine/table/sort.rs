//! `SORT` and `SORT_RO`, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{DENYOOM, MOVABLEKEYS, READONLY, WRITE};
use super::{KeySpec, Spec, range, unknown};
use crate::redis::engine::cmd::sort;

const COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).";
const PATTERNS: KeySpec = unknown("RO access").note("For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort");
const TARGET: KeySpec = unknown("OW update").note("For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array");

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new(
        "sort",
        -2,
        WRITE | DENYOOM | MOVABLEKEYS,
        "write set sortedset list slow dangerous",
        sort::sort,
    )
    .docs("1.0.0", "generic", COMPLEXITY, "Sort the elements in a list, set or sorted set")
    .keys(&[range(1, 0, 1, "RO access"), PATTERNS, TARGET])
    .find_keys(sort::key_uses),
    Spec::new("sort_ro", -2, READONLY | MOVABLEKEYS, "read set sortedset list slow dangerous", sort::sort_ro)
        .docs(
            "7.0.0",
            "generic",
            COMPLEXITY,
            "Sort the elements in a list, set or sorted set. Read-only variant of SORT.",
        )
        .keys(&[range(1, 0, 1, "RO access"), PATTERNS]),
];
