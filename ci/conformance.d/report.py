"""Results of suites, what is known of their failures, and the pages and files that tell them."""

import json
import re


class Suite:
    """What one suite says of the mock, and of the real server where it was run.

    Results are by file: `tests` is a list of (name, passed, why), `ended` says why a file ended early, and `skipped`,
    if there, is a list of (name, why) of tests that did not want to run.
    """

    def __init__(self, key, title, core=frozenset()):
        self.key, self.title, self.core = key, title, core
        self.mock, self.real = {}, None
        self.mock_seconds = self.real_seconds = None

    def add_mock(self, results, seconds):
        self.mock, self.mock_seconds = results, seconds

    def add_real(self, results, seconds):
        self.real, self.real_seconds = results, seconds

    def save_real(self, path):
        path.write_text(json.dumps({"results": self.real, "seconds": self.real_seconds}, indent=1))

    def load_real(self, path, only=()):
        """The real server's last results; of tests whose names begin so, where some are named."""
        if path.exists():
            kept = json.loads(path.read_text())
            self.real, self.real_seconds = kept["results"], kept["seconds"]
            for file in self.real.values() if only else ():
                file["tests"] = [test for test in file["tests"] if test[0].startswith(tuple(only))]

    def outcomes(self, file):
        """The mock's tests of a file by name: None if passed, else why not. A test that the real server ran and
        the mock did not come to has failed."""
        own = self.mock.get(file, {"tests": [], "ended": None})
        found = {name: (None if passed else why or "failed") for name, passed, why in own["tests"]}
        if self.real:
            skipped = dict(own.get("skipped", ()))
            for name, _, _ in self.real.get(file, {"tests": []})["tests"]:
                reason = skipped.get(name) or own["ended"] or "the file did not come to it"
                found.setdefault(name, f"not run: {reason}")
        if not self.real and own["ended"]:
            found["(the whole file)"] = own["ended"]
        return found

    def real_passes(self, file, name):
        """Whether the real server passes a test; what is not known counts as a pass."""
        if not self.real:
            return True
        return all(passed for test, passed, _ in self.real.get(file, {"tests": []})["tests"] if test == name)

    def failures(self):
        """(file, name, why) of what the mock fails and the real server passes."""
        for file in sorted(self.mock):
            for name, why in self.outcomes(file).items():
                if why is not None and self.real_passes(file, name):
                    yield file, name, why

    def skipped(self):
        """(file, name, why) of what neither the mock nor the real server ran."""
        for file in sorted(self.mock):
            outcomes = self.outcomes(file)
            for name, why in self.mock[file].get("skipped", ()):
                if name not in outcomes:
                    yield file, name, why

    def score(self, files):
        """Tests passed by the mock, by the real server, and all."""
        mock = real = total = 0
        for file in files:
            outcomes = self.outcomes(file)
            total += len(outcomes)
            mock += sum(why is None for why in outcomes.values())
            real += sum(self.real_passes(file, name) for name in outcomes)
        return mock, real, total


def read_known(path):
    """Reasons by (file, test)."""
    known = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split(" :: ")]
        if len(parts) != 3 or not all(parts):
            raise SystemExit(f"{path}:{number}: expected `file :: test :: reason`, found {line!r}")
        known[parts[0], parts[1]] = parts[2]
    return known


def judge(suites, known):
    """What must be put right: failures nobody explained, and explanations of what passes."""
    problems = []
    for suite in suites:
        failing = {(file, name) for file, name, _ in suite.failures()}
        for file, name in sorted(failing - known.keys()):
            problems.append(f"unexplained failure: {file} :: {name}")
        # What the real server fails too may be listed: it counts when that is not run.
        passing = known.keys() - {(file, name) for file in suite.mock for name, why in suite.outcomes(file).items() if why}
        for file, name in sorted(passing):
            if file in suite.mock:
                problems.append(f"listed as failing, but passes or is gone: {file} :: {name}")
    return problems


def print_failures(suites, known):
    for suite in suites:
        for file, name, why in suite.failures():
            reason = known.get((file, name), "unexplained")
            print(f"{file} :: {name} :: {reason}\n    {why[:300]}")
        mock, real, total = suite.score(suite.mock)
        took = f"{suite.title}: {mock} of {total} in {suite.mock_seconds:.0f} s"
        print(took + (f", the real server {real} in {suite.real_seconds:.0f} s" if suite.real else ""))


def write_summary(work, mock_name, suites):
    """One object per suite, for scripts."""
    for suite in suites:
        mock, real, total = suite.score(suite.mock)
        core = suite.score([file for file in suite.mock if file in suite.core])
        summary = {
            "suite": suite.title,
            "passed": mock,
            "real_passed": real if suite.real else None,
            "total": total,
            "core": {"passed": core[0], "real_passed": core[1] if suite.real else None, "total": core[2]},
            "files": {file: dict(zip(("passed", "real_passed", "total"), suite.score([file]))) for file in sorted(suite.mock)},
            "skipped": [{"file": file, "test": name, "why": why} for file, name, why in suite.skipped()],
            "failures": [{"file": file, "test": name, "why": why} for file, name, why in suite.failures()],
        }
        (work / f"{mock_name}-{suite.key}.json").write_text(json.dumps(summary, indent=1) + "\n")


def section(suite, known):
    lines = [f"### {suite.title}", ""]
    rows = [("all", sorted(suite.mock))]
    if suite.core:
        rows.insert(0, ("core", [file for file in sorted(suite.mock) if file in suite.core]))
    lines += ["| | mock | real server | tests |", "|---|---|---|---|"]
    for name, files in rows:
        mock, real, total = suite.score(files)
        lines.append(f"| **{name}** | {mock} | {real if suite.real else 'not run'} | {total} |")
    for file in sorted(suite.mock):
        mock, real, total = suite.score([file])
        if total:
            lines.append(f"| {file} | {mock} | {real if suite.real else 'not run'} | {total} |")
    failures = list(suite.failures())
    lines += ["", f"#### What fails ({len(failures)})", ""]
    for file, name, _ in failures:
        lines.append(f"- {file}: {escape(name)}: {escape(known.get((file, name), '**unexplained**'))}")
    if not failures:
        lines.append("Nothing.")
    skipped = list(suite.skipped())
    if skipped:
        lines += ["", f"#### What is not run ({len(skipped)})", ""]
        lines += [f"- {file}: {escape(name)}: {escape(why)}" for file, name, why in skipped]
    return lines + [""]


def escape(text):
    return re.sub(r"([*_<>|`\[\]])", r"\\\1", text) if not text.startswith("**") else text


def write_section(path, name, suites, known):
    """Replaces what stands between the markers of each suite; the rest of the page is written by hand."""
    for suite in suites:
        replace_section(path, f"{name}-{suite.key}", section(suite, known))


def replace_section(path, name, lines):
    """Replaces what stands between the markers of a section."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    head, found, rest = path.read_text().partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{path}: expected the markers {begin} and {end}")
    path.write_text(head + begin + "\n" + "\n".join(lines) + "\n" + end + tail)
