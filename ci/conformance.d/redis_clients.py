"""Pages of examples, one per client, run against the mock and the real server: what they print must be the same.

The pages are in clients/, written in the manner of each client's documentation; the clients themselves are fetched at
fixed versions. A page prints `## name` before each example, and a line that begins with `!!` if the example failed.
Times, ports and ids that differ from run to run are masked; nothing else is.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from program import free_port
from report import Suite
from redis_tcl import start

PAGES = Path(__file__).resolve().parent / "clients"
# Environment of a page: Python has one order of sets.
SAME = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "NO_COLOR": "1"}
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
    """The interpreter of an environment with the Python clients."""
    folder = work / "python"
    wanted = [f"{name}=={version}" for name, version in PYTHON.items()]
    once(folder, wanted, lambda: (
        call([sys.executable, "-m", "venv", folder], work),
        call([folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted], work),
    ))
    return folder / "bin" / "python"


def with_node(work):
    """A folder where the pages for Node find their packages."""
    folder = work / "node"
    wanted = [f"{name}@{version}" for name, version in NODE.items()]
    once(folder, wanted, lambda: (
        (folder / "package.json").write_text('{"private": true, "type": "module"}'),
        call(["npm", "install", "--silent", "--no-audit", "--no-fund", *wanted], folder),
    ))
    for page in PAGES.glob("*.mjs"):
        shutil.copy(page, folder)
    return folder


def with_rust(work):
    """The program built of the page for the redis crate, whose version is in its Cargo.toml."""
    folder = work / "rust"
    shutil.copytree(PAGES / "rust", folder, dirs_exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CARGO_PROFILE")}
    environment["CARGO_TARGET_DIR"] = str(folder / "target")
    call(["cargo", "build", "-q"], folder, environment)
    return folder / "target" / "debug" / "page"


def with_java(work):
    """The class path of the Java page; versions are in its pom.xml."""
    folder = work / "java"
    shutil.copytree(PAGES / "java", folder, dirs_exist_ok=True)
    call(["mvn", "-q", "-B", "-Dstyle.color=never", "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath"], folder)
    return f"{folder / 'target' / 'classes'}:{(folder / 'classpath').read_text().strip()}"


def once(folder, wanted, install):
    """Installs unless exactly this was installed before."""
    mark = folder / "installed.json"
    if mark.exists() and json.loads(mark.read_text()) == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    install()
    mark.write_text(json.dumps(wanted))


def call(command, folder, environment=None):
    subprocess.run(command, cwd=folder, env=environment, check=True, stdin=subprocess.DEVNULL)


def nothing(_):
    """For what is on the path."""


def by_protocol(protocol, *command):
    return ["env", f"PROTOCOL={protocol}", *command]


# By title of a page: what installs it, and what turns the result into a command.
CLIENTS = {
    "redis-cli": (nothing, lambda _: ["bash", PAGES / "redis-cli.sh"]),
    f"redis-py {PYTHON['redis']}, RESP2": (with_python, lambda python: by_protocol(2, python, PAGES / "redis_py.py")),
    f"redis-py {PYTHON['redis']}, RESP3": (with_python, lambda python: by_protocol(3, python, PAGES / "redis_py.py")),
    f"ioredis {NODE['ioredis']}, RESP2": (with_node, lambda folder: by_protocol(2, "node", folder / "ioredis.mjs")),
    f"ioredis {NODE['ioredis']}, RESP3": (with_node, lambda folder: by_protocol(3, "node", folder / "ioredis.mjs")),
    f"redis crate {RUST}": (with_rust, lambda program: [program]),
    f"node-redis {NODE['redis']}": (with_node, lambda folder: ["node", folder / "node_redis.mjs"]),
    "rq and Celery": (with_python, lambda python: [python, PAGES / "queues.py"]),
    f"bullmq {NODE['bullmq']}": (with_node, lambda folder: ["node", folder / "bullmq.mjs"]),
    "Jedis, Lettuce, Redisson": (with_java, lambda path: ["java", "-cp", path, "Page"]),
    "redis-benchmark": (nothing, lambda _: ["bash", PAGES / "benchmark.sh"]),
}


def examples(output):
    """What each example printed, by name."""
    parts = re.split(r"^## (.*)\n", output, flags=re.M)
    return {name.strip(): masked(text) for name, text in zip(parts[1::2], parts[2::2])}


def masked(text):
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def run_page(command, server, log, limit):
    """The examples of one page against a fresh server, and why it ended early if it did."""
    with tempfile.TemporaryDirectory(prefix="squall-clients-") as folder:
        port = free_port()
        process = start([*server, "--port", str(port), "--dir", folder], Path(folder), port)
        check_is_ours(process, port, folder)
        environment = {**os.environ, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port), **SAME}
        with open(log.with_suffix(".stderr"), "wb") as errors:
            # In a group of its own, so that what the page started ends with it.
            page = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
            try:
                output, ended = page.communicate(timeout=limit)[0], None
            except subprocess.TimeoutExpired:
                os.killpg(page.pid, signal.SIGKILL)
                output, ended = page.communicate()[0], f"no end within {limit} s"
        if process.poll() is not None:
            ended = f"the server ended with {process.returncode}"
        process.kill()
        process.wait()
    text = output.decode("utf-8", "replace")
    log.write_text(text)
    if page.returncode and not ended:
        ended = f"the page ended with {page.returncode}"
    return examples(text), ended


def check_is_ours(process, port, folder):
    """Pages empty the server they are given, so it must be the one started here: it works in a folder of its own."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"CONFIG GET dir\r\n")
        answer = connection.recv(4096)
    if os.path.realpath(folder).encode() not in answer and folder.encode() not in answer:
        process.kill()
        raise SystemExit(f"another server listens on port {port}: nothing was sent to it but CONFIG GET; run again")


