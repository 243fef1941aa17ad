"""What runs tell: the slowest tests, trends, tests that are flaky, and what sets the time of a run. As Markdown."""

import re
from statistics import median

from runs import FAILED, PASSED, SKIPPED

# A test is slower or faster than it was if its time is so much another, by share and by seconds: less is noise.
CHANGED_SHARE, CHANGED_SECONDS = 1.5, 0.2


def slowest(run, top):
    """(name, seconds) of the slowest tests, the slowest first."""
    return sorted(run.times().items(), key=lambda item: (-item[1], item[0]))[:top]


def changed(runs, top):
    """(name, seconds before, seconds now) of tests whose time is another than the median of the runs before."""
    *before, last = runs
    found = []
    for name, now in last.times().items():
        earlier = [run.times()[name] for run in before if name in run.times()]
        if earlier:
            then = median(earlier)
            low, high = sorted((then, now))
            if high - low >= CHANGED_SECONDS and high >= low * CHANGED_SHARE:
                found.append((name, then, now))
    return sorted(found, key=lambda item: -abs(item[2] - item[1]))[:top]


def flaky(runs):
    """(name, passed, failed) of tests that both passed and failed on one state of the sources.

    A state is a commit without local changes; with them, only the runs of one rerun are of one state, which bear
    the same `at`.
    """
    outcomes = {}
    for run in runs:
        state = (run.commit, run.at) if run.dirty or not run.commit else run.commit
        for name, (_, outcome, _) in run.tests.items():
            if outcome != SKIPPED:
                outcomes.setdefault((name, state), []).append(outcome)
    found = {}
    for (name, _), seen in outcomes.items():
        if PASSED in seen and FAILED in seen:
            passed, failed = found.get(name, (0, 0))
            found[name] = passed + seen.count(PASSED), failed + seen.count(FAILED)
    return [(name, *counts) for name, counts in sorted(found.items())]


def profile(run):
    """What sets the run's time, in seconds: the bounds below which no order of the tests can bring it."""
    times = run.times()
    threads = run.threads or 1
    longest = max(times.values(), default=0.0)
    shared = sum(times.values()) / threads
    # From the last moment on at which there was work for every thread, more threads or another order would not help.
    spans = sorted((start, start + times[name]) for name, (_, _, start) in run.tests.items() if name in times and start is not None)
    tail = 0.0
    if spans:
        end = max(finish for _, finish in spans)
        tail = end - max(start for start, _ in spans)
    bound = max(longest, shared)
    return {"longest": longest, "shared": shared, "bound": bound, "tail": tail, "overhead": max(run.wall - bound, 0.0)}


def verdict(run):
    """In a sentence: what to shorten."""
    found = profile(run)
    if run.build and run.build > run.wall:
        return f"The build takes longer ({seconds(run.build)}) than the tests ({seconds(run.wall)})."
    if not run.times():
        return "No test ran."
    if found["longest"] > found["shared"]:
        name = slowest(run, 1)[0][0]
        return f"One test sets the time: {code(name)} takes {seconds(found['longest'])}, all the others fit beside it."
    if found["overhead"] > found["bound"]:
        return "Starting processes sets the time: the tests themselves take less than half of it."
    return (
        f"The sum of the tests sets the time: {seconds(run.total())} on {run.threads or 1} threads are at least "
        f"{seconds(found['shared'])}."
    )


def by_binary(run, top):
    """(binary, tests, seconds) of the binaries whose tests take the longest."""
    sums = {}
    for name, took in run.times().items():
        count, total = sums.get(name.split(" ")[0], (0, 0.0))
        sums[name.split(" ")[0]] = count + 1, total + took
    return sorted(((name, *counts) for name, counts in sums.items()), key=lambda item: -item[2])[:top]


def page(runs, top):
    """The tables, as lines."""
    whole = [run for run in runs if run.kind == "run"]
    if not whole:
        return ["No run is on record yet."]
    last = whole[-1]
    same = [run for run in whole if run.scope == last.scope]
    found = profile(last)
    lines = [f"Of `{last.scope or 'the tests given'}`, {last.at[:10]}, commit {last.commit[:12] or 'unknown'}:", ""]
    lines += table(("", ""), [
        ("tests that passed", len(last.named(PASSED))),
        ("failed", len(last.named(FAILED))),
        ("ignored", len(last.named(SKIPPED))),
        ("build", seconds(last.build)),
        ("run", seconds(last.wall)),
        ("sum of all tests", seconds(last.total())),
        ("sum by threads", f"{seconds(found['shared'])} ({last.threads or 1} threads)"),
        ("longest test", seconds(found["longest"])),
        ("from the last test's start to the end", seconds(found["tail"])),
        ("run beyond what sum and longest test explain", seconds(found["overhead"])),
    ])
    lines += ["", verdict(last), "", "Slowest tests:", ""]
    lines += table(("test", "time"), [(code(name), seconds(took)) for name, took in slowest(last, top)])
    lines += ["", "By binary:", ""]
    lines += table(("binary", "tests", "time"), [(code(name), n, seconds(took)) for name, n, took in by_binary(last, top)])
    lines += ["", f"The last runs of this ({len(same)} on record):", ""]
    rows = [(run.at[:16].replace("T", " "), run.commit[:12] + ("+" if run.dirty else ""), len(run.times()),
             len(run.named(FAILED)), seconds(run.build), seconds(run.wall), seconds(run.total())) for run in same[-top:]]
    lines += table(("at", "commit", "tests", "failed", "build", "run", "sum"), rows)
    if slower := changed(same, top):
        lines += ["", "Slower or faster than the median of the runs before:", ""]
        lines += table(("test", "before", "now"), [(code(name), seconds(then), seconds(now)) for name, then, now in slower])
    lines += ["", "Flaky, that is passed and failed on the same sources:", ""]
    unsteady = flaky(runs)
    lines += table(("test", "passed", "failed"), [(code(name), *counts) for name, *counts in unsteady]) if unsteady else ["None."]
    return lines


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def code(name):
    return "`" + re.sub(r"[`|]", "'", name) + "`"


def seconds(value):
    return "not measured" if value is None else f"{value:.2f} s"
