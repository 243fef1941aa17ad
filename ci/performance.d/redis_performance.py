"""The Redis mock beside redis-server: redis-benchmark's tests, memory, expiry and start, in turn on both.

Processor time is what the kernel counted for the server's threads, so it holds on a busy machine too; requests per
second hold on an idle one only.
"""

import os
import platform
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import program

# redis-benchmark's standard tests, in its order, as command lines where its own would do more than one thing.
TESTS = {
    "PING": ["-t", "ping_mbulk"],
    "SET": ["-t", "set"],
    "GET": ["-t", "get"],
    "INCR": ["-t", "incr"],
    "LPUSH": ["-t", "lpush"],
    "RPUSH": ["-t", "rpush"],
    "LPOP": ["-t", "lpop"],
    "RPOP": ["-t", "rpop"],
    "SADD": ["-t", "sadd"],
    "HSET": ["-t", "hset"],
    "SPOP": ["-t", "spop"],
    "ZADD": ["-t", "zadd"],
    "ZPOPMIN": ["-t", "zpopmin"],
    "LRANGE_100": ["lrange", "filled", "0", "99"],
    "LRANGE_300": ["lrange", "filled", "0", "299"],
    "LRANGE_500": ["lrange", "filled", "0", "449"],
    "LRANGE_600": ["lrange", "filled", "0", "599"],
    "MSET": ["-t", "mset"],
    "XADD": ["xadd", "stream", "*", "field", "value"],
}
ROUNDS = 3
KEYS = 1_000_000


