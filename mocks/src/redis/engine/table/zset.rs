//! The commands on sorted sets, as Redis 7.0.15 describes them in `COMMAND INFO` and `COMMAND DOCS`.
//!
//! Data only; the differential suite compares every row with a real server. Arguments and history,
//! which `COMMAND DOCS` tells too, are in `cmd/command_docs.txt`.

use super::flags::{BLOCKING, DENYOOM, FAST, MOVABLEKEYS, NOSCRIPT, READONLY, WRITE};
use super::{Spec, keynum, range};
use crate::redis::engine::cmd::{zset, zset_block};

/// The rows, sorted by name.
pub(super) const TABLE: &[Spec] = &[
    Spec::new("bzmpop", -5, WRITE | BLOCKING | MOVABLEKEYS, "write sortedset slow blocking", zset_block::bzmpop)
        .docs("7.0.0", "sorted-set", "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.", "Remove and return members with scores in a sorted set or block until one is available")
        .keys(&[keynum(2, "RW access delete")]),
    Spec::new("bzpopmax", -3, WRITE | NOSCRIPT | BLOCKING | FAST, "write sortedset fast blocking", zset_block::bzpopmax)
        .docs("5.0.0", "sorted-set", "O(log(N)) with N being the number of elements in the sorted set.", "Remove and return the member with the highest score from one or more sorted sets, or block until one is available")
        .keys(&[range(1, -2, 1, "RW access delete")]),
    Spec::new("bzpopmin", -3, WRITE | NOSCRIPT | BLOCKING | FAST, "write sortedset fast blocking", zset_block::bzpopmin)
        .docs("5.0.0", "sorted-set", "O(log(N)) with N being the number of elements in the sorted set.", "Remove and return the member with the lowest score from one or more sorted sets, or block until one is available")
        .keys(&[range(1, -2, 1, "RW access delete")]),
    Spec::new("zadd", -4, WRITE | DENYOOM | FAST, "write sortedset fast", zset::zadd)
        .docs("1.2.0", "sorted-set", "O(log(N)) for each item added, where N is the number of elements in the sorted set.", "Add one or more members to a sorted set, or update its score if it already exists")
        .keys(&[range(1, 0, 1, "RW update")]),
    Spec::new("zcard", 2, READONLY | FAST, "read sortedset fast", zset::zcard)
        .docs("1.2.0", "sorted-set", "O(1)", "Get the number of members in a sorted set")
        .keys(&[range(1, 0, 1, "RO")]),
    Spec::new("zcount", 4, READONLY | FAST, "read sortedset fast", zset::zcount)
        .docs("2.0.0", "sorted-set", "O(log(N)) with N being the number of elements in the sorted set.", "Count the members in a sorted set with scores within the given values")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zdiff", -3, READONLY | MOVABLEKEYS, "read sortedset slow", zset::zdiff)
        .docs("6.2.0", "sorted-set", "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.", "Subtract multiple sorted sets")
        .keys(&[keynum(1, "RO access")]),
    Spec::new("zdiffstore", -4, WRITE | DENYOOM | MOVABLEKEYS, "write sortedset slow", zset::zdiffstore)
        .docs("6.2.0", "sorted-set", "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.", "Subtract multiple sorted sets and store the resulting sorted set in a new key")
        .keys(&[range(1, 0, 1, "OW update"), keynum(2, "RO access")]),
    Spec::new("zincrby", 4, WRITE | DENYOOM | FAST, "write sortedset fast", zset::zincrby)
        .docs("1.2.0", "sorted-set", "O(log(N)) where N is the number of elements in the sorted set.", "Increment the score of a member in a sorted set")
        .keys(&[range(1, 0, 1, "RW access update")]),
    Spec::new("zinter", -3, READONLY | MOVABLEKEYS, "read sortedset slow", zset::zinter)
        .docs("6.2.0", "sorted-set", "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.", "Intersect multiple sorted sets")
        .keys(&[keynum(1, "RO access")]),
    Spec::new("zintercard", -3, READONLY | MOVABLEKEYS, "read sortedset slow", zset::zintercard)
        .docs("7.0.0", "sorted-set", "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.", "Intersect multiple sorted sets and return the cardinality of the result")
        .keys(&[keynum(1, "RO access")]),
    Spec::new("zinterstore", -4, WRITE | DENYOOM | MOVABLEKEYS, "write sortedset slow", zset::zinterstore)
        .docs("2.0.0", "sorted-set", "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.", "Intersect multiple sorted sets and store the resulting sorted set in a new key")
        .keys(&[range(1, 0, 1, "OW update"), keynum(2, "RO access")]),
    Spec::new("zlexcount", 4, READONLY | FAST, "read sortedset fast", zset::zlexcount)
        .docs("2.8.9", "sorted-set", "O(log(N)) with N being the number of elements in the sorted set.", "Count the number of members in a sorted set between a given lexicographical range")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zmpop", -4, WRITE | MOVABLEKEYS, "write sortedset slow", zset::zmpop)
        .docs("7.0.0", "sorted-set", "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.", "Remove and return members with scores in a sorted set")
        .keys(&[keynum(1, "RW access delete")]),
    Spec::new("zmscore", -3, READONLY | FAST, "read sortedset fast", zset::zmscore)
        .docs("6.2.0", "sorted-set", "O(N) where N is the number of members being requested.", "Get the score associated with the given members in a sorted set")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zpopmax", -2, WRITE | FAST, "write sortedset fast", zset::zpopmax)
        .docs("5.0.0", "sorted-set", "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.", "Remove and return members with the highest scores in a sorted set")
        .keys(&[range(1, 0, 1, "RW access delete")]),
    Spec::new("zpopmin", -2, WRITE | FAST, "write sortedset fast", zset::zpopmin)
        .docs("5.0.0", "sorted-set", "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.", "Remove and return members with the lowest scores in a sorted set")
        .keys(&[range(1, 0, 1, "RW access delete")]),
    Spec::new("zrandmember", -2, READONLY, "read sortedset slow", zset::zrandmember)
        .docs("6.2.0", "sorted-set", "O(N) where N is the number of elements returned", "Get one or multiple random elements from a sorted set")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zrange", -4, READONLY, "read sortedset slow", zset::zrange)
        .docs("1.2.0", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.", "Return a range of members in a sorted set")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zrangebylex", -4, READONLY, "read sortedset slow", zset::zrangebylex)
        .docs("2.8.9", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).", "Return a range of members in a sorted set, by lexicographical range")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zrangebyscore", -4, READONLY, "read sortedset slow", zset::zrangebyscore)
        .docs("1.0.5", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).", "Return a range of members in a sorted set, by score")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zrangestore", -5, WRITE | DENYOOM, "write sortedset slow", zset::zrangestore)
        .docs("6.2.0", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.", "Store a range of members from sorted set into another key")
        .keys(&[range(1, 0, 1, "OW update"), range(2, 0, 1, "RO access")]),
    Spec::new("zrank", 3, READONLY | FAST, "read sortedset fast", zset::zrank)
        .docs("2.0.0", "sorted-set", "O(log(N))", "Determine the index of a member in a sorted set")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zrem", -3, WRITE | FAST, "write sortedset fast", zset::zrem)
        .docs("1.2.0", "sorted-set", "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.", "Remove one or more members from a sorted set")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("zremrangebylex", 4, WRITE, "write sortedset slow", zset::zremrangebylex)
        .docs("2.8.9", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.", "Remove all members in a sorted set between the given lexicographical range")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("zremrangebyrank", 4, WRITE, "write sortedset slow", zset::zremrangebyrank)
        .docs("2.0.0", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.", "Remove all members in a sorted set within the given indexes")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("zremrangebyscore", 4, WRITE, "write sortedset slow", zset::zremrangebyscore)
        .docs("1.2.0", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.", "Remove all members in a sorted set within the given scores")
        .keys(&[range(1, 0, 1, "RW delete")]),
    Spec::new("zrevrange", -4, READONLY, "read sortedset slow", zset::zrevrange)
        .docs("1.2.0", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.", "Return a range of members in a sorted set, by index, with scores ordered from high to low")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zrevrangebylex", -4, READONLY, "read sortedset slow", zset::zrevrangebylex)
        .docs("2.8.9", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).", "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zrevrangebyscore", -4, READONLY, "read sortedset slow", zset::zrevrangebyscore)
        .docs("2.2.0", "sorted-set", "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).", "Return a range of members in a sorted set, by score, with scores ordered from high to low")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zrevrank", 3, READONLY | FAST, "read sortedset fast", zset::zrevrank)
        .docs("2.0.0", "sorted-set", "O(log(N))", "Determine the index of a member in a sorted set, with scores ordered from high to low")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zscan", -3, READONLY, "read sortedset slow", zset::zscan)
        .docs("2.8.0", "sorted-set", "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..", "Incrementally iterate sorted sets elements and associated scores")
        .tips(&["nondeterministic_output"])
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zscore", 3, READONLY | FAST, "read sortedset fast", zset::zscore)
        .docs("1.2.0", "sorted-set", "O(1)", "Get the score associated with the given member in a sorted set")
        .keys(&[range(1, 0, 1, "RO access")]),
    Spec::new("zunion", -3, READONLY | MOVABLEKEYS, "read sortedset slow", zset::zunion)
        .docs("6.2.0", "sorted-set", "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.", "Add multiple sorted sets")
        .keys(&[keynum(1, "RO access")]),
    Spec::new("zunionstore", -4, WRITE | DENYOOM | MOVABLEKEYS, "write sortedset slow", zset::zunionstore)
        .docs("2.0.0", "sorted-set", "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.", "Add multiple sorted sets and store the resulting sorted set in a new key")
        .keys(&[range(1, 0, 1, "OW update"), keynum(2, "RO access")]),
];
