"""librdkafka's own tests, from the crate rdkafka-sys that the workspace's lock file names.

Every entry of its test runner that needs a broker runs by itself, in full: against a mock of its own, and against one
real cluster for all. Both have three brokers and the settings that the entry's scenario asks for. Entries that use
groups run a second time with the protocol of KIP-848, `consumer`. Tests that use Kafka's command line tools get those.
Entries that need no broker, that their authors run by hand only, or that they know to fail are left out.
"""

import json
import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kafka_servers
from report import Suite

ROOT = Path(__file__).resolve().parent.parent.parent
BROKERS = 3
# What the files of the suite's folder `scenarios` say; and Kafka's own default where clusters for tests have another.
COMMON = ["num.partitions=4", "default.replication.factor=3", "group.initial.rebalance.delay.ms=3000"]
SCENARIOS = {
    "default": ["auto.create.topics.enable=true", *COMMON],
    "noautocreate": ["auto.create.topics.enable=false", *COMMON],
}
PROTOCOLS = ("classic", "consumer")
# What the source of an entry says that uses groups.
OF_GROUPS = re.compile(r"subscribe|group\.id|test_create_consumer")
# Seconds that an entry may take; the slowest takes four minutes.
ENTRY_LIMIT = 400
LEFT_OUT = ("TEST_F_LOCAL", "TEST_F_MANUAL", "TEST_F_KNOWN_ISSUE")
ENTRY = re.compile(r"^    _TEST\(\s*(\w+),\s*([\w| ]+)(.*?)\),?$(?=\s+(?:_TEST|#|/\*|\{NULL))", re.M | re.S)
# A line of the runner's summary: name, state, seconds and what failed.
SUMMARY = re.compile(r"^\|\x1b\[\d+m (\S+) +\| +(\w+) \| +([\d.]+)s \x1b\[0m\|(.*)$", re.M)
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def fetch(work):
    """A copy of librdkafka as the crate has it, with its test runner built; its version."""
    metadata = ["cargo", "metadata", "--format-version", "1", "--all-features", "--locked"]
    packages = json.loads(subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout)["packages"]
    package = next(package for package in packages if package["name"] == "rdkafka-sys")
    version = package["version"].partition("+")[2]
    source = work / f"librdkafka-{version}"
    if not (source / "tests" / "test-runner").exists():
        print(f"building the tests of librdkafka {version}", flush=True)
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(Path(package["manifest_path"]).parent / "librdkafka", source)
        with open(work / "librdkafka-build.log", "wb") as log:
            for command in (["./configure", "--disable-gssapi"], ["make", "-j2", "libs"], ["make", "-j2", "-C", "tests", "build"]):
                subprocess.run(command, cwd=source, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return source, version


def entries(source):
    """(scenario, number, names, protocol) of the entries that need a broker; a number stands for all entries it
    begins."""
    found = {}
    for name, flags, rest in ENTRY.findall((source / "tests" / "test.c").read_text()):
        if any(flag in flags.replace(" ", "").split("|") for flag in LEFT_OUT) or name.endswith("_mock"):
            continue
        scenario = re.search(r'\.scenario = "(\w+)', rest)
        found.setdefault((scenario[1] if scenario else "default", name[:4]), []).append(name)
    return [
        (*key, names, protocol)
        for protocol in PROTOCOLS
        for key, names in found.items()
        if protocol == "classic" or uses_groups(source, key[1])
    ]


def uses_groups(source, number):
    files = (source / "tests").glob(f"{number}*.c*")
    return any(OF_GROUPS.search(file.read_text(errors="replace")) for file in files)


def run_entry(source, logs, cluster, tools, scenario, number, names, protocol):
    """Outcomes of the tests of one number: (name, state, why)."""
    folder = logs / f"{number}-{scenario}-{protocol}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    conf = folder / "test.conf"
    conf.write_text(f"metadata.broker.list={cluster.addresses}\ntest.topic.random=true\n")
    environment = {
        **os.environ,
        "TESTS": number,
        "RDKAFKA_TEST_CONF": str(conf),
        "TEST_KAFKA_VERSION": f"{kafka_servers.RELEASE}.0",
        "TEST_CONSUMER_GROUP_PROTOCOL": protocol,
        "KAFKA_PATH": str(tools),
        "BROKERS": cluster.addresses,
        "LD_LIBRARY_PATH": f"{source / 'src'}:{source / 'src-cpp'}",
    }
    command = ["timeout", "--kill-after=5", str(ENTRY_LIMIT), source / "tests" / "test-runner", "-p1", "-L", "-s", scenario]
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode("utf-8", "replace")
    (folder / "output.txt").write_text(text)
    states = {name: (state, COLOUR.sub("", why).strip()) for name, state, _, why in SUMMARY.findall(text)}
    late = f"no end within {ENTRY_LIMIT} s; " if done.returncode in (124, 137) else ""
    return [(name, *states.get(name, ("FAILED", late + first_failure(text)))) for name in names]


def first_failure(text):
    """Where a test of a runner that did not come to its summary failed, and why."""
    text = COLOUR.sub("", text)
    found = re.search(r'^### Test ".*?" failed at (\S+?:\d+).*\n(?:Test assertion failed: )?(.*)', text, re.M)
    words = found.groups() if found else [line for line in text.splitlines() if line.strip()][-1:]
    return " ".join(" ".join(words).split())[:300]


def as_results(outcomes):
    """The outcomes of a file, in the form of a suite."""
    tests, skipped = [], []
    for name, state, why in outcomes:
        if state in ("SKIPPED", "DNS"):
            skipped.append((name, re.sub(r"^test.*?\d: ", "", why) or "left out by the runner"))
        else:
            tests.append((name, state == "PASSED", why[:300] or state.lower()))
    return {"tests": tests, "skipped": skipped, "ended": None}


def run_all(source, logs, tools, chosen, arguments, clusters):
    """Results by scenario and protocol. `clusters(scenario)` gives a cluster and whether it is for one entry only."""
    # Some read files by their place in the sources.
    logs.mkdir(parents=True, exist_ok=True)
    if not (logs / "src").exists():
        (logs / "src").symlink_to(source / "src")

    def one(scenario, number, names, protocol):
        cluster, is_own = clusters(scenario)
        began = time.monotonic()
        try:
            outcomes = run_entry(source, logs, cluster, tools, scenario, number, names, protocol)
            if ended := cluster.ended():
                outcomes = [(name, "FAILED", ended) for name in names]
        finally:
            if is_own:
                cluster.stop()
        for name, state, why in outcomes:
            print(f"  {name}, {protocol}: {state} in {time.monotonic() - began:.0f} s {why[:100]}", flush=True)
        return title(scenario, protocol), outcomes

    results = {}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for job in [pool.submit(one, *entry) for entry in chosen]:
            group, outcomes = job.result()
            results.setdefault(group, []).extend(outcomes)
    return {group: as_results(outcomes) for group, outcomes in results.items()}


def title(scenario, protocol):
    return scenario if protocol == "classic" else f"{scenario}, {protocol} protocol"


def run(squall, work, arguments):
    source, version = fetch(work)
    tools = kafka_servers.tools(work / "kafka-tools")
    chosen = [entry for entry in entries(source) if not arguments.only or entry[1] in arguments.only]
    suite = Suite("librdkafka", f"librdkafka {version}'s tests")

    def mocks(scenario):
        return kafka_servers.mock(squall, BROKERS, SCENARIOS[scenario]), True

    print("the mock:", flush=True)
    began = time.monotonic()
    results = run_all(source, work / "logs" / "librdkafka-mock", tools, chosen, arguments, mocks)
    suite.add_mock(results, time.monotonic() - began)
    if arguments.no_real:
        suite.load_real(work / "kafka-librdkafka-real.json", arguments.only)
        return suite
    print("the real server:", flush=True)
    began, results = time.monotonic(), {}
    for scenario, settings in SCENARIOS.items():
        mine = [entry for entry in chosen if entry[0] == scenario]
        if mine:
            with kafka_servers.real(BROKERS, settings) as cluster:
                logs = work / "logs" / "librdkafka-real"
                results |= run_all(source, logs, tools, mine, arguments, lambda _: (cluster, False))
    suite.add_real(results, time.monotonic() - began)
    if not arguments.only:
        suite.save_real(work / "kafka-librdkafka-real.json")
    return suite
