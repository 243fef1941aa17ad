//! Draws a plan from a case and a seed: patterns become hosts, chaos becomes faults.
//!
//! What an entry draws depends on the seed and on the entry's own name or settings, never on its neighbours.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Origin, PLAN_SCHEMA, Plan, PlannedFault, PlannedService, Trigger, chaos};
use crate::fault::{Fault, Hosts, KafkaFault, RedisFault, selects};
use crate::scenario::Case;
use crate::scenario::schema::{AtPoint, Expectation, FaultEntry, Scenario};
use crate::seed::Seed;

impl Plan {
    /// The plan of one run of `case`. The same two always give the same plan.
    ///
    /// Entries that a checked scenario cannot have, such as a fault without a kind, are left out.
    #[must_use]
    pub fn draw(case: &Case, seed: Seed) -> Self {
        let scenario = &case.scenario;
        let services: Vec<PlannedService> = scenario
            .topology
            .iter()
            .map(|(name, spec)| PlannedService {
                name: name.clone(),
                hosts: spec.host_names(name),
                spec: spec.clone(),
            })
            .collect();
        let hosts: Vec<String> = services.iter().flat_map(|service| service.hosts.clone()).collect();
        let mut faults = explicit(scenario, &hosts);
        faults.extend(chaos::draw(scenario, &hosts, seed));
        let expectations = scenario.expectations.iter().cloned();
        Self {
            schema: PLAN_SCHEMA,
            scenario: scenario.name.clone(),
            case: case.label.clone(),
            seed,
            mutant: None,
            tick: scenario.run.tick,
            duration: scenario.run.duration,
            settle: scenario.run.settle,
            outcome: None,
            services,
            workloads: scenario.workloads.clone(),
            faults,
            expectations: expectations.filter_map(|entry| Expectation::try_from(entry).ok()).collect(),
        }
    }
}

/// The faults the scenario names.
fn explicit(scenario: &Scenario, hosts: &[String]) -> Vec<PlannedFault> {
    let mut names = Names::default();
    let plan = |entry: &FaultEntry| {
        let trigger = match (entry.at, &entry.when) {
            (Some(at), _) => Trigger::At(at),
            (None, Some(when)) => Trigger::Point(AtPoint {
                host: when.host.as_ref().map(|chosen| resolve(chosen, hosts)),
                ..when.clone()
            }),
            (None, None) => return None,
        };
        let mut fault = entry.fault()?;
        let name = names.name(entry.name.as_deref(), fault.kind(), entry);
        for (_, chosen) in fault.hosts_mut() {
            *chosen = resolve(chosen, hosts);
        }
        name_rule(&mut fault, &name);
        Some(PlannedFault { name, trigger, lasts: entry.lasts, fault, origin: Origin::Scenario })
    };
    scenario.faults.iter().filter_map(plan).collect()
}

/// Every host that one of the patterns selects, in the topology's order.
pub(super) fn resolve(chosen: &Hosts, hosts: &[String]) -> Hosts {
    let selected = |host: &&String| chosen.names().iter().any(|name| selects(name, host));
    Hosts::new(hosts.iter().filter(selected).cloned())
}

/// A mock server draws for a rule by the rule's name, so a rule gets its fault's.
pub(super) fn name_rule(fault: &mut Fault, name: &str) {
    let slot = match fault {
        Fault::Kafka(KafkaFault::Rule(rule)) => &mut rule.name,
        Fault::Redis(RedisFault::Rule(rule)) => &mut rule.name,
        _ => return,
    };
    slot.get_or_insert_with(|| name.to_owned());
}

/// Gives names to what has none: from its kind and settings, so that they do not change when another is
/// removed.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeMap<String, u32>,
}

impl Names {
    /// The name given, or one made from the kind and what is written in the entry.
    pub(super) fn name(&mut self, given: Option<&str>, kind: &str, entry: &impl Serialize) -> String {
        let name = given.map_or_else(|| made(kind, entry), str::to_owned);
        let times = self.taken.entry(name.clone()).or_default();
        *times += 1;
        if *times == 1 { name } else { format!("{name}-{times}") }
    }
}

/// `net.latency-3fa2`.
fn made(kind: &str, entry: &impl Serialize) -> String {
    let written = serde_json::to_vec(entry).unwrap_or_default();
    let digest = Sha256::digest(written);
    format!("{kind}-{}", hex::encode(&digest[..2]))
}
