// ioredis: what its README shows, example by example, by the version of the protocol that PROTOCOL names.

import Redis from "ioredis";
import { page, once, failure, sorted } from "./page.mjs";

const { REDIS_HOST: host, REDIS_PORT: port, PROTOCOL: protocol } = process.env;
const examples = page();

/** A client that is closed when its example ends. */
function connect(use, options = {}) {
  const redis = new Redis({ host, port: Number(port), protocol: Number(protocol), ...options });
  use.push(() => redis.disconnect());
  redis.on("error", () => {});
  return redis;
}

examples.add("basic usage", async (use) => {
  const redis = connect(use);
  const byUrl = new Redis(`redis://${host}:${port}/4`);
  use.push(() => byUrl.disconnect());
  return [
    await redis.set("mykey", "value"), await redis.get("mykey"), await redis.set("key", "data", "EX", 60), await redis.ttl("key"),
    await redis.zadd("sortedSet", 1, "one", 2, "dos", 4, "quatro", 3, "three"), await redis.zrange("sortedSet", 0, 2, "WITHSCORES"),
    await redis.sadd("set", [1, 3, 5, 7]), sorted(await redis.smembers("set")), await byUrl.set("mykey", "other"), await redis.get("mykey"),
    await redis.mset({ a: 1, b: 2 }), await redis.mget("a", ["b", "c"]), await redis.get("none"), await redis.getBuffer("mykey"),
    await redis.set("bin", Buffer.from([0, 255, 13, 10])), await redis.getBuffer("bin"), await redis.call("GET", "a"), await redis.echo("hi"),
  ];
});

examples.add("hashes from objects and maps", async (use) => {
  const redis = connect(use);
  return [
    await redis.hset("user:1", { name: "Bob", age: "37" }), await redis.hset("user:1", new Map([["city", "Oslo"]])), await redis.hgetall("user:1"),
    await redis.hmget("user:1", "name", "none"), await redis.hincrby("user:1", "age", 1), await redis.hgetall("none"), await redis.hdel("user:1", "name"),
  ];
});

examples.add("lists and blocking pops", async (use) => {
  const redis = connect(use), other = connect(use);
  const waiting = redis.blpop("queue", 5);
  while (!/blocked_clients:1/.test(await other.info("clients")));
  await other.rpush("queue", "a", "b");
  return [await waiting, await redis.lrange("queue", 0, -1), await redis.brpop("none", 0.05), await redis.lmove("queue", "done", "LEFT", "LEFT"),
    await redis.lmpop(2, "none", "done", "LEFT", "COUNT", 3)];
});

examples.add("streams, XREAD BLOCK", async (use) => {
  const redis = connect(use), reader = connect(use);
  await redis.xadd("mystream", "1-1", "randomValue", "0.5");
  const first = await reader.xread("BLOCK", 0, "STREAMS", "mystream", "0");
  const waiting = reader.xread("BLOCK", 5000, "STREAMS", "mystream", "$");
  while (!/blocked_clients:1/.test(await redis.info("clients")));
  await redis.xadd("mystream", "2-1", "name", "Smith");
  await redis.xgroup("CREATE", "mystream", "g", "0");
  return [
    first, await waiting, await redis.xrange("mystream", "-", "+"), await redis.xlen("mystream"),
    await redis.xreadgroup("GROUP", "g", "c", "COUNT", 1, "STREAMS", "mystream", ">"), await redis.xack("mystream", "g", "1-1"),
    await redis.xpending("mystream", "g"), await redis.xread("BLOCK", 20, "STREAMS", "mystream", "$"), await redis.xinfo("STREAM", "mystream"),
    await failure(redis.xreadgroup("GROUP", "nope", "c", "STREAMS", "mystream", ">")),
  ];
});

examples.add("publish and subscribe", async (use) => {
  const sub = connect(use), pub = connect(use), seen = [];
  sub.on("message", (channel, message) => seen.push([channel, message]));
  sub.on("pmessage", (...message) => seen.push(message));
  seen.push(await sub.subscribe("news", "music"), await sub.psubscribe("pat?ern"));
  seen.push(await failure(sub.get("a")));
  const last = once(sub, "pmessage");
  seen.push(await pub.publish("news", "Hello world!"), await pub.publish("none", "lost"));
  await pub.publish("music", "Hello again!");
  await pub.publish("pattern", "last");
  await last;
  seen.push(await sub.unsubscribe("news"), await sub.ping());
  const binary = once(sub, "messageBuffer");
  await pub.publish("music", Buffer.from([1, 2, 255]));
  const bytes = await binary;
  return [...seen, bytes, await sub.unsubscribe("music"), await sub.punsubscribe("pat?ern"), await sub.get("a")];
});

