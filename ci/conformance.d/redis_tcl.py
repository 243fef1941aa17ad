"""Redis' own Tcl suite, from Debian's source package of the version the mock behaves as.

Each file runs by itself against a fresh server, since tests leave servers as they like. The profile is what the
suite offers for servers it did not start and cannot look into: no slow tests, no DEBUG, replication or files.
"""

import re
import shutil
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from program import free_port
from report import Suite

VERSION = "7.0.15"
TAGS = "-slow -needs:debug -needs:repl -needs:save -needs:pfdebug"
PROFILE = ["--durable", "--tags", TAGS, "--ignore-encoding", "--ignore-digest", "--dont-clean"]

# Files of what most services use.
CORE = {
    "unit/" + name
    for name in (
        "protocol keyspace scan type/string type/incr type/list type/list-2 type/list-3 type/set type/zset type/hash "
        "type/stream type/stream-cgroups sort expire other multi quit pubsub scripting"
    ).split()
}

SOURCES = """\
deb-src http://deb.debian.org/debian bookworm main
deb-src http://deb.debian.org/debian-security bookworm-security main
"""


def fetch(work):
    """The folder of the source; apt's own lists are left alone."""
    folder = work / f"redis-{VERSION}"
    if (folder / "tests" / "test_helper.tcl").exists():
        return folder
    print(f"fetching the source of redis {VERSION}", flush=True)
    lists = work / "apt"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (work / "sources.list").write_text(SOURCES)
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc::SourceList={work}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null"]
    apt += ["-o", f"Dir::State::Lists={lists}", "-o", "APT::Get::List-Cleanup=false"]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "source", "redis"], cwd=work, check=True)
    return folder


def start(command, folder, port):
    """A fresh server that listens."""
    log = open(folder / "server.log", "wb")
    server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    for _ in range(200):
        if server.poll() is not None:
            # Whoever listens there is not ours.
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server
        except OSError:
            time.sleep(0.05)
    server.kill()
    raise SystemExit(f"the server does not listen: {command}")


def suite_folder(source, folder):
    """The suite with a folder for its own files, so that several can run at a time."""
    (folder / "tests").mkdir()
    for entry in (source / "tests").iterdir():
        if entry.name != "tmp":
            (folder / "tests" / entry.name).symlink_to(entry)
    (folder / "tests" / "tmp").mkdir()
    (folder / "src").mkdir()
    client = shutil.which("redis-cli")
    if client:
        (folder / "src" / "redis-cli").symlink_to(client)


def run_file(source, logs, server, unit, limit, base):
    """Names and outcomes of the tests of one file, and why it ended early if it did."""
    with tempfile.TemporaryDirectory(prefix="squall-tcl-") as folder:
        folder = Path(folder)
        suite_folder(source, folder)
        port = free_port()
        process = start(server(port), folder, port)
        command = ["tclsh", "tests/test_helper.tcl", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--baseport", str(base), *PROFILE, "--single", unit]
        began = time.monotonic()
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=limit)
            output, late = done.stdout, False
        except subprocess.TimeoutExpired as error:
            output, late = error.stdout or b"", True
        finally:
            process.kill()
            process.wait()
    text = re.sub(r"\x1b\[[0-9;]*m", "", output.decode("utf-8", "replace"))
    log = logs / (unit.replace("/", "-") + ".txt")
    log.write_text(text)
    tests, ended = parse(text)
    if late:
        ended = f"no end within {limit} s, after {tests[-1][0]!r}" if tests else f"no end within {limit} s"
    print(f"  {unit}: {sum(ok for _, ok, _ in tests)} of {len(tests)} in {time.monotonic() - began:.0f} s"
          + (f", {ended}" if ended else ""), flush=True)
    return unit, tests, ended


LINE = re.compile(r"^\[(ok|err|exception)\]: (.*)$")


def parse(text):
    """Tests as (name, passed, why), in order, and the error that ended the file."""
    tests, ended, seen = [], None, {}
    lines = text.split("\n")
    for at, line in enumerate(lines):
        found = LINE.match(line)
        if not found:
            continue
        kind, rest = found.groups()
        if kind == "exception":
            ended = "aborted: " + lines[at + 1].strip() if at + 1 < len(lines) else "aborted: " + rest
            continue
        if kind == "ok":
            name = re.sub(r" \(\d+ ms\)$", "", rest)
        else:
            name = re.sub(r" in tests/\S+\.tcl$", "", rest)
        why = lines[at + 1].strip() if kind == "err" and at + 1 < len(lines) else ""
        if kind == "err" and " in tests/" not in rest:
            # An error outside a test: the rest of the block did not run.
            ended = "aborted: " + (why or rest)
            continue
        name = stable(name)
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name} #{seen[name]}"
        tests.append((name, kind == "ok", why))
    return tests, ended


def stable(name):
    """A name without what differs from run to run."""
    return re.sub(r"\s+", " ", name).strip()


def run_server(source, logs, server, units, arguments):
    logs.mkdir(parents=True, exist_ok=True)
    results = {}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = [
            pool.submit(run_file, source, logs, server, unit, arguments.limit, 23000 + at * 64)
            for at, unit in enumerate(units)
        ]
        for job in jobs:
            unit, tests, ended = job.result()
            results[unit] = {"tests": tests, "ended": ended}
    return results


def run(squall, work, arguments):
    source = fetch(work)
    listed = subprocess.run(["tclsh", "tests/test_helper.tcl", "--list-tests"], cwd=source, capture_output=True, check=True)
    units = arguments.only or listed.stdout.decode().split()
    suite = Suite("tcl", f"Tcl suite of Redis {VERSION}", CORE)
    began = time.monotonic()
    print("the mock:", flush=True)

    def mock(port):
        return [squall, "mock", "redis", "--port", str(port), "--save", "", "--enable-debug-command", "yes"]

    suite.add_mock(run_server(source, work / "logs" / "mock", mock, units, arguments), time.monotonic() - began)
    if arguments.no_real:
        suite.load_real(work / "redis-tcl-real.json")
        return suite
    print("the real server:", flush=True)

    def real(port):
        return ["redis-server", "--port", str(port), "--save", "", "--enable-debug-command", "yes"]

    began = time.monotonic()
    suite.add_real(run_server(source, work / "logs" / "real", real, units, arguments), time.monotonic() - began)
    if not arguments.only:
        suite.save_real(work / "redis-tcl-real.json")
    return suite
