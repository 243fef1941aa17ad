//! The commands on keys, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{DENYOOM, FAST, LOADING, NONE, READONLY, STALE, WRITE};
use super::{Spec, container, range};
use crate::redis::engine::cmd::{keyspace, object};

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("copy", -3, WRITE | DENYOOM, "keyspace write slow", keyspace::copy)
        .docs("6.2.0", "generic", "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.", "Copy a key")
        .keys(&[range(1, 0, 1, "RO access"), range(2, 0, 1, "OW update")]),
    Spec::new("del", -2, WRITE, "keyspace write slow", keyspace::del)
        .docs("1.0.0", "generic", "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).", "Delete a key")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[range(1, -1, 1, "RM delete")]),
    Spec::new("exists", -2, READONLY | FAST, "keyspace read fast", keyspace::exists)
        .docs("1.0.0", "generic", "O(N) where N is the number of keys to check.", "Determine if a key exists")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[range(1, -1, 1, "RO")]),
    Spec::new("keys", 2, READONLY, "keyspace read slow dangerous", keyspace::keys)
        .docs("1.0.0", "generic", "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.", "Find all keys matching the given pattern")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    Spec::new("move", 3, WRITE | FAST, "keyspace write fast", keyspace::move_)
        .docs("1.0.0", "generic", "O(1)", "Move a key to another database")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("object", -2, NONE, "slow", container)
        .docs("2.2.3", "generic", "Depends on subcommand.", "A container for object introspection commands")
        .subcommands(OBJECT),
    Spec::new("randomkey", 1, READONLY, "keyspace read slow", keyspace::randomkey)
        .docs("1.0.0", "generic", "O(1)", "Return a random key from the keyspace")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    Spec::new("rename", 3, WRITE, "keyspace write slow", keyspace::rename)
        .docs("1.0.0", "generic", "O(1)", "Rename a key")
        .keys(&[range(1, 0, 1, "RW access delete"), range(2, 0, 1, "OW update")]),
    Spec::new("renamenx", 3, WRITE | FAST, "keyspace write fast", keyspace::renamenx)
        .docs("1.0.0", "generic", "O(1)", "Rename a key, only if the new key does not exist")
        .keys(&[range(1, 0, 1, "RW access delete"), range(2, 0, 1, "OW insert")]),
    Spec::new("scan", -2, READONLY, "keyspace read slow", keyspace::scan)
        .docs("2.8.0", "generic", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.", "Incrementally iterate the keys space")
        .tips(&["nondeterministic_output", "request_policy:special"]),
    Spec::new("touch", -2, READONLY | FAST, "keyspace read fast", keyspace::touch)
        .docs("3.2.1", "generic", "O(N) where N is the number of keys that will be touched.", "Alters the last access time of a key(s). Returns the number of existing keys specified.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[range(1, -1, 1, "RO")]),
    Spec::new("type", 2, READONLY | FAST, "keyspace read fast", keyspace::type_)
        .docs("1.0.0", "generic", "O(1)", "Determine the type stored at key")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("unlink", -2, WRITE | FAST, "keyspace write fast", keyspace::unlink)
        .docs("4.0.0", "generic", "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.", "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[range(1, -1, 1, "RM delete")]),
];

/// The subcommands of `OBJECT`.
const OBJECT: &[Spec] = &[
    Spec::new("object|encoding", 3, READONLY, "keyspace read slow", object::object_encoding)
        .docs("2.2.3", "generic", "O(1)", "Inspect the internal encoding of a Redis object")
        .tips(&["nondeterministic_output"])
        .keys(&[range(2, 0, 1, "RO")]),
    Spec::new("object|freq", 3, READONLY, "keyspace read slow", object::object_freq)
        .docs("4.0.0", "generic", "O(1)", "Get the logarithmic access frequency counter of a Redis object")
        .tips(&["nondeterministic_output"])
        .keys(&[range(2, 0, 1, "RO")]),
    Spec::new("object|help", 2, LOADING | STALE, "keyspace slow", object::object_help).docs(
        "6.2.0",
        "generic",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("object|idletime", 3, READONLY, "keyspace read slow", object::object_idletime)
        .docs("2.2.3", "generic", "O(1)", "Get the time since a Redis object was last accessed")
        .tips(&["nondeterministic_output"])
        .keys(&[range(2, 0, 1, "RO")]),
    Spec::new("object|refcount", 3, READONLY, "keyspace read slow", object::object_refcount)
        .docs("2.2.3", "generic", "O(1)", "Get the number of references to the value of the key")
        .tips(&["nondeterministic_output"])
        .keys(&[range(2, 0, 1, "RO")]),
];
