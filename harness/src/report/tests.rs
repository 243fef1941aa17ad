//! Tests of reports: folding seeds into a case, and what each renderer writes.

use proptest::prelude::*;

use super::text::Colour;
use super::*;
use crate::seed::Seed;
use crate::verdict::Class;

fn judged(claim: Claim, subject: &str, verdict: Verdict, count: u64) -> Judged {
    Judged { claim, subject: subject.into(), verdict, seen: "12 keys took effect once".into(), count }
}

fn violation(seed: u64) -> Violation {
    Violation {
        checker: "idempotent".into(),
        class: Class::Safety,
        at: Duration::from_millis(12_345),
        summary: format!("card.charged was committed 2 times for order o-{seed}, at 0.120s and 12.345s"),
        evidence: vec![
            "   0.100s worker-1 invoke #1 event 8c6c2e5e-52a5-8d0a-9a1b-6f0c0a8c1f11 order o-17 key c-7/0"
                .into(),
            "   0.120s sink card.charged committed for o-17 token t-17".into(),
            "  12.345s sink card.charged committed for o-17 token \u{1b}[31mt-18".into(),
        ],
    }
}

/// A seed whose effect was committed twice if `twice`, in which duplicates were suppressed `seen` times.
fn seed(index: u64, twice: bool, seen: u64) -> SeedResult {
    let seed = 100 + index;
    let once = if twice { Verdict::Failed(violation(seed)) } else { Verdict::Passed };
    let enough = if seen >= 2 { Verdict::Passed } else { Verdict::Inconclusive("too few".into()) };
    SeedResult {
        index,
        seed: Seed(seed),
        virtual_time: Duration::from_secs(120),
        judged: vec![
            judged(Claim::Always, "idempotent", once, 0),
            judged(Claim::Sometimes { at_least: 2 }, "duplicate-suppressed", enough, seen),
        ],
        broken: None,
        trace_hash: Some(TraceHash([0xab; 32])),
        plan_path: twice.then(|| format!("failures/crash-{seed}.plan.toml")),
        replay_command: twice.then(|| format!("squall replay failures/crash-{seed}.plan.toml")),
    }
}

fn case(seeds: impl IntoIterator<Item = SeedResult>) -> ScenarioResult {
    let mut aggregate = Aggregate::new("worker-crash", "workers=3", "scenarios/worker-crash.toml");
    seeds.into_iter().for_each(|seed| aggregate.add(seed));
    aggregate.finish(Duration::from_millis(12_400))
}

fn passing() -> ScenarioResult {
    case((0..1200).map(|index| seed(index, false, index % 3)))
}

fn failing() -> ScenarioResult {
    case((0..200).map(|index| seed(index, index % 25 == 7, 2)))
}

fn inconclusive() -> ScenarioResult {
    case((0..3).map(|index| seed(index, false, u64::from(index == 1))))
}

fn skipped() -> ScenarioResult {
    ScenarioResult::skipped("broker-down", "", "scenarios/broker-down.toml", "Docker is not available")
}

