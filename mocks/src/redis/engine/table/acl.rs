//! The commands on users, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{ADMIN, LOADING, NONE, NOSCRIPT, STALE};
use super::{Spec, container};
use crate::redis::engine::cmd::acl;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[Spec::new("acl", -2, NONE, "slow", container)
    .docs("6.0.0", "server", "Depends on subcommand.", "A container for Access List Control commands ")
    .subcommands(ACL)];

/// The subcommands of `ACL`.
const ACL: &[Spec] = &[
    Spec::new("acl|cat", -2, NOSCRIPT | LOADING | STALE, "slow", acl::acl_cat).docs(
        "6.0.0",
        "server",
        "O(1) since the categories and commands are a fixed set.",
        "List the ACL categories or the commands inside a category",
    ),
    Spec::new(
        "acl|deluser",
        -3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        acl::acl_deluser,
    )
    .docs(
        "6.0.0",
        "server",
        "O(1) amortized time considering the typical user.",
        "Remove the specified ACL users and the associated rules",
    ),
    Spec::new("acl|dryrun", -4, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", acl::acl_dryrun)
        .docs(
            "7.0.0",
            "server",
            "O(1).",
            "Returns whether the user can execute the given command without executing the command.",
        ),
    Spec::new("acl|genpass", -2, NOSCRIPT | LOADING | STALE, "slow", acl::acl_genpass).docs(
        "6.0.0",
        "server",
        "O(1)",
        "Generate a pseudorandom secure password to use for ACL users",
    ),
    Spec::new("acl|getuser", 3, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", acl::acl_getuser)
        .docs(
            "6.0.0",
            "server",
            "O(N). Where N is the number of password, command and pattern rules that the user has.",
            "Get the rules for a specific ACL user",
        ),
    Spec::new("acl|help", 2, LOADING | STALE, "slow", acl::acl_help).docs(
        "6.0.0",
        "server",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("acl|list", 2, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", acl::acl_list).docs(
        "6.0.0",
        "server",
        "O(N). Where N is the number of configured users.",
        "List the current ACL rules in ACL config file format",
    ),
    Spec::new("acl|load", 2, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", acl::acl_load).docs(
        "6.0.0",
        "server",
        "O(N). Where N is the number of configured users.",
        "Reload the ACLs from the configured ACL file",
    ),
    Spec::new("acl|log", -2, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", acl::acl_log).docs(
        "6.0.0",
        "server",
        "O(N) with N being the number of entries shown.",
        "List latest events denied because of ACLs in place",
    ),
    Spec::new("acl|save", 2, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", acl::acl_save).docs(
        "6.0.0",
        "server",
        "O(N). Where N is the number of configured users.",
        "Save the current ACL rules in the configured ACL file",
    ),
    Spec::new(
        "acl|setuser",
        -3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous",
        acl::acl_setuser,
    )
    .docs(
        "6.0.0",
        "server",
        "O(N). Where N is the number of rules provided.",
        "Modify or create the rules for a specific ACL user",
    ),
    Spec::new("acl|users", 2, ADMIN | NOSCRIPT | LOADING | STALE, "admin slow dangerous", acl::acl_users)
        .docs(
            "6.0.0",
            "server",
            "O(N). Where N is the number of configured users.",
            "List the username of all the configured ACL rules",
        ),
    Spec::new("acl|whoami", 2, NOSCRIPT | LOADING | STALE, "slow", acl::acl_whoami).docs(
        "6.0.0",
        "server",
        "O(1)",
        "Return the name of the user associated to the current connection",
    ),
];
