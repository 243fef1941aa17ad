"""redis-py: what its README and guides show, example by example, by the version of the protocol that PROTOCOL names."""

import asyncio
import os
import threading

import redis
import redis.asyncio
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError, LockError, TimeoutError, WatchError
from redis.retry import Retry

from redis_page import HOST, PORT, URL, Page, error_of

page = Page()
PROTOCOL = int(os.environ["PROTOCOL"])


def connect(**options):
    return redis.Redis(host=HOST, port=PORT, **{"decode_responses": True, "protocol": PROTOCOL, **options})


@page.example("connect, set, get")
def _():
    r = connect()
    bytes_client = redis.Redis(host=HOST, port=PORT, db=0)
    return [r.ping(), r.set("foo", "bar"), r.get("foo"), bytes_client.get("foo"), r.get("none"), r.set("foo", 1, nx=True)]


@page.example("strings, counters and expiry")
def _():
    r = connect()
    r.mset({"a": 1, "b": 2.5})
    r.setex("session", 60, "token")
    return [
        r.mget("a", "b", "c"), r.incr("a"), r.incrby("a", 10), r.decr("a"), r.incrbyfloat("b", 0.1), r.append("a", "x"),
        r.strlen("a"), r.getrange("a", 0, 1), r.setrange("a", 1, "yy"), r.ttl("session"), r.persist("session"),
        r.ttl("session"), r.expire("session", 100), r.ttl("session"), r.getdel("session"), r.exists("session", "a"),
        r.set("a", "z", get=True), r.getex("a", ex=10), r.ttl("a"), r.type("a"), r.set("k", "v", px=5000, xx=True),
        r.lcs("a", "b"),
    ]


@page.example("hashes")
def _():
    r = connect()
    return [
        r.hset("user:123", mapping={"name": "John", "surname": "Smith", "age": 29}), r.hgetall("user:123"),
        r.hget("user:123", "name"), r.hincrby("user:123", "age", 2), r.hkeys("user:123"), r.hvals("user:123"),
        r.hmget("user:123", ["name", "none"]), r.hdel("user:123", "name"), r.hexists("user:123", "name"),
        r.hsetnx("user:123", "name", "Ann"), r.hstrlen("user:123", "name"), len(r.hrandfield("user:123", 2)),
        dict(r.hscan_iter("user:123")),
    ]


@page.example("lists")
def _():
    r = connect()
    return [
        r.rpush("bikes", "a", "b", "c"), r.lpush("bikes", "z"), r.lrange("bikes", 0, -1), r.lpop("bikes"),
        r.rpop("bikes", 2), r.llen("bikes"), r.lpos("bikes", "a"), r.linsert("bikes", "after", "a", "m"),
        r.lmove("bikes", "done", "LEFT", "RIGHT"), r.blpop(["none", "done"], timeout=1), r.brpop("bikes", 1),
        r.blpop("none", timeout=0.05), r.lmpop(1, "none", direction="LEFT"), r.blmove("none", "x", 0.05),
    ]


@page.example("sets")
def _():
    r = connect()
    r.sadd("fr", "bike:1", "bike:2", "bike:3")
    r.sadd("us", "bike:1", "bike:4")
    return [
        r.smembers("fr"), r.sismember("us", "bike:1"), r.smismember("us", ["bike:1", "bike:9"]), r.sinter("fr", "us"),
        r.sunion("fr", "us"), r.sdiff("fr", "us"), r.scard("fr"), r.srem("fr", "bike:1"), r.sintercard(2, ["fr", "us"]),
        r.smove("fr", "us", "bike:2"), set(r.sscan_iter("us")), r.sinterstore("both", "fr", "us"), type(r.spop("us")),
    ]


