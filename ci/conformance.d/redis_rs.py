"""The tests of the redis crate, the client most Rust services use, from its newest package on crates.io.

The package lacks two crates of its repository: redis-test, which is published, and a macro for async tests, for
which async_test.rs stands in. Cluster, sentinel, TLS, Entra ID and module tests are left out. Each test starts a
server of its own by REDISRS_SERVER_BIN; a redis-server on the path tells its version.
"""

import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rust_tests
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
# Seconds that one test may take; the slowest takes four.
TEST_LIMIT = 30


def fetch(work):
    """A workspace with the newest package and what its tests need; its version."""
    version, package = rust_tests.newest("redis", work / "redis-rs-fetch")
    workspace = work / "redis-rs"
    crate = workspace / "redis"
    if not (workspace / version).exists():
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir()
        shutil.copytree(package, crate)
        (workspace / version).touch()
        manifest = crate / "Cargo.toml"
        manifest.write_text(with_test_crates(manifest.read_text()))
        (crate / "Cargo.lock").unlink(missing_ok=True)
        (workspace / "test-macros" / "src").mkdir(parents=True)
        (workspace / "test-macros" / "Cargo.toml").write_text(MACRO)
        members = '[workspace]\nmembers = ["redis", "test-macros"]\nresolver = "3"\n'
        (workspace / "Cargo.toml").write_text(members + '[patch.crates-io]\nredis = { path = "redis" }\n')
    shutil.copy(HERE / "async_test.rs", workspace / "test-macros" / "src" / "lib.rs")
    return workspace, version


def with_test_crates(manifest):
    """The package's manifest with the two crates it lost, and without benchmarks."""
    manifest = re.sub(r"^\[\[bench\]\]\n(?:(?!\[).*\n?)*", "", manifest, flags=re.M)
    manifest = re.sub(r"^\[dev-dependencies\.criterion\]\n(?:(?!\[).*\n?)*", "", manifest, flags=re.M)
    tests = '[dev-dependencies.redis-test]\nversion = "1"\nfeatures = ["aio"]\n\n'
    tests += '[dev-dependencies.test-macros]\npath = "../test-macros"\n\n'
    return manifest.replace("[dev-dependencies.anyhow]", tests + "[dev-dependencies.anyhow]", 1)


def run_all(programs, server, folder, arguments):
    environment = {**os.environ, "REDISRS_SERVER_BIN": str(server), "RUST_BACKTRACE": "0"}
    environment["PATH"] = f"{folder}:{os.environ['PATH']}"
    results = {}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = [
            pool.submit(rust_tests.run_program, f"{name} {protocol}", program,
                        {**environment, "PROTOCOL": protocol}, TEST_LIMIT)
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
    chosen = [word for test in TESTS for word in ("--test", test)]
    programs = rust_tests.build(workspace, "-p", "redis", "--features", FEATURES, *chosen)
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
