//! The commands on hashes, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, range};
use crate::redis::engine::cmd::hash;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("hdel", -3, WRITE | FAST, "write hash fast", hash::hdel)
        .docs("2.0.0", "hash", "O(N) where N is the number of fields to be removed.", "Delete one or more hash fields")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("hexists", 3, READONLY | FAST, "read hash fast", hash::hexists)
        .docs("2.0.0", "hash", "O(1)", "Determine if a hash field exists")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("hget", 3, READONLY | FAST, "read hash fast", hash::hget)
        .docs("2.0.0", "hash", "O(1)", "Get the value of a hash field")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("hgetall", 2, READONLY, "read hash slow", hash::hgetall)
        .docs("2.0.0", "hash", "O(N) where N is the size of the hash.", "Get all the fields and values in a hash")
        .tips(&["nondeterministic_output_order"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("hincrby", 4, WRITE | DENYOOM | FAST, "write hash fast", hash::hincrby)
        .docs("2.0.0", "hash", "O(1)", "Increment the integer value of a hash field by the given number")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("hincrbyfloat", 4, WRITE | DENYOOM | FAST, "write hash fast", hash::hincrbyfloat)
        .docs("2.6.0", "hash", "O(1)", "Increment the float value of a hash field by the given amount")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("hkeys", 2, READONLY, "read hash slow", hash::hkeys)
        .docs("2.0.0", "hash", "O(N) where N is the size of the hash.", "Get all the fields in a hash")
        .tips(&["nondeterministic_output_order"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("hlen", 2, READONLY | FAST, "read hash fast", hash::hlen)
        .docs("2.0.0", "hash", "O(1)", "Get the number of fields in a hash")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("hmget", -3, READONLY | FAST, "read hash fast", hash::hmget)
        .docs("2.0.0", "hash", "O(N) where N is the number of fields being requested.", "Get the values of all the given hash fields")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("hmset", -4, WRITE | DENYOOM | FAST, "write hash fast", hash::hmset)
        .docs("2.0.0", "hash", "O(N) where N is the number of fields being set.", "Set multiple hash fields to multiple values")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("hrandfield", -2, READONLY, "read hash slow", hash::hrandfield)
        .docs("6.2.0", "hash", "O(N) where N is the number of fields returned", "Get one or multiple random fields from a hash")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("hscan", -3, READONLY, "read hash slow", hash::hscan)
        .docs("2.8.0", "hash", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..", "Incrementally iterate hash fields and associated values")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("hset", -4, WRITE | DENYOOM | FAST, "write hash fast", hash::hset)
        .docs("2.0.0", "hash", "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.", "Set the string value of a hash field")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("hsetnx", 4, WRITE | DENYOOM | FAST, "write hash fast", hash::hsetnx)
        .docs("2.0.0", "hash", "O(1)", "Set the value of a hash field, only if the field does not exist")
        .keys(&[range(1, 0, 1, "RW insert")]),
    Spec::new("hstrlen", 3, READONLY | FAST, "read hash fast", hash::hstrlen)
        .docs("3.2.0", "hash", "O(1)", "Get the length of the value of a hash field")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("hvals", 2, READONLY, "read hash slow", hash::hvals)
        .docs("2.0.0", "hash", "O(N) where N is the size of the hash.", "Get all the values in a hash")
        .tips(&["nondeterministic_output_order"])
        .keys(&[range(1, 0, 1, "RO access")]),
];
