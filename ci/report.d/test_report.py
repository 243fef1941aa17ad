"""Tests of ci/report and ci/count-skipped: `python3 -m unittest discover -s ci/report.d`."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
sys.dont_write_bytecode = True

import audit
import rerun
import skips
import tables
from runs import FAILED, PASSED, SKIPPED, History, Run, read_junit

JUNIT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="5" skipped="1" failures="2" errors="0" timestamp="2026-11-21T20:00:00.000+00:00" time="3.500">
  <testsuite name="squall-core::keys" tests="3" disabled="0" skipped="1" errors="0" failures="1">
    <testcase name="quick" classname="squall-core::keys" timestamp="2026-11-21T20:00:00.000+00:00" time="0.250"/>
    <testcase name="wrong" classname="squall-core::keys" timestamp="2026-11-21T20:00:00.250+00:00" time="1.000">
      <failure message="it &lt;failed&gt;" type="test failure">it failed</failure>
    </testcase>
    <testcase name="real" classname="squall-core::keys" time="0.000"><skipped type="ignored"/></testcase>
  </testsuite>
  <testsuite name="squall-fixtures" tests="2" disabled="0" errors="0" failures="1">
    <testcase name="data::slow" classname="squall-fixtures" timestamp="2026-11-21T20:00:01.000+00:00" time="2.500"/>
    <testcase name="data::unsteady" classname="squall-fixtures" timestamp="2026-11-21T20:00:00.500+00:00" time="0.125">
      <flakyFailure timestamp="2026-11-21T20:00:00.400+00:00" time="0.1" message="no" type="test failure">no</flakyFailure>
    </testcase>
  </testsuite>
</testsuites>
"""


def run(at="2026-11-21T20:00:00", **tests):
    """A run of tests `binary name`, given as name=(seconds, outcome)."""
    tests = {f"b {name}": (seconds, outcome, None) for name, (seconds, outcome) in tests.items()}
    return Run(at, 1.0, tests, commit="c1", threads=2, scope="-p b")


class InAFolder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def file(self, name, text=""):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


class Junit(InAFolder):
    def test_outcomes_times_and_starts_are_read(self):
        found = read_junit(self.file("junit.xml", JUNIT))
        self.assertEqual(found.wall, 3.5)
        self.assertEqual(found.named(PASSED), ["squall-core::keys quick", "squall-fixtures data::slow"])
        self.assertEqual(found.named(SKIPPED), ["squall-core::keys real"])
        self.assertEqual(found.tests["squall-fixtures data::slow"], (2.5, PASSED, 1.0))

    def test_what_passed_only_when_tried_again_has_failed(self):
        found = read_junit(self.file("junit.xml", JUNIT))
        self.assertEqual(found.named(FAILED), ["squall-core::keys wrong", "squall-fixtures data::unsteady"])

    def test_what_is_no_report_is_an_error_that_names_the_file(self):
        for text in ["", "<testsuites>", "<html></html>"]:
            with self.assertRaisesRegex(SystemExit, "junit.xml: expected a JUnit report"):
                read_junit(self.file("junit.xml", text))
        with self.assertRaisesRegex(SystemExit, "missing.xml: expected"):
            read_junit(self.folder / "missing.xml")


class Histories(InAFolder):
    def test_the_last_runs_are_kept_and_come_back_as_they_were(self):
        history = History(self.folder / "new", kept=3)
        for n in range(5):
            history.add(run(at=str(n), a=(1.0, PASSED)))
        self.assertEqual([found.at for found in history.runs()], ["2", "3", "4"])
        self.assertEqual(history.runs()[0].times(), {"b a": 1.0})

    def test_a_line_that_cannot_be_read_costs_no_other(self):
        history = History(self.folder)
        history.add(run(a=(1.0, PASSED)))
        with history.path.open("a") as file:
            file.write('{"cut off\n{"of": "another version"}\n')
        self.assertEqual(len(history.runs()), 1)
        history.add(run(a=(2.0, PASSED)))
        self.assertEqual(len(history.path.read_text().splitlines()), 2)


