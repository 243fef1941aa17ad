//! IncrementalAlterConfigs (44): sets, deletes, extends and shortens single settings.
//!
//! Behaviour: of topics, brokers, brokers' loggers, groups and metrics subscriptions; each resource whole or
//! not at all, see `config/alter.rs`. Any broker takes the request but for settings of another broker.
//! Versions: 0-1.
//! Not supported: settings of single listeners have no effect.

use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::alter_configs::{Resource, alter_each};
use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::config::Kind;
use crate::kafka::config::alter::Change;
use crate::kafka::wire::text;

pub(super) fn describe(request: &IncrementalAlterConfigsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.resources.iter().filter(|resource| resource.resource_type == Kind::Topic as i8);
    Described::topics(topics.map(|resource| resource.resource_name.to_string()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: IncrementalAlterConfigsRequest,
) -> Answer<IncrementalAlterConfigsResponse> {
    let resources = request.resources.iter().map(resource).collect();
    let results = alter_each(cluster, call, resources, (false, request.validate_only));
    let told = |(resource, (code, message)): (&AlterConfigsResource, (i16, Option<String>))| {
        AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_error_code(code)
            .with_error_message(message.as_deref().map(text))
    };
    let responses = request.resources.iter().zip(results).map(told).collect();
    Answer::Now(IncrementalAlterConfigsResponse::default().with_responses(responses))
}

pub(super) fn outcome(answer: &IncrementalAlterConfigsResponse) -> i16 {
    first_error(answer.responses.iter().map(|response| response.error_code))
}

fn resource(asked: &AlterConfigsResource) -> Resource {
    let change =
        |config: &kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig| Change {
            name: config.name.to_string(),
            op: config.config_operation,
            value: config.value.as_ref().map(ToString::to_string),
        };
    Resource {
        kind: asked.resource_type,
        name: asked.resource_name.to_string(),
        changes: asked.configs.iter().map(change).collect(),
    }
}
