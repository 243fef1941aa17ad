//! The commands on clusters, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NONE, NOSCRIPT, STALE};
use super::{Spec, container};
use crate::redis::engine::cmd::{cluster, cluster_change};

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("asking", 1, FAST, "fast connection", cluster::asking).docs(
        "3.0.0",
        "cluster",
        "O(1)",
        "Sent by cluster clients after an -ASK redirect",
    ),
    Spec::new("cluster", -2, NONE, "slow", container)
        .docs("3.0.0", "cluster", "Depends on subcommand.", "A container for cluster commands")
        .subcommands(CLUSTER),
    Spec::new("readonly", 1, LOADING | STALE | FAST, "fast connection", cluster::readonly).docs(
        "3.0.0",
        "cluster",
        "O(1)",
        "Enables read queries for a connection to a cluster replica node",
    ),
    Spec::new("readwrite", 1, LOADING | STALE | FAST, "fast connection", cluster::readwrite).docs(
        "3.0.0",
        "cluster",
        "O(1)",
        "Disables read queries for a connection to a cluster replica node",
    ),
];

/// The subcommands of `CLUSTER`.
const CLUSTER: &[Spec] = &[
    Spec::new(
        "cluster|addslots",
        -3,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_addslots,
    )
    .docs(
        "3.0.0",
        "cluster",
        "O(N) where N is the total number of hash slot arguments",
        "Assign new hash slots to receiving node",
    ),
    Spec::new(
        "cluster|addslotsrange",
        -4,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_addslotsrange,
    )
    .docs(
        "7.0.0",
        "cluster",
        "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
        "Assign new hash slots to receiving node",
    ),
    Spec::new(
        "cluster|bumpepoch",
        2,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_bumpepoch,
    )
    .docs("3.0.0", "cluster", "O(1)", "Advance the cluster config epoch")
    .tips(&["nondeterministic_output"]),
    Spec::new(
        "cluster|count-failure-reports",
        3,
        ADMIN | STALE,
        "admin slow dangerous",
        cluster::cluster_count_failure_reports,
    )
    .docs(
        "3.0.0",
        "cluster",
        "O(N) where N is the number of failure reports",
        "Return the number of failure reports active for a given node",
    )
    .tips(&["nondeterministic_output"]),
    Spec::new("cluster|countkeysinslot", 3, STALE, "slow", cluster::cluster_countkeysinslot).docs(
        "3.0.0",
        "cluster",
        "O(1)",
        "Return the number of local keys in the specified hash slot",
    ),
    Spec::new(
        "cluster|delslots",
        -3,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_delslots,
    )
    .docs(
        "3.0.0",
        "cluster",
        "O(N) where N is the total number of hash slot arguments",
        "Set hash slots as unbound in receiving node",
    ),
    Spec::new(
        "cluster|delslotsrange",
        -4,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_delslotsrange,
    )
    .docs(
        "7.0.0",
        "cluster",
        "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
        "Set hash slots as unbound in receiving node",
    ),
    Spec::new(
        "cluster|failover",
        -2,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_failover,
    )
    .docs("3.0.0", "cluster", "O(1)", "Forces a replica to perform a manual failover of its master."),
    Spec::new(
        "cluster|flushslots",
        2,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_flushslots,
    )
    .docs("3.0.0", "cluster", "O(1)", "Delete a node's own slots information"),
    Spec::new(
        "cluster|forget",
        3,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_forget,
    )
    .docs("3.0.0", "cluster", "O(1)", "Remove a node from the nodes table"),
    Spec::new("cluster|getkeysinslot", 4, STALE, "slow", cluster::cluster_getkeysinslot)
        .docs(
            "3.0.0",
            "cluster",
            "O(log(N)) where N is the number of requested keys",
            "Return local key names in the specified hash slot",
        )
        .tips(&["nondeterministic_output"]),
    Spec::new("cluster|help", 2, LOADING | STALE, "slow", cluster::cluster_help).docs(
        "5.0.0",
        "cluster",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("cluster|info", 2, STALE, "slow", cluster::cluster_info)
        .docs("3.0.0", "cluster", "O(1)", "Provides info about Redis Cluster node state")
        .tips(&["nondeterministic_output"]),
    Spec::new("cluster|keyslot", 3, STALE, "slow", cluster::cluster_keyslot).docs(
        "3.0.0",
        "cluster",
        "O(N) where N is the number of bytes in the key",
        "Returns the hash slot of the specified key",
    ),
    Spec::new("cluster|links", 2, STALE, "slow", cluster::cluster_links)
        .docs(
            "7.0.0",
            "cluster",
            "O(N) where N is the total number of Cluster nodes",
            "Returns a list of all TCP links to and from peer nodes in cluster",
        )
        .tips(&["nondeterministic_output"]),
    Spec::new(
        "cluster|meet",
        -4,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster::cluster_meet,
    )
    .docs("3.0.0", "cluster", "O(1)", "Force a node cluster to handshake with another node"),
    Spec::new("cluster|myid", 2, STALE, "slow", cluster::cluster_myid).docs(
        "3.0.0",
        "cluster",
        "O(1)",
        "Return the node id",
    ),
    Spec::new("cluster|nodes", 2, STALE, "slow", cluster::cluster_nodes)
        .docs(
            "3.0.0",
            "cluster",
            "O(N) where N is the total number of Cluster nodes",
            "Get Cluster config for the node",
        )
        .tips(&["nondeterministic_output"]),
    Spec::new("cluster|replicas", 3, ADMIN | STALE, "admin slow dangerous", cluster::cluster_replicas)
        .docs("5.0.0", "cluster", "O(1)", "List replica nodes of the specified master node")
        .tips(&["nondeterministic_output"]),
    Spec::new(
        "cluster|replicate",
        3,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_replicate,
    )
    .docs("3.0.0", "cluster", "O(1)", "Reconfigure a node as a replica of the specified master node"),
    Spec::new(
        "cluster|reset",
        -2,
        ADMIN | NOSCRIPT | STALE,
        "admin slow dangerous",
        cluster_change::cluster_reset,
    )
    .docs(
        "3.0.0",
        "cluster",
        "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.",
        "Reset a Redis Cluster node",
    ),
    Spec::new(
        "cluster|saveconfig",
        2,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_saveconfig,
    )
    .docs("3.0.0", "cluster", "O(1)", "Forces the node to save cluster state on disk"),
    Spec::new(
        "cluster|set-config-epoch",
        3,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_set_config_epoch,
    )
    .docs("3.0.0", "cluster", "O(1)", "Set the configuration epoch in a new node"),
    Spec::new(
        "cluster|setslot",
        -4,
        ADMIN | STALE | NO_ASYNC_LOADING,
        "admin slow dangerous",
        cluster_change::cluster_setslot,
    )
    .docs("3.0.0", "cluster", "O(1)", "Bind a hash slot to a specific node"),
    Spec::new("cluster|shards", 2, STALE, "slow", cluster::cluster_shards)
        .docs(
            "7.0.0",
            "cluster",
            "O(N) where N is the total number of cluster nodes",
            "Get array of cluster slots to node mappings",
        )
        .tips(&["nondeterministic_output"]),
    Spec::new("cluster|slaves", 3, ADMIN | STALE, "admin slow dangerous", cluster::cluster_slaves)
        .docs("3.0.0", "cluster", "O(1)", "List replica nodes of the specified master node")
        .tips(&["nondeterministic_output"]),
    Spec::new("cluster|slots", 2, STALE, "slow", cluster::cluster_slots)
        .docs(
            "3.0.0",
            "cluster",
            "O(N) where N is the total number of Cluster nodes",
            "Get array of Cluster slot to node mappings",
        )
        .tips(&["nondeterministic_output"]),
];
