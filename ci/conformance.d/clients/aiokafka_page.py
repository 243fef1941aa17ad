"""aiokafka: what its documentation shows, example by example."""

import os

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from page import Page

KAFKA = os.environ["KAFKA"]
page = Page()


async def create(topic, partitions=1):
    admin = AIOKafkaAdminClient(bootstrap_servers=KAFKA)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1)])
    await admin.close()


async def produce(topic, values, **options):
    async with AIOKafkaProducer(bootstrap_servers=KAFKA, **options) as producer:
        return [(await producer.send_and_wait(topic, value, partition=0)).offset for value in values]


async def consume(topic, count, **options):
    options = {"auto_offset_reset": "earliest", **options}
    async with AIOKafkaConsumer(topic, bootstrap_servers=KAFKA, **options) as consumer:
        found = []
        while len(found) < count:
            record = await consumer.getone()
            found.append((record.partition, record.offset, record.value))
        if options.get("group_id"):
            await consumer.commit({TopicPartition(topic, 0): found[-1][1] + 1})
        return found


@page.example("produce and consume")
async def _():
    await create("simple")
    return [await produce("simple", [b"1", b"2", b"3"]), await consume("simple", 3)]


for codec in ("gzip", "lz4", "snappy", "zstd"):
    @page.example(f"compression by {codec}")
    async def _(codec=codec):
        try:
            offsets = await produce_packed(codec)
        except RuntimeError as error:
            return str(error)
        return [offsets, await consume(f"packed-{codec}", 2)]


async def produce_packed(codec):
    await create(f"packed-{codec}")
    return await produce(f"packed-{codec}", [b"x" * 100, b"y" * 100], compression_type=codec)


@page.example("a group commits and goes on")
async def _():
    await create("grouped")
    await produce("grouped", [b"%d" % n for n in range(6)])
    return [await consume("grouped", 3, group_id="readers", enable_auto_commit=False) for _ in range(2)]


@page.example("two members share the partitions")
async def _():
    await create("shared", 4)
    options = {"bootstrap_servers": KAFKA, "group_id": "sharers", "auto_offset_reset": "earliest"}
    async with AIOKafkaConsumer("shared", **options) as one, AIOKafkaConsumer("shared", **options) as two:
        for _ in range(200):
            await one.getmany(timeout_ms=50)
            await two.getmany(timeout_ms=50)
            if len(one.assignment()) == len(two.assignment()) == 2:
                break
        return sorted(each.partition for each in one.assignment() | two.assignment())


@page.example("offsets: seek, by time, ends")
async def _():
    await create("seek")
    await produce("seek", [b"%d" % n for n in range(10)])
    partition = TopicPartition("seek", 0)
    async with AIOKafkaConsumer(bootstrap_servers=KAFKA) as consumer:
        consumer.assign([partition])
        consumer.seek(partition, 7)
        record = await consumer.getone()
        times = await consumer.offsets_for_times({partition: 1})
        return [record.value, await consumer.beginning_offsets([partition]), await consumer.end_offsets([partition]),
                times[partition].offset, await consumer.position(partition)]


@page.example("transactions: read, write and commit together")
async def _():
    await create("in")
    await create("out")
    await produce("in", [b"1", b"2"])
    async with AIOKafkaProducer(bootstrap_servers=KAFKA, transactional_id="page") as producer:
        async with producer.transaction():
            await producer.send("out", b"one", partition=0)
            await producer.send_offsets_to_transaction({TopicPartition("in", 0): 2}, "movers")
        try:
            async with producer.transaction():
                await producer.send_and_wait("out", b"aborted", partition=0)
                raise ValueError("changed my mind")
        except ValueError:
            pass
        async with producer.transaction():
            await producer.send("out", b"two", partition=0)
    found = [await consume("out", 2, isolation_level="read_committed"), await consume("out", 3)]
    async with AIOKafkaConsumer(bootstrap_servers=KAFKA, group_id="movers", enable_auto_commit=False) as consumer:
        found.append(await consumer.committed(TopicPartition("in", 0)))
    return found


page.run()
