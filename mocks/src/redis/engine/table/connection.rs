//! The commands on connections, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_AUTH, NONE, NOSCRIPT, STALE};
use super::{Spec, container};
use crate::redis::engine::cmd::{client, client_kill, client_pause, client_tracking, connection};

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new(
        "auth",
        -2,
        NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
        "fast connection",
        connection::auth,
    )
    .docs(
        "1.0.0",
        "connection",
        "O(N) where N is the number of passwords defined for the user",
        "Authenticate to the server",
    ),
    Spec::new("client", -2, NONE, "slow", container)
        .docs("2.4.0", "connection", "Depends on subcommand.", "A container for client connection commands")
        .subcommands(CLIENT),
    Spec::new("echo", 2, LOADING | STALE | FAST, "fast connection", connection::echo).docs(
        "1.0.0",
        "connection",
        "O(1)",
        "Echo the given string",
    ),
    Spec::new(
        "hello",
        -1,
        NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
        "fast connection",
        connection::hello,
    )
    .docs("6.0.0", "connection", "O(1)", "Handshake with Redis"),
    Spec::new("ping", -1, FAST, "fast connection", connection::ping)
        .docs("1.0.0", "connection", "O(1)", "Ping the server")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new(
        "quit",
        -1,
        NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
        "fast connection",
        connection::quit,
    )
    .docs("1.0.0", "connection", "O(1)", "Close the connection"),
    Spec::new(
        "reset",
        1,
        NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
        "fast connection",
        connection::reset,
    )
    .docs("6.2.0", "connection", "O(1)", "Reset the connection"),
    Spec::new("select", 2, LOADING | STALE | FAST, "fast connection", connection::select).docs(
        "1.0.0",
        "connection",
        "O(1)",
        "Change the selected database for the current connection",
    ),
];

/// The subcommands of `CLIENT`.
const CLIENT: &[Spec] = &[
    Spec::new(
        "client|caching",
        3,
        NOSCRIPT | LOADING | STALE,
        "slow connection",
        client_tracking::client_caching,
    )
    .docs(
        "6.0.0",
        "connection",
        "O(1)",
        "Instruct the server about tracking or not keys in the next request",
    ),
    Spec::new("client|getname", 2, NOSCRIPT | LOADING | STALE, "slow connection", client::client_getname)
        .docs("2.6.9", "connection", "O(1)", "Get the current connection name"),
    Spec::new(
        "client|getredir",
        2,
        NOSCRIPT | LOADING | STALE,
        "slow connection",
        client_tracking::client_getredir,
    )
    .docs("6.0.0", "connection", "O(1)", "Get tracking notifications redirection client ID if any"),
    Spec::new("client|help", 2, LOADING | STALE, "slow connection", client::client_help).docs(
        "5.0.0",
        "connection",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("client|id", 2, NOSCRIPT | LOADING | STALE, "slow connection", client::client_id).docs(
        "5.0.0",
        "connection",
        "O(1)",
        "Returns the client ID for the current connection",
    ),
    Spec::new("client|info", 2, NOSCRIPT | LOADING | STALE, "slow connection", client::client_info)
        .docs("6.2.0", "connection", "O(1)", "Returns information about the current client connection.")
        .tips(&["nondeterministic_output"]),
    Spec::new(
        "client|kill",
        -3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous connection",
        client_kill::client_kill,
    )
    .docs(
        "2.4.0",
        "connection",
        "O(N) where N is the number of client connections",
        "Kill the connection of a client",
    ),
    Spec::new(
        "client|list",
        -2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous connection",
        client::client_list,
    )
    .docs(
        "2.4.0",
        "connection",
        "O(N) where N is the number of client connections",
        "Get the list of client connections",
    )
    .tips(&["nondeterministic_output"]),
    Spec::new(
        "client|no-evict",
        3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous connection",
        client::client_no_evict,
    )
    .docs("7.0.0", "connection", "O(1)", "Set client eviction mode for the current connection"),
    Spec::new(
        "client|pause",
        -3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous connection",
        client_pause::client_pause,
    )
    .docs("2.9.50", "connection", "O(1)", "Stop processing commands from clients for some time"),
    Spec::new("client|reply", 3, NOSCRIPT | LOADING | STALE, "slow connection", client::client_reply).docs(
        "3.2.0",
        "connection",
        "O(1)",
        "Instruct the server whether to reply to commands",
    ),
    Spec::new("client|setname", 3, NOSCRIPT | LOADING | STALE, "slow connection", client::client_setname)
        .docs("2.6.9", "connection", "O(1)", "Set the current connection name"),
    Spec::new(
        "client|tracking",
        -3,
        NOSCRIPT | LOADING | STALE,
        "slow connection",
        client_tracking::client_tracking,
    )
    .docs(
        "6.0.0",
        "connection",
        "O(1). Some options may introduce additional complexity.",
        "Enable or disable server assisted client side caching support",
    ),
    Spec::new(
        "client|trackinginfo",
        2,
        NOSCRIPT | LOADING | STALE,
        "slow connection",
        client_tracking::client_trackinginfo,
    )
    .docs(
        "6.2.0",
        "connection",
        "O(1)",
        "Return information about server assisted client side caching for the current connection",
    ),
    Spec::new(
        "client|unblock",
        -3,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous connection",
        client_pause::client_unblock,
    )
    .docs(
        "5.0.0",
        "connection",
        "O(log N) where N is the number of client connections",
        "Unblock a client blocked in a blocking command from a different connection",
    ),
    Spec::new(
        "client|unpause",
        2,
        ADMIN | NOSCRIPT | LOADING | STALE,
        "admin slow dangerous connection",
        client_pause::client_unpause,
    )
    .docs(
        "6.2.0",
        "connection",
        "O(N) Where N is the number of paused clients",
        "Resume processing of clients that were paused",
    ),
];
