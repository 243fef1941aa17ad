//! The commands on streams, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{BLOCKING, DENYOOM, FAST, LOADING, MOVABLEKEYS, NONE, READONLY, STALE, WRITE};
use super::{Spec, container, keyword_half, range};
use crate::redis::engine::cmd::stream;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("xack", -4, WRITE | FAST, "write stream fast", stream::xack)
        .docs("5.0.0", "stream", "O(1) for each message ID processed.", "Marks a pending message as correctly processed, effectively removing it from the pending entries list of the consumer group. Return value of the command is the number of messages successfully acknowledged, that is, the IDs we were actually able to resolve in the PEL.")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("xadd", -5, WRITE | DENYOOM | FAST, "write stream fast", stream::xadd)
        .docs("5.0.0", "stream", "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.", "Appends a new entry to a stream")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RW update")
            .note("UPDATE instead of INSERT because of the optional trimming feature")]),
    Spec::new("xautoclaim", -6, WRITE | FAST, "write stream fast", stream::xautoclaim)
        .docs("6.2.0", "stream", "O(1) if COUNT is small.", "Changes (or acquires) ownership of messages in a consumer group, as if the messages were delivered to the specified consumer.")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("xclaim", -6, WRITE | FAST, "write stream fast", stream::xclaim)
        .docs("5.0.0", "stream", "O(log N) with N being the number of messages in the PEL of the consumer group.", "Changes (or acquires) ownership of a message in a consumer group, as if the message was delivered to the specified consumer.")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("xdel", -3, WRITE | FAST, "write stream fast", stream::xdel)
        .docs("5.0.0", "stream", "O(1) for each single item to delete in the stream, regardless of the stream size.", "Removes the specified entries from the stream. Returns the number of items actually deleted, that may be different from the number of IDs passed in case certain IDs do not exist.")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("xgroup", -2, NONE, "slow", container)
        .docs("5.0.0", "stream", "Depends on subcommand.", "A container for consumer groups commands")
        .subcommands(XGROUP),
    Spec::new("xinfo", -2, NONE, "slow", container)
        .docs("5.0.0", "stream", "Depends on subcommand.", "A container for stream introspection commands")
        .subcommands(XINFO),
    Spec::new("xlen", 2, READONLY | FAST, "read stream fast", stream::xlen)
        .docs("5.0.0", "stream", "O(1)", "Return the number of entries in a stream")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("xpending", -3, READONLY, "read stream slow", stream::xpending)
        .docs("5.0.0", "stream", "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.", "Return information and entries from a stream consumer group pending entries list, that are messages fetched but never acknowledged.")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("xrange", -4, READONLY, "read stream slow", stream::xrange)
        .docs("5.0.0", "stream", "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).", "Return a range of elements in a stream, with IDs matching the specified IDs interval")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("xread", -4, READONLY | MOVABLEKEYS | BLOCKING, "read stream slow blocking", stream::xread)
        .docs("5.0.0", "stream", "For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data.", "Return never seen elements in multiple streams, with IDs greater than the ones reported by the caller for each stream. Can block.")
        .keys(&[keyword_half("STREAMS", 1, "RO access")]),
    Spec::new("xreadgroup", -7, WRITE | MOVABLEKEYS | BLOCKING, "write stream slow blocking", stream::xreadgroup)
        .docs("5.0.0", "stream", "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.", "Return new entries from a stream using a consumer group, or access the history of the pending entries for a given consumer. Can block.")
        .keys(&[keyword_half("STREAMS", 4, "RO access")]),
    Spec::new("xrevrange", -4, READONLY, "read stream slow", stream::xrevrange)
        .docs("5.0.0", "stream", "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).", "Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse order (from greater to smaller IDs) compared to XRANGE")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("xsetid", -3, WRITE | DENYOOM | FAST, "write stream fast", stream::xsetid)
        .docs("5.0.0", "stream", "O(1)", "An internal command for replicating stream values")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("xtrim", -4, WRITE, "write stream slow", stream::xtrim)
        .docs("5.0.0", "stream", "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.", "Trims the stream to (approximately if '~' is passed) a certain size")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RW delete")]),
];

/// The subcommands of `XGROUP`.
const XGROUP: &[Spec] = &[
    Spec::new("xgroup|create", -5, WRITE | DENYOOM, "write stream slow", stream::xgroup_create)
        .docs("5.0.0", "stream", "O(1)", "Create a consumer group.")
        .keys(&[range(2, 0, 1, "RW insert")]),
    Spec::new(
        "xgroup|createconsumer",
        5,
        WRITE | DENYOOM,
        "write stream slow",
        stream::xgroup_createconsumer,
    )
    .docs("6.2.0", "stream", "O(1)", "Create a consumer in a consumer group.")
    .keys(&[range(2, 0, 1, "RW insert")]),
    Spec::new("xgroup|delconsumer", 5, WRITE, "write stream slow", stream::xgroup_delconsumer)
        .docs("5.0.0", "stream", "O(1)", "Delete a consumer from a consumer group.")
        .keys(&[range(2, 0, 1, "RW delete")]),
    Spec::new("xgroup|destroy", 4, WRITE, "write stream slow", stream::xgroup_destroy)
        .docs(
            "5.0.0",
            "stream",
            "O(N) where N is the number of entries in the group's pending entries list (PEL).",
            "Destroy a consumer group.",
        )
        .keys(&[range(2, 0, 1, "RW delete")]),
    Spec::new("xgroup|help", 2, LOADING | STALE, "stream slow", stream::xgroup_help).docs(
        "5.0.0",
        "stream",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("xgroup|setid", -5, WRITE, "write stream slow", stream::xgroup_setid)
        .docs("5.0.0", "stream", "O(1)", "Set a consumer group to an arbitrary last delivered ID value.")
        .keys(&[range(2, 0, 1, "RW update")]),
];

/// The subcommands of `XINFO`.
const XINFO: &[Spec] = &[
    Spec::new("xinfo|consumers", 4, READONLY, "read stream slow", stream::xinfo_consumers)
        .docs("5.0.0", "stream", "O(1)", "List the consumers in a consumer group")
        .tips(&["nondeterministic_output"])
        .keys(&[range(2, 0, 1, "RO access")]),
    Spec::new("xinfo|groups", 3, READONLY, "read stream slow", stream::xinfo_groups)
        .docs("5.0.0", "stream", "O(1)", "List the consumer groups of a stream")
        .keys(&[range(2, 0, 1, "RO access")]),
    Spec::new("xinfo|help", 2, LOADING | STALE, "stream slow", stream::xinfo_help).docs(
        "5.0.0",
        "stream",
        "O(1)",
        "Show helpful text about the different subcommands",
    ),
    Spec::new("xinfo|stream", -3, READONLY, "read stream slow", stream::xinfo_stream)
        .docs("5.0.0", "stream", "O(1)", "Get information about a stream")
        .keys(&[range(2, 0, 1, "RO access")]),
];
