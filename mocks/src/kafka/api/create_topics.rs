//! CreateTopics (19): topics, by numbers or by explicit replicas.
//!
//! Behaviour: any broker takes the request, as brokers forward it to the controller. A topic twice in one request is
//! refused, once; more partitions in one request than Kafka takes are refused with all its topics. The answer means
//! that the controller knows the topic; brokers apply it after their lag.
//! Versions: 2-7; partitions -1 and replicas -1 (since version 4) mean the cluster's defaults.
//! Not supported: waiting for the timeout, quotas.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::describe_configs::topic_settings;
use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster};
use crate::kafka::controller::{MAX_PARTITIONS, NewTopic, Refused, TOO_MANY_PARTITIONS};
use crate::kafka::image::Topic;
use crate::kafka::topic_config;
use crate::kafka::wire::text;

/// The topic that controllers keep to themselves.
const METADATA_TOPIC: &str = "__cluster_metadata";

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
    let is_twice = |name: &str| named.get(name).is_some_and(|times| *times > 1);
    let all_too_many = too_many(cluster, request.topics.iter().filter(|topic| !is_twice(&topic.name)));
    let mut results = Vec::new();
    let mut refused = BTreeSet::new();
    for topic in &request.topics {
        let name = topic.name.to_string();
        let result = match call.faults.before(&name, None) {
            Some(code) => Err((code, None)),
            None if all_too_many => {
                let reason = TOO_MANY_PARTITIONS.to_owned();
                Err((ResponseError::PolicyViolation.code(), Some(reason)))
            }
            // However often it is named, one answer says so.
            None if is_twice(&name) && !refused.insert(name.clone()) => continue,
            None if is_twice(&name) => {
                let reason = "Duplicate topic name.".to_owned();
                Err((ResponseError::InvalidRequest.code(), Some(reason)))
            }
            None => create(cluster, topic, request.validate_only)
                .map_err(|(error, reason)| (error.code(), Some(reason))),
        };
        let result = match call.faults.after(&name, None) {
            Some(code) if result.is_ok() => Err((code, None)),
            _ => result,
        };
        results.push(told(cluster, call, topic, result));
    }
    Answer::Now(CreateTopicsResponse::default().with_topics(results))
}

pub(super) fn outcome(answer: &CreateTopicsResponse) -> i16 {
    first_error(answer.topics.iter().map(|topic| topic.error_code))
}

/// Whether the topics want more partitions than a request may create.
fn too_many<'a>(cluster: &Cluster, topics: impl Iterator<Item = &'a CreatableTopic>) -> bool {
    let partitions = |topic: &CreatableTopic| match topic.num_partitions {
        _ if !topic.assignments.is_empty() => i64::try_from(topic.assignments.len()).unwrap_or(i64::MAX),
        -1 => i64::from(cluster.options.default_partitions),
        number => i64::from(number.max(0)),
    };
    topics.map(partitions).fold(0, i64::saturating_add) > i64::from(MAX_PARTITIONS)
}

fn create(cluster: &mut Cluster, asked: &CreatableTopic, validate_only: bool) -> Result<Topic, Refused> {
    if *asked.name == *METADATA_TOPIC {
        let reason = format!("Creation of internal topic {METADATA_TOPIC} is prohibited.");
        return Err((ResponseError::InvalidRequest, reason));
    }
    // Names and settings come before places, whatever is wrong with those.
    cluster.check_new(&asked.name)?;
    let set =
        |config: &CreatableTopicConfig| Some((config.name.to_string(), config.value.as_ref()?.to_string()));
    let configs: BTreeMap<String, String> = asked.configs.iter().filter_map(set).collect();
    let null = asked.configs.iter().filter(|config| config.value.is_none());
    let null: Vec<&str> = null.map(|config| &*config.name).collect();
    if !null.is_empty() {
        let reason = format!("Null value not supported for topic configs: {}", null.join(","));
        return Err((ResponseError::InvalidConfig, reason));
    }
    let configs = topic_config::check(&configs, &cluster.broker_levels())
        .map_err(|reason| (ResponseError::InvalidConfig, reason))?;
    let assignments = assignments(asked)?;
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

/// Where the partitions are wanted, which stands instead of both numbers.
fn assignments(asked: &CreatableTopic) -> Result<BTreeMap<i32, Vec<i32>>, Refused> {
    let wrong = |what: &str| {
        let reason = format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err((ResponseError::InvalidRequest, reason))
    };
    let mut assignments = BTreeMap::new();
    for assignment in &asked.assignments {
        if asked.replication_factor != -1 {
            return wrong("replication factor");
        }
        if asked.num_partitions != -1 {
            return wrong("numPartitions");
        }
        let (number, brokers) = (assignment.partition_index, &assignment.broker_ids);
        if assignments.insert(number, brokers.iter().map(|id| id.0).collect()).is_some() {
            let reason = format!("Found multiple manual partition assignments for partition {number}");
            return Err((ResponseError::InvalidReplicaAssignment, reason));
        }
    }
    Ok(assignments)
}

fn told(
    cluster: &Cluster,
    call: &Call<'_>,
    asked: &CreatableTopic,
    result: Result<Topic, (i16, Option<String>)>,
) -> CreatableTopicResult {
    let answer = CreatableTopicResult::default().with_name(asked.name.clone());
    match result {
        Err((code, reason)) => answer.with_error_code(code).with_error_message(reason.as_deref().map(text)),
        Ok(topic) => {
            let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
            let configs = (call.version() >= 5).then(|| configs(cluster, asked, &topic));
            answer
                .with_error_message(None)
                .with_topic_id(topic.id)
                .with_num_partitions(i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))
                .with_replication_factor(i16::try_from(replicas).unwrap_or(i16::MAX))
                .with_configs(configs)
        }
    }
}

/// What DescribeConfigs tells of the topic, in fewer words, and what was asked for as it was written.
fn configs(cluster: &Cluster, asked: &CreatableTopic, topic: &Topic) -> Vec<CreatableTopicConfigs> {
    let one = |described: DescribeConfigsResourceResult| {
        let written = asked.configs.iter().rev().find(|config| config.name == described.name);
        CreatableTopicConfigs::default()
            .with_name(described.name)
            .with_value(written.map_or(described.value, |config| config.value.clone()))
            .with_config_source(described.config_source)
    };
    topic_settings(&topic.configs, &cluster.broker_levels()).into_iter().map(one).collect()
}