def compare(mock, real):
    """Outcomes of a page's examples: the same as on the real server, which must not fail them."""
    tests = []
    for name, expected in real.items():
        found = mock.get(name)
        if found is not None:
            tests.append((name, found == expected, difference(found, expected)))
    return tests


def difference(found, expected):
    ours, theirs = found.splitlines(), expected.splitlines()
    for at in range(max(len(ours), len(theirs))):
        one, other = (lines[at] if at < len(lines) else "(nothing)" for lines in (ours, theirs))
        if one != other:
            return f"line {at + 1}: {one[:140]!r}, the real server {other[:140]!r}"
    return ""


def kept_page(path):
    """What the real server's page printed when it was last run."""
    if not path.exists():
        raise SystemExit(f"--no-real: expected an earlier result at {path}; run once without --no-real")
    return json.loads(path.read_text())


def check_page(title, passes, ended, logs):
    """A page that fails against the real server is wrong itself."""
    if ended:
        raise SystemExit(f"{title}, against the real server: {ended}; see {logs}")
    for name, ok, text in passes:
        if not ok:
            raise SystemExit(f"{title}, {name}: fails against the real server:\n{text}")


def run(squall, work, arguments):
    suite = Suite("clients", "Examples of clients")
    logs, kept, folder = work / "logs" / "clients", work / "redis-clients-real", work / "clients"
    for each in (logs, kept, folder):
        each.mkdir(parents=True, exist_ok=True)
    servers = {
        "real": ["redis-server", "--save", "", "--enable-debug-command", "yes"],
        "mock": [squall, "mock", "redis"],
    }
    outcomes, seconds = {"mock": {}, "real": {}}, {"mock": 0.0, "real": 0.0}
    for title, (install, command) in CLIENTS.items():
        if arguments.only and not any(title.startswith(wanted) for wanted in arguments.only):
            continue
        command = command(install(folder))
        saved = kept / f"{title}.json"
        pages = {}
        if arguments.no_real:
            pages["real"] = (kept_page(saved), None)
        for name, server in servers.items():
            if name not in pages:
                began = time.monotonic()
                pages[name] = run_page(command, server, logs / f"{title}-{name}.txt", arguments.limit)
                seconds[name] += time.monotonic() - began
        saved.write_text(json.dumps(pages["real"][0], indent=1))
        (real, ended), (mock, mock_ended) = pages["real"], pages["mock"]
        tests = compare(mock, real)
        outcomes["mock"][title] = {"tests": tests, "ended": mock_ended}
        passes = [(name, not re.search(r"^!!", text, re.M), text) for name, text in real.items()]
        outcomes["real"][title] = {"tests": passes, "ended": ended}
        print(f"  {title}: {sum(ok for _, ok, _ in tests)} of {len(real)}", flush=True)
        check_page(title, passes, ended, logs)
    suite.add_mock(outcomes["mock"], seconds["mock"])
    suite.add_real(outcomes["real"], seconds["real"])
    return suite
