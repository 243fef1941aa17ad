// Jedis, Lettuce and Redisson: what their README pages show, example by example. Each prints its name, then what it
// saw, and a line that begins with `!!` if it failed.

import io.lettuce.core.Consumer;
import io.lettuce.core.KeyValue;
import io.lettuce.core.LettuceFutures;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.XReadArgs.StreamOffset;
import io.lettuce.core.XGroupCreateArgs;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.redisson.Redisson;
import org.redisson.api.RedissonClient;
import org.redisson.api.options.KeysScanOptions;
import org.redisson.client.codec.StringCodec;
import org.redisson.config.Config;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisPool;
import redis.clients.jedis.JedisPooled;
import redis.clients.jedis.JedisPubSub;
import redis.clients.jedis.StreamEntryID;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.params.ScanParams;
import redis.clients.jedis.params.SetParams;
import redis.clients.jedis.params.XReadGroupParams;

public class Page {
    interface Example {
        void run() throws Exception;
    }

    static final String HOST = System.getenv("REDIS_HOST");
    static final int PORT = Integer.parseInt(System.getenv("REDIS_PORT"));

    public static void main(String[] arguments) {
        example("Jedis: commands", Page::jedis);
        example("Jedis: pool, pipeline, transaction", Page::jedisPool);
        example("Jedis: publish and subscribe", Page::jedisPubSub);
        example("Jedis: streams, scripts, scan", Page::jedisStreams);
        example("Lettuce: synchronous and asynchronous", Page::lettuce);
        example("Lettuce: publish and subscribe, streams, scripts", Page::lettucePubSub);
        example("Lettuce: reconnects", Page::lettuceReconnects);
        example("Redisson: maps, sets, counters, buckets", Page::redissonObjects);
        example("Redisson: locks, semaphores, latches, rate limiter", Page::redissonLocks);
        example("Redisson: topics, queues, batch", Page::redissonTopics);
        System.exit(0);
    }

    static void example(String name, Example example) {
        System.out.println("## " + name);
        try (var server = new Jedis(HOST, PORT)) {
            server.flushAll();
            example.run();
        } catch (Throwable error) {
            error.printStackTrace();
            System.out.println("!! " + error);
        }
    }

    static void show(Object value) {
        System.out.println(value instanceof byte[] bytes ? List.of(new String(bytes)) : value);
    }

    static void showFailure(Example example) throws Exception {
        try {
            example.run();
            show("no error");
        } catch (JedisDataException error) {
            show(error);
        }
    }

    static void jedis() throws Exception {
        try (var jedis = new JedisPooled(HOST, PORT)) {
            show(jedis.sadd("planets", "Venus", "Mars"));
            show(new TreeSet<>(jedis.smembers("planets")));
            show(jedis.set("foo", "bar", SetParams.setParams().nx().ex(10)));
            show(jedis.get("foo"));
            show(jedis.hset("user", Map.of("name", "Ann", "age", "30")));
            show(new TreeMap<>(jedis.hgetAll("user")));
            show(jedis.zadd("z", Map.of("a", 1.0, "b", 2.5)));
            show(jedis.zrangeWithScores("z", 0, -1));
            show(jedis.rpush("l", "a", "b"));
            show(jedis.blpop(1, "none", "l"));
            show(jedis.blpop(0.05, "none"));
            show(jedis.geoadd("g", 13.361389, 38.115556, "Palermo"));
            show(jedis.geopos("g", "Palermo"));
            showFailure(() -> jedis.incr("foo"));
            showFailure(() -> jedis.lpush("foo", "x"));
        }
    }