proptest! {
    #[test]
    fn the_order_in_which_seeds_finish_does_not_matter(
        seeds in prop::collection::vec((any::<bool>(), 0..3u64), 1..20),
        shuffle in any::<u64>(),
    ) {
        let seeds: Vec<SeedResult> =
            (0..).zip(seeds).map(|(index, (twice, seen))| seed(index, twice, seen)).collect();
        let mut shuffled = seeds.clone();
        shuffled.sort_by_key(|seed| (seed.index + 1).wrapping_mul(shuffle | 1));
        prop_assert_eq!(case(seeds), case(shuffled));
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_but_what_is_copied(
        name in "[a-zß☃]{1,120}", summary in "[a-z ]{0,300}", evidence in "\\PC{0,200}",
    ) {
        let mut result = failing();
        result.name = name;
        result.failures[0].violation.summary = summary;
        result.failures[0].violation.evidence = vec![evidence];
        for line in text::block(&result, Colour::Off).lines().filter(|line| !line.contains("failures/")) {
            prop_assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn memory_is_flat_and_the_first_failures_are_kept() {
    let mut aggregate = Aggregate::new("worker-crash", "", "file");
    (0..1000).rev().for_each(|index| aggregate.add(seed(index, index >= 10, 2)));
    assert_eq!(aggregate.seeds_failed(), 990);
    let result = aggregate.finish(Duration::ZERO);
    assert_eq!(result.failures.iter().map(|f| f.index).collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
    assert_eq!(result.verdict, Verdict::Failed(violation(110)));
}

#[test]
fn sometimes_is_asked_of_all_seeds_together() {
    let twice_in_two_seeds = case([seed(0, false, 1), seed(1, false, 0), seed(2, false, 1)]);
    assert_eq!(twice_in_two_seeds.verdict, Verdict::Passed);
    let once = inconclusive();
    let expected = "duplicate-suppressed was seen 1 time in 3 seeds, expected at least 2";
    assert_eq!(once.verdict, Verdict::Inconclusive(expected.into()));
}

#[test]
fn a_crash_fails_a_seed_whose_expectations_hold() {
    let crash = Violation { checker: "crash".into(), class: Class::Crash, ..violation(1) };
    let result = case([SeedResult { broken: Some(crash.clone()), ..seed(0, true, 2) }]);
    assert_eq!(result.verdict, Verdict::Failed(crash));
    assert_eq!(result.failures[0].also, ["idempotent"]);
}

#[test]
fn a_scenario_that_was_not_run_or_expects_nothing_has_not_passed() {
    assert_eq!(case([]).verdict, Verdict::NotRun);
    let expects_nothing = case([SeedResult { judged: Vec::new(), ..seed(0, false, 0) }]);
    assert!(matches!(expects_nothing.verdict, Verdict::Inconclusive(_)));
}

#[test]
fn the_summary_reads_like_this() {
    let expected = "\
PASS  worker-crash [workers=3]
      1,200 seeds, 1d 16h simulated in 12.4s, 96.8 seeds/s
      always      idempotent            passed
      sometimes   duplicate-suppressed  1,200 times in 800 of 1,200 seeds

FAIL  worker-crash [workers=3]
      200 seeds, 8 failed, 6h 40m simulated in 12.4s, 16.1 seeds/s
      always      idempotent            failed in 8 of 200 seeds
      sometimes   duplicate-suppressed  400 times in 200 of 200 seeds

      idempotent (safety) broken at 12.345s with seed 0x6b
        card.charged was committed 2 times for order o-107, at 0.120s and
        12.345s
        |    0.100s worker-1 invoke #1 event 8c6c2e5e-52a5-8d0a-9a1b-6f0c0a8c1f…
        |    0.120s sink card.charged committed for o-17 token t-17
        |   12.345s sink card.charged committed for o-17 token \\u{1b}[31mt-18
        plan    failures/crash-107.plan.toml
        replay  squall replay failures/crash-107.plan.toml
      also failed: seeds 0x84 (idempotent), 0x9d (idempotent), 0xb6
      (idempotent), 0xcf (idempotent), 3 more

INCONCLUSIVE  worker-crash [workers=3]
      3 seeds, 6m 0s simulated in 12.4s, 0.2 seeds/s
      always      idempotent            passed
      sometimes   duplicate-suppressed  1 time in 1 of 3 seeds, expected 2
      duplicate-suppressed was seen 1 time in 3 seeds, expected at least 2

SKIP  broker-down
      Docker is not available

1 passed, 1 failed, 1 inconclusive, 1 skipped; 1,403 seeds
";
    let results = [passing(), failing(), inconclusive(), skipped()];
    assert_eq!(text::render(&results, Colour::Off), expected);
}

#[test]
fn a_single_seed_shows_what_it_saw() {
    let expected = "\
PASS  worker-crash [workers=3]
      1 seed, 2m 0s simulated in 12.4s, 0.1 seeds/s
      always      idempotent            passed: 12 keys took effect once
      sometimes   duplicate-suppressed  2 times in 1 of 1 seed
";
    assert_eq!(text::block(&case([seed(0, false, 2)]), Colour::Off), expected);
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let results = [passing(), failing()];
    let coloured = text::render(&results, Colour::On);
    assert!(coloured.starts_with("\u{1b}[32mPASS\u{1b}[0m  worker-crash"));
    let codes = ["\u{1b}[32m", "\u{1b}[1;31m", "\u{1b}[1m", "\u{1b}[0m"];
    let plain = codes.iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(plain, text::render(&results, Colour::Off));
}

#[test]
fn the_environment_decides_about_colour() {
    let colour = |set: &[(&str, &str)], terminal| {
        let lookup = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        Colour::of_environment(lookup, terminal)
    };
    assert_eq!(colour(&[], true), Colour::On);
    assert_eq!(colour(&[], false), Colour::Off);
    assert_eq!(colour(&[("NO_COLOR", "1")], true), Colour::Off);
    assert_eq!(colour(&[("NO_COLOR", "")], true), Colour::On);
    assert_eq!(colour(&[("CLICOLOR_FORCE", "1")], false), Colour::On);
    assert_eq!(colour(&[("CLICOLOR_FORCE", "0")], false), Colour::Off);
    assert_eq!(colour(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false), Colour::Off);
}

#[test]
fn junit_has_one_case_per_scenario_with_checker_seed_time_and_replay() {
    let mut failing = failing();
    failing.failures.truncate(1);
    failing.failures[0].violation.summary = "2 < 3".into();
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="squall" tests="4" skipped="1" failures="1" errors="1">
    <testsuite name="squall" tests="4" skipped="1" errors="1" failures="1" time="37.200">
        <testcase name="worker-crash [workers=3]" classname="scenarios/worker-crash.toml" time="12.400">
            <failure message="idempotent (safety) broken at 12.345s with seed 0x6b: 2 &lt; 3" type="idempotent">idempotent (safety) broken at 12.345s with seed 0x6b: 2 &lt; 3
     0.100s worker-1 invoke #1 event 8c6c2e5e-52a5-8d0a-9a1b-6f0c0a8c1f11 order o-17 key c-7/0
     0.120s sink card.charged committed for o-17 token t-17
    12.345s sink card.charged committed for o-17 token t-18
plan: failures/crash-107.plan.toml
replay: squall replay failures/crash-107.plan.toml
</failure>
        </testcase>
        <testcase name="worker-crash [workers=3]" classname="scenarios/worker-crash.toml" time="12.400"/>
        <testcase name="worker-crash [workers=3]" classname="scenarios/worker-crash.toml" time="12.400">
            <error message="duplicate-suppressed was seen 1 time in 3 seeds, expected at least 2" type="inconclusive"/>
        </testcase>
        <testcase name="broker-down" classname="scenarios/broker-down.toml" time="0.000">
            <skipped message="Docker is not available"/>
        </testcase>
    </testsuite>
</testsuites>
"#;
    let xml = junit::render(&[failing, passing(), inconclusive(), skipped()]).expect("XML");
    assert_eq!(xml, expected);
}

#[test]
fn json_lines_are_one_object_each() {
    let read = |line: String| serde_json::from_str::<serde_json::Value>(&line).expect("JSON");
    let failing = failing();
    let line = json::scenario(&failing).expect("JSON");
    assert!(!line.contains('\n'));
    let json = read(line);
    assert_eq!(json["type"], "scenario");
    assert_eq!(json["verdict"], "failed");
    assert_eq!(json["detail"]["class"], "safety");
    assert_eq!(json["virtual_time_ns"], 24_000_000_000_000_u64);
    assert_eq!(json["expectations"][1]["verdict"], "passed");
    assert_eq!(json["expectations"][0]["modality"], "always");
    assert_eq!(json["expectations"][0].get("at_least"), None);
    assert_eq!(json["expectations"][1]["at_least"], 2);
    assert_eq!(json["failures"][0]["violation"]["at_ns"], 12_345_000_000_u64);
    assert_eq!(json["failures"][0]["trace_hash"], "ab".repeat(32));
    assert_eq!(json["failures"][0]["replay_command"], "squall replay failures/crash-107.plan.toml");
    let summary = json::summary(&[failing, passing(), skipped()]).expect("JSON");
    let expected =
        r#"{"type":"summary","passed":1,"failed":1,"inconclusive":0,"skipped":1,"not_run":0,"seeds":1400}"#;
    assert_eq!(summary, expected);
}

#[test]
fn annotations_point_at_the_file_and_are_escaped() {
    let mut failing = failing();
    failing.failures.truncate(1);
    failing.failures[0].violation.summary = "100% of o-1:\nlost".into();
    let expected = "\
::error file=scenarios/worker-crash.toml,title=worker-crash [workers=3]%3A idempotent broken::\
100%25 of o-1:%0Alost%0Aat 12.345s with seed 0x6b%0Asquall replay failures/crash-107.plan.toml
::warning file=scenarios/worker-crash.toml,title=worker-crash [workers=3] is inconclusive::\
duplicate-suppressed was seen 1 time in 3 seeds, expected at least 2
";
    assert_eq!(annotate::render(&[failing, passing(), inconclusive(), skipped()]), expected);
    let many: Vec<_> = (0..20).map(|_| case([seed(0, true, 2)])).collect();
    assert_eq!(annotate::render(&many).lines().count(), 10);
}
