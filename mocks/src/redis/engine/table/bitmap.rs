//! The commands on bits of strings, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, range};
use crate::redis::engine::cmd::{bit, bitfield};

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("bitcount", -2, READONLY, "read bitmap slow", bit::bitcount)
        .docs("2.6.0", "bitmap", "O(N)", "Count set bits in a string")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("bitfield", -2, WRITE | DENYOOM, "write bitmap slow", bitfield::bitfield)
        .docs(
            "3.2.0",
            "bitmap",
            "O(1) for each subcommand specified",
            "Perform arbitrary bitfield integer operations on strings",
        )
        .keys(&[range(1, 0, 1, "RW access update variable_flags")
            .note("This command allows both access and modification of the key")]),
    Spec::new("bitfield_ro", -2, READONLY | FAST, "read bitmap fast", bitfield::bitfield_ro)
        .docs(
            "6.0.0",
            "bitmap",
            "O(1) for each subcommand specified",
            "Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD",
        )
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("bitop", -4, WRITE | DENYOOM, "write bitmap slow", bit::bitop)
        .docs("2.6.0", "bitmap", "O(N)", "Perform bitwise operations between strings")
        .keys(&[range(2, 0, 1, "OW update"), range(3, -1, 1, "RO access")]),
    Spec::new("bitpos", -3, READONLY, "read bitmap slow", bit::bitpos)
        .docs("2.8.7", "bitmap", "O(N)", "Find first bit set or clear in a string")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("getbit", 3, READONLY | FAST, "read bitmap fast", bit::getbit)
        .docs("2.2.0", "bitmap", "O(1)", "Returns the bit value at offset in the string value stored at key")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("setbit", 4, WRITE | DENYOOM, "write bitmap slow", bit::setbit)
        .docs("2.2.0", "bitmap", "O(1)", "Sets or clears the bit at offset in the string value stored at key")
        .keys(&[range(1, 0, 1, "RW access update")]),
];