class Server:
    """A server process on a free port of its own."""

    def __init__(self, name, command):
        self.name = name
        self.port = program.free_port()
        began = time.perf_counter()
        self.process = subprocess.Popen([*command, "--port", str(self.port), "--save", ""], cwd=tempfile.gettempdir(),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                with self.connect() as stream:
                    ask(stream, b"PING\r\n")
                break
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit(f"{name} did not start: {command}") from None
        self.start_ms = (time.perf_counter() - began) * 1e3

    def connect(self):
        stream = socket.create_connection(("127.0.0.1", self.port))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream

    def cpu_us(self):
        """Processor time of all threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e3

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def run(self, *words):
        with self.connect() as stream:
            return ask(stream, resp(*words))

    def stop(self):
        self.process.kill()
        self.process.wait()


def resp(*words):
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def ask(stream, request):
    """The answer to a request whose answer is one line."""
    stream.sendall(request)
    answer = b""
    while not answer.endswith(b"\r\n"):
        chunk = stream.recv(65536)
        if not chunk:
            raise ConnectionResetError
        answer += chunk
    if answer.startswith(b"-"):
        raise SystemExit(f"{request[:60]!r} answered {answer!r}")
    return answer


def fill(server, commands):
    """Sends command lines that answer one line each, and waits for the answers."""
    with server.connect() as stream:
        answers, sent = 0, 0

        def read():
            nonlocal answers
            while True:
                chunk = stream.recv(1 << 20)
                answers += chunk.count(b"\r\n")
                if not chunk or answers >= KEYS:
                    return

        reader = threading.Thread(target=read)
        reader.start()
        batch = []
        for command in commands:
            batch.append(command)
            if len(batch) == 1000:
                stream.sendall(b"".join(batch))
                sent += len(batch)
                batch.clear()
        reader.join()


def benchmark(server, words, pipeline, requests):
    """Requests per second, and microseconds of processor time per request, of one run of redis-benchmark."""
    before = server.cpu_us()
    command = ["redis-benchmark", "-p", str(server.port), "-c", "50", "-n", str(requests), "-P", str(pipeline), "--csv"]
    output = subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout
    cpu = (server.cpu_us() - before) / requests
    row = output.strip().splitlines()[-1].split(",")
    return float(row[-7].strip('"')), cpu


def throughput(servers, tests, pipeline, requests):
    """Per test and server the medians of requests per second and processor time."""
    samples = {test: {server.name: [] for server in servers} for test in tests}
    for _ in range(ROUNDS):
        for server in servers:
            server.run("FLUSHALL")
            server.run("RPUSH", "filled", *(f"element-{at:04}" for at in range(600)))
        for test in tests:
            count = requests // 10 if test.startswith("LRANGE") else requests
            for server in servers:
                samples[test][server.name].append(benchmark(server, TESTS[test], pipeline, count))
    lines = [f"| -P {pipeline} | mock, req/s | redis-server | ratio | mock, CPU µs | redis-server | ratio |", "|---|---|---|---|---|---|---|"]
    ratios = []
    for test in tests:
        (rate, cpu), (real_rate, real_cpu) = (
            [statistics.median(column) for column in zip(*samples[test][server.name])] for server in servers
        )
        ratios.append((rate / real_rate, cpu / real_cpu))
        lines.append(f"| {test} | {rate:,.0f} | {real_rate:,.0f} | {rate / real_rate:.2f} "
                     f"| {cpu:.2f} | {real_cpu:.2f} | {cpu / real_cpu:.2f} |")
        print(lines[-1], flush=True)
    rate, cpu = (statistics.geometric_mean(column) for column in zip(*ratios))
    lines.append(f"| **geometric mean** | | | **{rate:.2f}** | | | **{cpu:.2f}** |")
    return lines


def memory(servers):
    """Resident bytes per key of a million keys `key:000000000000` with a value of three bytes."""
    found = []
    for server in servers:
        server.run("FLUSHALL")
        before = server.resident_bytes()
        fill(server, (resp("SET", f"key:{at:012}", "xxx") for at in range(KEYS)))
        found.append((server.resident_bytes() - before) / KEYS)
        server.run("FLUSHALL")
    return [f"| bytes per small key | {found[0]:.0f} | {found[1]:.0f} | {found[0] / found[1]:.2f} |"]


def expiry(servers):
    """The longest another client waited around the moment in which a million keys expire."""
    found = []
    for server in servers:
        server.run("FLUSHALL")
        at_ms = int(time.time() * 1000) + 30_000
        fill(server, (resp("SET", f"key:{at:012}", "xxx", "PXAT", at_ms) for at in range(KEYS)))
        if time.time() * 1000 > at_ms - 1000:
            raise SystemExit(f"{server.name} took too long to fill; the machine is too busy to measure this")
        time.sleep(at_ms / 1000 - time.time() - 0.5)
        longest, left = 0.0, -1
        with server.connect() as stream:
            while time.time() * 1000 < at_ms + 3000:
                began = time.perf_counter()
                ask(stream, b"PING\r\n")
                longest = max(longest, time.perf_counter() - began)
        left = int(server.run("DBSIZE")[1:])
        found.append((longest * 1e3, left))
        server.run("FLUSHALL")
    (mock, left), (real, real_left) = found
    return [f"| longest wait while a million keys expire, ms | {mock:.1f} | {real:.1f} | |",
            f"| of these still there 3 s later | {left:,} | {real_left:,} | |"]


def start(mock, real):
    """Milliseconds from starting the program to the first PONG, medians."""
    medians = []
    for name, command in (("mock", mock), ("real", real)):
        times = []
        for _ in range(21):
            server = Server(name, command)
            times.append(server.start_ms)
            server.stop()
        medians.append(statistics.median(times))
    return [f"| program start to first PONG, ms | {medians[0]:.1f} | {medians[1]:.1f} | {medians[0] / medians[1]:.2f} |"]


PARTS = ["throughput", "memory", "expiry", "start"]


def add_arguments(parser):
    parser.add_argument("--part", choices=PARTS, action="append", help="measure this only; writes nothing")
    parser.add_argument("--tests", help="names as in the table, in any case, with commas; writes nothing")
    parser.add_argument("--pipeline", type=int, choices=[1, 16])


def run(squall, _, arguments):
    """The section of the page, and whether it is whole."""
    tests = arguments.tests.upper().split(",") if arguments.tests else list(TESTS)
    if unknown := set(tests) - set(TESTS):
        raise SystemExit(f"no such test: {', '.join(sorted(unknown))}; there are {', '.join(TESTS)}")
    picked = arguments.part or (["throughput"] if arguments.tests or arguments.pipeline else None)
    parts = picked or PARTS
    mock, real = [squall, "mock", "redis"], ["redis-server"]
    tables, single = [], ["| | mock | redis-server | ratio |", "|---|---|---|---|"]
    servers = [Server("mock", mock), Server("real", real)]
    try:
        for pipeline, requests in ((1, 120_000), (16, 600_000)):
            if "throughput" in parts and arguments.pipeline in (None, pipeline):
                tables += [*throughput(servers, tests, pipeline, requests), ""]
        if "memory" in parts:
            single += memory(servers)
        if "expiry" in parts:
            single += expiry(servers)
    finally:
        for server in servers:
            server.stop()
    if "start" in parts:
        single += start(mock, real)
    version = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout.split()[2]
    lines = [f"{os.cpu_count()} cores, {platform.machine()}, redis-server {version}", "", *tables, *single]
    return lines, picked is None
