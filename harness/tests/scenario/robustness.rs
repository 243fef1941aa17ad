//! No input makes the loader panic or hang, and nothing it shows is empty.

use proptest::collection::vec;
use proptest::prelude::*;
use squall::plan::Plan;
use squall::scenario::{Diagnostics, Loaded};

use crate::support::{VALID, load, load_files, options};

/// Uses up what came out: a plan of each case and some of its events, or the text of the mistakes.
fn exercise(result: Result<Loaded, Diagnostics>) -> Result<(), TestCaseError> {
    match result {
        Ok(loaded) => {
            for case in &loaded.cases {
                let Some(seed) = case.seeds().next() else {
                    return Err(TestCaseError::fail("a checked case has a seed"));
                };
                let plan = Plan::draw(case, seed);
                for workload in &plan.workloads {
                    prop_assert!(plan.emissions(workload).next().is_some());
                }
                prop_assert!(!case.effective().is_empty());
            }
        }
        Err(diagnostics) => {
            prop_assert!(diagnostics.has_errors());
            prop_assert!(!diagnostics.render(false).is_empty());
            prop_assert!(!diagnostics.render(true).is_empty());
            for record in diagnostics.records() {
                prop_assert!(!record.message.is_empty());
                prop_assert!(record.line.is_none_or(|line| line >= 1));
            }
        }
    }
    Ok(())
}

/// Values that are wrong somewhere, or right in another place.
fn value() -> impl Strategy<Value = String> {
    const FIXED: &[&str] = &[
        "0",
        "-1",
        "9223372036854775807",
        "18446744073709551616",
        "1e308",
        "nan",
        "true",
        "\"\"",
        "\"${workers}\"",
        "\"${\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "{ a = 1 }",
        "1979-05-27",
        "\"1000000d\"",
        "\"0s\"",
        "\"worker-*\"",
        "\"*\"",
        "[\"*\", \"*\"]",
        "[[\"*\"], [\"*\"]]",
        "\"999999999GiB/s\"",
        "\"1e-9/s\"",
        "\"\\u0000\"",
        "\"é\"",
    ];
    prop_oneof![proptest::sample::select(FIXED).prop_map(|text| text.to_owned()), "[ -~]{0,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Some values of the valid file are replaced by others.
    #[test]
    fn other_values_are_taken_or_refused(changes in vec((0..90usize, value()), 1..6)) {
        let mut lines: Vec<String> = VALID.lines().map(str::to_owned).collect();
        for (at, value) in changes {
            let at = at % lines.len();
            if let Some((key, _)) = lines[at].split_once(" = ") {
                lines[at] = format!("{key} = {value}");
            }
        }
        exercise(load(&lines.join("\n")))?;
    }

    /// Lines are removed, doubled and swapped.
    #[test]
    fn other_orders_are_taken_or_refused(changes in vec((0..90usize, 0..90usize, 0..3u8), 1..8)) {
        let mut lines: Vec<&str> = VALID.lines().collect();
        for (from, to, how) in changes {
            let (from, to) = (from % lines.len(), to % lines.len());
            match how {
                0 => drop(lines.remove(from)),
                1 => lines.insert(to, lines[from]),
                _ => lines.swap(from, to),
            }
        }
        exercise(load(&lines.join("\n")))?;
    }

    /// Bytes are overwritten, also within a character and with what is no text at all.
    #[test]
    fn damaged_bytes_are_taken_or_refused(changes in vec((0..4000usize, any::<u8>()), 1..8)) {
        let mut bytes = VALID.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("test.toml");
        std::fs::write(&path, bytes).expect("a file");
        exercise(squall::scenario::Scenario::load(&path, &options()))?;
    }

    #[test]
    fn any_text_is_refused(text in "\\PC{0,200}") {
        exercise(load(&text))?;
    }

    #[test]
    fn any_override_is_taken_or_refused(value in "\\PC{0,40}") {
        let mut options = options();
        options.overrides = vec![("workers".to_owned(), value.clone()), ("dedup-ttl".to_owned(), value)];
        exercise(load_files(&[("test.toml", VALID)], &options))?;
    }
}

#[test]
fn large_and_deep_files_are_refused_in_time() {
    let refused = |text: &str| load(text).expect_err("refused").render(false);
    assert!(refused(&"#".repeat(1 << 21)).contains("larger than 1024 KiB"));
    assert!(!refused(&format!("a = {}1{}", "[".repeat(50_000), "]".repeat(50_000))).is_empty());
    assert!(!refused(&"= \n".repeat(200_000)).is_empty());
    assert!(!refused(&format!("name = \"{}", "x".repeat(1 << 19))).is_empty());
    let list: Vec<&str> = vec!["x"; 20_000];
    assert!(!refused(&format!("worlds = {list:?}")).is_empty());
    let keys: String = (0..20_000).map(|n| format!("k{n} = 1\n")).collect();
    assert!(!refused(&keys).is_empty());
    let matrix: String = ('a'..='z').map(|name| format!("{name} = [1, 2, 3]\n")).collect();
    assert!(refused(&format!("schema = 1\n[matrix]\n{matrix}")).contains("cases, more than"));
}
