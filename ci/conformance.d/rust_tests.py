"""Test programs that cargo builds: each test's outcome, by name."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

RESULT = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED)$", re.M)
IGNORED = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. ignored", re.M)


def cargo(*arguments, cwd):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CARGO_PROFILE")}
    environment["CARGO_TARGET_DIR"] = str(cwd / "target")
    return subprocess.run(["cargo", *arguments], cwd=cwd, env=environment, check=True, capture_output=True).stdout.decode()


def newest(package, scratch):
    """The version and the folder of the newest package on crates.io."""
    (scratch / "src").mkdir(parents=True, exist_ok=True)
    (scratch / "src" / "lib.rs").touch()
    (scratch / "Cargo.toml").write_text('[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n')
    cargo("add", "-q", package, cwd=scratch)
    packages = json.loads(cargo("metadata", "--format-version", "1", cwd=scratch))["packages"]
    found = next(each for each in packages if each["name"] == package.partition("@")[0])
    return found["version"], Path(found["manifest_path"]).parent


def build(workspace, *words):
    """The programs by test file, built of what `cargo test` is told to."""
    output = cargo("test", *words, "--no-run", "--message-format=json", cwd=workspace)
    programs = {}
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["profile"]["test"]:
            programs[message["target"]["name"]] = Path(message["executable"])
    return programs


def run_program(file, program, environment, limit, folder=None):
    """The outcomes of one file, whose tests may each take `limit` seconds. What does not end is ended, and the tests
    after it get their turn."""
    listed = subprocess.run([program, "--list", "--format", "terse"], capture_output=True, check=True).stdout.decode()
    waiting = [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]
    tests, began = [], time.monotonic()
    while waiting:
        results, reasons, ignored, late = attempt(program, waiting, environment, limit, folder or program.parent)
        done = [test for test in waiting if test in results]
        tests += [(test, results[test] == "ok", reasons.get(test, "failed")) for test in done]
        waiting = [test for test in waiting if test not in results and test not in ignored]
        if waiting:
            # Tests run in order: the first without an outcome is the one that did not end, or ended the program.
            tests.append((waiting.pop(0), False, f"no end within {limit} s" if late else "ended the program"))
    print(f"  {file}: {sum(ok for _, ok, _ in tests)} of {len(tests)} in {time.monotonic() - began:.0f} s", flush=True)
    return file, {"tests": tests, "ended": None}


def attempt(program, names, environment, limit, folder):
    """Outcomes and reasons by test, those left out, and whether one did not end."""
    # One at a time: some watch for panics with a flag of the whole program.
    command = [program, "--test-threads", "1", "--exact", *names]
    # In a group of their own, so that servers the tests left behind end with them.
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    output, late = b"", False
    while True:
        if not select.select([process.stdout], [], [], limit)[0]:
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


def copy_of(folder, package, version):
    """A copy of a package that may be written to, made once for its version: a workspace of its own, built with the
    compiler at hand."""
    if (folder / version).exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(package, folder)
    (folder / "rust-toolchain.toml").unlink(missing_ok=True)
    with open(folder / "Cargo.toml", "a") as manifest:
        manifest.write("\n[workspace]\n")
    (folder / version).touch()
