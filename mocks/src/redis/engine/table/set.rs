//! The commands on sets, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{DENYOOM, FAST, MOVABLEKEYS, READONLY, WRITE};
use super::{Spec, keynum, range};
use crate::redis::engine::cmd::set;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("sadd", -3, WRITE | DENYOOM | FAST, "write set fast", set::sadd)
        .docs("1.0.0", "set", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.", "Add one or more members to a set")
        .keys(&[range(1, 0, 1, "RW insert")]),
    Spec::new("scard", 2, READONLY | FAST, "read set fast", set::scard)
        .docs("1.0.0", "set", "O(1)", "Get the number of members in a set")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("sdiff", -2, READONLY, "read set slow", set::sdiff)
        .docs("1.0.0", "set", "O(N) where N is the total number of elements in all given sets.", "Subtract multiple sets")
        .tips(&["nondeterministic_output_order"])
        .keys(&[range(1, -1, 1, "RO access")]),
    Spec::new("sdiffstore", -3, WRITE | DENYOOM, "write set slow", set::sdiffstore)
        .docs("1.0.0", "set", "O(N) where N is the total number of elements in all given sets.", "Subtract multiple sets and store the resulting set in a key")
        .keys(&[range(1, 0, 1, "OW update"), range(2, -1, 1, "RO access")]),
    Spec::new("sinter", -2, READONLY, "read set slow", set::sinter)
        .docs("1.0.0", "set", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.", "Intersect multiple sets")
        .tips(&["nondeterministic_output_order"])
        .keys(&[range(1, -1, 1, "RO access")]),
    Spec::new("sintercard", -3, READONLY | MOVABLEKEYS, "read set slow", set::sintercard)
        .docs("7.0.0", "set", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.", "Intersect multiple sets and return the cardinality of the result")
        .keys(&[keynum(1, "RO access")]),
    Spec::new("sinterstore", -3, WRITE | DENYOOM, "write set slow", set::sinterstore)
        .docs("1.0.0", "set", "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.", "Intersect multiple sets and store the resulting set in a key")
        .keys(&[range(1, 0, 1, "RW update"), range(2, -1, 1, "RO access")]),
    Spec::new("sismember", 3, READONLY | FAST, "read set fast", set::sismember)
        .docs("1.0.0", "set", "O(1)", "Determine if a given value is a member of a set")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("smembers", 2, READONLY, "read set slow", set::smembers)
        .docs("1.0.0", "set", "O(N) where N is the set cardinality.", "Get all the members in a set")
        .tips(&["nondeterministic_output_order"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("smismember", -3, READONLY | FAST, "read set fast", set::smismember)
        .docs("6.2.0", "set", "O(N) where N is the number of elements being checked for membership", "Returns the membership associated with the given elements for a set")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("smove", 4, WRITE | FAST, "write set fast", set::smove)
        .docs("1.0.0", "set", "O(1)", "Move a member from one set to another")
        .keys(&[range(1, 0, 1, "RW access delete"), range(2, 0, 1, "RW insert")]),
    Spec::new("spop", -2, WRITE | FAST, "write set fast", set::spop)
        .docs("1.0.0", "set", "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.", "Remove and return one or multiple random members from a set")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RW access delete")]),
    Spec::new("srandmember", -2, READONLY, "read set slow", set::srandmember)
        .docs("1.0.0", "set", "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.", "Get one or multiple random members from a set")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("srem", -3, WRITE | FAST, "write set fast", set::srem)
        .docs("1.0.0", "set", "O(N) where N is the number of members to be removed.", "Remove one or more members from a set")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("sscan", -3, READONLY, "read set slow", set::sscan)
        .docs("2.8.0", "set", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..", "Incrementally iterate Set elements")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("sunion", -2, READONLY, "read set slow", set::sunion)
        .docs("1.0.0", "set", "O(N) where N is the total number of elements in all given sets.", "Add multiple sets")
        .tips(&["nondeterministic_output_order"])
        .keys(&[range(1, -1, 1, "RO access")]),
    Spec::new("sunionstore", -3, WRITE | DENYOOM, "write set slow", set::sunionstore)
        .docs("1.0.0", "set", "O(N) where N is the total number of elements in all given sets.", "Add multiple sets and store the resulting set in a key")
        .keys(&[range(1, 0, 1, "OW update"), range(2, -1, 1, "RO access")]),
];