@page.example("sorted sets and leaderboards")
def _():
    r = connect()
    r.zadd("race", {"Norem": 10, "Castilla": 12, "Sam": 8, "Royce": 10.5})
    return [
        r.zrange("race", 0, -1), r.zrange("race", 0, -1, desc=True, withscores=True), r.zrangebyscore("race", "-inf", 10),
        r.zrank("race", "Norem"), r.zrevrank("race", "Norem"), r.zincrby("race", 50, "Sam"), r.zscore("race", "Sam"),
        r.zadd("race", {"Sam": 5}, lt=True), r.zpopmin("race"), r.zpopmax("race", 2), r.zmscore("race", ["Castilla", "x"]),
        r.zcard("race"), r.bzpopmin("race", 1), r.zadd("lex", {"a": 0, "b": 0, "c": 0}), r.zrangebylex("lex", "[b", "+"),
        r.zunion(["lex", "race"], withscores=True), r.zrandmember("lex", 5) != [], r.zmpop(1, ["lex"], min=True),
    ]


@page.example("bitmaps, bit fields and HyperLogLog")
def _():
    r = connect()
    field = r.bitfield("bf").set("u8", 0, 255).incrby("u4", "#2", 3).get("u8", 0)
    return [
        r.setbit("bm", 7, 1), r.getbit("bm", 7), r.bitcount("bm"), r.bitpos("bm", 1), r.bitop("OR", "all", "bm", "none"),
        field.execute(), r.pfadd("hll", *range(1000)), r.pfcount("hll"), r.pfmerge("hll2", "hll"), r.pfcount("hll", "hll2"),
    ]


@page.example("geo")
def _():
    r = connect()
    r.geoadd("stations", (-122.27652, 37.805186, "a", -122.2674626, 37.8062344, "b"))
    return [
        r.geopos("stations", "a", "none"), r.geodist("stations", "a", "b", unit="m"), r.geohash("stations", "a"),
        r.geosearch("stations", longitude=-122.2612767, latitude=37.7936847, radius=5, unit="km", sort="ASC"),
        r.geosearch("stations", member="a", width=4, height=4, unit="km", withdist=True, withcoord=True, withhash=True),
        r.geosearchstore("near", "stations", member="a", radius=5, unit="km"),
    ]


@page.example("pipelines")
def _():
    r = connect()
    pipe = r.pipeline()
    pipe.set("foo", 5).set("bar", 18.5).set("blee", "hello world!")
    first = pipe.execute()
    plain = r.pipeline(transaction=False)
    plain.get("foo").incr("blee").get("bar")
    return [first, error_of(pipe.execute), plain.execute(raise_on_error=False)[0::2], pipe.incr("blee") is pipe,
            error_of(pipe.execute), r.get("foo")]


@page.example("transactions with watch")
def _():
    r = connect()
    r.set("counter", 1)
    with r.pipeline() as pipe:
        pipe.watch("counter")
        value = int(pipe.get("counter"))
        r.incr("counter")
        pipe.multi()
        pipe.set("counter", value + 1)
        lost = error_of(pipe.execute)

    def double(pipe):
        value = int(pipe.get("counter"))
        pipe.multi()
        pipe.set("counter", value * 2)

    return [lost, r.transaction(double, "counter"), r.get("counter"), issubclass(WatchError, redis.RedisError)]


@page.example("publish and subscribe")
def _():
    r = connect()
    p = r.pubsub()
    p.subscribe("my-first-channel")
    p.psubscribe("my-*")
    seen = [p.get_message(timeout=1), p.get_message(timeout=1), r.publish("my-first-channel", "some data")]
    seen += [p.get_message(timeout=1), p.get_message(timeout=1), r.pubsub_channels(), r.pubsub_numpat()]
    seen += [r.pubsub_numsub("my-first-channel", "none"), p.ping(), p.get_message(timeout=1)]
    p.unsubscribe()
    p.punsubscribe()
    return seen + [p.get_message(timeout=1), p.get_message(timeout=1), r.publish("my-first-channel", "lost")]


@page.example("subscriber in a thread, with handlers")
def _():
    r = connect()
    seen, came = [], threading.Event()

    def handler(message):
        seen.append(message)
        came.set()

    p = r.pubsub(ignore_subscribe_messages=True)
    p.subscribe(**{"my-channel": handler})
    thread = p.run_in_thread(sleep_time=0.01)
    # The subscription may come after the first publication.
    while not r.publish("my-channel", "awesome data"):
        pass
    came.wait(5)
    thread.stop()
    thread.join()
    return seen[:1]


