/* The one client all brokers are measured with: librdkafka, one partition, records without keys.
 *
 *     kafka produce ADDRESS TOPIC BYTES COUNT    prints seconds and the client's processor seconds
 *     kafka consume ADDRESS TOPIC COUNT          likewise
 *     kafka trip ADDRESS TOPIC                   prints milliseconds from nothing to a record produced and consumed
 *     kafka mock                                 librdkafka's mock cluster: prints its address, ends with its input
 *
 * Times of produce and consume begin with the first record, so that connecting is not part of them. Exits with 1,
 * saying why, if a record is not delivered or nothing comes for 30 s.
 */

#include <rdkafka.h>
#include <rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PATIENCE_MS = 30000, AT_ONCE = 10000 };

static void fail(const char *what, const char *why) {
        fprintf(stderr, "%s: %s\n", what, why);
        exit(1);
}

static double seconds(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double processor_seconds(void) {
        struct rusage used;
        getrusage(RUSAGE_SELF, &used);
        return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static rd_kafka_conf_t *conf(const char *address, const char *const *settings) {
        char why[512];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        if (rd_kafka_conf_set(conf, "bootstrap.servers", address, why, sizeof(why)))
                fail("bootstrap.servers", why);
        for (; settings[0]; settings += 2)
                if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof(why)))
                        fail(settings[0], why);
        return conf;
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
        char why[512];
        rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof(why));
        if (!client)
                fail("client", why);
        return client;
}

static long delivered;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
        (void)rk, (void)opaque;
        if (message->err)
                fail("delivery", rd_kafka_err2str(message->err));
        delivered++;
}

static rd_kafka_t *producer(const char *address, const char *linger_ms) {
        const char *settings[] = {"acks", "all", "linger.ms", linger_ms, "queue.buffering.max.messages", "500000",
                                  "queue.buffering.max.kbytes", "400000", NULL};
        rd_kafka_conf_t *own   = conf(address, settings);
        rd_kafka_conf_set_dr_msg_cb(own, on_delivery);
        return client(RD_KAFKA_PRODUCER, own);
}

static void put(rd_kafka_t *rk, rd_kafka_topic_t *topic, void *payload, size_t size) {
        while (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, payload, size, NULL, 0, NULL)) {
                if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                        fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
                rd_kafka_poll(rk, 10);
        }
}

static void flush(rd_kafka_t *rk) {
        if (rd_kafka_flush(rk, PATIENCE_MS))
                fail("flush", "not everything was delivered in time");
}

static void produce(const char *address, const char *name, size_t size, long count) {
        rd_kafka_t *rk          = producer(address, "5");
        rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
        char *payload           = malloc(size);
        if (!payload)
                fail("payload", "no memory");
        for (size_t at = 0; at < size; at++)
                payload[at] = (char)rand();
        put(rk, topic, payload, size);
        flush(rk);
        double began = seconds(), used = processor_seconds();
        for (long sent = 1; sent < count; sent++) {
                put(rk, topic, payload, size);
                if (sent % AT_ONCE == 0)
                        rd_kafka_poll(rk, 0);
        }
        flush(rk);
        printf("%.6f %.6f\n", seconds() - began, processor_seconds() - used);
        if (delivered != count)
                fail("produce", "records were lost");
        rd_kafka_topic_destroy(topic);
        rd_kafka_destroy(rk);
        free(payload);
}

/* Begins at offset 0 rather than at the beginning, which librdkafka would ask for only half a second later if it is
 * not connected yet. */
static rd_kafka_t *consumer(const char *address, const char *name) {
        const char *settings[] = {"group.id", "bench", "auto.offset.reset", "earliest", "enable.auto.commit", "false",
                                  "queued.max.messages.kbytes", "200000", NULL};
        rd_kafka_t *rk         = client(RD_KAFKA_CONSUMER, conf(address, settings));
        rd_kafka_topic_partition_list_t *from = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(from, name, 0)->offset = 0;
        if (rd_kafka_assign(rk, from))
                fail("assign", name);
        rd_kafka_topic_partition_list_destroy(from);
        return rk;
}

static long take(rd_kafka_queue_t *queue, rd_kafka_message_t **messages, long most) {
        size_t wanted = most < AT_ONCE ? (size_t)most : AT_ONCE;
        ssize_t came = rd_kafka_consume_batch_queue(queue, PATIENCE_MS, messages, wanted);
        long records = 0;
        if (came <= 0)
                fail("consume", "nothing came in time");
        for (ssize_t at = 0; at < came; at++) {
                if (messages[at]->err)
                        fail("consume", rd_kafka_message_errstr(messages[at]));
                records++;
                rd_kafka_message_destroy(messages[at]);
        }
        return records;
}

static void consume(const char *address, const char *name, long count) {
        static rd_kafka_message_t *messages[AT_ONCE];
        rd_kafka_t *rk          = consumer(address, name);
        rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
        /* The first records end the wait for connections. */
        rd_kafka_message_t *first = rd_kafka_consumer_poll(rk, PATIENCE_MS);
        if (!first || first->err)
                fail("consume", first ? rd_kafka_message_errstr(first) : "nothing came in time");
        rd_kafka_message_destroy(first);
        double began = seconds(), used = processor_seconds();
        for (long got = 1; got < count;)
                got += take(queue, messages, count - got);
        printf("%.6f %.6f\n", seconds() - began, processor_seconds() - used);
        rd_kafka_queue_destroy(queue);
        rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void trip(const char *address, const char *name) {
        double began            = seconds();
        rd_kafka_t *rk          = producer(address, "0");
        rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
        rd_kafka_t *reader      = consumer(address, name);
        put(rk, topic, "hello", 5);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, PATIENCE_MS);
        if (!message || message->err)
                fail("consume", message ? rd_kafka_message_errstr(message) : "nothing came in time");
        printf("%.6f\n", (seconds() - began) * 1e3);
        rd_kafka_message_destroy(message);
        rd_kafka_topic_destroy(topic);
        rd_kafka_destroy_flags(reader, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        rd_kafka_destroy(rk);
}

static void mock(void) {
        rd_kafka_t *rk                  = client(RD_KAFKA_PRODUCER, rd_kafka_conf_new());
        rd_kafka_mock_cluster_t *mock   = rd_kafka_mock_cluster_new(rk, 1);
        rd_kafka_mock_topic_create(mock, "small", 1, 1);
        rd_kafka_mock_topic_create(mock, "large", 1, 1);
        rd_kafka_mock_topic_create(mock, "trip", 1, 1);
        printf("%s\n", rd_kafka_mock_cluster_bootstraps(mock));
        fflush(stdout);
        while (getchar() != EOF)
                ;
        rd_kafka_mock_cluster_destroy(mock);
        rd_kafka_destroy(rk);
}

int main(int count, char **words) {
        const char *what = count > 1 ? words[1] : "";
        if (!strcmp(what, "produce") && count == 6)
                produce(words[2], words[3], strtoul(words[4], NULL, 10), strtol(words[5], NULL, 10));
        else if (!strcmp(what, "consume") && count == 5)
                consume(words[2], words[3], strtol(words[4], NULL, 10));
        else if (!strcmp(what, "trip") && count == 4)
                trip(words[2], words[3]);
        else if (!strcmp(what, "mock") && count == 2)
                mock();
        else
                fail(words[0], "expected produce, consume, trip or mock with its arguments");
        return 0;
}
