//! AlterConfigs (33): replaces all settings of a resource.
//!
//! Behaviour: what the request does not name is forgotten; otherwise as IncrementalAlterConfigs, without
//! brokers' loggers.
//! Versions: 0-2.
//! Not supported: settings of single listeners have no effect.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::config::Kind;
use crate::kafka::config::alter::Change;
use crate::kafka::wire::text;

pub(super) fn describe(request: &AlterConfigsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.resources.iter().filter(|resource| resource.resource_type == Kind::Topic as i8);
    Described::topics(topics.map(|resource| resource.resource_name.to_string()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: AlterConfigsRequest,
) -> Answer<AlterConfigsResponse> {
    let resources = request.resources.iter().map(resource).collect();
    let results = alter_each(cluster, call, resources, (true, request.validate_only));
    let told = |(resource, (code, message)): (&AlterConfigsResource, (i16, Option<String>))| {
        AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_error_code(code)
            .with_error_message(message.as_deref().map(text))
    };
    let responses = request.resources.iter().zip(results).map(told).collect();
    Answer::Now(AlterConfigsResponse::default().with_responses(responses))
}

pub(super) fn outcome(answer: &AlterConfigsResponse) -> i16 {
    first_error(answer.responses.iter().map(|response| response.error_code))
}

fn resource(asked: &AlterConfigsResource) -> Resource {
    let change = |config: &kafka_protocol::messages::alter_configs_request::AlterableConfig| Change {
        name: config.name.to_string(),
        op: 0,
        value: config.value.as_ref().map(ToString::to_string),
    };
    Resource {
        kind: asked.resource_type,
        name: asked.resource_name.to_string(),
        changes: asked.configs.iter().map(change).collect(),
    }
}

/// What is to become of one resource.
pub(super) struct Resource {
    pub kind: i8,
    pub name: String,
    pub changes: Vec<Change>,
}

/// Changes each resource, and says with which error and message; a resource twice is refused both times.
pub(super) fn alter_each(
    cluster: &mut Cluster,
    call: &Call<'_>,
    resources: Vec<Resource>,
    (replace, validate_only): (bool, bool),
) -> Vec<(i16, Option<String>)> {
    let mut named: BTreeMap<(i8, &str), usize> = BTreeMap::new();
    for resource in &resources {
        *named.entry((resource.kind, &resource.name)).or_default() += 1;
    }
    let mut one = |resource: &Resource| {
        if let Some(code) = call.faults.before(&resource.name, None) {
            return (code, None);
        }
        let key = (resource.kind, resource.name.as_str());
        if named.get(&key).is_some_and(|count| *count > 1) {
            let twice = "Each resource must appear at most once.".to_owned();
            return (ResponseError::InvalidRequest.code(), Some(twice));
        }
        match cluster.alter_configs(call.node, key, &resource.changes, (replace, validate_only)) {
            Ok(()) => (call.faults.after(&resource.name, None).unwrap_or(0), None),
            Err((error, why)) => (error.code(), Some(why).filter(|why| !why.is_empty())),
        }
    };
    resources.iter().map(&mut one).collect()
}
