#!/usr/bin/env bash
# The command line tools of Apache Kafka, by the names its distribution gives them. Each example prints its name, then
# what the tool printed.

set -u
cd "$(mktemp -d)" || exit 1
trap 'rm -rf "$PWD"' EXIT
# What they log beside what they print is of no interest: it begins with a time, and ends with where in the code it was.
tool() {
    local name=$1
    shift
    timeout 60 "$KAFKA_PATH/bin/$name.sh" --bootstrap-server "$KAFKA" "$@" 2>&1 | grep -Ev $'^(OpenJDK|SLF4J|log4j|\\[?20[0-9][0-9]-|Caused by|$|\tat |\t[.]{3})'
}
example() { echo "## $1"; }

example "topics: create, list, describe"
tool kafka-topics --create --topic orders --partitions 3 --replication-factor 1 --config retention.ms=3600000
tool kafka-topics --create --topic orders --partitions 3
tool kafka-topics --create --topic orders --if-not-exists
tool kafka-topics --create --topic payments --replica-assignment 1,1
tool kafka-topics --list --exclude-internal
tool kafka-topics --describe --topic orders
tool kafka-topics --describe --topic nowhere

example "topics: what is refused"
tool kafka-topics --create --topic 'bad/name'
tool kafka-topics --create --topic wide --replication-factor 5
tool kafka-topics --create --topic set --config no.such.config=1
tool kafka-topics --create --topic set --config retention.ms=abc

example "topics: more partitions, delete"
tool kafka-topics --alter --topic payments --partitions 4
tool kafka-topics --describe --topic payments
tool kafka-topics --alter --topic payments --partitions 2
tool kafka-topics --delete --topic payments
tool kafka-topics --delete --topic payments
tool kafka-topics --list --exclude-internal

example "configs of a topic"
tool kafka-configs --describe --topic orders
tool kafka-configs --alter --topic orders --add-config cleanup.policy=compact,segment.bytes=1048576
tool kafka-configs --alter --topic orders --delete-config retention.ms
tool kafka-configs --describe --topic orders
tool kafka-configs --alter --topic orders --add-config cleanup.policy=nonsense
tool kafka-topics --create --topic plain
tool kafka-configs --describe --topic plain --all | sort

example "configs of brokers"
tool kafka-configs --alter --broker 1 --add-config log.cleaner.threads=2
tool kafka-configs --describe --broker 1
tool kafka-configs --alter --broker-defaults --add-config log.retention.ms=7200000
tool kafka-configs --describe --broker-defaults
tool kafka-configs --alter --broker 1 --delete-config log.cleaner.threads
tool kafka-configs --describe --broker 1

example "the console: produce and consume"
tool kafka-topics --create --topic console
printf 'one\ntwo\nthree\n' | tool kafka-console-producer --topic console
tool kafka-console-consumer --topic console --from-beginning --max-messages 3
printf 'k1:v1\nk2:v2\n' | tool kafka-console-producer --topic console --reader-property parse.key=true --reader-property key.separator=:
tool kafka-console-consumer --topic console --partition 0 --offset 3 --max-messages 2 \
    --formatter-property print.key=true --formatter-property print.offset=true --formatter-property print.partition=true

example "get-offsets"
tool kafka-get-offsets --topic console
tool kafka-get-offsets --topic console --time earliest
tool kafka-get-offsets --topic console --time max-timestamp
tool kafka-get-offsets --topic console --time 1
tool kafka-get-offsets --topic nowhere

example "consumer groups"
tool kafka-console-consumer --topic console --group readers --from-beginning --max-messages 2
tool kafka-consumer-groups --list | sort
tool kafka-consumer-groups --describe --group readers
tool kafka-consumer-groups --describe --group readers --state
tool kafka-consumer-groups --describe --group readers --members
tool kafka-consumer-groups --describe --group nobody

example "consumer groups: reset offsets, delete"
tool kafka-consumer-groups --group readers --topic console --reset-offsets --to-earliest --dry-run
tool kafka-consumer-groups --group readers --topic console --reset-offsets --to-offset 4 --execute
tool kafka-consumer-groups --group readers --topic console --reset-offsets --shift-by -1 --execute
tool kafka-console-consumer --topic console --group readers --max-messages 2
tool kafka-consumer-groups --group readers --delete-offsets --topic console
tool kafka-consumer-groups --group readers --describe
tool kafka-consumer-groups --group readers --delete
tool kafka-consumer-groups --list | sort

example "a group of the consumer protocol"
tool kafka-console-consumer --topic console --group modern --command-property group.protocol=consumer --from-beginning --max-messages 2
tool kafka-consumer-groups --describe --group modern --state
tool kafka-groups --list | sort | tr -s ' '
tool kafka-consumer-groups --group modern --delete

example "delete records"
echo '{"partitions": [{"topic": "console", "partition": 0, "offset": 2}], "version": 1}' >delete.json
tool kafka-delete-records --offset-json-file delete.json
tool kafka-get-offsets --topic console --time earliest
tool kafka-console-consumer --topic console --from-beginning --max-messages 3

example "producer and consumer performance"
tool kafka-topics --create --topic perf
tool kafka-producer-perf-test --topic perf --num-records 5000 --record-size 100 --throughput -1 | sed 's/[0-9.]\+ records\/sec.*/RATE/'
tool kafka-consumer-perf-test --topic perf --num-records 5000 --timeout 30000 | tail -1 | awk -F, '{ print $5 }'

example "end to end latency"
tool kafka-e2e-latency --topic perf --num-records 50 --producer-acks all --record-size 20 | grep -o '^[A-Z][a-z ]*'

example "verifiable producer and consumer"
tool kafka-topics --create --topic verified
tool kafka-verifiable-producer --topic verified --max-messages 20 --acks -1 | grep -o '"name":"[a-z_]*"' | sort | uniq -c
tool kafka-verifiable-consumer --topic verified --group-id verifiers --max-messages 20 | grep -o '"name":"[a-z_]*"' | sort -u
tool kafka-get-offsets --topic verified

example "a transactional copier"
tool kafka-topics --create --topic copied
copier() { timeout 60 java -cp "$KAFKA_JARS/*" org.apache.kafka.tools.TransactionalMessageCopier --broker-list "$KAFKA" "$@" 2>&1; }
copier --transactional-id copier --input-topic verified --input-partition 0 --output-topic copied --max-messages 20 \
    --transaction-size 5 --consumer-group copiers | grep -o '"\(consumed\|remaining\|totalProcessed\)":"\?[0-9]*' | sort | tail -3
tool kafka-console-consumer --topic copied --from-beginning --max-messages 20 --isolation-level read_committed | md5sum
tool kafka-consumer-groups --describe --group copiers

example "transactions"
tool kafka-transactions list | awk '{ print $1, $2, $4 }'
tool kafka-transactions describe --transactional-id copier | awk '{ print $2, $5, $6, $7 }' | head -3
tool kafka-transactions describe-producers --topic copied --partition 0 | awk '{ print NF }'

example "the cluster"
tool kafka-broker-api-versions | grep -c 'Produce(0)'
tool kafka-features describe | sort
tool kafka-log-dirs --describe --topic-list console | grep -o '"partition":"console-0"' | head -1
tool kafka-leader-election --election-type preferred --topic console --partition 0

example "a consumer of the share protocol"
tool kafka-topics --create --topic shared
tool kafka-configs --alter --group sharers --add-config share.auto.offset.reset=earliest
printf 'one\ntwo\n' | tool kafka-console-producer --topic shared
tool kafka-console-share-consumer --topic shared --group sharers --max-messages 2
