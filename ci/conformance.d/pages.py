"""Pages of examples: programs that use a client and print what they see, `## name` before each example.

A page runs against the mock and against the real server, each of them fresh. An example passes if both print the same
after what differs from run to run is masked; one that prints a line beginning with `!!` says that it failed, and no
example may fail against the real server.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from report import Suite

# Environment of a page: Python has one order of sets.
SAME = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "NO_COLOR": "1"}


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


def python(folder, packages):
    """The interpreter of an environment with packages, which are given with their versions."""
    wanted = [f"{name}=={version}" for name, version in packages.items()]
    once(folder, wanted, lambda: (
        call([sys.executable, "-m", "venv", folder], folder),
        call([folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted], folder),
    ))
    return folder / "bin" / "python"


def node(folder, packages, pages):
    """A folder where pages for Node find their packages."""
    wanted = [f"{name}@{version}" for name, version in packages.items()]
    once(folder, wanted, lambda: (
        (folder / "package.json").write_text('{"private": true, "type": "module"}'),
        call(["npm", "install", "--silent", "--no-audit", "--no-fund", *wanted], folder),
    ))
    for page in pages:
        shutil.copy(page, folder)
    return folder


def rust(folder, source):
    """The program `page` built of the package in `source`."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CARGO_PROFILE")}
    environment["CARGO_TARGET_DIR"] = str(folder / "target")
    call(["cargo", "build", "-q"], folder, environment)
    return folder / "target" / "debug" / "page"


def java(folder, source):
    """The class path of the page in `source`; versions are in its pom.xml."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    call(["mvn", "-q", "-B", "-Dstyle.color=never", "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath"], folder)
    return f"{folder / 'target' / 'classes'}:{(folder / 'classpath').read_text().strip()}"


def output_of(command, folder, variables, log, limit):
    """What a page prints, and why it ended early if it did."""
    environment = {**os.environ, **variables, **SAME}
    with open(log.with_suffix(".stderr"), "wb") as errors:
        # In a group of its own, so that what the page started ends with it.
        page = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
        try:
            output, ended = page.communicate(timeout=limit)[0], None
        except subprocess.TimeoutExpired:
            os.killpg(page.pid, signal.SIGKILL)
            output, ended = page.communicate()[0], f"no end within {limit} s"
    text = output.decode("utf-8", "replace")
    log.write_text(text)
    if page.returncode and not ended:
        ended = f"the page ended with {page.returncode}"
    return text, ended


def examples(output, masks):
    """What each example printed, by name."""
    for pattern, mask in masks:
        output = re.sub(pattern, mask, output, flags=re.M)
    parts = re.split(r"^## (.*)\n", output, flags=re.M)
    return {name.strip(): text for name, text in zip(parts[1::2], parts[2::2])}


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


def run_suite(key, title, clients, servers, run_page, masks, work, arguments):
    """A suite of the pages in `clients`: by title what installs the client, and what turns the result into a command.

    `run_page(command, server, log, limit)` gives what a page prints against a fresh server, and why it ended early.
    """
    suite = Suite(key, title)
    name = f"{arguments.mock}-{key}"
    logs, kept, folder = work / "logs" / name, work / f"{name}-real", work / f"{name}-installed"
    for each in (logs, kept, folder):
        each.mkdir(parents=True, exist_ok=True)
    outcomes, seconds = {"mock": {}, "real": {}}, {"mock": 0.0, "real": 0.0}
    for title, (install, command) in clients.items():
        if arguments.only and not any(title.startswith(wanted) for wanted in arguments.only):
            continue
        command = command(install(folder))
        saved = kept / f"{title.replace('/', '-')}.json"
        pages = {}
        if arguments.no_real:
            pages["real"] = (kept_page(saved), None)
        for name, server in servers.items():
            if name not in pages:
                began = time.monotonic()
                log = logs / f"{saved.stem}-{name}.txt"
                text, ended = run_page(command, server, log, arguments.limit)
                pages[name] = examples(text, masks), ended
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
