//! The commands on scripting, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{
    ALLOW_BUSY, LOADING, MAY_REPLICATE, MOVABLEKEYS, NO_MANDATORY_KEYS, NONE, NOSCRIPT, READONLY,
    SKIP_MONITOR, STALE,
};
use super::{Spec, container, keynum};
use crate::redis::engine::cmd::script;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new(
        "eval",
        -3,
        NOSCRIPT | STALE | SKIP_MONITOR | MAY_REPLICATE | NO_MANDATORY_KEYS | MOVABLEKEYS,
        "slow scripting",
        script::eval,
    )
    .docs("2.6.0", "scripting", "Depends on the script that is executed.", "Execute a Lua script server side")
    .keys(&[keynum(2, "RW access update")
        .note("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE")]),
    Spec::new(
        "eval_ro",
        -3,
        READONLY | NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS,
        "slow scripting",
        script::eval_ro,
    )
    .docs(
        "7.0.0",
        "scripting",
        "Depends on the script that is executed.",
        "Execute a read-only Lua script server side",
    )
    .keys(&[keynum(2, "RO access")
        .note("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS")]),
    Spec::new(
        "evalsha",
        -3,
        NOSCRIPT | STALE | SKIP_MONITOR | MAY_REPLICATE | NO_MANDATORY_KEYS | MOVABLEKEYS,
        "slow scripting",
        script::evalsha,
    )
    .docs("2.6.0", "scripting", "Depends on the script that is executed.", "Execute a Lua script server side")
    .keys(&[keynum(2, "RW access update")]),
    Spec::new(
        "evalsha_ro",
        -3,
        READONLY | NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS | MOVABLEKEYS,
        "slow scripting",
        script::evalsha_ro,
    )
    .docs(
        "7.0.0",
        "scripting",
        "Depends on the script that is executed.",
        "Execute a read-only Lua script server side",
    )
    .keys(&[keynum(2, "RO access")]),
    Spec::new("script", -2, NONE, "slow", container)
        .docs(
            "2.6.0",
            "scripting",
            "Depends on subcommand.",
            "A container for Lua scripts management commands",
        )
        .subcommands(SCRIPT),
];

/// The subcommands of `SCRIPT`.
const SCRIPT: &[Spec] = &[
    Spec::new("script|debug", 3, NOSCRIPT, "slow scripting", script::script_debug)
        .docs("3.2.0", "scripting", "O(1)", "Set the debug mode for executed scripts."),
    Spec::new("script|exists", -3, NOSCRIPT, "slow scripting", script::script_exists)
        .docs("2.6.0", "scripting", "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).", "Check existence of scripts in the script cache.")
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"]),
    Spec::new("script|flush", -2, NOSCRIPT, "slow scripting", script::script_flush)
        .docs("2.6.0", "scripting", "O(N) with N being the number of scripts in cache", "Remove all the scripts from the script cache.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    Spec::new("script|help", 2, LOADING | STALE, "slow scripting", script::script_help)
        .docs("5.0.0", "scripting", "O(1)", "Show helpful text about the different subcommands"),
    Spec::new("script|kill", 2, NOSCRIPT | ALLOW_BUSY, "slow scripting", script::script_kill)
        .docs("2.6.0", "scripting", "O(1)", "Kill the script currently in execution.")
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"]),
    Spec::new("script|load", 3, NOSCRIPT | STALE, "slow scripting", script::script_load)
        .docs("2.6.0", "scripting", "O(N) with N being the length in bytes of the script body.", "Load the specified Lua script into the script cache.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];
