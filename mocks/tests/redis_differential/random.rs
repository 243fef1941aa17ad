//! Sequences drawn by chance, shrunk to the shortest that still differs.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::choice;
use crate::wire::{Pair, Servers, same};

/// A command line with holes: `K` a key, `F` a field, `V` a value, `I` an integer, `N` a float, `T` a deadline
/// far ahead or in the past, `D` a database, `M` a member, `P` a score, `R` and `X` the end of
/// a range of scores and of names, `C` a number of keys, `S` a limit of an encoding; `a/b/-` one of several, `-` being nothing.
type Template = &'static str;

const STRINGS: &[Template] = &[
    "set K V",
    "set K V -/nx/xx -/get -/keepttl",
    "set K V ex/px T -/get",
    "set K V exat/pxat T",
    "get K",
    "getset K V",
    "getdel K",
    "getex K -/persist",
    "getex K ex/px/exat/pxat T",
    "setnx K V",
    "setex K T V",
    "psetex K T V",
    "mset K V K V",
    "msetnx K V K V",
    "mget K K K",
    "append K V",
    "strlen K",
    "setrange K I V",
    "getrange K I I",
    "substr K I I",
    "incr K",
    "decr K",
    "incrby K I",
    "decrby K I",
    "incrbyfloat K N",
    "lcs K K -/len/idx -/withmatchlen",
    "object encoding K",
    "hset K F V",
];

const KEYS: &[Template] = &[
    "set K V",
    "set K V px T",
    "hset K F V",
    "del K K",
    "unlink K",
    "exists K K",
    "type K",
    "touch K K",
    "rename K K",
    "renamenx K K",
    "copy K K -/replace",
    "copy K K db D -/replace",
    "move K D",
    "select D",
    "keys *",
    "dbsize",
    "expire K T -/nx/xx/gt/lt",
    "pexpire K T -/nx/xx/gt/lt",
    "expireat K T",
    "pexpireat K T",
    "ttl K",
    "pttl K",
    "expiretime K",
    "pexpiretime K",
    "persist K",
    "scan 0 count 1000",
    "swapdb D D",
    "flushdb",
    "object encoding K",
    "get K",
    "hgetall K",
    "randomkey",
    "expire K T V",
    "append K V",
];

const HASHES: &[Template] = &[
    "hset K F V",
    "hset K F V F V",
    "hmset K F V",
    "hsetnx K F V",
    "hget K F",
    "hmget K F F",
    "hgetall K",
    "hkeys K",
    "hvals K",
    "hlen K",
    "hexists K F",
    "hdel K F",
    "hdel K F F",
    "hincrby K F I",
    "hincrbyfloat K F N",
    "hstrlen K F",
    "hscan K 0 -/count -",
    "hrandfield K I -/withvalues",
    "set K V",
    "del K",
    "object encoding K",
    "expire K T",
    "ttl K",
];

const LISTS: &[Template] = &[
    "lpush K V",
    "rpush K M M M",
    "rpush K M M",
    "lpush K M M",
    "lpushx K V V",
    "rpushx K V",
    "lpop K",
    "rpop K",
    "lpop K I",
    "rpop K I",
    "llen K",
    "lrange K I I",
    "lrange K 0 -1",
    "lindex K I",
    "lset K I V",
    "lrem K I M",
    "ltrim K I I",
    "linsert K before/after/x M V",
    "lpos K M",
    "lpos K M -/rank I",
    "lpos K M rank I -/count I",
    "lpos K M count I maxlen I",
    "lmove K K left/right left/right",
    "rpoplpush K K",
    "lmpop C K K left/right",
    "lmpop 2 K K left/right count I",
    "object encoding K",
    "set K V",
    "sadd K M",
    "del K",
    "copy K K replace",
    "rename K K",
    "expire K T",
    "ttl K",
];

const ZSETS: &[Template] = &[
    "zadd K P M",
    "zadd K P M P M P M",
    "zadd K P M P M P M",
    "zadd K -/nx/xx -/gt/lt -/ch P M P M",
    "zadd K -/nx/xx -/gt/lt -/ch -/incr P M",
    "zincrby K P M",
    "zrem K M",
    "zrem K M M",
    "zscore K M",
    "zmscore K M M",
    "zcard K",
    "zrank K M",
    "zrevrank K M",
    "zrange K 0 -1 withscores",
    "zpopmin K -/1/2/0",
    "zpopmax K -/1/2/0",
    "zpopmin K I",
    "zmpop C K K min/max",
    "zmpop 2 K K min/max count I",
    "zrandmember K",
    "zrandmember K I -/withscores",
    "zscan K 0 count 1000",
    "zscan K 0 match M count 1000",
    "zunion 2 K K -/withscores",
    "zunion 2 K K weights P P aggregate sum/min/max withscores",
    "zinter 2 K K weights P P aggregate sum/min/max withscores",
    "zinter 3 K K K withscores",
    "zdiff 2 K K -/withscores",
    "zdiff C K K -/withscores",
    "zunionstore K 2 K K -/weights -/1 -/2",
    "zunionstore K C K K aggregate sum/min/max",
    "zinterstore K 2 K K weights P P",
    "zdiffstore K 3 K K K",
    "zintercard C K K -/limit I",
    "zintercard 2 K K limit I",
    "sadd K M M",
    "set K V",
    "del K",
    "copy K K replace",
    "rename K K",
    "object encoding K",
    "expire K T",
    "ttl K",
    "config set zset-max-listpack-entries S",
    "zcount K R R",
];

