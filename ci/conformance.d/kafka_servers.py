"""The two clusters that are compared: `squall mock kafka`, and Apache Kafka started by ci/kafka."""

import subprocess
from pathlib import Path

CI = Path(__file__).resolve().parent.parent
# The version the mock behaves as, and its release.
VERSION, RELEASE = "4.3", "4.3.1"


class Cluster:
    """Brokers in processes of their own, which end with `stop` or with this program."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addresses = self.process.stdout.readline().strip()
        if not self.addresses:
            raise SystemExit(f"no brokers: {' '.join(map(str, command))}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def ended(self):
        """Why the brokers are not there any more, if so."""
        code = self.process.poll()
        return None if code is None else f"the server ended with {code}"

    def stop(self):
        self.process.terminate()
        self.process.communicate()


def mock(squall, brokers, settings, topics=()):
    """The mock with settings of brokers as `name=value`, and topics."""
    chosen = [word for setting in settings for word in ("--config", setting)]
    chosen += [word for topic in topics for word in ("--topic", topic)]
    return Cluster([squall, "mock", "kafka", "--listen", "127.0.0.1:0", "--brokers", str(brokers), *chosen])


def real(brokers, settings):
    """Apache Kafka with the same settings."""
    return Cluster([CI / "kafka", "start", VERSION, str(brokers), *settings])


def jars():
    """The folder with the jars of the real server and its tools."""
    return subprocess.run([CI / "kafka", "fetch", VERSION], check=True, capture_output=True, text=True).stdout.strip()


def tools(folder):
    """A folder laid out as Kafka's distribution is, with those of its scripts that others call."""
    libraries = jars()
    scripts = folder / "bin"
    scripts.mkdir(parents=True, exist_ok=True)
    for name, main in MAIN_CLASSES.items():
        script = scripts / name
        # A compiler that costs less than it brings: each runs for a second.
        options = '-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto'
        script.write_text(f'#!/bin/sh\nexec java {options} -cp "{libraries}/*" {main} "$@"\n')
        script.chmod(0o755)
    return folder


MAIN_CLASSES = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions.sh": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-client-metrics.sh": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-cluster.sh": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-share-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test.sh": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-delete-records.sh": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-e2e-latency.sh": "org.apache.kafka.tools.EndToEndLatency",
    "kafka-features.sh": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets.sh": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups.sh": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election.sh": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs.sh": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-producer-perf-test.sh": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions.sh": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions.sh": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-verifiable-consumer.sh": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-verifiable-producer.sh": "org.apache.kafka.tools.VerifiableProducer",
}