    static void jedisPool() throws Exception {
        try (var pool = new JedisPool(HOST, PORT); var jedis = pool.getResource(); var other = pool.getResource()) {
            jedis.clientSetname("worker");
            var pipeline = jedis.pipelined();
            pipeline.set("a", "1");
            var value = pipeline.incr("a");
            pipeline.sync();
            show(value.get());
            jedis.watch("a");
            other.set("a", "changed");
            var lost = jedis.multi();
            lost.set("a", "2");
            show(lost.exec());
            var transaction = jedis.multi();
            transaction.set("a", "3");
            transaction.get("a");
            show(transaction.exec());
            show(jedis.select(3) + jedis.exists("a") + jedis.clientGetname() + pool.getNumActive());
        }
    }

    static void jedisPubSub() throws Exception {
        var seen = new ArrayList<String>();
        var subscribed = new CountDownLatch(1);
        var subscriber = new JedisPubSub() {
            @Override public void onSubscribe(String channel, int count) {
                seen.add("subscribed " + channel + count);
                subscribed.countDown();
            }
            @Override public void onMessage(String channel, String message) {
                seen.add(channel + message);
                unsubscribe();
            }
            @Override public void onUnsubscribe(String channel, int count) {
                seen.add("unsubscribed " + channel + count);
            }
        };
        var thread = new Thread(() -> {
            try (var jedis = new Jedis(HOST, PORT)) {
                jedis.subscribe(subscriber, "news");
            }
        });
        thread.start();
        subscribed.await(5, TimeUnit.SECONDS);
        try (var jedis = new Jedis(HOST, PORT)) {
            show(jedis.publish("news", "hello"));
        }
        thread.join(5000);
        show(seen);
    }

    static void jedisStreams() throws Exception {
        try (var jedis = new Jedis(HOST, PORT)) {
            show(jedis.xadd("s", new StreamEntryID(1, 1), Map.of("f", "v")));
            show(jedis.xgroupCreate("s", "g", new StreamEntryID(0), false));
            show(jedis.xreadGroup("g", "c", XReadGroupParams.xReadGroupParams().count(1), Map.of("s", StreamEntryID.UNRECEIVED_ENTRY)));
            show(jedis.xpending("s", "g").getConsumerMessageCount());
            show(jedis.xack("s", "g", new StreamEntryID(1, 1)));
            show(jedis.xinfoStream("s").getLength());
            var sha = jedis.scriptLoad("return {KEYS[1], ARGV[1], 3}");
            show(jedis.evalsha(sha, 1, "k", "a"));
            showFailure(() -> jedis.evalsha("f".repeat(40)));
            for (int at = 0; at < 100; at++) {
                jedis.set("key:" + at, "v");
            }
            var found = new TreeSet<String>();
            var cursor = ScanParams.SCAN_POINTER_START;
            do {
                var page = jedis.scan(cursor, new ScanParams().match("key:2*").count(10));
                found.addAll(page.getResult());
                cursor = page.getCursor();
            } while (!cursor.equals(ScanParams.SCAN_POINTER_START));
            show(found);
        }
    }

    static RedisClient lettuceClient() {
        return RedisClient.create(RedisURI.builder().withHost(HOST).withPort(PORT).withTimeout(Duration.ofSeconds(8)).build());
    }

    static void lettuce() throws Exception {
        try (var client = lettuceClient(); var connection = client.connect()) {
            var commands = connection.sync();
            show(commands.set("key", "Hello, Redis!"));
            show(commands.get("key"));
            show(commands.hset("h", Map.of("f", "v")));
            show(commands.hgetall("h"));
            show(commands.zadd("z", 1.5, "m"));
            show(commands.zrangeWithScores("z", 0, -1));
            var async = connection.async();
            connection.setAutoFlushCommands(false);
            var futures = new ArrayList<io.lettuce.core.RedisFuture<?>>();
            for (int at = 0; at < 5; at++) {
                futures.add(async.incr("n"));
            }
            connection.flushCommands();
            connection.setAutoFlushCommands(true);
            show(LettuceFutures.awaitAll(5, TimeUnit.SECONDS, futures.toArray(new io.lettuce.core.RedisFuture[0])));
            commands.multi();
            commands.set("a", "1");
            commands.incr("a");
            show(commands.exec().stream().toList());
            show(connection.reactive().mget("a", "none").map(KeyValue::hasValue).collectList().block());
            try {
                commands.incr("key");
            } catch (io.lettuce.core.RedisCommandExecutionException error) {
                show(error.getMessage());
            }
        }
    }