@page.example("sharded publish and subscribe")
def _():
    r = connect()
    p = r.pubsub()
    p.ssubscribe("orders")
    return [p.get_message(timeout=1), r.spublish("orders", "one"), p.get_message(timeout=1), r.pubsub_shardchannels()]


@page.example("locks")
def _():
    r = connect()
    lock = r.lock("print-arrangement", timeout=10)
    first = [lock.acquire(blocking=True, blocking_timeout=1), lock.locked(), lock.owned(), 9 < r.ttl("print-arrangement") <= 10]
    other = r.lock("print-arrangement", timeout=10)
    first += [other.acquire(blocking=False), error_of(other.release), lock.extend(20), lock.reacquire(), lock.release()]
    first += [error_of(lock.release), issubclass(LockError, redis.RedisError)]
    with r.lock("my_lock", timeout=5, blocking_timeout=5) as held:
        first.append((held.owned(), r.exists("my_lock")))
    return first + [r.exists("my_lock")]


@page.example("streams")
def _():
    r = connect()
    ids = [r.xadd("race:france", {"rider": rider, "speed": 30.2}, id=f"1692632086370-{at}") for at, rider in enumerate("abc")]
    return ids + [
        r.xlen("race:france"), r.xrange("race:france", "-", "+", count=2), r.xrevrange("race:france", count=1),
        r.xread(streams={"race:france": 0}, count=2), r.xread(streams={"race:france": "$"}, block=30),
        error_of(r.xadd, "race:france", {"a": 1}, id="0-1"), r.xdel("race:france", ids[0]), r.xtrim("race:france", maxlen=1),
        r.xinfo_stream("race:france"), r.xadd("race:france", {"x": 1}, maxlen=2, approximate=False, id="1692632086371-*"),
    ]


@page.example("stream groups")
def _():
    r = connect()
    for at in range(5):
        r.xadd("s", {"n": at}, id=f"{at + 1}-0")
    made = [r.xgroup_create("s", "g", id=0), error_of(r.xgroup_create, "s", "g"), r.xgroup_create("new", "g", mkstream=True)]
    read = [r.xreadgroup("g", "alice", {"s": ">"}, count=2), r.xreadgroup("g", "bob", {"s": ">"}, count=2)]
    pending = r.xpending("s", "g")
    entries = [{**e, "time_since_delivered": 0} for e in r.xpending_range("s", "g", "-", "+", 10)]
    claimed = r.xclaim("s", "g", "bob", 0, ["1-0"])
    auto = r.xautoclaim("s", "g", "carol", 0, "0-0", count=2)
    groups = r.xinfo_groups("s")
    consumers = [{**c, "idle": 0} for c in r.xinfo_consumers("s", "g")]
    return made + read + [
        r.xack("s", "g", "1-0", "2-0"), pending, entries, claimed, auto, groups, consumers, r.xgroup_delconsumer("s", "g", "bob"),
        r.xgroup_setid("s", "g", "0"), r.xreadgroup("g", "dan", {"s": "0"}), error_of(r.xreadgroup, "none", "x", {"s": ">"}),
        r.xgroup_destroy("s", "g"),
    ]


@page.example("scripts with register_script")
def _():
    r = connect()
    r.set("foo", 2)
    multiply = r.register_script("local v = redis.call('GET', KEYS[1]); return v * ARGV[1]")
    first = [multiply(keys=["foo"], args=[5]), multiply.sha, r.script_exists(multiply.sha, "0" * 40), r.script_flush()]
    pipe = r.pipeline()
    pipe.set("foo", 5)
    multiply(keys=["foo"], args=[5], client=pipe)
    return first + [
        pipe.execute(), multiply(keys=["foo"], args=["6"]), r.eval("return {1,2,{3,'four'},false,'five'}", 0),
        error_of(r.eval, "return redis.call('incr', KEYS[1], 1)", 1, "foo"), error_of(r.evalsha, "f" * 40, 0),
        error_of(r.eval, "return nope", 0), error_of(r.eval, "syntax(", 0), r.eval_ro("return redis.call('get', KEYS[1])", 1, "foo"),
        error_of(r.eval, "return redis.error_reply('MY error')", 0),
    ]


