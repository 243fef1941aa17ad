"""Pages of examples, one per client and one for Kafka's own tools, run against the mock and the real server: what they
print must be the same.

The pages are in clients/, written in the manner of each client's documentation; the clients themselves are fetched at
fixed versions. Ports, ids and times that differ from run to run are masked; nothing else is.
"""

import re
import subprocess
import tempfile
from pathlib import Path

import kafka_servers
import pages

PAGES = Path(__file__).resolve().parent / "clients"
PYTHON = {"kafka-python": "3.0.12", "aiokafka": "0.14.0", "confluent-kafka": "2.16.1", "cramjam": "2.14.0", "lz4": "4.4.5", "python-snappy": "0.7.3", "zstandard": "0.25.0"}
NODE = {"kafkajs": "2.2.4"}
RUST = re.search(r'^rdkafka .*"=(.*?)"', (PAGES / "kafka-rust" / "Cargo.toml").read_text(), re.M).group(1)
JAVA = re.search(r"kafka-clients</artifactId>\s+<version>(.*?)<", (PAGES / "kafka-java" / "pom.xml").read_text()).group(1)
# Seconds that a page may take: each of the tools starts a Java program, some eighty times.
PAGE_LIMIT = 900
SETTINGS = ["auto.create.topics.enable=true"]

# What differs from run to run, and what stands for it.
MASKS = [
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\bport=\d+", "port=PORT"),
    (r"\b1[6-9]\d{11}\b", "TIME"),
    (r"\b(?:[A-Za-z0-9_.]+-)+[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "MEMBER"),
    (r"console-consumer-\d+", "CONSOLE-GROUP"),
    (r"(?<=Epoch: )\d+", "EPOCH"),
    (r"(?<=TopicId: )[\w-]{22}", "TOPIC-ID"),
    (r"^%\d\|\d+\.\d+\|", "LOG|"),
]


def with_python(work):
    return pages.python(work / "python", PYTHON)


def with_node(work):
    return pages.node(work / "node", NODE, PAGES.glob("*.mjs"))


def with_rust(work):
    return pages.rust(work / "rust", PAGES / "kafka-rust")


def with_java(work):
    return pages.java(work / "java", PAGES / "kafka-java")


def with_go(work):
    program = work / "go-page"
    subprocess.run(["go", "build", "-o", program, "."], cwd=PAGES / "kafka-go", check=True)
    return program


def with_tools(work):
    return kafka_servers.tools(work.parent / "kafka-tools")


def by_protocol(protocol, *command):
    return ["env", f"PROTOCOL={protocol}", *command]


# By title of a page: what installs it, and what turns the result into a command.
KCAT = {"kcat": (pages.nothing, lambda _: ["bash", PAGES / "kafka-kcat.sh"])}
TOOLS = {
    f"tools of Apache Kafka {kafka_servers.RELEASE}": (
        with_tools,
        lambda folder: ["env", f"KAFKA_PATH={folder}", f"KAFKA_JARS={kafka_servers.jars()}", "bash", PAGES / "kafka-tools.sh"],
    ),
}
CLIENTS = {
    f"rdkafka crate {RUST}": (with_rust, lambda program: [program]),
    f"Java client {JAVA}": (
        with_java,
        lambda path: ["java", "-cp", path, "Page"],
    ),
    f"kafka-python {PYTHON['kafka-python']}": (with_python, lambda python: [python, PAGES / "kafka_python.py"]),
    f"aiokafka {PYTHON['aiokafka']}": (with_python, lambda python: [python, PAGES / "aiokafka_page.py"]),
    f"confluent-kafka {PYTHON['confluent-kafka']}, classic protocol": (
        with_python,
        lambda python: by_protocol("classic", python, PAGES / "confluent.py"),
    ),
    f"confluent-kafka {PYTHON['confluent-kafka']}, consumer protocol": (
        with_python,
        lambda python: by_protocol("consumer", python, PAGES / "confluent.py"),
    ),
    f"kafkajs {NODE['kafkajs']}": (with_node, lambda folder: ["node", folder / "kafkajs.mjs"]),
    "franz-go, kafka-go and sarama": (with_go, lambda program: [program]),
}


def run_page(command, server, log, _):
    with tempfile.TemporaryDirectory(prefix="squall-clients-") as folder, server() as cluster:
        text, ended = pages.output_of(command, folder, {"KAFKA": cluster.addresses}, log, PAGE_LIMIT)
        return text, cluster.ended() or ended


def run(key, title, chosen, squall, work, arguments):
    servers = {
        "real": lambda: kafka_servers.real(1, SETTINGS),
        "mock": lambda: kafka_servers.mock(squall, 1, SETTINGS),
    }
    return pages.run_suite(key, title, chosen, servers, run_page, MASKS, work, arguments)


def kcat(*arguments):
    return run("kcat", "Examples of kcat", KCAT, *arguments)


def tools(*arguments):
    return run("tools", "Examples of Apache Kafka's tools", TOOLS, *arguments)


def clients(*arguments):
    return run("clients", "Examples of clients", CLIENTS, *arguments)