    static void lettucePubSub() throws Exception {
        try (var client = lettuceClient(); var connection = client.connect(); var pubsub = client.connectPubSub()) {
            var came = new CompletableFuture<String>();
            pubsub.addListener(new RedisPubSubAdapter<>() {
                @Override public void message(String channel, String message) {
                    came.complete(channel + " " + message);
                }
            });
            pubsub.sync().subscribe("news");
            var commands = connection.sync();
            show(commands.publish("news", "hello"));
            show(came.get(5, TimeUnit.SECONDS));
            show(commands.xgroupCreate(StreamOffset.from("s", "0-0"), "g", XGroupCreateArgs.Builder.mkstream()));
            commands.xadd("s", new io.lettuce.core.XAddArgs().id("1-1"), Map.of("f", "v"));
            show(commands.xreadgroup(Consumer.from("g", "c"), StreamOffset.lastConsumed("s")));
            show(commands.xack("s", "g", "1-1"));
            show((List<?>) commands.eval("return {KEYS[1], ARGV[1]}", ScriptOutputType.MULTI, new String[] {"k"}, "a"));
        }
    }

    static void lettuceReconnects() throws Exception {
        try (var client = lettuceClient(); var connection = client.connect(); var admin = new Jedis(HOST, PORT)) {
            var commands = connection.sync();
            commands.clientSetname("worker");
            var id = commands.clientId();
            show(commands.set("a", "1"));
            show(admin.clientKill(redis.clients.jedis.params.ClientKillParams.clientKillParams().id(String.valueOf(id))));
            show(commands.get("a"));
            show(commands.clientId() > id);
        }
    }

    static RedissonClient redisson() {
        var config = new Config();
        config.setCodec(StringCodec.INSTANCE);
        config.useSingleServer().setAddress("redis://" + HOST + ":" + PORT).setConnectionMinimumIdleSize(1).setConnectionPoolSize(4);
        return Redisson.create(config);
    }

    static void redissonObjects() throws Exception {
        var redisson = redisson();
        var map = redisson.<String, String>getMap("map");
        show(map.put("key", "value"));
        show(map.fastPut("key2", "value2"));
        show(map.putIfAbsent("key", "other"));
        show(new TreeMap<>(map.readAllMap()));
        var cache = redisson.<String, String>getMapCache("cache");
        show(cache.put("key", "value", 10, TimeUnit.MINUTES));
        show(cache.get("key"));
        show(redisson.getSet("set").add("member") + " " + redisson.getSet("set").contains("member"));
        show(redisson.getAtomicLong("counter").incrementAndGet());
        show(redisson.getAtomicLong("counter").compareAndSet(1, 7));
        var bucket = redisson.<String>getBucket("bucket");
        bucket.set("text", Duration.ofSeconds(10));
        show(bucket.get() + " " + bucket.compareAndSet("text", "next") + " " + (bucket.remainTimeToLive() <= 10_000));
        var scores = redisson.<String>getScoredSortedSet("scores");
        scores.add(0.13, "a");
        scores.addScore("b", 2);
        show(scores.readAll() + " " + scores.rank("b"));
        var bloom = redisson.<String>getBloomFilter("bloom");
        show(bloom.tryInit(1000, 0.03) + " " + bloom.add("x") + " " + bloom.contains("x") + " " + bloom.contains("y"));
        var sequence = redisson.getIdGenerator("ids");
        show(sequence.tryInit(1, 10) + " " + sequence.nextId() + " " + sequence.nextId());
        var names = new TreeSet<String>();
        redisson.getKeys().getKeys(KeysScanOptions.defaults().pattern("*")).forEach(names::add);
        show(names);
        redisson.shutdown();
    }

