//! The commands on payloads, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{ASKING, DENYOOM, MOVABLEKEYS, READONLY, WRITE};
use super::{Spec, keyword, range};
use crate::redis::engine::cmd::{dump, migrate};

const RESTORED: &str = "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).";

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("dump", 2, READONLY, "keyspace read slow", dump::dump)
        .docs("2.6.0", "generic", "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).", "Return a serialized version of the value stored at the specified key.")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("migrate", -6, WRITE | MOVABLEKEYS, "keyspace write slow dangerous", migrate::migrate)
        .docs("2.6.0", "generic", "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target instance. See the pages of these commands for time complexity. Also an O(N) data transfer between the two instances is performed.", "Atomically transfer a key from a Redis instance to another one.")
        .tips(&["nondeterministic_output"])
        .keys(&[range(3, 0, 1, "RW access delete"), keyword("KEYS", -2, -1, "RW access delete incomplete")])
        .find_keys(migrate::key_uses),
    Spec::new("restore", -4, WRITE | DENYOOM, "keyspace write slow dangerous", dump::restore)
        .docs("2.6.0", "generic", RESTORED, "Create a key using the provided serialized value, previously obtained using DUMP.")
        .keys(&[range(1, 0, 1, "OW update")]),
    Spec::new("restore-asking", -4, WRITE | DENYOOM | ASKING, "keyspace write slow dangerous", dump::restore)
        .docs("3.0.0", "server", RESTORED, "An internal command for migrating keys in a cluster")
        .keys(&[range(1, 0, 1, "OW update")]),
];
