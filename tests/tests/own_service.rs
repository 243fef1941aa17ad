//! The library's front door: a user's own service, judged by a scenario, in about thirty lines.
//!
//! Two services are shown. The naive one forgets what it charged when it dies; the scenario finds out. The other
//! is the reference system, and passes.

use std::time::Duration;

use squall::run::{Runner, RunnerOptions};
use squall::scenario::{LoadOptions, Scenario};
use squall::seed::scenario_seed;
use squall::service::Services;
use squall::verdict::Verdict;
use squall_core::bus::{ConsumerOptions, Delivery};
use squall_core::env::Env;
use squall_core::envelope::EventEnvelope;

/// Charges each order, then commits its offset. What could go wrong?
async fn naive(env: Env) -> anyhow::Result<()> {
    let options = ConsumerOptions {
        group: "billing".into(),
        topics: vec!["orders".into()],
        session_timeout: Duration::from_secs(6),
        committed_only: false,
    };
    let mut consumer = env.bus.consumer(options).await?;
    loop {
        let Delivery::Records(records) = consumer.next().await? else { continue };
        for record in records {
            let order = EventEnvelope::from_bytes(&record.value)?;
            let timeout = Duration::from_secs(2);
            env.http()?.post_json("payment:80", "/charges", &[], order.data(), timeout).await?;
            squall_core::point!("billing.charged");
            // A commit that fails is made up for by the next.
            let _ = consumer.commit(&[(record.partition.clone(), record.offset + 1)]).await;
        }
    }
}

fn verdict(kind: &str) -> Verdict {
    let services = Services::builtin().with("shop.naive-billing", naive);
    let runner = Runner::new(RunnerOptions::default(), services);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/own_service.toml");
    let overrides = vec![("billing".to_owned(), kind.to_owned())];
    let vocabulary = runner.vocabulary().points(["billing.charged"]);
    let loaded = Scenario::load(file.as_ref(), &LoadOptions { overrides, vocabulary });
    let case = loaded.unwrap_or_else(|wrong| panic!("{wrong}")).cases.remove(0);
    let seeds: Vec<_> = (0..10).map(|i| scenario_seed("own-service", "", i)).collect();
    let mut verdicts = Vec::new();
    runner
        .run_seeds(&case, &seeds, |_, judged| {
            verdicts.push(judged.verdict());
            true
        })
        .expect("the plans can run");
    Verdict::all(verdicts)
}

#[test]
fn a_naive_service_charges_twice_and_is_found_out() {
    let verdict = verdict("shop.naive-billing");
    let violation = verdict.violation().unwrap_or_else(|| panic!("{verdict:?}"));
    assert_eq!(violation.checker, "idempotent");
}

#[test]
fn the_reference_system_passes_the_same_scenario() {
    let verdict = verdict("orders.worker");
    assert!(verdict.is_passed(), "{verdict:?}");
}
