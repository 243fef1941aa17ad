"""Which tests to run again to see whether they are flaky: those of packages that changed, and those that failed."""

import subprocess
from pathlib import Path

# More failed tests than this are no sign of flakiness, and would not fit on a command line.
FAILED_MAX = 100


def changed_files(root, base):
    """Files that differ from the commit `base`, those not yet committed or added included."""
    def git(*arguments):
        found = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
        if found.returncode:
            raise SystemExit(f"`git {' '.join(arguments)}` failed; give a commit that is here with --base:\n{found.stderr}")
        return found.stdout.splitlines()

    return sorted(set(git("diff", "--name-only", base)) | set(git("ls-files", "--others", "--exclude-standard")))


def packages_of(files, packages, root):
    """The names of the packages that the files belong to: of the innermost folder with a manifest."""
    folders = {Path(package["manifest_path"]).parent: package["name"] for package in packages}
    found = set()
    for file in files:
        if of := [folder for folder in (root / file).parents if folder in folders]:
            found.add(folders[of[0]])
    return sorted(found)


def expression(packages, failed):
    """The tests of these packages and these tests, "binary test", in nextest's language; empty for none."""
    parts = [f"package(={name})" for name in packages]
    for name in failed[:FAILED_MAX]:
        binary, _, test = name.partition(" ")
        parts.append(f"(binary_id(={binary}) & test(={test}))")
    return " | ".join(parts)


def verdicts(runs):
    """(name, passed, failed) of every test that failed in one of these runs."""
    counts = {}
    for run in runs:
        for name, (_, outcome, _) in run.tests.items():
            passed, failed = counts.get(name, (0, 0))
            counts[name] = passed + (outcome == "passed"), failed + (outcome == "failed")
    return [(name, *count) for name, count in sorted(counts.items()) if count[1]]