@page.example("functions")
def _():
    r = connect()
    code = "#!lua name=mylib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)"
    return [r.function_load(code), r.fcall("twice", 0, 21), error_of(r.function_load, code), r.function_list(), r.function_delete("mylib"),
            error_of(r.fcall, "twice", 0, 21)]


@page.example("iterators of SCAN")
def _():
    r = connect()
    r.mset({f"key:{at}": at for at in range(300)})
    r.sadd("s", *range(300))
    r.hset("h", mapping={f"f{at}": at for at in range(300)})
    r.zadd("z", {f"m{at}": at for at in range(300)})
    return [
        sorted(set(r.scan_iter("key:1*", count=20))), sorted(set(r.scan_iter(_type="zset"))), len(set(r.sscan_iter("s", count=7))),
        sorted(set(r.hscan_iter("h", match="f29*"))), sorted(set(r.zscan_iter("z", match="m29*"))), len(r.keys("key:?")), r.dbsize(),
    ]


@page.example("sort")
def _():
    r = connect()
    r.rpush("ids", 3, 1, 2)
    for at, name in ((1, "c"), (2, "a"), (3, "b")):
        r.hset(f"user:{at}", mapping={"name": name, "id": at})
    return [
        r.sort("ids"), r.sort("ids", desc=True, start=0, num=2), r.sort("ids", by="user:*->name", alpha=True, get=["#", "user:*->name"], groups=True),
        r.sort("ids", by="user:*->name", alpha=True, store="sorted"), r.lrange("sorted", 0, -1), error_of(r.sort, "user:1"),
    ]


@page.example("replies of every type")
def _():
    r = connect()
    kinds = ("string", "integer", "double", "null", "array", "set", "map", "bignum", "true", "false", "verbatim")
    r.zadd("z", {"m": 1.5})
    return [error_of(r.execute_command, "DEBUG", "PROTOCOL", kind) for kind in kinds] + [
        r.eval("redis.setresp(3); return {double=3.5}", 0), r.client_info()["resp"], r.zrange("z", 0, -1, withscores=True), r.zscore("z", "m"),
    ]


@page.example("asyncio")
async def _():
    client = redis.asyncio.Redis(host=HOST, port=PORT, protocol=PROTOCOL, decode_responses=True)
    seen = [await client.ping(), await client.set("key", "value")]
    async with client.pipeline(transaction=True) as pipe:
        seen.append(await pipe.set("key1", "one").set("key2", "two").mget("key1", "key2").execute())
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("channel:1")
        seen.append(await pubsub.get_message(timeout=1))
        await client.publish("channel:1", "Hello")
        seen.append(await pubsub.get_message(ignore_subscribe_messages=True, timeout=1))
    waiting = asyncio.create_task(client.blpop("queue", timeout=5))
    while not (await client.info("clients"))["blocked_clients"]:
        await asyncio.sleep(0)
    await client.rpush("queue", "job")
    seen += [await waiting, sorted(await asyncio.gather(*(client.incr("n") for _ in range(20))))]
    seen += [sorted([key async for key in client.scan_iter("key*")])]
    async with client.lock("l", timeout=5):
        seen.append(await client.exists("l"))
    await client.aclose()
    return seen


@page.example("connection pools")
def _():
    pool = redis.ConnectionPool(host=HOST, port=PORT, db=3, max_connections=2, decode_responses=True)
    one, two = redis.Redis(connection_pool=pool), redis.Redis.from_pool(pool)
    blocking = redis.Redis(connection_pool=redis.BlockingConnectionPool(host=HOST, port=PORT, max_connections=1, timeout=1))
    held = [pool.get_connection(), pool.get_connection()]
    full = error_of(one.ping)
    for connection in held:
        pool.release(connection)
    return [one.set("a", 1), two.get("a"), full, blocking.ping(), redis.from_url(URL.replace("/0", "/3"), decode_responses=True).get("a"),
            redis.Redis.from_url(URL + "?protocol=3").ping()]