examples.add("sharded publish and subscribe", async (use) => {
  const sub = connect(use), pub = connect(use), came = once(sub, "smessage");
  return [await sub.ssubscribe("orders"), await pub.spublish("orders", "one"), await came, await sub.sunsubscribe("orders")];
});

examples.add("pipelining", async (use) => {
  const redis = connect(use);
  const pipeline = redis.pipeline();
  pipeline.set("foo", "bar");
  pipeline.del("cc");
  const auto = connect(use, { enableAutoPipelining: true });
  return [
    await pipeline.exec(), await redis.pipeline().set("foo", "bar").get("foo").exec(), await redis.pipeline([["set", "foo", "1"], ["incr", "foo"]]).exec(),
    (await redis.pipeline().lpush("foo", 1).get("foo").exec()).map(([error, value]) => [error && error.message, value]),
    await Promise.all([auto.set("a", 1), auto.incr("a"), auto.get("a"), auto.mget("a", "b")]),
  ];
});

examples.add("transactions", async (use) => {
  const redis = connect(use), other = connect(use);
  await redis.watch("w");
  await other.set("w", 1);
  const lost = await redis.multi().set("w", 2).exec();
  await redis.multi({ pipeline: false });
  const inline = [await redis.set("foo", "bar"), await redis.get("foo"), await redis.exec()];
  return [
    lost, ...inline, await redis.multi().set("foo", "bar").get("foo").exec(), await redis.multi([["set", "a", "1"], ["get", "a"]]).exec(),
    await failure(redis.multi().set("foo").set("foo", "new").exec()),
    (await redis.multi().lpush("foo", 1).get("foo").exec()).map(([error, value]) => [error && error.message, value]),
    await redis.get("foo"),
  ];
});

examples.add("Lua scripting with defineCommand", async (use) => {
  const redis = connect(use, { scripts: { add: { lua: "return ARGV[1] + ARGV[2]", numberOfKeys: 0, readOnly: true } } });
  redis.defineCommand("myecho", { numberOfKeys: 2, lua: "return {KEYS[1],KEYS[2],ARGV[1],ARGV[2]}" });
  redis.defineCommand("echoDynamic", { lua: "return {KEYS[1],ARGV[1]}" });
  redis.defineCommand("bad", { numberOfKeys: 0, lua: "return redis.call('lpush', 'k')" });
  const seen = [await redis.myecho("k1", "k2", "a1", "a2"), await redis.myechoBuffer("k1", "k2", "a1", "a2"), await redis.echoDynamic(1, "k", "a"), await redis.add(40, 2)];
  await redis.script("FLUSH");
  return [...seen, await redis.pipeline().set("foo", "bar").myecho("k1", "k2", "a1", "a2").exec(), await redis.multi().myecho("a", "b", "c", "d").exec(),
    await failure(redis.bad()), await redis.eval("return redis.call('get', KEYS[1])", 1, "foo")];
});

examples.add("transparent key prefixing", async (use) => {
  const redis = connect(use, { keyPrefix: "foo:" }), plain = connect(use);
  await redis.set("bar", "baz");
  await redis.mset("a", 1, "b", 2);
  return [await redis.get("bar"), sorted(await plain.keys("*")), await redis.sort("none", "BY", "weight_*"), await redis.exists("a", "b")];
});

examples.add("scanStream", async (use) => {
  const redis = connect(use);
  for (let at = 0; at < 300; at++) await redis.pipeline().set(`sample_pattern:${at}`, at).hset("h", `f${at}`, at).sadd("s", at).zadd("z", at, at).exec();
  const all = async (stream) => {
    const found = new Set();
    for await (const keys of stream) keys.forEach((key) => found.add(key));
    return sorted([...found]);
  };
  return [
    (await all(redis.scanStream())).length, await all(redis.scanStream({ match: "sample_pattern:29*", count: 100 })), await all(redis.scanStream({ type: "zset" })),
    await all(redis.hscanStream("h", { match: "f29*" })), (await all(redis.sscanStream("s", { count: 11 }))).length, (await all(redis.zscanStream("z"))).length,
  ];
});

