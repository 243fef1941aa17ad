"""How many tests were skipped, and how many may be."""

import re
import xml.etree.ElementTree as ElementTree

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
LIBTEST = re.compile(r"^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored;", re.MULTILINE)
NEXTEST = re.compile(r"^\s*Summary \[.*?\] +(?:\d+/)?(\d+) tests? run:.*", re.MULTILINE)


def count(text, name):
    """(tests that ran, tests skipped) that a test run's output or its JUnit report tells of."""
    if text.lstrip().startswith("<?xml"):
        cases = list(ElementTree.fromstring(text.encode()).iter("testcase"))
        skipped = sum(case.find("skipped") is not None for case in cases)
        return len(cases) - skipped, skipped
    text = ANSI.sub("", text)
    results = [tuple(map(int, found.groups())) for found in LIBTEST.finditer(text)]
    summaries = list(NEXTEST.finditer(text))
    if not results and not summaries:
        raise SystemExit(f"{name}: expected the output of `cargo test` or of nextest, or nextest's JUnit; found no result in it")
    ran = sum(passed + failed for passed, failed, _ in results) + sum(int(found[1]) for found in summaries)
    skips = [re.search(r"(\d+) skipped", found[0]) for found in summaries]
    skipped = sum(ignored for _, _, ignored in results) + sum(int(found[1]) for found in skips if found)
    return ran, skipped


def expected(path, environment):
    """The number that the file gives for an environment; it says which there are if this is none of them."""
    numbers = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            name, _, value = line.partition(" ")
            if not value.strip().isdigit():
                raise SystemExit(f"{path}:{number}: expected `environment number`, found {line!r}")
            numbers[name] = int(value)
    if environment not in numbers:
        raise SystemExit(f"{path}: expected a line for {environment!r}; there are {', '.join(sorted(numbers))}")
    return numbers[environment]
