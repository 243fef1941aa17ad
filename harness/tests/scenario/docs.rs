//! The examples of `docs/scenario-format.md` load, and what the page lists is what there is.

use std::collections::BTreeSet;

use squall::checker::Registry;
use squall::fault::Fault;
use squall::run::{Runner, RunnerOptions};
use squall::scenario::LoadOptions;
use squall::service::Services;
use squall::sink;
use squall::system;
use squall_core::point;

use crate::support::load_files;

const DOCS: &str = include_str!("../../../docs/scenario-format.md");

/// What the parts of a file that the page shows are parts of.
const BASE: &str = r#"
    schema = 1
    abstract = true
    [run]
    duration = "60s"
    settle = "60s"
    [topology.kafka]
    kind = "squall.kafka"
    replicas = 3
    topics = { orders = { partitions = 6 }, payments = { role = "results" } }
    [topology.redis]
    kind = "squall.redis"
    [topology.worker]
    kind = "orders.worker"
    replicas = 3
    uses = ["kafka", "redis"]
    [[workload]]
    name = "place-orders"
    emit = "order.placed"
    to = "kafka/orders"
    count = 2000
    rate = "200/s"
    [[expect]]
    sometimes = "effect"
"#;

/// What the program itself knows, not what tests make up.
fn options() -> LoadOptions {
    let runner = Runner::new(RunnerOptions::default(), Services::builtin());
    LoadOptions { vocabulary: runner.vocabulary(), ..LoadOptions::default() }
}

fn examples() -> Vec<&'static str> {
    DOCS.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_example_loads_and_every_kind_of_fault_has_one() {
    let mut kinds = BTreeSet::new();
    assert!(examples().len() > 10, "the page has examples");
    for example in examples() {
        let whole = example.starts_with("schema");
        let heading =
            if whole { "" } else { "schema = 1\nname = \"part\"\nextends = \"base/orders.toml\"\n" };
        let text = format!("{heading}{example}");
        let files = [("example.toml", text.as_str()), ("base/orders.toml", BASE)];
        let loaded = load_files(&files, &options()).unwrap_or_else(|found| panic!("{found}\n\nin\n{text}"));
        for case in &loaded.cases {
            let scenario = &case.scenario;
            kinds.extend(scenario.faults.iter().filter_map(|entry| Some(entry.fault()?.kind())));
        }
    }
    assert_eq!(kinds, BTreeSet::from(Fault::KINDS));
}

#[test]
fn every_kind_of_fault_is_in_the_table() {
    for kind in Fault::KINDS {
        assert!(DOCS.contains(&format!("| `{kind}` |")), "{kind} has no row");
    }
}

#[test]
fn every_checker_and_every_kind_of_service_is_in_its_table() {
    let registry = Registry::standard();
    let kinds = Services::builtin().kinds();
    for checker in registry.iter() {
        let row = DOCS.lines().find(|line| line.starts_with(&format!("| `{}` |", checker.name())));
        let row = row.unwrap_or_else(|| panic!("{} has no row", checker.name()));
        for parameter in checker.parameters() {
            assert!(row.contains(&format!("`{}`", parameter.name)), "{} is not in {row}", parameter.name);
        }
    }
    for kind in kinds {
        assert!(DOCS.contains(&format!("`{kind}`")), "{kind} is not on the page");
    }
}

#[test]
fn everything_that_is_counted_has_a_row() {
    for point in point::ALL.iter().chain(system::POINTS) {
        assert!(DOCS.contains(&format!("| `{}` | {} |", point.name, point.about)), "{point:?}");
    }
    for name in sink::SIGHTINGS {
        assert!(DOCS.contains(&format!("| `{name}` |")), "{name} has no row");
    }
}
