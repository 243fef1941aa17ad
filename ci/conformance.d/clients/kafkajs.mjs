// kafkajs: what its documentation shows, example by example.

import { CompressionTypes, Kafka, logLevel } from "kafkajs";
import { page, failure } from "./page.mjs";

process.env.KAFKAJS_NO_PARTITIONER_WARNING = "1";
const kafka = new Kafka({ clientId: "page", brokers: process.env.KAFKA.split(","), logLevel: logLevel.NOTHING });
const examples = page();
const admin = kafka.admin();
await admin.connect();

async function create(topic, numPartitions = 1) {
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions, replicationFactor: 1 }] });
}

async function produce(topic, messages, options = {}, more = {}) {
  const producer = kafka.producer(options);
  await producer.connect();
  const told = await producer.send({ topic, messages: messages.map((each) => ({ partition: 0, ...each })), ...more });
  await producer.disconnect();
  return told;
}

async function consume(topic, count, groupId = `${topic}-readers`) {
  const consumer = kafka.consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const found = [];
  await new Promise((resolve) =>
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (found.length === count) return;
        const { key, value, offset, headers } = message;
        found.push({ partition, offset, key: key?.toString(), value: value?.toString(), headers: Object.keys(headers) });
        if (found.length === count) {
          await consumer.commitOffsets([{ topic, partition, offset: String(Number(offset) + 1) }]);
          resolve();
        }
      },
    }),
  );
  await consumer.disconnect();
  return found;
}

examples.add("produce and consume", async () => {
  await create("simple");
  const told = await produce("simple", [{ key: "a", value: "1" }, { value: "2", headers: { h: "x" } }, { key: "c", value: null }]);
  return [told.map(({ topicName, partition, errorCode, baseOffset }) => [topicName, partition, errorCode, baseOffset]), await consume("simple", 3)];
});

examples.add("compression by gzip", async () => {
  await create("packed");
  await produce("packed", [{ value: "x".repeat(100) }], {}, { compression: CompressionTypes.GZIP });
  return [(await consume("packed", 1))[0].value.length];
});

examples.add("a group commits and goes on", async () => {
  await create("grouped");
  await produce("grouped", [1, 2, 3, 4, 5, 6].map((n) => ({ value: String(n) })));
  const found = [await consume("grouped", 3, "readers"), await consume("grouped", 3, "readers")];
  return [...found, await admin.fetchOffsets({ groupId: "readers", topics: ["grouped"] })];
});

examples.add("idempotence and transactions", async () => {
  await create("paid");
  await produce("paid", [{ value: "once" }], { idempotent: true });
  const producer = kafka.producer({ transactionalId: "page", maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  for (const [value, end] of [["committed", "commit"], ["aborted", "abort"], ["last", "commit"]]) {
    const transaction = await producer.transaction();
    await transaction.send({ topic: "paid", messages: [{ partition: 0, value }] });
    await transaction[end]();
  }
  await producer.disconnect();
  return [await consume("paid", 3)];
});

examples.add("admin: topics, offsets, configs", async () => {
  await create("managed", 2);
  const again = await admin.createTopics({ topics: [{ topic: "managed" }] });
  await admin.createPartitions({ topicPartitions: [{ topic: "managed", count: 4 }] });
  const metadata = await admin.fetchTopicMetadata({ topics: ["managed"] });
  const configs = await admin.describeConfigs({ resources: [{ type: 2, name: "managed", configNames: ["cleanup.policy"] }] });
  const offsets = await admin.fetchTopicOffsets("grouped");
  const byTime = await admin.fetchTopicOffsetsByTimestamp("grouped", 1);
  await admin.deleteTopics({ topics: ["managed"] });
  return [again, metadata.topics[0].partitions.length, configs.resources[0].configEntries, offsets, byTime];
});

examples.add("admin: groups", async () => {
  const { groups } = await admin.listGroups();
  const described = await admin.describeGroups(["readers"]);
  const reset = await failure(admin.resetOffsets({ groupId: "readers", topic: "grouped", earliest: true }));
  const offsets = await admin.fetchOffsets({ groupId: "readers", topics: ["grouped"] });
  await admin.deleteGroups(["readers"]);
  return [groups.map((each) => each.groupId).sort(), described.groups[0].state, reset, offsets];
});

examples.add("admin: delete records, the cluster", async () => {
  await admin.deleteTopicRecords({ topic: "grouped", partitions: [{ partition: 0, offset: "2" }] });
  const { brokers, controller } = await admin.describeCluster();
  return [await admin.fetchTopicOffsets("grouped"), brokers.length, controller];
});

await examples.run();
