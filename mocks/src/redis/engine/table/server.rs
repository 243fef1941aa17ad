//! The commands on the server, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_MULTI, NONE, NOSCRIPT, READONLY, STALE, WRITE};
use super::{Spec, container};
use crate::redis::engine::cmd::{command, command_list, config, server, shutdown};

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("command", -1, LOADING | STALE, "slow connection", command::command)
        .docs(
            "2.8.13",
            "server",
            "O(N) where N is the total number of Redis commands",
            "Get array of Redis command details",
        )
        .tips(&["nondeterministic_output_order"])
        .subcommands(COMMAND),
    Spec::new("config", -2, NONE, "slow", container)
        .docs("2.0.0", "server", "Depends on subcommand.", "A container for server configuration commands")
        .subcommands(CONFIG),
    Spec::new("dbsize", 1, READONLY | FAST, "keyspace read fast", server::dbsize)
        .docs("1.0.0", "server", "O(1)", "Return the number of keys in the selected database")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    Spec::new("debug", -2, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", server::debug).docs(
        "1.0.0",
        "server",
        "Depends on subcommand.",
        "A container for debugging commands",
    ),
    Spec::new("flushall", -1, WRITE, "keyspace write slow dangerous", server::flushall)
        .docs(
            "1.0.0",
            "server",
            "O(N) where N is the total number of keys in all databases",
            "Remove all keys from all databases",
        )
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("flushdb", -1, WRITE, "keyspace write slow dangerous", server::flushdb)
        .docs(
            "1.0.0",
            "server",
            "O(N) where N is the number of keys in the selected database",
            "Remove all keys from the current database",
        )
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("info", -1, LOADING | STALE, "slow dangerous", server::info)
        .docs("1.0.0", "server", "O(1)", "Get information and statistics about the server")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::new("monitor", 1, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", server::monitor)
        .docs("1.0.0", "server", "", "Listen for all requests received by the server in real time"),
    Spec::new(
        "shutdown",
        -1,
        ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY,
        "admin slow dangerous",
        shutdown::shutdown,
    )
    .docs(
        "1.0.0",
        "server",
        "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
        "Synchronously save the dataset to disk and then shut down the server",
    ),
    Spec::new("swapdb", 3, WRITE | FAST, "keyspace write fast dangerous", server::swapdb).docs(
        "4.0.0",
        "server",
        "O(N) where N is the count of clients watching or blocking on keys from both databases.",
        "Swaps two Redis databases",
    ),
    Spec::new("time", 1, LOADING | STALE | FAST, "fast", server::time)
        .docs("2.6.0", "server", "O(1)", "Return the current server time")
        .tips(&["nondeterministic_output"]),
];

/// The subcommands of `COMMAND`.
const COMMAND: &[Spec] = &[
    Spec::new("command|count", 2, LOADING | STALE, "slow connection", command::command_count).docs(
        "2.8.13",
        "server",
        "O(1)",
        "Get total number of Redis commands",
    ),
    Spec::new("command|docs", -2, LOADING | STALE, "slow connection", command::command_docs)
        .docs(
            "7.0.0",
            "server",
            "O(N) where N is the number of commands to look up",
            "Get array of specific Redis command documentation",
        )
        .tips(&["nondeterministic_output_order"]),
    Spec::new("command|getkeys", -4, LOADING | STALE, "slow connection", command::command_getkeys).docs(
        "2.8.13",
        "server",
        "O(N) where N is the number of arguments to the command",
        "Extract keys given a full Redis command",
    ),
    Spec::new(
        "command|getkeysandflags",
        -4,
        LOADING | STALE,
        "slow connection",
        command_list::command_getkeysandflags,
    )
    .docs(
        "7.0.0",
        "server",
        "O(N) where N is the number of arguments to the command",
        "Extract keys and access flags given a full Redis command",
    ),
    Spec::new("command|help", 2, LOADING | STALE, "slow connection", command::command_help).docs(
        "5.0.0",
        "server",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("command|info", -2, LOADING | STALE, "slow connection", command::command_info)
        .docs(
            "2.8.13",
            "server",
            "O(N) where N is the number of commands to look up",
            "Get array of specific Redis command details, or all when no argument is given.",
        )
        .tips(&["nondeterministic_output_order"]),
    Spec::new("command|list", -2, LOADING | STALE, "slow connection", command_list::command_list)
        .docs(
            "7.0.0",
            "server",
            "O(N) where N is the total number of Redis commands",
            "Get an array of Redis command names",
        )
        .tips(&["nondeterministic_output_order"]),
];

/// The subcommands of `CONFIG`.
const CONFIG: &[Spec] = &[
    Spec::new(
        "config|get",
        -3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        config::config_get,
    )
    .docs(
        "2.0.0",
        "server",
        "O(N) when N is the number of configuration parameters provided",
        "Get the values of configuration parameters",
    ),
    Spec::new("config|help", 2, LOADING | STALE, "slow", config::config_help).docs(
        "5.0.0",
        "server",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new(
        "config|resetstat",
        2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        config::config_resetstat,
    )
    .docs("2.0.0", "server", "O(1)", "Reset the stats returned by INFO"),
    Spec::new(
        "config|rewrite",
        2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        config::config_rewrite,
    )
    .docs("2.8.0", "server", "O(1)", "Rewrite the configuration file with the in memory configuration"),
    Spec::new(
        "config|set",
        -4,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        config::config_set,
    )
    .docs(
        "2.0.0",
        "server",
        "O(N) when N is the number of configuration parameters provided",
        "Set configuration parameters to the given values",
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];
