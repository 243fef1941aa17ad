"""The tests of the redis crate, the client most Rust services use, from its newest package on crates.io.

The package lacks two crates of its repository: redis-test, which is published, and a macro for async tests, for
which async_test.rs stands in. Cluster, sentinel, TLS, Entra ID and module tests are left out. Each test starts a
server of its own by REDISRS_SERVER_BIN; a redis-server on the path tells its version.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from report import Suite

HERE = Path(__file__).resolve().parent
FEATURES = "tokio-comp,connection-manager,cache-aio,token-based-authentication"
TESTS = (
    "parser test_acl test_async test_basic test_bignum test_cache test_credentials_provider_failures "
    "test_digest_utils test_geospatial test_script test_streams test_types"
).split()
MACRO = """\
[package]
name = "test-macros"
version = "0.0.0"
edition = "2024"

[lib]
proc-macro = true
"""
# The tests watch for panics with a flag of the whole program.
THREADS = "1"
# Seconds that one test may take; the slowest takes four.
TEST_LIMIT = 30


def cargo(*arguments, cwd):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CARGO_PROFILE")}
    environment["CARGO_TARGET_DIR"] = str(cwd / "target")
    return subprocess.run(["cargo", *arguments], cwd=cwd, env=environment, check=True, capture_output=True).stdout.decode()


def fetch(work):
    """A workspace with the newest package and what its tests need; its version."""
    scratch = work / "redis-rs-fetch"
    (scratch / "src").mkdir(parents=True, exist_ok=True)
    (scratch / "src" / "lib.rs").touch()
    (scratch / "Cargo.toml").write_text('[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n')
    cargo("add", "-q", "redis", cwd=scratch)
    packages = json.loads(cargo("metadata", "--format-version", "1", cwd=scratch))["packages"]
    package = next(package for package in packages if package["name"] == "redis")
    workspace = work / "redis-rs"
    crate = workspace / "redis"
    if not (workspace / package["version"]).exists():
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        shutil.copytree(Path(package["manifest_path"]).parent, crate)
        (workspace / package["version"]).touch()
        manifest = crate / "Cargo.toml"
        manifest.write_text(with_test_crates(manifest.read_text()))
        (crate / "Cargo.lock").unlink(missing_ok=True)
        (workspace / "test-macros" / "src").mkdir(parents=True)
        (workspace / "test-macros" / "Cargo.toml").write_text(MACRO)
        members = '[workspace]\nmembers = ["redis", "test-macros"]\nresolver = "3"\n'
        (workspace / "Cargo.toml").write_text(members + '[patch.crates-io]\nredis = { path = "redis" }\n')
    shutil.copy(HERE / "async_test.rs", workspace / "test-macros" / "src" / "lib.rs")
    return workspace, package["version"]


def with_test_crates(manifest):
    """The package's manifest with the two crates it lost, and without benchmarks."""
    manifest = re.sub(r"^\[\[bench\]\]\n(?:(?!\[).*\n?)*", "", manifest, flags=re.M)
    manifest = re.sub(r"^\[dev-dependencies\.criterion\]\n(?:(?!\[).*\n?)*", "", manifest, flags=re.M)
    tests = '[dev-dependencies.redis-test]\nversion = "1"\nfeatures = ["aio"]\n\n'
    tests += '[dev-dependencies.test-macros]\npath = "../test-macros"\n\n'
    return manifest.replace("[dev-dependencies.anyhow]", tests + "[dev-dependencies.anyhow]", 1)


def build(workspace):
    """The programs by test file."""
    chosen = [word for test in TESTS for word in ("--test", test)]
    output = cargo("test", "-p", "redis", "--features", FEATURES, *chosen, "--no-run", "--message-format=json", cwd=workspace)
    programs = {}
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] in TESTS:
            programs[message["target"]["name"]] = Path(message["executable"])
    return programs


RESULT = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED)$", re.M)

IGNORED = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. ignored", re.M)


def run_program(name, program, protocol, environment):
    """The outcomes of one file. What does not end is ended, and the tests after it get their turn."""
    listed = subprocess.run([program, "--list", "--format", "terse"], capture_output=True, check=True).stdout.decode()
    waiting = [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]
    file, tests, began = f"{name} {protocol}", [], time.monotonic()
    while waiting:
        results, reasons, ignored, late = attempt(program, waiting, {**environment, "PROTOCOL": protocol})
        done = [test for test in waiting if test in results]
        tests += [(test, results[test] == "ok", reasons.get(test, "failed")) for test in done]
        waiting = [test for test in waiting if test not in results and test not in ignored]
        if waiting:
            # Tests run in order: the first without an outcome is the one that did not end, or ended the program.
            tests.append((waiting.pop(0), False, f"no end within {TEST_LIMIT} s" if late else "ended the program"))
    print(f"  {file}: {sum(ok for _, ok, _ in tests)} of {len(tests)} in {time.monotonic() - began:.0f} s", flush=True)
    return file, {"tests": tests, "ended": None}


def attempt(program, names, environment):
    """Outcomes and reasons by test, those left out, and whether one did not end."""
    command = [program, "--test-threads", THREADS, "--exact", *names]
    # In a group of their own, so that servers the tests left behind end with them.
    process = subprocess.Popen(command, env=environment, cwd=program.parent, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    output, late = b"", False
    while True:
        if not select.select([process.stdout], [], [], TEST_LIMIT)[0]:
            late = True
            os.killpg(process.pid, signal.SIGKILL)
        # Nothing comes, but the end, once the program has ended.
        some = os.read(process.stdout.fileno(), 1 << 16)
        if not some:
            break
        output += some
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    text = output.decode("utf-8", "replace")
    sections = re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^----|^failures:|\Z)", text, re.M | re.S)
    reasons = {test: why(output) for test, output in sections}
    return dict(RESULT.findall(text)), reasons, set(IGNORED.findall(text)), late


def why(output):
    """The line of a panic that says what was wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    at = next((at for at, line in enumerate(lines) if "panicked at" in line), 0)
    return " ".join(lines[at : at + 3])[:300] if lines else "failed"


def run_all(programs, server, folder, arguments):
    environment = {**os.environ, "REDISRS_SERVER_BIN": str(server), "RUST_BACKTRACE": "0"}
    environment["PATH"] = f"{folder}:{os.environ['PATH']}"
    results = {}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = [
            pool.submit(run_program, name, program, protocol, environment)
            for name, program in sorted(programs.items())
            for protocol in ("RESP2", "RESP3")
            if not arguments.only or name in arguments.only
        ]
        for job in jobs:
            file, result = job.result()
            results[file] = result
    return results


def run(squall, work, arguments):
    workspace, version = fetch(work)
    print(f"building the tests of redis {version}", flush=True)
    programs = build(workspace)
    suite = Suite("redis-rs", f"Tests of the redis crate {version}")
    os.environ["SQUALL"] = str(squall)
    began = time.monotonic()
    print("the mock:", flush=True)
    suite.add_mock(run_all(programs, HERE / "redis-server", HERE, arguments), time.monotonic() - began)
    if arguments.no_real:
        suite.load_real(work / "redis-rs-real.json")
        return suite
    print("the real server:", flush=True)
    real = shutil.which("redis-server")
    began = time.monotonic()
    suite.add_real(run_all(programs, real, Path(real).parent, arguments), time.monotonic() - began)
    if not arguments.only:
        suite.save_real(work / "redis-rs-real.json")
    return suite
