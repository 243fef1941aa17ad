"""kafka-python: what its documentation shows, example by example."""

import os

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

from page import Page, error_of

KAFKA = os.environ["KAFKA"]
page = Page()


def admin():
    return KafkaAdminClient(bootstrap_servers=KAFKA)


def create(topic, partitions=1, **configs):
    client = admin()
    client.create_topics([NewTopic(topic, partitions, 1, topic_configs=configs)])
    client.close()


def produce(topic, values, **options):
    """The offsets of the values."""
    producer = KafkaProducer(bootstrap_servers=KAFKA, **options)
    sent = [producer.send(topic, value=value, key=key, partition=0) for key, value in values]
    found = [(each.get(30).partition, each.get(30).offset) for each in sent]
    producer.close()
    return found


def consume(topic, count, **options):
    options = {"group_id": None, "auto_offset_reset": "earliest", "consumer_timeout_ms": 20_000, **options}
    consumer = KafkaConsumer(topic, bootstrap_servers=KAFKA, **options)
    found = []
    for record in consumer:
        found.append((record.partition, record.offset, record.key, record.value, record.headers))
        if len(found) == count:
            break
    if options["group_id"]:
        consumer.commit()
    consumer.close()
    return found


@page.example("produce and consume")
def _():
    create("simple")
    return [produce("simple", [(b"a", b"1"), (None, b"2"), (b"c", None)]), consume("simple", 3)]


@page.example("headers, timestamps and serializers")
def _():
    create("headers")
    producer = KafkaProducer(bootstrap_servers=KAFKA, value_serializer=str.encode)
    record = producer.send("headers", "text", headers=[("h", b"1"), ("h", b"2")], timestamp_ms=1234567890123).get(30)
    producer.close()
    return [record.topic, record.offset, record.timestamp, consume("headers", 1)]


for codec in ("gzip", "snappy", "lz4", "zstd"):
    @page.example(f"compression by {codec}")
    def _(codec=codec):
        topic = f"packed-{codec}"
        create(topic)
        produce(topic, [(None, b"x" * 100)] * 20, compression_type=codec, linger_ms=100)
        return [len(consume(topic, 20)), consume(topic, 1)]


@page.example("a group commits and goes on")
def _():
    create("grouped")
    produce("grouped", [(None, str(n).encode()) for n in range(6)])
    first = consume("grouped", 3, group_id="readers", max_poll_records=3, enable_auto_commit=False)
    second = consume("grouped", 3, group_id="readers", max_poll_records=3, enable_auto_commit=False)
    client = admin()
    offsets = client.list_group_offsets(["readers"]) if hasattr(client, "list_group_offsets") else None
    offsets = offsets if offsets is not None else client.list_consumer_group_offsets("readers")
    client.close()
    return [first, second, str(offsets)]


@page.example("assign, seek and positions")
def _():
    create("seek")
    produce("seek", [(None, str(n).encode()) for n in range(10)])
    consumer = KafkaConsumer(bootstrap_servers=KAFKA, consumer_timeout_ms=20_000)
    partition = TopicPartition("seek", 0)
    consumer.assign([partition])
    consumer.seek(partition, 7)
    values = [next(consumer).value, next(consumer).value]
    found = [values, consumer.position(partition), consumer.beginning_offsets([partition]), consumer.end_offsets([partition])]
    consumer.seek_to_beginning(partition)
    found.append(next(consumer).offset)
    consumer.close()
    return found


@page.example("offsets for times")
def _():
    create("times")
    producer = KafkaProducer(bootstrap_servers=KAFKA)
    for time in (1_700_000_000_000, 1_700_000_001_000, 1_700_000_002_000):
        producer.send("times", b"x", timestamp_ms=time, partition=0).get(30)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=KAFKA)
    partition = TopicPartition("times", 0)
    found = [consumer.offsets_for_times({partition: time}) for time in (0, 1_700_000_000_500, 1_700_000_003_000)]
    consumer.close()
    return found


@page.example("commit offsets with metadata")
def _():
    create("committed")
    consumer = KafkaConsumer(bootstrap_servers=KAFKA, group_id="committers", enable_auto_commit=False)
    partition = TopicPartition("committed", 0)
    consumer.assign([partition])
    before = consumer.committed(partition)
    consumer.commit({partition: OffsetAndMetadata(5, "note", -1)})
    found = [before, consumer.committed(partition), consumer.committed(partition, metadata=True)]
    consumer.close()
    return found


@page.example("pause and resume")
def _():
    create("paused")
    produce("paused", [(None, b"1")])
    consumer = KafkaConsumer(bootstrap_servers=KAFKA, auto_offset_reset="earliest")
    partition = TopicPartition("paused", 0)
    consumer.assign([partition])
    consumer.pause(partition)
    nothing = consumer.poll(500)
    paused = consumer.paused()
    consumer.resume(partition)
    some = {}
    while not some:
        some = consumer.poll(500)
    consumer.close()
    return [nothing, paused, [record.value for record in some[partition]]]


@page.example("an idempotent and a transactional producer")
def _():
    create("paid")
    produce("paid", [(None, b"once")], enable_idempotence=True)
    producer = KafkaProducer(bootstrap_servers=KAFKA, transactional_id="page")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send("paid", b"committed", partition=0)
    producer.commit_transaction()
    producer.begin_transaction()
    producer.send("paid", b"aborted", partition=0)
    producer.flush()
    producer.abort_transaction()
    producer.begin_transaction()
    producer.send("paid", b"last", partition=0)
    producer.commit_transaction()
    producer.close()
    return [consume("paid", 3, isolation_level="read_committed"), consume("paid", 4)]


@page.example("admin: topics, partitions and configs")
def _():
    create("managed", 2, **{"retention.ms": "60000"})
    client = admin()
    found = ["managed" in client.list_topics(), error_of(client.create_topics, [NewTopic("managed", 1, 1)]).split(":")[0]]
    client.create_partitions({"managed": NewPartitions(5)})
    described = client.describe_topics(["managed"])[0]
    found.append(len(described["partitions"]))
    found.append(str(client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "managed", ["retention.ms"])]))[:600])
    client.delete_topics(["managed"])
    client.close()
    return found


@page.example("admin: groups")
def _():
    client = admin()
    groups = sorted(str(group) for group in client.list_groups())
    described = str(client.describe_groups(["readers"]))
    client.delete_groups(["readers"])
    after = len(client.list_groups())
    client.close()
    return [groups, described[:400], after]


page.run()
