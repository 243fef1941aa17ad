//! What a valid file becomes.

use std::time::Duration;

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
}