class Tables(unittest.TestCase):
    def test_the_slowest_come_first_and_skipped_tests_have_no_time(self):
        last = run(a=(1.0, PASSED), b=(3.0, FAILED), c=(0.0, SKIPPED), d=(2.0, PASSED))
        self.assertEqual(tables.slowest(last, 2), [("b b", 3.0), ("b d", 2.0)])
        self.assertEqual(last.total(), 6.0)

    def test_a_test_is_slower_by_share_and_by_seconds_than_its_median(self):
        before = [run(slow=(t, PASSED), small=(0.01, PASSED), large=(10.0, PASSED)) for t in (1.0, 9.0, 1.1)]
        last = run(slow=(2.0, PASSED), small=(0.05, PASSED), large=(11.0, PASSED), new=(5.0, PASSED))
        self.assertEqual(tables.changed([*before, last], 9), [("b slow", 1.1, 2.0)])
        self.assertEqual(tables.changed([last], 9), [])

    def test_flaky_is_what_passed_and_failed_on_the_same_sources(self):
        passed, failed = run(a=(1.0, PASSED)), run(a=(1.0, FAILED))
        self.assertEqual(tables.flaky([passed, failed, failed]), [("b a", 1, 2)])
        failed.commit = "c2"
        self.assertEqual(tables.flaky([passed, failed]), [], "another commit may have broken it")
        failed.commit, failed.dirty, passed.dirty, failed.at = "c1", True, True, "later"
        self.assertEqual(tables.flaky([passed, failed]), [], "with changes of its own each run is another state")
        failed.at = passed.at
        self.assertEqual(tables.flaky([passed, failed]), [("b a", 1, 1)], "but the runs of one rerun are one")

    def test_the_profile_says_what_sets_the_time(self):
        one = run(a=(9.0, PASSED), b=(1.0, PASSED))
        one.wall = 9.1
        self.assertEqual(tables.profile(one)["bound"], 9.0)
        self.assertIn("One test sets the time: `b a`", tables.verdict(one))
        many = run(**{f"t{n}": (1.0, PASSED) for n in range(10)})
        many.wall = 5.5
        self.assertEqual((tables.profile(many)["shared"], tables.profile(many)["overhead"]), (5.0, 0.5))
        self.assertIn("The sum of the tests sets the time: 10.00 s on 2 threads", tables.verdict(many))
        many.build = 60.0
        self.assertIn("The build takes longer", tables.verdict(many))
        empty = run(a=(0.0, PASSED), b=(0.1, PASSED), c=(0.1, PASSED))
        empty.wall = 2.0
        self.assertIn("Starting processes", tables.verdict(empty))
        self.assertEqual(tables.verdict(run()), "No test ran.")

    def test_the_tail_is_from_the_last_start_to_the_end(self):
        last = Run("", 4.0, {"b a": (4.0, PASSED, 0.0), "b b": (1.0, PASSED, 1.5)}, threads=2)
        self.assertEqual(tables.profile(last)["tail"], 2.5)

    def test_the_page_tells_of_the_last_run_and_leaves_reruns_out(self):
        again = run(a=(7.0, PASSED))
        again.kind = "rerun"
        text = "\n".join(tables.page([run(a=(1.0, PASSED)), run(a=(3.0, FAILED)), again], 5))
        self.assertIn("| `b a` | 1.00 s | 3.00 s |", text)
        self.assertIn("| `b a` | 2 | 1 |", text, "flaky, reruns counted")
        self.assertNotIn("7.00 s", text)
        self.assertEqual(tables.page([again], 5), ["No run is on record yet."])


LIBTEST = """
running 3 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s
test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.02s
"""
NEXTEST = "     \x1b[32;1mSummary\x1b[0m [   1.245s] \x1b[1m7\x1b[0m tests run: 6 passed, 1 failed, \x1b[1m4\x1b[0m \x1b[33mskipped\x1b[0m\n"


class Skips(InAFolder):
    def test_skipped_tests_are_counted_in_every_kind_of_output(self):
        self.assertEqual(skips.count(LIBTEST, "x"), (6, 3))
        self.assertEqual(skips.count(NEXTEST, "x"), (7, 4))
        self.assertEqual(skips.count("  Summary [ 0.1s] 1 test run: 1 passed, 0 skipped", "x"), (1, 0))
        self.assertEqual(skips.count(JUNIT, "x"), (4, 1))

    def test_an_output_without_results_is_an_error(self):
        with self.assertRaisesRegex(SystemExit, "build.log: expected the output"):
            skips.count("error: could not compile", "build.log")

    def count_skipped(self, output, expected, *arguments):
        numbers = self.file("skipped", f"# a comment\nfull {expected}\nplain 3\n")
        command = [FOLDER.parent / "count-skipped", "--expected", numbers, *arguments, self.file("out", output)]
        found = subprocess.run(command, capture_output=True, text=True)
        return found.returncode, found.stdout + found.stderr

    def test_the_script_fails_unless_the_number_is_the_expected_one(self):
        self.assertEqual(self.count_skipped(LIBTEST, 3)[0], 0)
        self.assertEqual(self.count_skipped(LIBTEST, 0, "--environment", "plain")[0], 0)
        code, said = self.count_skipped(LIBTEST, 0)
        self.assertEqual(code, 1)
        self.assertIn("6 tests ran, 3 were skipped, expected 0", said)
        code, said = self.count_skipped(LIBTEST, 5)
        self.assertEqual(code, 1)
        self.assertIn("lower the number", said)

    def test_the_script_fails_if_nothing_ran_or_the_environment_is_unknown(self):
        nothing = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n"
        self.assertEqual(self.count_skipped(nothing, 0)[0], 1)
        code, said = self.count_skipped(LIBTEST, 0, "--environment", "moon")
        self.assertEqual(code, 1)
        self.assertIn("expected a line for 'moon'; there are full, plain", said)


