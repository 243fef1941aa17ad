//! DescribeTopicPartitions (75): partitions of topics, so many at a time.
//!
//! Behaviour: in the order of topics' names, from the cursor on, at most as many partitions as are asked for
//! and `max.request.partition.size.limit` allows, at least one; the answer's cursor says where to go on.
//! A partition without a leader is told as such, and is no error.
//! Versions: 0.
//! Not supported: –

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
};

use super::{Answer, Described, first_error};
use crate::kafka::cluster::{Call, Cluster, is_internal};
use crate::kafka::controller::check_name;
use crate::kafka::view::{MetadataView, PartitionView, TopicView};
use crate::kafka::wire::text;

pub(super) fn describe(request: &DescribeTopicPartitionsRequest, _: &Cluster, _: i32) -> Described {
    Described::topics(request.topics.iter().map(|topic| topic.name.to_string()))
}

pub(super) fn handle(
    cluster: &mut Cluster,
    call: &Call<'_>,
    request: DescribeTopicPartitionsRequest,
) -> Answer<DescribeTopicPartitionsResponse> {
    let view = cluster.view_of(call.node);
    let from = request.cursor.as_ref().map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
    let (first, start) = from.clone().unwrap_or_default();
    let all = request.topics.is_empty();
    let known = view.topics.keys().map(String::as_str);
    let asked = request.topics.iter().map(|topic| topic.name.as_str());
    let names: Vec<&str> = if all { known.collect() } else { asked.collect() };
    let names: BTreeSet<&str> = names.into_iter().filter(|name| *name >= first.as_str()).collect();
    let astray = from.is_some() && ((!all && !names.contains(first.as_str())) || start < 0);
    if astray {
        let refused = |topic: &kafka_protocol::messages::describe_topic_partitions_request::TopicRequest| {
            refused(&topic.name, ResponseError::InvalidRequest.code())
        };
        let topics = request.topics.iter().map(refused).collect();
        return Answer::Now(DescribeTopicPartitionsResponse::default().with_topics(topics));
    }
    let limit = cluster.levels_of(call.node).number("max.request.partition.size.limit").unwrap_or(2000);
    let limit = limit.min(i64::from(request.response_partition_limit)).max(1);
    let mut left = usize::try_from(limit).unwrap_or(1);
    let mut answer = DescribeTopicPartitionsResponse::default();
    for name in names {
        let begin = if name == first { start } else { 0 };
        if left == 0 {
            answer.next_cursor = Some(cursor(name, 0));
            break;
        }
        let Some(topic) = view.topics.get(name) else {
            let error = match check_name(name) {
                Ok(()) => ResponseError::UnknownTopicOrPartition,
                Err(_) => ResponseError::InvalidTopicException,
            };
            answer
                .topics
                .push(refused(name, error.code()).with_topic_authorized_operations(super::ALL_OF_TOPIC));
            continue;
        };
        if let Some(code) = call.faults.either(name, None) {
            answer.topics.push(refused(name, code));
            continue;
        }
        let (told, next) = told(&view, name, topic, begin, left);
        left -= told.partitions.len();
        answer.topics.push(told);
        if let Some(next) = next {
            answer.next_cursor = Some(cursor(name, next));
            break;
        }
    }
    Answer::Now(answer)
}

pub(super) fn outcome(answer: &DescribeTopicPartitionsResponse) -> i16 {
    first_error(answer.topics.iter().map(|topic| topic.error_code))
}

/// At most `limit` partitions of a topic, and the one to go on with.
fn told(
    view: &MetadataView,
    name: &str,
    topic: &TopicView,
    begin: i32,
    limit: usize,
) -> (DescribeTopicPartitionsResponseTopic, Option<i32>) {
    let mut rest = topic.partitions.range(begin..);
    let partitions = rest.by_ref().take(limit).map(|(number, p)| partition(view, *number, p)).collect();
    let told = DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(text(name))))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(name))
        .with_topic_authorized_operations(super::ALL_OF_TOPIC)
        .with_partitions(partitions);
    (told, rest.next().map(|(number, _)| *number))
}

fn partition(
    view: &MetadataView,
    number: i32,
    partition: &PartitionView,
) -> DescribeTopicPartitionsResponsePartition {
    let ids = |nodes: Vec<i32>| nodes.into_iter().map(BrokerId).collect::<Vec<_>>();
    let lives = |node: &i32| view.brokers.contains_key(node);
    let offline = partition.replicas.iter().filter(|node| !lives(node)).copied().collect();
    let leader = if lives(&partition.leader) { partition.leader } else { -1 };
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(number)
        .with_leader_id(BrokerId(leader))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(partition.replicas.clone()))
        .with_isr_nodes(ids(partition.isr.clone()))
        .with_eligible_leader_replicas(Some(ids(partition.elr.clone())))
        .with_last_known_elr(Some(ids(partition.last_known_leader.into_iter().collect())))
        .with_offline_replicas(ids(offline))
}

fn refused(name: &str, code: i16) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(code)
        .with_name(Some(TopicName(text(name))))
}

fn cursor(topic: &str, partition: i32) -> Cursor {
    Cursor::default().with_topic_name(TopicName(text(topic))).with_partition_index(partition)
}
