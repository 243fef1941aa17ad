"""The tests of the two Go clients, go-redis and redigo, from the Go module proxy.

go-redis is the last version that starts its servers by itself; later ones ask for containers of Redis 8. Of its
tests those of clusters and sentinels are left out, and the servers for them are not started.
"""

import json
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from report import Suite

HERE = Path(__file__).resolve().parent
GO_REDIS = "github.com/redis/go-redis/v9@v9.0.5"
REDIGO = "github.com/gomodule/redigo@v1.9.3"
PORTS = {"REDIS_PORT": "16380"}
REDIGO_PORT = "16379"
SKIPPED = "[Cc]luster|[Ss]entinel"


def fetch(module, folder):
    """A copy of a module that may be written to."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Outside of any module, so that none is asked what it needs.
        found = subprocess.run(["go", "mod", "download", "-json", module], cwd="/", check=True, capture_output=True)
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(json.loads(found.stdout)["Dir"], part, copy_function=shutil.copyfile)
        for path in [part, *part.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        part.rename(folder)
    return folder


def build(folder, package):
    program = folder / "suite.test"
    subprocess.run(["go", "test", "-c", "-o", program, package], cwd=folder, check=True)
    return program


def only_own_servers(text):
    """The suite's setup without sentinels and cluster, on ports that fewer others use."""
    begin = text.index("\tsentinelMaster, err = startRedis")
    end = text.index("})\n", text.index("startCluster(ctx, cluster)", begin))
    text = text[:begin] + text[end:]
    text = text.replace("\tExpect(cluster.Close()).NotTo(HaveOccurred())\n", "")
    return re.sub(r'"(639\d)"', r'"1\1"', text)


def go_redis(work, limit):
    """What runs the suite against a server."""
    folder = fetch(GO_REDIS, work / "go" / "go-redis")
    setup = folder / "main_test.go"
    if "sentinelMaster, err = startRedis" in setup.read_text():
        setup.write_text(only_own_servers(setup.read_text()))
    program = build(folder, ".")
    server = folder / "testdata" / "redis" / "src" / "redis-server"
    server.parent.mkdir(parents=True, exist_ok=True)
    (folder / "testdata" / "redis" / "redis.conf").write_text("bind 127.0.0.1\n")
    report = folder / "report.xml"

    def run(binary):
        server.unlink(missing_ok=True)
        server.symlink_to(binary)
        report.unlink(missing_ok=True)
        command = [program, "-test.run", "TestGinkgoSuite", "-test.timeout", f"{limit}s", "-ginkgo.skip", SKIPPED]
        quietly([*command, f"-ginkgo.junit-report={report}"], folder, limit, PORTS)
        cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
        tests = []
        for case in cases:
            failure = case.find("failure")
            why = " ".join((failure.get("message") or "").split())[:300] if failure is not None else ""
            if case.get("status") not in ("skipped", "pending") and case.get("name").startswith("[It]"):
                tests.append((case.get("name").removeprefix("[It] "), case.get("status") == "passed", why))
        return {"tests": tests, "ended": None if tests else "no report"}

    return run


RESULT = re.compile(r"^ *--- (PASS|FAIL): (\S+)", re.M)


def redigo(work, limit):
    """What runs the suite against a server."""
    folder = fetch(REDIGO, work / "go" / "redigo")
    program = build(folder, "./redis")

    def run(binary):
        command = [program, "-test.v", "-test.timeout", f"{limit}s", "-redis-server", binary, "-redis-port", REDIGO_PORT]
        text = quietly(command, folder / "redis", limit, {})
        tests = [(name, outcome == "PASS", "") for outcome, name in RESULT.findall(text)]
        return {"tests": tests, "ended": None if tests else "no results"}

    return run


def quietly(command, folder, limit, variables):
    """What a suite prints, whether its tests pass or not."""
    command = ["timeout", "--kill-after=5", str(limit + 10), *map(str, command)]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.decode("utf-8", "replace")


def run(squall, work, arguments):
    suite = Suite("go", f"Tests of Go's clients, {GO_REDIS} and {REDIGO}")
    os.environ["SQUALL"] = str(squall)
    files = {"go-redis": go_redis, "redigo": redigo}
    runs = {name: make(work, arguments.limit) for name, make in files.items() if name in (arguments.only or files)}

    def run_all(binary):
        began, results = time.monotonic(), {}
        for name, run_file in runs.items():
            results[name] = run_file(binary)
            tests = results[name]["tests"]
            print(f"  {name}: {sum(ok for _, ok, _ in tests)} of {len(tests)}", flush=True)
        return results, time.monotonic() - began

    print("the mock:", flush=True)
    suite.add_mock(*run_all(HERE / "redis-server"))
    if arguments.no_real:
        suite.load_real(work / "redis-go-real.json")
        return suite
    print("the real server:", flush=True)
    suite.add_real(*run_all(shutil.which("redis-server")))
    if not arguments.only:
        suite.save_real(work / "redis-go-real.json")
    return suite
