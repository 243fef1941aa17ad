//! Metadata (3): brokers, topics, leaders, as the asked broker knows them.
//!
//! Behaviour: answers from the broker's own view, so a lagging broker answers late and a distorted one
//! wrongly. Topics are named, or given by id since version 10; no list (or an empty one in version 0) means
//! all. A partition without a leader has LEADER_NOT_AVAILABLE. With automatic creation on, an unknown topic is
//! created, which takes the controller a moment; until then it is answered UNKNOWN_TOPIC_OR_PARTITION. A topic
//! that is named twice is told once. If one topic is named wrongly the whole request fails, brokers and all.
//! Versions: 0-13; ids are told since 10 and asked for since 12.
//! Not supported: racks, rebootstrapping.

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use uuid::Uuid;

use super::{ALL_OF_CLUSTER, ALL_OF_TOPIC, Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, is_internal};
use crate::kafka::controller::check_name;
use crate::kafka::view::{MetadataView, PartitionView, TopicView};
use crate::kafka::wire::text;

pub(super) fn describe(request: &MetadataRequest, cluster: &Cluster, node: i32) -> Described {
    let Some(topics) = &request.topics else {
        return Described::topics(cluster.image_of(node).topics.keys().cloned());
    };
    Described::topics(topics.iter().filter_map(|topic| match &topic.name {
        Some(name) => Some(name.to_string()),
        None => cluster.topic_name(node, topic.topic_id),
    }))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: MetadataRequest,
) -> Answer<MetadataResponse> {
    if let Some(error) = request.topics.iter().flatten().find_map(|topic| misnamed(call, topic)) {
        return Answer::Now(refused_all(call, request.topics.unwrap_or_default(), error));
    }
    let view = cluster.view_of(call.node);
    let all = match &request.topics {
        None => true,
        Some(topics) => call.version() == 0 && topics.is_empty(),
    };
    // Versions before 4 cannot forbid it.
    let create =
        cluster.options.auto_create_topics && (call.version() < 4 || request.allow_auto_topic_creation);
    let mut topics: Vec<_> = if all {
        view.topics.iter().map(|(name, topic)| told(call, name, topic, &view)).collect()
    } else {
        let asked = once(request.topics.unwrap_or_default());
        asked.iter().map(|topic| answer_topic(cluster, call, &view, topic, create)).collect()
    };
    if request.include_topic_authorized_operations {
        for topic in topics.iter_mut().filter(|topic| topic.name.is_some()) {
            topic.topic_authorized_operations = ALL_OF_TOPIC;
        }
    }
    let of_cluster = if request.include_cluster_authorized_operations { ALL_OF_CLUSTER } else { i32::MIN };
    let broker = |(id, broker): (&i32, &crate::kafka::view::BrokerView)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(*id))
            .with_host(text(&broker.host))
            .with_port(broker.port)
    };
    Answer::Now(
        MetadataResponse::default()
            .with_brokers(view.brokers.iter().map(broker).collect())
            .with_cluster_id(Some(text(&cluster.cluster_id)))
            .with_controller_id(BrokerId(view.controller))
            .with_cluster_authorized_operations(of_cluster)
            .with_topics(topics),
    )
}

pub(super) fn outcome(answer: &MetadataResponse) -> i16 {
    first_error(answer.topics.iter().map(|topic| topic.error_code).chain([answer.error_code]))
}

/// What is wrong with how a topic is named, if anything is.
fn misnamed(call: &Call<'_>, topic: &MetadataRequestTopic) -> Option<ResponseError> {
    match &topic.name {
        _ if call.version() < 12 && !topic.topic_id.is_nil() => Some(ResponseError::InvalidRequest),
        None if call.version() < 12 => Some(ResponseError::InvalidRequest),
        None if topic.topic_id.is_nil() => Some(ResponseError::UnknownServerError),
        _ => None,
    }
}

fn refused_all(call: &Call<'_>, topics: Vec<MetadataRequestTopic>, error: ResponseError) -> MetadataResponse {
    let one = |topic: MetadataRequestTopic| {
        let name = topic.name.unwrap_or_default();
        refused(call, Some(&name), topic.topic_id, error.code())
    };
    let answer = MetadataResponse::default().with_topics(topics.into_iter().map(one).collect());
    answer.with_error_code(if call.version() >= 13 { error.code() } else { 0 })
}

/// The topics, each once. If any has an id, those that have none are not looked at.
fn once(topics: Vec<MetadataRequestTopic>) -> Vec<MetadataRequestTopic> {
    let by_id = topics.iter().any(|topic| !topic.topic_id.is_nil());
    let mut seen = BTreeSet::new();
    let mut is_new = |topic: &MetadataRequestTopic| match by_id {
        true => seen.insert((topic.topic_id, None)),
        false => seen.insert((Uuid::nil(), topic.name.clone())),
    };
    topics
        .into_iter()
        .filter(|topic| !by_id || !topic.topic_id.is_nil())
        .filter(|topic| is_new(topic))
        .collect()
}

fn answer_topic(
    cluster: &mut Cluster,
    call: &Call<'_>,
    view: &MetadataView,
    asked: &MetadataRequestTopic,
    create: bool,
) -> MetadataResponseTopic {
    let by_id = asked.name.is_none() || (call.version() >= 12 && !asked.topic_id.is_nil());
    if by_id {
        let found = view.topics.iter().find(|(_, topic)| topic.id == asked.topic_id);
        return match found {
            Some((name, topic)) => told(call, name, topic, view),
            None => refused(call, None, asked.topic_id, ResponseError::UnknownTopicId.code()),
        };
    }
    let name = asked.name.as_ref().map(|name| name.to_string()).unwrap_or_default();
    if let Some(topic) = view.topics.get(&name) {
        return told(call, &name, topic, view);
    }
    let error = match check_name(&name) {
        Err(_) => ResponseError::InvalidTopicException,
        Ok(()) => {
            if create && call.faults.before(&name, None).is_none() {
                cluster.create_on_demand(&name);
            }
            ResponseError::UnknownTopicOrPartition
        }
    };
    refused(call, Some(&name), Uuid::nil(), error.code())
}

fn told(call: &Call<'_>, name: &str, topic: &TopicView, view: &MetadataView) -> MetadataResponseTopic {
    if let Some(code) = call.faults.either(name, None) {
        return refused(call, Some(name), topic.id, code);
    }
    let partitions = topic.partitions.iter().map(|(number, p)| told_partition(*number, p, view)).collect();
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(name))))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(name))
        .with_partitions(partitions)
}

fn told_partition(number: i32, partition: &PartitionView, view: &MetadataView) -> MetadataResponsePartition {
    let ids = |nodes: &[i32]| nodes.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let lives = |node: &i32| view.brokers.contains_key(node);
    let offline: Vec<i32> = partition.replicas.iter().filter(|node| !lives(node)).copied().collect();
    let (leader, error) = if lives(&partition.leader) {
        (partition.leader, 0)
    } else {
        (-1, ResponseError::LeaderNotAvailable.code())
    };
    MetadataResponsePartition::default()
        .with_error_code(error)
        .with_partition_index(number)
        .with_leader_id(BrokerId(leader))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.isr))
        .with_offline_replicas(ids(&offline))
}

fn refused(call: &Call<'_>, name: Option<&str>, id: Uuid, code: i16) -> MetadataResponseTopic {
    // Versions before 12 have no null name.
    let empty = if call.version() < 12 { Some("") } else { None };
    MetadataResponseTopic::default()
        .with_error_code(code)
        .with_name(name.or(empty).map(|name| TopicName(text(name))))
        .with_topic_id(id)
}