    static void redissonLocks() throws Exception {
        var redisson = redisson();
        var lock = redisson.getLock("lock");
        lock.lock(10, TimeUnit.SECONDS);
        show(lock.isLocked() + " " + lock.isHeldByCurrentThread() + " " + lock.tryLock() + " " + lock.getHoldCount());
        var other = CompletableFuture.supplyAsync(() -> lock.tryLock());
        show(other.get(5, TimeUnit.SECONDS));
        var waits = CompletableFuture.supplyAsync(() -> {
            try {
                return lock.tryLock(5, 5, TimeUnit.SECONDS);
            } catch (InterruptedException error) {
                return false;
            }
        });
        lock.unlock();
        lock.unlock();
        show(waits.get(8, TimeUnit.SECONDS));
        show(lock.forceUnlock());
        var fenced = redisson.getFencedLock("fenced");
        show(fenced.lockAndGetToken() + " " + fenced.tryLockAndGetToken());
        var both = redisson.getReadWriteLock("rw");
        both.readLock().lock();
        show(CompletableFuture.supplyAsync(() -> both.readLock().tryLock()).get() + " " + CompletableFuture.supplyAsync(() -> both.writeLock().tryLock()).get());
        var semaphore = redisson.getSemaphore("semaphore");
        show(semaphore.trySetPermits(2) + " " + semaphore.tryAcquire(2) + " " + semaphore.tryAcquire());
        var latch = redisson.getCountDownLatch("latch");
        latch.trySetCount(1);
        var opened = CompletableFuture.supplyAsync(() -> {
            try {
                return latch.await(5, TimeUnit.SECONDS);
            } catch (InterruptedException error) {
                return false;
            }
        });
        latch.countDown();
        show(opened.get(8, TimeUnit.SECONDS));
        var limiter = redisson.getRateLimiter("limiter");
        show(limiter.trySetRate(org.redisson.api.RateType.OVERALL, 2, Duration.ofMinutes(1)));
        show(limiter.tryAcquire() + " " + limiter.tryAcquire() + " " + limiter.tryAcquire());
        redisson.shutdown();
    }

    static void redissonTopics() throws Exception {
        var redisson = redisson();
        var came = new CompletableFuture<String>();
        var topic = redisson.getTopic("topic");
        topic.addListener(String.class, (channel, message) -> came.complete(channel + " " + message));
        show(topic.publish("hello"));
        show(came.get(5, TimeUnit.SECONDS));
        var queue = redisson.<String>getBlockingQueue("queue");
        var taken = CompletableFuture.supplyAsync(() -> {
            try {
                return queue.poll(5, TimeUnit.SECONDS);
            } catch (InterruptedException error) {
                return null;
            }
        });
        queue.offer("job");
        show(taken.get(8, TimeUnit.SECONDS));
        var delayed = redisson.<String>getDelayedQueue(queue);
        delayed.offer("later", 30, TimeUnit.MILLISECONDS);
        show(queue.poll(5, TimeUnit.SECONDS));
        delayed.destroy();
        var batch = redisson.createBatch();
        batch.getMap("m").fastPutAsync("a", "1");
        batch.getAtomicLong("n").incrementAndGetAsync();
        show(batch.execute().getResponses());
        var stream = redisson.<String, String>getStream("stream");
        stream.createGroup(org.redisson.api.stream.StreamCreateGroupArgs.name("g").makeStream());
        stream.add(new org.redisson.api.StreamMessageId(1, 1), org.redisson.api.stream.StreamAddArgs.entry("f", "v"));
        show(stream.readGroup("g", "c", org.redisson.api.stream.StreamReadGroupArgs.neverDelivered()));
        show(redisson.<Long>getScript().eval(org.redisson.api.RScript.Mode.READ_ONLY, "return 42", org.redisson.api.RScript.ReturnType.INTEGER));
        redisson.shutdown();
    }
}
