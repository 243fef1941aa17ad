//! The commands on administration and replication_refused, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{
    ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NONE, NOSCRIPT, READONLY, STALE,
};
use super::{Spec, container, range};
use crate::redis::engine::cmd::{admin, latency, memory, replication_refused, slowlog};

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new(
        "bgrewriteaof",
        1,
        ADMIN | NOSCRIPT | NO_ASYNC_LOADING,
        "admin slow dangerous",
        admin::bgrewriteaof,
    )
    .docs("1.0.0", "server", "O(1)", "Asynchronously rewrite the append-only file"),
    Spec::new("bgsave", -1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING, "admin slow dangerous", admin::bgsave).docs(
        "1.0.0",
        "server",
        "O(1)",
        "Asynchronously save the dataset to disk",
    ),
    Spec::new(
        "failover",
        -1,
        ADMIN | NOSCRIPT | STALE,
        "admin slow dangerous",
        replication_refused::failover,
    )
    .docs(
        "6.2.0",
        "server",
        "O(1)",
        "Start a coordinated failover between this server and one of its replicas.",
    ),
    Spec::new("lastsave", 1, LOADING | STALE | FAST, "admin fast dangerous", admin::lastsave)
        .docs("1.0.0", "server", "O(1)", "Get the UNIX time stamp of the last successful save to disk")
        .tips(&["nondeterministic_output"]),
    Spec::new("latency", -2, NONE, "slow", container)
        .docs("2.8.13", "server", "Depends on subcommand.", "A container for latency diagnostics commands")
        .subcommands(LATENCY),
    Spec::new("lolwut", -1, READONLY | FAST, "read fast", admin::lolwut).docs(
        "5.0.0",
        "server",
        "",
        "Display some computer art and the Redis version",
    ),
    Spec::new("memory", -2, NONE, "slow", container)
        .docs("4.0.0", "server", "Depends on subcommand.", "A container for memory diagnostics commands")
        .subcommands(MEMORY),
    Spec::new("module", -2, NONE, "slow", container)
        .docs("4.0.0", "server", "Depends on subcommand.", "A container for module commands")
        .subcommands(MODULE),
    Spec::new(
        "psync",
        -3,
        ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI,
        "admin slow dangerous",
        replication_refused::psync,
    )
    .docs("2.8.0", "server", "", "Internal command used for replication"),
    Spec::new(
        "replconf",
        -1,
        ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY,
        "admin slow dangerous",
        replication_refused::replconf,
    )
    .docs("3.0.0", "server", "O(1)", "An internal command for configuring the replication stream"),
    Spec::new(
        "replicaof",
        3,
        ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        replication_refused::replicaof,
    )
    .docs(
        "5.0.0",
        "server",
        "O(1)",
        "Make the server a replica of another instance, or promote it as master.",
    ),
    Spec::new("save", 1, ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, "admin slow dangerous", admin::save)
        .docs(
            "1.0.0",
            "server",
            "O(N) where N is the total number of keys in all databases",
            "Synchronously save the dataset to disk",
        ),
    Spec::new(
        "slaveof",
        3,
        ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        replication_refused::slaveof,
    )
    .docs(
        "1.0.0",
        "server",
        "O(1)",
        "Make the server a replica of another instance, or promote it as master.",
    ),
    Spec::new("slowlog", -2, NONE, "slow", container)
        .docs("2.2.12", "server", "Depends on subcommand.", "A container for slow log commands")
        .subcommands(SLOWLOG),
    Spec::new(
        "sync",
        1,
        ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI,
        "admin slow dangerous",
        replication_refused::sync,
    )
    .docs("1.0.0", "server", "", "Internal command used for replication"),
];

