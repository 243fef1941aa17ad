// Apache Kafka's own Java client: what its documentation shows, example by example, by both group protocols. Each
// prints its name, then what it saw, and a line that begins with `!!` if it failed.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Page {
    interface Example {
        void run() throws Exception;
    }

    static final String KAFKA = System.getenv("KAFKA");
    static final Duration TICK = Duration.ofMillis(100);
    static Admin admin;

    public static void main(String[] arguments) {
        admin = Admin.create(Map.of("bootstrap.servers", KAFKA));
        example("produce and consume", Page::simple);
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) {
            example("compression by " + codec, () -> compressed(codec));
        }
        for (String protocol : List.of("classic", "consumer")) {
            example("a group commits and goes on, " + protocol, () -> group(protocol));
            example("members come and go, " + protocol, () -> members(protocol));
            example("subscribe by a pattern, " + protocol, () -> pattern(protocol));
        }
        example("a static member", Page::staticMember);
        example("offsets: ends, by time, seek, positions", Page::offsets);
        example("transactions: read, write and commit together", Page::transactions);
        example("a new producer fences the old one", Page::fencing);
        example("admin: topics and partitions", Page::topics);
        example("admin: configs", Page::configs);
        example("admin: groups and their offsets", Page::groups);
        example("admin: delete records, producers, transactions", Page::records);
        example("admin: the cluster and its features", Page::cluster);
        System.exit(0);
    }

    static void example(String name, Example example) {
        System.out.println("## " + name);
        try {
            example.run();
        } catch (Throwable error) {
            error.printStackTrace();
            System.out.println("!! " + error);
        }
    }

    static void create(String topic, int partitions, String... configs) throws Exception {
        Map<String, String> map = new HashMap<>();
        for (int at = 0; at < configs.length; at += 2) {
            map.put(configs[at], configs[at + 1]);
        }
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(map))).all().get();
        // A broker learns of a topic a moment after the controller has made it.
        while (failure(() -> admin.describeTopics(List.of(topic)).allTopicNames().get()) != "no error") {
            Thread.sleep(10);
        }
    }

    static KafkaProducer<String, String> producer(String... options) {
        return new KafkaProducer<>(properties(options), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String group, String... options) {
        Properties properties = properties(options);
        properties.putIfAbsent("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        if (group != null) {
            properties.put("group.id", group);
        }
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    static Properties properties(String... options) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", KAFKA);
        for (int at = 0; at < options.length; at += 2) {
            properties.put(options[at], options[at + 1]);
        }
        return properties;
    }

    static void produce(String topic, int count, String... options) throws Exception {
        try (KafkaProducer<String, String> producer = producer(options)) {
            for (int n = 0; n < count; n++) {
                producer.send(new ProducerRecord<>(topic, 0, "k" + n, "v" + n));
            }
        }
    }

    static List<String> take(KafkaConsumer<String, String> consumer, int count) {
        List<String> found = new ArrayList<>();
        for (int turn = 0; turn < 400 && found.size() < count; turn++) {
            for (ConsumerRecord<String, String> record : consumer.poll(TICK)) {
                found.add(record.partition() + "@" + record.offset() + ":" + record.key() + "=" + record.value());
            }
        }
        return found;
    }

    static List<String> read(String topic, int count, String... options) {
        try (KafkaConsumer<String, String> consumer = consumer(null, options)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            return take(consumer, count).subList(0, count);
        }
    }

    static String failure(Example example) {
        try {
            example.run();
            return "no error";
        } catch (ExecutionException error) {
            return String.valueOf(error.getCause());
        } catch (Exception error) {
            return String.valueOf(error);
        }
    }

    static void simple() throws Exception {
        create("simple", 1);
        try (KafkaProducer<String, String> producer = producer()) {
            ProducerRecord<String, String> record = new ProducerRecord<>("simple", 0, 1234567890123L, "a", "1");
            record.headers().add("h", new byte[] {1});
            RecordMetadata told = producer.send(record).get();
            System.out.println(told + " " + told.timestamp());
            System.out.println(producer.send(new ProducerRecord<>("simple", 0, null, "2")).get());
            System.out.println(producer.send(new ProducerRecord<>("simple", 0, "c", null)).get());
            System.out.println(producer.partitionsFor("simple"));
        }
        System.out.println(read("simple", 3));
    }

    static void compressed(String codec) throws Exception {
        create("packed-" + codec, 1);
        produce("packed-" + codec, 500, "compression.type", codec);
        System.out.println(read("packed-" + codec, 500).hashCode());
    }

    static void group(String protocol) throws Exception {
        String topic = "grouped-" + protocol;
        create(topic, 1);
        produce(topic, 6);
        for (int turn = 0; turn < 2; turn++) {
            try (KafkaConsumer<String, String> consumer = consumer("g-" + protocol, "group.protocol", protocol, "max.poll.records", "3")) {
                consumer.subscribe(List.of(topic));
                System.out.println(take(consumer, 3));
                consumer.commitSync();
                System.out.println(new TreeMap<>(Map.of("committed", consumer.committed(Set.of(new TopicPartition(topic, 0))))));
            }
        }
    }

    static void members(String protocol) throws Exception {
        String topic = "moving-" + protocol;
        create(topic, 4);
        String[] options = {"group.protocol", protocol};
        try (KafkaConsumer<String, String> one = consumer("m-" + protocol, options)) {
            one.subscribe(List.of(topic));
            System.out.println(settle(4, one));
            try (KafkaConsumer<String, String> two = consumer("m-" + protocol, options)) {
                two.subscribe(List.of(topic));
                System.out.println(settle(4, one, two));
                System.out.println(admin.describeConsumerGroups(List.of("m-" + protocol)).all().get().get("m-" + protocol).groupState());
            }
            System.out.println(settle(4, one));
        }
    }

    @SafeVarargs
    static List<Integer> settle(int partitions, KafkaConsumer<String, String>... members) {
        List<Integer> sizes = new ArrayList<>();
        for (int turn = 0; turn < 400; turn++) {
            sizes.clear();
            for (KafkaConsumer<String, String> member : members) {
                member.poll(TICK);
                sizes.add(member.assignment().size());
            }
            if (sizes.stream().mapToInt(size -> size).sum() == partitions && !sizes.contains(0)) {
                break;
            }
        }
        return sizes.stream().sorted().toList();
    }

    static void pattern(String protocol) throws Exception {
        String prefix = "pattern-" + protocol;
        create(prefix + "-1", 1);
        create(prefix + "-2", 2);
        try (KafkaConsumer<String, String> consumer = consumer("p-" + protocol, "group.protocol", protocol)) {
            if (protocol.equals("consumer")) {
                consumer.subscribe(new org.apache.kafka.clients.consumer.SubscriptionPattern(prefix + "-.*"));
            } else {
                consumer.subscribe(java.util.regex.Pattern.compile(prefix + "-.*"));
            }
            System.out.println(settle(3, consumer));
        }
    }

    static void staticMember() throws Exception {
        create("static", 1);
        produce("static", 4);
        for (int turn = 0; turn < 2; turn++) {
            try (KafkaConsumer<String, String> consumer = consumer("static", "group.instance.id", "one", "max.poll.records", "2")) {
                consumer.subscribe(List.of("static"));
                System.out.println(take(consumer, 2));
                consumer.commitSync();
                System.out.println(consumer.groupMetadata().groupInstanceId());
            }
        }
    }

    static void offsets() throws Exception {
        create("offsets", 1);
        produce("offsets", 10);
        TopicPartition partition = new TopicPartition("offsets", 0);
        try (KafkaConsumer<String, String> consumer = consumer("offsets")) {
            consumer.assign(List.of(partition));
            System.out.println(consumer.beginningOffsets(List.of(partition)) + " " + consumer.endOffsets(List.of(partition)));
            System.out.println(consumer.offsetsForTimes(Map.of(partition, 1L)).get(partition).offset());
            System.out.println(consumer.offsetsForTimes(Map.of(partition, 4102444800000L)));
            consumer.seek(partition, 7);
            System.out.println(take(consumer, 3) + " " + consumer.position(partition) + " " + consumer.currentLag(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(5, "note")));
            System.out.println(consumer.committed(Set.of(partition)));
        }
    }

    static void transactions() throws Exception {
        create("in", 1);
        create("out", 1);
        produce("in", 4);
        TopicPartition partition = new TopicPartition("in", 0);
        try (KafkaConsumer<String, String> consumer = consumer("movers", "max.poll.records", "2");
             KafkaProducer<String, String> producer = producer("transactional.id", "page")) {
            consumer.subscribe(List.of("in"));
            producer.initTransactions();
            for (boolean commits : new boolean[] {true, false}) {
                producer.beginTransaction();
                List<String> taken = take(consumer, 2);
                for (String record : taken) {
                    producer.send(new ProducerRecord<>("out", 0, "k", record));
                }
                producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(consumer.position(partition))), consumer.groupMetadata());
                // What waits to be sent would be thrown away by an abort.
                producer.flush();
                if (commits) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
            System.out.println(consumer.committed(Set.of(partition)));
        }
        System.out.println(read("out", 2, "isolation.level", "read_committed"));
        System.out.println(read("out", 4, "isolation.level", "read_uncommitted"));
    }

    static void fencing() throws Exception {
        create("fenced", 1);
        try (KafkaProducer<String, String> old = producer("transactional.id", "fenced");
             KafkaProducer<String, String> fresh = producer("transactional.id", "fenced")) {
            old.initTransactions();
            old.beginTransaction();
            old.send(new ProducerRecord<>("fenced", 0, "k", "old")).get();
            fresh.initTransactions();
            System.out.println(failure(old::commitTransaction).replaceAll("(?s):.*", ""));
            fresh.beginTransaction();
            fresh.send(new ProducerRecord<>("fenced", 0, "k", "fresh"));
            fresh.commitTransaction();
            old.close(Duration.ZERO);
        }
        System.out.println(read("fenced", 1, "isolation.level", "read_committed"));
    }

    static void topics() throws Exception {
        create("managed", 2);
        System.out.println(failure(() -> create("managed", 1)));
        System.out.println(failure(() -> create("bad name!", 1)));
        System.out.println(failure(() -> create("wide", 0)));
        admin.createPartitions(Map.of("managed", NewPartitions.increaseTo(5))).all().get();
        System.out.println(failure(() -> admin.createPartitions(Map.of("managed", NewPartitions.increaseTo(5))).all().get()));
        System.out.println(admin.describeTopics(List.of("managed")).allTopicNames().get().get("managed").partitions().size());
        System.out.println(admin.listTopics().names().get().contains("managed"));
        TopicPartition partition = new TopicPartition("managed", 0);
        for (OffsetSpec spec : List.of(OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.maxTimestamp(), OffsetSpec.forTimestamp(1))) {
            System.out.println(admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get());
        }
        admin.deleteTopics(List.of("managed")).all().get();
        System.out.println(failure(() -> admin.deleteTopics(List.of("managed")).all().get()));
    }

    static void configs() throws Exception {
        create("configured", 1, "retention.ms", "60000");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, "configured");
        alter(resource, new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.SET);
        alter(resource, new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE);
        alter(resource, new ConfigEntry("cleanup.policy", "delete"), AlterConfigOp.OpType.APPEND);
        System.out.println(failure(() -> alter(resource, new ConfigEntry("cleanup.policy", "x"), AlterConfigOp.OpType.SET)));
        System.out.println(failure(() -> alter(resource, new ConfigEntry("no.such", "x"), AlterConfigOp.OpType.SET)));
        List<ConfigEntry> entries = new ArrayList<>(admin.describeConfigs(List.of(resource)).all().get().get(resource).entries());
        entries.sort(java.util.Comparator.comparing(ConfigEntry::name));
        for (ConfigEntry entry : entries) {
            System.out.println(entry.name() + "=" + entry.value() + " " + entry.source() + " " + entry.type());
        }
    }

    static void alter(ConfigResource resource, ConfigEntry entry, AlterConfigOp.OpType type) throws Exception {
        Collection<AlterConfigOp> changes = List.of(new AlterConfigOp(entry, type));
        admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
    }

    static void groups() throws Exception {
        for (String group : List.of("g-classic", "g-consumer")) {
            TopicPartition partition = new TopicPartition("grouped" + group.substring(1), 0);
            System.out.println(admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState());
            System.out.println(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get());
            admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(1))).all().get();
            System.out.println(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get());
            admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
            admin.deleteConsumerGroups(List.of(group)).all().get();
            System.out.println(failure(() -> admin.deleteConsumerGroups(List.of(group)).all().get()));
        }
        System.out.println(failure(() -> admin.describeConsumerGroups(List.of("nobody")).all().get()));
    }

    static void records() throws Exception {
        TopicPartition partition = new TopicPartition("offsets", 0);
        System.out.println(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(partition).get().lowWatermark());
        System.out.println(failure(() -> admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(99))).all().get()));
        System.out.println(read("offsets", 1));
        System.out.println(admin.describeProducers(List.of(partition)).all().get().get(partition).activeProducers().size());
        System.out.println(new TreeMap<>(admin.listTransactions().allByBrokerId().get()).values().stream().mapToInt(Collection::size).sum());
        var described = admin.describeTransactions(List.of("page")).all().get().get("page");
        System.out.println(described.state() + " " + described.transactionTimeoutMs() + " " + described.topicPartitions());
    }

    static void cluster() throws Exception {
        KafkaFuture<Collection<org.apache.kafka.common.Node>> nodes = admin.describeCluster().nodes();
        System.out.println(nodes.get().size() + " " + admin.describeCluster().clusterId().get().length());
        System.out.println(new TreeMap<>(admin.describeFeatures().featureMetadata().get().finalizedFeatures()));
        System.out.println(admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().iterator().next().replicaInfos().containsKey(new TopicPartition("offsets", 0)));
        System.out.println(admin.describeUserScramCredentials().all().get());
        System.out.println(admin.describeClientQuotas(org.apache.kafka.common.quota.ClientQuotaFilter.all()).entities().get());
    }
}