const RANGES: &[Template] = &[
    "zadd K P M P M P M",
    "zadd K P M P M P M",
    "zadd K 0 a 0 b 0 c 0 10 0 1",
    "zrange K I I -/withscores",
    "zrange K I I rev -/withscores",
    "zrange K R R byscore -/rev -/withscores",
    "zrange K R R byscore -/rev limit I I",
    "zrange K X X bylex -/rev",
    "zrange K X X bylex -/rev limit I I",
    "zrange K I I limit I I",
    "zrevrange K I I -/withscores",
    "zrangebyscore K R R -/withscores",
    "zrangebyscore K R R withscores limit I I",
    "zrevrangebyscore K R R -/withscores",
    "zrangebylex K X X",
    "zrangebylex K X X limit I I",
    "zrevrangebylex K X X",
    "zrevrangebylex K X X limit I I",
    "zrangestore K K I I -/rev",
    "zrangestore K K R R byscore -/rev",
    "zrangestore K K R R byscore -/rev limit I I",
    "zrangestore K K X X bylex -/rev",
    "zcount K R R",
    "zlexcount K X X",
    "zremrangebyrank K I I",
    "zremrangebyscore K R R",
    "zremrangebylex K X X",
    "zrange K 0 -1 withscores",
    "set K V",
    "del K",
    "object encoding K",
];

/// Ranges by name of members of one score, in either encoding; by score of any.
const SKIPLISTS: &[Template] = &[
    "config set zset-max-listpack-entries S",
    "zadd b 0 a 0 b 0 c 0 10 0 1",
    "zadd b 0 M 0 M",
    "zadd c P M P M P M",
    "zadd c P M P M P M",
    "zrange b X X bylex -/rev",
    "zrangebylex b X X limit I I",
    "zrevrangebylex b X X limit I I",
    "zrangestore d c R R byscore -/rev",
    "zrangestore a b X X bylex -/rev",
    "zlexcount b X X",
    "zremrangebylex b X X",
    "zrangebyscore c R R withscores limit I I",
    "zrevrangebyscore c R R withscores limit I I",
    "zcount c R R",
    "zrank c M",
    "zremrangebyscore c R R",
    "zremrangebyrank c I I",
    "zrange K 0 -1 withscores",
    "object encoding K",
    "zscan c 0 count 1000",
];

const SETS: &[Template] = &[
    "sadd K M",
    "sadd K M M M",
    "sadd K M M M",
    "srem K M",
    "srem K M M M",
    "smove K K M",
    "sismember K M",
    "smismember K M M",
    "smembers K",
    "scard K",
    "sinter K K",
    "sinter K K K",
    "sunion K K",
    "sdiff K K",
    "sdiff K K K",
    "sinterstore K K K",
    "sunionstore K K K",
    "sdiffstore K K K",
    "sdiffstore K K K K",
    "sintercard C K K -/limit I",
    "sintercard 2 K K limit I",
    "spop K",
    "spop K I",
    "srandmember K",
    "srandmember K I",
    "sscan K 0 count 1000",
    "sscan K 0 match M count 1000",
    "set K V",
    "del K",
    "copy K K replace",
    "rename K K",
    "object encoding K",
    "object encoding K",
    "expire K T",
    "ttl K",
    "type K",
    "config set set-max-intset-entries S",
];

const TRANSACTIONS: &[Template] = &[
    "multi",
    "exec",
    "exec",
    "discard",
    "watch K",
    "watch K K",
    "unwatch",
    "set K V",
    "get K",
    "incr K",
    "hset K F V",
    "del K",
    "incr",
    "nosuch K",
    "expire K T",
    "flushdb",
    "select D",
    "eval 'return_redis.call(\"incr\",KEYS[1])' 1 K",
    "eval 'return_redis.pcall(\"hget\",KEYS[1],ARGV[1])' 1 K F",
    "eval 'return_{ARGV[1],1.9,false,KEYS[1]}' 1 K V",
    "rename K K",
];

