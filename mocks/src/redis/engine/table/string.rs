//! The commands on strings, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{DENYOOM, FAST, READONLY, WRITE};
use super::{Spec, range};
use crate::redis::engine::cmd::string;

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("append", 3, WRITE | DENYOOM | FAST, "write string fast", string::append)
        .docs("2.0.0", "string", "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by Redis will double the free space available on every reallocation.", "Append a value to a key")
        .keys(&[range(1, 0, 1, "RW insert")]),
    Spec::new("decr", 2, WRITE | DENYOOM | FAST, "write string fast", string::decr)
        .docs("1.0.0", "string", "O(1)", "Decrement the integer value of a key by one")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("decrby", 3, WRITE | DENYOOM | FAST, "write string fast", string::decrby)
        .docs("1.0.0", "string", "O(1)", "Decrement the integer value of a key by the given number")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("get", 2, READONLY | FAST, "read string fast", string::get)
        .docs("1.0.0", "string", "O(1)", "Get the value of a key")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("getdel", 2, WRITE | FAST, "write string fast", string::getdel)
        .docs("6.2.0", "string", "O(1)", "Get the value of a key and delete the key")
        .keys(&[range(1, 0, 1, "RW access delete")]),
    Spec::new("getex", -2, WRITE | FAST, "write string fast", string::getex)
        .docs("6.2.0", "string", "O(1)", "Get the value of a key and optionally set its expiration")
        .keys(&[range(1, 0, 1, "RW access update").note("RW and UPDATE because it changes the TTL")]),
    Spec::new("getrange", 4, READONLY, "read string slow", string::getrange)
        .docs("2.4.0", "string", "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.", "Get a substring of the string stored at a key")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("getset", 3, WRITE | DENYOOM | FAST, "write string fast", string::getset)
        .docs("1.0.0", "string", "O(1)", "Set the string value of a key and return its old value")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("incr", 2, WRITE | DENYOOM | FAST, "write string fast", string::incr)
        .docs("1.0.0", "string", "O(1)", "Increment the integer value of a key by one")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("incrby", 3, WRITE | DENYOOM | FAST, "write string fast", string::incrby)
        .docs("1.0.0", "string", "O(1)", "Increment the integer value of a key by the given amount")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("incrbyfloat", 3, WRITE | DENYOOM | FAST, "write string fast", string::incrbyfloat)
        .docs("2.6.0", "string", "O(1)", "Increment the float value of a key by the given amount")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("lcs", -3, READONLY, "read string slow", string::lcs)
        .docs("7.0.0", "string", "O(N*M) where N and M are the lengths of s1 and s2, respectively", "Find longest common substring")
        .keys(&[range(1, 1, 1, "RO access")]),
    Spec::new("mget", -2, READONLY | FAST, "read string fast", string::mget)
        .docs("1.0.0", "string", "O(N) where N is the number of keys to retrieve.", "Get the values of all the given keys")
        .tips(&["request_policy:multi_shard"])
        .keys(&[range(1, -1, 1, "RO access")]),
    Spec::new("mset", -3, WRITE | DENYOOM, "write string slow", string::mset)
        .docs("1.0.1", "string", "O(N) where N is the number of keys to set.", "Set multiple keys to multiple values")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .keys(&[range(1, -1, 2, "OW update")]),
    Spec::new("msetnx", -3, WRITE | DENYOOM, "write string slow", string::msetnx)
        .docs("1.0.1", "string", "O(N) where N is the number of keys to set.", "Set multiple keys to multiple values, only if none of the keys exist")
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
        .keys(&[range(1, -1, 2, "OW insert")]),
    Spec::new("psetex", 4, WRITE | DENYOOM, "write string slow", string::psetex)
        .docs("2.6.0", "string", "O(1)", "Set the value and expiration in milliseconds of a key")
        .keys(&[range(1, 0, 1, "OW update")]),
    Spec::new("set", -3, WRITE | DENYOOM, "write string slow", string::set)
        .docs("1.0.0", "string", "O(1)", "Set the string value of a key")
        .keys(&[range(1, 0, 1, "RW access update variable_flags").note("RW and ACCESS due to the optional `GET` argument")]),
    Spec::new("setex", 4, WRITE | DENYOOM, "write string slow", string::setex)
        .docs("2.0.0", "string", "O(1)", "Set the value and expiration of a key")
        .keys(&[range(1, 0, 1, "OW update")]),
    Spec::new("setnx", 3, WRITE | DENYOOM | FAST, "write string fast", string::setnx)
        .docs("1.0.0", "string", "O(1)", "Set the value of a key, only if the key does not exist")
        .keys(&[range(1, 0, 1, "OW insert")]),
    Spec::new("setrange", 4, WRITE | DENYOOM, "write string slow", string::setrange)
        .docs("2.2.0", "string", "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.", "Overwrite part of a string at key starting at the specified offset")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("strlen", 2, READONLY | FAST, "read string fast", string::strlen)
        .docs("2.2.0", "string", "O(1)", "Get the length of the value stored in a key")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("substr", 4, READONLY, "read string slow", string::substr)
        .docs("1.0.0", "string", "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.", "Get a substring of the string stored at a key")
        .keys(&[range(1, 0, 1, "RO access")]),
];