/// The subcommands of `LATENCY`.
const LATENCY: &[Spec] = &[
    Spec::new(
        "latency|doctor",
        2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        latency::latency_doctor,
    )
    .docs("2.8.13", "server", "O(1)", "Return a human readable latency analysis report.")
    .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new(
        "latency|graph",
        3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        latency::latency_graph,
    )
    .docs("2.8.13", "server", "O(1)", "Return a latency graph for the event.")
    .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new("latency|help", 2, LOADING | STALE, "slow", latency::latency_help).docs(
        "2.8.13",
        "server",
        "O(1)",
        "Show helpful text about the different subcommands.",
    ),
    Spec::new(
        "latency|histogram",
        -2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        latency::latency_histogram,
    )
    .docs(
        "7.0.0",
        "server",
        "O(N) where N is the number of commands with latency information being retrieved.",
        "Return the cumulative distribution of latencies of a subset of commands or all.",
    )
    .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new(
        "latency|history",
        3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        latency::latency_history,
    )
    .docs("2.8.13", "server", "O(1)", "Return timestamp-latency samples for the event.")
    .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new(
        "latency|latest",
        2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        latency::latency_latest,
    )
    .docs("2.8.13", "server", "O(1)", "Return the latest latency samples for all events.")
    .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new(
        "latency|reset",
        -2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        latency::latency_reset,
    )
    .docs("2.8.13", "server", "O(1)", "Reset latency data for one or more events.")
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

/// The subcommands of `MEMORY`.
const MEMORY: &[Spec] = &[
    Spec::new("memory|doctor", 2, NONE, "slow", memory::memory_doctor)
        .docs("4.0.0", "server", "O(1)", "Outputs memory problems report")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::new("memory|help", 2, LOADING | STALE, "slow", memory::memory_help).docs(
        "4.0.0",
        "server",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("memory|malloc-stats", 2, NONE, "slow", memory::memory_malloc_stats)
        .docs(
            "4.0.0",
            "server",
            "Depends on how much memory is allocated, could be slow",
            "Show allocator internal stats",
        )
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::new("memory|purge", 2, NONE, "slow", memory::memory_purge)
        .docs(
            "4.0.0",
            "server",
            "Depends on how much memory is allocated, could be slow",
            "Ask the allocator to release memory",
        )
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("memory|stats", 2, NONE, "slow", memory::memory_stats)
        .docs("4.0.0", "server", "O(1)", "Show memory usage details")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::new("memory|usage", -3, READONLY, "read slow", memory::memory_usage)
        .docs(
            "4.0.0",
            "server",
            "O(N) where N is the number of samples.",
            "Estimate the memory usage of a key",
        )
        .keys(&[range(2, 0, 1, "RO")]),
];

/// The subcommands of `MODULE`.
const MODULE: &[Spec] = &[
    Spec::new("module|help", 2, LOADING | STALE, "slow", admin::module_help).docs(
        "5.0.0",
        "server",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("module|list", 2, ADMIN | NOSCRIPT, "admin slow dangerous", admin::module_list)
        .docs(
            "4.0.0",
            "server",
            "O(N) where N is the number of loaded modules.",
            "List all modules loaded by the server",
        )
        .tips(&["nondeterministic_output_order"]),
    Spec::new(
        "module|load",
        -3,
        ADMIN | NOSCRIPT | NO_ASYNC_LOADING,
        "admin slow dangerous",
        admin::module_load,
    )
    .docs("4.0.0", "server", "O(1)", "Load a module"),
    Spec::new(
        "module|loadex",
        -3,
        ADMIN | NOSCRIPT | NO_ASYNC_LOADING,
        "admin slow dangerous",
        admin::module_loadex,
    )
    .docs("7.0.0", "server", "O(1)", "Load a module with extended parameters"),
    Spec::new(
        "module|unload",
        3,
        ADMIN | NOSCRIPT | NO_ASYNC_LOADING,
        "admin slow dangerous",
        admin::module_unload,
    )
    .docs("4.0.0", "server", "O(1)", "Unload a module"),
];

/// The subcommands of `SLOWLOG`.
const SLOWLOG: &[Spec] = &[
    Spec::new("slowlog|get", -2, ADMIN | LOADING | STALE, "admin slow dangerous", slowlog::slowlog_get)
        .docs(
            "2.2.12",
            "server",
            "O(N) where N is the number of entries returned",
            "Get the slow log's entries",
        )
        .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    Spec::new("slowlog|help", 2, LOADING | STALE, "slow", slowlog::slowlog_help).docs(
        "6.2.0",
        "server",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("slowlog|len", 2, ADMIN | LOADING | STALE, "admin slow dangerous", slowlog::slowlog_len)
        .docs("2.2.12", "server", "O(1)", "Get the slow log's length")
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
    Spec::new("slowlog|reset", 2, ADMIN | LOADING | STALE, "admin slow dangerous", slowlog::slowlog_reset)
        .docs(
            "2.2.12",
            "server",
            "O(N) where N is the number of entries in the slowlog",
            "Clear all entries from the slow log",
        )
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];
