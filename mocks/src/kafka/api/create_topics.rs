//! CreateTopics (19): topics, by numbers or by explicit replicas.
//!
//! Behaviour: any broker takes the request, as brokers forward it to the controller. A topic twice in one
//! request is refused both times. The answer means that the controller knows the topic; brokers apply it after
//! their lag.
//! Versions: 2-7; partitions -1 and replicas -1 (since version 4) mean the cluster's defaults.
//! Not supported: waiting for the timeout, quotas.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::config::setting::Setting;
use crate::kafka::config::topic::SETTINGS;
use crate::kafka::controller::{NewTopic, Refused};
use crate::kafka::image::Topic;
use crate::kafka::wire::text;

/// DescribeConfigs' numbers for where a value comes from.
const FROM_TOPIC: i8 = 1;
const FROM_DEFAULT: i8 = 5;

pub(super) fn describe(request: &CreateTopicsRequest, _: &Cluster, _: i32) -> Described {
    Described::topics(request.topics.iter().map(|topic| topic.name.to_string()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: CreateTopicsRequest,
) -> Answer<CreateTopicsResponse> {
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.to_string()).or_default() += 1;
    }
    let mut results = Vec::new();
    for topic in &request.topics {
        let name = topic.name.to_string();
        let result = match (call.faults.before(&name, None), named.get(&name)) {
            (Some(code), _) => Err((code, None)),
            (None, Some(1)) => create(cluster, topic, request.validate_only)
                .map_err(|(error, reason)| (error.code(), Some(reason))),
            (None, _) => {
                let reason = "Duplicate topic name.".to_owned();
                Err((ResponseError::InvalidRequest.code(), Some(reason)))
            }
        };
        let result = match call.faults.after(&name, None) {
            Some(code) if result.is_ok() => Err((code, None)),
            _ => result,
        };
        results.push(told(call, topic, result));
    }
    Answer::Now(CreateTopicsResponse::default().with_topics(results))
}

pub(super) fn outcome(answer: &CreateTopicsResponse) -> i16 {
    first_error(answer.topics.iter().map(|topic| topic.error_code))
}

fn create(cluster: &mut Cluster, asked: &CreatableTopic, validate_only: bool) -> Result<Topic, Refused> {
    let mut configs = BTreeMap::new();
    for config in &asked.configs {
        let null = || (ResponseError::InvalidConfig, format!("Null value not supported: {}", config.name));
        configs.insert(config.name.to_string(), config.value.as_ref().ok_or_else(null)?.to_string());
    }
    let assignment = |a: &kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment| {
        (a.partition_index, a.broker_ids.iter().map(|id| id.0).collect())
    };
    let assignments: BTreeMap<i32, Vec<i32>> = asked.assignments.iter().map(assignment).collect();
    if !assignments.is_empty() && (asked.num_partitions != -1 || asked.replication_factor != -1) {
        let reason = "A manual partition assignment was specified, but replication factor was not set to -1."
            .to_owned();
        return Err((ResponseError::InvalidRequest, reason));
    }
    let new = NewTopic {
        name: asked.name.to_string(),
        partitions: asked.num_partitions,
        replication: asked.replication_factor,
        assignments,
        configs,
    };
    let topic = cluster.plan_topic(&new)?;
    if !validate_only {
        cluster.create_topic(&new.name, topic.clone());
    }
    Ok(topic)
}

fn told(
    call: &Call<'_>,
    asked: &CreatableTopic,
    result: Result<Topic, (i16, Option<String>)>,
) -> CreatableTopicResult {
    let answer = CreatableTopicResult::default().with_name(asked.name.clone());
    match result {
        Err((code, reason)) => answer.with_error_code(code).with_error_message(reason.as_deref().map(text)),
        Ok(topic) => {
            let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
            let configs = (call.version() >= 5).then(|| configs(&topic));
            answer
                .with_error_message(None)
                .with_topic_id(topic.id)
                .with_num_partitions(i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
                .with_replication_factor(i16::try_from(replicas).unwrap_or(i16::MAX))
                .with_configs(configs)
        }
    }
}

fn configs(topic: &Topic) -> Vec<CreatableTopicConfigs> {
    let one = |setting: &Setting| {
        let set = topic.configs.get(setting.name);
        CreatableTopicConfigs::default()
            .with_name(text(setting.name))
            .with_value(set.map(String::as_str).or(setting.default).map(text))
            .with_config_source(if set.is_some() { FROM_TOPIC } else { FROM_DEFAULT })
    };
    SETTINGS.iter().map(one).collect()
}
