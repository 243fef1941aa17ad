//! The redis crate: what its documentation shows, example by example. Each prints its name, then what it saw, and a
//! line that begins with `!!` if it failed.

use futures_util::StreamExt;
use redis::aio::ConnectionManagerConfig;
use redis::streams::{StreamId, StreamMaxlen, StreamRangeReply, StreamReadOptions, StreamReadReply};
use redis::{
    AsyncCommands, Client, Commands, ControlFlow, FromRedisValue, PubSubCommands, RedisResult, Script,
    ToRedisArgs, Value,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

type Example = (&'static str, fn(&Client) -> RedisResult<()>);

const EXAMPLES: &[Example] = &[
    ("executing commands", commands),
    ("high level commands and types", high_level),
    ("structures as arguments", arguments),
    ("iteration protocol", iteration),
    ("pipelining", pipelining),
    ("transactions", transactions),
    ("publish and subscribe", pubsub),
    ("scripts", scripts),
    ("streams", streams),
    ("geospatial", geo),
    ("RESP3 and pushes", resp3),
    ("database, user and client of a URL", urls),
    ("errors", errors),
    ("monitor", monitor),
    ("async: commands, pipelines, concurrency", async_commands),
    ("async: publish and subscribe", async_pubsub),
    ("async: connection manager", manager),
];

fn main() {
    let url = format!("redis://{}:{}", variable("REDIS_HOST"), variable("REDIS_PORT"));
    let client = Client::open(url).expect("the address of a server");
    for (name, example) in EXAMPLES {
        println!("## {name}");
        let done = client
            .get_connection()
            .and_then(|mut server| server.flushall::<()>())
            .and_then(|()| example(&client));
        if let Err(error) = done {
            println!("!! {error}");
        }
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("REDIS_HOST and REDIS_PORT name the server")
}

fn show(value: impl Debug) {
    println!("{value:?}");
}

fn show_failure<T: Debug>(result: RedisResult<T>) {
    match result {
        Ok(value) => println!("no error: {value:?}"),
        Err(error) => println!("{:?} {:?} {error}", error.kind(), error.code()),
    }
}

fn on_tokio<F: Future<Output = RedisResult<()>>>(future: F) -> RedisResult<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

fn commands(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    redis::cmd("SET").arg("my_key").arg(42).exec(&mut con)?;
    show(redis::cmd("GET").arg("my_key").query::<i32>(&mut con)?);
    show(redis::cmd("GET").arg("none").query::<Option<String>>(&mut con)?);
    show(redis::cmd("SET").arg("k").arg("v").arg("NX").arg("EX").arg(100).query::<Value>(&mut con)?);
    show(redis::cmd("PING").query::<String>(&mut con)?);
    Ok(())
}

fn high_level(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    con.set::<_, _, ()>("counter", 41)?;
    show(con.incr::<_, _, i64>("counter", 1)?);
    show(con.set_ex::<_, _, String>("session", "x", 60)?);
    show(con.ttl::<_, i64>("session")?);
    show(con.mget::<_, (Option<i64>, Option<String>, Option<String>)>(&["counter", "session", "none"])?);
    show(con.rpush::<_, _, usize>("list", &[1, 2, 3])?);
    show(con.lrange::<_, Vec<u8>>("list", 0, -1)?);
    show(con.blpop::<_, (String, u8)>("list", 1.0)?);
    show(con.blpop::<_, Option<(String, u8)>>("none", 0.03)?);
    show(con.sadd::<_, _, usize>("set", &["a", "b"])?);
    show(con.smembers::<_, BTreeSet<String>>("set")?);
    show(con.zadd_multiple::<_, _, _, usize>("z", &[(1.5, "a"), (0.5, "b")])?);
    show(con.zrange_withscores::<_, Vec<(String, f64)>>("z", 0, -1)?);
    show(con.zpopmin::<_, Vec<(String, f64)>>("z", 1)?);
    show(con.exists::<_, bool>("z")?);
    show(con.del::<_, usize>(&["z", "none"])?);
    show(con.pfadd::<_, _, bool>("h", "x")?);
    show(con.pfcount::<_, usize>("h")?);
    show(con.setbit::<_, bool>("bits", 3, true)?);
    show(con.bitcount::<_, usize>("bits")?);
    show(con.object_encoding::<_, Option<String>>("counter")?);
    Ok(())
}

fn arguments(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    con.hset_multiple::<_, _, _, ()>("user", &[("name", "Ann"), ("age", "30")])?;
    show(con.hgetall::<_, BTreeMap<String, String>>("user")?);
    show(con.hgetall::<_, HashMap<String, String>>("none")?.len());
    show(con.hget::<_, _, Option<i64>>("user", "age")?);
    show(con.hincr::<_, _, _, i64>("user", "age", 2)?);
    let map = BTreeMap::from([("a", 1), ("b", 2)]);
    show(redis::cmd("HSET").arg("map").arg(&map).query::<usize>(&mut con)?);
    con.set::<_, _, ()>("bytes", vec![0u8, 255, 10])?;
    show(con.get::<_, Vec<u8>>("bytes")?);
    show(String::from_redis_value(con.get("user").unwrap_or(Value::Nil)).is_err());
    show("x".num_of_args());
    Ok(())
}

fn iteration(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    for at in 0..200 {
        con.set::<_, _, ()>(format!("key:{at}"), at)?;
        con.hset::<_, _, _, ()>("hash", at, at * 2)?;
        con.sadd::<_, _, ()>("my_set", at)?;
    }
    let matching: BTreeSet<String> = con.scan_match("key:19*")?.collect::<RedisResult<_>>()?;
    show(matching);
    show(con.hscan::<_, (u32, u32)>("hash")?.collect::<RedisResult<BTreeMap<_, _>>>()?.len());
    let mut command = redis::cmd("SSCAN");
    command.arg("my_set").cursor_arg(0);
    show(command.iter::<u32>(&mut con)?.collect::<RedisResult<BTreeSet<_>>>()?.len());
    Ok(())
}

fn pipelining(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    let mut pipe = redis::pipe();
    pipe.cmd("SET").arg("key_1").arg(42).ignore().cmd("SET").arg("key_2").arg(43).ignore();
    show(pipe.cmd("GET").arg("key_1").cmd("GET").arg("key_2").query::<(i32, i32)>(&mut con)?);
    show(redis::pipe().incr("n", 1).lpush("n", 1).ignore().get("n").query::<(i64, i64)>(&mut con).is_err());
    show(redis::pipe().rpush("l", 1).llen("l").query::<(usize, usize)>(&mut con)?);
    Ok(())
}

fn transactions(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    let mut other = client.get_connection()?;
    let atomic: (i32, i32) =
        redis::pipe().atomic().set("a", 1).ignore().incr("a", 1).get("a").query(&mut con)?;
    show(atomic);
    let mut tries = 0;
    let (value,): (i64,) = redis::transaction(&mut con, &["a"], |con, pipe| {
        let old: i64 = con.get("a")?;
        tries += 1;
        if tries == 1 {
            other.incr::<_, _, ()>("a", 10)?;
        }
        pipe.set("a", old + 1).ignore().get("a").query(con)
    })?;
    show((tries, value));
    show_failure(redis::pipe().atomic().cmd("SET").arg("a").query::<Value>(&mut con));
    Ok(())
}

fn pubsub(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    let mut publisher = client.get_connection()?;
    let mut pubsub = con.as_pubsub();
    pubsub.subscribe(&["channel_1", "channel_2"])?;
    pubsub.psubscribe("pattern*")?;
    show(publisher.publish::<_, _, usize>("channel_2", "hello")?);
    show(publisher.publish::<_, _, usize>("pattern:1", "there")?);
    for _ in 0..2 {
        let message = pubsub.get_message()?;
        let pattern: Option<String> = message.get_pattern()?;
        show((message.get_channel_name(), pattern, message.get_payload::<String>()?));
    }
    drop(pubsub);
    show(con.get::<_, Option<String>>("after")?);
    let sender = std::thread::spawn(move || while publisher.publish("jobs", "done") != Ok(1) {});
    let payload = con.subscribe(&["jobs"], |message| ControlFlow::Break(message.get_payload::<String>()))?;
    show(payload?);
    sender.join().unwrap_or_default();
    Ok(())
}

fn scripts(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    let script = Script::new("return tonumber(ARGV[1]) + tonumber(ARGV[2]);");
    show(script.get_hash());
    show(script.arg(1).arg(2).invoke::<i32>(&mut con)?);
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut con)?;
    show(script.arg(3).arg(4).invoke::<i32>(&mut con)?);
    let swap = Script::new(
        "local old = redis.call('GET', KEYS[1]); redis.call('SET', KEYS[1], ARGV[1]); return old",
    );
    show(swap.key("k").arg("v").invoke::<Option<String>>(&mut con)?);
    show(swap.key("k").arg("w").invoke::<Option<String>>(&mut con)?);
    show_failure(Script::new("return redis.call('lpush', KEYS[1], 1)").key("k").invoke::<Value>(&mut con));
    show(
        redis::pipe()
            .load_script(&script)
            .ignore()
            .invoke_script(script.arg(5).arg(6))
            .query::<(i32,)>(&mut con)?,
    );
    Ok(())
}

fn streams(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    for at in 1..=4 {
        con.xadd::<_, _, _, _, ()>("s", format!("{at}-0"), &[("n", at)])?;
    }
    show(con.xadd_maxlen::<_, _, _, _, String>("s", StreamMaxlen::Equals(4), "5-*", &[("n", 5)])?);
    show(con.xgroup_create_mkstream::<_, _, _, String>("s", "g", "0")?);
    show_failure(con.xgroup_create::<_, _, _, String>("s", "g", "0"));
    let options = StreamReadOptions::default().group("g", "alice").count(2);
    let reply: StreamReadReply = con.xread_options(&["s"], &[">"], &options)?;
    show(
        reply.keys.iter().flat_map(|key| &key.ids).map(|StreamId { id, .. }| id.clone()).collect::<Vec<_>>(),
    );
    show(con.xack::<_, _, _, usize>("s", "g", &["2-0"])?);
    show(con.xpending::<_, _, Value>("s", "g")?);
    let range: StreamRangeReply = con.xrange_count("s", "-", "+", 2)?;
    show(range.ids.iter().map(|entry| (entry.id.clone(), entry.get::<i32>("n"))).collect::<Vec<_>>());
    let options = StreamReadOptions::default().block(20);
    show(con.xread_options::<_, _, Option<StreamReadReply>>(&["s"], &["$"], &options)?.is_none());
    show(con.xlen::<_, usize>("s")?);
    Ok(())
}

fn geo(client: &Client) -> RedisResult<()> {
    use redis::geo::{Coord, RadiusOptions, RadiusOrder, RadiusSearchResult, Unit};
    let mut con = client.get_connection()?;
    let places = &[
        (Coord::lon_lat(13.361389, 38.115556), "Palermo"),
        (Coord::lon_lat(15.087269, 37.502669), "Catania"),
    ];
    show(con.geo_add::<_, _, usize>("Sicily", places)?);
    show(con.geo_dist::<_, _, _, f64>("Sicily", "Palermo", "Catania", Unit::Kilometers)?);
    show(con.geo_pos::<_, _, Vec<Option<Coord<f64>>>>("Sicily", &["Palermo", "none"])?);
    let options = RadiusOptions::default().order(RadiusOrder::Asc).with_dist();
    let near: Vec<RadiusSearchResult> =
        con.geo_radius("Sicily", 15.0, 37.0, 200.0, Unit::Kilometers, options)?;
    show(near.iter().map(|found| (&found.name, found.dist)).collect::<Vec<_>>());
    Ok(())
}

fn resp3(client: &Client) -> RedisResult<()> {
    let address = client.get_connection_info().addr().to_string();
    let mut con = Client::open(format!("redis://{address}/?protocol=resp3"))?.get_connection()?;
    con.hset::<_, _, _, ()>("h", "f", "v")?;
    con.zadd::<_, _, _, ()>("z", "m", 1.5)?;
    con.sadd::<_, _, ()>("s", "x")?;
    show(redis::cmd("HGETALL").arg("h").query::<Value>(&mut con)?);
    show(redis::cmd("ZRANGE").arg("z").arg(0).arg(-1).arg("WITHSCORES").query::<Value>(&mut con)?);
    show(redis::cmd("SMEMBERS").arg("s").query::<Value>(&mut con)?);
    for kind in ["bignum", "true", "verbatim", "double", "null", "push"] {
        show(redis::cmd("DEBUG").arg("PROTOCOL").arg(kind).query::<Value>(&mut con)?);
    }
    Ok(())
}

fn urls(client: &Client) -> RedisResult<()> {
    let address = client.get_connection_info().addr().to_string();
    let mut con = client.get_connection()?;
    redis::cmd("ACL").arg(&["SETUSER", "ann", "on", ">secret", "~*", "+@all"]).exec(&mut con)?;
    let mut ann = Client::open(format!("redis://ann:secret@{address}/4"))?.get_connection()?;
    ann.set::<_, _, ()>("a", 1)?;
    show(redis::cmd("ACL").arg("WHOAMI").query::<String>(&mut ann)?);
    show(con.get::<_, Option<String>>("a")?);
    show_failure(Client::open(format!("redis://ann:wrong@{address}"))?.get_connection().map(|_| ()));
    show_failure(Client::open(format!("redis://{address}/99"))?.get_connection().map(|_| ()));
    show(redis::cmd("ACL").arg("DELUSER").arg("ann").query::<u8>(&mut con)?);
    Ok(())
}

fn errors(client: &Client) -> RedisResult<()> {
    let mut con = client.get_connection()?;
    con.set::<_, _, ()>("text", "abc")?;
    show_failure(con.incr::<_, _, i64>("text", 1));
    show_failure(con.lpush::<_, _, i64>("text", 1));
    show_failure(con.get::<_, i64>("text"));
    show_failure(redis::cmd("NOPE").arg(1).query::<Value>(&mut con));
    show_failure(redis::cmd("EVALSHA").arg("f".repeat(40)).arg(0).query::<Value>(&mut con));
    show_failure(redis::cmd("GET").query::<Value>(&mut con));
    Ok(())
}

fn monitor(client: &Client) -> RedisResult<()> {
    let mut watched = client.get_connection()?;
    on_tokio(async {
        let mut lines = client.get_async_monitor().await?.into_on_message::<String>();
        watched.set::<_, _, ()>("a", "b c")?;
        while let Some(line) = lines.next().await {
            if let Some((_, command)) = line.split_once("] ")
                && command.starts_with("\"SET\"")
            {
                show(command);
                break;
            }
        }
        Ok(())
    })
}

fn async_commands(client: &Client) -> RedisResult<()> {
    on_tokio(async {
        let mut con = client.get_multiplexed_async_connection().await?;
        con.set::<_, _, ()>("key1", b"foo").await?;
        show(con.get::<_, String>("key1").await?);
        let (one, two, three) =
            tokio::join!(increased(con.clone()), increased(con.clone()), increased(con.clone()));
        show([one?, two?, three?]);
        let mut pipe = redis::pipe();
        let values: (String, i64) = pipe.atomic().get("key1").incr("n", 5).query_async(&mut con).await?;
        show(values);
        let mut keys: Vec<String> =
            con.scan_match::<_, String>("*").await?.map(|key| key.unwrap_or_default()).collect().await;
        keys.sort();
        show(keys);
        show(
            Script::new("return {KEYS[1], ARGV[1]}")
                .key("k")
                .arg(7)
                .invoke_async::<(String, i32)>(&mut con)
                .await?,
        );
        Ok(())
    })
}

async fn increased(mut con: redis::aio::MultiplexedConnection) -> RedisResult<i64> {
    con.incr("n", 1).await
}

fn async_pubsub(client: &Client) -> RedisResult<()> {
    on_tokio(async {
        let (mut sink, mut stream) = client.get_async_pubsub().await?.split();
        let mut publisher = client.get_multiplexed_async_connection().await?;
        sink.subscribe("wave").await?;
        sink.psubscribe("w?ve").await?;
        show(publisher.publish::<_, _, usize>("wave", "hi").await?);
        for _ in 0..2 {
            if let Some(message) = stream.next().await {
                show((message.get_channel_name(), message.from_pattern(), message.get_payload::<String>()?));
            }
        }
        sink.unsubscribe("wave").await?;
        sink.punsubscribe("w?ve").await?;
        show(publisher.publish::<_, _, usize>("wave", "lost").await?);
        Ok(())
    })
}

fn manager(client: &Client) -> RedisResult<()> {
    on_tokio(async {
        let config = ConnectionManagerConfig::new()
            .set_min_delay(std::time::Duration::from_millis(1))
            .set_number_of_retries(5);
        let mut manager = client.get_connection_manager_with_config(config).await?;
        let mut admin = client.get_multiplexed_async_connection().await?;
        manager.set::<_, _, ()>("a", 1).await?;
        let number: i64 = redis::cmd("CLIENT").arg("ID").query_async(&mut manager).await?;
        show(redis::cmd("CLIENT").arg("KILL").arg("ID").arg(number).query_async::<usize>(&mut admin).await?);
        // The request that finds the connection gone fails; one of the next is sent on a new one.
        let mut value = manager.get::<_, i64>("a").await;
        while value.is_err() {
            value = manager.get("a").await;
        }
        show(value?);
        show(redis::cmd("CLIENT").arg("ID").query_async::<i64>(&mut manager).await? > number);
        Ok(())
    })
}
