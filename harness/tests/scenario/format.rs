//! What a valid file becomes.

use std::path::Path;
use std::time::Duration;

use squall::scenario::discover;
use squall::scenario::schema::{Keys, Seeds};
use squall::seed::Seed;

use crate::support::{VALID, changed, load, load_files, options};

#[test]
fn a_valid_file_loads_without_a_warning() {
    let loaded = load(VALID).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let labels: Vec<&str> = loaded.cases.iter().map(|case| case.label.as_str()).collect();
    assert_eq!(labels, ["workers=1", "workers=3"]);
    let scenario = &loaded.cases[1].scenario;
    assert_eq!(scenario.topology["worker"].replicas, 3);
    assert_eq!(scenario.topology["worker"].config["dedup-ttl"].as_str(), Some("10m"));
    assert_eq!(scenario.run.duration, Duration::from_secs(60));
    assert_eq!(scenario.workloads[0].keys, Keys::Zipf { n: 500, s: 1.1 });
    assert_eq!(scenario.faults[1].fault().map(|fault| fault.kind()), Some("net.partition"));
}

#[test]
fn the_effective_scenario_loads_to_the_same_scenario() {
    for case in load(VALID).expect("valid").cases {
        let again = load(&case.effective()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert_eq!(again.cases[0].scenario, case.scenario);
    }
}

#[test]
fn an_override_keeps_its_type_and_narrows_the_matrix() {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut options = options();
    options.overrides = vec![set("workers", "5"), set("dedup-ttl", "30s")];
    let loaded = load_files(&[("test.toml", VALID)], &options).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(loaded.cases.len(), 1);
    assert_eq!(loaded.cases[0].label, "workers=5");
    let worker = &loaded.cases[0].scenario.topology["worker"];
    assert_eq!((worker.replicas, worker.config["dedup-ttl"].as_str()), (5, Some("30s")));
}

#[test]
fn seeds_can_be_counted_or_listed() {
    let listed = load(&changed("seeds = 200", "seeds = [7, 0x2a, \"0xffffffffffffffff\"]")).expect("valid");
    assert_eq!(listed.cases[0].seeds().collect::<Vec<_>>(), [Seed(7), Seed(42), Seed(u64::MAX)]);
    let counted = load(VALID).expect("valid");
    assert_eq!(counted.cases[0].scenario.run.seeds, Seeds::Count(200));
    let (one, three) = (&counted.cases[0], &counted.cases[1]);
    assert_eq!(one.seeds().count(), 200);
    assert_ne!(one.seeds().next(), three.seeds().next(), "each case has seeds of its own");
}

#[test]
fn parameters_stand_alone_or_inside_a_text() {
    let text = changed("group = \"billing\"", "group = \"g-${workers}-$${x}\"");
    let loaded = load(&text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let group = &loaded.cases[1].scenario.topology["worker"].config["group"];
    assert_eq!(group.as_str(), Some("g-3-${x}"));
    let again = load(&loaded.cases[1].effective()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(again.cases[0].scenario, loaded.cases[1].scenario);
}

#[test]
fn discovery_lists_runnable_files_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let files =
        ["b.toml", "a/z.toml", "a/y.toml", "base/parent.toml", "notes.md", "x.plan.toml", ".git/c.toml"];
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, "schema = 1").expect("a file");
    }
    std::fs::write(folder.path().join("abstract.toml"), "abstract = true").expect("a file");
    let found = discover(folder.path()).expect("scenarios");
    let names: Vec<_> = found.iter().filter_map(|path| path.strip_prefix(folder.path()).ok()).collect();
    assert_eq!(names, [Path::new("a/y.toml"), Path::new("a/z.toml"), Path::new("b.toml")]);
    let file = folder.path().join("base/parent.toml");
    assert_eq!(discover(&file).expect("a file that is named is taken"), [file]);
}

#[test]
fn finding_nothing_says_what_was_looked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = discover(folder.path()).expect_err("nothing").to_string();
    assert!(empty.contains("expected files named *.toml"), "{empty}");
    let missing = discover(&folder.path().join("nowhere")).expect_err("nothing").to_string();
    assert!(missing.contains("nowhere") && missing.contains("that exists"), "{missing}");
}
