"""Finds tests that nobody runs: files that no test target reaches, targets that no run enables, scenarios that no run
takes up. It reads text and `cargo metadata`, and compiles nothing.

A Rust file is reached through `mod` and `include!` from the root of a test target; any other file if a string in a
reached Rust file of its package ends in its name, with its ending or without (for `concat!`). That a string is enough is generous: the audit finds what was
forgotten, not what was hidden.
"""

import json
import re
import subprocess

MODULE = re.compile(r'(?:#\[path\s*=\s*"([^"]+)"\]\s*)?^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;', re.MULTILINE)
INCLUDED = re.compile(r'\binclude!\(\s*"([^"]+)"')
TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
EXTENDS = re.compile(r'^\s*extends\s*=\s*"([^"]+)"', re.MULTILINE)
ABSTRACT = re.compile(r"^\s*abstract\s*=\s*true", re.MULTILINE)


def metadata(root):
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed:\n{found.stderr}")
    return json.loads(found.stdout)["packages"]


def audit(root, packages, run):
    """What is wrong, as lines. `packages` is cargo's metadata, `run` the text of the script that runs the tests."""
    problems = []
    for package in packages:
        problems += unreached(root, package) + disabled(package, run)
    return problems + scenarios(root, run)


def unreached(root, package):
    folder = root.__class__(package["manifest_path"]).parent
    roots = [root.__class__(target["src_path"]) for target in package["targets"] if "test" in target["kind"]]
    texts = reach(roots)
    named = {text.rsplit("/", 1)[-1] for content in texts.values() for text in TEXT.findall(content)}
    problems = []
    for path in sorted((folder / "tests").rglob("*")):
        if not path.is_file() or "target" in path.relative_to(folder).parts or path.name == "Cargo.toml":
            continue
        if path.suffix == ".rs" and path.resolve() not in texts and not is_of_another(path, packages_below(folder)):
            problems.append(f"{shown(path, root)}: no test target of {package['name']} reaches it; name it with `mod`, or delete it")
        elif path.suffix != ".rs" and not {path.name, path.stem} & named and not is_of_another(path, packages_below(folder)):
            problems.append(f"{shown(path, root)}: no test of {package['name']} names it; use it, or delete it")
    return problems


def packages_below(folder):
    """Folders of packages inside another package's."""
    return [manifest.parent for manifest in folder.glob("*/Cargo.toml")]


def is_of_another(path, folders):
    return any(folder in path.parents for folder in folders)


def reach(roots):
    """The text of every Rust file reached from these, by path."""
    texts = {}
    waiting = [(path.resolve(), True) for path in roots]
    while waiting:
        path, is_root = waiting.pop()
        if path in texts or not path.is_file():
            continue
        content = texts[path] = without_comments(path.read_text())
        below = path.parent if is_root or path.name == "mod.rs" else path.parent / path.stem
        for place, name in MODULE.findall(content):
            if place:
                # Its own modules lie beside it, as a root's do.
                waiting.append(((path.parent / place).resolve(), True))
            else:
                waiting.append(((below / f"{name}.rs").resolve(), False))
                waiting.append(((below / name / "mod.rs").resolve(), False))
        waiting += [((path.parent / place).resolve(), True) for place in INCLUDED.findall(content)]
    return texts


def without_comments(content):
    return "\n".join(line for line in content.splitlines() if not line.lstrip().startswith("//"))


def disabled(package, run):
    """Test targets whose features are neither default nor named by the run."""
    default, waiting = set(), ["default"]
    while waiting:
        feature = waiting.pop()
        if feature not in default:
            default.add(feature)
            waiting += package["features"].get(feature, [])
    problems = []
    for target in package["targets"]:
        if "test" in target["kind"]:
            missing = [name for name in target.get("required-features", []) if name not in default and not is_enabled(name, run)]
            if missing:
                needs = ", ".join(missing)
                problems.append(f"{package['name']}: the test {target['name']} needs the feature {needs}, which the run does not enable")
    return problems


def is_enabled(feature, run):
    return bool(re.search(rf"--(?:all-features|features[ =]\S*\b{re.escape(feature)}\b)", run))


def scenarios(root, run):
    folder = root / "scenarios"
    if not folder.is_dir():
        return []
    problems = [] if re.search(r"squall run scenarios/", run) else ["scenarios/: the run does not run it (`squall run scenarios/`)"]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = {path.resolve(): path.read_text(errors="replace") for path in files if path.suffix == ".toml"}
    extended = {(path.parent / base).resolve() for path, content in texts.items() for base in EXTENDS.findall(content)}
    for path in files:
        place = path.resolve()
        if path.suffix != ".toml":
            if path.name != "README.md":
                problems.append(f"{shown(path, root)}: is no scenario; nothing reads it")
        elif is_passed_over(path, folder, texts[place]) and place not in extended:
            problems.append(f"{shown(path, root)}: is passed over by `squall run scenarios/`, and no scenario extends it")
    return problems


def is_passed_over(path, folder, content):
    """Whether a run of the folder leaves the file out: what harness/src/scenario/discover.rs does."""
    folders = path.relative_to(folder).parts[:-1]
    hidden = any(name == "base" or name.startswith(".") for name in folders)
    return hidden or path.name.endswith(".plan.toml") or bool(ABSTRACT.search(content))


def shown(path, root):
    return path.relative_to(root)
