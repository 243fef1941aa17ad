//! Topics are made as the topology says: what a broker would refuse stops a run before it begins.

use squall::plan::Plan;
use squall::run::{Runner, RunnerOptions};
use squall::scenario::LoadOptions;
use squall::scenario::schema::Topic;
use squall::seed::Seed;
use squall::service::Services;
use squall::trace::TraceOptions;

use crate::support::load_files;

const SCENARIO: &str = r#"
    schema = 1
    name = "topics"
    [run]
    duration = "100ms"
    settle = "100ms"
    [topology.kafka]
    kind = "squall.kafka"
    replicas = 3
    topics = { orders = { partitions = 2, replication = 2, config = { "retention.ms" = "60000" } } }
    [[expect]]
    sometimes = "effect"
"#;

/// Runs the scenario with its topic changed; what stopped it, if anything did.
fn refused(change: impl Fn(&mut Topic)) -> Option<String> {
    let runner = Runner::new(RunnerOptions::default(), Services::builtin());
    let options = LoadOptions { vocabulary: runner.vocabulary(), ..LoadOptions::default() };
    let loaded = load_files(&[("test.toml", SCENARIO)], &options).unwrap_or_else(|found| panic!("{found}"));
    let mut plan = Plan::draw(&loaded.cases[0], Seed(1));
    plan.services[0].spec.topics.values_mut().for_each(change);
    runner.run_plan(plan, &TraceOptions::default).err().map(|error| error.to_string())
}

#[test]
fn replication_and_settings_reach_the_brokers() {
    assert_eq!(refused(|_| {}), None);
    let copies = refused(|topic| topic.replication = Some(4)).expect("three brokers hold no four copies");
    assert!(copies.contains("topic orders") && copies.contains("INVALID_REPLICATION_FACTOR"), "{copies}");
    let setting = |topic: &mut Topic| {
        topic.config.insert("retention.mss".to_owned(), "1".to_owned());
    };
    let unknown = refused(setting).expect("there is no such setting");
    assert!(unknown.contains("topic orders") && unknown.contains("retention.mss"), "{unknown}");
}
