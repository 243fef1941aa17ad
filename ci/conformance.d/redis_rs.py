"""The tests of the redis crate, the client most Rust services use, from its newest package on crates.io.

The package lacks two crates of its repository: redis-test, which is published, and a macro for async tests, for
which async_test.rs stands in. Cluster, sentinel, TLS and module tests are left out. Each test starts a server of
its own by REDISRS_SERVER_BIN; a redis-server on the path tells its version.
"""

import json
import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from report import Suite

HERE = Path(__file__).resolve().parent
FEATURES = "tokio-comp,connection-manager,cache-aio"
TESTS = (
    "parser test_acl test_async test_auth test_basic test_bignum test_cache test_credentials_provider_failures "
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
# A test that does not end is ended by the limit of its file.
THREADS = "1"


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


def run_program(name, program, protocol, environment, limit):
    listed = subprocess.run([program, "--list", "--format", "terse"], capture_output=True, check=True).stdout.decode()
    names = [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]
    file = f"{name} {protocol}"
    began = time.monotonic()
    try:
        done = subprocess.run([program, "--test-threads", THREADS], env={**environment, "PROTOCOL": protocol},
                              cwd=program.parent, capture_output=True, timeout=limit)
        text, ended = done.stdout.decode("utf-8", "replace"), None
    except subprocess.TimeoutExpired as error:
        text, ended = (error.stdout or b"").decode("utf-8", "replace"), f"no end within {limit} s"
    results = dict(RESULT.findall(text))
    reasons = {found[0]: why(found[1]) for found in re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^----|^failures:|\Z)", text, re.M | re.S)}
    ignored = set(re.findall(r"^test (\S+) \.\.\. ignored", text, re.M))
    tests = []
    for test in names:
        if test not in ignored:
            outcome = results.get(test)
            tests.append((test, outcome == "ok", reasons.get(test, "failed" if outcome else "not run: " + (ended or "ended early"))))
    print(f"  {file}: {sum(ok for _, ok, _ in tests)} of {len(tests)} in {time.monotonic() - began:.0f} s", flush=True)
    return file, {"tests": tests, "ended": None}


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
            pool.submit(run_program, name, program, protocol, environment, arguments.limit)
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