/// Names and templates.
pub fn groups() -> [(&'static str, &'static [Template]); 9] {
    [
        ("strings", STRINGS),
        ("keys", KEYS),
        ("hashes", HASHES),
        ("sets", SETS),
        ("lists", LISTS),
        ("sorted_sets", ZSETS),
        ("sorted_set_ranges", RANGES),
        ("skiplists", SKIPLISTS),
        ("transactions", TRANSACTIONS),
    ]
}

const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "10",
    "abc",
    "3.5",
    "-0.25",
    "1e2",
    " 1",
    "01",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "inf",
    "\u{7f}",
];
const MEMBERS: &[&str] =
    &["1", "2", "3", "-7", "0", "07", "a", "b", "", "*", "9223372036854775807", "-", "10"];
const SCORES: &[&str] = &[
    "0", "1", "1", "2", "2", "-1.5", "0.1", "1e2", "3.14", "inf", "-inf", "x", "1e400", "-0", "1e17", "1e-5",
];
const SCORE_BOUNDS: &[&str] =
    &["-inf", "+inf", "0", "1", "(1", "2", "(2", "-1.5", "(inf", "100", "x", "", "(", " 1", "(x"];
const NAME_BOUNDS: &[&str] = &["-", "+", "-", "+", "[a", "(a", "[b", "(1", "[", "(", "x", "", "[10", "(b"];
const INTEGERS: &[&str] =
    &["0", "1", "-1", "2", "5", "-3", "100", "9223372036854775807", "-9223372036854775808", "x", ""];
const FLOATS: &[&str] = &["0", "1", "-1.5", "0.1", "3.14", "1e2", "x", "-0.25", "inf"];
const TIMES: &[&str] =
    &["0", "-1", "5000000", "7000000", "x", "9223372036854775807", "4102444800", "4102444800000"];

fn command(template: Template) -> BoxedStrategy<Vec<Vec<u8>>> {
    let any_of =
        |options: &'static [&'static str]| proptest::sample::select(options).prop_map(str::to_owned).boxed();
    let hole = |word: &'static str| -> BoxedStrategy<String> {
        match word {
            "K" => any_of(&["a", "b", "c", "d"]),
            "F" => any_of(&["f", "g", "h", ""]),
            "V" => any_of(VALUES),
            "I" => any_of(INTEGERS),
            "N" => any_of(FLOATS),
            "T" => any_of(TIMES),
            "M" => any_of(MEMBERS),
            "P" => any_of(SCORES),
            "R" => any_of(SCORE_BOUNDS),
            "X" => any_of(NAME_BOUNDS),
            "C" => any_of(&["2", "2", "2", "1", "0", "-1", "3", "x"]),
            "S" => any_of(&["0", "2", "3", "512"]),
            "D" => prop_oneof![4 => any_of(&["0", "1"]), 1 => any_of(&["16", "x", "-1"])].boxed(),
            word if word.contains('/') => {
                proptest::sample::select(word.split('/').collect::<Vec<_>>()).prop_map(str::to_owned).boxed()
            }
            word => Just(word.trim_matches('\'').replace('_', " ")).boxed(),
        }
    };
    let holes: Vec<_> = template.split(' ').map(hole).collect();
    holes
        .prop_map(|words| words.into_iter().filter(|word| word != "-").map(String::into_bytes).collect())
        .boxed()
}

/// Runs random sequences on both servers.
pub fn run(servers: &Servers, version: u8, templates: &'static [Template]) -> Result<(), String> {
    let one = proptest::sample::select(templates).prop_flat_map(command);
    let sequences = prop::collection::vec(one, 1..60);
    let config = Config { cases: 40, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&sequences, |sequence| {
        let mut pair = servers.pair(version).map_err(TestCaseError::fail)?;
        for command in &sequence {
            let step = if choice::is_one(command) {
                choice::agrees(&mut pair, command)
            } else {
                agree(&mut pair, command)
            };
            step.map_err(TestCaseError::fail)?;
        }
        Ok(())
    });
    outcome.map_err(|error| match error {
        proptest::test_runner::TestError::Fail(why, sequence) => {
            let lines = sequence.iter().map(|command| format!("  {}", show(command))).collect::<Vec<_>>();
            format!("{why}\nafter\n{}", lines.join("\n"))
        }
        other => other.to_string(),
    })
}

/// Sends a command to both servers; what differs is an error.
pub fn agree(pair: &mut Pair<'_>, command: &[Vec<u8>]) -> Result<(), String> {
    let (real, mock) = pair.ask(command)?;
    if same(command, &real, &mock) { Ok(()) } else { Err(format!("real {real:?}\nmock {mock:?}")) }
}

fn show(command: &[Vec<u8>]) -> String {
    let words = command.iter().map(|word| format!("{:?}", String::from_utf8_lossy(word)));
    words.collect::<Vec<_>>().join(" ")
}
