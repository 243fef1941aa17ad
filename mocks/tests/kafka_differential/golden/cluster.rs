//! What a broker says of the cluster and of coordinators.

use kafka_protocol::messages::*;

use crate::build::{find, text};
use crate::pair::Pair;

pub fn description(pair: &mut Pair) -> Result<(), String> {
    for version in 0..=2 {
        // Any broker may be called the controller.
        let blur = |answer: &mut DescribeClusterResponse| {
            answer.controller_id = BrokerId(answer.controller_id.0.min(1));
            answer.brokers.sort_by_key(|broker| broker.broker_id.0);
        };
        let request = DescribeClusterRequest::default();
        pair.ask_but(version, request.clone(), blur)?;
        pair.ask_but(version, request.clone().with_include_cluster_authorized_operations(true), blur)?;
        if version == 0 {
            continue;
        }
        for endpoint in [0, 2, 3] {
            pair.ask_but(version, request.clone().with_endpoint_type(endpoint), blur)?;
        }
        if version == 2 {
            pair.ask_but(version, request.with_include_fenced_brokers(true), blur)?;
        }
    }
    Ok(())
}

pub fn coordinators(pair: &mut Pair) -> Result<(), String> {
    let group = pair.name("group");
    pair.coordinator(&group)?;
    // Where a group's partition is led is for each cluster to choose.
    let alone = |answer: &mut FindCoordinatorResponse| {
        answer.port = answer.port.min(1);
        answer.host = text("");
        answer.node_id = BrokerId(answer.node_id.0.min(1));
    };
    let several = |answer: &mut FindCoordinatorResponse| {
        for one in &mut answer.coordinators {
            one.port = one.port.min(1);
            one.host = text("");
            one.node_id = BrokerId(one.node_id.0.min(1));
        }
    };
    for version in 0..=3 {
        pair.ask_but(version, find(0, &group), alone)?;
        pair.ask_but(version, find(0, ""), alone)?;
    }
    for version in 1..=3 {
        for kind in [2, 3, -1] {
            pair.ask_but(version, find(kind, "x"), alone)?;
        }
    }
    for version in 4..=6 {
        let keys = |kind: i8, keys: &[&str]| {
            let keys = keys.iter().map(|key| text(key)).collect();
            FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(keys)
        };
        pair.ask_but(version, keys(0, &[&group, "", "another", &group]), several)?;
        pair.ask_but(version, keys(0, &[]), several)?;
        pair.ask_but(version, keys(9, &["x", "y"]), several)?;
        if version < 6 {
            pair.ask_but(version, keys(2, &["x"]), several)?;
        }
    }
    Ok(())
}
