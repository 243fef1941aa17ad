"""Runs of the tests: what JUnit says of one, and the last of them in a file of JSON lines."""

import json
import xml.etree.ElementTree as ElementTree
from datetime import datetime

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

# Runs kept, unless another number is given. One of a thousand tests takes about 100 kB.
KEPT = 50


class Run:
    """One run: when, of which commit, how long it took, and each test's seconds, outcome and start.

    `tests` has (seconds, outcome, start) by "binary test"; the start is in seconds from the run's own, or None.
    `build` is the time of the build before it, None if that was not measured. `kind` is "run", or "rerun" for
    some tests run again, which say nothing about the time of a whole run.
    """

    def __init__(self, at, wall, tests, commit="", dirty=False, build=None, threads=None, scope="", kind="run"):
        self.at, self.wall, self.tests = at, wall, tests
        self.commit, self.dirty, self.build, self.threads = commit, dirty, build, threads
        self.scope, self.kind = scope, kind

    def named(self, outcome):
        return sorted(name for name, (_, found, _) in self.tests.items() if found == outcome)

    def times(self):
        """Seconds by name, of the tests that ran."""
        return {name: seconds for name, (seconds, outcome, _) in self.tests.items() if outcome != SKIPPED}

    def total(self):
        return sum(self.times().values())

    def to_line(self):
        return json.dumps(self.__dict__, separators=(",", ":"))

    @classmethod
    def from_line(cls, line):
        return cls(**json.loads(line))


def read_junit(path):
    """The run that a JUnit file of nextest tells of.

    A test that was tried more than once counts as failed if it failed at all.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise SystemExit(f"{path}: expected a JUnit report of nextest (`cargo nextest run --profile ci`): {error}")
    if root.tag != "testsuites":
        raise SystemExit(f"{path}: expected a JUnit report, whose root is <testsuites>, found <{root.tag}>")
    begin = instant(root.get("timestamp"))
    tests = {}
    for suite in root.iter("testsuite"):
        for case in suite.iter("testcase"):
            children = {child.tag for child in case}
            if "skipped" in children:
                outcome = SKIPPED
            elif children & {"failure", "error", "flakyFailure", "flakyError", "rerunFailure", "rerunError"}:
                outcome = FAILED
            else:
                outcome = PASSED
            at = instant(case.get("timestamp"))
            start = round((at - begin).total_seconds(), 3) if at and begin else None
            tests[f"{suite.get('name')} {case.get('name')}"] = (float(case.get("time") or 0), outcome, start)
    return Run(root.get("timestamp") or "", float(root.get("time") or 0), tests)


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


class History:
    """The last runs, the oldest first, in `folder`/runs.jsonl. A line that cannot be read is passed over and goes
    with the next run."""

    def __init__(self, folder, kept=KEPT):
        self.path, self.kept = folder / "runs.jsonl", kept

    def runs(self):
        found = []
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        for line in lines:
            try:
                found.append(Run.from_line(line))
            except (ValueError, TypeError):
                continue
        return found

    def add(self, run):
        runs = (self.runs() + [run])[-self.kept :]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and renamed: whoever reads sees the old lines or the new ones.
        beside = self.path.with_suffix(".new")
        beside.write_text("".join(run.to_line() + "\n" for run in runs))
        beside.replace(self.path)
