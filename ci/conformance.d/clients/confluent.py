"""confluent-kafka: what its README shows, example by example, by the group protocol that PROTOCOL names."""

import os
import time

from confluent_kafka import (Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, IsolationLevel, KafkaException,
                             Producer, TopicCollection, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

from page import Page

KAFKA, PROTOCOL = os.environ["KAFKA"], os.environ["PROTOCOL"]
page = Page()
admin = AdminClient({"bootstrap.servers": KAFKA})


def create(topic, partitions=1, **config):
    done(admin.create_topics([NewTopic(topic, partitions, 1, config=config)]))
    # A broker learns of a topic a moment after the controller has made it.
    while admin.list_topics(topic).topics[topic].error:
        time.sleep(0.01)


def done(futures):
    return {str(key): str(future.result()) for key, future in futures.items()}


def failure(function, *arguments):
    try:
        return function(*arguments)
    except KafkaException as error:
        return f"{error.args[0].name()}: {error.args[0].str()}"


def produce(topic, values, **options):
    told = []
    producer = Producer({"bootstrap.servers": KAFKA, **options})
    for key, value in values:
        producer.produce(topic, value, key, 0, on_delivery=lambda error, record: told.append((error, record.offset())))
    producer.flush(30)
    return told


def consumer(group="unused", **options):
    return Consumer({"bootstrap.servers": KAFKA, "group.id": group, "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, "group.protocol": PROTOCOL, **options})


def take(reader, count):
    found, until = [], time.monotonic() + 40
    while len(found) < count and time.monotonic() < until:
        record = reader.poll(1)
        if record is not None and not record.error():
            found.append((record.partition(), record.offset(), record.key(), record.value()))
    return found


def read(topic, count, **options):
    reader = consumer(**options)
    reader.assign([TopicPartition(topic, 0, 0)])
    found = take(reader, count)
    reader.close()
    return found


@page.example("produce and consume")
def _():
    create("simple")
    return [produce("simple", [(b"a", b"1"), (None, b"2"), (b"c", None)]), read("simple", 3)]


@page.example("a group commits and goes on")
def _():
    create("grouped", 2)
    produce("grouped", [(None, b"%d" % n) for n in range(6)])
    found = []
    for _ in range(2):
        reader = consumer("readers")
        reader.subscribe(["grouped"])
        records = take(reader, 3)
        committed = reader.commit(offsets=[TopicPartition("grouped", 0, records[-1][1] + 1)], asynchronous=False)
        found += [records, [(each.topic, each.partition, each.offset) for each in committed]]
        reader.close()
    return found


@page.example("members come and go")
def _():
    create("moving", 4)
    one, two = consumer("movers"), consumer("movers")
    seen = []
    one.subscribe(["moving"])
    for members in ((one,), (one, two), (one,)):
        if len(members) == 2:
            two.subscribe(["moving"])
        elif seen:
            two.close()
        until = time.monotonic() + 40
        while time.monotonic() < until:
            for member in members:
                member.poll(0.05)
            sizes = [len(member.assignment()) for member in members]
            if sum(sizes) == 4 and min(sizes) > 0:
                break
        seen.append(sorted(sizes))
    one.close()
    return seen


@page.example("offsets: watermarks, by time, committed, positions")
def _():
    create("offsets")
    produce("offsets", [(None, b"%d" % n) for n in range(5)])
    reader = consumer("offsets")
    partition = TopicPartition("offsets", 0)
    by_time = [reader.offsets_for_times([TopicPartition("offsets", 0, at)])[0].offset for at in (1, 4102444800000)]
    found = [reader.get_watermark_offsets(partition), by_time, reader.committed([partition])[0].offset]
    reader.commit(offsets=[TopicPartition("offsets", 0, 3, "note")], asynchronous=False)
    committed = reader.committed([partition])[0]
    found.append((committed.offset, committed.metadata))
    reader.assign([TopicPartition("offsets", 0, 2)])
    found += [take(reader, 1), reader.position([partition])[0].offset]
    reader.close()
    return found


@page.example("an idempotent producer")
def _():
    create("once")
    return [produce("once", [(None, b"%d" % n) for n in range(5)], **{"enable.idempotence": True}), len(read("once", 5))]


@page.example("transactions: read, write and commit together")
def _():
    create("in")
    create("out")
    produce("in", [(None, b"%d" % n) for n in range(4)])
    reader, producer = consumer("movers-2"), Producer({"bootstrap.servers": KAFKA, "transactional.id": "page"})
    reader.subscribe(["in"])
    producer.init_transactions(30)
    for commit in (True, False):
        producer.begin_transaction()
        for _, _, _, value in take(reader, 2):
            producer.produce("out", value, partition=0)
        producer.send_offsets_to_transaction(reader.position(reader.assignment()), reader.consumer_group_metadata(), 30)
        # What waits to be sent would be thrown away by an abort.
        producer.flush(30)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)
    committed = reader.committed([TopicPartition("in", 0)])[0].offset
    reader.close()
    return [committed, read("out", 2, **{"isolation.level": "read_committed"}),
            [value for _, _, _, value in read("out", 4, **{"isolation.level": "read_uncommitted"})]]


@page.example("a new producer fences the old one")
def _():
    create("fenced")
    old, new = (Producer({"bootstrap.servers": KAFKA, "transactional.id": "fenced"}) for _ in range(2))
    old.init_transactions(30)
    old.begin_transaction()
    old.produce("fenced", b"old", partition=0)
    old.flush(30)
    new.init_transactions(30)
    return [failure(old.commit_transaction, 30), failure(new.begin_transaction)]


@page.example("admin: topics and partitions")
def _():
    create("managed", 2)
    found = [failure(create, "managed"), done(admin.create_partitions([NewPartitions("managed", 5)]))]
    described = admin.describe_topics(TopicCollection(["managed"]))["managed"].result()
    found += [described.name, len(described.partitions), [len(each.replicas) for each in described.partitions]]
    ends = admin.list_offsets({TopicPartition("managed", 0): OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_COMMITTED)
    found += [[future.result().offset for future in ends.values()], done(admin.delete_topics(["managed"]))]
    return found


@page.example("admin: configs")
def _():
    create("configured", **{"retention.ms": "60000"})
    resource = ConfigResource(ResourceType.TOPIC, "configured")
    resource.add_incremental_config(ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET))
    resource.add_incremental_config(ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE))
    found = [list(done(admin.incremental_alter_configs([resource])).values())]
    wrong = ConfigResource(ResourceType.TOPIC, "configured")
    wrong.add_incremental_config(ConfigEntry("cleanup.policy", "x", incremental_operation=AlterConfigOpType.SET))
    found.append(failure(done, admin.incremental_alter_configs([wrong])))
    entries = admin.describe_configs([ConfigResource(ResourceType.TOPIC, "configured")])
    for future in entries.values():
        entries = future.result()
        found += [f"{name}={entry.value} {entry.source} {entry.is_read_only} {entry.is_sensitive}" for name, entry in sorted(entries.items())]
    return found


@page.example("admin: delete records")
def _():
    create("shortened")
    produce("shortened", [(None, b"%d" % n) for n in range(5)])
    deleted = admin.delete_records([TopicPartition("shortened", 0, 3)])
    return [[future.result().low_watermark for future in deleted.values()], read("shortened", 2)]


@page.example("admin: groups and their offsets")
def _():
    listed = admin.list_consumer_groups().result()
    found = [sorted((each.group_id, str(each.state), str(each.type)) for each in listed.valid)]
    group = admin.describe_consumer_groups(["readers"])["readers"].result()
    found += [group.group_id, group.state == ConsumerGroupState.EMPTY, group.members]
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("readers")])["readers"].result()
    found.append([(each.topic, each.partition, each.offset) for each in offsets.topic_partitions])
    altered = ConsumerGroupTopicPartitions("readers", [TopicPartition("grouped", 0, 1)])
    found += [str(admin.alter_consumer_group_offsets([altered])["readers"].result().topic_partitions[0].offset)]
    return [*found, done(admin.delete_consumer_groups(["readers"])), failure(done, admin.delete_consumer_groups(["readers"]))]


@page.example("admin: the cluster")
def _():
    cluster = admin.describe_cluster().result()
    return [len(cluster.nodes), cluster.controller.id, len(cluster.cluster_id)]


page.run()
