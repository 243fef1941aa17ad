//! The commands of publish and subscribe, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{FAST, LOADING, MAY_REPLICATE, NONE, NOSCRIPT, PUBSUB, STALE};
use super::{Spec, container, range};
use crate::redis::engine::cmd::pubsub;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("psubscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE, "pubsub slow", pubsub::psubscribe)
        .docs("2.0.0", "pubsub", "O(N) where N is the number of patterns the client is already subscribed to.", "Listen for messages published to channels matching the given patterns"),
    Spec::new("publish", 3, PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE, "pubsub fast", pubsub::publish)
        .docs("2.0.0", "pubsub", "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).", "Post a message to a channel"),
    Spec::new("pubsub", -2, NONE, "slow", container)
        .docs("2.8.0", "pubsub", "Depends on subcommand.", "A container for Pub/Sub commands")
        .subcommands(PUBSUB_COMMANDS),
    Spec::new("punsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE, "pubsub slow", pubsub::punsubscribe)
        .docs("2.0.0", "pubsub", "O(N+M) where N is the number of patterns the client is already subscribed and M is the number of total patterns subscribed in the system (by any client).", "Stop listening for messages posted to channels matching the given patterns"),
    Spec::new("spublish", 3, PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE, "pubsub fast", pubsub::spublish)
        .docs("7.0.0", "pubsub", "O(N) where N is the number of clients subscribed to the receiving shard channel.", "Post a message to a shard channel")
        .keys(&[range(1, 0, 1, "not_key")]),
    Spec::new("ssubscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE, "pubsub slow", pubsub::ssubscribe)
        .docs("7.0.0", "pubsub", "O(N) where N is the number of shard channels to subscribe to.", "Listen for messages published to the given shard channels")
        .keys(&[range(1, -1, 1, "not_key")]),
    Spec::new("subscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE, "pubsub slow", pubsub::subscribe)
        .docs("2.0.0", "pubsub", "O(N) where N is the number of channels to subscribe to.", "Listen for messages published to the given channels"),
    Spec::new("sunsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE, "pubsub slow", pubsub::sunsubscribe)
        .docs("7.0.0", "pubsub", "O(N) where N is the number of clients already subscribed to a shard channel.", "Stop listening for messages posted to the given shard channels")
        .keys(&[range(1, -1, 1, "not_key")]),
    Spec::new("unsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE, "pubsub slow", pubsub::unsubscribe)
        .docs("2.0.0", "pubsub", "O(N) where N is the number of clients already subscribed to a channel.", "Stop listening for messages posted to the given channels"),
];

/// The subcommands of `PUBSUB`.
const PUBSUB_COMMANDS: &[Spec] = &[
    Spec::new("pubsub|channels", -2, PUBSUB | LOADING | STALE, "pubsub slow", pubsub::pubsub_channels)
        .docs("2.8.0", "pubsub", "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)", "List active channels"),
    Spec::new("pubsub|help", 2, LOADING | STALE, "slow", pubsub::pubsub_help)
        .docs("6.2.0", "pubsub", "O(1)", "Show helpful text about the different subcommands"),
    Spec::new("pubsub|numpat", 2, PUBSUB | LOADING | STALE, "pubsub slow", pubsub::pubsub_numpat)
        .docs("2.8.0", "pubsub", "O(1)", "Get the count of unique patterns pattern subscriptions"),
    Spec::new("pubsub|numsub", -2, PUBSUB | LOADING | STALE, "pubsub slow", pubsub::pubsub_numsub)
        .docs("2.8.0", "pubsub", "O(N) for the NUMSUB subcommand, where N is the number of requested channels", "Get the count of subscribers for channels"),
    Spec::new("pubsub|shardchannels", -2, PUBSUB | LOADING | STALE, "pubsub slow", pubsub::pubsub_shardchannels)
        .docs("7.0.0", "pubsub", "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).", "List active shard channels"),
    Spec::new("pubsub|shardnumsub", -2, PUBSUB | LOADING | STALE, "pubsub slow", pubsub::pubsub_shardnumsub)
        .docs("7.0.0", "pubsub", "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels", "Get the count of subscribers for shard channels"),
];
