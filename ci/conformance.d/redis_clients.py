"""Pages of examples, one per client, run against the mock and the real server: what they print must be the same.

The pages are in clients/, written in the manner of each client's documentation; the clients themselves are fetched at
fixed versions. Times, ports and ids that differ from run to run are masked; nothing else is.
"""

import os
import re
import socket
import tempfile
from pathlib import Path

import pages
from program import free_port
from redis_tcl import start

PAGES = Path(__file__).resolve().parent / "clients"
PYTHON = {"redis": "8.1.0", "rq": "3.0.0", "celery": "5.7.0", "packaging": "25.0"}
NODE = {"ioredis": "6.0.0", "redis": "6.3.1", "bullmq": "6.7.0"}
RUST = re.search(r'^redis .*"=(.*?)"', (PAGES / "rust" / "Cargo.toml").read_text(), re.M).group(1)

# What differs from run to run, and what stands for it.
MASKS = [
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\b[0-9a-f]{40}\b(?=.*run_id)", "RUN"),
    (r"\b1[6-9]\d{8}\.\d{6}\b", "TIME"),
    (r"\b1[6-9]\d{11}-\d+\b", "STREAM-ID"),
]


def with_python(work):
    return pages.python(work / "python", PYTHON)


def with_node(work):
    return pages.node(work / "node", NODE, PAGES.glob("*.mjs"))


def with_rust(work):
    return pages.rust(work / "rust", PAGES / "rust")


def with_java(work):
    return pages.java(work / "java", PAGES / "java")


def by_protocol(protocol, *command):
    return ["env", f"PROTOCOL={protocol}", *command]


# By title of a page: what installs it, and what turns the result into a command.
CLIENTS = {
    "redis-cli": (pages.nothing, lambda _: ["bash", PAGES / "redis-cli.sh"]),
    f"redis-py {PYTHON['redis']}, RESP2": (with_python, lambda python: by_protocol(2, python, PAGES / "redis_py.py")),
    f"redis-py {PYTHON['redis']}, RESP3": (with_python, lambda python: by_protocol(3, python, PAGES / "redis_py.py")),
    f"ioredis {NODE['ioredis']}, RESP2": (with_node, lambda folder: by_protocol(2, "node", folder / "ioredis.mjs")),
    f"ioredis {NODE['ioredis']}, RESP3": (with_node, lambda folder: by_protocol(3, "node", folder / "ioredis.mjs")),
    f"redis crate {RUST}": (with_rust, lambda program: [program]),
    f"node-redis {NODE['redis']}": (with_node, lambda folder: ["node", folder / "node_redis.mjs"]),
    "rq and Celery": (with_python, lambda python: [python, PAGES / "queues.py"]),
    f"bullmq {NODE['bullmq']}": (with_node, lambda folder: ["node", folder / "bullmq.mjs"]),
    "Jedis, Lettuce, Redisson": (with_java, lambda path: ["java", "-cp", path, "Page"]),
    "redis-benchmark": (pages.nothing, lambda _: ["bash", PAGES / "benchmark.sh"]),
}


def run_page(command, server, log, limit):
    with tempfile.TemporaryDirectory(prefix="squall-clients-") as folder:
        port = free_port()
        process = start([*server, "--port", str(port), "--dir", folder], Path(folder), port)
        check_is_ours(process, port, folder)
        where = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port)}
        text, ended = pages.output_of(command, folder, where, log, limit)
        if process.poll() is not None:
            ended = f"the server ended with {process.returncode}"
        process.kill()
        process.wait()
    return text, ended


def check_is_ours(process, port, folder):
    """Pages empty the server they are given, so it must be the one started here: it works in a folder of its own."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"CONFIG GET dir\r\n")
        answer = connection.recv(4096)
    if os.path.realpath(folder).encode() not in answer and folder.encode() not in answer:
        process.kill()
        raise SystemExit(f"another server listens on port {port}: nothing was sent to it but CONFIG GET; run again")


def run(squall, work, arguments):
    servers = {
        "real": ["redis-server", "--save", "", "--enable-debug-command", "yes"],
        "mock": [squall, "mock", "redis"],
    }
    return pages.run_suite("clients", "Examples of clients", CLIENTS, servers, run_page, MASKS, work, arguments)
