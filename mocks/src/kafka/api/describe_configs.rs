//! DescribeConfigs (32): a topic's settings.
//!
//! Behaviour: every topic setting with its value and where that comes from, as the asked broker knows it; or
//! the settings that were asked for by name.
//! Versions: 1-4.
//! Not supported: settings of brokers, groups and clients (INVALID_REQUEST), documentation texts.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::config::setting::Setting;
use crate::kafka::config::topic::SETTINGS;
use crate::kafka::controller::check_name;
use crate::kafka::view::{MetadataView, TopicView};
use crate::kafka::wire::text;

const TOPIC: i8 = 2;
const FROM_TOPIC: i8 = 1;
const FROM_DEFAULT: i8 = 5;

pub(super) fn describe(request: &DescribeConfigsRequest, _: &Cluster, _: i32) -> Described {
    let topics = request.resources.iter().filter(|resource| resource.resource_type == TOPIC);
    Described::topics(topics.map(|resource| resource.resource_name.to_string()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeConfigsRequest,
) -> Answer<DescribeConfigsResponse> {
    let view = cluster.view_of(call.node);
    let synonyms = request.include_synonyms;
    let results = request.resources.iter().map(|resource| told(call, &view, resource, synonyms)).collect();
    Answer::Now(DescribeConfigsResponse::default().with_results(results))
}

pub(super) fn outcome(answer: &DescribeConfigsResponse) -> i16 {
    first_error(answer.results.iter().map(|result| result.error_code))
}

fn told(
    call: &Call<'_>,
    view: &MetadataView,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> DescribeConfigsResult {
    let answer = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone());
    let refuse = |answer: DescribeConfigsResult, code: i16, message: &str| {
        answer.with_error_code(code).with_error_message(Some(text(message)))
    };
    if resource.resource_type != TOPIC {
        let message = "This cluster describes topics only.";
        return refuse(answer, ResponseError::InvalidRequest.code(), message);
    }
    if let Some(code) = call.faults.either(&resource.resource_name, None) {
        return refuse(answer, code, "");
    }
    if let Err(reason) = check_name(&resource.resource_name) {
        return refuse(answer, ResponseError::InvalidTopicException.code(), &reason);
    }
    let Some(topic) = view.topics.get(resource.resource_name.as_str()) else {
        return refuse(answer, ResponseError::UnknownTopicOrPartition.code(), "");
    };
    let wanted = |setting: &&Setting| {
        let keys = resource.configuration_keys.as_ref();
        keys.is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| key.as_str() == setting.name))
    };
    let configs = SETTINGS.iter().filter(wanted).map(|setting| told_setting(setting, topic, synonyms));
    answer.with_configs(configs.collect())
}

fn told_setting(setting: &Setting, topic: &TopicView, synonyms: bool) -> DescribeConfigsResourceResult {
    let set = topic.configs.get(setting.name);
    let value = set.map(String::as_str).or(setting.default).map(text);
    let source = if set.is_some() { FROM_TOPIC } else { FROM_DEFAULT };
    let synonym = DescribeConfigsSynonym::default()
        .with_name(text(setting.name))
        .with_value(value.clone())
        .with_source(source);
    DescribeConfigsResourceResult::default()
        .with_name(text(setting.name))
        .with_value(value)
        .with_config_source(source)
        .with_config_type(setting.kind as i8)
        .with_synonyms(if synonyms { vec![synonym] } else { Vec::new() })
}
