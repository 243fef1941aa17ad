//! The commands on functions, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{
    ALLOW_BUSY, DENYOOM, LOADING, MAY_REPLICATE, MOVABLEKEYS, NO_MANDATORY_KEYS, NONE, NOSCRIPT, READONLY,
    SKIP_MONITOR, STALE, WRITE,
};
use super::{Spec, container, keynum};
use crate::redis::engine::cmd::function;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new(
        "fcall",
        -3,
        NOSCRIPT | STALE | SKIP_MONITOR | MAY_REPLICATE | NO_MANDATORY_KEYS | MOVABLEKEYS,
        "slow scripting",
        function::fcall,
    )
    .docs("7.0.0", "scripting", "Depends on the function that is executed.", "Invoke a function")
    .keys(&[keynum(2, "RW access update")
        .note("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE")]),
    Spec::new(
        "fcall_ro",
        -3,
        READONLY | NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS,
        "slow scripting",
        function::fcall_ro,
    )
    .docs("7.0.0", "scripting", "Depends on the function that is executed.", "Invoke a read-only function")
    .keys(&[keynum(2, "RO access")
        .note("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS")]),
    Spec::new("function", -2, NONE, "slow", container)
        .docs("7.0.0", "scripting", "Depends on subcommand.", "A container for function commands")
        .subcommands(FUNCTION),
];

/// The subcommands of `FUNCTION`.
const FUNCTION: &[Spec] = &[
    Spec::new("function|delete", 3, WRITE | NOSCRIPT, "write slow scripting", function::function_delete)
        .docs("7.0.0", "scripting", "O(1)", "Delete a function by name")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("function|dump", 2, NOSCRIPT, "slow scripting", function::function_dump).docs(
        "7.0.0",
        "scripting",
        "O(N) where N is the number of functions",
        "Dump all functions into a serialized binary payload",
    ),
    Spec::new("function|flush", -2, WRITE | NOSCRIPT, "write slow scripting", function::function_flush)
        .docs(
            "7.0.0",
            "scripting",
            "O(N) where N is the number of functions deleted",
            "Deleting all functions",
        )
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("function|help", 2, LOADING | STALE, "slow scripting", function::function_help).docs(
        "7.0.0",
        "scripting",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("function|kill", 2, NOSCRIPT | ALLOW_BUSY, "slow scripting", function::function_kill)
        .docs("7.0.0", "scripting", "O(1)", "Kill the function currently in execution.")
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"]),
    Spec::new("function|list", -2, NOSCRIPT, "slow scripting", function::function_list)
        .docs(
            "7.0.0",
            "scripting",
            "O(N) where N is the number of functions",
            "List information about all the functions",
        )
        .tips(&["nondeterministic_output_order"]),
    Spec::new(
        "function|load",
        -3,
        WRITE | DENYOOM | NOSCRIPT,
        "write slow scripting",
        function::function_load,
    )
    .docs(
        "7.0.0",
        "scripting",
        "O(1) (considering compilation time is redundant)",
        "Create a function with the given arguments (name, code, description)",
    )
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new(
        "function|restore",
        -3,
        WRITE | DENYOOM | NOSCRIPT,
        "write slow scripting",
        function::function_restore,
    )
    .docs(
        "7.0.0",
        "scripting",
        "O(N) where N is the number of functions on the payload",
        "Restore all the functions on the given payload",
    )
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("function|stats", 2, NOSCRIPT | ALLOW_BUSY, "slow scripting", function::function_stats)
        .docs(
            "7.0.0",
            "scripting",
            "O(1)",
            "Return information about the function currently running (name, description, duration)",
        )
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
];
