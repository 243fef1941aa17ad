"""The Kafka mock beside the real one and two other mocks, with one client for all: kafka.c, on librdkafka.

Processor time is what the kernel counted for the broker, so it holds on a busy machine too; records per second hold on
an idle one only. The others are rdmock, the mock cluster inside librdkafka; kfake of franz-go; and Apache Kafka.
"""

import os
import platform
import re
import statistics
import subprocess
import time
from pathlib import Path

import kafka_librdkafka
import kafka_raw
import kafka_servers

HERE = Path(__file__).resolve().parent
ROUNDS, STARTS = 3, 7
SETTINGS = ["auto.create.topics.enable=true", "num.partitions=1"]
# Those of kafka.c and of kfake; the real one makes them when it is asked for them.
TOPICS = ["small", "large", "trip"]
# Records of a batch of nearly 1 MB, which librdkafka makes at most.
IN_BATCH = {100: 9000, 1000: 950}
# Title, what the client does, the records' size and how many.
RUNS = [
    ("produce 100 B", "produce", "small", 100, 2_000_000),
    ("consume 100 B", "consume", "small", 100, 2_000_000),
    ("produce 1 KB", "produce", "large", 1000, 500_000),
    ("consume 1 KB", "consume", "large", 1000, 500_000),
]
TICKS = os.sysconf("SC_CLK_TCK")
PARTS, OTHERS = ["throughput", "raw", "start"], ["rdmock", "kfake", "real"]


def add_arguments(parser):
    parser.add_argument("--part", choices=PARTS, action="append", help="measure this only; writes nothing")
    parser.add_argument("--against", choices=OTHERS, action="append", help="these only; writes nothing")


def build(work):
    """The client and kfake as programs, and librdkafka's version."""
    source, version = kafka_librdkafka.fetch(work)
    client, kfake, library = work / "kafka-bench", work / "kfake", source / "src"
    link = [f"-L{library}", "-lrdkafka", f"-Wl,-rpath,{library}"]
    subprocess.run(["gcc", "-O2", "-Wall", f"-I{library}", HERE / "kafka.c", "-o", client, *link], check=True)
    subprocess.run(["go", "build", "-o", kfake, "."], cwd=HERE / "kfake", check=True)
    return client, kfake, version


def processes(pid):
    """A process and those it started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from processes(int(child))


def cpu_seconds(cluster):
    """Processor time of the brokers so far."""
    used = 0
    for pid in processes(cluster.process.pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / TICKS


def resident_bytes(cluster):
    statuses = (Path(f"/proc/{pid}/status").read_text() for pid in processes(cluster.process.pid))
    return sum(int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024 for status in statuses)


def run_client(client, cluster, *words):
    command = [client, words[0], cluster.addresses, *map(str, words[1:])]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed with {done.returncode}")
    return [float(word) for word in done.stdout.split()]


def round_of(name, start, client, _):
    """By run records per second and the broker's microseconds per record; and bytes held per byte of records."""
    found, held = {}, None
    with start() as cluster:
        for title, what, topic, size, count in RUNS:
            # librdkafka's mock keeps the last 5 MB only.
            if name == "rdmock" and what == "consume":
                continue
            used, resident = cpu_seconds(cluster), resident_bytes(cluster)
            sizes = [size] if what == "produce" else []
            seconds = run_client(client, cluster, what, topic, *sizes, count)[0]
            found[title] = count / seconds, (cpu_seconds(cluster) - used) / count * 1e6
            if what == "produce" and topic == "large":
                held = (resident_bytes(cluster) - resident) / (size * count)
    return found, held


def raw_round_of(name, start, _, batches):
    """The same with a client that takes a batch as it is; says nothing of memory."""
    found = {}
    with start() as cluster:
        for title, what, topic, size, count in RUNS:
            if name == "rdmock" and what == "consume":
                continue
            client = kafka_raw.Raw(cluster.addresses, topic)
            times = count // IN_BATCH[size]
            used, began = cpu_seconds(cluster), time.perf_counter()
            if what == "produce":
                client.produce(batches[size], times)
            else:
                client.consume(times * IN_BATCH[size])
            seconds, used = time.perf_counter() - began, cpu_seconds(cluster) - used
            sent = times * IN_BATCH[size]
            found[title] = sent / seconds, used / sent * 1e6
    return found, None


