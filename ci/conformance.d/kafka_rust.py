"""The tests of two Rust clients from their packages on crates.io: rust-rdkafka (librdkafka's) and rskafka (its own).

Both run their tests one after another against one cluster. Tests of SASL, TLS, a SOCKS proxy and, for rskafka, of
the Java client pass without doing anything where the environment does not name what they need; that is so here.
"""

import os
import time

import kafka_servers
import rust_tests
from report import Suite

# Seconds that one test may take; the slowest takes 20.
TEST_LIMIT = 90


def rust_rdkafka(squall, work, arguments):
    settings = ["auto.create.topics.enable=true", "num.partitions=3"]

    def environment(cluster):
        return {"KAFKA_HOST": cluster.addresses, "KAFKA_VERSION": kafka_servers.RELEASE}

    # The lock file that comes with it is what its authors test with.
    return run("rust-rdkafka", "rdkafka", 1, settings, environment, ["--tests", "--locked"], squall, work, arguments)


def rskafka(squall, work, arguments):
    def environment(cluster):
        return {"TEST_INTEGRATION": "1", "TEST_BROKER_IMPL": "kafka", "KAFKA_CONNECT": cluster.addresses}

    # Its lock file names an rsasl that today's compiler refuses: others are taken as they come.
    words = ["--tests", "--features", "full"]
    return run("rskafka", "rskafka", 3, ["auto.create.topics.enable=false"], environment, words, squall, work, arguments)


def run(key, package, brokers, settings, environment, words, squall, work, arguments):
    version, source = rust_tests.newest(package, work / f"kafka-{key}-fetch")
    folder = work / f"kafka-{key}"
    rust_tests.copy_of(folder, source, version)
    if "--locked" not in words:
        (folder / "Cargo.lock").unlink(missing_ok=True)
    print(f"building the tests of {package} {version}", flush=True)
    programs = rust_tests.build(folder, *words)
    suite = Suite(key, f"Tests of the {package} crate {version}")

    def run_all(server):
        began, results = time.monotonic(), {}
        for name, program in sorted(programs.items()):
            if arguments.only and name not in arguments.only:
                continue
            with server(brokers, settings) as cluster:
                variables = {**os.environ, "RUST_BACKTRACE": "0", **environment(cluster)}
                _, results[name] = rust_tests.run_program(name, program, variables, TEST_LIMIT, folder)
                results[name]["ended"] = cluster.ended()
        return results, time.monotonic() - began

    print("the mock:", flush=True)
    suite.add_mock(*run_all(lambda brokers, settings: kafka_servers.mock(squall, brokers, settings)))
    kept = work / f"kafka-{key}-real.json"
    if arguments.no_real:
        suite.load_real(kept)
        return suite
    print("the real server:", flush=True)
    suite.add_real(*run_all(kafka_servers.real))
    if not arguments.only:
        suite.save_real(kept)
    return suite
