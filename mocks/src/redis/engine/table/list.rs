//! The commands on lists, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{BLOCKING, DENYOOM, FAST, MOVABLEKEYS, NOSCRIPT, READONLY, WRITE};
use super::{Spec, keynum, range};
use crate::redis::engine::cmd::{list, list_block};

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("blmove", 6, WRITE | DENYOOM | NOSCRIPT | BLOCKING, "write list slow blocking", list_block::blmove)
        .docs("6.2.0", "list", "O(1)", "Pop an element from a list, push it to another list and return it; or block until one is available")
        .keys(&[range(1, 0, 1, "RW access delete"), range(2, 0, 1, "RW insert")]),
    Spec::new("blmpop", -5, WRITE | BLOCKING | MOVABLEKEYS, "write list slow blocking", list_block::blmpop)
        .docs("7.0.0", "list", "O(N+M) where N is the number of provided keys and M is the number of elements returned.", "Pop elements from a list, or block until one is available")
        .keys(&[keynum(2, "RW access delete")]),
    Spec::new("blpop", -3, WRITE | NOSCRIPT | BLOCKING, "write list slow blocking", list_block::blpop)
        .docs("2.0.0", "list", "O(N) where N is the number of provided keys.", "Remove and get the first element in a list, or block until one is available")
        .keys(&[range(1, -2, 1, "RW access delete")]),
    Spec::new("brpop", -3, WRITE | NOSCRIPT | BLOCKING, "write list slow blocking", list_block::brpop)
        .docs("2.0.0", "list", "O(N) where N is the number of provided keys.", "Remove and get the last element in a list, or block until one is available")
        .keys(&[range(1, -2, 1, "RW access delete")]),
    Spec::new("brpoplpush", 4, WRITE | DENYOOM | NOSCRIPT | BLOCKING, "write list slow blocking", list_block::brpoplpush)
        .docs("2.2.0", "list", "O(1)", "Pop an element from a list, push it to another list and return it; or block until one is available")
        .keys(&[range(1, 0, 1, "RW access delete"), range(2, 0, 1, "RW insert")]),
    Spec::new("lindex", 3, READONLY, "read list slow", list::lindex)
        .docs("1.0.0", "list", "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).", "Get an element from a list by its index")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("linsert", 5, WRITE | DENYOOM, "write list slow", list::linsert)
        .docs("2.2.0", "list", "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).", "Insert an element before or after another element in a list")
        .keys(&[range(1, 0, 1, "RW insert")]),
    Spec::new("llen", 2, READONLY | FAST, "read list fast", list::llen)
        .docs("1.0.0", "list", "O(1)", "Get the length of a list")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("lmove", 5, WRITE | DENYOOM, "write list slow", list::lmove)
        .docs("6.2.0", "list", "O(1)", "Pop an element from a list, push it to another list and return it")
        .keys(&[range(1, 0, 1, "RW access delete"), range(2, 0, 1, "RW insert")]),
    Spec::new("lmpop", -4, WRITE | MOVABLEKEYS, "write list slow", list::lmpop)
        .docs("7.0.0", "list", "O(N+M) where N is the number of provided keys and M is the number of elements returned.", "Pop elements from a list")
        .keys(&[keynum(1, "RW access delete")]),
    Spec::new("lpop", -2, WRITE | FAST, "write list fast", list::lpop)
        .docs("1.0.0", "list", "O(N) where N is the number of elements returned", "Remove and get the first elements in a list")
        .keys(&[range(1, 0, 1, "RW access delete")]),
    Spec::new("lpos", -3, READONLY, "read list slow", list::lpos)
        .docs("6.0.6", "list", "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.", "Return the index of matching elements on a list")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("lpush", -3, WRITE | DENYOOM | FAST, "write list fast", list::lpush)
        .docs("1.0.0", "list", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.", "Prepend one or multiple elements to a list")
        .keys(&[range(1, 0, 1, "RW insert")]),
    Spec::new("lpushx", -3, WRITE | DENYOOM | FAST, "write list fast", list::lpushx)
        .docs("2.2.0", "list", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.", "Prepend an element to a list, only if the list exists")
        .keys(&[range(1, 0, 1, "RW insert")]),
    Spec::new("lrange", 4, READONLY, "read list slow", list::lrange)
        .docs("1.0.0", "list", "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.", "Get a range of elements from a list")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("lrem", 4, WRITE, "write list slow", list::lrem)
        .docs("1.0.0", "list", "O(N+M) where N is the length of the list and M is the number of elements removed.", "Remove elements from a list")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("lset", 4, WRITE | DENYOOM, "write list slow", list::lset)
        .docs("1.0.0", "list", "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).", "Set the value of an element in a list by its index")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("ltrim", 4, WRITE, "write list slow", list::ltrim)
        .docs("1.0.0", "list", "O(N) where N is the number of elements to be removed by the operation.", "Trim a list to the specified range")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("rpop", -2, WRITE | FAST, "write list fast", list::rpop)
        .docs("1.0.0", "list", "O(N) where N is the number of elements returned", "Remove and get the last elements in a list")
        .keys(&[range(1, 0, 1, "RW access delete")]),
    Spec::new("rpoplpush", 3, WRITE | DENYOOM, "write list slow", list::rpoplpush)
        .docs("1.2.0", "list", "O(1)", "Remove the last element in a list, prepend it to another list and return it")
        .keys(&[range(1, 0, 1, "RW access delete"), range(2, 0, 1, "RW insert")]),
    Spec::new("rpush", -3, WRITE | DENYOOM | FAST, "write list fast", list::rpush)
        .docs("1.0.0", "list", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.", "Append one or multiple elements to a list")
        .keys(&[range(1, 0, 1, "RW insert")]),
    Spec::new("rpushx", -3, WRITE | DENYOOM | FAST, "write list fast", list::rpushx)
        .docs("2.2.0", "list", "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.", "Append an element to a list, only if the list exists")
        .keys(&[range(1, 0, 1, "RW insert")]),
];