class Rerun(InAFolder):
    def test_a_file_belongs_to_the_innermost_package(self):
        packages = [{"name": name, "manifest_path": f"/r/{name}/Cargo.toml"} for name in ("core", "core/fuzz", "mocks")]
        files = ["core/src/lib.rs", "core/fuzz/a.rs", "README.md", "core/tests/a/b.rs"]
        self.assertEqual(rerun.packages_of(files, packages, Path("/r")), ["core", "core/fuzz"])

    def test_the_expression_names_packages_and_failed_tests(self):
        found = rerun.expression(["squall-core"], ["squall-core::keys real"])
        self.assertEqual(found, "package(=squall-core) | (binary_id(=squall-core::keys) & test(=real))")
        self.assertEqual(rerun.expression([], []), "")

    def test_what_always_fails_is_told_from_what_sometimes_does(self):
        runs = [run(a=(1, FAILED), b=(1, FAILED), c=(1, PASSED)), run(a=(1, FAILED), b=(1, PASSED), c=(1, PASSED))]
        self.assertEqual(rerun.verdicts(runs), [("b a", 0, 2), ("b b", 1, 1)])

    def test_changed_files_are_those_since_the_commit_and_those_not_added(self):
        def git(*arguments):
            identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True)

        git("init", "-q")
        for name in ("same", "changed", "committed"):
            self.file(name, "1")
        git("add", ".")
        git("commit", "-qm", "one")
        self.file("committed", "2")
        git("commit", "-qam", "two")
        self.file("changed", "2")
        self.file("new", "1")
        self.assertEqual(rerun.changed_files(self.folder, "HEAD~1"), ["changed", "committed", "new"])
        with self.assertRaisesRegex(SystemExit, "--base"):
            rerun.changed_files(self.folder, "no-such-commit")


class Audit(InAFolder):
    RUN = "cargo test --workspace --features a/librdkafka\n./squall run scenarios/ --seeds 5\n"

    def setUp(self):
        super().setUp()
        self.file("a/Cargo.toml")
        self.file("a/tests/one.rs", '//! mod forgotten;\nmod helper;\n#[path = "odd/place.rs"]\npub mod odd;\n')
        self.file("a/tests/helper/mod.rs", 'mod below;\nconst DATA: &str = include_str!("data.txt");\n')
        self.file("a/tests/helper/below.rs")
        self.file("a/tests/helper/data.txt")
        self.file("a/tests/odd/place.rs", "mod beside;\n")
        self.file("a/tests/odd/beside.rs")
        self.file("scenarios/README.md")
        self.file("scenarios/base/shop.toml", "abstract = true\n")
        self.file("scenarios/smoke/shop.toml", 'extends = "../base/shop.toml"\n')

    def problems(self, run=RUN, features=(), of_target=()):
        target = {"name": "one", "kind": ["test"], "src_path": str(self.folder / "a/tests/one.rs"), "required-features": list(of_target)}
        package = {"name": "a", "manifest_path": str(self.folder / "a/Cargo.toml"), "targets": [target], "features": {"default": list(features)}}
        return audit.audit(self.folder, [package], run)

    def test_what_is_reached_is_no_problem(self):
        self.assertEqual(self.problems(), [])

    def test_a_planted_orphan_is_found(self):
        for name in ("a/tests/forgotten.rs", "a/tests/helper/lost.rs", "a/tests/helper/unread.json"):
            path = self.file(name, "#[test]\nfn never_runs() {}\n")
            [problem] = self.problems()
            self.assertTrue(problem.startswith(f"{name}: no test"), problem)
            path.unlink()

    def test_a_target_whose_feature_no_run_enables_is_found(self):
        self.assertEqual(self.problems(of_target=["librdkafka"]), [])
        self.assertEqual(self.problems(of_target=["redis"], features=["redis"]), [])
        [problem] = self.problems(of_target=["redis"])
        self.assertIn("the test one needs the feature redis", problem)

    def test_a_scenario_that_no_run_takes_up_is_found(self):
        for name in ("scenarios/base/unused.toml", "scenarios/smoke/old.plan.toml", "scenarios/smoke/notes.txt"):
            path = self.file(name)
            [problem] = self.problems()
            self.assertTrue(problem.startswith(f"{name}: "), problem)
            path.unlink()
        [problem] = self.problems(run="cargo test --workspace --features a/librdkafka")
        self.assertIn("scenarios/", problem)


if __name__ == "__main__":
    unittest.main()