examples.add("auto-reconnect and resubscription", async (use) => {
  const sub = connect(use, { retryStrategy: () => 5 }), redis = connect(use, { retryStrategy: () => 5, connectionName: "worker" }), admin = connect(use);
  await sub.subscribe("news");
  await redis.select(3);
  await redis.set("a", 1);
  const events = [];
  for (const event of ["close", "reconnecting", "ready"]) redis.on(event, () => events.push(event));
  const [again, ready] = [once(sub, "ready"), once(redis, "ready")];
  await admin.client("KILL", "TYPE", "pubsub");
  await admin.client("KILL", "ID", await redis.client("ID"));
  await Promise.all([again, ready]);
  const came = once(sub, "message");
  while (!(await admin.publish("news", "after")));
  return [events, await came, await redis.get("a"), await redis.client("GETNAME"), await admin.client("KILL", "ID", 99999999)];
});

examples.add("reconnect on an error, then send again", async (use) => {
  const redis = connect(use, { retryStrategy: () => 5, reconnectOnError: (error) => (error.message.includes("READONLY") ? 2 : false) });
  const once = "if redis.call('incr', KEYS[1]) == 1 then return redis.error_reply('READONLY once') end return 'again'";
  const before = await redis.client("ID");
  return [await redis.eval(once, 1, "tries"), await redis.get("tries"), (await redis.client("ID")) > before];
});

examples.add("offline queue", async (use) => {
  const queued = connect(use, { lazyConnect: true });
  const waiting = queued.set("a", 1);
  const none = connect(use, { enableOfflineQueue: false });
  const refused = await failure(none.set("a", 1));
  await once(none, "ready");
  const late = connect(use, { commandTimeout: 40 });
  const gone = connect(use, { port: 1, maxRetriesPerRequest: 1, retryStrategy: () => 1 });
  return [await waiting, refused, await none.get("a"), await failure(late.blpop("none", 5)), await failure(gone.get("a"))];
});

examples.add("connection events and quit", async (use) => {
  const redis = connect(use, { lazyConnect: true }), seen = [redis.status];
  for (const event of ["connect", "ready", "close", "end"]) redis.on(event, () => seen.push(event));
  const ended = once(redis, "end");
  await redis.connect();
  seen.push(await redis.set("a", 1), await redis.quit());
  await ended;
  return [...seen, await failure(redis.get("a"))];
});

examples.add("keyspace events", async (use) => {
  const redis = connect(use), sub = connect(use), seen = [];
  await redis.config("SET", "notify-keyspace-events", "KEA");
  await sub.psubscribe("__key*@0__:*");
  const expired = new Promise((resolve) => sub.on("pmessage", (pattern, channel, message) => {
    seen.push([channel, message]);
    if (channel === "__keyevent@0__:expired") resolve();
  }));
  await redis.set("mykey", "v", "PX", 30);
  await redis.hset("h", "f", 1);
  await redis.rename("h", "h2");
  await expired;
  await redis.config("SET", "notify-keyspace-events", "");
  return seen;
});

examples.add("monitor", async (use) => {
  const redis = connect(use), monitor = await redis.monitor();
  use.push(() => monitor.disconnect());
  const came = new Promise((resolve) => monitor.on("monitor", (time, args, source, database) => args[0] === "set" && resolve([args, database])));
  await redis.set("a", "b c\n");
  return [await came];
});

examples.add("argument and reply transformers", async (use) => {
  const redis = connect(use, { stringNumbers: true });
  await redis.set("big", "9007199254740993");
  return [await redis.incr("big"), await redis.type("big"), await redis.object("ENCODING", "big"), await redis.time().then((time) => time.length),
    (await redis.info("server")).match(/redis_version:(.*)\r/)[1], await redis.config("GET", "maxmemory"), await redis.role()];
});

examples.add("errors", async (use) => {
  const redis = connect(use);
  await redis.set("foo", "bar");
  return [await failure(redis.set("foo")), await failure(redis.lpush("foo", 1)), await failure(redis.incr("foo")), await failure(redis.call("NOPE")),
    await failure(redis.evalsha("f".repeat(40), 0)), await failure(redis.select(99)), await failure(connect(use, { password: "x", retryStrategy: null }).get("a"))];
});

await examples.run(host, port);