@page.example("retry after the server closed the connection")
def _():
    retry = Retry(ExponentialBackoff(base=0.001, cap=0.01), 3)
    r = connect(retry=retry, retry_on_error=[ConnectionError, TimeoutError], client_name="worker", health_check_interval=1)
    admin = connect()
    seen = [r.set("a", 1), r.client_getname()]
    number = r.client_id()
    seen += [admin.client_kill_filter(_id=str(number)), r.get("a"), r.client_id() != number, r.client_getname()]
    return seen + [error_of(connect(socket_timeout=0.05, retry=Retry(ExponentialBackoff(), 0)).blpop, "none", timeout=5)]


@page.example("keyspace notifications")
def _():
    r = connect()
    r.config_set("notify-keyspace-events", "KEA")
    p = r.pubsub(ignore_subscribe_messages=True)
    p.psubscribe("__key*__:*")
    p.get_message(timeout=1)
    r.set("foo", "bar", px=40)
    r.delete("none")
    r.lpush("l", 1)
    r.lpop("l")
    seen = []
    while not seen or seen[-1]["data"] != "foo" or "expired" not in seen[-1]["channel"]:
        message = p.get_message(timeout=1)
        if message:
            seen.append(message)
    r.config_set("notify-keyspace-events", "")
    return seen


@page.example("monitor")
def _():
    r = connect()
    with r.monitor() as monitor:
        r.set("foo", "bar \n\x01")
        commands = monitor.listen()
        seen = []
        while not seen or not seen[-1].startswith("SET"):
            seen.append(next(commands)["command"])
    return [seen[-1]]


@page.example("users and ACL")
def _():
    r = connect()
    r.acl_setuser("ann", enabled=True, passwords=["+secret"], keys=["cache:*"], commands=["+set"], categories=["+@read"], reset=True)
    ann = connect(username="ann", password="secret")
    seen = [ann.set("cache:1", "x"), error_of(ann.get, "other"), error_of(ann.flushall), r.acl_getuser("ann"), r.acl_whoami()]
    wrong = error_of(connect(username="ann", password="wrong").ping)
    log = [{key: entry[key] for key in ("reason", "context", "object", "username", "count")} for entry in r.acl_log()]
    return seen + [wrong, log, r.acl_deluser("ann"), r.acl_users()]


@page.example("server: info, config, client, object, time")
def _():
    r = connect()
    info = r.info("server")
    return [
        info["redis_version"], info["redis_mode"], r.config_get("maxmemory*"), r.config_set("maxmemory-policy", "noeviction"),
        r.client_setname("me"), [client["name"] for client in r.client_list() if client["name"]], r.set("n", 1), r.object("encoding", "n"),
        len(r.time()), r.lastsave().year > 2000, r.command_count() > 200, r.command_getkeys("mset", "a", 1, "b", 2), r.echo("hi"), r.dbsize(),
        r.swapdb(0, 1), r.get("n"), r.flushdb(), r.memory_usage("none"), r.slowlog_len() >= 0, r.role(), r.wait(0, 10),
    ]


@page.example("dump, restore, copy, rename, move")
def _():
    r = redis.Redis(host=HOST, port=PORT)
    r.set("a", "value")
    dumped = r.dump("a")
    return [
        dumped, r.restore("b", 5000, dumped), r.get("b"), error_of(r.restore, "b", 0, dumped), r.copy("a", "c"), r.rename("c", "d"), r.renamenx("a", "b"),
        r.move("d", 1), r.exists("d"), r.touch("a", "none"), r.unlink("a"), error_of(r.rename, "none", "x"), r.randomkey(),
    ]


@page.example("errors")
def _():
    r = connect()
    r.set("s", "text")
    return [
        error_of(r.lpush, "s", 1), error_of(r.incr, "s"), error_of(r.execute_command, "NOPE", "x"), error_of(r.execute_command, "GET"),
        error_of(r.execute_command, "SET", "a", "b", "EX", "0"), error_of(r.select, 99), error_of(r.expire, "s", 1, nx=True, xx=True),
        error_of(r.setrange, "s", 1 << 40, "x"), error_of(r.execute_command, "CLIENT NOPE"), error_of(r.config_set, "maxmemory", "x"),
    ]


page.run()