def keeping_us(batch, size):
    """Microseconds a record takes that is copied to fresh memory and stays there: no broker that keeps it takes less."""
    times = next(count for _, _, _, each, count in RUNS if each == size) // IN_BATCH[size]
    used = time.process_time()
    kept = [bytes(memoryview(batch)) for _ in range(times)]
    return (time.process_time() - used) / len(kept) / IN_BATCH[size] * 1e6


def throughput(servers, client, of_round):
    rounds = {name: [] for name in servers}
    batches = {size: kafka_raw.batch(size, count) for size, count in IN_BATCH.items()}
    for _ in range(ROUNDS):
        for name, start in servers.items():
            rounds[name].append(of_round(name, start, client, batches))
            print(f"  {name}: {rounds[name][-1]}", flush=True)
    lines = [f"| | {' | '.join(f'{name}, records/s' for name in servers)} | {' | '.join(f'{name}, CPU µs' for name in servers)} |",
             "|---" * (1 + 2 * len(servers)) + "|"]
    for title, *_ in RUNS:
        columns = {name: [found[title] for found, _ in rounds[name] if title in found] for name in servers}
        medians = [[statistics.median(one) for one in zip(*column)] for column in columns.values()]
        rates = [f"{each[0]:,.0f}" if each else "–" for each in medians]
        costs = [f"{each[1]:.2f}" if each else "–" for each in medians]
        lines.append(f"| {title} | {' | '.join(rates + costs)} |")
    if of_round is raw_round_of:
        costs = {size: statistics.median(keeping_us(batch, size) for _ in range(ROUNDS)) for size, batch in batches.items()}
        said = ", ".join(f"of {size:,} B {cost:.2f} µs" for size, cost in costs.items())
        return [*lines, "", f"A record that is copied to fresh memory and kept there, by a program that does nothing else: {said}."]
    kept = [(name, statistics.median(held for _, held in rounds[name])) for name in ("mock", "kfake") if name in servers]
    lines += ["", "Memory that a byte of 1 KB records takes: " + ", ".join(f"{name} {held:.2f}" for name, held in kept) + "."]
    return lines


def start_times(servers, client):
    """Milliseconds from starting the program to a record produced and consumed, medians."""
    medians = []
    for start in servers.values():
        times = []
        for _ in range(STARTS):
            began = time.perf_counter()
            with start() as cluster:
                run_client(client, cluster, "trip", "trip")
                times.append((time.perf_counter() - began) * 1e3)
        medians.append(f"{statistics.median(times):,.0f}")
    return ["", f"| | {' | '.join(servers)} |", "|---" * (1 + len(servers)) + "|",
            f"| program start to a record produced and consumed, ms | {' | '.join(medians)} |"]


def run(squall, work, arguments):
    """The section of the page, and whether it is whole."""
    client, kfake, version = build(work)
    servers = {
        "mock": lambda: kafka_servers.mock(squall, 1, SETTINGS, TOPICS),
        "rdmock": lambda: kafka_servers.Cluster([client, "mock"]),
        "kfake": lambda: kafka_servers.Cluster([kfake]),
        "real": lambda: kafka_servers.real(1, SETTINGS),
    }
    chosen = {name: start for name, start in servers.items() if name == "mock" or name in (arguments.against or OTHERS)}
    parts = arguments.part or PARTS
    lines = [f"{os.cpu_count()} cores, {platform.machine()}, librdkafka {version}, Apache Kafka {kafka_servers.RELEASE}", ""]
    if "throughput" in parts:
        lines += throughput(chosen, client, round_of)
    if "raw" in parts:
        lines += ["", "With a client that costs next to nothing, which sends one batch over and over and looks at headers only:", ""]
        lines += throughput(chosen, client, raw_round_of)
    if "start" in parts:
        lines += start_times(chosen, client)
    return lines, not (arguments.part or arguments.against)
