// node-redis: what its README shows, example by example.

import { createClient, createClientPool, defineScript } from "redis";
import { page, once, failure, sorted } from "./page.mjs";

const { REDIS_HOST: host, REDIS_PORT: port } = process.env;
const url = `redis://${host}:${port}`;
const examples = page();

async function connect(use, options = {}) {
  const client = createClient({ url, ...options });
  client.on("error", () => {});
  await client.connect();
  use.push(() => client.destroy());
  return client;
}

examples.add("basic example", async (use) => {
  const client = await connect(use);
  return [
    await client.ping(), await client.set("key", "value", { EX: 10, NX: true }), await client.get("key"), await client.hSet("key2", "field", "value"),
    { ...(await client.hGetAll("key2")) }, await client.sendCommand(["GET", "key"]), await client.mGet(["key", "none"]), await client.incrBy("n", 5),
    await client.zAdd("z", [{ score: 1.5, value: "a" }, { score: 2, value: "b" }]), await client.zRangeWithScores("z", 0, -1), await client.ttl("key"),
    await client.lPush("l", ["a", "b"]), await client.blPop("l", 1), await client.expire("key", 5), await client.type("z"),
  ];
});

examples.add("transactions, watch, pipelines", async (use) => {
  const client = await connect(use);
  const seen = [await client.multi().set("other", "v").get("another").exec(), await Promise.all([client.set("a", "1"), client.get("a"), client.incr("a")])];
  const pool = createClientPool({ url });
  await pool.connect();
  use.push(() => pool.destroy());
  seen.push(await pool.execute(async (isolated) => {
    await isolated.watch("a");
    await client.set("a", "changed");
    return failure(isolated.multi().set("a", "lost").exec());
  }));
  return [...seen, await client.get("a"), await client.multi().incr("a").set("b", 1 + "").execAsPipeline().catch((error) => error.name)];
});

examples.add("publish and subscribe", async (use) => {
  const client = await connect(use), subscriber = client.duplicate();
  await subscriber.connect();
  use.push(() => subscriber.destroy());
  const seen = [];
  const last = new Promise(async (resolve) => {
    await subscriber.subscribe("article", (message) => seen.push(message));
    await subscriber.pSubscribe("art*", (message, channel) => { seen.push([channel, message]); resolve(); });
    await subscriber.sSubscribe("shard", (message) => seen.push(message));
    await client.sPublish("shard", "sharded");
    await client.publish("article", "message");
  });
  await last;
  await subscriber.unsubscribe("article");
  await subscriber.pUnsubscribe();
  return [...seen, await client.publish("article", "lost")];
});

examples.add("scan iterators", async (use) => {
  const client = await connect(use), found = new Set();
  await client.mSet(Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`key:${at}`, `${at}`])));
  for await (const keys of client.scanIterator({ MATCH: "key:1*", COUNT: 10 })) keys.forEach((key) => found.add(key));
  await client.hSet("h", { a: 1, b: 2 });
  const fields = [];
  for await (const entries of client.hScanIterator("h")) fields.push(...entries.map(({ field }) => field));
  return [sorted(found), sorted(fields)];
});

examples.add("scripts and functions", async (use) => {
  const client = await connect(use, {
    scripts: {
      add: defineScript({ NUMBER_OF_KEYS: 1, SCRIPT: "return redis.call('GET', KEYS[1]) + ARGV[1];", parseCommand: (parser, key, by) => { parser.pushKey(key); parser.push(by.toString()); }, transformReply: (reply) => reply }),
    },
  });
  await client.set("key", "1");
  const code = "#!lua name=library\nredis.register_function { function_name = 'add', callback = function(keys, args) return redis.call('GET', keys[1]) + args[1] end, flags = { 'no-writes' } }";
  return [await client.add("key", 2), await client.functionLoad(code, { REPLACE: true }), await client.fCall("add", { keys: ["key"], arguments: ["3"] }),
    await client.fCallRo("add", { keys: ["key"], arguments: ["4"] }), await client.functionDelete("library"), await client.eval("return ARGV", { arguments: ["a"] })];
});

examples.add("streams", async (use) => {
  const client = await connect(use);
  return [await client.xAdd("s", "1-1", { a: "1" }), await client.xGroupCreate("s", "g", "0"), await client.xReadGroup("g", "c", [{ key: "s", id: ">" }]),
    await client.xAck("s", "g", "1-1"), await client.xRead([{ key: "s", id: "$" }], { BLOCK: 20 }), await client.xRange("s", "-", "+"), await client.xInfoGroups("s")].map((line) => JSON.stringify(line));
});

examples.add("RESP3, and an idle reconnection", async (use) => {
  const client = await connect(use, { RESP: 3, name: "worker", socket: { reconnectStrategy: () => 5 } }), admin = await connect(use);
  await client.hSet("h", { f: "v" });
  await client.sAdd("s", "m");
  const seen = [{ ...(await client.hGetAll("h")) }, [...(await client.sMembers("s"))], await client.clientGetName()];
  const again = once(client, "ready");
  await admin.sendCommand(["CLIENT", "KILL", "ID", String(await client.clientId())]);
  await again;
  return [...seen, await client.hGet("h", "f"), await client.clientGetName()];
});

examples.add("client side caching", async (use) => {
  const client = await connect(use, { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: "LRU" } }), other = await connect(use);
  await other.set("city", "Paris");
  const seen = [await client.get("city"), await client.get("city")];
  await other.set("city", "Rome");
  await client.ping();
  return [...seen, await client.get("city")];
});

examples.add("errors", async (use) => {
  const client = await connect(use);
  await client.set("text", "abc");
  return [await failure(client.incr("text")), await failure(client.lPush("text", "x")), await failure(client.sendCommand(["NOPE"])),
    await failure(client.multi().incr("text").get("text").exec()), await failure(createClient({ url: `redis://ann:no@${host}:${port}`, socket: { reconnectStrategy: false } }).on("error", () => {}).connect())];
});

await examples.run(host, port);
