//! The commands on sketches, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{ADMIN, DENYOOM, FAST, MAY_REPLICATE, READONLY, WRITE};
use super::{Spec, range};
use crate::redis::engine::cmd::hyperloglog;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("pfadd", -2, WRITE | DENYOOM | FAST, "write hyperloglog fast", hyperloglog::pfadd)
        .docs("2.8.9", "hyperloglog", "O(1) to add every element.", "Adds the specified elements to the specified HyperLogLog.")
        .keys(&[range(1, 0, 1, "RW insert")]),
    Spec::new("pfcount", -2, READONLY | MAY_REPLICATE, "read hyperloglog slow", hyperloglog::pfcount)
        .docs("2.8.9", "hyperloglog", "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.", "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).")
        .keys(&[range(1, -1, 1, "RW access").note("RW because it may change the internal representation of the key, and propagate to replicas")]),
    Spec::new("pfdebug", 3, WRITE | DENYOOM | ADMIN, "write hyperloglog admin slow dangerous", hyperloglog::pfdebug)
        .docs("2.8.9", "hyperloglog", "N/A", "Internal commands for debugging HyperLogLog values")
        .keys(&[range(2, 0, 1, "RW access")]),
    Spec::new("pfmerge", -2, WRITE | DENYOOM, "write hyperloglog slow", hyperloglog::pfmerge)
        .docs("2.8.9", "hyperloglog", "O(N) to merge N HyperLogLogs, but with high constant times.", "Merge N different HyperLogLogs into a single one.")
        .keys(&[range(1, 0, 1, "RW access insert"), range(2, -1, 1, "RO access")]),
    Spec::new("pfselftest", 1, ADMIN, "hyperloglog admin slow dangerous", hyperloglog::pfselftest)
        .docs("2.8.9", "hyperloglog", "N/A", "An internal command for testing HyperLogLog values"),
];
